//! What EKS sees of IAM's roles: whether one is there yet, whom it trusts, what it may do.
//!
//! Entry point: [`seen`]. What was changed in IAM reaches other services late; until then they answer as if it were
//! not there. Policies are read as far as a cluster needs: actions with wildcards, allow and deny, no conditions.

use jiff::Timestamp;
use serde_json::Value;

use crate::sandbox::wildcard::matches;
use crate::sandbox::world::Region;
use crate::sandbox::world::rows::Role;

/// The ARN of a policy that AWS manages.
pub(super) fn managed(name: &str) -> String {
    format!("arn:aws:iam::aws:policy/{name}")
}

/// The role with this ARN, once other services can see it.
pub(super) fn seen<'a>(global: &'a Region, arn: &str, account: &str, now: Timestamp) -> Option<&'a Role> {
    existing(global, arn, account).filter(|role| role.visible_to_services_at <= now)
}

/// The role with this ARN.
pub(super) fn existing<'a>(global: &'a Region, arn: &str, account: &str) -> Option<&'a Role> {
    let (_, name) = arn.rsplit_once('/')?;
    global.roles.get(name).filter(|role| role.arn(account) == arn)
}

/// Whether other services see that a role lets a service take it on.
pub(super) fn trusts(role: &Role, service: &str, action: &str, now: Timestamp) -> bool {
    role.trust_visible_to_services_at <= now
        && statements(&role.trust).iter().any(|statement| {
            statement["Effect"] == "Allow"
                && strings(&statement["Principal"]["Service"]).contains(&service)
                && names(statement, action)
        })
}

/// Whether other services see that a policy is attached to a role.
pub(super) fn has(role: &Role, policy: &str, now: Timestamp) -> bool {
    role.policies_visible_to_services_at <= now && role.managed.contains(&managed(policy))
}

/// Whether a role may do something.
pub(super) fn allows(role: &Role, action: &str) -> bool {
    let inline: Vec<Value> = role.inline.values().flat_map(|document| statements(document)).collect();
    let says = |effect: &str| inline.iter().any(|one| one["Effect"] == effect && names(one, action));
    let by_aws = role.managed.iter().any(|arn| {
        let actions = arn.strip_prefix("arn:aws:iam::aws:policy/").map_or(&[][..], actions_of);
        actions.iter().any(|pattern| matches(pattern, action))
    });
    !says("Deny") && (by_aws || says("Allow"))
}

/// The actions of the policies managed by AWS that let a node's CNI work. `AmazonEKS_CNI_Policy` is for IPv4: it does
/// not assign IPv6 addresses (VPC CNI, docs/iam-policy.md).
fn actions_of(policy: &str) -> &'static [&'static str] {
    match policy {
        "AmazonEKS_CNI_Policy" => &[
            "ec2:AssignPrivateIpAddresses",
            "ec2:AttachNetworkInterface",
            "ec2:CreateNetworkInterface",
            "ec2:CreateTags",
            "ec2:DeleteNetworkInterface",
            "ec2:Describe*",
            "ec2:DetachNetworkInterface",
            "ec2:ModifyNetworkInterfaceAttribute",
            "ec2:UnassignPrivateIpAddresses",
        ],
        "AdministratorAccess" => &["*"],
        "PowerUserAccess" | "AmazonEC2FullAccess" => &["ec2:*"],
        _ => &[],
    }
}

fn statements(document: &str) -> Vec<Value> {
    let mut document: Value = serde_json::from_str(document).unwrap_or_default();
    match document.get_mut("Statement").map(Value::take) {
        Some(Value::Array(statements)) => statements,
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    }
}

/// Whether a statement is about an action.
fn names(statement: &Value, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    strings(&statement["Action"]).iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &action))
}

/// A text, or a list of texts.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}
