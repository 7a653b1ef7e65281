//! Address ranges: R10, R11, R15, R16, and the quotas of R17.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net};

use super::codes::{
    CIDR_NOT_CANONICAL, CIDR_NOT_PRIVATE, CIDR_SIZE, CIDR_TOO_SMALL, NO_SERVICE_CIDR, OVERLAPPING_NETWORKS, QUOTA,
    RESERVED_RANGE, SERVICE_CIDR, SMALL_SUBNETS,
};
use super::{Checked, cluster_at, enumerate, network_at, value};
use crate::model::{AttrPath, Diagnostic};
use crate::topology::carve::{SMALLEST_SUBNET, carve};
use crate::topology::resolved::{Network, NetworkName};
use crate::topology::schema::{Azs, IpFamily, Nat, Scheme};

/// A private subnet with fewer usable addresses is warned of: four m6i.large nodes full of pods (29 each).
const FEW_ADDRESSES: usize = 116;

/// RFC 1918 and RFC 6598: what AWS advises for a VPC.
const PRIVATE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];

/// Where EKS accepts a service range.
const SERVICE_BLOCKS: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

/// What EKS chooses from when no service range is given.
const DEFAULT_SERVICE_RANGES: [&str; 2] = ["10.100.0.0/16", "172.20.0.0/16"];

/// Ranges that are not a VPC's to use, and whose they are.
const RESERVED: [(&str, &str); 3] = [
    ("169.254.0.0/16", "link-local addresses: the instance metadata and the VPC CNI's IPv4 egress use them"),
    ("127.0.0.0/8", "the host's own addresses"),
    ("240.240.0.0/16", "what Istio gives to services without an address of their own"),
];

fn ranges<const N: usize>(texts: [&str; N]) -> Vec<Ipv4Net> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.network() <= b.broadcast() && b.network() <= a.broadcast()
}

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let routed = Routed::of(checked);
    let private = ranges(PRIVATE);
    for network in checked.networks() {
        vpc(network, &private, diagnostics);
    }
    overlaps(&routed, diagnostics);
    services(checked, &routed, diagnostics);
    lists(checked, diagnostics);
    quotas(checked, diagnostics);
}

fn not_canonical(text: &str, canonical: &str, at: AttrPath) -> Diagnostic {
    Diagnostic::error(CIDR_NOT_CANONICAL, format!("`{text}` has bits after its prefix"))
        .at(at)
        .label("not a network address")
        .help(format!("write `{canonical}`"))
}

/// R10 and R16: a VPC's own range.
fn vpc(network: &Network, private: &[Ipv4Net], diagnostics: &mut Vec<Diagnostic>) {
    let (cidr, at) = (network.cidr, network_at(network.name.as_str(), "cidr"));
    let prefix = cidr.prefix_len();
    if cidr.trunc() != cidr {
        diagnostics.push(not_canonical(&cidr.to_string(), &cidr.trunc().to_string(), at.clone()));
    }
    if !(16..=28).contains(&prefix) {
        diagnostics.push(
            Diagnostic::error(CIDR_SIZE, format!("a VPC cannot have a /{prefix}"))
                .at(at.clone())
                .label("AWS takes /16 to /28")
                .help(format!("for example `{}/16`", Ipv4Net::new_assert(cidr.addr(), 16).network())),
        );
        return;
    }
    if let Some((range, whose)) =
        RESERVED.iter().find(|(range, _)| range.parse::<Ipv4Net>().is_ok_and(|range| overlap(cidr, range)))
    {
        diagnostics.push(
            Diagnostic::error(RESERVED_RANGE, format!("`{cidr}` overlaps {range}, which no VPC can use"))
                .at(at.clone())
                .note(format!("{range} is {whose}"))
                .help("choose a range of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"),
        );
    } else if !private.iter().any(|block| block.contains(&cidr)) {
        diagnostics.push(
            Diagnostic::warning(CIDR_NOT_PRIVATE, format!("`{cidr}` has public addresses"))
                .at(at.clone())
                .note("pods in it cannot reach the real owners of these addresses")
                .help("choose a range of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10"),
        );
    }
    let count = network.azs.count();
    // Too few or too many zones are the zones' own findings; existing subnets are not carved.
    if network.existing.is_some() || !(2..=super::zones::MAX_ZONES).contains(&count) {
        return;
    }
    match carve(cidr, count) {
        Err(error) => {
            let found = Diagnostic::error(
                CIDR_TOO_SMALL,
                format!("a /{prefix} does not hold two subnets in each of {count} availability zones"),
            )
            .at(at)
            .label(format!("{count} zones need a /{}", error.needed_prefix))
            .related(value(network_at(network.name.as_str(), "azs")), "the zones are from here")
            .note(format!(
                "a private subnet takes a sixteenth of the range, a public one a 256th, neither less than /{SMALLEST_SUBNET}"
            ));
            diagnostics.push(found.help(format!("use a /{} or larger", error.needed_prefix)));
        }
        Ok(carved) => {
            // AWS keeps five addresses of each subnet for itself.
            let usable = carved.private.first().map_or(0, |subnet| subnet.hosts().count().saturating_sub(3));
            if usable < FEW_ADDRESSES {
                diagnostics.push(
                    Diagnostic::warning(
                        SMALL_SUBNETS,
                        format!("the private subnets of {} hold {usable} addresses each", network.name),
                    )
                    .at(at)
                    .note("every node, pod and control plane interface takes one")
                    .help("use a larger range, such as a /16: ranges of networks that are not routed to each other may overlap"),
                );
            }
        }
    }
}

