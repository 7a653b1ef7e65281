//! Looks at a running mesh: API servers, istiod's debug endpoints, load balancers, and what curl says. Changes nothing.
//!
//! Entry point: [`gather`]. What cannot be looked at is noted in its place, so that one cluster that is out of reach does
//! not hide the others.

mod balancer;
mod cluster;
mod istiod;
mod sample;
mod secrets;
mod trust;

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value as Json;

use super::facts::{ClusterFacts, Facts, Seen, Unseen};
use super::mesh::{Cluster, Mesh};
use crate::kinds::kubernetes::Kube;
use crate::model::{Clock, Target};
use crate::resource::{Cloud, ErrorClass, ProviderError};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(30);

/// Looks at all clusters of a mesh.
///
/// # Cancel safety
/// Dropping the future drops its requests; commands in pods end with their connections.
pub async fn gather(mesh: &Mesh, cloud: &Cloud, clock: &dyn Clock) -> Facts {
    // Boxed: what looks at a cluster is large, and there are many.
    let look = async |looker: Looker<'_>| Box::pin(looker.look()).await;
    let lookers: Vec<Looker<'_>> =
        mesh.clusters.iter().map(|(name, declared)| Looker { mesh, name, declared, cloud, clock }).collect();
    let seen = join_all(lookers.iter().map(|looker| look(*looker))).await;
    let mut looked: Vec<_> = lookers.into_iter().zip(seen).collect();
    if let Some(sample) = mesh.sample {
        let servers = looked.iter().filter_map(|(_, seen)| seen.as_ref().ok()?.1.sample.as_ref());
        let servers = servers.map(|sample| sample.servers.len()).sum();
        let requests = sample::enough(sample.requests, servers);
        // All at once: each cluster's requests are answered by all.
        let ask = looked.iter_mut().map(|(looker, seen)| async move {
            if let Ok((kube, facts)) = seen {
                looker.ask(kube, facts, sample.port, requests).await;
            }
        });
        join_all(ask).await;
    }
    let clusters =
        looked.into_iter().map(|(looker, seen)| (looker.name.to_owned(), seen.map(|(_, facts)| facts))).collect();
    Facts { clusters }
}

/// Looks at one cluster.
#[derive(Clone, Copy)]
struct Looker<'a> {
    mesh: &'a Mesh,
    name: &'a str,
    declared: &'a Cluster,
    cloud: &'a Cloud,
    clock: &'a dyn Clock,
}

impl Looker<'_> {
    async fn look(self) -> Seen<(Kube, ClusterFacts)> {
        let target = Target::Cluster { cluster: self.declared.address.clone() };
        let kube: Kube = self.cloud.client(&target).map_err(|error| unseen(&error))?;
        let facts = Box::pin(self.cluster(&kube)).await?;
        Ok((kube, facts))
    }

    /// The answer of a request, or that it did not come in time.
    async fn within<T>(self, limit: Duration, request: impl Future<Output = Result<T, ProviderError>>) -> Seen<T> {
        tokio::select! {
            biased;
            answer = request => answer.map_err(|error| unseen(&error)),
            () = self.clock.sleep(limit) => {
                Err(Unseen { why: format!("no answer within {} s", limit.as_secs()), passes: true })
            }
        }
    }

    /// An object; `None` if there is none.
    async fn object(self, kube: &Kube, path: &str) -> Seen<Option<Json>> {
        self.within(REQUEST, kube.look(path)).await
    }

    /// The objects of a list.
    async fn list(self, kube: &Kube, path: &str) -> Seen<Vec<Json>> {
        let list = self.object(kube, path).await?;
        Ok(list.map(|mut list| list["items"].take()).and_then(items).unwrap_or_default())
    }
}

fn items(items: Json) -> Option<Vec<Json>> {
    match items {
        Json::Array(items) => Some(items),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => None,
    }
}

/// Why a request was not answered as it should be.
fn unseen(error: &ProviderError) -> Unseen {
    let passes = match error.class {
        ErrorClass::Throttled
        | ErrorClass::Transient
        | ErrorClass::Ambiguous
        | ErrorClass::NotYet
        | ErrorClass::InUse
        | ErrorClass::Busy => true,
        ErrorClass::Denied | ErrorClass::Invalid | ErrorClass::Quota | ErrorClass::Conflict | ErrorClass::Bug => false,
    };
    Unseen { why: error.to_string(), passes }
}

/// A text of an object, by its JSON pointer; empty when there is none.
fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

/// A list of an object, by its JSON pointer; empty when there is none.
fn list_at<'a>(object: &'a Json, pointer: &str) -> &'a [Json] {
    object.pointer(pointer).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A label of an object.
fn label<'a>(object: &'a Json, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(name)?.as_str()
}
