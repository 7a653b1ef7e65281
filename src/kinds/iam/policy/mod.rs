//! Policy documents, compared by what they mean and never as text.
//!
//! Entry points: [`canonical`], which gives documents that mean the same the same form, and [`wire`], the text that
//! IAM takes. Everything that declares a document and everything that reads one applies [`canonical`], so that equal
//! documents are equal values and a plan has no noise.
//!
//! This is no policy evaluator: `ec2:Describe*` beside `ec2:DescribeVpcs` stays as it is, and the case of actions is
//! kept although IAM ignores it.

use std::collections::BTreeMap;

use crate::model::Value;

/// The version of the policy language when a document names none ("IAM JSON policy elements: Version").
const OLDEST: &str = "2008-10-17";

/// What stands for the issuer in a condition's key, in the trust of an identity provider: `<provider>:sub`.
///
/// IAM wants the issuer itself there, which is known only once the cluster is made, and a key cannot be a hole. It
/// need not be: the issuer is a part of the provider's ARN, which is the statement's principal.
const PROVIDER: &str = "<provider>";

/// What comes before the issuer in the ARN of an OIDC provider.
const PROVIDER_ARN: &str = ":oidc-provider/";

/// Why a document cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It has a hole.
    #[error("the policy document is not known yet")]
    Unknown,
    /// A condition is about the provider of a statement whose principal is none.
    #[error("a condition names `{0}`, and the statement's principal is no OIDC provider")]
    NoProvider(String),
    /// It cannot be written as JSON: a defect.
    #[error("the policy document cannot be written: {0}")]
    Encode(String),
}

/// The form that all documents of one meaning share:
///
/// * one statement is a list of one; the statements are sorted, without repetition;
/// * actions, resources, principals and a condition's values are sorted lists of texts;
/// * `"*"` as the principal is `{"AWS": ["*"]}`, and the root of an account is the account's number;
/// * `Sid` and `Id`, which mean nothing to IAM, are left out, and a missing `Version` is said;
/// * a condition on the claims of the statement's own OIDC provider names it `<provider>`.
///
/// Holes stay where they are. What is no policy document comes back as it was.
#[must_use]
pub fn canonical(document: Value) -> Value {
    let Value::Object(mut fields) = document else { return document };
    fields.remove("Id");
    fields.entry("Version".to_owned()).or_insert_with(|| OLDEST.into());
    if let Some(statements) = fields.remove("Statement") {
        let statements = list(statements).into_iter().map(statement).collect();
        fields.insert("Statement".to_owned(), Value::Array(sorted(statements)));
    }
    Value::Object(fields)
}

/// A canonical document as IAM takes it: JSON, with each `<provider>` spelled out.
pub fn wire(document: &Value) -> Result<String, PolicyError> {
    if document.has_unknown() {
        return Err(PolicyError::Unknown);
    }
    let document = match document {
        Value::Object(fields) => {
            let mut fields = fields.clone();
            if let Some(Value::Array(statements)) = fields.get_mut("Statement") {
                for statement in statements {
                    spell_out(statement)?;
                }
            }
            Value::Object(fields)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Unknown(_) => {
            document.clone()
        }
    };
    serde_json::to_string(&document).map_err(|error| PolicyError::Encode(error.to_string()))
}

/// The canonical form of a document as IAM answers it: percent-encoded (RFC 3986) or plain JSON.
pub(super) fn read(text: &str) -> Result<Value, serde_json::Error> {
    let text = text.trim();
    // Encoded, a document begins with %7B.
    let document =
        if text.starts_with('{') { serde_json::from_str(text)? } else { serde_json::from_slice(&decode(text))? };
    Ok(canonical(document))
}

/// Undoes percent-encoding; what is no escape stands for itself.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = if *first == b'%' { tail.get(..2).and_then(hexadecimal) } else { None };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn statement(statement: Value) -> Value {
    let Value::Object(mut fields) = statement else { return statement };
    fields.remove("Sid");
    for element in ["Action", "NotAction", "Resource", "NotResource"] {
        if let Some(value) = fields.get_mut(element) {
            *value = texts(std::mem::take(value));
        }
    }
    for element in ["Principal", "NotPrincipal"] {
        if let Some(value) = fields.get_mut(element) {
            *value = principal(std::mem::take(value));
        }
    }
    let issuer = issuer(&fields).map(|issuer| format!("{issuer}:"));
    if let Some(Value::Object(operators)) = fields.get_mut("Condition") {
        for keys in operators.values_mut() {
            let Value::Object(keys) = keys else { continue };
            *keys = std::mem::take(keys)
                .into_iter()
                .map(|(key, values)| (relative(key, issuer.as_deref()), texts(values)))
                .collect();
        }
    }
    Value::Object(fields)
}