/// Which networks are routed to each other; a network may be in several groups.
struct Routed<'a> {
    groups: Vec<Group<'a>>,
}

/// Networks that are routed to each other, sorted by their ranges' starts.
struct Group<'a> {
    why: String,
    sorted: Vec<&'a Network>,
    /// For each position, the position at or before it whose range ends last.
    furthest: Vec<usize>,
}

impl<'a> Group<'a> {
    fn new(why: String, members: impl IntoIterator<Item = &'a Network>) -> Self {
        let mut sorted: Vec<&Network> = members.into_iter().collect();
        sorted.sort_by_key(|network| (network.cidr.network(), network.cidr.prefix_len(), &network.name));
        sorted.dedup_by_key(|network| &network.name);
        let mut best = 0;
        let end = |n: usize| sorted.get(n).map(|network| network.cidr.broadcast());
        let furthest = (0..sorted.len())
            .map(|n| {
                if end(n) > end(best) {
                    best = n;
                }
                best
            })
            .collect();
        Self { why, sorted, furthest }
    }

    /// A member whose range overlaps the given one, among the first `n` of them.
    fn hit(&self, range: Ipv4Net, n: usize) -> Option<&'a Network> {
        let last = n.checked_sub(1)?;
        let network = self.sorted.get(*self.furthest.get(last)?)?;
        overlap(network.cidr, range).then_some(*network)
    }

    /// A member whose range overlaps the given one: of those that start before its end, the one that ends last.
    fn overlapping(&self, range: Ipv4Net) -> Option<&'a Network> {
        self.hit(range, self.sorted.partition_point(|network| network.cidr.network() <= range.broadcast()))
    }
}

impl<'a> Routed<'a> {
    fn of(checked: &Checked<'a>) -> Self {
        let mut groups = Vec::new();
        for (name, peering) in &checked.topology.peerings {
            let members = peering.networks.iter().filter_map(|network| checked.topology.networks.get(network));
            groups.push(Group::new(format!("peering {name} routes them to each other"), members));
        }
        let mut shared: BTreeMap<&str, Vec<&Network>> = BTreeMap::new();
        for network in checked.networks() {
            shared.entry(&network.istio_network).or_default().push(network);
        }
        for (name, members) in shared.into_iter().filter(|(_, members)| members.len() > 1) {
            let why = format!("they share the Istio network {name}, whose pods reach each other directly");
            groups.push(Group::new(why, members));
        }
        if checked.topology.east_west.scheme == Scheme::Internal {
            let why = "`east_west.scheme` is `internal`, for which they must be routed to each other".to_owned();
            groups.push(Group::new(why, checked.networks()));
        }
        Self { groups }
    }
}

