//! What an address family demands of a cluster and its own network: R12, R19 to R22.

use std::collections::BTreeMap;

use super::super::codes::{
    DNS64_COST, DNS64_NEEDS_NAT, GATEWAY_NEEDS_DUAL_STACK, IPV6_AUTO_MODE, IPV6_CUSTOM_NETWORKING, IPV6_GATEWAY,
    IPV6_INSTANCE_TYPE, IPV6_NEEDS_DUAL_STACK, IPV6_REGION, IPV6_SERVICE_CIDR, MIXED_FAMILIES, POD_EGRESS,
    SOURCES_FAMILY,
};
use super::super::{Checked, cluster_at, network_at, network_place, region_at, value};
use super::{family_of, uses_gateways};
use crate::model::{AttrPath, Diagnostic, Location};
use crate::topology::resolved::{Cluster, Network};
use crate::topology::schema::{IpAddressType, IpFamily, Nat, NodeMode, Sources};

/// Families of instance types that are not on Nitro (AWS: instances built on the Xen hypervisor).
const XEN: [&str; 25] = [
    "c1", "c3", "c4", "cc2", "cr1", "d2", "f1", "g2", "g3", "g3s", "h1", "hs1", "i2", "i3", "m1", "m2", "m3", "m4",
    "p2", "p3", "r3", "r4", "t1", "t2", "x1",
];

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for cluster in checked.clusters() {
        let Some(network) = checked.topology.network_of(cluster) else { continue };
        match cluster.ip_family {
            IpFamily::Ipv4 => ipv4(checked, cluster, network, diagnostics),
            IpFamily::Ipv6 => ipv6(checked, cluster, network, diagnostics),
        }
        if cluster.gateway == IpAddressType::Dualstack && !network.dual_stack && cluster.ip_family == IpFamily::Ipv4 {
            diagnostics.push(
                Diagnostic::error(
                    GATEWAY_NEEDS_DUAL_STACK,
                    format!("{}'s gateway cannot be dualstack in a network without IPv6", cluster.name),
                )
                .at(AttrPath::keys(&["east_west", "ip_address_type"]))
                .related(dual_stack_place(checked, network), format!("{} is IPv4 only", network.name))
                .note("a dualstack load balancer needs IPv6 ranges on its subnets and a route ::/0")
                .help(format!("write `dual_stack = true` in `[networks.{}]`", network.name)),
            );
        }
    }
    for network in checked.networks() {
        dns64(checked, network, diagnostics);
    }
    sources(checked, diagnostics);
    mixed(checked, diagnostics);
}

fn dual_stack_place(checked: &Checked<'_>, network: &Network) -> Location {
    let written = checked.network_table(network.name.as_str()).is_some_and(|table| table.dual_stack.is_some());
    network_place(network.name.as_str(), "dual_stack", written)
}

/// R21: what an IPv4 cluster needs for IPv6 egress.
fn ipv4(checked: &Checked<'_>, cluster: &Cluster, network: &Network, diagnostics: &mut Vec<Diagnostic>) {
    let name = cluster.name.as_str();
    let table = checked.cluster_table(name);
    if table.is_some_and(|table| table.v4_egress.is_some()) {
        diagnostics.push(
            Diagnostic::error(POD_EGRESS, format!("`v4_egress` says nothing about {name}, whose pods are IPv4"))
                .at(cluster_at(name, "v4_egress"))
                .help("remove it, or did you mean `v6_egress`?"),
        );
    }
    if !cluster.v6_egress {
        return;
    }
    let problem = if !network.dual_stack {
        Some((dual_stack_place(checked, network), "its network has no IPv6", "write `dual_stack = true` there"))
    } else if cluster.nodes.mode == NodeMode::Auto {
        Some((
            value(cluster_at(name, "nodes").key("mode")),
            "Auto Mode takes no setting of the VPC CNI",
            "use managed nodes, or an Istio of 1.30 or later, which needs no IPv6 egress",
        ))
    } else {
        None
    };
    if let Some((place, reason, help)) = problem {
        diagnostics.push(
            Diagnostic::error(POD_EGRESS, format!("{name} cannot have IPv6 egress: {reason}"))
                .at(cluster_at(name, "v6_egress"))
                .related(place, "because of this")
                .help(help),
        );
    }
}

