//! The gateways between networks that an istiod knows: Services with a network's label and the gateway port, in the
//! clusters that it reads.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::reach;
use super::remote::known;
use super::view::{Cluster, NETWORK, environment, label, list, text};
use crate::sandbox::world::World;

/// The port of a gateway between networks, where no label says another.
const PORT: u16 = 15443;

/// A gateway.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gateway {
    pub(super) network: String,
    /// The id of its cluster.
    pub(super) cluster: String,
    pub(super) address: IpAddr,
    pub(super) port: u16,
}

/// What `/debug/networkz` prints.
pub(super) fn networkz(world: &World, cluster: Cluster<'_>, istiod: &Value) -> Value {
    let printed = |gateway: &Gateway| {
        json!({
            "Network": gateway.network, "Cluster": gateway.cluster, "Addr": gateway.address.to_string(),
            "Port": gateway.port, "HBONEPort": 0, "ServiceAccount": { "Namespace": "", "Name": "" },
        })
    };
    let known = known(world, cluster, istiod);
    gateways(world, cluster, istiod, &known).iter().map(printed).collect()
}

/// All gateways in the clusters that an istiod knows.
pub(super) fn gateways(
    world: &World,
    cluster: Cluster<'_>,
    istiod: &Value,
    known: &[(String, Cluster<'_>)],
) -> Vec<Gateway> {
    let resolves = environment(istiod, "discovery").get("RESOLVE_HOSTNAME_GATEWAYS") != Some(&"false");
    let mut all = Vec::new();
    for (id, there) in known {
        for service in there.list("", "services", None) {
            let Some((network, port)) = gateway(service) else { continue };
            for ingress in list(service, "/status/loadBalancer/ingress") {
                let (host, ip) = (text(ingress, "/hostname"), text(ingress, "/ip"));
                let addresses = match (ip.parse::<IpAddr>(), resolves) {
                    (Ok(address), _) => vec![address],
                    (Err(_), true) => reach::resolve(world, cluster, istiod, host),
                    (Err(_), false) => Vec::new(),
                };
                all.extend(addresses.into_iter().map(|address| Gateway {
                    network: network.to_owned(),
                    cluster: id.clone(),
                    address,
                    port,
                }));
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// The network and port of a Service that is a gateway: labelled for a network, of a type that has addresses, with the
/// port that the label names among its own.
fn gateway(service: &Value) -> Option<(&str, u16)> {
    let network = label(service, NETWORK).filter(|network| !network.is_empty())?;
    let port = label(service, "networking.istio.io/gatewayPort").map_or(Some(PORT), |port| port.parse().ok())?;
    let listens =
        list(service, "/spec/ports").iter().any(|one| one.get("port").and_then(Value::as_u64) == Some(u64::from(port)));
    (listens && text(service, "/spec/type") == "LoadBalancer").then_some((network, port))
}
