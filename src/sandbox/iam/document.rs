//! Policy documents: what IAM refuses about them, how it shows them, and what they say.
//!
//! Entry points: [`check_trust`], [`check_permissions`], [`encoded`]. Documents are kept as they were written, as IAM
//! keeps them. What is checked is the grammar ("Grammar of the IAM JSON policy language") as far as IAM checks it when
//! a policy is put; whether an action exists, IAM does not check either.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::sandbox::protocol::ApiError;
use crate::sandbox::wildcard::matches;

/// How long a trust policy may be, white space not counted ("IAM and STS character limits").
const MAX_TRUST: usize = 2048;

fn malformed(message: impl Into<String>) -> ApiError {
    ApiError::new("MalformedPolicyDocument", message)
}

fn syntax() -> ApiError {
    malformed("Syntax errors in policy.")
}

/// How long a document is, the way IAM counts.
pub(super) fn size(text: &str) -> usize {
    text.chars().filter(|character| !character.is_whitespace()).count()
}

/// A document as IAM shows it: percent-encoded (RFC 3986).
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The statements of a document, whose outer shape is checked.
fn statements(text: &str) -> Result<Vec<Map<String, Value>>, ApiError> {
    let document: Value = serde_json::from_str(text).map_err(|_| malformed("This policy contains invalid Json"))?;
    let Value::Object(document) = document else {
        return Err(malformed("This policy contains invalid Json"));
    };
    if document.keys().any(|key| !matches!(key.as_str(), "Version" | "Id" | "Statement")) {
        return Err(syntax());
    }
    if let Some(version) = document.get("Version")
        && !matches!(version.as_str(), Some("2012-10-17" | "2008-10-17"))
    {
        return Err(syntax());
    }
    let all = match document.get("Statement") {
        Some(Value::Array(all)) if !all.is_empty() => all.clone(),
        Some(one @ Value::Object(_)) => vec![one.clone()],
        _ => return Err(syntax()),
    };
    let mut ids = BTreeSet::new();
    let mut statements = Vec::new();
    for statement in all {
        let Value::Object(statement) = statement else { return Err(syntax()) };
        check_statement(&statement)?;
        if let Some(id) = statement.get("Sid").and_then(Value::as_str)
            && !id.is_empty()
            && !ids.insert(id.to_owned())
        {
            return Err(malformed("Statement IDs (SID) in a single policy must be unique."));
        }
        statements.push(statement);
    }
    Ok(statements)
}

/// What holds for the statements of every policy.
fn check_statement(statement: &Map<String, Value>) -> Result<(), ApiError> {
    const KNOWN: &[&str] =
        &["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    if statement.keys().any(|key| !KNOWN.contains(&key.as_str()))
        || !matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny"))
        || statement.contains_key("Action") && statement.contains_key("NotAction")
        || statement.contains_key("Resource") && statement.contains_key("NotResource")
        || statement.get("Condition").is_some_and(|condition| !condition.is_object())
    {
        return Err(syntax());
    }
    match statement.get("Sid") {
        None => {}
        Some(Value::String(id)) if id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {}
        Some(Value::String(_)) => {
            return Err(malformed(
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
            ));
        }
        Some(_) => return Err(syntax()),
    }
    for name in ["Action", "NotAction", "Resource", "NotResource"] {
        if let Some(value) = statement.get(name) {
            texts(value).ok_or_else(syntax)?;
        }
    }
    Ok(())
}

/// A text, or a list of texts.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(all) => all.iter().map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// The texts under one of two names.
fn either<'a>(statement: &'a Map<String, Value>, name: &str, other: &str) -> Option<Vec<&'a str>> {
    statement.get(name).or_else(|| statement.get(other)).and_then(texts).filter(|texts| !texts.is_empty())
}

