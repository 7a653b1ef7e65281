//! What an istiod tells a proxy of a Service: the pods of its own network, and for those of other networks their gateways.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Value, json};

use super::gateways::{Gateway, gateways};
use super::reach;
use super::remote::known;
use super::view::{Cluster, NETWORK, has_proxy, label, list, text};
use crate::model::Digest;
use crate::sandbox::world::World;

const NOT_CONNECTED: &str = "Proxy not connected to this Pilot instance. It may be connected to another instance.\n";

/// Where a proxy is told to send requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint<'w> {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// How many pods it stands for.
    pub(super) weight: usize,
    /// The pod itself, if it is no gateway.
    pub(super) pod: Option<(Cluster<'w>, &'w Value)>,
}

impl PartialEq for Cluster<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl Eq for Cluster<'_> {}

/// A ready pod behind a Service.
#[derive(Debug, Clone)]
pub(super) struct Backend<'w> {
    /// The id of its cluster, as the looking istiod has it.
    pub(super) cluster_id: String,
    pub(super) cluster: Cluster<'w>,
    pub(super) pod: &'w Value,
    pub(super) network: &'w str,
    address: IpAddr,
    port: u16,
}

impl<'w> Backend<'w> {
    /// Itself, where requests go to it directly.
    pub(super) fn endpoint(self) -> Endpoint<'w> {
        Endpoint { address: self.address, port: self.port, weight: 1, pod: Some((self.cluster, self.pod)) }
    }
}

/// What `/debug/edsz` prints for the proxy that a query names.
pub(super) fn edsz(
    world: &World,
    cluster: Cluster<'_>,
    istiod: &Value,
    query: &str,
) -> Result<Value, (u16, &'static str)> {
    let proxy = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "proxyID").map(|(_, value)| value);
    let proxy = proxy.filter(|proxy| !proxy.is_empty());
    let Some(proxy) = proxy else { return Err((400, "You must provide a proxyID in the query string\n")) };
    let is_it = |pod: &&Value| {
        let id = format!("{}.{}", text(pod, "/metadata/name"), text(pod, "/metadata/namespace"));
        has_proxy(pod) && text(pod, "/status/phase") == "Running" && id.contains(&*proxy)
    };
    let pods = cluster.list("", "pods", None);
    let pod = pods.into_iter().find(is_it).filter(|pod| {
        serving(cluster, pod).is_some_and(|serving| text(serving, "/metadata/uid") == text(istiod, "/metadata/uid"))
    });
    let Some(pod) = pod else { return Err((404, NOT_CONNECTED)) };
    let sight = Sight::of(world, cluster, istiod);
    // A Service is one wherever it is declared, by namespace and name.
    let mut services: BTreeSet<(&str, &str, u16)> = BTreeSet::new();
    for (_, there) in &sight.known {
        for service in there.list("", "services", None) {
            let (namespace, name) = (text(service, "/metadata/namespace"), text(service, "/metadata/name"));
            services
                .extend(list(service, "/spec/ports").iter().filter_map(port_of).map(|port| (namespace, name, port)));
        }
    }
    let assignments = services.into_iter().map(|(namespace, name, port)| {
        let endpoints = sight.endpoints(pod, (namespace, name, port));
        let endpoints: Vec<Value> = endpoints.iter().map(printed).collect();
        let cluster = format!("outbound|{port}||{name}.{namespace}.svc.cluster.local");
        if endpoints.is_empty() {
            json!({ "clusterName": cluster })
        } else {
            json!({ "clusterName": cluster, "endpoints": [{ "locality": {}, "lbEndpoints": endpoints }] })
        }
    });
    Ok(assignments.collect())
}

fn printed(endpoint: &Endpoint<'_>) -> Value {
    json!({
        "endpoint": { "address": { "socketAddress": {
            "address": endpoint.address.to_string(), "portValue": endpoint.port
        } } },
        "healthStatus": "HEALTHY",
        "loadBalancingWeight": endpoint.weight,
    })
}

/// The istiod that a proxy is connected to: one of those that are ready.
pub(super) fn serving<'w>(cluster: Cluster<'w>, pod: &Value) -> Option<&'w Value> {
    let istiods = cluster.istiods();
    let digest = Digest::of(text(pod, "/metadata/uid"));
    let n = usize::from(digest.as_bytes().first().copied().unwrap_or_default());
    istiods.get(n.checked_rem(istiods.len())?).copied()
}

/// What an istiod knows, at an instant.
pub(super) struct Sight<'w> {
    cluster: Cluster<'w>,
    known: Vec<(String, Cluster<'w>)>,
    gateways: Vec<Gateway>,
    /// Whether it chooses gateways' addresses by family.
    filters: bool,
}

