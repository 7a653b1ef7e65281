//! From a topology to declarations. Pure: no file, no clock, no cloud, and no state.
//!
//! Entry point: [`compile`]. One file per part of the mesh; what it derived by default stays with the declaration as
//! a note. It deliberately checks no rule of the topology: what reaches it has passed them.

mod declaration;
mod network;
pub mod trust;

pub use declaration::Declaration;

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
    for network in topology.networks.values() {
        network::compile(topology, network, &mut compiled);
    }
    // Addresses are unique by construction: each has its kind and its network's name.
    compiled.declarations.sort_unstable_by(|a, b| a.address.cmp(&b.address));
    compiled.notes.extend(not_planned(topology.clusters.len()));
    compiled
}

fn not_planned(clusters: usize) -> Option<String> {
    match clusters {
        0 => None,
        1 => Some("1 cluster is declared; this version plans networks only".to_owned()),
        n => Some(format!("{n} clusters are declared; this version plans networks only")),
    }
}

#[cfg(test)]
mod tests;