fn principal(principal: Value) -> Value {
    match principal {
        Value::String(all) if all == "*" => Value::Object([("AWS".to_owned(), texts(all.as_str().into()))].into()),
        Value::Object(by_type) => {
            let of_type = |(key, names): (String, Value)| {
                let names = list(names).into_iter().map(|name| if key == "AWS" { account(name) } else { name });
                let names = Value::Array(sorted(names.collect()));
                (key, names)
            };
            Value::Object(by_type.into_iter().map(of_type).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Unknown(_) => {
            principal
        }
    }
}

/// The number of the account whose root this is: IAM stores `123456789012` as `arn:aws:iam::123456789012:root`. The
/// number is the shorter form, and the same in every partition.
fn account(name: Value) -> Value {
    let number = name.as_str().and_then(|arn| {
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", _, "iam", "", account, "root"] = parts.as_slice() else { return None };
        let is_number = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| Value::from(*account))
    });
    number.unwrap_or(name)
}

/// The issuer of the one OIDC provider that a statement trusts.
fn issuer(statement: &BTreeMap<String, Value>) -> Option<String> {
    let federated = statement.get("Principal")?.get("Federated")?;
    let arn = match federated {
        Value::Array(names) if names.len() == 1 => names[0].as_str(),
        Value::String(arn) => Some(arn.as_str()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) | Value::Unknown(_) => {
            None
        }
    };
    arn?.split_once(PROVIDER_ARN).map(|(_, issuer)| issuer.to_owned())
}

fn relative(key: String, issuer: Option<&str>) -> String {
    match issuer.and_then(|issuer| key.strip_prefix(issuer)) {
        Some(claim) => format!("{PROVIDER}:{claim}"),
        None => key,
    }
}

/// The inverse of [`relative`], for a whole statement.
fn spell_out(statement: &mut Value) -> Result<(), PolicyError> {
    let Value::Object(fields) = statement else { return Ok(()) };
    let issuer = issuer(fields);
    let Some(Value::Object(operators)) = fields.get_mut("Condition") else { return Ok(()) };
    for keys in operators.values_mut() {
        let Value::Object(keys) = keys else { continue };
        let spelled = std::mem::take(keys).into_iter().map(|(key, values)| {
            let key = match (key.strip_prefix(PROVIDER), &issuer) {
                (Some(claim), Some(issuer)) => format!("{issuer}{claim}"),
                (Some(_), None) => return Err(PolicyError::NoProvider(key)),
                (None, _) => key,
            };
            Ok((key, values))
        });
        *keys = spelled.collect::<Result<_, _>>()?;
    }
    Ok(())
}

/// A sorted list of texts. IAM takes conditions on truth and numbers without quotes too, and means the text.
fn texts(value: Value) -> Value {
    let as_text = |value: Value| match value {
        Value::Bool(value) => Value::String(value.to_string()),
        Value::Number(value) => Value::String(value.to_string()),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) | Value::Unknown(_) => value,
    };
    Value::Array(sorted(list(value).into_iter().map(as_text).collect()))
}

/// One thing is a list of one.
fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) | Value::Unknown(_) => {
            vec![value]
        }
    }
}

fn sorted(mut items: Vec<Value>) -> Vec<Value> {
    items.sort_by_cached_key(ToString::to_string);
    items.dedup();
    items
}

#[cfg(test)]
mod tests;
