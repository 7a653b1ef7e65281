//! One resource in a cluster and what the engine would do with it, without the engine.

use std::time::Duration;

use meshplan::kinds::kubernetes::manifest;
use meshplan::kinds::registry;
use meshplan::model::diff::{FieldChange, ThreeWay, diff, patch};
use meshplan::model::{Address, Document, Target, Value};
use meshplan::resource::{
    Cloud, Deletion, DynKind, ErrorClass, LiveDocument, Ownership, ProviderError, RemoteId, Status,
};
use serde::Serialize;

use crate::control_plane::ControlPlane;

/// How often something is looked at that is not as it should be yet, at [`PAUSE`]: a minute.
const PATIENCE: usize = 1_200;
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Resource {
    pub(crate) cloud: Cloud,
    pub(crate) kind: &'static dyn DynKind,
    pub(crate) spec: Value,
    pub(crate) owner: Ownership,
}

impl Resource {
    pub(crate) fn new<S: Serialize>(plane: &ControlPlane, kind: &str, spec: &S) -> Self {
        let spec = Document::of(spec).unwrap().value();
        let kind = registry().kind(kind).unwrap();
        assert_eq!(kind.check(&spec), [], "{spec}");
        let address = Address::new(kind.name(), &["test", "it"]);
        let owner =
            Ownership { mesh: "mesh1".to_owned(), address, token: "0123456789abcdef0123456789abcdef".to_owned() };
        Self { cloud: crate::cloud(&plane.kubeconfig()), kind, spec, owner }
    }

    pub(crate) fn manifest(plane: &ControlPlane, manifest: serde_json::Value) -> Self {
        let manifest = serde_json::from_value(manifest).unwrap();
        Self::new(plane, "kubernetes.manifest", &manifest::Spec::of(&manifest))
    }

    /// The same resource, declared differently.
    pub(crate) fn declared<S: Serialize>(self, spec: &S) -> Self {
        Self { spec: Document::of(spec).unwrap().value(), ..self }
    }

    pub(crate) fn with(self, manifest: serde_json::Value) -> Self {
        let manifest = serde_json::from_value(manifest).unwrap();
        self.declared(&manifest::Spec::of(&manifest))
    }

    /// The same resource, through another access to the cluster or with other options.
    pub(crate) fn through(self, cloud: Cloud) -> Self {
        Self { cloud, ..self }
    }

    fn target() -> Target {
        Target::Cluster { cluster: crate::cluster() }
    }

    pub(crate) fn id(&self) -> RemoteId {
        self.kind.known_id(&self.spec).unwrap()
    }

    fn document(&self) -> Document {
        Document::of(&self.spec).unwrap()
    }

    pub(crate) async fn create(&self) -> Result<RemoteId, ProviderError> {
        let made = self.kind.create(&self.cloud, &Self::target(), &self.document(), &self.owner).await?;
        assert_eq!(made.id, self.id());
        Ok(made.id)
    }

    pub(crate) async fn find(&self) -> Result<Option<RemoteId>, ProviderError> {
        self.kind.find(&self.cloud, &Self::target(), &self.document(), &self.owner).await
    }

    pub(crate) async fn read(&self) -> Result<Option<LiveDocument>, ProviderError> {
        // Beside another that does not exist: the answers keep their places.
        let id = self.id();
        let stranger = RemoteId::new(format!("{id}-stranger"));
        let ids = [stranger.clone(), id, stranger];
        let mut found = self.kind.read_many(&self.cloud, &Self::target(), &ids).await?;
        assert_eq!(found.len(), 3);
        assert!(found[0].is_none() && found[2].is_none(), "{}: a stranger is found", self.kind.name());
        Ok(found.swap_remove(1))
    }

    pub(crate) async fn delete(&self) -> Result<Deletion, ProviderError> {
        self.kind.delete(&self.cloud, &Self::target(), &self.id()).await
    }

    pub(crate) async fn diagnose(&self) -> Vec<String> {
        self.kind.diagnose(&self.cloud, &Self::target(), &self.id()).await.unwrap()
    }

    /// What differs between what is there and what is declared, `prior` being what was declared last.
    pub(crate) fn changes(&self, live: &LiveDocument, prior: &Value) -> Vec<FieldChange> {
        let observed = live.spec.value();
        diff(ThreeWay { desired: &self.spec, prior: Some(prior), observed: &observed }, self.kind.fields(), "salt")
    }

    /// One round of what the engine does with an object that differs.
    pub(crate) async fn update(&self, live: &LiveDocument, prior: &Value) -> Result<(), ProviderError> {
        let changes = self.changes(live, prior);
        let to = Document::of(&patch(&live.spec.value(), &self.spec, &changes)).unwrap();
        self.kind.update(&self.cloud, &Self::target(), &self.id(), &live.spec, &to).await.map(drop)
    }

    /// Waits until it is there and ready.
    pub(crate) async fn ready(&self) -> LiveDocument {
        let mut last = String::new();
        for _ in 0..PATIENCE {
            match self.read().await.unwrap() {
                Some(live) if live.status == Status::Ready => return live,
                Some(live) => last = format!("{:?}", live.status),
                None => "it is not there".clone_into(&mut last),
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{} never gets ready: {last}", self.id());
    }

    /// Makes it as declared and answers how it is then.
    pub(crate) async fn make(&self) -> LiveDocument {
        self.create().await.unwrap();
        self.settle(&self.spec).await
    }

    /// Brings it to what is declared; fails if that takes more than two rounds.
    pub(crate) async fn settle(&self, prior: &Value) -> LiveDocument {
        for _ in 0..3 {
            let live = self.ready().await;
            if self.changes(&live, prior).is_empty() {
                return live;
            }
            self.update(&live, prior).await.unwrap();
        }
        panic!("{}: the server keeps {:#?}", self.id(), self.changes(&self.ready().await, prior));
    }

    /// Deletes it and waits until it is gone; answers what the deletion said it waited for.
    pub(crate) async fn unmake(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        for _ in 0..PATIENCE {
            match self.delete().await {
                Ok(Deletion::Accepted) => break,
                Ok(Deletion::Again) => {}
                Ok(Deletion::Later(why)) => {
                    reasons.push(why);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) if error.class == ErrorClass::Transient => {}
                Err(error) => panic!("{error}"),
            }
        }
        reasons.dedup();
        for _ in 0..PATIENCE {
            if self.read().await.unwrap().is_none() {
                return reasons;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{} never goes: {reasons:?}", self.id());
    }

    /// Another create of the same object: not the one that made it.
    pub(crate) fn by_another(mut self) -> Self {
        "another-create".clone_into(&mut self.owner.token);
        self
    }
}
