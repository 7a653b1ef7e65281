//! The objects of IAM. They live in the pseudo-region `aws-global`, under their names or ARNs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Head, Row, row};

/// Something that IAM itself shows at once, and other services only after a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Propagating<T> {
    /// What IAM shows.
    pub(crate) value: T,
    /// When other services have it too.
    pub(crate) visible_to_services_at: Timestamp,
    /// What other services have until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<T>,
}

impl<T> Propagating<T> {
    /// What other services have.
    pub(crate) fn seen_by_services(&self, now: Timestamp) -> Option<&T> {
        if now >= self.visible_to_services_at { Some(&self.value) } else { self.before.as_ref() }
    }
}

/// A role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Role {
    /// The id is the role's name.
    pub(crate) head: Head,
    /// The id that IAM gives it: `AROA…`.
    pub(crate) unique_id: String,
    pub(crate) path: String,
    pub(crate) arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// Seconds.
    pub(crate) max_session_duration: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boundary: Option<String>,
    /// The trust policy, as it was written.
    pub(crate) trust: Propagating<String>,
    /// Managed policies by ARN; a detached one (`false`) stays until other services have forgotten it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) attached: BTreeMap<String, Propagating<bool>>,
    /// Inline policies by name, as they were written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) inline: BTreeMap<String, Propagating<String>>,
}

impl Role {
    /// The managed policies as IAM shows them.
    pub(crate) fn managed(&self) -> impl Iterator<Item = &str> {
        self.attached.iter().filter(|(_, attached)| attached.value).map(|(arn, _)| arn.as_str())
    }

    /// The managed policies as other services see them.
    pub(crate) fn managed_seen_by_services(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        self.attached
            .iter()
            .filter(move |(_, attached)| attached.seen_by_services(now) == Some(&true))
            .map(|(arn, _)| arn.as_str())
    }
}

// Names of roles are unique whatever their case.
row!(Role, "iam-role", |role| vec![role.arn.clone(), format!("name/{}", role.head.id.to_ascii_lowercase())]);

/// An OpenID Connect provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OidcProvider {
    /// The id is the ARN.
    pub(crate) head: Head,
    /// Without the scheme.
    pub(crate) url: String,
    pub(crate) client_ids: Vec<String>,
    pub(crate) thumbprints: Vec<String>,
}

row!(OidcProvider, "iam-oidc-provider", |_provider| Vec::new());
