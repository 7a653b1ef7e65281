//! What the user writes: the schema of a topology, its parser, and the rules it must follow.
//!
//! Entry point: [`parse()`], from text to a [`Topology`] that the compiler can rely on, or to every mistake found,
//! each at its place. It deliberately opens no file, knows no resource and asks no cloud.

pub mod carve;
mod decode;
mod files;
pub mod instance;
mod parse;
mod resolve;
pub mod resolved;
pub mod rules;
pub mod schema;
mod spans;

pub use parse::{Parsed, parse};
pub(crate) use resolve::merge;
pub use resolve::{DEFAULT_ISTIO, DEFAULT_KUBERNETES};
pub use resolved::{
    Addon, ApiAccess, Ca, CaFiles, Cluster, ClusterName, EastWest, ExistingCluster, ExistingNetwork, ExtraRelease,
    Ingress, Intermediate, ManifestFile, Mesh, Move, Network, NetworkName, Nodes, Peering, Sample, Topology,
};
pub use schema::json_schema;
pub use spans::SpanTable;
