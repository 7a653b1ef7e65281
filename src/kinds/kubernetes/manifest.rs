//! `kubernetes.manifest`: any object of any kind that the cluster serves, as its manifest.
//!
//! It is ready as soon as it is there, a definition of a kind once it is established. Whether a workload's pods run is
//! not waited for: an object that waits cannot be repaired by what is declared next.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{AttrPath, Value};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, Found, KindRules, Live, OutputRule, Ownership,
    ProviderError, RemoteId, ResourceKind, Updated, WaitPolicy,
};

use super::call::{GroupVersion, ObjectRef};
use super::canonical::canonical;
use super::client::Kube;
use super::object::{self, Place};
use super::ownership::{MANAGER, owned};
use super::reads_as;

/// The kind `kubernetes.manifest`.
#[derive(Debug, Clone, Copy)]
pub struct Manifest;

/// What is declared of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The object, in the form that [`Spec::of`] gives it.
    pub manifest: Value,
}

impl Spec {
    /// The spec of a manifest as people write it. Two manifests that mean the same make the same spec.
    #[must_use]
    pub fn of(manifest: &Value) -> Self {
        let json = serde_json::to_value(manifest).unwrap_or_default();
        Self { manifest: serde_json::from_value(canonical(json)).unwrap_or_default() }
    }

    fn json(&self) -> Result<Json, ProviderError> {
        serde_json::to_value(&self.manifest).map_err(|error| ProviderError::bug("kubernetes:Spec", error.to_string()))
    }

    /// The version in which it is written, and which object it is.
    fn object(&self) -> Option<(GroupVersion, ObjectRef)> {
        identity(&self.manifest)
    }
}

/// What an object yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its name: for what needs it to be there.
    pub name: String,
}

fn identity(manifest: &Value) -> Option<(GroupVersion, ObjectRef)> {
    let metadata = manifest.get("metadata")?;
    let version = GroupVersion::parse(manifest.get("apiVersion")?.as_str()?);
    let namespace = match metadata.get("namespace") {
        None | Some(Value::Null) => None,
        Some(namespace) => Some(namespace.as_str()?.to_owned()),
    };
    let object = ObjectRef {
        group: version.group.clone(),
        kind: manifest.get("kind")?.as_str()?.to_owned(),
        namespace,
        name: metadata.get("name")?.as_str()?.to_owned(),
    };
    Some((version, object))
}

impl KindRules for Manifest {
    fn name(&self) -> &'static str {
        "kubernetes.manifest"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "manifest.kind", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "manifest.metadata.name", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "manifest.metadata.namespace", traits: &[FieldTrait::Immutable] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("name")] }
    }

    fn expected(&self) -> Expected {
        Expected { create: 0.1, update: 0.1, delete: 0.5 }
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
        identity(spec.get("manifest")?).map(|(_, object)| object.id())
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let at = |path: &[&str], message: &str| FieldError { path: AttrPath::keys(path), message: message.to_owned() };
        let Some(manifest) = spec.get("manifest") else { return vec![at(&["manifest"], "is missing")] };
        let text = |path: &[&str]| path.iter().try_fold(manifest, |value, key| value.get(key)).and_then(Value::as_str);
        let mut errors = Vec::new();
        for path in [&["apiVersion"][..], &["kind"], &["metadata", "name"]] {
            if text(path).is_none_or(str::is_empty) {
                errors.push(at(&[&["manifest"], path].concat(), "is missing: every object has one"));
            }
        }
        match (text(&["apiVersion"]), text(&["kind"])) {
            (Some("v1"), Some("Secret")) => errors.push(at(
                &["manifest", "kind"],
                "is Secret, and a manifest is kept as it is: declare it as a secret, whose values are not written down",
            )),
            (_, Some(kind)) if kind.ends_with("List") && manifest.get("items").is_some() => {
                errors.push(at(&["manifest", "kind"], "is a list: declare each of its items"));
            }
            _ => {}
        }
        errors
    }
}

impl ResourceKind for Manifest {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Kube;

