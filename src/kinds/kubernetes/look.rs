//! Looking at what is in a cluster, for kinds whose objects are made of others: nothing here writes.

use serde_json::Value as Json;

use crate::resource::{ErrorClass, ProviderError};

use super::call::{Call, GroupVersion, ObjectRef, escape, text_at};
use super::client::Kube;
use super::object::{self, Place};

/// An object as a manifest names it; `None` if there is none, or the cluster serves no such kind.
pub(in crate::kinds) async fn object(
    kube: &Kube,
    api_version: &str,
    kind: &str,
    namespace: Option<&str>,
    name: &str,
) -> Result<Option<Json>, ProviderError> {
    let group = GroupVersion::parse(api_version).group;
    let namespace = namespace.map(str::to_owned);
    let object = ObjectRef { group, kind: kind.to_owned(), namespace, name: name.to_owned() };
    match Place::find(kube, &object).await? {
        Some(place) => object::get(kube, &place).await,
        None => Ok(None),
    }
}

/// Whether the cluster keeps objects of a kind in namespaces; `None` if it serves no such kind.
pub(in crate::kinds) async fn is_namespaced(
    kube: &Kube,
    api_version: &str,
    kind: &str,
) -> Result<Option<bool>, ProviderError> {
    let version = GroupVersion::parse(api_version);
    Ok(super::discovery::served(kube, &version, kind).await?.map(|served| served.is_namespaced))
}

/// The objects of a core kind in a namespace that have these labels; `plural` is the kind's name in paths.
pub(in crate::kinds) async fn labelled(
    kube: &Kube,
    namespace: &str,
    plural: &str,
    labels: &str,
) -> Result<Vec<Json>, ProviderError> {
    let path = format!("/api/v1/namespaces/{}/{plural}?labelSelector={}", escape(namespace), escape(labels));
    let mut list = kube.call(Call::get("kubernetes:List", path)).await?;
    match list.get_mut("items").map(Json::take) {
        Some(Json::Array(items)) => Ok(items),
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_)) | None => Ok(Vec::new()),
    }
}

/// The version of Kubernetes that the cluster runs, for example `v1.35.4`.
pub(in crate::kinds) async fn version(kube: &Kube) -> Result<String, ProviderError> {
    let answer = kube.call(Call::get("kubernetes:Version", "/version")).await?;
    let version = text_at(&answer, &["gitVersion"]).map(str::to_owned);
    version.ok_or_else(|| {
        ProviderError::new(ErrorClass::Transient, "kubernetes:Version", "the cluster does not say its version")
    })
}
