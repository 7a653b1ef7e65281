//! What names what: R5, with the peerings of R24.

use std::collections::{BTreeMap, BTreeSet};

use super::codes::{
    INVALID_PEERING, NO_CLUSTERS, NO_NETWORKS, REMOTE_CLUSTER, TRANSIT_GATEWAY, UNKNOWN_CLUSTER, UNKNOWN_NETWORK,
    UNUSED_NETWORK,
};
use super::{Checked, cluster_at, value};
use crate::model::diagnostic::did_you_mean;
use crate::model::{AttrPath, Diagnostic};
use crate::topology::schema::{PeeringVia, Role};

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    tables(checked, diagnostics);
    clusters(checked, diagnostics);
    peerings(checked, diagnostics);
}

/// R5: there are networks, and clusters in them.
fn tables(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let networks = checked.written.networks.as_ref();
    if networks.is_none_or(BTreeMap::is_empty) && !checked.is_mistaken(&AttrPath::keys(&["networks"])) {
        diagnostics.push(
            Diagnostic::error(NO_NETWORKS, "the topology declares no network")
                .help("add a table, for example `[networks.network1]` with `cidr = \"10.1.0.0/16\"`"),
        );
        return;
    }
    let clusters = checked.written.clusters.as_ref();
    if clusters.is_none_or(BTreeMap::is_empty) {
        if !checked.is_mistaken(&AttrPath::keys(&["clusters"])) {
            diagnostics.push(
                Diagnostic::warning(NO_CLUSTERS, "the topology declares no cluster: networks alone are built")
                    .help("add `[clusters.cluster-1]` with `network = \"…\"` when the networks stand"),
            );
        }
        return;
    }
    let used: BTreeSet<&str> =
        clusters.into_iter().flatten().filter_map(|(_, table)| table.network.as_deref()).collect();
    let mistaken = checked.is_mistaken(&AttrPath::keys(&["clusters"]));
    for name in networks.into_iter().flatten().map(|(name, _)| name.as_str()) {
        if !used.contains(name) && !mistaken {
            diagnostics.push(
                Diagnostic::warning(UNUSED_NETWORK, format!("network `{name}` has no cluster"))
                    .at_key(AttrPath::keys(&["networks", name]))
                    .note("it is built all the same, with its NAT gateways, which cost by the hour")
                    .help(format!("put a cluster into it with `network = \"{name}\"`, or remove it")),
            );
        }
    }
}

/// Says that a name is not declared, with the nearest that is.
fn unknown<'a>(found: Diagnostic, name: &str, known: impl Iterator<Item = &'a str> + Clone, what: &str) -> Diagnostic {
    if let Some(near) = did_you_mean(name, known.clone()) {
        return found.help(format!("did you mean `{near}`?"));
    }
    let names: Vec<&str> = known.take(8).collect();
    found.help(format!("declare it as `[{what}.{name}]`, or use one of: {}", names.join(", ")))
}

