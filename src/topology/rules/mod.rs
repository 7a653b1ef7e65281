//! The rules that a topology must follow, beyond its shape: one file per family of rules.
//!
//! Entry points: [`RULES`], what can be found, and `check`, which finds it. Every rule looks at the whole
//! topology and reports all it finds; none stops another. Their cost is linear in networks and clusters, times a
//! logarithm where things are sorted: ranges are swept, and pairs of clusters are judged by kind (there are at
//! most 64 kinds), never one by one.
//!
//! Some rules have no static half, because only the cloud or the state can break them: R31 (a change that replaces a live
//! cluster) and R33 (the state is the caller's). Of R29 (security groups given by hand) only the form is looked at.

mod addressing;
mod codes;
mod control_plane;
pub mod families;
mod helm;
mod identity;
pub mod matrix;
mod names;
mod nodes;
mod operations;
mod reachability;
mod references;
mod trust;
mod versions;
mod zones;

use std::collections::BTreeSet;

pub(crate) use codes::{DUPLICATE_KEY, INVALID_MOVE, INVALID_VALUE, MISSING_KEY, TOML_SYNTAX, UNKNOWN_KEY, WRONG_TYPE};
pub use codes::{RULES, Rule};

use super::decode::under;
use super::resolved::{Cluster, Network, Topology};
use super::schema::{ClusterTable, Document, NetworkTable};
use crate::model::{AttrPath, Diagnostic, Location};

/// What the rules look at: the document as written, and what it means.
pub(crate) struct Checked<'a> {
    written: &'a Document,
    topology: &'a Topology,
    set_aside: &'a BTreeSet<AttrPath>,
}

impl<'a> Checked<'a> {
    pub(crate) fn new(written: &'a Document, topology: &'a Topology, set_aside: &'a BTreeSet<AttrPath>) -> Self {
        Self { written, topology, set_aside }
    }

    fn networks(&self) -> impl Iterator<Item = &'a Network> {
        self.topology.networks.values()
    }

    fn clusters(&self) -> impl Iterator<Item = &'a Cluster> {
        self.topology.clusters.values()
    }

    /// A network as written.
    fn network_table(&self, name: &str) -> Option<&'a NetworkTable> {
        self.written.networks.as_ref()?.get(name)
    }

    /// A cluster as written.
    fn cluster_table(&self, name: &str) -> Option<&'a ClusterTable> {
        self.written.clusters.as_ref()?.get(name)
    }

    /// Whether a network of that name is declared, be it mistaken.
    fn declares_network(&self, name: &str) -> bool {
        self.network_table(name).is_some() || self.is_set_aside(&["networks"]) || self.is_set_aside(&["networks", name])
    }

    /// Whether a cluster of that name is declared, be it mistaken.
    fn declares_cluster(&self, name: &str) -> bool {
        self.cluster_table(name).is_some() || self.is_set_aside(&["clusters"]) || self.is_set_aside(&["clusters", name])
    }

    /// Whether anything at or under a path could not be decoded: what is missing there means nothing.
    fn is_mistaken(&self, path: &AttrPath) -> bool {
        under(self.set_aside, path).next().is_some()
    }

    fn is_set_aside(&self, path: &[&str]) -> bool {
        self.set_aside.contains(&AttrPath::keys(path))
    }
}

/// Applies every rule.
pub(crate) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let families: [fn(&Checked<'_>, &mut Vec<Diagnostic>); 13] = [
        names::check,
        identity::check,
        references::check,
        versions::check,
        addressing::check,
        zones::check,
        families::check,
        reachability::check,
        operations::check,
        nodes::check,
        control_plane::check,
        trust::check,
        helm::check,
    ];
    for family in families {
        family(checked, diagnostics);
    }
    once_for_defaults(diagnostics);
}

/// What is wrong in `[defaults]` is wrong for every cluster, and told for the first.
fn once_for_defaults(diagnostics: &mut Vec<Diagnostic>) {
    let defaults = AttrPath::keys(&["defaults"]);
    let mut told = BTreeSet::new();
    diagnostics.retain(|found| match &found.at {
        Some(Location::Topology(path)) if path.segments().starts_with(defaults.segments()) => {
            told.insert((found.code, path.clone()))
        }
        _ => true,
    });
}

/// The place of a network's key.
fn network_at(network: &str, key: &str) -> AttrPath {
    AttrPath::keys(&["networks", network, key])
}

/// The place of a network's key if it is written, or else the network's name, for what holds by default.
fn network_place(network: &str, key: &str, written: bool) -> Location {
    if written {
        Location::Topology(network_at(network, key))
    } else {
        Location::TopologyKey(AttrPath::keys(&["networks", network]))
    }
}

/// The place that says a network's region: its own key, or else the mesh's.
fn region_at(checked: &Checked<'_>, network: &str) -> AttrPath {
    if checked.network_table(network).is_some_and(|table| table.region.is_some()) {
        network_at(network, "region")
    } else {
        AttrPath::keys(&["mesh", "region"])
    }
}

/// The place of a cluster's key.
fn cluster_at(cluster: &str, key: &str) -> AttrPath {
    AttrPath::keys(&["clusters", cluster, key])
}

/// The value at a path, as a further place.
fn value(path: AttrPath) -> Location {
    Location::Topology(path)
}

/// "a", "a and b", "a, b and c", "a, b and 4 more".
fn enumerate<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [a, b] => format!("{} and {}", a.as_ref(), b.as_ref()),
        [a, b, c] => format!("{}, {} and {}", a.as_ref(), b.as_ref(), c.as_ref()),
        [a, b, rest @ ..] => format!("{}, {} and {} more", a.as_ref(), b.as_ref(), rest.len()),
    }
}
