//! `kubernetes.namespace`: a namespace, with its labels and annotations.
//!
//! Its deletion takes what is in it along, and waits for that: at least five seconds, and as long as a finalizer holds
//! anything. The reasons that the namespace gives are what the delete says it waits for.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::model::Value;
use crate::model::diff::{FieldRule, FieldTrait};
use crate::resource::{
    Api, Created, Deletion, Expected, FieldError, Found, KindRules, Live, OutputRule, Ownership, ProviderError,
    RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

use super::call::{ObjectRef, text_at};
use super::client::Kube;
use super::object::{self, Place};
use super::ownership::MANAGER;
use super::texts;

/// The kind `kubernetes.namespace`.
#[derive(Debug, Clone, Copy)]
pub struct Namespace;

/// What is declared of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// What a namespace yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its name: for what lives in it.
    pub name: String,
}

impl KindRules for Namespace {
    fn name(&self) -> &'static str {
        "kubernetes.namespace"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[FieldRule { path: "name", traits: &[FieldTrait::Immutable] }]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("name")] }
    }

    fn expected(&self) -> Expected {
        // The controller that deletes namespaces waits five seconds after the last event.
        Expected { create: 0.1, update: 0.1, delete: 6.0 }
    }

    fn api(&self) -> Api {
        Api::Kubernetes
    }

    fn reads_each(&self) -> u32 {
        1
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(100, 1_000, 900)
    }

    fn known_id(&self, spec: &Value) -> Option<RemoteId> {
        Some(ObjectRef::core("Namespace", None, spec.get("name")?.as_str()?).id())
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        texts::check(spec, &["name"])
    }
}

impl ResourceKind for Namespace {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Kube;

    fn example() -> Spec {
        Spec {
            name: "istio-system".to_owned(),
            labels: BTreeMap::from([("topology.istio.io/network".to_owned(), "network1".to_owned())]),
            annotations: BTreeMap::new(),
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
        let made = object::make(client, &place, &manifest(spec), owner).await?;
        Ok(Created { id: place.object.id(), live: Some(project(&made)) })
    }

    async fn find(&self, client: &Kube, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        object::find(client, &place(spec), owner).await
    }

    async fn update(&self, client: &Kube, _: &RemoteId, _: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        object::apply(client, &place(to), &manifest(to), MANAGER).await?;
        Ok(Updated::Done)
    }

    async fn delete(&self, client: &Kube, id: &RemoteId) -> Result<Deletion, ProviderError> {
        object::remove(client, &place_of(id)?).await
    }
}

fn place(spec: &Spec) -> Place {
    Place::core(ObjectRef::core("Namespace", None, &spec.name), "namespaces")
}

fn place_of(id: &RemoteId) -> Result<Place, ProviderError> {
    Ok(Place::core(ObjectRef::parse(id)?, "namespaces"))
}

fn manifest(spec: &Spec) -> Json {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": spec.name, "labels": spec.labels, "annotations": spec.annotations },
    })
}

fn project(there: &Json) -> Live<Spec, Outputs> {
    let applied = object::applied(there).manifest;
    let name = text_at(there, &["metadata", "name"]).unwrap_or_default().to_owned();
    let status = match (object::status(there), text_at(there, &["status", "phase"])) {
        (Status::Ready, Some("Active")) => Status::Ready,
        (Status::Ready, Some("Terminating")) => Status::Deleting,
        (Status::Ready, phase) => Status::Pending(format!("its phase is {}", phase.unwrap_or("not set"))),
        (other, _) => other,
    };
    let spec = Spec {
        name: name.clone(),
        labels: texts::at(&applied, &["metadata", "labels"]),
        annotations: texts::at(&applied, &["metadata", "annotations"]),
    };
    Live { spec, outputs: Outputs { name }, status }
}