/// R12, R19, R21 and R22: what an IPv6 cluster needs.
fn ipv6(checked: &Checked<'_>, cluster: &Cluster, network: &Network, diagnostics: &mut Vec<Diagnostic>) {
    let name = cluster.name.as_str();
    let table = checked.cluster_table(name);
    let family = family_of(checked, cluster);
    if !network.dual_stack {
        diagnostics.push(
            Diagnostic::error(
                IPV6_NEEDS_DUAL_STACK,
                format!("{name} is IPv6, and its network {} is not", network.name),
            )
            .at(network_at(network.name.as_str(), "dual_stack"))
            .label("no IPv6 addresses for nodes and pods")
            .related(family.clone(), format!("{name} is IPv6"))
            .help("write `dual_stack = true`, or leave it out: it is implied"),
        );
    } else if cluster.gateway == IpAddressType::Ipv4 && uses_gateways(checked) {
        diagnostics.push(
            Diagnostic::error(IPV6_GATEWAY, format!("{name} is IPv6, and its gateway's load balancer is not"))
                .at(AttrPath::keys(&["east_west", "ip_address_type"]))
                .related(family.clone(), format!("{name} is IPv6"))
                .note("the load balancer controller refuses an IPv6 service on a load balancer that is not dualstack")
                .help("write `ip_address_type = \"dualstack\"`, or leave it out: it is implied"),
        );
    }
    if cluster.service_cidr.is_some() {
        diagnostics.push(
            Diagnostic::error(IPV6_SERVICE_CIDR, format!("{name} is IPv6, its services take a range that EKS chooses"))
                .at(cluster_at(name, "service_cidr"))
                .related(family.clone(), format!("{name} is IPv6"))
                .help("remove `service_cidr`"),
        );
    }
    if network.region.as_str().starts_with("cn-") {
        diagnostics.push(
            Diagnostic::error(IPV6_REGION, format!("EKS has no IPv6 clusters in {}", network.region.as_str()))
                .at(cluster_at(name, "ip_family"))
                .related(value(region_at(checked, network.name.as_str())), "the region is from here")
                .help("use `ip_family = \"ipv4\"`, or another region"),
        );
    }
    if table.is_some_and(|table| table.v6_egress.is_some()) {
        diagnostics.push(
            Diagnostic::error(POD_EGRESS, format!("`v6_egress` says nothing about {name}, whose pods are IPv6"))
                .at(cluster_at(name, "v6_egress"))
                .help("remove it, or did you mean `v4_egress`?"),
        );
    }
    let env = checked.topology.addons.get("vpc-cni").and_then(|addon| addon.configuration.get("env"));
    let custom = env.and_then(|env| env.get("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"));
    if custom.is_some_and(|text| text.as_bool() == Some(true) || text.as_str() == Some("true")) {
        let at = ["addons", "vpc-cni", "configuration", "env", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"];
        diagnostics.push(
            Diagnostic::error(IPV6_CUSTOM_NETWORKING, format!("custom networking is for IPv4, and {name} is IPv6"))
                .at(AttrPath::keys(&at))
                .related(family.clone(), format!("{name} is IPv6"))
                .help("remove this setting"),
        );
    }
    match cluster.nodes.mode {
        NodeMode::Managed => instances(checked, cluster, diagnostics),
        NodeMode::Auto => {
            if cluster.v4_egress {
                diagnostics.push(
                    Diagnostic::error(
                        POD_EGRESS,
                        format!("{name} cannot have IPv4 egress: Auto Mode takes no setting of the VPC CNI"),
                    )
                    .at(cluster_at(name, "v4_egress"))
                    .help("remove it; `dns64` reaches IPv4 instead"),
                );
            }
            if !network.dns64 && network.existing.is_none() {
                diagnostics.push(
                    Diagnostic::error(IPV6_AUTO_MODE, format!("{name} is IPv6 in Auto Mode, and its network has no DNS64"))
                        .at(network_at(network.name.as_str(), "dns64"))
                        .related(family, format!("{name} is IPv6"))
                        .note("IPv6 pods in Auto Mode have no IPv4 egress: registries and IPv4 clusters are out of their reach")
                        .help("write `dns64 = true`, or leave it out: it is implied")
                        .help("or use managed nodes"),
                );
            }
        }
    }
}

/// R12: an IPv6 cluster's nodes are Nitro instances.
fn instances(checked: &Checked<'_>, cluster: &Cluster, diagnostics: &mut Vec<Diagnostic>) {
    if cluster.existing.is_some() {
        return;
    }
    let own = checked
        .cluster_table(cluster.name.as_str())
        .and_then(|table| table.nodes.as_ref())
        .is_some_and(|nodes| nodes.instance_types.is_some());
    let at = if own {
        cluster_at(cluster.name.as_str(), "nodes").key("instance_types")
    } else {
        AttrPath::keys(&["defaults", "nodes", "instance_types"])
    };
    for (n, kind) in cluster.nodes.instance_types.iter().enumerate() {
        let (family, size) = kind.split_once('.').unwrap_or((kind, ""));
        if XEN.contains(&family) && size != "metal" {
            diagnostics.push(
                Diagnostic::error(IPV6_INSTANCE_TYPE, format!("`{kind}` is not a Nitro instance, which IPv6 needs"))
                    .at(at.index(n))
                    .related(family_of(checked, cluster), format!("{} is IPv6", cluster.name))
                    .help("choose a newer type, for example `m6i.large` or `t3.large`"),
            );
        }
    }
}

/// R22: DNS64 has what it needs, and is worth its price.
fn dns64(checked: &Checked<'_>, network: &Network, diagnostics: &mut Vec<Diagnostic>) {
    if !network.dns64 || network.existing.is_some() {
        return;
    }
    let name = network.name.as_str();
    let at = network_at(name, "dns64");
    let lacking = match (network.nat, network.dual_stack) {
        (Nat::None, _) => Some(("nat", "no NAT gateway", "write `nat = \"single\"`")),
        (Nat::Single | Nat::PerAz, false) => Some(("dual_stack", "no IPv6 range", "write `dual_stack = true`")),
        (Nat::Single | Nat::PerAz, true) => None,
    };
    if let Some((key, what, help)) = lacking {
        let table = checked.network_table(name);
        let written =
            table.is_some_and(|table| if key == "nat" { table.nat.is_some() } else { table.dual_stack.is_some() });
        diagnostics.push(
            Diagnostic::error(DNS64_NEEDS_NAT, format!("{name} has DNS64 but {what}"))
                .at(at.clone())
                .related(network_place(name, key, written), "because of this")
                .note("DNS64 makes IPv6 addresses of IPv4 ones, for the NAT gateway to translate back")
                .help(help),
        );
    }
    let explicit = checked.network_table(name).is_some_and(|table| table.dns64 == Some(true));
    let mut ipv6 = checked.clusters().filter(|c| c.network == network.name && c.ip_family == IpFamily::Ipv6).peekable();
    let managed = ipv6.peek().is_none() || ipv6.all(|cluster| cluster.nodes.mode == NodeMode::Managed);
    if explicit && managed {
        diagnostics.push(
            Diagnostic::warning(DNS64_COST, format!("DNS64 is not needed in {name}"))
                .at(at)
                .note("pods on managed nodes have IPv4 egress without it; with it, all of that traffic goes through the NAT gateway, by the gigabyte")
                .help("remove `dns64`"),
        );
    }
}

/// R20: IPv6 ranges are only let in by dualstack load balancers.
fn sources(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let Sources::Cidrs(ranges) = &checked.topology.east_west.allow else { return };
    let Some(cluster) = checked.clusters().find(|cluster| cluster.gateway == IpAddressType::Ipv4) else { return };
    for (n, range) in ranges.iter().enumerate().filter(|(_, range)| range.0.addr().is_ipv6()) {
        diagnostics.push(
            Diagnostic::error(SOURCES_FAMILY, format!("`{}` is IPv6, and {}'s gateway is not", range.0, cluster.name))
                .at(AttrPath::keys(&["east_west", "allow"]).index(n))
                .note("the load balancer controller refuses IPv6 sources on a load balancer that is not dualstack")
                .help("remove it, or write `ip_address_type = \"dualstack\"` and make the networks dual-stack"),
        );
    }
}

/// R22: the clusters of one Istio network reach each other's pods directly, so their families are the same.
fn mixed(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    if checked.topology.mesh.allow_mixed_families {
        return;
    }
    let mut first: BTreeMap<&str, &Cluster> = BTreeMap::new();
    for cluster in checked.clusters() {
        let Some(network) = checked.topology.network_of(cluster) else { continue };
        let earlier = *first.entry(&network.istio_network).or_insert(cluster);
        if earlier.ip_family != cluster.ip_family {
            diagnostics.push(
                Diagnostic::error(
                    MIXED_FAMILIES,
                    format!(
                        "{} is {} and {} is {}, in one Istio network",
                        earlier.name,
                        earlier.ip_family.name(),
                        cluster.name,
                        cluster.ip_family.name()
                    ),
                )
                .at_location(family_of(checked, cluster))
                .related(family_of(checked, earlier), format!("{} is {}", earlier.name, earlier.ip_family.name()))
                .note("inside one Istio network pods connect directly, and pods on EKS have one family")
                .help("put them into networks of their own, or give them one family")
                .help("or accept that only some connections work: `allow_mixed_families = true` in `[mesh]`"),
            );
        }
    }
}
