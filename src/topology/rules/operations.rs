//! Replicas, nodes and ports: R26 and R32.

use super::codes::{IGNORED_FOR_AUTO, NODE_COUNTS, RESERVED_PORT, SINGLE_REPLICA};
use super::{Checked, cluster_at, value};
use crate::model::{AttrPath, Diagnostic};
use crate::topology::resolved::Cluster;
use crate::topology::schema::{NodeMode, NodesTable};

/// Ports that the mesh uses for itself, and for what.
const RESERVED_PORTS: [(u16, &str); 5] = [
    (15008, "HBONE"),
    (15012, "istiod's discovery"),
    (15017, "istiod's webhooks"),
    (15021, "gateways' health"),
    (15443, "traffic between networks"),
];

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    replicas(checked, diagnostics);
    for cluster in checked.clusters().filter(|cluster| cluster.existing.is_none()) {
        nodes(checked, cluster, diagnostics);
    }
    ports(checked, diagnostics);
}

/// R26: gateways in pairs.
fn replicas(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let ingress = checked.topology.ingress.as_ref().map_or(2, |ingress| ingress.replicas);
    for (table, replicas) in [("east_west", checked.topology.east_west.replicas), ("ingress", ingress)] {
        let at = AttrPath::keys(&[table, "replicas"]);
        if replicas == 0 {
            diagnostics.push(
                Diagnostic::error(NODE_COUNTS, "a gateway needs a pod")
                    .at(at)
                    .help("write `replicas = 2`, the default"),
            );
        } else if replicas == 1 {
            diagnostics.push(
                Diagnostic::warning(SINGLE_REPLICA, "one gateway pod per cluster is a single point of failure")
                    .at(at)
                    .note("its disruption budget also blocks draining the node that it runs on")
                    .help("write `replicas = 2`, the default"),
            );
        }
    }
}

/// Where a key of a cluster's nodes is written.
pub(super) fn node_key(
    checked: &Checked<'_>,
    cluster: &Cluster,
    key: &str,
    written: fn(&NodesTable) -> bool,
) -> AttrPath {
    let own = checked.cluster_table(cluster.name.as_str()).and_then(|table| table.nodes.as_ref());
    let default = checked.written.defaults.as_ref().and_then(|defaults| defaults.nodes.as_ref());
    if own.is_some_and(written) || !default.is_some_and(written) {
        cluster_at(cluster.name.as_str(), "nodes").key(key)
    } else {
        AttrPath::keys(&["defaults", "nodes", key])
    }
}