/// R5: a cluster's network exists. Remote clusters are refused: they cannot be built yet.
fn clusters(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let networks = checked.written.networks.iter().flatten().map(|(name, _)| name.as_str());
    let names = checked.written.clusters.iter().flatten().map(|(name, _)| name.as_str());
    for (name, table) in checked.written.clusters.iter().flatten() {
        if let Some(network) = table.network.as_deref().filter(|network| !checked.declares_network(network)) {
            let found =
                Diagnostic::error(UNKNOWN_NETWORK, format!("{name} lives in `{network}`, which is not declared"))
                    .at(cluster_at(name, "network"))
                    .label("no such network");
            diagnostics.push(unknown(found, network, networks.clone(), "networks"));
        }
        if let Some(primary) = table.primary.as_deref()
            && !checked.declares_cluster(primary)
        {
            let found = Diagnostic::error(UNKNOWN_CLUSTER, format!("{name}'s primary `{primary}` is not declared"))
                .at(cluster_at(name, "primary"))
                .label("no such cluster");
            diagnostics.push(unknown(found, primary, names.clone(), "clusters"));
        }
        if table.role == Some(Role::Remote) || table.primary.is_some() {
            let key = if table.role == Some(Role::Remote) { "role" } else { "primary" };
            diagnostics.push(
                Diagnostic::error(REMOTE_CLUSTER, format!("{name} is a remote cluster, which meshplan cannot build yet"))
                    .at(cluster_at(name, key))
                    .note(
                        "a remote's control plane is reached at the address of its primary's gateway, which changes on AWS; the lowering for that is planned",
                    )
                    .help("make it a primary: remove `role` and `primary`"),
            );
        }
    }
    let files = checked.written.ca.as_ref().and_then(|ca| ca.files.as_ref());
    for name in files.and_then(|files| files.intermediates.as_ref()).into_iter().flatten().map(|(name, _)| name) {
        if !checked.declares_cluster(name) {
            let found = Diagnostic::error(UNKNOWN_CLUSTER, format!("`{name}` has an intermediate but is not declared"))
                .at_key(AttrPath::keys(&["ca", "files", "intermediates", name]))
                .label("no such cluster");
            diagnostics.push(unknown(found, name, names.clone(), "clusters"));
        }
    }
}

/// R24: a peering joins different, declared networks, and no two twice.
fn peerings(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let networks = checked.written.networks.iter().flatten().map(|(name, _)| name.as_str());
    let mut joined: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (name, peering) in &checked.topology.peerings {
        let at = AttrPath::keys(&["peering", name, "networks"]);
        let mut members: BTreeMap<&str, usize> = BTreeMap::new();
        for (n, network) in peering.networks.iter().enumerate() {
            if !checked.declares_network(network.as_str()) {
                let found = Diagnostic::error(
                    UNKNOWN_NETWORK,
                    format!("peering {name} joins `{network}`, which is not declared"),
                )
                .at(at.index(n))
                .label("no such network");
                diagnostics.push(unknown(found, network.as_str(), networks.clone(), "networks"));
            }
            if let Some(first) = members.insert(network.as_str(), n) {
                diagnostics.push(
                    Diagnostic::error(INVALID_PEERING, format!("peering {name} joins {network} with itself"))
                        .at(at.index(n))
                        .related(value(at.index(first)), "first here")
                        .help("name different networks"),
                );
            }
        }
        let count = peering.networks.len();
        if count < 2 || (peering.via == PeeringVia::VpcPeering && count > 2) {
            let found = Diagnostic::error(INVALID_PEERING, format!("peering {name} joins {count} networks"))
                .at(at.clone())
                .label(if count < 2 { "at least two" } else { "two" });
            diagnostics.push(if count < 2 {
                found.help("name the two networks that it joins")
            } else {
                found
                    .note("a VPC peering connection joins two VPCs, and is not transitive")
                    .help("write a peering for each pair")
            });
        }
        if peering.via == PeeringVia::TransitGateway {
            diagnostics.push(
                Diagnostic::error(
                    TRANSIT_GATEWAY,
                    format!("peering {name} is by a transit gateway, which meshplan cannot build yet"),
                )
                .at(AttrPath::keys(&["peering", name, "via"]))
                .help("write a peering by `vpc-peering` for each pair of networks")
                .help("or write `via = \"existing\"`, if a transit gateway of your own joins them"),
            );
        }
        if let [a, b] = peering.networks.as_slice() {
            let pair = if a <= b { (a.as_str(), b.as_str()) } else { (b.as_str(), a.as_str()) };
            if let Some(first) = joined.insert(pair, name) {
                diagnostics.push(
                    Diagnostic::error(INVALID_PEERING, format!("{a} and {b} are joined by {first} and by {name}"))
                        .at(at)
                        .related(value(AttrPath::keys(&["peering", first, "networks"])), "first here")
                        .help("remove one of the two"),
                );
            }
        }
    }
}
