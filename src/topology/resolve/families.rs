//! What an IPv6 cluster changes for everybody else, so that every pair of clusters can talk.
//!
//! Entry point: [`derive()`]. It promotes what was left open and never overrides what was written; whether the
//! result works is then judged pair by pair by the rules of the family matrix.

use crate::topology::resolved::{ClusterName, Topology};
use crate::topology::schema::{Document, IpAddressType, IpFamily, IstioVersion, NodeMode};

/// Derives dual-stack networks, dualstack gateways, IPv6 egress and DNS64, each with a note that says why.
pub(super) fn derive(document: &Document, topology: &mut Topology) {
    let Some(reason) = Reason::of(topology) else {
        // All IPv4: nothing to derive, but an explicit wish is granted.
        let wish = document.east_west.as_ref().and_then(|table| table.ip_address_type);
        for cluster in topology.clusters.values_mut() {
            cluster.gateway = wish.unwrap_or_default();
        }
        return;
    };
    networks(document, topology, &reason);
    clusters(document, topology, &reason);
}

/// The IPv6 cluster that the notes name, and the Istio releases that decide what it needs.
struct Reason {
    ipv6: ClusterName,
    newest: IstioVersion,
    oldest: IstioVersion,
}

impl Reason {
    /// `None` in a mesh without IPv6.
    fn of(topology: &Topology) -> Option<Self> {
        let ipv6 = topology.clusters.values().find(|cluster| cluster.ip_family == IpFamily::Ipv6)?;
        let versions = topology.clusters.values().map(|cluster| cluster.istio);
        Some(Self {
            ipv6: ipv6.name.clone(),
            newest: versions.clone().max().unwrap_or(ipv6.istio),
            oldest: versions.min().unwrap_or(ipv6.istio),
        })
    }
}

fn networks(document: &Document, topology: &mut Topology, reason: &Reason) {
    let cluster = |family| {
        topology.clusters.values().filter(move |c| c.ip_family == family).map(|c| (c.network.clone(), c.nodes.mode))
    };
    // Per network: whether IPv6 clusters live in it, and whether one of them runs in Auto Mode.
    let mut ipv6_networks = std::collections::BTreeMap::new();
    for (network, mode) in cluster(IpFamily::Ipv6) {
        *ipv6_networks.entry(network).or_insert(false) |= mode == NodeMode::Auto;
    }
    for (name, network) in &mut topology.networks {
        let table = document.networks.as_ref().and_then(|tables| tables.get(name.as_str()));
        let auto = ipv6_networks.get(name).copied();
        if table.is_some_and(|table| table.dual_stack.is_none()) {
            network.dual_stack = true;
            network.notes.push(if auto.is_some() {
                format!("dual-stack, because an IPv6 cluster lives in {name}")
            } else if reason.newest.filters_gateways_by_family() {
                format!(
                    "dual-stack, because {}'s IPv6-only proxies need an IPv6 address (AAAA) on {name}'s gateway: Istio 1.30 and later drop endpoints behind an IPv4-only one",
                    reason.ipv6
                )
            } else {
                format!(
                    "dual-stack, because pods in {name} must reach {}'s IPv6 gateway addresses, which Istio before 1.30 hands to every proxy",
                    reason.ipv6
                )
            });
        }
        if auto == Some(true) && table.is_some_and(|table| table.dns64.is_none()) {
            network.dns64 = true;
            network.notes.push(
                "DNS64, because IPv6 pods in EKS Auto Mode have no IPv4 egress and must reach IPv4-only names"
                    .to_owned(),
            );
        }
    }
}

fn clusters(document: &Document, topology: &mut Topology, reason: &Reason) {
    let wish = document.east_west.as_ref().and_then(|table| table.ip_address_type);
    let single = topology.clusters.len() == 1;
    for (name, cluster) in &mut topology.clusters {
        let dual_stack = topology.networks.get(&cluster.network).is_some_and(|network| network.dual_stack);
        cluster.gateway = wish.unwrap_or(if dual_stack { IpAddressType::Dualstack } else { IpAddressType::Ipv4 });
        if wish.is_none() && dual_stack && !single {
            cluster.notes.push(match cluster.ip_family {
                IpFamily::Ipv6 => "dualstack east-west load balancer, because the cluster's pods are IPv6".to_owned(),
                IpFamily::Ipv4 => {
                    format!("dualstack east-west load balancer, because {} is IPv6", reason.ipv6)
                }
            });
        }
        let table = document.clusters.as_ref().and_then(|tables| tables.get(name.as_str()));
        let open = table.is_some_and(|table| table.v6_egress.is_none());
        let can = cluster.nodes.mode == NodeMode::Managed && dual_stack && cluster.existing.is_none();
        if cluster.ip_family == IpFamily::Ipv4 && open && can && !reason.oldest.filters_gateways_by_family() {
            cluster.v6_egress = true;
            cluster.notes.push(format!(
                "IPv6 egress for pods, because Istio {} also hands them the IPv6 gateway addresses of {}",
                reason.oldest, reason.ipv6
            ));
        }
    }
}
