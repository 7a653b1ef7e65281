//! `kubernetes.load_balancer`: the address that a cloud gives to a Service.
//!
//! The Service is somebody else's (a chart's); what is ours is that we wait for its address. So that such a wait is made,
//! found and forgotten like any other object, it is a mark on the Service: an annotation under a field manager of its
//! own, which an upgrade of the chart leaves alone. It is gone when the mark or the Service is.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::model::Value;
use crate::model::diff::{FieldRule, FieldTrait};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, Found, KindRules, Live, OutputRule, Ownership,
    ProviderError, RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

use super::call::{Call, ObjectRef, at, escape, incomplete, text_at};
use super::client::Kube;
use super::object::{self, Place};
use super::texts;

/// The field manager of the mark.
const MANAGER: &str = "meshplan-load-balancer";

/// The mark; its value is the token of the create that made it.
const MARK: &str = "meshplan/load-balancer";

/// How many events a diagnosis names.
const EVENTS: usize = 3;

/// The kind `kubernetes.load_balancer`.
#[derive(Debug, Clone, Copy)]
pub struct LoadBalancer;

/// What is declared of a wait for an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub service: String,
}

/// What a load balancer yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its host name, or else its first IP address.
    pub address: String,
    /// All its addresses: host names and IP addresses, as the Service lists them.
    pub addresses: Vec<String>,
}

impl KindRules for LoadBalancer {
    fn name(&self) -> &'static str {
        "kubernetes.load_balancer"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "namespace", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "service", traits: &[FieldTrait::Immutable] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("address"), OutputRule::plain("addresses")] }
    }

    fn expected(&self) -> Expected {
        // An NLB's name is there seconds after its controller saw the Service; the NLB itself takes minutes.
        Expected { create: 15.0, update: 0.1, delete: 0.1 }
    }

    fn api(&self) -> Api {
        Api::Kubernetes
    }

    fn reads_each(&self) -> u32 {
        1
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(200, 1_000, 600).suspecting_after(120)
    }

    fn known_id(&self, spec: &Value) -> Option<RemoteId> {
        Some(ObjectRef::core("Service", Some(spec.get("namespace")?.as_str()?), spec.get("service")?.as_str()?).id())
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        texts::check(spec, &["namespace", "service"])
    }
}

impl ResourceKind for LoadBalancer {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Kube;

    fn example() -> Spec {
        Spec { namespace: "istio-system".to_owned(), service: "istio-eastwestgateway".to_owned() }
    }

    async fn read_many(&self, client: &Kube, ids: &[RemoteId]) -> Found<Spec, Outputs> {
        let read = |id| async move {
            let service = object::get(client, &place_of(id)?).await?;
            Ok(service.filter(|service| mark(service).is_some()).as_ref().map(project))
        };
        stream::iter(ids).map(read).buffered(object::WIDTH).try_collect().await
    }

    async fn create(
        &self,
        client: &Kube,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let place = place(spec);
        let Some(service) = object::get(client, &place).await? else {
            let message = format!("there is no Service {}/{}", spec.namespace, spec.service);
            return Err(ProviderError::new(ErrorClass::NotYet, "kubernetes:Create", message));
        };
        let marked = set_mark(client, &place, &service, Some(&owner.token)).await?;
        Ok(Created { id: place.object.id(), live: Some(project(&marked)) })
    }

    async fn find(&self, client: &Kube, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let place = place(spec);
        let service = object::get(client, &place).await?;
        Ok(service.filter(|service| mark(service) == Some(&owner.token)).map(|_| place.object.id()))
    }

    async fn update(&self, _: &Kube, _: &RemoteId, _: &Spec, _: &Spec) -> Result<Updated, ProviderError> {
        Err(ProviderError::bug("kubernetes:Apply", "all that a load balancer's declaration says is immutable"))
    }

    async fn diagnose(&self, client: &Kube, id: &RemoteId) -> Result<Vec<String>, ProviderError> {
        let service = ObjectRef::parse(id)?;
        let namespace = service.namespace.as_deref().unwrap_or_default();
        let which = format!("involvedObject.kind=Service,involvedObject.name={},type=Warning", service.name);
        let path = format!("/api/v1/namespaces/{}/events?fieldSelector={}", escape(namespace), escape(&which));
        let events = client.call(Call::get("kubernetes:ListEvents", path)).await?;
        let events = at(&events, &["items"]).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let said = events.iter().rev().filter_map(|event| {
            let (reason, message) = (text_at(event, &["reason"])?, text_at(event, &["message"])?);
            Some(format!("{reason}: {}", message.trim_end_matches('.')))
        });
        Ok(said.take(EVENTS).collect())
    }

    async fn delete(&self, client: &Kube, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let place = place_of(id)?;
        if let Some(service) = object::get(client, &place).await?
            && mark(&service).is_some()
        {
            set_mark(client, &place, &service, None).await?;
        }
        Ok(Deletion::Accepted)
    }
}

fn place(spec: &Spec) -> Place {
    Place::core(ObjectRef::core("Service", Some(&spec.namespace), &spec.service), "services")
}

fn place_of(id: &RemoteId) -> Result<Place, ProviderError> {
    Ok(Place::core(ObjectRef::parse(id)?, "services"))
}

fn mark(service: &Json) -> Option<&str> {
    text_at(service, &["metadata", "annotations", MARK])
}

/// Sets the mark or takes it away. The Service's uid keeps the apply from making a Service that was deleted meanwhile.
async fn set_mark(client: &Kube, place: &Place, service: &Json, token: Option<&str>) -> Result<Json, ProviderError> {
    let uid = text_at(service, &["metadata", "uid"]).ok_or_else(|| incomplete("kubernetes:Get", "uid"))?;
    let annotations: Map<String, Json> = token.map(|token| (MARK.to_owned(), token.into())).into_iter().collect();
    let mark = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": place.object.namespace, "name": place.object.name, "uid": uid, "annotations": annotations
        },
    });
    object::apply(client, place, &mark, MANAGER).await
}

fn project(service: &Json) -> Live<Spec, Outputs> {
    let text = |keys: &[&str]| text_at(service, keys).unwrap_or_default().to_owned();
    let spec = Spec { namespace: text(&["metadata", "namespace"]), service: text(&["metadata", "name"]) };
    let ingress = at(service, &["status", "loadBalancer", "ingress"]).and_then(Json::as_array).map(Vec::as_slice);
    let addresses: Vec<String> = ingress
        .unwrap_or_default()
        .iter()
        .filter_map(|entry| text_at(entry, &["hostname"]).or_else(|| text_at(entry, &["ip"])))
        .map(str::to_owned)
        .collect();
    let status = match (object::status(service), text_at(service, &["spec", "type"])) {
        (Status::Ready, Some("LoadBalancer")) if addresses.is_empty() => {
            Status::Pending("the Service has no address yet".to_owned())
        }
        (Status::Ready, Some("LoadBalancer")) => Status::Ready,
        (Status::Ready, other) => {
            let other = other.unwrap_or("none");
            Status::Failed(format!("the Service's type is {other}, not LoadBalancer: it never gets an address"))
        }
        (status, _) => status,
    };
    let address = addresses.first().cloned().unwrap_or_default();
    Live { spec, outputs: Outputs { address, addresses }, status }
}
