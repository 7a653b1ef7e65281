//! `istio.remote_secret`: what one cluster's control plane knows of another: a Secret with a kubeconfig in it.
//!
//! It is what `istioctl create-remote-secret` makes. A control plane that is told of a cluster anew drops what it knew and
//! reads everything again, so that nothing is written that says the same: kubeconfigs are compared by what they say.

use std::fmt;

use data_encoding::BASE64;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::kinds::kubernetes::Kube;
use crate::kinds::kubernetes::call::{ObjectRef, text_at};
use crate::kinds::kubernetes::object::WIDTH;
use crate::kinds::kubernetes::object::{self, Place};
use crate::kinds::kubernetes::ownership::MANAGER;
use crate::kinds::kubernetes::texts;
use crate::kinds::kubernetes::texts::decode;
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, Expected, FieldError, Found, KindRules, Live, OutputRule, Ownership, ProviderError,
    RemoteId, ResourceKind, Updated, WaitPolicy,
};

use super::kubeconfig::{self, Access};

/// How the names of these Secrets begin; the cluster's name follows.
const PREFIX: &str = "istio-remote-secret-";

/// The label by which istiod finds them.
const LABEL: &str = "istio/multiCluster";

/// The annotation that names the cluster.
const ANNOTATION: &str = "networking.istio.io/cluster";

/// The kind `istio.remote_secret`.
#[derive(Debug, Clone, Copy)]
pub struct RemoteSecret;

/// What is declared of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The namespace of the control plane that is told.
    pub namespace: String,
    /// The name of the cluster that it is told of: its Istio cluster name.
    pub cluster: String,
    /// The URL of that cluster's API server.
    pub endpoint: Input<String>,
    /// The certificates of that API server's authority, PEM text. No secret, but kept as one: a kilobyte that nobody
    /// reads, once for every pair of clusters.
    pub certificate_authority: Input<String>,
    /// The token that the cluster gave out.
    pub token: Input<String>,
}

/// The token stays out of what is printed.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec")
            .field("namespace", &self.namespace)
            .field("cluster", &self.cluster)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// What it yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// The Secret's name.
    pub name: String,
}

impl KindRules for RemoteSecret {
    fn name(&self) -> &'static str {
        "istio.remote_secret"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "namespace", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "cluster", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "certificate_authority", traits: &[FieldTrait::Sensitive] },
            FieldRule { path: "token", traits: &[FieldTrait::Sensitive] },
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
        let text = |key| spec.get(key)?.as_str();
        Some(object_of(text("namespace")?, text("cluster")?).id())
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        texts::check(spec, &["namespace", "cluster"])
    }
}

impl ResourceKind for RemoteSecret {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Kube;

    fn example() -> Spec {
        let token = Address::new("kubernetes.service_account_token", &["cluster-1", "istio-system", "istio-reader"]);
        Spec {
            namespace: "istio-system".to_owned(),
            cluster: "cluster-1".to_owned(),
            endpoint: Reference::to(&Address::new("eks.cluster", &["cluster-1"]), "endpoint").into(),
            certificate_authority: Reference::to(&token, "ca_crt").into(),
            token: Reference::to(&token, "token").into(),
        }
    }

