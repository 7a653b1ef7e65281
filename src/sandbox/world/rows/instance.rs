//! EC2 instances: the nodes of node groups.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::{Head, Row, row};

/// An instance. Its network interfaces are rows of their own, which name it.
#[expect(clippy::struct_field_names, reason = "the API calls it the instance type, and `type` is a keyword")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) head: Head,
    pub(crate) vpc_id: String,
    pub(crate) subnet_id: String,
    pub(crate) zone: String,
    pub(crate) instance_type: String,
    pub(crate) image_id: String,
    pub(crate) private_ip: Ipv4Addr,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ipv6: Vec<Ipv6Addr>,
    pub(crate) groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) profile_arn: Option<String>,
    #[serde(default)]
    pub(crate) spot: bool,
    /// When it stops being pending.
    pub(crate) running_at: Timestamp,
    /// When a termination was asked for, and when it is through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) termination: Option<(Timestamp, Timestamp)>,
    /// Whether its interfaces were given back.
    #[serde(default)]
    pub(crate) released: bool,
}

impl Instance {
    /// The state in the words of the API, with its number.
    pub(crate) fn state(&self, now: Timestamp) -> (u16, &'static str) {
        match self.termination {
            Some((_, at)) if now >= at => (48, "terminated"),
            Some(_) => (32, "shutting-down"),
            None if now >= self.running_at => (16, "running"),
            None => (0, "pending"),
        }
    }
}

row!(Instance, "instance", |instance| vec![instance.vpc_id.clone(), instance.subnet_id.clone()],
due match instance.termination {
    // A terminated instance stays listed for about an hour (EC2 user guide, "Terminate your instance").
    Some((_, at)) if instance.released => at.checked_add(1.hour()).ok(),
    Some((_, at)) => Some(at),
    None => None,
});
