//! The objects of the cloud, as the world stores them.
//!
//! What depends on time (`pending`, `available`, `deleting`) is not stored but follows from instants that are, so that
//! nothing has to run for time to pass.
//!
//! | part | whose objects |
//! | --- | --- |
//! | `network` | the network layer of EC2 |
//! | `instance` | EC2's instances |
//! | `peering` | connections between VPCs; they live in the pseudo-region `aws-global` |
//! | `elb` | Elastic Load Balancing |
//! | `iam` | IAM; they live in the pseudo-region `aws-global` |
//! | `eks` | EKS |
//! | `logs` | CloudWatch Logs |
//! | `kubernetes` | what is in EKS's clusters |

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::table::Row;

mod eks;
pub(crate) mod elb;
pub(crate) mod iam;
mod instance;
mod kubernetes;
mod logs;
mod network;
mod peering;

pub(crate) use self::eks::{
    AccessEntry, AccessPolicy, Addon, AutoMode, Change, Cluster, Issue, Nodegroup, Outcome, PodIdentity, Scaling,
    Update,
};
pub(crate) use self::elb::{Listener, LoadBalancer, TargetGroup};
pub(crate) use self::iam::{OidcProvider, Role};
pub(crate) use self::instance::Instance;
pub(crate) use self::kubernetes::{Departed, Departure, KubernetesObject, KubernetesStore};
pub(crate) use self::logs::LogGroup;
pub(crate) use self::network::{
    Address, AddressAssociation, DhcpOptions, EgressOnlyGateway, InternetGateway, Ipv4Block, Ipv6Block, NatFailure,
    NatGateway, NetworkAcl, NetworkInterface, Peer, Route, RouteTable, RouteTarget, SecurityGroup, SecurityGroupRule,
    Subnet, Vpc,
};
pub(crate) use self::peering::{PeeringSide, VpcPeering};

/// Tags by key.
pub(crate) type Tags = BTreeMap<String, String>;

/// What all objects have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The id.
    pub(crate) id: String,
    /// When the call that made it took effect.
    pub(crate) created_at: Timestamp,
    /// Until then other calls answer that it does not exist (read-after-write lag).
    pub(crate) visible_at: Timestamp,
    /// The tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: Tags,
    /// Whether the account had it from the start.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) native: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

macro_rules! row {
    ($type:ident, $table:literal, |$row:ident| $links:expr $(, due $due:expr)?) => {
        impl Row for $type {
            const TABLE: &'static str = $table;
            fn head(&self) -> &Head {
                &self.head
            }
            fn head_mut(&mut self) -> &mut Head {
                &mut self.head
            }
            fn links(&self) -> Vec<String> {
                let $row = self;
                $links
            }
            $(fn due(&self) -> Option<Timestamp> {
                let $row = self;
                $due
            })?
        }
    };
}

use row;

/// A client token that was used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    /// The id is operation and token.
    pub(crate) head: Head,
    /// The digest of the other parameters.
    pub(crate) digest: String,
    /// What the call made.
    pub(crate) resource_id: String,
}

row!(Token, "client-token", |token| vec![token.resource_id.clone()], due token.head.created_at.checked_add(24.hours()).ok());
