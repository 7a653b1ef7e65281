//! `kubernetes.secret`: a Secret, whose values are never written down in the clear.
//!
//! Its values are texts (certificates, kubeconfigs, tokens). One that was changed by somebody else is no longer ours and
//! shows as missing; taking it back is a conflict that names who has it.

use std::collections::BTreeMap;
use std::fmt;

use data_encoding::BASE64;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, Expected, FieldError, Found, KindRules, Live, OutputRule, Ownership, ProviderError,
    RemoteId, ResourceKind, Updated, WaitPolicy,
};

use super::call::{ObjectRef, text_at};
use super::client::Kube;
use super::object::{self, Place};
use super::ownership::MANAGER;
use super::texts;

/// The kind `kubernetes.secret`.
#[derive(Debug, Clone, Copy)]
pub struct Secret;

/// What is declared of a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The namespace it is in.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its type, for example `Opaque`.
    #[serde(rename = "type")]
    pub secret_type: String,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Its values, as texts: not in base64.
    pub data: BTreeMap<String, Input<String>>,
}

/// The values stay out of what is printed.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("type", &self.secret_type)
            .field("labels", &self.labels)
            .field("annotations", &self.annotations)
            .field("data", &self.data.keys())
            .finish()
    }
}

/// What a secret yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its name: for what needs it to be there.
    pub name: String,
}

impl KindRules for Secret {
    fn name(&self) -> &'static str {
        "kubernetes.secret"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "namespace", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "name", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "type", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "data.*", traits: &[FieldTrait::Sensitive] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("name")] }
    }

    fn expected(&self) -> Expected {
        Expected { create: 0.1, update: 0.1, delete: 0.1 }
    }

    fn api(&self) -> Api {
        Api::Kubernetes
    }

    fn reads_each(&self) -> u32 {
        1
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(100, 500, 300)
    }

    fn known_id(&self, spec: &Value) -> Option<RemoteId> {
        Some(ObjectRef::core("Secret", Some(spec.get("namespace")?.as_str()?), spec.get("name")?.as_str()?).id())
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        texts::check(spec, &["namespace", "name"])
    }
}

impl ResourceKind for Secret {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Kube;

    fn example() -> Spec {
        let reader = Address::new("kubernetes.service_account_token", &["cluster-2", "istio-reader"]);
        Spec {
            namespace: "istio-system".to_owned(),
            name: "remote-cluster-2".to_owned(),
            secret_type: "Opaque".to_owned(),
            labels: BTreeMap::from([("istio/multiCluster".to_owned(), "true".to_owned())]),
            annotations: BTreeMap::new(),
            data: BTreeMap::from([("token".to_owned(), Reference::to(&reader, "token").into())]),
        }
    }

    async fn read_many(&self, client: &Kube, ids: &[RemoteId]) -> Found<Spec, Outputs> {
        let read = |id| async move { Ok(object::get(client, &place_of(id)?).await?.as_ref().map(project)) };
        stream::iter(ids).map(read).buffered(object::WIDTH).try_collect().await
    }

    async fn create(
        &self,
        client: &Kube,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let place = place(spec);
        let made = object::make(client, &place, &manifest(spec)?, owner).await?;
        Ok(Created { id: place.object.id(), live: Some(project(&made)) })
    }

    async fn find(&self, client: &Kube, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        object::find(client, &place(spec), owner).await
    }

    async fn update(&self, client: &Kube, _: &RemoteId, _: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        object::apply(client, &place(to), &manifest(to)?, MANAGER).await?;
        Ok(Updated::Done)
    }

    async fn delete(&self, client: &Kube, id: &RemoteId) -> Result<Deletion, ProviderError> {
        object::remove(client, &place_of(id)?).await
    }
}

fn place(spec: &Spec) -> Place {
    Place::core(ObjectRef::core("Secret", Some(&spec.namespace), &spec.name), "secrets")
}

fn place_of(id: &RemoteId) -> Result<Place, ProviderError> {
    Ok(Place::core(ObjectRef::parse(id)?, "secrets"))
}

fn manifest(spec: &Spec) -> Result<Json, ProviderError> {
    let mut data = Map::new();
    for (key, text) in &spec.data {
        data.insert(key.clone(), Json::String(BASE64.encode(text.known()?.as_bytes())));
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "namespace": spec.namespace, "name": spec.name, "labels": spec.labels, "annotations": spec.annotations
        },
        "type": spec.secret_type,
        "data": data,
    }))
}

fn project(there: &Json) -> Live<Spec, Outputs> {
    let applied = object::applied(there).manifest;
    let text = |keys: &[&str]| text_at(there, keys).unwrap_or_default().to_owned();
    let name = text(&["metadata", "name"]);
    let spec = Spec {
        namespace: text(&["metadata", "namespace"]),
        name: name.clone(),
        secret_type: text(&["type"]),
        labels: texts::at(&applied, &["metadata", "labels"]),
        annotations: texts::at(&applied, &["metadata", "annotations"]),
        data: texts::at(&applied, &["data"])
            .into_iter()
            .map(|(key, encoded)| (key, Input::Known(texts::decode(&encoded))))
            .collect(),
    };
    Live { spec, outputs: Outputs { name }, status: object::status(there) }
}
