//! Who reaches whom besides the families: R23 (API servers), R24 (private routes) and R25 (egress of nodes).

use std::collections::{BTreeMap, BTreeSet};

use super::codes::{
    API_CIDRS, API_UNREACHABLE, INTERNAL_NOT_PEERED, INVALID_ADMIN, ISTIO_NETWORK_NOT_PEERED, NO_EGRESS, PUBLIC_RANGES,
};
use super::{Checked, cluster_at, enumerate, network_at, value};
use crate::model::{AttrPath, Diagnostic, Location};
use crate::topology::resolved::{ExistingCluster, NetworkName};
use crate::topology::schema::{IpFamily, Nat, PublicAccess, Scheme};

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let peers = Peers::of(checked);
    let used: BTreeSet<&NetworkName> = checked
        .clusters()
        // Where any other Kubernetes cluster can be reached from is not for the topology to say.
        .filter(|cluster| !matches!(cluster.existing, Some(ExistingCluster::Kubeconfig { .. })))
        .map(|cluster| &cluster.network)
        .collect();
    if checked.topology.api_access.public == PublicAccess::None {
        for (network, missing) in peers.missing(&used) {
            diagnostics.push(
                Diagnostic::error(
                    API_UNREACHABLE,
                    format!("clusters in {network} cannot reach the API servers in {}", enumerate(&missing)),
                )
                .at(AttrPath::keys(&["api_access", "public"]))
                .label("there are no public endpoints")
                .related(Location::TopologyKey(AttrPath::keys(&["networks", network])), "from here")
                .note("every istiod watches the API server of every other cluster")
                .help("write `public = \"peers\"`, which lets in the other networks and nobody else")
                .help("or join the networks with a `[peering.NAME]`"),
            );
        }
    }
    if checked.topology.east_west.scheme == Scheme::Internal {
        for (network, missing) in peers.missing(&used) {
            diagnostics.push(
                Diagnostic::error(
                    INTERNAL_NOT_PEERED,
                    format!("{network} has no route to the internal gateways of {}", enumerate(&missing)),
                )
                .at(AttrPath::keys(&["east_west", "scheme"]))
                .related(Location::TopologyKey(AttrPath::keys(&["networks", network])), "from here")
                .help("join the networks with a `[peering.NAME]`, or write `scheme = \"internet-facing\"`"),
            );
        }
    }
    shared_networks(checked, &peers, diagnostics);
    egress(checked, diagnostics);
    access(checked, diagnostics);
    public_ranges(checked, diagnostics);
}

/// R23: EKS takes 40 ranges for a public endpoint ("Public endpoint access CIDR ranges per cluster", EKS quotas).
const MOST_RANGES: usize = 40;

/// R23: the operators' ranges and those of every other network fit into what EKS takes.
fn public_ranges(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let access = &checked.topology.api_access;
    if access.public != PublicAccess::Peers {
        return;
    }
    let mut members: BTreeMap<&NetworkName, usize> = BTreeMap::new();
    for cluster in checked.clusters() {
        *members.entry(&cluster.network).or_default() += 1;
    }
    // Of an existing network it is not known how many addresses it has: at least one.
    let nats = |name: &NetworkName| match checked.topology.networks.get(name.as_str()) {
        Some(network) if network.existing.is_some() => 1,
        Some(network) => match network.nat {
            Nat::None => 0,
            Nat::Single => 1,
            Nat::PerAz => network.azs.count(),
        },
        None => 0,
    };
    let all: usize = members.keys().copied().map(nats).sum();
    let blocks = members
        .keys()
        .filter(|name| checked.topology.networks.get(name.as_str()).is_some_and(|network| network.dual_stack));
    let all_blocks = blocks.count();
    let (mut worst, mut worst_ranges, mut n_over) = (None, 0, 0);
    for cluster in checked.clusters().filter(|cluster| cluster.existing.is_none()) {
        let ipv6 = cluster.ip_family == IpFamily::Ipv6;
        let own = checked.topology.network_of(cluster);
        let own_block = usize::from(own.is_some_and(|network| network.dual_stack));
        let blocks = if ipv6 { all_blocks - own_block } else { 0 };
        let operators = access.cidrs.iter().filter(|range| ipv6 || range.addr().is_ipv4()).count();
        let ranges = all - nats(&cluster.network) + blocks + operators.max(1);
        n_over += usize::from(ranges > MOST_RANGES);
        if ranges > worst_ranges {
            (worst, worst_ranges) = (Some(cluster), ranges);
        }
    }
    let Some(cluster) = worst.filter(|_| worst_ranges > MOST_RANGES) else { return };
    let others = match n_over {
        1 => String::new(),
        2 => " (and so would 1 other cluster)".to_owned(),
        n => format!(" (and so would {} other clusters)", n - 1),
    };
    diagnostics.push(
        Diagnostic::error(
            PUBLIC_RANGES,
            format!(
                "{}'s public endpoint would be opened to {worst_ranges} ranges, and EKS takes {MOST_RANGES}{others}",
                cluster.name
            ),
        )
        .at_location(Location::TopologyKey(AttrPath::keys(&["clusters", cluster.name.as_str()])))
        .note("each other network adds the addresses of its NAT gateways, and its IPv6 block where the cluster is IPv6")
        .help("write `public = \"any\"` in `[api_access]`: the API servers still ask who calls them")
        .help("or use one NAT gateway per network, fewer networks, or fewer `cidrs`"),
    );
}

