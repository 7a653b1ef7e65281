//! From a topology to declarations. Pure: no file, no clock, no cloud, and no state.
//!
//! Entry point: [`compile`]. One file per part of the mesh; what it derived by default stays with the declaration as
//! a note. Networks come first, and what clusters need of them is handed on as a `Site`; then the clusters, and what the mesh
//! inside of them needs is handed on as a `Ground`. It deliberately checks no rule of the topology: what reaches it has passed them.

mod cluster;
mod declaration;
mod mesh;
mod network;
mod peering;
mod site;
pub mod trust;

pub use declaration::Declaration;

use std::collections::BTreeMap;

use crate::model::Diagnostic;
use crate::topology::Topology;

/// What a topology means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// One per resource, sorted by address.
    pub declarations: Vec<Declaration>,
    /// What cannot be compiled.
    pub diagnostics: Vec<Diagnostic>,
    /// What is to be said about the whole, a line each.
    pub notes: Vec<String>,
}

/// Compiles a topology that has passed its rules.
#[must_use]
pub fn compile(topology: &Topology) -> Compiled {
    let mut compiled = Compiled { declarations: Vec::new(), diagnostics: Vec::new(), notes: Vec::new() };
    let mut sites = BTreeMap::new();
    for network in topology.networks.values() {
        if let Some(site) = network::compile(topology, network, &mut compiled) {
            sites.insert(&network.name, site);
        }
    }
    trust::compile(topology, &mut compiled);
    let peers = peering::compile(topology, &sites, &mut compiled);
    let mesh = cluster::Mesh::new(topology, &sites, &peers);
    let mut grounds = BTreeMap::new();
    for cluster in topology.clusters.values() {
        if let Some(ground) = cluster::compile(&mesh, cluster, &mut compiled) {
            grounds.insert(&cluster.name, ground);
        }
    }
    mesh::compile(&mesh, &grounds, &mut compiled);
    // Addresses are unique by construction: each has its kind and the name of its network or cluster.
    compiled.declarations.sort_unstable_by(|a, b| a.address.cmp(&b.address));
    compiled
}

#[cfg(test)]
mod tests;
