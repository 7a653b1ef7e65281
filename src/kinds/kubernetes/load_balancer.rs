//! `kubernetes.load_balancer`: the address that a cloud gives to a Service, and that somebody answers behind it.
//!
//! Where the cloud is AWS, the load balancer is asked whether it takes any target for healthy: minutes pass between the
//! first pod that is ready and that.
//!
//! The Service is somebody else's (a chart's); what is ours is that we wait for its address. So that such a wait is made,
//! found and forgotten like any other object, it is a mark on the Service: an annotation under a field manager of its
//! own, which an upgrade of the chart leaves alone. It is gone when the mark or the Service is.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::kinds::sdk::Services;
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Target, Value};
use crate::resource::{
    Api, Client, Cloud, ClusterAuth, Created, Deletion, ErrorClass, Expected, FieldError, Found, KindRules, Live,
    OutputRule, Ownership, ProviderError, RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

use super::call::{Call, ObjectRef, at, escape, incomplete, text_at};
use super::client::Kube;
use super::object::{self, Place};
use super::{targets, texts};

/// The field manager of the mark.
const MANAGER: &str = "meshplan-load-balancer";

/// The mark; its value is the token of the create that made it.
const MARK: &str = "meshplan/load-balancer";

/// The annotation that says behind which port of the targets one has to be healthy.
const TARGETS: &str = "meshplan/load-balancer-targets";

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
    /// The port at which a target has to be healthy; none where an address is all that is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<u16>,
}

/// What a load balancer yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its host name, or else its first IP address.
    pub address: String,
    /// All its addresses: host names and IP addresses, as the Service lists them.
    pub addresses: Vec<String>,
}

/// What a load balancer is watched with: the cluster's API, and AWS where the cluster is there.
#[derive(Clone)]
pub struct Watcher {
    kube: Kube,
    aws: Option<Services>,
}

impl Client for Watcher {
    fn connect(cloud: &Cloud, target: &Target) -> Result<Self, ProviderError> {
        let kube = cloud.client::<Kube>(target)?;
        let access = match target {
            Target::Cluster { cluster } => cloud.cluster(cluster),
            Target::Aws { .. } | Target::Local => None,
        };
        let aws = match access.map(|access| access.auth) {
            Some(ClusterAuth::Eks { region, .. }) => Some(cloud.client::<Services>(&Target::aws(&region))?),
            Some(ClusterAuth::Kubeconfig { .. }) | None => None,
        };
        Ok(Self { kube, aws })
    }
}

impl Watcher {
    /// The same, not ready before somebody answers behind it. Who may not ask is not kept from going on.
    async fn behind(&self, live: Live<Spec, Outputs>) -> Result<Live<Spec, Outputs>, ProviderError> {
        let (Some(aws), Some(port), Status::Ready) = (&self.aws, live.spec.targets, &live.status) else {
            return Ok(live);
        };
        // Other names are not those of AWS's load balancers.
        if !live.outputs.address.contains(".elb.") {
            return Ok(live);
        }
        match targets::health(aws, &live.outputs.address, port).await {
            Ok(status) => Ok(Live { status, ..live }),
            Err(error) if error.class == ErrorClass::Denied => Ok(live),
            Err(error) => Err(error),
        }
    }
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
        // An NLB's name is there seconds after its controller saw the Service; the NLB itself takes minutes, and so long
        // again until it takes its first target for healthy.
        Expected { create: 210.0, update: 1.0, delete: 0.1 }
    }

    fn api(&self) -> Api {
        Api::Kubernetes
    }

    fn reads_each(&self) -> u32 {
        1
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(500, 5_000, 1_200).suspecting_after(600)
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
    type Client = Watcher;

    fn example() -> Spec {
        Spec {
            namespace: "istio-system".to_owned(),
            service: "istio-eastwestgateway".to_owned(),
            targets: Some(15_443),
        }
    }

    async fn read_many(&self, client: &Watcher, ids: &[RemoteId]) -> Found<Spec, Outputs> {
        let read = |id| async move {
            let service = object::get(&client.kube, &place_of(id)?).await?;
            match service.filter(|service| mark(service).is_some()).as_ref().map(project) {
                Some(live) => client.behind(live).await.map(Some),
                None => Ok(None),
            }
        };
        stream::iter(ids).map(read).buffered(object::WIDTH).try_collect().await
    }

    async fn create(
        &self,
        client: &Watcher,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let place = place(spec);
        let Some(service) = object::get(&client.kube, &place).await? else {
            let message = format!("there is no Service {}/{}", spec.namespace, spec.service);
            return Err(ProviderError::new(ErrorClass::NotYet, "kubernetes:Create", message));
        };
        let marked = set_mark(&client.kube, &place, &service, Some((&owner.token, spec.targets))).await?;
        let live = client.behind(project(&marked)).await.ok();
        Ok(Created { id: place.object.id(), live })
    }

    async fn find(&self, client: &Watcher, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let place = place(spec);
        let service = object::get(&client.kube, &place).await?;
        Ok(service.filter(|service| mark(service) == Some(&owner.token)).map(|_| place.object.id()))
    }

    async fn update(&self, client: &Watcher, _: &RemoteId, _: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        let place = place(to);
        if let Some(service) = object::get(&client.kube, &place).await?
            && let Some(token) = mark(&service)
        {
            set_mark(&client.kube, &place, &service, Some((token, to.targets))).await?;
        }
        Ok(Updated::Done)
    }

    async fn diagnose(&self, client: &Watcher, id: &RemoteId) -> Result<Vec<String>, ProviderError> {
        let service = ObjectRef::parse(id)?;
        let namespace = service.namespace.as_deref().unwrap_or_default();
        let which = format!("involvedObject.kind=Service,involvedObject.name={},type=Warning", service.name);
        let path = format!("/api/v1/namespaces/{}/events?fieldSelector={}", escape(namespace), escape(&which));
        let events = client.kube.call(Call::get("kubernetes:ListEvents", path)).await?;
        let events = at(&events, &["items"]).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let said = events.iter().rev().filter_map(|event| {
            let (reason, message) = (text_at(event, &["reason"])?, text_at(event, &["message"])?);
            Some(format!("{reason}: {}", message.trim_end_matches('.')))
        });
        Ok(said.take(EVENTS).collect())
    }

    async fn delete(&self, client: &Watcher, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let place = place_of(id)?;
        if let Some(service) = object::get(&client.kube, &place).await?
            && mark(&service).is_some()
        {
            set_mark(&client.kube, &place, &service, None).await?;
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
async fn set_mark(
    kube: &Kube,
    place: &Place,
    service: &Json,
    mark: Option<(&str, Option<u16>)>,
) -> Result<Json, ProviderError> {
    let uid = text_at(service, &["metadata", "uid"]).ok_or_else(|| incomplete("kubernetes:Get", "uid"))?;
    let mut annotations = Map::new();
    if let Some((token, targets)) = mark {
        annotations.insert(MARK.to_owned(), token.into());
        annotations.extend(targets.map(|port| (TARGETS.to_owned(), port.to_string().into())));
    }
    let mark = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": place.object.namespace, "name": place.object.name, "uid": uid, "annotations": annotations
        },
    });
    object::apply(kube, place, &mark, MANAGER).await
}

fn project(service: &Json) -> Live<Spec, Outputs> {
    let text = |keys: &[&str]| text_at(service, keys).unwrap_or_default().to_owned();
    let spec = Spec {
        namespace: text(&["metadata", "namespace"]),
        service: text(&["metadata", "name"]),
        targets: text_at(service, &["metadata", "annotations", TARGETS]).and_then(|port| port.parse().ok()),
    };
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
