//! What a role may do, as far as its policies' texts tell.
//!
//! For a diagnosis, which must not accuse wrongly: whatever cannot be read, or says more than which actions it allows
//! (`NotAction`, permissions boundaries are not looked at), may allow anything. Entry point: [`Grants::of_role`].

use serde_json::Value;

use crate::kinds::eks::client::Eks;
use crate::kinds::sdk::{Absence, Answer};
use crate::resource::ProviderError;

/// What a role may do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Grants {
    /// Patterns of actions that some policy allows, on whatever.
    allowed: Vec<String>,
    /// Whether there is a policy that was not understood.
    opaque: bool,
}

impl Grants {
    /// The grants of a role by its name; `None` if there is no such role.
    pub(super) async fn of_role(client: &Eks, role: &str) -> Result<Option<Self>, ProviderError> {
        let iam = client.iam();
        let mut grants = Self::default();
        let answer = iam.list_attached_role_policies().role_name(role).send().await;
        let Some(attached) = answer.read("iam:ListAttachedRolePolicies").unless_absent()? else { return Ok(None) };
        grants.opaque |= attached.is_truncated;
        for policy in attached.attached_policies() {
            let arn = policy.policy_arn().unwrap_or_default();
            match managed(client, arn).await {
                Some(document) => grants.add(&document),
                None => match shipped(policy.policy_name().unwrap_or_default()) {
                    Some(actions) => grants.allowed.extend(actions.iter().map(|action| (*action).to_owned())),
                    None => grants.opaque = true,
                },
            }
        }
        let inline = iam.list_role_policies().role_name(role).send().await.read("iam:ListRolePolicies")?;
        grants.opaque |= inline.is_truncated;
        for name in inline.policy_names() {
            let answer = iam.get_role_policy().role_name(role).policy_name(name).send().await;
            match answer.read("iam:GetRolePolicy") {
                Ok(answer) => grants.add(answer.policy_document()),
                Err(_) => grants.opaque = true,
            }
        }
        Ok(Some(grants))
    }

    /// Those of `actions` that nothing allows. None if something was not understood.
    pub(super) fn missing<'a>(&self, actions: &[&'a str]) -> Vec<&'a str> {
        if self.opaque {
            return Vec::new();
        }
        let allowed = |action: &&&str| self.allowed.iter().any(|pattern| matches(pattern, action));
        actions.iter().filter(|action| !allowed(action)).copied().collect()
    }

    fn add(&mut self, document: &str) {
        let Some(document) = decode(document) else {
            self.opaque = true;
            return;
        };
        for statement in one_or_many(&document["Statement"]) {
            if statement["Effect"] != "Allow" {
                continue;
            }
            self.opaque |= statement.get("NotAction").is_some();
            let actions = one_or_many(&statement["Action"]).filter_map(Value::as_str);
            self.allowed.extend(actions.map(str::to_owned));
        }
    }
}

/// The document of a managed policy; `None` if it cannot be read.
async fn managed(client: &Eks, arn: &str) -> Option<String> {
    let answer = client.iam().get_policy().policy_arn(arn).send().await.read("iam:GetPolicy").ok()?;
    let version = answer.policy?.default_version_id?;
    let answer = client.iam().get_policy_version().policy_arn(arn).version_id(version).send().await;
    answer.read("iam:GetPolicyVersion").ok()?.policy_version?.document
}

/// What AWS's own policies for nodes allow, of the actions that are asked about here ("AWS managed policies for Amazon
/// EKS" and "… Amazon ECR"): for callers who may not read policies.
fn shipped(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "AmazonEKSWorkerNodePolicy" => &["ec2:Describe*", "eks:DescribeCluster"],
        "AmazonEC2ContainerRegistryPullOnly"
        | "AmazonEC2ContainerRegistryReadOnly"
        | "AmazonEC2ContainerRegistryPowerUser"
        | "AmazonEC2ContainerRegistryFullAccess" => &["ecr:GetAuthorizationToken", "ecr:BatchGetImage"],
        "AmazonEKS_CNI_Policy" => &super::diagnose::CNI_IPV4[..],
        "AmazonSSMManagedInstanceCore" | "CloudWatchAgentServerPolicy" => &[],
        _ => return None,
    })
}