/// Refuses what is no trust policy. `exists` tells whether an ARN of this account names a role.
pub(super) fn check_trust(text: &str, account: &str, exists: impl Fn(&str) -> bool) -> Result<(), ApiError> {
    const ACTIONS: &[&str] = &[
        "sts:*",
        "sts:assumerole",
        "sts:assumerolewithsaml",
        "sts:assumerolewithwebidentity",
        "sts:setcontext",
        "sts:setsourceidentity",
        "sts:tagsession",
    ];
    for statement in statements(text)? {
        for prohibited in ["Resource", "NotResource"] {
            if statement.contains_key(prohibited) {
                return Err(malformed(format!("Has prohibited field {prohibited}")));
            }
        }
        let Some(actions) = either(&statement, "Action", "NotAction") else {
            return Err(malformed("Missing required field Action"));
        };
        if actions.iter().any(|action| !ACTIONS.contains(&action.to_ascii_lowercase().as_str())) {
            return Err(malformed("AssumeRole policy may only specify STS AssumeRole actions."));
        }
        let Some(principal) = statement.get("Principal").or_else(|| statement.get("NotPrincipal")) else {
            return Err(malformed("Missing required field Principal"));
        };
        check_principal(principal, account, &exists)?;
    }
    if size(text) > MAX_TRUST {
        return Err(super::limit_exceeded(format!("Cannot exceed quota for ACLSizePerRole: {MAX_TRUST}")));
    }
    Ok(())
}

fn check_principal(principal: &Value, account: &str, exists: &impl Fn(&str) -> bool) -> Result<(), ApiError> {
    if principal.as_str() == Some("*") {
        return Ok(());
    }
    let Some(kinds) = principal.as_object().filter(|kinds| !kinds.is_empty()) else {
        return Err(malformed("Invalid principal in policy."));
    };
    for (kind, names) in kinds {
        let names = texts(names).filter(|names| !names.is_empty());
        let Some(names) = names else { return Err(malformed("Invalid principal in policy.")) };
        for name in names {
            let valid = match kind.as_str() {
                "Service" => name.ends_with(".amazonaws.com") || name.ends_with(".amazonaws.com.cn"),
                "Federated" => name.starts_with("arn:") || !name.contains(char::is_whitespace) && name.contains('.'),
                "AWS" => is_aws_principal(name, account, exists),
                "CanonicalUser" => false,
                _ => return Err(syntax()),
            };
            if !valid {
                let kind = kind.to_ascii_uppercase();
                return Err(malformed(format!("Invalid principal in policy: \"{kind}\":\"{name}\"")));
            }
        }
    }
    Ok(())
}

/// `*`, an account, or an ARN; a role of this account must exist.
fn is_aws_principal(name: &str, account: &str, exists: &impl Fn(&str) -> bool) -> bool {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if name == "*" || is_account(name) {
        return true;
    }
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "iam", "", owner, path] if is_account(owner) => {
            *path == "root"
                || if *owner == account && path.starts_with("role/") {
                    exists(name)
                } else {
                    path.starts_with("role/") || path.starts_with("user/")
                }
        }
        ["arn", _, "sts", "", owner, path] => is_account(owner) && path.contains('/'),
        _ => false,
    }
}

/// Refuses what is no policy that grants permissions.
pub(super) fn check_permissions(text: &str) -> Result<(), ApiError> {
    for statement in statements(text)? {
        if statement.contains_key("Principal") || statement.contains_key("NotPrincipal") {
            return Err(malformed("Policy document should not specify a principal."));
        }
        let Some(actions) = either(&statement, "Action", "NotAction") else {
            return Err(malformed("Policy statement must contain actions."));
        };
        for action in actions {
            let vendor = action.split_once(':').map(|(vendor, _)| vendor);
            if action != "*" && vendor.is_none_or(str::is_empty) {
                return Err(malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."));
            }
        }
        let Some(resources) = either(&statement, "Resource", "NotResource") else {
            return Err(malformed("Policy statement must contain resources."));
        };
        for resource in resources {
            if resource != "*" && resource.splitn(6, ':').count() < 6 {
                return Err(malformed(format!("Resource {resource} must be in ARN format or \"*\".")));
            }
        }
    }
    Ok(())
}

/// Whether a trust policy lets a service assume the role.
pub(super) fn trusts_service(trust: &str, service: &str) -> bool {
    let Ok(statements) = statements(trust) else { return false };
    let names = |statement: &Map<String, Value>| {
        let principal = statement.get("Principal");
        let services = principal.and_then(|principal| principal.get("Service")).and_then(texts).unwrap_or_default();
        services.contains(&service) && says(statement, "sts:AssumeRole")
    };
    let with = |effect: &str| {
        statements
            .iter()
            .any(|statement| statement.get("Effect").and_then(Value::as_str) == Some(effect) && names(statement))
    };
    with("Allow") && !with("Deny")
}

/// Whose tokens ask for a role: an OIDC provider's, for a subject and an audience.
pub(super) struct WebIdentity<'a> {
    /// The provider's ARN.
    pub(super) provider: &'a str,
    /// The issuer, without its scheme: what the conditions' keys begin with.
    pub(super) issuer: &'a str,
    pub(super) subject: &'a str,
    pub(super) audience: &'a str,
}