/// R15: networks that are routed to each other do not overlap. Each range of a group is compared with the one
/// before it that ends last, which finds every range that overlaps any.
fn overlaps(routed: &Routed<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut told: BTreeSet<(&NetworkName, &NetworkName)> = BTreeSet::new();
    for group in &routed.groups {
        for (n, network) in group.sorted.iter().enumerate() {
            let Some(before) = group.hit(network.cidr, n) else { continue };
            let (first, second) = if before.name < network.name { (before, *network) } else { (*network, before) };
            if told.insert((&first.name, &second.name)) {
                diagnostics.push(
                    Diagnostic::error(
                        OVERLAPPING_NETWORKS,
                        format!("{} and {} overlap, and are routed to each other", first.name, second.name),
                    )
                    .at(network_at(second.name.as_str(), "cidr"))
                    .label(format!("overlaps {}", first.cidr))
                    .related(value(network_at(first.name.as_str(), "cidr")), format!("{}'s range", first.name))
                    .note(group.why.clone())
                    .help("give one of them another range")
                    .help(
                        "networks that meet only at their public gateways may overlap: remove the route between them",
                    ),
                );
            }
        }
    }
}

/// R11: service ranges of IPv4 clusters.
fn services(checked: &Checked<'_>, routed: &Routed<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let (blocks, defaults) = (ranges(SERVICE_BLOCKS), ranges(DEFAULT_SERVICE_RANGES));
    // Per network, the groups it is in: most networks are in none, so that most clusters look at one range.
    let mut groups_of: BTreeMap<&NetworkName, Vec<usize>> = BTreeMap::new();
    for (n, group) in routed.groups.iter().enumerate() {
        for network in &group.sorted {
            groups_of.entry(&network.name).or_default().push(n);
        }
    }
    let peer_in = |own: &Network, range: Ipv4Net| -> Option<&Network> {
        let mut groups = groups_of.get(&own.name).into_iter().flatten().filter_map(|n| routed.groups.get(*n));
        groups.find_map(|group| group.overlapping(range))
    };
    for cluster in checked.clusters().filter(|c| c.ip_family == IpFamily::Ipv4 && c.existing.is_none()) {
        let Some(own) = checked.topology.network_of(cluster) else { continue };
        let at = cluster_at(cluster.name.as_str(), "service_cidr");
        let Some(range) = cluster.service_cidr else {
            // EKS avoids the cluster's own VPC, and knows nothing of what that VPC is routed to.
            let mut choices = defaults.iter().filter(|choice| !overlap(**choice, own.cidr));
            let hit = choices.find_map(|choice| {
                let peer = peer_in(own, *choice)?;
                Some((choice, peer))
            });
            if let Some((choice, peer)) = hit {
                diagnostics.push(
                    Diagnostic::error(
                        NO_SERVICE_CIDR,
                        format!("EKS may give {}'s services {choice}, which network `{}` uses", cluster.name, peer.name),
                    )
                    .at_key(AttrPath::keys(&["clusters", cluster.name.as_str()]))
                    .related(value(network_at(peer.name.as_str(), "cidr")), format!("routed to {}", own.name))
                    .note("without `service_cidr`, EKS chooses 10.100.0.0/16 or 172.20.0.0/16, whichever its own VPC does not use")
                    .help("give it a range, for example `service_cidr = \"192.168.0.0/20\"`"),
                );
            }
            continue;
        };
        if range.trunc() != range {
            diagnostics.push(not_canonical(&range.to_string(), &range.trunc().to_string(), at.clone()));
        }
        if !(12..=24).contains(&range.prefix_len()) {
            diagnostics.push(
                Diagnostic::error(SERVICE_CIDR, format!("a service range cannot be a /{}", range.prefix_len()))
                    .at(at.clone())
                    .label("EKS takes /12 to /24")
                    .help("for example `172.20.0.0/16`, or leave it out"),
            );
        }
        if !blocks.iter().any(|block| block.contains(&range)) {
            diagnostics.push(
                Diagnostic::error(SERVICE_CIDR, format!("`{range}` is not a private range"))
                    .at(at.clone())
                    .help("EKS takes service ranges inside 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16"),
            );
        }
        let hit = if overlap(own.cidr, range) { Some(own) } else { peer_in(own, range) };
        if let Some(network) = hit {
            diagnostics.push(
                Diagnostic::error(
                    SERVICE_CIDR,
                    format!("{}'s services overlap network `{}`, which its pods can reach", cluster.name, network.name),
                )
                .at(at)
                .label(format!("overlaps {}", network.cidr))
                .related(value(network_at(network.name.as_str(), "cidr")), "the network's range")
                .note("an address of the overlap would mean a service, so that whatever has it in the VPC is out of reach")
                .help("choose another range, or leave it out and EKS takes 10.100.0.0/16 or 172.20.0.0/16"),
            );
        }
    }
}

