//! `istio.existing_cacerts`: that somebody else has put an authority into a cluster, before istiod looks for it.
//!
//! It is looked at and never written. Without it istiod would sign for itself, and no other cluster would trust this one;
//! with a part of it missing istiod does not start. Both of the forms that istiod knows are taken: its own four keys, and
//! that of a TLS Secret, as cert-manager makes it.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::kinds::kubernetes::Kube;
use crate::kinds::kubernetes::call::{ObjectRef, text_at};
use crate::kinds::kubernetes::object::{self, Place};
use crate::kinds::kubernetes::texts;
use crate::kinds::kubernetes::texts::decode;
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, Expected, FieldError, Found, KindRules, Live, OutputRule, Ownership, Possession,
    ProviderError, RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

/// The Secret.
const NAME: &str = "cacerts";

/// The keys of istiod's own form.
const PLUG_IN: [&str; 4] = ["ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"];

/// The keys of a TLS Secret, with the authority's own.
const TLS: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// The kind `istio.existing_cacerts`.
#[derive(Debug, Clone, Copy)]
pub struct ExistingCacerts;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The namespace of the control plane.
    pub namespace: String,
    /// The URL of the cluster's API server: in another cluster it is looked for anew.
    pub cluster: Input<String>,
}

/// A look yields nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {}

impl KindRules for ExistingCacerts {
    fn name(&self) -> &'static str {
        "istio.existing_cacerts"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "namespace", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "cluster", traits: &[FieldTrait::Immutable] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        &[]
    }

    fn expected(&self) -> Expected {
        Expected { create: 0.1, update: 0.1, delete: 0.0 }
    }

    fn api(&self) -> Api {
        Api::Kubernetes
    }

    // Whoever puts it there can do so only once there is a cluster with a namespace to put it into.
    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(1_000, 5_000, 600)
    }

    fn possession(&self) -> Possession {
        Possession::Recorded
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        texts::check(spec, &["namespace"])
    }
}

impl ResourceKind for ExistingCacerts {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Kube;

    fn example() -> Spec {
        Spec {
            namespace: "istio-system".to_owned(),
            cluster: Reference::to(&Address::new("eks.cluster", &["cluster-1"]), "endpoint").into(),
        }
    }

    /// There is nothing to read: it is what its record says.
    async fn read_many(&self, _: &Kube, ids: &[RemoteId]) -> Found<Spec, Outputs> {
        Ok(vec![None; ids.len()])
    }

    /// Looks once.
    async fn create(&self, kube: &Kube, spec: &Spec, _: &Ownership) -> Result<Created<Spec, Outputs>, ProviderError> {
        let place = Place::core(ObjectRef::core("Secret", Some(&spec.namespace), NAME), "secrets");
        let status = judge(object::get(kube, &place).await?.as_ref(), &spec.namespace);
        let live = Live { spec: spec.clone(), outputs: Outputs {}, status };
        Ok(Created { id: RemoteId::new(spec.namespace.clone()), live: Some(live) })
    }

    async fn find(&self, _: &Kube, spec: &Spec, _: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        Ok(Some(RemoteId::new(spec.namespace.clone())))
    }

    /// Nothing of it can change.
    async fn update(&self, _: &Kube, _: &RemoteId, _: &Spec, _: &Spec) -> Result<Updated, ProviderError> {
        Ok(Updated::Done)
    }

    async fn delete(&self, _: &Kube, _: &RemoteId) -> Result<Deletion, ProviderError> {
        Ok(Deletion::Accepted)
    }
}

/// Whether istiod can use what is there.
fn judge(secret: Option<&Json>, namespace: &str) -> Status {
    let Some(secret) = secret else {
        return Status::Pending(format!(
            "there is no Secret {namespace}/{NAME}: whoever provides the authority (`[ca] source = \"external\"`) has not \
             put it there"
        ));
    };
    if object::is_going(secret) {
        return Status::Pending(format!("the Secret {namespace}/{NAME} is being deleted"));
    }
    let missing = |keys: &[&str]| -> Vec<String> {
        let is_pem = |key: &str| decode(text_at(secret, &["data", key]).unwrap_or_default()).contains("-----BEGIN ");
        keys.iter().filter(|key| !is_pem(key)).map(|key| format!("`{key}`")).collect()
    };
    let is_tls = text_at(secret, &["type"]) == Some("kubernetes.io/tls");
    let lacks = missing(if is_tls { &TLS } else { &PLUG_IN });
    if lacks.is_empty() {
        return Status::Ready;
    }
    Status::Failed(format!(
        "the Secret {namespace}/{NAME} has no PEM text at {}: istiod cannot use it",
        lacks.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;
    use serde_json::json;

    use super::*;

    fn secret(kind: &str, keys: &[&str]) -> Json {
        let pem = BASE64.encode(b"-----BEGIN CERTIFICATE-----\n");
        let data: serde_json::Map<String, Json> = keys.iter().map(|key| ((*key).to_owned(), json!(pem))).collect();
        json!({ "metadata": {}, "type": kind, "data": data })
    }

    #[test]
    fn both_forms_are_taken_when_they_are_whole() {
        let of = |secret: Option<&Json>| judge(secret, "istio-system");
        assert_eq!(of(Some(&secret("Opaque", &PLUG_IN))), Status::Ready);
        assert_eq!(of(Some(&secret("kubernetes.io/tls", &TLS))), Status::Ready);
        assert!(matches!(of(None), Status::Pending(why) if why.contains("external")));
        let Status::Failed(why) = of(Some(&secret("Opaque", &PLUG_IN[..2]))) else { panic!() };
        assert_eq!(
            why,
            "the Secret istio-system/cacerts has no PEM text at `root-cert.pem`, `cert-chain.pem`: istiod cannot use it"
        );
        assert!(matches!(of(Some(&secret("Opaque", &TLS))), Status::Failed(_)));
        let mut empty = secret("Opaque", &PLUG_IN);
        empty["data"]["ca-key.pem"] = json!("");
        assert!(matches!(of(Some(&empty)), Status::Failed(why) if why.contains("`ca-key.pem`:")));
    }
}
