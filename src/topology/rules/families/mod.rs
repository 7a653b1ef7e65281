//! IPv4 and IPv6 clusters in one mesh: R12, and R18 to R22 with the matrix of who can reach whom.
//!
//! Entry points: [`api`] and [`data`], the two halves of the matrix, pure and per ordered pair of a reader (whose
//! proxies and istiod connect) and a target; and `check`, which applies them to a topology. The cells are facts
//! about Istio, the AWS VPC CNI and EKS, each said with its reason.
//!
//! Clusters are judged by kind: what the matrix looks at has few values, so that thousands of clusters make a
//! few dozen kinds, and a pair of kinds is judged once.

mod cells;
mod local;

use std::collections::BTreeMap;

pub use cells::{Endpoint, Reader, Verdict, api, data};

use super::codes::{FAMILY_API_UNREACHABLE, FAMILY_UNREACHABLE};
use super::{Checked, cluster_at, enumerate, network_at, value};
use crate::model::{AttrPath, Diagnostic, Location};
use crate::topology::resolved::{Cluster, Network};
use crate::topology::schema::{IpAddressType, IpFamily, NodeMode, Scheme};

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    local::check(checked, diagnostics);
    pairs(checked, diagnostics);
}

impl Reader {
    /// What the matrix needs to know of a cluster that connects to others.
    #[must_use]
    pub fn of(cluster: &Cluster, network: &Network) -> Self {
        match (cluster.ip_family, cluster.v6_egress, cluster.v4_egress) {
            (IpFamily::Ipv4, false, _) => Self::Ipv4,
            (IpFamily::Ipv4, true, _) => Self::Ipv4WithV6Egress,
            (IpFamily::Ipv6, _, v4_egress) => Self::Ipv6 { v4_egress, dns64: network.dns64 },
        }
    }
}

/// What the matrix tells apart in a cluster, as reader and as target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    reader: Reader,
    filters: bool,
    endpoint: Endpoint,
    gateway: IpAddressType,
}

/// The clusters of one kind: all of them, and by Istio network the first, because the data plane of one Istio
/// network needs no gateway.
struct Kin<'a> {
    clusters: Vec<&'a Cluster>,
    networks: BTreeMap<&'a str, &'a Cluster>,
}

/// R18: every ordered pair of clusters.
fn pairs(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut kinds: BTreeMap<Kind, Kin<'_>> = BTreeMap::new();
    for cluster in checked.clusters() {
        let Some(network) = checked.topology.network_of(cluster) else { continue };
        // An IPv6 cluster without an IPv6 network or gateway has its own finding, which explains it better.
        if cluster.ip_family == IpFamily::Ipv6 && cluster.gateway == IpAddressType::Ipv4 {
            continue;
        }
        let kind = Kind {
            reader: Reader::of(cluster, network),
            filters: cluster.istio.filters_gateways_by_family(),
            endpoint: Endpoint::of(cluster.ip_family),
            gateway: cluster.gateway,
        };
        let kin = kinds.entry(kind).or_insert_with(|| Kin { clusters: Vec::new(), networks: BTreeMap::new() });
        kin.clusters.push(cluster);
        kin.networks.entry(&network.istio_network).or_insert(cluster);
    }
    let mut told = BTreeMap::new();
    for (reader, readers) in &kinds {
        for (target, targets) in &kinds {
            if let Verdict::Fails { reason, help } = data(reader.reader, reader.filters, target.gateway) {
                gateways(checked, (reader, readers), (target, targets), (reason, help), &mut told);
            }
            // A cluster of the same kind is a target only if it is another one.
            let other = targets.clusters.iter().find(|t| readers.clusters.iter().any(|r| r.name != t.name));
            if let (Verdict::Fails { reason, help }, Some(other)) = (api(reader.reader, target.endpoint), other) {
                // Auto Mode without DNS64 has its own finding, which says the same of one cluster alone.
                let told_already =
                    |cluster: &Cluster| cluster.nodes.mode == NodeMode::Auto && cluster.ip_family == IpFamily::Ipv6;
                for cluster in readers.clusters.iter().filter(|cluster| !told_already(cluster)) {
                    told.entry((culprit_of_reader(checked, cluster), FAMILY_API_UNREACHABLE)).or_insert_with(|| {
                        Diagnostic::error(
                            FAMILY_API_UNREACHABLE,
                            format!("{}'s istiod cannot reach the API server of {}", cluster.name, other.name),
                        )
                        .note(reason)
                        .help(help)
                    });
                }
            }
        }
    }
    diagnostics.extend(told.into_iter().map(|((at, _), found)| found.at(at)));
}