/// Whether a trust policy lets the bearer of a provider's token assume the role. A condition on anything else than the
/// token's subject and audience counts as one that is not met.
pub(super) fn trusts_web_identity(trust: &str, identity: &WebIdentity<'_>) -> bool {
    let Ok(statements) = statements(trust) else { return false };
    let holds = |operator: &str, tests: &Value| {
        let like = match operator {
            "StringEquals" => false,
            "StringLike" => true,
            _ => return false,
        };
        tests.as_object().is_some_and(|tests| {
            tests.iter().all(|(key, wanted)| {
                let claim = key.strip_prefix(identity.issuer).and_then(|rest| rest.strip_prefix(':'));
                let said = match claim {
                    Some("sub") => identity.subject,
                    Some("aud") => identity.audience,
                    Some(_) | None => return false,
                };
                let fits = |wanted: &str| if like { matches(wanted, said) } else { wanted == said };
                texts(wanted).is_some_and(|wanted| wanted.into_iter().any(fits))
            })
        })
    };
    let names = |statement: &Map<String, Value>| {
        let principal = statement.get("Principal");
        let federated = principal.and_then(|principal| principal.get("Federated")).and_then(texts).unwrap_or_default();
        let conditions = statement.get("Condition").and_then(Value::as_object);
        federated.contains(&identity.provider)
            && says(statement, "sts:AssumeRoleWithWebIdentity")
            && conditions.is_none_or(|all| all.iter().all(|(operator, tests)| holds(operator, tests)))
    };
    let with = |effect: &str| {
        statements
            .iter()
            .any(|statement| statement.get("Effect").and_then(Value::as_str) == Some(effect) && names(statement))
    };
    with("Allow") && !with("Deny")
}

/// Whether a statement is about an action. Actions are compared without case, as IAM does.
fn says(statement: &Map<String, Value>, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let any = |patterns: Vec<&str>| patterns.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &action));
    match (statement.get("Action").and_then(texts), statement.get("NotAction").and_then(texts)) {
        (Some(patterns), _) => any(patterns),
        (None, Some(patterns)) => !any(patterns),
        (None, None) => false,
    }
}

