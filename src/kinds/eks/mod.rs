//! The kinds of Amazon EKS: clusters, what belongs to them, and the token that the clusters take.
//!
//! EKS describes one object a request, takes one change of an object at a time and says by an update's id how far it
//! is. What its errors mean is in `error`, what its health issues mean in `health`.

pub mod access_entry;
pub mod addon;
pub mod client;
pub mod cluster;
mod describe;
mod error;
pub mod existing_cluster;
mod health;
pub mod nodegroup;
pub mod pod_identity_association;
pub mod tags;
pub mod token;
mod update;
mod version;

pub use client::Eks;

use futures_util::future::try_join_all;

use crate::model::{Document, Input, Target};
use crate::resource::{ClusterAccess, ClusterAuth, ProviderError, RemoteId};

/// Reads each object by a request of its own, all at once: the engine decides how many those are.
async fn many<T>(
    ids: &[RemoteId],
    look: impl AsyncFn(&RemoteId) -> Result<Option<T>, ProviderError>,
) -> Result<Vec<Option<T>>, ProviderError> {
    try_join_all(ids.iter().map(|id| look(id))).await
}

/// How a cluster is reached by what it yields, once its API server is there.
fn access(target: &Target, outputs: &Document) -> Option<ClusterAccess> {
    let Target::Aws { region } = target else { return None };
    let outputs = outputs.value();
    let text = |key: &str| outputs.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Some(ClusterAccess {
        endpoint: text("endpoint")?,
        certificate_authority: text("certificate_authority")?,
        auth: ClusterAuth::Eks { cluster: text("name")?, region: region.to_string() },
    })
}

/// The id of something inside a cluster: `cluster/name`.
fn inner_id(cluster: &str, name: &str) -> RemoteId {
    RemoteId::new(format!("{cluster}/{name}"))
}

/// The cluster and the name of an id made by [`inner_id`]; `None` for any other text, which names nothing.
fn parts(id: &RemoteId) -> Option<(&str, &str)> {
    id.as_str().split_once('/').filter(|(cluster, name)| !cluster.is_empty() && !name.is_empty())
}

/// As [`parts`], for a request that needs both.
fn parts_of<'a>(operation: &'static str, id: &'a RemoteId) -> Result<(&'a str, &'a str), ProviderError> {
    parts(id).ok_or_else(|| ProviderError::bug(operation, format!("`{id}` does not read CLUSTER/NAME")))
}

/// The values of fields that have no hole any more.
fn known(inputs: &[Input<String>]) -> Result<Vec<String>, ProviderError> {
    inputs.iter().map(|input| Ok(input.known()?.clone())).collect()
}

/// "Cluster name" of CreateCluster's reference; node groups have the same rule and another length.
fn is_name(name: &str) -> bool {
    name.len() <= 100
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
