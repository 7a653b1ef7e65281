//! What is in the simulated EKS clusters: their Kubernetes API.
//!
//! Entry points: [`server::handle`] for a request, [`settle`] for what time does, [`forget`] when a cluster is deleted,
//! [`objects::Objects`] for what is in one.
//!
//! | part | what it does |
//! | --- | --- |
//! | `objects` | the store: keys, versions, what went lately |
//! | `schema` | what objects look like, and which kinds there are |
//! | `service`, `request`, `server` | what is asked, and where it goes |
//! | `endpoint` | where a cluster is, and its certificates |
//! | `auth` | who asks, and what they may |
//! | `verbs` | reading, writing, deleting; `selector` and `watch` are what they share |
//! | `decode`, `protobuf`, `defaults`, `validate`, `services`, `definitions`, `admission` | what becomes of an object on its way in |
//! | `patch` | the forms of patch, and who manages which fields |
//! | `discovery`, `openapi` | what the server says of itself |
//! | `status`, `table` | refusals, and what kubectl prints |
//! | `route`, `tls` | the two ways in: for this process, and over TLS on loopback |
//! | `fresh` | what a cluster has from the start |
//! | `controllers` | what happens inside of clusters without anybody asking |
//! | `charts` | what well-known charts put into one, when nobody runs Helm |

mod admission;
pub(crate) mod auth;
pub mod charts;
pub(crate) mod controllers;
mod decode;
mod defaults;
mod definitions;
mod discovery;
pub(crate) mod endpoint;
mod fresh;
pub(crate) mod objects;
mod openapi;
mod patch;
mod protobuf;
pub(crate) mod request;
pub(crate) mod route;
pub(crate) mod schema;
pub(crate) mod selector;
pub(crate) mod server;
pub(crate) mod service;
mod services;
pub(crate) mod status;
mod table;
pub(crate) mod tls;
mod validate;
mod verbs;
pub(crate) mod watch;

#[cfg(test)]
mod tests;

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
    let ids: Vec<String> = region.kubernetes_objects.linked(&of_cluster).map(|object| object.head.id.clone()).collect();
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