/// Where the families of a reader's egress were written, or the cluster.
fn culprit_of_reader(checked: &Checked<'_>, cluster: &Cluster) -> AttrPath {
    let name = cluster.name.as_str();
    let (own, network) = (checked.cluster_table(name), checked.network_table(cluster.network.as_str()));
    match cluster.ip_family {
        IpFamily::Ipv6 if network.is_some_and(|table| table.dns64.is_some()) => {
            network_at(cluster.network.as_str(), "dns64")
        }
        IpFamily::Ipv6 if own.is_some_and(|table| table.v4_egress.is_some()) => cluster_at(name, "v4_egress"),
        IpFamily::Ipv4 if own.is_some_and(|table| table.v6_egress.is_some()) => cluster_at(name, "v6_egress"),
        IpFamily::Ipv4 if network.is_some_and(|table| table.dual_stack == Some(false)) => {
            network_at(cluster.network.as_str(), "dual_stack")
        }
        IpFamily::Ipv4 | IpFamily::Ipv6 => cluster_at(name, "ip_family"),
    }
}

/// Reports that proxies of one kind cannot use the gateways of another: at what made the gateway what it is, or
/// at the reader when it is the reader that lacks something.
fn gateways(
    checked: &Checked<'_>,
    (reader, readers): (&Kind, &Kin<'_>),
    (target, targets): (&Kind, &Kin<'_>),
    (reason, help): (&'static str, &'static str),
    told: &mut BTreeMap<(AttrPath, crate::model::Code), Diagnostic>,
) {
    /// The first cluster of another Istio network than the given one.
    fn abroad<'a>(kin: &Kin<'a>, home: &str) -> Option<&'a Cluster> {
        kin.networks.iter().find(|(network, _)| **network != home).map(|(_, cluster)| *cluster)
    }
    let home = |cluster: &Cluster| {
        checked.topology.network_of(cluster).map(|network| network.istio_network.as_str()).unwrap_or_default()
    };
    let at_reader = target.gateway == IpAddressType::Dualstack;
    let (here, there) = if at_reader { (readers, targets) } else { (targets, readers) };
    for cluster in &here.clusters {
        let Some(other) = abroad(there, home(cluster)) else { continue };
        let culprit =
            if at_reader { culprit_of_reader(checked, cluster) } else { culprit_of_gateway(checked, cluster) };
        let (from, to) = if at_reader { (*cluster, other) } else { (other, *cluster) };
        told.entry((culprit.clone(), FAMILY_UNREACHABLE)).or_insert_with(|| {
            let others: Vec<&str> =
                readers.clusters.iter().map(|c| c.name.as_str()).filter(|n| *n != from.name.as_str()).collect();
            let found = Diagnostic::error(
                FAMILY_UNREACHABLE,
                format!("{}'s proxies cannot reach {} through its east-west gateway", from.name, to.name),
            )
            .related(family_of(checked, from), format!("{}'s pods are {}", from.name, reader.reader.describe()))
            .note(reason)
            .help(help);
            if at_reader || others.is_empty() {
                found
            } else {
                found.note(format!("the same goes for {}", enumerate(&others)))
            }
        });
    }
}

/// Where a cluster's family is written, or else its table.
fn family_of(checked: &Checked<'_>, cluster: &Cluster) -> Location {
    let name = cluster.name.as_str();
    match checked.cluster_table(name).and_then(|table| table.ip_family) {
        Some(_) => value(cluster_at(name, "ip_family")),
        None => Location::TopologyKey(AttrPath::keys(&["clusters", name])),
    }
}

/// What made a gateway IPv4-only.
fn culprit_of_gateway(checked: &Checked<'_>, cluster: &Cluster) -> AttrPath {
    let explicit = checked.written.east_west.as_ref().and_then(|table| table.ip_address_type);
    if explicit.is_some() {
        AttrPath::keys(&["east_west", "ip_address_type"])
    } else {
        network_at(cluster.network.as_str(), "dual_stack")
    }
}

/// Whether clusters reach each other through gateways at all.
pub(super) fn uses_gateways(checked: &Checked<'_>) -> bool {
    let mut networks = checked
        .clusters()
        .filter_map(|cluster| checked.topology.network_of(cluster))
        .map(|network| network.istio_network.as_str());
    networks.next().is_some_and(|first| networks.any(|other| other != first))
        || checked.topology.east_west.scheme == Scheme::Internal
}
