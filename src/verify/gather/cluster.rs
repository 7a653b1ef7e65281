//! What the API server of a cluster says: pods, gateways, injector, and what the other files of this folder add.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Looker, label, list_at, text};
use crate::kinds::kubernetes::Kube;
use crate::verify::facts::{ClusterFacts, Gateway, Injector, Pod, SampleFacts, Seen};

const SYSTEM: &str = "istio-system";
const NETWORK: &str = "topology.istio.io/network";
const GATEWAY: &str = "istio-eastwestgateway";
const PORT: u64 = 15443;

/// How many warnings are kept.
const WARNINGS: usize = 3;

impl Looker<'_> {
    /// Looks at one cluster: first at what everything else needs, then at the rest side by side.
    pub(super) async fn cluster(self, kube: &Kube) -> Seen<ClusterFacts> {
        let system = format!("/api/v1/namespaces/{SYSTEM}");
        let namespace = self.object(kube, &system).await?;
        let system_pods = self.list(kube, &format!("{system}/pods")).await?;
        let services = self.gateway_services(kube).await?;
        let gateway_pods = self.gateway_pods(kube, &services, &system_pods).await?;
        let warnings = self.warnings(kube).await;
        let (istiods, remote_secrets, reader, api, listeners, injector, trust, sample, gateways) = tokio::join!(
            self.istiods(kube, &system_pods),
            self.remote_secrets(kube),
            self.reader(kube),
            self.api(),
            self.listeners(kube, &gateway_pods),
            self.injector(kube, &warnings),
            self.trust(kube),
            self.sample(kube),
            self.gateways(&services, &warnings),
        );
        Ok(ClusterFacts {
            istiods,
            network_label: namespace.as_ref().and_then(|namespace| label(namespace, NETWORK)).map(str::to_owned),
            remote_secrets: remote_secrets?,
            reader: reader?,
            api,
            gateways,
            gateway_pods: gateway_pods.iter().map(pod).collect(),
            listeners: listeners?,
            injector: injector?,
            trust: trust?,
            sample: sample?,
        })
    }

    /// The Services that are labelled as gateways, and the one that should be.
    async fn gateway_services(self, kube: &Kube) -> Seen<Vec<Json>> {
        let labelled = "/api/v1/services?labelSelector=topology.istio.io%2Fnetwork";
        let mut services = self.list(kube, labelled).await?;
        let is_ours = |service: &Json| text(service, "/metadata/name") == GATEWAY;
        if !services.iter().any(is_ours) {
            let path = format!("/api/v1/namespaces/{SYSTEM}/services/{GATEWAY}");
            services.extend(self.object(kube, &path).await?);
        }
        Ok(services)
    }

    /// The pods behind them.
    async fn gateway_pods(self, kube: &Kube, services: &[Json], system_pods: &[Json]) -> Seen<Vec<Json>> {
        let mut pods: Vec<Json> = Vec::new();
        for service in services {
            let namespace = text(service, "/metadata/namespace");
            let elsewhere;
            let all = if namespace == SYSTEM {
                system_pods
            } else {
                elsewhere = self.list(kube, &format!("/api/v1/namespaces/{namespace}/pods")).await?;
                &elsewhere
            };
            let selector = service.pointer("/spec/selector");
            pods.extend(all.iter().filter(|pod| selects(selector, pod) && !is_going(pod)).cloned());
        }
        if services.is_empty() {
            let is_gateway = |pod: &&Json| label(pod, "istio") == Some("eastwestgateway") && !is_going(pod);
            pods.extend(system_pods.iter().filter(is_gateway).cloned());
        }
        Ok(pods)
    }

    async fn gateways(self, services: &[Json], warnings: &[Json]) -> Vec<Gateway> {
        let mut gateways = Vec::new();
        for service in services {
            let (namespace, name) = (text(service, "/metadata/namespace"), text(service, "/metadata/name"));
            let ingress = list_at(service, "/status/loadBalancer/ingress").first();
            let address = ingress.map(|entry| (text(entry, "/hostname"), text(entry, "/ip")));
            let address = address.map(|(hostname, ip)| if hostname.is_empty() { ip } else { hostname });
            let address = address.filter(|address| !address.is_empty()).map(str::to_owned);
            let about = |event: &&Json| {
                text(event, "/involvedObject/kind") == "Service" && text(event, "/involvedObject/name") == name
            };
            let said = |event: &Json| format!("{}: {}", text(event, "/reason"), text(event, "/message"));
            let balancer = match &address {
                Some(host) if host.parse::<std::net::IpAddr>().is_err() => self.balancer(host).await,
                Some(_) | None => None,
            };
            gateways.push(Gateway {
                name: format!("{namespace}/{name}"),
                network: label(service, NETWORK).map(str::to_owned),
                ports: list_at(service, "/spec/ports").iter().filter_map(port).collect(),
                kind: text(service, "/spec/type").to_owned(),
                address,
                warnings: warnings.iter().rev().filter(about).take(WARNINGS).map(said).collect(),
                balancer,
            });
        }
        gateways
    }

    /// The Gateway objects that make the gateways' proxies listen.
    async fn listeners(self, kube: &Kube, pods: &[Json]) -> Seen<Vec<String>> {
        let gateways = self.list(kube, "/apis/networking.istio.io/v1/gateways").await?;
        let opens = |gateway: &&Json| {
            let serves = list_at(gateway, "/spec/servers").iter().any(|server| {
                server.pointer("/port/number").and_then(Json::as_u64) == Some(PORT)
                    && text(server, "/tls/mode") == "AUTO_PASSTHROUGH"
            });
            let selector = gateway.pointer("/spec/selector");
            serves && (pods.is_empty() || pods.iter().any(|pod| selects(selector, pod)))
        };
        let name =
            |gateway: &Json| format!("{}/{}", text(gateway, "/metadata/namespace"), text(gateway, "/metadata/name"));
        Ok(gateways.iter().filter(opens).map(name).collect())
    }

    async fn injector(self, kube: &Kube, warnings: &[Json]) -> Seen<Injector> {
        let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-sidecar-injector";
        let webhook = self.object(kube, path).await?;
        let has_ca = webhook.as_ref().is_some_and(|webhook| {
            let webhooks = list_at(webhook, "/webhooks");
            !webhooks.is_empty() && webhooks.iter().all(|one| !text(one, "/clientConfig/caBundle").is_empty())
        });
        let failures = warnings.iter().rev().map(|event| text(event, "/message"));
        let failures = failures.filter(|said| said.contains("failed calling webhook") && said.contains("injector"));
        Ok(Injector {
            configured: webhook.is_some(),
            has_ca,
            failures: failures.take(WARNINGS).map(str::to_owned).collect(),
        })
    }

    /// What was warned of lately. That it cannot be read hides reasons, and nothing else.
    async fn warnings(self, kube: &Kube) -> Vec<Json> {
        let mut warnings = Vec::new();
        let namespaces = [Some(SYSTEM), self.mesh.sample.map(|_| super::sample::NAMESPACE)];
        for namespace in namespaces.into_iter().flatten() {
            let path = format!("/api/v1/namespaces/{namespace}/events?fieldSelector=type%3DWarning");
            warnings.extend(self.list(kube, &path).await.unwrap_or_default());
        }
        warnings
    }

    async fn sample(self, kube: &Kube) -> Seen<Option<SampleFacts>> {
        if self.mesh.sample.is_none() {
            return Ok(None);
        }
        let namespace = format!("/api/v1/namespaces/{}", super::sample::NAMESPACE);
        let service = self.object(kube, &format!("{namespace}/services/{}", super::sample::SERVER)).await?;
        let pods = self.list(kube, &format!("{namespace}/pods")).await?;
        let of_app = |app: &'static str| {
            pods.iter().filter(move |pod| label(pod, "app") == Some(app) && !is_going(pod)).map(pod_of)
        };
        // One that can ask, if there is one.
        let mut clients: Vec<Pod> = of_app(super::sample::CLIENT).collect();
        clients.sort_by_key(|pod| !(pod.ready && pod.has_proxy));
        Ok(Some(SampleFacts {
            has_service: service.is_some(),
            servers: of_app(super::sample::SERVER).collect(),
            client: clients.into_iter().next(),
            endpoints: None,
            replies: None,
        }))
    }
}

