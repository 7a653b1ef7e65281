//! What joins VPCs. It belongs to two of them, which may be in two regions, and therefore lives in `aws-global`.

use ipnet::{Ipv4Net, Ipv6Net};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::{Head, Row, row};

/// A VPC peering connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct VpcPeering {
    pub(crate) head: Head,
    pub(crate) requester: PeeringSide,
    pub(crate) accepter: PeeringSide,
    /// When the request has arrived, or has failed.
    pub(crate) settled_at: Timestamp,
    /// Why it fails, if it does.
    pub(crate) failure: Option<String>,
    /// When it is active, once it was accepted.
    pub(crate) active_at: Option<Timestamp>,
    /// When a deletion, once asked for, is through.
    pub(crate) deleted_at: Option<Timestamp>,
}

/// One of its two ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeeringSide {
    pub(crate) region: String,
    pub(crate) vpc_id: String,
    /// The VPC's blocks when the connection was asked for.
    pub(crate) blocks: Vec<Ipv4Net>,
    pub(crate) ipv6: Vec<Ipv6Net>,
    /// Whether its names resolve to private addresses for the other side.
    pub(crate) dns: bool,
}

impl VpcPeering {
    /// The state in the words of the API.
    pub(crate) fn state(&self, now: Timestamp) -> &'static str {
        match (self.deleted_at, self.active_at) {
            (Some(at), _) if now >= at => "deleted",
            (Some(_), _) => "deleting",
            _ if now < self.settled_at => "initiating-request",
            _ if self.failure.is_some() => "failed",
            (None, None) => "pending-acceptance",
            (None, Some(at)) if now < at => "provisioning",
            (None, Some(_)) => "active",
        }
    }

    /// Whether it is only still listed.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        matches!(self.state(now), "deleted" | "failed")
    }

    /// Both ends, the requester first.
    pub(crate) fn sides(&self) -> [&PeeringSide; 2] {
        [&self.requester, &self.accepter]
    }

    /// Whether it has an end in a region.
    pub(crate) fn concerns(&self, region: &str) -> bool {
        self.sides().iter().any(|side| side.region == region)
    }

    /// Whether it carries packets between two VPCs.
    pub(crate) fn joins(&self, one: &str, other: &str, now: Timestamp) -> bool {
        let [requester, accepter] = self.sides();
        let ends = (requester.vpc_id.as_str(), accepter.vpc_id.as_str());
        (ends == (one, other) || ends == (other, one)) && self.state(now) == "active"
    }
}

row!(VpcPeering, "vpc-peering-connection", |peering| peering.sides().map(|side| side.vpc_id.clone()).to_vec(),
due match (peering.deleted_at, &peering.failure) {
    // "… remains visible for 2 hours" (VPC peering guide, lifecycle).
    (Some(at), _) => at.checked_add(2.hours()).ok(),
    (None, Some(_)) => peering.settled_at.checked_add(2.hours()).ok(),
    (None, None) => None,
});
