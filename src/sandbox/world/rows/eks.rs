//! The objects of EKS. Their ids are their names, with the cluster's before them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Head, Row, row};

/// A cluster.
#[expect(clippy::struct_excessive_bools, reason = "they are the API's own attributes")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cluster {
    /// The id is the name.
    pub(crate) head: Head,
    /// What its endpoint and its issuer are called by: 32 hexadecimal digits.
    pub(crate) unique: String,
    pub(crate) role_arn: String,
    pub(crate) version: String,
    pub(crate) vpc_id: String,
    pub(crate) subnets: Vec<String>,
    pub(crate) security_groups: Vec<String>,
    pub(crate) public_access: bool,
    pub(crate) private_access: bool,
    pub(crate) public_cidrs: Vec<String>,
    pub(crate) ipv6: bool,
    pub(crate) service_cidr: String,
    pub(crate) authentication_mode: String,
    pub(crate) bootstrap_admin: bool,
    pub(crate) auto_mode: Option<AutoMode>,
    pub(crate) support_type: String,
    pub(crate) deletion_protection: bool,
    pub(crate) zonal_shift: bool,
    /// The types of log that are written.
    pub(crate) logging: BTreeSet<String>,
    /// The security group that EKS makes for it.
    pub(crate) group_id: String,
    /// When it stops being created, either way.
    pub(crate) settled_at: Timestamp,
    /// Why it fails, if it does.
    pub(crate) failure: Option<Issue>,
    /// When a deletion was asked for, and when it is through.
    pub(crate) deletion: Option<(Timestamp, Timestamp)>,
}

/// What EKS Auto Mode runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AutoMode {
    pub(crate) node_pools: Vec<String>,
    pub(crate) node_role_arn: Option<String>,
}

/// What is wrong, as `health.issues` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Issue {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) resources: Vec<String>,
}

impl Cluster {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.head.id
    }
}

row!(Cluster, "eks-cluster", |cluster| cluster.subnets.iter().chain([&cluster.vpc_id, &cluster.group_id]).cloned().collect(),
    due cluster.deletion.map(|(_, at)| at));

/// A managed node group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Nodegroup {
    /// The id is `cluster/name`.
    pub(crate) head: Head,
    pub(crate) cluster: String,
    pub(crate) name: String,
    /// The last part of its ARN.
    pub(crate) unique: String,
    pub(crate) role_arn: String,
    pub(crate) subnets: Vec<String>,
    pub(crate) instance_types: Vec<String>,
    pub(crate) ami_type: String,
    pub(crate) capacity_type: String,
    pub(crate) disk_gib: i64,
    pub(crate) scaling: Scaling,
    pub(crate) version: String,
    pub(crate) release: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) taints: Vec<Value>,
    pub(crate) update_config: Value,
    pub(crate) modified_at: Timestamp,
    /// The ids of its instances.
    pub(crate) instances: Vec<String>,
    /// When its nodes are ready, if nothing is in their way.
    pub(crate) ready_at: Timestamp,
    /// When EKS gives up waiting for them.
    pub(crate) gives_up_at: Timestamp,
    pub(crate) outcome: Outcome,
    /// When a deletion was asked for, and when it is through.
    pub(crate) deletion: Option<(Timestamp, Timestamp)>,
}

/// How many nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scaling {
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) desired: i64,
}

/// How the creation of a node group ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It has not ended; whether something was in the way when it was last looked at.
    Creating { blocked: bool },
    /// Its nodes are ready since then.
    Active(Timestamp),
    /// It failed.
    Failed(Vec<Issue>),
}

row!(Nodegroup, "eks-nodegroup", |group| std::iter::once(&group.cluster).chain(&group.subnets).cloned().collect(),
due match (&group.deletion, &group.outcome) {
    (Some((_, at)), _) => Some(*at),
    (None, Outcome::Creating { blocked: false }) => Some(group.ready_at),
    // Those that something is in the way of are looked at each time.
    (None, Outcome::Creating { blocked: true } | Outcome::Active(_) | Outcome::Failed(_)) => None,
});

/// An add-on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Addon {
    /// The id is `cluster/name`.
    pub(crate) head: Head,
    pub(crate) cluster: String,
    pub(crate) name: String,
    pub(crate) unique: String,
    pub(crate) version: String,
    pub(crate) configuration: Option<String>,
    pub(crate) service_account_role: Option<String>,
    pub(crate) modified_at: Timestamp,
    /// When it runs, if it can.
    pub(crate) active_at: Timestamp,
    /// When a deletion is through.
    pub(crate) deleted_at: Option<Timestamp>,
}

row!(Addon, "eks-addon", |addon| vec![addon.cluster.clone()], due addon.deleted_at);

/// Who may enter a cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AccessEntry {
    /// The id is `cluster|principal`.
    pub(crate) head: Head,
    pub(crate) cluster: String,
    pub(crate) principal: String,
    pub(crate) unique: String,
    pub(crate) kind: String,
    pub(crate) username: String,
    pub(crate) groups: Vec<String>,
    pub(crate) modified_at: Timestamp,
    /// Access policies by ARN.
    pub(crate) policies: BTreeMap<String, AccessPolicy>,
}

/// What an access policy is associated for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccessPolicy {
    /// `None` for the whole cluster.
    pub(crate) namespaces: Option<Vec<String>>,
    pub(crate) associated_at: Timestamp,
    pub(crate) modified_at: Timestamp,
}

row!(AccessEntry, "eks-access-entry", |entry| vec![entry.cluster.clone()]);

/// Which role the pods of a service account get.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PodIdentity {
    /// The id is `cluster/a-…`.
    pub(crate) head: Head,
    pub(crate) cluster: String,
    /// `a-…`
    pub(crate) association_id: String,
    pub(crate) namespace: String,
    pub(crate) service_account: String,
    pub(crate) role_arn: String,
    pub(crate) modified_at: Timestamp,
    /// The name of the add-on that it belongs to.
    pub(crate) addon: Option<String>,
}

row!(PodIdentity, "eks-pod-identity-association", |one| vec![
    one.cluster.clone(),
    format!("{}/{}/{}", one.cluster, one.namespace, one.service_account)
]);

/// A change that takes time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Update {
    /// The id is a UUID.
    pub(crate) head: Head,
    pub(crate) cluster: String,
    pub(crate) nodegroup: Option<String>,
    pub(crate) addon: Option<String>,
    /// `VersionUpdate` and the like.
    pub(crate) kind: String,
    /// What `params` lists: type and value.
    pub(crate) params: Vec<(String, String)>,
    /// When it is through.
    pub(crate) done_at: Timestamp,
    /// What it then does.
    pub(crate) change: Change,
    /// Whether it did it.
    pub(crate) done: bool,
}

/// What an update does when it is through.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Change {
    /// The cluster becomes this one in all that can be changed.
    Cluster(Box<Cluster>),
    /// The node group becomes this one.
    Nodegroup(Box<Nodegroup>),
    /// The add-on becomes this one.
    Addon(Box<Addon>),
}

impl Update {
    /// Whether it is about exactly this.
    pub(crate) fn concerns(&self, nodegroup: Option<&str>, addon: Option<&str>) -> bool {
        self.nodegroup.as_deref() == nodegroup && self.addon.as_deref() == addon
    }
}

row!(Update, "eks-update", |update| vec![update.cluster.clone()],
due if update.done {
    // Not documented; long enough for anybody who waits for it.
    update.done_at.checked_add((24 * 90).hours()).ok()
} else {
    Some(update.done_at)
});
