//! The Service of a gateway: ours and not its chart's, so that its load balancer begins before there are pods.

use serde_json::{Map, Value as Json, json};

use super::{ISTIO_SYSTEM, Inside, address};
use crate::kinds::kubernetes::load_balancer;
use crate::model::{Address, Input};
use crate::topology::ExistingCluster;
use crate::topology::merge;
use crate::topology::schema::{IpAddressType, NodeMode, Release, Scheme};

/// The name of the gateway between networks.
pub(super) const EAST_WEST: &str = Release::IstioEastwestgateway.as_str();

/// The port at which a gateway says that it is ready.
pub(super) const STATUS_PORT: u16 = 15021;

/// The beginning of the annotations by which AWS's controllers are told of a load balancer.
const ANNOTATION: &str = "service.beta.kubernetes.io/aws-load-balancer";

/// Who makes load balancers for a cluster's Services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Platform {
    /// The AWS Load Balancer Controller.
    Controller,
    /// EKS Auto Mode.
    AutoMode,
    /// Whatever is there: nothing is known of it.
    Other,
}

/// A port of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) port: u16,
}

impl Port {
    pub(super) fn new(name: &str, port: u16) -> Self {
        Self { name: name.to_owned(), port }
    }
}

/// What the Service of a gateway is like.
pub(super) struct Front {
    pub(super) which: Release,
    pub(super) labels: Map<String, Json>,
    pub(super) ports: Vec<Port>,
    pub(super) scheme: Scheme,
    /// Who may connect; nobody in particular when it is empty.
    pub(super) sources: Vec<Input<String>>,
    /// The load balancer's name, if it was given one.
    pub(super) name: Option<String>,
}

