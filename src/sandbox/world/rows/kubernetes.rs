//! What is in the clusters: Kubernetes objects, whole, and how often each cluster's were changed.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Head, Row, row};

/// An object of a cluster's Kubernetes API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KubernetesObject {
    /// The id is `cluster|group|plural|namespace|name`.
    pub(crate) head: Head,
    pub(crate) cluster: String,
    /// The API group; empty for the core one.
    pub(crate) group: String,
    /// What its kind is called in paths.
    pub(crate) plural: String,
    /// `None` for what is in none.
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    /// The object as the API stores it.
    pub(crate) object: Value,
}

impl KubernetesObject {
    /// The key that all objects of a cluster are linked to.
    pub(crate) fn of_cluster(cluster: &str) -> String {
        format!("kubernetes|{cluster}")
    }

    /// The key that all objects of a cluster and kind are linked to, or those of one namespace.
    pub(crate) fn of_kind(cluster: &str, group: &str, plural: &str, namespace: Option<&str>) -> String {
        match namespace {
            Some(namespace) => format!("kubernetes|{cluster}|{group}|{plural}|{namespace}"),
            None => format!("kubernetes|{cluster}|{group}|{plural}"),
        }
    }
}

row!(KubernetesObject, "kubernetes-object", |one| {
    let of_kind = |namespace| KubernetesObject::of_kind(&one.cluster, &one.group, &one.plural, namespace);
    let mut keys = vec![KubernetesObject::of_cluster(&one.cluster), of_kind(None)];
    keys.extend(one.namespace.as_deref().map(|namespace| of_kind(Some(namespace))));
    keys
});

/// The store behind a cluster's API server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KubernetesStore {
    /// The id is the cluster's name.
    pub(crate) head: Head,
    /// How many changes there were: the `resourceVersion` of the last one.
    pub(crate) revision: u64,
}

row!(KubernetesStore, "kubernetes-store", |_store| Vec::new());

/// How many deleted objects are remembered for those who watch. Whoever comes later than that lists anew.
const REMEMBERED: usize = 4096;

/// Objects that were deleted lately, for watches that begin in the past. A process remembers its own time only.
#[derive(Debug, Default)]
pub(crate) struct Departed {
    clusters: BTreeMap<String, Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    /// Deletions up to this revision are not remembered.
    forgotten: u64,
    last: VecDeque<Departure>,
}

/// An object that is gone.
#[derive(Debug, Clone)]
pub(crate) struct Departure {
    /// The revision of its deletion.
    pub(crate) revision: u64,
    pub(crate) group: String,
    pub(crate) plural: String,
    pub(crate) namespace: Option<String>,
    /// As it was last, with the revision of its deletion.
    pub(crate) object: Value,
}

impl Departed {
    /// A process begins to remember what goes from a cluster.
    pub(crate) fn since(&mut self, cluster: &str, revision: u64) {
        self.clusters
            .entry(cluster.to_owned())
            .or_insert_with(|| Remembered { forgotten: revision, last: VecDeque::new() });
    }

    /// An object goes.
    pub(crate) fn note(&mut self, cluster: &str, departure: Departure) {
        let before = departure.revision.saturating_sub(1);
        self.since(cluster, before);
        let Some(remembered) = self.clusters.get_mut(cluster) else { return };
        remembered.last.push_back(departure);
        while remembered.last.len() > REMEMBERED {
            remembered.forgotten = remembered.last.pop_front().map_or(before, |oldest| oldest.revision);
        }
    }

    /// What went from a cluster after a revision; `None` if that is not remembered.
    pub(crate) fn after(&self, cluster: &str, revision: u64) -> Option<impl Iterator<Item = &Departure>> {
        let remembered = self.clusters.get(cluster).filter(|remembered| remembered.forgotten <= revision)?;
        Some(remembered.last.iter().filter(move |departure| departure.revision > revision))
    }

    /// The cluster is gone.
    pub(crate) fn forget(&mut self, cluster: &str) {
        self.clusters.remove(cluster);
    }
}
