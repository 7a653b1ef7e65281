//! What runs inside the clusters: the control plane and its trust, the gateways between networks, what each cluster
//! knows of the others, and what the user adds.
//!
//! Entry point: [`compile`]. What needs an API server alone (namespaces, the clusters' authorities, the definitions of
//! Istio's kinds, reader tokens) is made while nodes are; load balancers begin as early as their controller runs, beside
//! the control plane. Nothing in one cluster waits for another cluster but what it is told of it, which is the last.
//!
//! Taking down is the reverse: a cluster is forgotten by its peers before its gateway goes, Services go while their
//! controller lives, and the control plane after all that asks its webhooks.
//!
//! One file per topic. How any of it is made is the kinds' matter.

mod control_plane;
mod controller;
mod extras;
mod gateways;
mod ingress;
mod peers;
mod release;
mod sample;
mod service;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;

use super::Compiled;
use super::cluster::{self, Ground};
use super::declaration::Declared;
use super::site::Site;
use crate::kinds::kubernetes::manifest;
use crate::model::{Address, AttrPath, Code, Diagnostic, Target, Value};
use crate::topology::schema::CaSource;
use crate::topology::{Cluster, ClusterName, Network, NetworkName, Topology};

/// The namespace of the control plane and of the gateways.
const ISTIO_SYSTEM: &str = "istio-system";

/// An authority that this version cannot use.
const CA_NOT_BUILT: Code = Code("ca-not-built");

/// The mesh as a whole.
struct Mesh<'a> {
    topology: &'a Topology,
    sites: &'a BTreeMap<&'a NetworkName, Site>,
    /// The networks that have clusters.
    inhabited: BTreeSet<&'a NetworkName>,
    /// Whether there are several Istio networks, which only gateways join.
    has_gateways: bool,
}

/// Adds what is inside of every cluster.
pub(super) fn compile(clusters: &cluster::Mesh<'_>, grounds: &BTreeMap<&ClusterName, Ground>, compiled: &mut Compiled) {
    let topology = clusters.topology;
    if topology.ca.source == CaSource::AcmPca && !topology.clusters.is_empty() {
        // Without an authority of its own each control plane would sign for itself, and none would trust another.
        return compiled.diagnostics.push(
            Diagnostic::error(CA_NOT_BUILT, "this version cannot have AWS Private CA sign the clusters' authorities")
                .at(AttrPath::keys(&["ca", "source"]))
                .help("write `source = \"generated\"`, or have AWS Private CA sign intermediates and give them as `files`"),
        );
    }
    let istio_networks: BTreeSet<&str> = topology
        .clusters
        .values()
        .filter_map(|cluster| topology.network_of(cluster))
        .map(|network| network.istio_network.as_str())
        .collect();
    let mesh = Mesh {
        topology,
        sites: clusters.sites,
        inhabited: clusters.members.keys().copied().collect(),
        has_gateways: istio_networks.len() > 1,
    };
    let mut earlier = Vec::new();
    for (n, cluster) in topology.clusters.values().enumerate() {
        let (Some(network), Some(site), Some(ground)) =
            (topology.network_of(cluster), mesh.sites.get(&cluster.network), grounds.get(&cluster.name))
        else {
            continue;
        };
        let origin = AttrPath::keys(&["clusters", cluster.name.as_str()]);
        Inside { mesh: &mesh, cluster, network, site, ground, origin, compiled }.build(n + 1, &mut earlier);
    }
}

/// The inside of one cluster.
struct Inside<'a> {
    mesh: &'a Mesh<'a>,
    cluster: &'a Cluster,
    network: &'a Network,
    site: &'a Site,
    ground: &'a Ground,
    origin: AttrPath,
    compiled: &'a mut Compiled,
}

impl Inside<'_> {
    /// `number` is the cluster's among all of them, from 1; `earlier` are the control planes that are upgraded before
    /// this one.
    fn build(&mut self, number: usize, earlier: &mut Vec<Address>) {
        let controller = self.controller();
        let control_plane = self.control_plane(earlier);
        if self.mesh.has_gateways {
            self.east_west(&control_plane, controller.as_ref());
        }
        self.peers(&control_plane);
        self.ingress(&control_plane, controller.as_ref());
        self.sample(number, &control_plane);
        self.extras(&control_plane);
        earlier.extend([control_plane.istiod, control_plane.injector]);
    }

    fn name(&self) -> &str {
        self.cluster.name.as_str()
    }

    /// `KIND/CLUSTER/PART…`.
    fn address(&self, kind: &str, parts: &[&str]) -> Address {
        address(kind, self.name(), parts)
    }

    /// Declares a resource in the cluster. `depends_on` is what its holes do not say.
    fn declare<S: Serialize>(&mut self, address: &Address, spec: &S, depends_on: &[&Address]) -> Declared<'_> {
        let target = Target::Cluster { cluster: self.ground.address.clone() };
        self.compiled.declare(target, address.clone(), spec, depends_on, &self.origin)
    }

    /// Declares an object by its manifest, at an address of its own kind and names.
    fn object(&mut self, object: &Json, depends_on: &[&Address]) -> (Address, Declared<'_>) {
        let text = |path: &str| object.pointer(path).and_then(Json::as_str).unwrap_or_default();
        let (kind, name) = (text("/kind").to_ascii_lowercase(), text("/metadata/name"));
        let address = match text("/metadata/namespace") {
            "" => self.address("kubernetes.manifest", &[&kind, name]),
            namespace => self.address("kubernetes.manifest", &[namespace, &kind, name]),
        };
        let spec = manifest::Spec::of(&document(object.clone()));
        let declared = self.declare(&address, &spec, depends_on);
        (address, declared)
    }
}

/// `KIND/CLUSTER/PART…`.
fn address(kind: &str, cluster: &str, parts: &[&str]) -> Address {
    let mut all = vec![cluster];
    all.extend(parts);
    Address::new(kind, &all)
}

/// JSON as a document; what is written as a hole is one.
fn document(json: Json) -> Value {
    // Nothing in JSON is no document.
    serde_json::from_value(json).unwrap_or_default()
}

#[cfg(test)]
mod tests;