impl<'w> Sight<'w> {
    /// What an istiod of a cluster knows.
    pub(super) fn of(world: &'w World, cluster: Cluster<'w>, istiod: &Value) -> Self {
        let known = known(world, cluster, istiod);
        let gateways = gateways(world, cluster, istiod, &known);
        Self { cluster, known, gateways, filters: version(istiod) >= (1, 30) }
    }

    /// What a proxy is told of a port of a Service.
    pub(super) fn endpoints(&self, proxy: &Value, service: (&str, &str, u16)) -> Vec<Endpoint<'w>> {
        let own = network_of(self.cluster, proxy);
        let addresses = reach::addresses(self.cluster, proxy);
        let mut direct = Vec::new();
        let mut through: BTreeMap<&Gateway, usize> = BTreeMap::new();
        for backend in self.backends(service) {
            let to = select(&self.gateways, &backend);
            if backend.network == own || to.is_empty() {
                direct.push(backend.endpoint());
                continue;
            }
            // Gateways choose by the server name of mTLS, which takes a proxy at the other end.
            if !has_proxy(backend.pod) {
                continue;
            }
            let has_family = |gateway: &Gateway| addresses.iter().any(|own| own.is_ipv6() == gateway.address.is_ipv6());
            for gateway in to.into_iter().filter(|gateway| !self.filters || has_family(gateway)) {
                *through.entry(gateway).or_default() += 1;
            }
        }
        let through = through.into_iter().map(|(gateway, weight)| Endpoint {
            address: gateway.address,
            port: gateway.port,
            weight,
            pod: None,
        });
        direct.into_iter().chain(through).collect()
    }

    /// The ready pods behind a port of a Service, in all clusters that the istiod reads.
    pub(super) fn backends(&self, service: (&str, &str, u16)) -> Vec<Backend<'w>> {
        let of_cluster = |(id, there): &(String, Cluster<'w>)| {
            let id = id.clone();
            local(*there, service).into_iter().map(move |backend| Backend { cluster_id: id.clone(), ..backend })
        };
        self.known.iter().flat_map(of_cluster).collect()
    }
}

/// The gateways to a pod: its own cluster's, or else any of its network.
fn select<'g>(gateways: &'g [Gateway], backend: &Backend<'_>) -> Vec<&'g Gateway> {
    let of_network = gateways.iter().filter(|gateway| gateway.network == backend.network);
    let (own, others): (Vec<_>, Vec<_>) = of_network.partition(|gateway| gateway.cluster == backend.cluster_id);
    if own.is_empty() { others } else { own }
}

/// The ready pods behind a port of a Service in one cluster.
pub(super) fn local<'w>(there: Cluster<'w>, (namespace, name, port): (&str, &str, u16)) -> Vec<Backend<'w>> {
    let Some(service) = there.get("", "services", Some(namespace), name) else { return Vec::new() };
    let Some(port) = list(service, "/spec/ports").iter().find(|one| port_of(one) == Some(port)) else {
        return Vec::new();
    };
    let port_name = text(port, "/name");
    let slices = there.list("discovery.k8s.io", "endpointslices", Some(namespace)).into_iter();
    let mut all = Vec::new();
    for slice in slices.filter(|slice| label(slice, "kubernetes.io/service-name") == Some(name)) {
        let ports = list(slice, "/ports").iter();
        let Some(port) = ports.filter(|one| text(one, "/name") == port_name).find_map(port_of) else { continue };
        let is_ready = |one: &&Value| one.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
        for endpoint in list(slice, "/endpoints").iter().filter(is_ready) {
            let pod = there.get("", "pods", Some(namespace), text(endpoint, "/targetRef/name"));
            let addresses = list(endpoint, "/addresses").iter().filter_map(|one| one.as_str()?.parse().ok());
            let Some(pod) = pod else { continue };
            all.extend(addresses.map(|address| Backend {
                cluster_id: String::new(),
                cluster: there,
                pod,
                network: network_of(there, pod),
                address,
                port,
            }));
        }
    }
    all
}

/// The network of a pod: its own label's, or else its cluster's.
pub(super) fn network_of<'w>(cluster: Cluster<'w>, pod: &Value) -> &'w str {
    let key = text(pod, "/metadata/name");
    let stored = cluster.get("", "pods", Some(text(pod, "/metadata/namespace")), key);
    stored.and_then(|pod| label(pod, NETWORK)).unwrap_or_else(|| cluster.network())
}

fn port_of(port: &Value) -> Option<u16> {
    u16::try_from(port.get("port")?.as_u64()?).ok()
}

/// Major and minor version of an istiod, by its image.
fn version(istiod: &Value) -> (u16, u16) {
    let images = list(istiod, "/spec/containers").iter().filter(|one| text(one, "/name") == "discovery");
    let image = images.map(|one| text(one, "/image")).next().unwrap_or_default();
    let mut numbers =
        image.rsplit(':').next().unwrap_or_default().split(['.', '-']).map_while(|part| part.parse().ok());
    // One that does not say is as new as any.
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor),
        _ => (u16::MAX, 0),
    }
}