/// Which networks have a private route to which. A peering of all networks is recognised as such; otherwise the
/// cost is the square of the members of each transit gateway.
struct Peers<'a> {
    of: BTreeMap<&'a NetworkName, BTreeSet<&'a NetworkName>>,
    groups: Vec<BTreeSet<&'a NetworkName>>,
}

impl<'a> Peers<'a> {
    fn of(checked: &Checked<'a>) -> Self {
        let groups: Vec<BTreeSet<&NetworkName>> =
            checked.topology.peerings.values().map(|peering| peering.networks.iter().collect()).collect();
        Self { of: BTreeMap::new(), groups }.indexed()
    }

    fn indexed(mut self) -> Self {
        // Above this a group is only ever asked about as a whole.
        const LARGE: usize = 256;
        for group in self.groups.iter().filter(|group| group.len() <= LARGE) {
            for name in group {
                self.of.entry(*name).or_default().extend(group.iter().copied());
            }
        }
        self
    }

    /// For each of the networks that lacks a route to any later one of them: which it lacks. Routes go both ways,
    /// so that each pair is told once.
    fn missing(&self, networks: &BTreeSet<&'a NetworkName>) -> Vec<(&'a str, Vec<&'a str>)> {
        if self.groups.iter().any(|group| group.is_superset(networks)) {
            return Vec::new();
        }
        let none = BTreeSet::new();
        let mut found = Vec::new();
        for name in networks {
            let peers = self.of.get(*name).unwrap_or(&none);
            let lacks = |other: &&&NetworkName| {
                **other > *name
                    && !peers.contains(*other)
                    && !self.groups.iter().any(|group| group.contains(*name) && group.contains(**other))
            };
            // Three names say it; the rest would make the message long and the work quadratic.
            let lacking: Vec<&str> = networks.iter().filter(lacks).take(4).map(|other| other.as_str()).collect();
            if !lacking.is_empty() {
                found.push((name.as_str(), lacking));
            }
            if found.len() >= 20 {
                break;
            }
        }
        found
    }
}

/// R24: the networks of one Istio network are joined, because their pods connect directly.
fn shared_networks(checked: &Checked<'_>, peers: &Peers<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut shared: BTreeMap<&str, BTreeSet<&NetworkName>> = BTreeMap::new();
    for network in checked.networks() {
        shared.entry(&network.istio_network).or_default().insert(&network.name);
    }
    for (name, members) in shared.into_iter().filter(|(_, members)| members.len() > 1) {
        for (network, missing) in peers.missing(&members) {
            diagnostics.push(
                Diagnostic::error(
                    ISTIO_NETWORK_NOT_PEERED,
                    format!("{network} shares the Istio network {name} with {}, without a route", enumerate(&missing)),
                )
                .at(network_at(network, "istio_network"))
                .note("inside one Istio network pods connect directly, without a gateway")
                .help("join the networks with a `[peering.NAME]`, or remove `istio_network`"),
            );
        }
    }
}

