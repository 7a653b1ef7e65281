//! `istio.injector`: that a cluster's control plane puts sidecars into new pods.
//!
//! A gateway's pods made before that have no image, and those of a workload no sidecar. So three things are asked until
//! they are true: istiod has put its certificate into the webhook, a pod of it is ready, and a pod that is made for
//! nothing but a look (`dryRun`) gets a sidecar, by which the API server proves that it reaches istiod.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use http::Method;

use crate::kinds::kubernetes::Kube;
use crate::kinds::kubernetes::call::{Call, ObjectRef, at, text_at};
use crate::kinds::kubernetes::object::{self, Place};
use crate::model::diff::{FieldChange, FieldRule, FieldTrait};
use crate::model::{Address, AttrPath, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, Found, KindRules, Live, OutputRule, Ownership,
    Possession, ProviderError, RemoteId, ResourceKind, Status, UpdateId, Updated, WaitPolicy,
};

const ASK: &str = "kubernetes:DryRun";

/// The webhook that puts sidecars into pods.
const WEBHOOK: &str = "istio-sidecar-injector";

/// The Service of the control plane.
const SERVICE: &str = "istiod";

/// The sidecar's container.
const SIDECAR: &str = "istio-proxy";

/// The kind `istio.injector`.
#[derive(Debug, Clone, Copy)]
pub struct Injector;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The namespace of the control plane.
    pub namespace: String,
    /// The Istio release of the control plane: of another one it is asked again.
    pub version: String,
    /// The URL of the cluster's API server: of another cluster it is asked anew.
    pub cluster: Input<String>,
}

/// An answer yields nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {}