impl Inside<'_> {
    /// Declares the Service of a gateway.
    pub(super) fn service(
        &mut self,
        front: &Front,
        namespace: &Address,
        controller: Option<&Address>,
        notes: &[String],
    ) -> Address {
        let manifest = self.service_manifest(front);
        let ground = self.ground;
        // What sweeps up load balancers comes first, so that in the end the Service goes before it.
        let after: Vec<&Address> = [Some(namespace), controller, ground.sweep.as_ref()].into_iter().flatten().collect();
        let (address, declared) = self.object(&manifest, &after);
        declared.notes(notes);
        address
    }

    /// Declares the wait for the load balancer of a gateway's Service, and for somebody who answers behind it at the port.
    pub(super) fn load_balancer(&mut self, which: Release, port: Option<u16>, after: &[&Address]) {
        let service = which.as_str().to_owned();
        let address = self.address("kubernetes.load_balancer", &[ISTIO_SYSTEM, &service]);
        let spec = load_balancer::Spec { namespace: ISTIO_SYSTEM.to_owned(), service, targets: port };
        self.declare(&address, &spec, after);
    }

    fn platform(&self) -> Platform {
        match &self.cluster.existing {
            Some(ExistingCluster::Kubeconfig { .. }) => Platform::Other,
            Some(ExistingCluster::Eks { .. }) => Platform::Controller,
            None if self.cluster.nodes.mode == NodeMode::Auto => Platform::AutoMode,
            None => Platform::Controller,
        }
    }

    /// Whether something is known of who makes the load balancers, so that they can be told who may connect.
    pub(super) fn is_on_aws(&self) -> bool {
        self.platform() != Platform::Other
    }

    fn service_manifest(&self, front: &Front) -> Json {
        let name = front.which.as_str();
        let selector = json!({ "app": name, "istio": name.trim_start_matches("istio-") });
        let mut labels = front.labels.clone();
        labels.extend(selector.as_object().cloned().unwrap_or_default());
        let mut annotations = self.annotations(front);
        let mut spec = json!({
            "type": "LoadBalancer",
            "selector": selector,
            "ports": front.ports.iter().map(port).collect::<Vec<_>>(),
        });
        if let Some(class) = match self.platform() {
            Platform::Controller => Some("service.k8s.aws/nlb"),
            Platform::AutoMode => Some("eks.amazonaws.com/nlb"),
            Platform::Other => None,
        } {
            spec["loadBalancerClass"] = json!(class);
        }
        if !front.sources.is_empty() {
            spec["loadBalancerSourceRanges"] = json!(front.sources);
        }
        if let Some(spec) = spec.as_object_mut() {
            self.given(front.which, spec, &mut annotations);
        }
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": name, "namespace": ISTIO_SYSTEM, "labels": labels, "annotations": annotations },
            "spec": spec,
        })
    }

    /// What the user gave for the chart's Service holds for ours.
    fn given(&self, which: Release, spec: &mut Map<String, Json>, annotations: &mut Map<String, Json>) {
        let Some(values) = self.cluster.helm.get(&which) else { return };
        if let Some(ports) = values.get("networkGatewayPorts").and_then(Json::as_object)
            && let Some(ours) = spec.get_mut("ports").and_then(Json::as_array_mut)
        {
            for port in ours {
                let given = port.get("name").and_then(Json::as_str).and_then(|name| ports.get(name)?.as_object());
                if let (Some(given), Some(port)) = (given.cloned(), port.as_object_mut()) {
                    port.extend(given);
                }
            }
        }
        let mut service = values.get("service").and_then(Json::as_object).cloned().unwrap_or_default();
        if let Some(given) = service.remove("annotations").as_ref().and_then(Json::as_object) {
            merge(annotations, given);
        }
        // The chart adds these to the labels of its pods.
        if let Some(labels) = service.remove("selectorLabels") {
            service.insert("selector".to_owned(), labels);
        }
        merge(spec, &service);
    }

    fn annotations(&self, front: &Front) -> Map<String, Json> {
        let platform = self.platform();
        if platform == Platform::Other {
            return Map::new();
        }
        let scheme = match front.scheme {
            Scheme::InternetFacing => "internet-facing",
            Scheme::Internal => "internal",
        };
        let families = match self.cluster.gateway {
            IpAddressType::Ipv4 => "ipv4",
            IpAddressType::Dualstack => "dualstack",
        };
        let mut annotations = Map::new();
        let mut add =
            |name: &str, value: String| annotations.insert(format!("{ANNOTATION}-{name}"), Json::String(value));
        if platform == Platform::Controller {
            add("type", "external".to_owned());
        }
        // Pods have addresses of their own in the VPC, and IPv6 ones are reached no other way.
        add("nlb-target-type", "ip".to_owned());
        add("scheme", scheme.to_owned());
        add("ip-address-type", families.to_owned());
        add("attributes", "load_balancing.cross_zone.enabled=true".to_owned());
        // The port of traffic answers only once the gateway is told what to do with it.
        add("healthcheck-protocol", "http".to_owned());
        add("healthcheck-port", STATUS_PORT.to_string());
        add("healthcheck-path", "/healthz/ready".to_owned());
        if let Some(name) = &front.name {
            add("name", name.clone());
        }
        // Auto Mode's role may write tags only where there are tags of the user's, which its policy is made for.
        if platform == Platform::Controller || !self.mesh.topology.tags.is_empty() {
            add("additional-resource-tags", self.tags(front.which));
        }
        annotations
    }

    /// Whose it is, and the user's tags, as the controllers take them: a list with commas.
    fn tags(&self, which: Release) -> String {
        let topology = self.mesh.topology;
        let address = self.address("kubernetes.load_balancer", &[ISTIO_SYSTEM, which.as_str()]);
        let ours = [("meshplan:mesh", topology.mesh.id.as_str()), ("meshplan:address", address.as_str())];
        let theirs = topology.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let fits = |text: &str| !text.contains([',', '=']);
        let tags = theirs.filter(|(key, value)| fits(key) && fits(value)).chain(ours);
        tags.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    }
}

/// The Service of a cluster's gateway.
pub(super) fn address_of_service(cluster: &str, gateway: &str) -> Address {
    address("kubernetes.manifest", cluster, &[ISTIO_SYSTEM, "service", gateway])
}

fn port(port: &Port) -> Json {
    json!({ "name": port.name, "port": port.port, "targetPort": port.port, "protocol": "TCP" })
}