/// R25: private nodes reach registries and EKS over IPv4, also those of IPv6 clusters.
fn egress(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for cluster in checked.clusters().filter(|cluster| cluster.existing.is_none()) {
        let Some(network) = checked.topology.network_of(cluster) else { continue };
        if network.nat != Nat::None || network.existing.is_some() {
            continue;
        }
        diagnostics.push(
            Diagnostic::error(NO_EGRESS, format!("{}'s nodes cannot reach any registry", cluster.name))
                .at(network_at(network.name.as_str(), "nat"))
                .label("no NAT gateway")
                .related(value(cluster_at(cluster.name.as_str(), "network")), "the cluster lives there")
                .note(match cluster.ip_family {
                    IpFamily::Ipv4 => "nodes in private subnets pull images and join the cluster through it",
                    IpFamily::Ipv6 => "registries are reached over IPv4, also by the nodes of an IPv6 cluster",
                })
                .help("write `nat = \"single\"` or `nat = \"per-az\"`"),
        );
    }
}

/// R23: who else may use the API servers.
fn access(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let access = &checked.topology.api_access;
    let at = AttrPath::keys(&["api_access", "cidrs"]);
    let useless = match access.public {
        PublicAccess::Peers => None,
        PublicAccess::Any => Some("anyone may use the API servers already"),
        PublicAccess::None => Some("there are no public endpoints to open"),
    };
    if let Some(reason) = useless.filter(|_| !access.cidrs.is_empty()) {
        diagnostics.push(
            Diagnostic::warning(API_CIDRS, format!("these ranges have no effect: {reason}"))
                .at(at.clone())
                .related(value(AttrPath::keys(&["api_access", "public"])), "because of this")
                .help("remove them, or write `public = \"peers\"`"),
        );
    } else if let Some(cluster) = checked.clusters().find(|cluster| cluster.ip_family == IpFamily::Ipv4) {
        for (n, range) in access.cidrs.iter().enumerate().filter(|(_, range)| range.addr().is_ipv6()) {
            diagnostics.push(
                Diagnostic::warning(
                    API_CIDRS,
                    format!("`{range}` is left out for {} and other IPv4 clusters", cluster.name),
                )
                .at(at.index(n))
                .note("the API server of an IPv4 cluster has no IPv6 address, and EKS takes no IPv6 range for it")
                .help("add the IPv4 ranges of the same operators"),
            );
        }
    }
    for (n, admin) in access.admins.iter().enumerate() {
        let parts: Vec<&str> = admin.splitn(6, ':').collect();
        let [arn, partition, service, region, account, resource] = parts.as_slice() else {
            diagnostics.push(invalid_admin(admin, n, "is not an ARN"));
            continue;
        };
        let account_ok = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        if *arn != "arn" || !partition.starts_with("aws") || !account_ok {
            diagnostics.push(invalid_admin(admin, n, "is not an ARN of an account"));
        } else if *service == "sts" {
            diagnostics.push(
                invalid_admin(admin, n, "is a session, not a role")
                    .note("an access entry is for the role; sessions of it have its rights"),
            );
        } else if *service != "iam"
            || !region.is_empty()
            || !(is_named(resource, "role/") || is_named(resource, "user/"))
        {
            diagnostics.push(invalid_admin(admin, n, "is neither a role nor a user"));
        }
    }
}

fn is_named(resource: &str, prefix: &str) -> bool {
    resource.strip_prefix(prefix).is_some_and(|name| !name.is_empty() && !name.contains('*'))
}

fn invalid_admin(admin: &str, n: usize, reason: &str) -> Diagnostic {
    Diagnostic::error(INVALID_ADMIN, format!("`{admin}` {reason}"))
        .at(AttrPath::keys(&["api_access", "admins"]).index(n))
        .help("write the ARN of an IAM role or user: `arn:aws:iam::111122223333:role/platform-admin`")
}