/// R26: node counts in order, and enough nodes.
fn nodes(checked: &Checked<'_>, cluster: &Cluster, diagnostics: &mut Vec<Diagnostic>) {
    let nodes = &cluster.nodes;
    let min_at = || node_key(checked, cluster, "min", |table| table.min.is_some());
    let max_at = || node_key(checked, cluster, "max", |table| table.max.is_some());
    let types_at = || node_key(checked, cluster, "instance_types", |table| table.instance_types.is_some());
    if nodes.mode == NodeMode::Auto {
        let own = checked.cluster_table(cluster.name.as_str()).and_then(|table| table.nodes.as_ref());
        let given = own.is_some_and(|own| {
            own.instance_types.is_some()
                || own.min.is_some()
                || own.max.is_some()
                || own.desired.is_some()
                || own.capacity.is_some()
                || own.ami.is_some()
                || own.disk_gib.is_some()
        });
        if given {
            diagnostics.push(
                Diagnostic::warning(
                    IGNORED_FOR_AUTO,
                    format!("{} runs in Auto Mode, which chooses nodes itself", cluster.name),
                )
                .at(cluster_at(cluster.name.as_str(), "nodes"))
                .label("only `mode` has an effect here")
                .help("remove the other keys, or write `mode = \"managed\"`"),
            );
        }
        return;
    }
    if nodes.min > nodes.max {
        diagnostics.push(
            Diagnostic::error(
                NODE_COUNTS,
                format!("{} has at least {} and at most {} nodes", cluster.name, nodes.min, nodes.max),
            )
            .at(min_at())
            .related(value(max_at()), "less than the minimum")
            .help("make `max` at least `min`"),
        );
    } else if !(nodes.min..=nodes.max).contains(&nodes.desired) {
        diagnostics.push(
            Diagnostic::error(
                NODE_COUNTS,
                format!(
                    "{} starts with {} nodes, which is not from {} to {}",
                    cluster.name, nodes.desired, nodes.min, nodes.max
                ),
            )
            .at(node_key(checked, cluster, "desired", |table| table.desired.is_some()))
            .help("leave `desired` out, and it is `min`"),
        );
    }
    if nodes.max == 0 {
        diagnostics.push(
            Diagnostic::error(NODE_COUNTS, format!("{} can have no node", cluster.name))
                .at(max_at())
                .help("write `max = 5`, the default"),
        );
    } else if nodes.min < 2 && nodes.min <= nodes.max {
        diagnostics.push(
            Diagnostic::warning(
                SINGLE_REPLICA,
                format!("{} may run on {} node{}", cluster.name, nodes.min, if nodes.min == 1 { "" } else { "s" }),
            )
            .at(min_at())
            .note("istiod and the gateways run two pods each, on different nodes where there are two")
            .help("write `min = 2`, the default"),
        );
    }
    if nodes.instance_types.is_empty() {
        diagnostics.push(
            Diagnostic::error(NODE_COUNTS, format!("{} names no instance type", cluster.name))
                .at(types_at())
                .help("leave it out for `m6i.large`, or name at least one"),
        );
    }
    for (n, kind) in nodes.instance_types.iter().enumerate() {
        let well_formed = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !kind.split_once('.').is_some_and(|(family, size)| well_formed(family) && well_formed(size)) {
            diagnostics.push(
                Diagnostic::error(NODE_COUNTS, format!("`{kind}` is not an instance type"))
                    .at(types_at().index(n))
                    .help("they read FAMILY.SIZE, for example `m6i.large`"),
            );
        }
    }
    if !(20..=16_384).contains(&nodes.disk_gib) {
        diagnostics.push(
            Diagnostic::error(NODE_COUNTS, format!("a node's volume cannot have {} GiB", nodes.disk_gib))
                .at(node_key(checked, cluster, "disk_gib", |table| table.disk_gib.is_some()))
                .help("from 20 (what the images need) to 16384 (what a volume can have)"),
        );
    }
}

/// R32: the mesh's own ports are not used for anything else.
fn ports(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut used: Vec<(AttrPath, u16)> = Vec::new();
    if let Some(sample) = &checked.topology.sample {
        used.push((AttrPath::keys(&["sample", "port"]), sample.port));
    }
    if let Some(ingress) = &checked.topology.ingress {
        let at = AttrPath::keys(&["ingress", "ports"]);
        for (n, port) in ingress.ports.iter().enumerate() {
            if let Some(first) = ingress.ports.iter().take(n).position(|earlier| earlier == port) {
                diagnostics.push(
                    Diagnostic::error(RESERVED_PORT, format!("port {port} is listed twice"))
                        .at(at.index(n))
                        .related(value(at.index(first)), "first here")
                        .help("list it once"),
                );
            }
            used.push((at.index(n), *port));
        }
    }
    for (at, port) in used {
        if port == 0 {
            diagnostics
                .push(Diagnostic::error(RESERVED_PORT, "there is no port 0").at(at).help("ports are 1 to 65535"));
        } else if let Some((_, what)) = RESERVED_PORTS.iter().find(|(reserved, _)| *reserved == port) {
            diagnostics.push(
                Diagnostic::error(RESERVED_PORT, format!("port {port} is the mesh's own: {what}"))
                    .at(at)
                    .help("choose another port"),
            );
        }
    }
}
