//! What is in the simulated EKS clusters: their Kubernetes API.
//!
//! Entry points: [`settle`] for what time does, [`forget`] when a cluster is deleted, [`objects::Objects`] for what is in
//! one.

pub mod charts;
pub(crate) mod controllers;
mod fresh;
pub(crate) mod objects;

use jiff::Timestamp;

use self::objects::{Key, Objects};
use super::options::Quotas;
use super::world::rows::{Cluster, KubernetesObject};
use super::world::{Place, Region};

/// Whether a cluster's API server runs.
pub(crate) fn runs(cluster: &Cluster, now: Timestamp) -> bool {
    cluster.settled_at <= now && cluster.failure.is_none() && cluster.deletion.is_none()
}

/// Brings what is in the clusters of a region up to `now`.
pub(crate) fn settle(place: &mut Place<'_>, quotas: &Quotas, now: Timestamp) {
    let running = place.region.clusters.iter().filter(|cluster| runs(cluster, now));
    let new = |cluster: &&Cluster| place.region.kubernetes_stores.get(cluster.name()).is_none();
    let new: Vec<Cluster> = running.filter(new).cloned().collect();
    for cluster in new {
        fresh::furnish(&mut Objects::of(place.region, cluster.name(), now), &cluster);
    }
    controllers::settle(place, quotas, now);
}

/// A cluster is gone, and all that was in it.
pub(crate) fn forget(region: &mut Region, cluster: &str) {
    let of_cluster = KubernetesObject::of_cluster(cluster);
    let ids: Vec<String> =
        region.kubernetes_objects.linked(&of_cluster).map(|object| object.head.id.clone()).collect();
    for id in ids {
        region.kubernetes_objects.remove(&id);
    }
    region.kubernetes_stores.remove(cluster);
    region.departed.forget(cluster);
}

/// Takes an object out at once: somebody else deleted it a while ago.
pub(crate) fn vanish(region: &mut Region, id: &str, now: Timestamp) {
    let Some(row) = region.kubernetes_objects.get(id) else { return };
    let KubernetesObject { cluster, group, plural, namespace, name, .. } = row.clone();
    let key = Key::new(&group, &plural, namespace.as_deref(), &name);
    Objects::of(region, &cluster, now).remove(&key);
}