    fn example() -> Spec {
        let manifest = serde_json::json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": "settings", "namespace": "sample", "labels": { "app": "sample" } },
            "data": { "color": "blue" },
        });
        Spec::of(&serde_json::from_value(manifest).unwrap_or_default())
    }

    async fn read_many(&self, client: &Kube, ids: &[RemoteId]) -> Found<Spec, Outputs> {
        stream::iter(ids).map(|id| read(client, id)).buffered(object::WIDTH).try_collect().await
    }

    async fn create(
        &self,
        client: &Kube,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let place = place(client, spec).await?;
        let mut manifest = spec.json()?;
        object::annotate(&mut manifest, object::CREATE, &owner.token);
        let made = object::make(client, &place, &manifest, owner).await?;
        // The object is there: what comes on top must not hide it. What differs shows, and the next apply settles it.
        let made = settle(client, &place, &manifest, made.clone()).await.unwrap_or(made);
        Ok(Created { id: place.object.id(), live: live(&made)? })
    }

    async fn find(&self, client: &Kube, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let Some((_, object)) = spec.object() else { return Err(unnamed()) };
        match Place::find(client, &object).await? {
            Some(place) => object::find(client, &place, owner).await,
            None => Ok(None),
        }
    }

    async fn update(&self, client: &Kube, id: &RemoteId, _: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        let place = place(client, to).await?;
        if place.object.id() != *id {
            let message = format!("{} is another object than `{id}`: its group has changed", place.object);
            return Err(ProviderError::new(ErrorClass::Invalid, "kubernetes:Apply", message));
        }
        let manifest = to.json()?;
        let applied = object::apply(client, &place, &manifest, MANAGER).await?;
        settle(client, &place, &manifest, applied).await?;
        Ok(Updated::Done)
    }

    async fn delete(&self, client: &Kube, id: &RemoteId) -> Result<Deletion, ProviderError> {
        match Place::find(client, &ObjectRef::parse(id)?).await? {
            Some(place) => object::remove(client, &place).await,
            // Without its kind there is no object.
            None => Ok(Deletion::Accepted),
        }
    }
}

async fn place(client: &Kube, spec: &Spec) -> Result<Place, ProviderError> {
    let (version, object) = spec.object().ok_or_else(unnamed)?;
    Place::at_version(client, &object, &version).await
}

fn unnamed() -> ProviderError {
    ProviderError::bug("kubernetes:Spec", "a manifest without apiVersion, kind or name passed its check")
}

/// Notes on the object what the server made of what was sent, if that is something else.
async fn settle(client: &Kube, place: &Place, sent: &Json, answer: Json) -> Result<Json, ProviderError> {
    match reads_as::compare(&plain(sent), &plain(&object::applied(&answer).manifest)) {
        None => Ok(answer),
        Some(note) => {
            let mut manifest = sent.clone();
            object::annotate(&mut manifest, reads_as::ANNOTATION, &note);
            object::apply(client, place, &manifest, MANAGER).await
        }
    }
}

/// A manifest in canonical form, without the note of its create.
fn plain(manifest: &Json) -> Json {
    let mut manifest = manifest.clone();
    if let Some(annotations) = manifest.pointer_mut("/metadata/annotations").and_then(Json::as_object_mut) {
        annotations.remove(object::CREATE);
    }
    canonical(manifest)
}

async fn read(client: &Kube, id: &RemoteId) -> Result<Option<Live<Spec, Outputs>>, ProviderError> {
    let object = ObjectRef::parse(id)?;
    let Some(place) = Place::find(client, &object).await? else { return Ok(None) };
    let Some(there) = object::get(client, &place).await? else { return Ok(None) };
    // It was applied in a version that the cluster serves and does not prefer: its fields are that one's.
    let applied = owned(&there, MANAGER).map(|owned| GroupVersion::parse(&owned.api_version));
    if let Some(applied) = applied
        && applied.version != place.version
    {
        let place = Place { version: applied.version, ..place };
        if let Some(there) = object::get(client, &place).await? {
            return live(&there);
        }
    }
    live(&there)
}

fn live(there: &Json) -> Result<Option<Live<Spec, Outputs>>, ProviderError> {
    let applied = object::applied(there);
    let mut manifest = canonical(applied.manifest);
    if let Some(note) = applied.reads_as {
        reads_as::restore(&mut manifest, &note);
    }
    let manifest = serde_json::from_value(manifest)
        .map_err(|error| ProviderError::new(ErrorClass::Invalid, "kubernetes:Get", error.to_string()))?;
    let name = there.pointer("/metadata/name").and_then(Json::as_str).unwrap_or_default().to_owned();
    Ok(Some(Live { spec: Spec { manifest }, outputs: Outputs { name }, status: object::status(there) }))
}
