//! One cluster: its roles, its control plane, its add-ons and nodes, who may use it, and what sweeps up after it; or a
//! look at an existing one.
//!
//! What is made after what follows from the references and from a few orders that no reference expresses. Roles wait
//! for nothing, the control plane for its subnets and its role and never for a NAT gateway or a route, nodes for the
//! network plug-in and for a way to a registry, and the cluster's DNS for nodes to run on. Taking down is the reverse,
//! in which the sweeps find their places by what they are declared to stand on (see `teardown`).
//!
//! One file per topic. Nothing of what runs *inside* a cluster is here.

mod access;
mod addons;
mod control_plane;
mod identity;
mod names;
mod nodes;
mod teardown;

use std::collections::BTreeMap;

use serde::Serialize;

use super::Compiled;
use super::declaration::Declared;
use super::peering::Peers;
use super::site::Site;
use crate::kinds::aws::tags::Tags;
use crate::kinds::eks::cluster::IpFamily as EksFamily;
use crate::kinds::eks::existing_cluster as existing_eks;
use crate::kinds::iam::policies::Partition;
use crate::kinds::kubernetes::existing_cluster as existing_kubernetes;
use crate::model::{Address, AttrPath, Input, Reference, Target};
use crate::topology::schema::{IpFamily, NodeMode};
use crate::topology::{Cluster, ExistingCluster, NetworkName, Topology};

/// What a cluster needs to know of the whole mesh.
pub(super) struct Mesh<'a> {
    pub(super) topology: &'a Topology,
    pub(super) sites: &'a BTreeMap<&'a NetworkName, Site>,
    /// The networks that each network has a private route to.
    pub(super) peers: &'a Peers<'a>,
    /// The clusters of each network that has any.
    pub(super) members: BTreeMap<&'a NetworkName, Vec<&'a Cluster>>,
}

impl<'a> Mesh<'a> {
    pub(super) fn new(
        topology: &'a Topology,
        sites: &'a BTreeMap<&'a NetworkName, Site>,
        peers: &'a Peers<'a>,
    ) -> Self {
        let mut members: BTreeMap<&NetworkName, Vec<&Cluster>> = BTreeMap::new();
        for cluster in topology.clusters.values() {
            members.entry(&cluster.network).or_default().push(cluster);
        }
        Self { topology, sites, peers, members }
    }
}

/// What the mesh in a cluster stands on.
pub(super) struct Ground {
    /// The cluster itself, whoever's it is.
    pub(super) address: Address,
    /// What has to be ready before pods run: nodes and DNS. Empty where somebody else sees to that.
    pub(super) workers: Vec<Address>,
    /// For the load balancer controller, where it is ours to install.
    pub(super) controller: Option<Controller>,
    /// What sweeps up load balancers, where the cluster is ours: they are made after it, and go before it.
    pub(super) sweep: Option<Address>,
}

/// What the load balancer controller acts with.
pub(super) struct Controller {
    /// Its role.
    pub(super) role: Address,
    /// What ties its service account to the role; none where the role's own trust does.
    pub(super) association: Option<Address>,
}

/// Adds a cluster's declarations; `None` if its network cannot be built.
pub(super) fn compile(mesh: &Mesh<'_>, cluster: &Cluster, compiled: &mut Compiled) -> Option<Ground> {
    // A network that cannot be built has been reported.
    let site = mesh.sites.get(&cluster.network)?;
    let origin = AttrPath::keys(&["clusters", cluster.name.as_str()]);
    let mut lowering = Lowering { mesh, cluster, site, origin, compiled };
    Some(match &cluster.existing {
        Some(existing) => lowering.existing(existing),
        None => lowering.build(),
    })
}

/// The release of a cluster's load balancer controller, where it is ours to install.
pub(super) fn controller_release(cluster: &str) -> Address {
    Address::new("helm.release", &[cluster, identity::NAMESPACE, identity::CONTROLLER_ACCOUNT])
}

struct Lowering<'a> {
    mesh: &'a Mesh<'a>,
    cluster: &'a Cluster,
    site: &'a Site,
    origin: AttrPath,
    compiled: &'a mut Compiled,
}