/// IAM answers documents percent-encoded; some servers do not.
pub(super) fn decode(text: &str) -> Option<Value> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).ok();
    }
    let form = format!("document={text}");
    let (_, decoded) = form_urlencoded::parse(form.as_bytes()).next()?;
    serde_json::from_str(&decoded).ok()
}

/// The items of a list, or the one that stands without.
pub(super) fn one_or_many(value: &Value) -> impl Iterator<Item = &Value> {
    let (many, one) = match value {
        Value::Array(items) => (items.as_slice(), None),
        Value::Null => (&[][..], None),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => (&[][..], Some(value)),
    };
    many.iter().chain(one)
}

/// Whether an action matches a pattern: `*` is any text, `?` any character, and case means nothing.
fn matches(pattern: &str, action: &str) -> bool {
    fn rest(pattern: &[u8], action: &[u8]) -> bool {
        match (pattern.split_first(), action.split_first()) {
            (None, None) => true,
            (Some((b'*', pattern)), _) => (0..=action.len()).any(|skipped| rest(pattern, &action[skipped..])),
            (Some((b'?', pattern)), Some((_, action))) => rest(pattern, action),
            (Some((a, pattern)), Some((b, action))) => a.eq_ignore_ascii_case(b) && rest(pattern, action),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
    rest(pattern.as_bytes(), action.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(documents: &[&str]) -> Grants {
        let mut grants = Grants::default();
        for document in documents {
            grants.add(document);
        }
        grants
    }

    #[test]
    fn what_no_statement_allows_is_missing() {
        let actions = ["ec2:DescribeSubnets", "ec2:CreateTags", "ecr:BatchGetImage"];
        let describes = r#"{"Statement": {"Effect": "Allow", "Action": "EC2:describe*", "Resource": "*"}}"#;
        assert_eq!(grants(&[describes]).missing(&actions), ["ec2:CreateTags", "ecr:BatchGetImage"]);
        let denies = r#"{"Statement": [{"Effect": "Deny", "Action": ["ec2:CreateTags"], "Resource": "*"}]}"#;
        assert_eq!(grants(&[describes, denies]).missing(&actions), ["ec2:CreateTags", "ecr:BatchGetImage"]);
        let all = r#"{"Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": "*"}]}"#;
        assert_eq!(grants(&[all]).missing(&actions), [""; 0]);
    }

    #[test]
    fn documents_are_read_as_iam_answers_them() {
        let encoded =
            "%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%5B%22ec2%3AA%22%5D%7D%5D%7D";
        assert_eq!(grants(&[encoded]).missing(&["ec2:A", "ec2:B"]), ["ec2:B"]);
    }

    #[test]
    fn what_is_not_understood_accuses_nobody() {
        assert_eq!(grants(&["not a document"]).missing(&["ec2:A"]), [""; 0]);
        let but = r#"{"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}}"#;
        assert_eq!(grants(&[but]).missing(&["ec2:A"]), [""; 0]);
    }

    #[test]
    fn patterns_are_those_of_iam() {
        for (pattern, action, expected) in [
            ("ec2:Describe*", "ec2:DescribeSubnets", true),
            ("ec2:Describe?ubnets", "ec2:DescribeSubnets", true),
            ("*", "ec2:DescribeSubnets", true),
            ("ec2:*s", "ec2:CreateTags", true),
            ("ec2:Describe", "ec2:DescribeSubnets", false),
            ("", "ec2:A", false),
        ] {
            assert_eq!(matches(pattern, action), expected, "{pattern} {action}");
        }
    }
}
