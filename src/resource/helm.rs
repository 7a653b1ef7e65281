//! Who runs Helm: the port behind which the `helm` program is, or what the sandbox has instead.
//!
//! Nothing here waits for workloads: a release is installed or upgraded in one call that returns when its objects are
//! stored (and its hooks have run), and whether they are ready is read afterwards, like everything else.

use std::fmt;

use futures_util::future::LocalBoxFuture;

use super::client::ClusterAccess;
use super::error::ProviderError;

/// Runs Helm against clusters.
pub trait Helm: fmt::Debug {
    /// The program's version, for example `v4.1.4`; an error with the way to get it when there is none.
    fn version(&self) -> LocalBoxFuture<'_, Result<String, ProviderError>>;

    /// What a release is now; `None` when the cluster has none of this name.
    fn read<'a>(
        &'a self,
        access: &'a ClusterAccess,
        namespace: &'a str,
        name: &'a str,
    ) -> LocalBoxFuture<'a, Result<Option<ReleaseState>, ProviderError>>;

    /// Installs a release, or upgrades the one that is there.
    fn apply<'a>(
        &'a self,
        access: &'a ClusterAccess,
        release: &'a ReleaseOrder,
    ) -> LocalBoxFuture<'a, Result<(), ProviderError>>;

    /// Puts an earlier revision back: the way out of an interrupted upgrade.
    fn rollback<'a>(
        &'a self,
        access: &'a ClusterAccess,
        namespace: &'a str,
        name: &'a str,
        revision: u32,
    ) -> LocalBoxFuture<'a, Result<(), ProviderError>>;

    /// Takes a release away; fine when there is none.
    fn uninstall<'a>(
        &'a self,
        access: &'a ClusterAccess,
        namespace: &'a str,
        name: &'a str,
    ) -> LocalBoxFuture<'a, Result<(), ProviderError>>;

    /// The objects that a release would have, as YAML documents, for a cluster of this Kubernetes version. Needs no cluster.
    fn render<'a>(
        &'a self,
        release: &'a ReleaseOrder,
        kubernetes: &'a str,
    ) -> LocalBoxFuture<'a, Result<String, ProviderError>>;
}

/// A release as it is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseOrder {
    /// Its name.
    pub name: String,
    /// Its namespace, which exists.
    pub namespace: String,
    /// The chart: a name in `repository`, an `oci://` reference, or a local directory or archive.
    pub chart: String,
    /// The repository's URL; `None` for a chart that says itself where it is.
    pub repository: Option<String>,
    /// The chart's version; the newest when absent.
    pub version: Option<String>,
    /// The values, as one document.
    pub values: serde_json::Value,
    /// What is recorded with the revision: who made it, and for what.
    pub description: String,
    /// Whether fields that others manage are taken over (`--force-conflicts`, Helm 4).
    pub forces_conflicts: bool,
    /// Whether there is a release already that it comes after: what is rendered for an upgrade may differ.
    pub upgrades: bool,
}

/// A release as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseState {
    /// Where its last operation ended.
    pub status: ReleaseStatus,
    /// The number of its last revision.
    pub revision: u32,
    /// The last revision that was deployed; `None` when none ever was.
    pub deployed: Option<u32>,
    /// The chart's name.
    pub chart: String,
    /// The chart's version.
    pub version: String,
    /// The values that it was given.
    pub values: serde_json::Value,
    /// Its objects, as YAML documents.
    pub manifest: String,
    /// What is recorded with the revision: the order's text first, whatever became of the order. Helm's own remark is
    /// on lines of its own.
    pub description: String,
}

/// Where a release's last operation ended, in Helm's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseStatus {
    /// Its objects were stored.
    Deployed,
    /// They were not, or a hook failed.
    Failed,
    /// It was cut off in its first install.
    PendingInstall,
    /// It was cut off in an upgrade.
    PendingUpgrade,
    /// It was cut off in a rollback.
    PendingRollback,
    /// An operation is under way, and whoever began it may be alive.
    UnderWay,
    /// It is being taken away.
    Uninstalling,
    /// It was taken away, and its history kept.
    Uninstalled,
    /// Something newer took its place, or helm does not know.
    Other,
}
