//! The objects of IAM. They live in the pseudo-region `aws-global`, and their id is their name.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Head, Row, row};

/// A role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Role {
    /// The id is the name; names are unique whatever the path.
    pub(crate) head: Head,
    /// The name.
    pub(crate) name: String,
    /// Begins and ends with a slash.
    pub(crate) path: String,
    /// The id that is not used again: `AROA` and 17 characters.
    pub(crate) unique_id: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// How long a session may last, in seconds.
    pub(crate) max_session_seconds: u32,
    /// The trust policy, as it was given.
    pub(crate) trust: String,
    /// The ARNs of the attached policies.
    pub(crate) managed: BTreeSet<String>,
    /// The inline policies, as they were given, by name.
    pub(crate) inline: BTreeMap<String, String>,
    /// The ARN of the permissions boundary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boundary: Option<String>,
    /// Until then other services answer that there is no such role (propagation).
    pub(crate) visible_to_services_at: Timestamp,
    /// Until then other services do not see the last change of its trust policy.
    pub(crate) trust_visible_to_services_at: Timestamp,
    /// Until then other services do not see the last change of its attached and inline policies.
    pub(crate) policies_visible_to_services_at: Timestamp,
}

impl Role {
    /// Its ARN.
    pub(crate) fn arn(&self, account: &str) -> String {
        format!("arn:aws:iam::{account}:role{}{}", self.path, self.name)
    }
}

row!(Role, "iam-role", |role| role.managed.iter().chain(&role.boundary).cloned().collect());