impl Lowering<'_> {
    /// A cluster of someone else's: a look, and nothing but a look.
    fn existing(&mut self, existing: &ExistingCluster) -> Ground {
        let cluster = self.cluster;
        let address = address_of(cluster);
        let ground = Ground { address: address.clone(), workers: Vec::new(), controller: None, sweep: None };
        match existing {
            ExistingCluster::Eks { name } => {
                let spec =
                    existing_eks::Spec { name: name.clone(), ip_family: family(cluster), vpc_id: self.site.vpc_id() };
                self.declare(address, &spec, &[]).notes(&cluster.notes);
            }
            ExistingCluster::Kubeconfig { file, context } => {
                let spec = existing_kubernetes::Spec { kubeconfig: file.clone(), context: context.clone() };
                self.declare_at(Target::Local, address, &spec, &[]).notes(&cluster.notes);
            }
        }
        ground
    }

    /// A cluster of our own.
    fn build(&mut self) -> Ground {
        let roles = self.roles();
        let address = self.control_plane(&roles);
        self.workload_roles(&roles);
        let mut workers = Vec::new();
        match self.cluster.nodes.mode {
            NodeMode::Managed => {
                let before_nodes = self.node_addons(&roles);
                let nodes = self.nodes(&roles, &before_nodes);
                let dns = self.further_addons(Some(&nodes));
                workers.push(nodes);
                workers.extend(dns);
            }
            // Auto Mode brings nodes, networking, DNS and load balancing of its own.
            NodeMode::Auto => {
                self.further_addons(None);
            }
        }
        let association = self.controller_identity(&roles);
        self.admins();
        self.security_group_rules();
        let sweep = self.sweeps(&roles, workers.first(), association.as_ref());
        let controller = roles.workloads.map(|workloads| Controller { role: workloads.controller, association });
        Ground { address, workers, controller, sweep }
    }

    fn is_auto(&self) -> bool {
        self.cluster.nodes.mode == NodeMode::Auto
    }

    fn partition(&self) -> Partition {
        Partition::of_region(&self.site.region)
    }

    /// `KIND/CLUSTER/PART…`.
    fn address(&self, kind: &str, parts: &[&str]) -> Address {
        let mut all = vec![self.cluster.name.as_str()];
        all.extend(parts);
        Address::new(kind, &all)
    }

    /// The cluster itself.
    fn itself(&self) -> Address {
        address_of(self.cluster)
    }

    /// The cluster's name, once there is a cluster.
    fn name(&self) -> Input<String> {
        Reference::to(&self.itself(), "name").into()
    }

    /// The user's tags, and whose it is.
    fn tags(&self, address: &Address, name: &str) -> Tags {
        let topology = self.mesh.topology;
        let mut tags = topology.tags.clone();
        tags.insert("Name".to_owned(), name.to_owned());
        tags.insert("meshplan:mesh".to_owned(), topology.mesh.id.clone());
        tags.insert("meshplan:address".to_owned(), address.to_string());
        tags
    }

    /// `MESH-CLUSTER`, or `MESH-CLUSTER-PART`: a name for the console.
    fn label(&self, part: &str) -> String {
        let dash = if part.is_empty() { "" } else { "-" };
        format!("{}-{}{dash}{part}", self.mesh.topology.mesh.id, self.cluster.name)
    }

    /// Declares a resource in the cluster's region. `depends_on` is what its holes do not say.
    fn declare<S: Serialize>(&mut self, address: Address, spec: &S, depends_on: &[&Address]) -> Declared<'_> {
        self.declare_at(self.site.target(), address, spec, depends_on)
    }

    fn declare_at<S: Serialize>(
        &mut self,
        target: Target,
        address: Address,
        spec: &S,
        depends_on: &[&Address],
    ) -> Declared<'_> {
        self.compiled.declare(target, address, spec, depends_on, &self.origin)
    }
}

/// The address of a cluster, whoever's it is.
pub(super) fn address_of(cluster: &Cluster) -> Address {
    let kind = match &cluster.existing {
        None => "eks.cluster",
        Some(ExistingCluster::Eks { .. }) => "eks.existing_cluster",
        Some(ExistingCluster::Kubeconfig { .. }) => "kubernetes.existing_cluster",
    };
    Address::new(kind, &[cluster.name.as_str()])
}

/// A cluster's family, in EKS's words.
fn family(cluster: &Cluster) -> EksFamily {
    match cluster.ip_family {
        IpFamily::Ipv4 => EksFamily::Ipv4,
        IpFamily::Ipv6 => EksFamily::Ipv6,
    }
}

#[cfg(test)]
mod tests;
