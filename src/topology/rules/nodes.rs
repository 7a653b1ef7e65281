//! What nodes and existing clusters take: the parts of R26 that look at more than one key.

use super::codes::{IGNORED_FOR_EXISTING, NODE_ARCHITECTURE};
use super::operations::node_key;
use super::{Checked, cluster_at};
use crate::model::Diagnostic;
use crate::topology::instance::Architecture;
use crate::topology::resolved::Cluster;
use crate::topology::schema::{ClusterTable, NodeMode};

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for cluster in checked.clusters() {
        match &cluster.existing {
            Some(_) => existing(checked, cluster, diagnostics),
            None if cluster.nodes.mode == NodeMode::Managed => architecture(checked, cluster, diagnostics),
            None => {}
        }
    }
}

/// A node group boots one image, and an image is for one architecture.
fn architecture(checked: &Checked<'_>, cluster: &Cluster, diagnostics: &mut Vec<Diagnostic>) {
    let Some((first, rest)) = cluster.nodes.instance_types.split_first() else { return };
    let wanted = Architecture::of(first);
    let Some((n, other)) = (1..).zip(rest).find(|(_, other)| Architecture::of(other) != wanted) else { return };
    let at = node_key(checked, cluster, "instance_types", |table| table.instance_types.is_some());
    diagnostics.push(
        Diagnostic::error(NODE_ARCHITECTURE, format!("{other} is {} and {first} is {wanted}", Architecture::of(other)))
            .at(at.index(n))
            .label("another architecture")
            .note("a node group boots one image, which is for one architecture")
            .help("name instance types of one architecture"),
    );
}

/// An existing cluster is only looked at: what would shape a new one says nothing about it.
fn existing(checked: &Checked<'_>, cluster: &Cluster, diagnostics: &mut Vec<Diagnostic>) {
    type Written = fn(&ClusterTable) -> bool;
    const ONLY_NEW: [(&str, Written); 7] = [
        ("nodes", |table| table.nodes.is_some()),
        ("workload_identity", |table| table.workload_identity.is_some()),
        ("deletion_protection", |table| table.deletion_protection.is_some()),
        ("logging", |table| table.logging.is_some()),
        ("security_groups", |table| table.security_groups.is_some()),
        ("v6_egress", |table| table.v6_egress == Some(true)),
        ("service_cidr", |table| table.service_cidr.is_some()),
    ];
    let name = cluster.name.as_str();
    let Some(table) = checked.cluster_table(name) else { return };
    for (key, _) in ONLY_NEW.iter().filter(|(_, written)| written(table)) {
        diagnostics.push(
            Diagnostic::warning(
                IGNORED_FOR_EXISTING,
                format!("`{key}` has no effect: {name} exists already, and is only looked at"),
            )
            .at(cluster_at(name, key))
            .help(format!("remove it, or let meshplan build the cluster by removing `[clusters.{name}.existing]`")),
        );
    }
}