fn port(port: &Json) -> Option<u16> {
    u16::try_from(port.get("port")?.as_u64()?).ok()
}

fn pod_of(object: &Json) -> Pod {
    pod(object)
}

/// Whether it is being deleted.
pub(super) fn is_going(object: &Json) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// Whether a selector of labels matches an object. One that selects nothing by name matches none.
fn selects(selector: Option<&Json>, object: &Json) -> bool {
    let Some(selector) = selector.and_then(Json::as_object).filter(|selector| !selector.is_empty()) else {
        return false;
    };
    selector.iter().all(|(name, value)| label(object, name) == value.as_str())
}

/// What matters of a pod.
pub(super) fn pod(object: &Json) -> Pod {
    let containers = list_at(object, "/spec/containers");
    let all = containers.iter().chain(list_at(object, "/spec/initContainers"));
    let conditions = list_at(object, "/status/conditions");
    let ready = conditions.iter().any(|one| text(one, "/type") == "Ready" && text(one, "/status") == "True");
    let addresses = list_at(object, "/status/podIPs").iter().filter_map(|one| text(one, "/ip").parse().ok());
    Pod {
        name: text(object, "/metadata/name").to_owned(),
        addresses: addresses.collect(),
        ready,
        why: (!ready).then(|| why(object)).flatten(),
        images: containers.iter().map(|container| text(container, "/image").to_owned()).collect(),
        has_proxy: all.into_iter().any(|container| text(container, "/name") == "istio-proxy"),
        version: label(object, "version").map(str::to_owned),
        network: label(object, NETWORK).map(str::to_owned),
    }
}

/// Why a pod is not ready: what its containers wait for, else what its conditions say.
fn why(pod: &Json) -> Option<String> {
    let joined = |reason: &str, message: &str| match (reason, message) {
        ("", "") => None,
        (reason, "") => Some(reason.to_owned()),
        ("", message) => Some(message.to_owned()),
        (reason, message) => Some(format!("{reason}: {message}")),
    };
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let statuses = statuses.iter().flat_map(|pointer| list_at(pod, pointer));
    let waiting = |status: &Json| {
        joined(text(status, "/state/waiting/reason"), text(status, "/state/waiting/message"))
            .filter(|why| why != "PodInitializing")
    };
    let mut conditions = list_at(pod, "/status/conditions").iter().filter(|one| text(one, "/status") == "False");
    let mut said = statuses.filter_map(waiting);
    said.next().or_else(|| conditions.find_map(|one| joined(text(one, "/reason"), text(one, "/message"))))
}

/// The environment of a pod's container.
pub(super) fn environment(pod: &Json, container: &str) -> BTreeMap<String, String> {
    let containers = list_at(pod, "/spec/containers").iter().filter(|one| text(one, "/name") == container);
    let entries = containers.flat_map(|one| list_at(one, "/env"));
    entries.map(|entry| (text(entry, "/name").to_owned(), text(entry, "/value").to_owned())).collect()
}
