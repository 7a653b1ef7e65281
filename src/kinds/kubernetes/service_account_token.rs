//! `kubernetes.service_account_token`: a token of a service account that does not expire, as a Secret that the cluster
//! fills.
//!
//! The token is read from the cluster whenever it is needed and never stored. It stays good until its Secret or its
//! service account is deleted, and the cluster deletes a Secret whose account is not there.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::model::Value;
use crate::model::diff::{FieldRule, FieldTrait};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, Found, KindRules, Live, OutputClass, OutputRule,
    Ownership, ProviderError, RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

use super::call::{ObjectRef, text_at};
use super::client::Kube;
use super::object::{self, Place};
use super::ownership::MANAGER;
use super::texts;
use super::texts::decode;

/// Names the service account that a Secret is a token of.
const ACCOUNT: &str = "kubernetes.io/service-account.name";

/// The kind `kubernetes.service_account_token`.
#[derive(Debug, Clone, Copy)]
pub struct ServiceAccountToken;

/// What is declared of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The namespace of the Secret and of the service account.
    pub namespace: String,
    /// The Secret's name.
    pub name: String,
    /// The service account's name.
    pub service_account: String,
    /// The Secret's labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The Secret's annotations, beyond the one that names the service account.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// What a token yields.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// The token itself.
    pub token: String,
    /// The certificates of the cluster's authority, PEM text.
    pub ca_crt: String,
}

/// The token stays out of what is printed.
impl std::fmt::Debug for Outputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outputs").field("ca_crt", &self.ca_crt).finish_non_exhaustive()
    }
}

impl KindRules for ServiceAccountToken {
    fn name(&self) -> &'static str {
        "kubernetes.service_account_token"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "namespace", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "name", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "service_account", traits: &[FieldTrait::Immutable] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const {
            &[
                OutputRule { name: "token", class: OutputClass::Ephemeral, changes_with: &[] },
                OutputRule::plain("ca_crt"),
            ]
        }
    }

    fn expected(&self) -> Expected {
        Expected { create: 0.5, update: 0.1, delete: 0.1 }
    }

    fn api(&self) -> Api {
        Api::Kubernetes
    }

    fn reads_each(&self) -> u32 {
        1
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(100, 500, 120)
    }

    fn known_id(&self, spec: &Value) -> Option<RemoteId> {
        Some(ObjectRef::core("Secret", Some(spec.get("namespace")?.as_str()?), spec.get("name")?.as_str()?).id())
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        texts::check(spec, &["namespace", "name", "service_account"])
    }
}

impl ResourceKind for ServiceAccountToken {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Kube;

    fn example() -> Spec {
        Spec {
            namespace: "istio-system".to_owned(),
            name: "istio-reader-service-account-token".to_owned(),
            service_account: "istio-reader-service-account".to_owned(),
            labels: BTreeMap::new(),
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
        // A token of an account that is not there is deleted by the cluster as soon as it is made.
        let account = ObjectRef::core("ServiceAccount", Some(&spec.namespace), &spec.service_account);
        if object::get(client, &Place::core(account, "serviceaccounts")).await?.is_none() {
            let message = format!("there is no service account {}/{}", spec.namespace, spec.service_account);
            return Err(ProviderError::new(ErrorClass::NotYet, "kubernetes:Create", message));
        }
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
    Place::core(ObjectRef::core("Secret", Some(&spec.namespace), &spec.name), "secrets")
}

fn place_of(id: &RemoteId) -> Result<Place, ProviderError> {
    Ok(Place::core(ObjectRef::parse(id)?, "secrets"))
}

fn manifest(spec: &Spec) -> Json {
    let mut annotations = spec.annotations.clone();
    annotations.insert(ACCOUNT.to_owned(), spec.service_account.clone());
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "namespace": spec.namespace, "name": spec.name, "labels": spec.labels, "annotations": annotations
        },
        "type": "kubernetes.io/service-account-token",
    })
}

fn project(there: &Json) -> Live<Spec, Outputs> {
    let applied = object::applied(there).manifest;
    let text = |keys: &[&str]| text_at(there, keys).unwrap_or_default().to_owned();
    let mut annotations = texts::at(&applied, &["metadata", "annotations"]);
    annotations.remove(ACCOUNT);
    let spec = Spec {
        namespace: text(&["metadata", "namespace"]),
        name: text(&["metadata", "name"]),
        service_account: text(&["metadata", "annotations", ACCOUNT]),
        labels: texts::at(&applied, &["metadata", "labels"]),
        annotations,
    };
    let outputs = Outputs { token: decode(&text(&["data", "token"])), ca_crt: decode(&text(&["data", "ca.crt"])) };
    let status = match object::status(there) {
        Status::Ready if outputs.token.is_empty() || outputs.ca_crt.is_empty() => {
            Status::Pending(format!("the cluster has not made the token of {} yet", spec.service_account))
        }
        status @ (Status::Ready | Status::Degraded(_) | Status::Pending(_) | Status::Failed(_) | Status::Deleting) => {
            status
        }
    };
    Live { spec, outputs, status }
}
