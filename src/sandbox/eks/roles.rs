//! What EKS asks about roles besides what IAM tells every service: policies by name, and sessions with tags.

use jiff::Timestamp;
use serde_json::Value;

use crate::sandbox::world::rows::Role;

/// The ARN of a policy that AWS manages.
pub(super) fn managed(name: &str) -> String {
    format!("arn:aws:iam::aws:policy/{name}")
}

/// Whether other services see that a policy of AWS is attached to a role.
pub(super) fn has(role: &Role, policy: &str, now: Timestamp) -> bool {
    let arn = managed(policy);
    role.managed_seen_by_services(now).any(|attached| attached == arn)
}

/// Whether other services see that a role lets EKS tag its sessions, as Auto Mode does.
pub(super) fn allows_tagged_sessions(role: &Role, now: Timestamp) -> bool {
    let trust = role.trust.seen_by_services(now);
    let document: Value = trust.and_then(|trust| serde_json::from_str(trust).ok()).unwrap_or_default();
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let says = |value: &Value, wanted: &[&str]| match value {
        Value::String(one) => wanted.contains(&one.as_str()),
        Value::Array(all) => all.iter().any(|one| one.as_str().is_some_and(|one| wanted.contains(&one))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    };
    statements.iter().any(|one| {
        one["Effect"] == "Allow"
            && says(&one["Principal"]["Service"], &["eks.amazonaws.com"])
            && says(&one["Action"], &["sts:TagSession", "sts:*", "*"])
    })
}