    async fn read_many(&self, client: &Kube, ids: &[RemoteId]) -> Found<Spec, Outputs> {
        let read = |id| async move { Ok(object::get(client, &place_of(id)?).await?.as_ref().map(project)) };
        stream::iter(ids).map(read).buffered(WIDTH).try_collect().await
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

fn object_of(namespace: &str, cluster: &str) -> ObjectRef {
    ObjectRef::core("Secret", Some(namespace), &format!("{PREFIX}{cluster}"))
}

fn place(spec: &Spec) -> Place {
    Place::core(object_of(&spec.namespace, &spec.cluster), "secrets")
}

fn place_of(id: &RemoteId) -> Result<Place, ProviderError> {
    Ok(Place::core(ObjectRef::parse(id)?, "secrets"))
}

fn manifest(spec: &Spec) -> Result<Json, ProviderError> {
    let kubeconfig = kubeconfig::write(&Access {
        cluster: spec.cluster.clone(),
        server: spec.endpoint.known()?.clone(),
        certificate_authority: BASE64.encode(spec.certificate_authority.known()?.as_bytes()),
        token: spec.token.known()?.clone(),
    });
    let place = place(spec).object;
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "namespace": place.namespace,
            "name": place.name,
            "labels": { LABEL: "true" },
            "annotations": { ANNOTATION: spec.cluster },
        },
        "type": "Opaque",
        "data": { spec.cluster.as_str(): BASE64.encode(kubeconfig.as_bytes()) },
    }))
}

/// What the Secret says. Whoever wrote it: what says the same is not written again; and what it does not say, or says
/// where istiod does not look, is missing.
fn project(there: &Json) -> Live<Spec, Outputs> {
    let text = |keys: &[&str]| text_at(there, keys).unwrap_or_default().to_owned();
    let name = text(&["metadata", "name"]);
    let cluster = name.strip_prefix(PREFIX).unwrap_or_default().to_owned();
    let is_seen =
        text(&["metadata", "labels", LABEL]) == "true" && text(&["metadata", "annotations", ANNOTATION]) == cluster;
    let access = kubeconfig::read(&decode(&text(&["data", &cluster])))
        .filter(|access| is_seen && access.cluster == cluster)
        .unwrap_or_else(|| Access {
            cluster: cluster.clone(),
            server: String::new(),
            certificate_authority: String::new(),
            token: String::new(),
        });
    let spec = Spec {
        namespace: text(&["metadata", "namespace"]),
        cluster,
        endpoint: Input::Known(access.server),
        certificate_authority: Input::Known(decode(&access.certificate_authority)),
        token: Input::Known(access.token),
    };
    Live { spec, outputs: Outputs { name }, status: object::status(there) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec {
            namespace: "istio-system-test".to_owned(),
            cluster: "cluster-foo".to_owned(),
            endpoint: "server".into(),
            certificate_authority: "caData".into(),
            token: "token".into(),
        }
    }

    #[test]
    fn the_secret_is_the_one_of_istioctl() {
        let secret = manifest(&spec()).unwrap();
        let kubeconfig = decode(secret["data"]["cluster-foo"].as_str().unwrap());
        assert!(kubeconfig.contains("certificate-authority-data: Y2FEYXRh\n    server: server\n"), "{kubeconfig}");
        assert_eq!(
            secret["metadata"],
            json!({
                "annotations": { "networking.istio.io/cluster": "cluster-foo" },
                "labels": { "istio/multiCluster": "true" },
                "name": "istio-remote-secret-cluster-foo",
                "namespace": "istio-system-test",
            })
        );
        assert_eq!(secret, manifest(&spec()).unwrap(), "the same bytes each time");
    }

    #[test]
    fn what_says_the_same_is_the_same() {
        let mut secret = manifest(&spec()).unwrap();
        assert!(project(&secret).spec == spec());
        let text = decode(secret["data"]["cluster-foo"].as_str().unwrap());
        let mut put = |text: &str| {
            secret["data"]["cluster-foo"] = json!(BASE64.encode(text.as_bytes()));
            project(&secret).spec
        };
        assert!(put(&text.replace("kind: Config\n", "kind: Config\npreferences: {}\n")) == spec());
        assert!(put(&text.replace("token: token", "token: other")) != spec());
        assert!(put("nothing").endpoint == "".into());
        put(&text);
        secret["metadata"]["labels"] = json!({});
        assert!(project(&secret).spec != spec(), "istiod does not see it");
    }

    #[test]
    fn the_token_is_not_printed() {
        let spec = Spec { token: "hunter2".into(), ..spec() };
        assert!(!format!("{spec:?}").contains("hunter2"));
    }
}