/// Whether a document has a statement with this effect about an action.
pub(super) fn has_effect(text: &str, effect: &str, action: &str) -> bool {
    let of = |statement: &Map<String, Value>| {
        statement.get("Effect").and_then(Value::as_str) == Some(effect) && says(statement, action)
    };
    statements(text).is_ok_and(|statements| statements.iter().any(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(statement: &str) -> Result<(), String> {
        let text = format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{statement}]}}");
        check_trust(&text, "123456789012", |arn| arn.ends_with("/known")).map_err(|error| error.message)
    }

    fn permissions(statement: &str) -> Result<(), String> {
        check_permissions(&format!("{{\"Statement\":{statement}}}")).map_err(|error| error.message)
    }

    #[test]
    fn trust_policies_name_who_may_assume_the_role() {
        let eks = r#"{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}"#;
        assert_eq!(trust(eks), Ok(()));
        let refused = |statement: &str| trust(statement).unwrap_err();
        assert_eq!(
            refused(r#"{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}"#),
            "Has prohibited field Resource"
        );
        assert_eq!(refused(r#"{"Effect":"Allow","Action":"sts:AssumeRole"}"#), "Missing required field Principal");
        assert_eq!(
            refused(r#"{"Effect":"Allow","Principal":{"Service":"eks"},"Action":"sts:AssumeRole"}"#),
            "Invalid principal in policy: \"SERVICE\":\"eks\""
        );
        let role = |name: &str| {
            format!(
                r#"{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::123456789012:role/{name}"}},"Action":"sts:AssumeRole"}}"#
            )
        };
        assert_eq!(trust(&role("known")), Ok(()));
        assert_eq!(refused(&role("x")), "Invalid principal in policy: \"AWS\":\"arn:aws:iam::123456789012:role/x\"");
        assert_eq!(
            refused(r#"{"Effect":"Allow","Principal":"*","Action":"ec2:RunInstances"}"#),
            "AssumeRole policy may only specify STS AssumeRole actions."
        );
        assert_eq!(
            refused(r#"{"Effect":"Perhaps","Principal":"*","Action":"sts:AssumeRole"}"#),
            "Syntax errors in policy."
        );
        assert_eq!(check_trust("no", "1", |_| false).unwrap_err().message, "This policy contains invalid Json");
    }

    #[test]
    fn permissions_name_actions_and_resources() {
        assert_eq!(permissions(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#), Ok(()));
        assert_eq!(
            permissions(r#"{"Effect":"Allow","Action":"ec2:*","Resource":["arn:aws:ec2:*:*:network-interface/*"]}"#),
            Ok(())
        );
        for (statement, expected) in [
            (r#"{"Effect":"Allow","Resource":"*"}"#, "Policy statement must contain actions."),
            (r#"{"Effect":"Allow","Action":"*"}"#, "Policy statement must contain resources."),
            (
                r#"{"Effect":"Allow","Action":"describe","Resource":"*"}"#,
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            ),
            (r#"{"Effect":"Allow","Action":"*","Resource":"vpc-1"}"#, "Resource vpc-1 must be in ARN format or \"*\"."),
            (
                r#"{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}"#,
                "Policy document should not specify a principal.",
            ),
            (
                r#"[{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"a","Effect":"Deny","Action":"*","Resource":"*"}]"#,
                "Statement IDs (SID) in a single policy must be unique.",
            ),
        ] {
            assert_eq!(permissions(statement).unwrap_err(), expected, "{statement}");
        }
    }

    #[test]
    fn a_web_identity_is_trusted_by_its_provider_subject_and_audience() {
        let trusts = |conditions: &str, subject: &str| {
            let text = format!(
                r#"{{"Statement":{{"Effect":"Allow","Principal":{{"Federated":"arn:p/oidc.example/id/1"}},
                "Action":"sts:AssumeRoleWithWebIdentity","Condition":{conditions}}}}}"#
            );
            trusts_web_identity(
                &text,
                &WebIdentity {
                    provider: "arn:p/oidc.example/id/1",
                    issuer: "oidc.example/id/1",
                    subject,
                    audience: "sts.amazonaws.com",
                },
            )
        };
        let exact = r#"{"StringEquals":{"oidc.example/id/1:sub":"system:serviceaccount:kube-system:aws-node",
                        "oidc.example/id/1:aud":"sts.amazonaws.com"}}"#;
        assert!(trusts(exact, "system:serviceaccount:kube-system:aws-node"));
        assert!(!trusts(exact, "system:serviceaccount:kube-system:other"));
        let like = r#"{"StringLike":{"oidc.example/id/1:sub":"system:serviceaccount:kube-system:*"}}"#;
        assert!(trusts(like, "system:serviceaccount:kube-system:other"));
        let of_another = r#"{"StringEquals":{"oidc.example/id/2:sub":"system:serviceaccount:kube-system:aws-node"}}"#;
        assert!(!trusts(of_another, "system:serviceaccount:kube-system:aws-node"));
        assert!(!trusts(
            r#"{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}"#,
            "system:serviceaccount:kube-system:aws-node"
        ));
    }

    #[test]
    fn documents_are_encoded_and_understood() {
        assert_eq!(encoded("{\"a\": [\"ü*\"]}"), "%7B%22a%22%3A%20%5B%22%C3%BC%2A%22%5D%7D");
        let text = r#"{"Statement":[{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"},{"Effect":"Deny","NotAction":"ec2:*","Resource":"*"}]}"#;
        assert!(has_effect(text, "Allow", "ec2:describeSubnets"));
        assert!(!has_effect(text, "Allow", "ec2:CreateTags"));
        assert!(has_effect(text, "Deny", "iam:GetRole") && !has_effect(text, "Deny", "ec2:CreateTags"));
    }
}