impl KindRules for Injector {
    fn name(&self) -> &'static str {
        "istio.injector"
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
        Expected { create: 2.0, update: 2.0, delete: 0.0 }
    }

    fn api(&self) -> Api {
        Api::Kubernetes
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(200, 1_000, 600)
    }

    fn possession(&self) -> Possession {
        Possession::Recorded
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        match spec.get("version").and_then(Value::as_str) {
            Some(version) if minor(version).is_none() => {
                vec![FieldError { path: AttrPath::keys(&["version"]), message: "is no Istio release".to_owned() }]
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// Istio supports an upgrade by one minor release, and a step back by one.
    fn refuses(&self, there: &Value, declared: &Value) -> Vec<FieldError> {
        let version = |spec: &Value| spec.get("version").and_then(Value::as_str).and_then(minor);
        let (Some(from), Some(to)) = (version(there), version(declared)) else { return Vec::new() };
        if from.abs_diff(to) <= 1 {
            return Vec::new();
        }
        let next = if to > from { from + 1 } else { from - 1 };
        let message =
            format!("Istio 1.{from} does not become 1.{to} in one step: apply a release of 1.{next} first, then go on");
        vec![FieldError { path: AttrPath::keys(&["version"]), message }]
    }

    fn remarks(&self, fields: &[FieldChange]) -> Vec<String> {
        if !fields.iter().any(|field| field.path.to_string() == "version") {
            return Vec::new();
        }
        vec![
            "gateways restart with their releases; workloads keep their sidecars until their pods are restarted \
             (`kubectl rollout restart`), which is to be done before the next upgrade"
                .to_owned(),
        ]
    }
}

impl ResourceKind for Injector {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Kube;

    fn example() -> Spec {
        Spec {
            namespace: "istio-system".to_owned(),
            version: "1.31.0".to_owned(),
            cluster: Reference::to(&Address::new("eks.cluster", &["cluster-1"]), "endpoint").into(),
        }
    }

    /// There is nothing to read: it is what its record says.
    async fn read_many(&self, _: &Kube, ids: &[RemoteId]) -> Found<Spec, Outputs> {
        Ok(vec![None; ids.len()])
    }

    /// Asks once.
    async fn create(&self, kube: &Kube, spec: &Spec, _: &Ownership) -> Result<Created<Spec, Outputs>, ProviderError> {
        let status = ask(kube, &spec.namespace).await?;
        let live = Live { spec: spec.clone(), outputs: Outputs {}, status };
        Ok(Created { id: RemoteId::new(spec.namespace.clone()), live: Some(live) })
    }

    async fn find(&self, _: &Kube, spec: &Spec, _: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        Ok(Some(RemoteId::new(spec.namespace.clone())))
    }

    async fn update(&self, _: &Kube, _: &RemoteId, _: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        Ok(Updated::Underway(UpdateId::new(to.version.clone())))
    }

    async fn follow(&self, kube: &Kube, id: &RemoteId, _: &UpdateId) -> Result<Status, ProviderError> {
        ask(kube, id.as_str()).await
    }

    async fn delete(&self, _: &Kube, _: &RemoteId) -> Result<Deletion, ProviderError> {
        Ok(Deletion::Accepted)
    }
}

/// The minor number of a release of Istio 1.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("1.")?.split('.').next()?.parse().ok()
}

/// Asks the three questions, in the order in which they come true.
async fn ask(kube: &Kube, namespace: &str) -> Result<Status, ProviderError> {
    let pending = |what: &str| Ok(Status::Pending(what.to_owned()));
    let webhook = ObjectRef {
        group: "admissionregistration.k8s.io".to_owned(),
        kind: "MutatingWebhookConfiguration".to_owned(),
        namespace: None,
        name: WEBHOOK.to_owned(),
    };
    let place = Place { object: webhook, version: "v1".to_owned(), plural: "mutatingwebhookconfigurations".to_owned() };
    let Some(webhook) = object::get(kube, &place).await? else {
        return pending("there is no webhook that puts sidecars into pods");
    };
    if !has_certificate(&webhook) {
        return pending("istiod has not put its certificate into the webhook that puts sidecars into pods");
    }
    let path = format!(
        "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{SERVICE}"
    );
    let slices = kube.call(Call::get("kubernetes:List", path)).await?;
    if !is_served(&slices) {
        return pending("no pod of istiod is ready");
    }
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldManager=meshplan");
    let call = Call::with_body(ASK, Method::POST, path, "application/json", &probe(namespace))?;
    match kube.call(call).await {
        Ok(pod) if has_sidecar(&pod) => Ok(Status::Ready),
        Ok(_) => pending("a pod gets no sidecar"),
        Err(error) => refused(error),
    }
}

/// What it means that the pod was refused: it may pass, and until it does the server's words say why.
fn refused(error: ProviderError) -> Result<Status, ProviderError> {
    match error.class {
        // The request did not get anywhere, or asks to be repeated.
        ErrorClass::Throttled | ErrorClass::Transient | ErrorClass::Ambiguous | ErrorClass::Bug => Err(error),
        ErrorClass::NotYet
        | ErrorClass::Busy
        | ErrorClass::InUse
        | ErrorClass::Denied
        | ErrorClass::Invalid
        | ErrorClass::Quota
        | ErrorClass::Conflict => {
            let mut what = format!("a pod is refused: {}", error.message);
            let is_cut_off = ["timeout", "deadline exceeded", "no route", "connection refused"]
                .iter()
                .any(|sign| error.message.contains(sign));
            if error.message.contains("failed calling webhook") && is_cut_off {
                what.push_str("; does the nodes' security group let the control plane in at port 15017?");
            }
            Ok(Status::Pending(what))
        }
    }
}

/// Whether every webhook that istiod serves has its certificate.
fn has_certificate(webhook: &Json) -> bool {
    let webhooks = webhook.get("webhooks").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_there =
        |webhook: &Json| text_at(webhook, &["clientConfig", "caBundle"]).is_some_and(|text| !text.is_empty());
    !webhooks.is_empty() && webhooks.iter().all(is_there)
}

/// Whether an endpoint of the slices takes connections.
fn is_served(slices: &Json) -> bool {
    let list = |value: &Json, key: &str| value.get(key).and_then(Json::as_array).cloned().unwrap_or_default();
    list(slices, "items").iter().flat_map(|slice| list(slice, "endpoints")).any(|endpoint| {
        // Not said means yes.
        at(&endpoint, &["conditions", "ready"]).and_then(Json::as_bool).unwrap_or(true)
    })
}

/// Whether the sidecar is among a pod's containers: of those that start first, where sidecars are native.
fn has_sidecar(pod: &Json) -> bool {
    ["initContainers", "containers"].iter().any(|list| {
        let containers = at(pod, &["spec", list]).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        containers.iter().any(|container| text_at(container, &["name"]) == Some(SIDECAR))
    })
}

/// A pod that is never made: as the strictest of Kubernetes' own pod standards has it.
fn probe(namespace: &str) -> Json {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": namespace,
            "generateName": "meshplan-probe-",
            "labels": { "sidecar.istio.io/inject": "true" },
        },
        "spec": {
            "restartPolicy": "Never",
            "securityContext": { "runAsNonRoot": true, "runAsUser": 65_534, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "probe",
                "image": "registry.k8s.io/pause:3.10",
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
            }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_ready_with_a_certificate_in_each_of_its_parts() {
        let part =
            |bundle: Option<&str>| json!({ "clientConfig": { "service": { "name": "istiod" }, "caBundle": bundle } });
        assert!(has_certificate(&json!({ "webhooks": [part(Some("LS0t")), part(Some("LS0t"))] })));
        for bundle in [None, Some("")] {
            assert!(!has_certificate(&json!({ "webhooks": [part(Some("LS0t")), part(bundle)] })));
        }
        assert!(!has_certificate(&json!({})));
    }

    #[test]
    fn an_endpoint_takes_connections_unless_it_says_otherwise() {
        let slices = |conditions: Json| json!({ "items": [{ "endpoints": [{ "conditions": conditions }] }] });
        assert!(is_served(&slices(json!({ "ready": true }))) && is_served(&slices(json!({}))));
        assert!(
            !is_served(&slices(json!({ "ready": false }))) && !is_served(&json!({ "items": [{ "endpoints": null }] }))
        );
    }

    #[test]
    fn a_sidecar_is_one_wherever_it_starts() {
        for list in ["initContainers", "containers"] {
            assert!(has_sidecar(&json!({ "spec": { list: [{ "name": "probe" }, { "name": "istio-proxy" }] } })));
        }
        assert!(!has_sidecar(&probe("istio-system")));
    }

    #[test]
    fn a_refusal_is_waited_out_and_says_what_to_look_at() {
        let error = |class, message: &str| ProviderError::new(class, ASK, message);
        let webhook = "failed calling webhook \"object.sidecar-injector.istio.io\": context deadline exceeded";
        let Ok(Status::Pending(what)) = refused(error(ErrorClass::NotYet, webhook)) else { panic!() };
        assert!(what.contains(webhook) && what.ends_with("port 15017?"), "{what}");
        let Ok(Status::Pending(what)) = refused(error(ErrorClass::Denied, "denied by policy")) else { panic!() };
        assert_eq!(what, "a pod is refused: denied by policy");
        assert!(refused(error(ErrorClass::Throttled, "slow down")).is_err());
    }

    #[test]
    fn istio_moves_one_minor_release_at_a_time() {
        let spec = |version: &str| Value::Object([("version".to_owned(), version.into())].into());
        let refused = |from: &str, to: &str| Injector.refuses(&spec(from), &spec(to)).pop().map(|found| found.message);
        assert_eq!(refused("1.30.4", "1.31.0"), None);
        assert_eq!(refused("1.31.0", "1.30.4"), None);
        let message = refused("1.29.7", "1.31.0").unwrap();
        assert!(message.contains("apply a release of 1.30 first"), "{message}");
        assert_eq!(Injector.check(&spec("latest")).len(), 1);
    }

    #[test]
    fn an_upgrade_says_what_it_does_not_restart() {
        use crate::model::diff::{ThreeWay, diff};
        let spec = |version: &str| Value::Object([("version".to_owned(), version.into())].into());
        let (from, to) = (spec("1.30.4"), spec("1.31.0"));
        let documents = ThreeWay { desired: &to, prior: Some(&from), observed: &from };
        let remarks = Injector.remarks(&diff(documents, Injector.fields(), "salt"));
        assert!(remarks[0].contains("kubectl rollout restart"), "{remarks:?}");
        assert_eq!(Injector.remarks(&[]), Vec::<String>::new());
    }
}