/// R10 for the lists of ranges: each starts at its network address.
fn lists(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let sources = match &checked.topology.east_west.allow {
        crate::topology::schema::Sources::Cidrs(ranges) => ranges.iter().map(|range| range.0).collect(),
        crate::topology::schema::Sources::Peers | crate::topology::schema::Sources::Any => Vec::new(),
    };
    for (at, ranges) in [
        (AttrPath::keys(&["api_access", "cidrs"]), &checked.topology.api_access.cidrs),
        (AttrPath::keys(&["east_west", "allow"]), &sources),
    ] {
        for (n, range) in ranges.iter().enumerate().filter(|(_, range)| IpNet::trunc(range) != **range) {
            diagnostics.push(not_canonical(&range.to_string(), &range.trunc().to_string(), at.index(n)));
        }
    }
}

/// R17: AWS's default quotas. A warning, because they are often raised; a plan that goes online reads the real ones.
fn quotas(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    #[derive(Default)]
    struct Use<'a> {
        vpcs: Vec<&'a str>,
        addresses: usize,
        nat_per_zone: usize,
        balancers: usize,
    }
    let mut regions: BTreeMap<&str, Use<'_>> = BTreeMap::new();
    for network in checked.networks().filter(|network| network.existing.is_none()) {
        let region = regions.entry(network.region.as_str()).or_default();
        region.vpcs.push(network.name.as_str());
        let (addresses, per_zone) = match (network.nat, &network.azs) {
            (Nat::None, _) => (0, 0),
            (Nat::Single, Azs::Count(_) | Azs::Names(_)) => (1, 1),
            (Nat::PerAz, azs) => (azs.count(), 1),
        };
        region.addresses += addresses;
        region.nat_per_zone += per_zone;
    }
    for cluster in checked.clusters() {
        if let Some(network) = checked.topology.network_of(cluster) {
            let ingress = usize::from(checked.topology.ingress.is_some());
            regions.entry(network.region.as_str()).or_default().balancers += 1 + ingress;
        }
    }
    for (region, used) in &regions {
        // The default VPC of a region counts as one, with its internet gateway.
        let vpcs = used.vpcs.len() + 1;
        let over = [
            (vpcs, 5, "VPCs (with the region's default one) and internet gateways", "L-F678F1CE and L-A4707A72"),
            (used.addresses, 5, "Elastic IP addresses", "L-0263D0A3"),
            (used.nat_per_zone, 5, "NAT gateways in an availability zone", "L-FE5A380F"),
            (used.balancers, 50, "Network Load Balancers", "L-69A177A2"),
        ];
        for (needed, quota, what, code) in over.into_iter().filter(|(needed, quota, ..)| needed > quota) {
            let found = Diagnostic::warning(
                QUOTA,
                format!("{region} needs {needed} {what}, the default quota is {quota}"),
            )
            .note(format!("Service Quotas: {code}; quotas can be raised, and yours may have been"))
            .help("request an increase before applying, spread the networks over regions, or use `nat = \"single\"`");
            diagnostics.push(match used.vpcs.as_slice() {
                [first, ..] => found
                    .at_key(AttrPath::keys(&["networks", first]))
                    .label(format!("{region} holds {}", enumerate(&used.vpcs))),
                [] => found,
            });
        }
    }
}
