//! A topology with every default applied and everything derived: what the compiler reads.
//!
//! Entry point: [`Topology`], made by [`super::parse()`]. Nothing here is optional because it was not written, only
//! because it may not exist. Notes say what was derived and why; the plan shows them.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use super::schema::{
    Ami, Azs, CaSource, Capacity, DurationText, IpAddressType, IpFamily, IstioVersion, KeyKind, KubernetesVersion,
    LogType, Nat, NodeMode, PeeringVia, PublicAccess, Region, Release, Role, Scheme, Sources, Values, WorkloadIdentity,
};
use crate::model::Address;

/// Defines the name of one sort of thing: shared text that prints, sorts and is looked up as a `str`.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text that the rules have checked, or will.
            #[must_use]
            pub fn new(text: &str) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a network of the topology: a DNS label.
    NetworkName
}
name! {
    /// The name of a cluster of the topology: a DNS label, and the cluster's name in EKS and in Istio.
    ClusterName
}

/// A whole topology.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// The mesh's identity.
    pub mesh: Mesh,
    /// The release of the AWS Load Balancer Controller.
    pub load_balancer_controller: String,
    /// Whether Kubernetes versions in paid extended support are agreed to.
    pub extended_support: bool,
    /// The user's tags.
    pub tags: BTreeMap<String, String>,
    /// The networks.
    pub networks: BTreeMap<NetworkName, Network>,
    /// The clusters; may be empty.
    pub clusters: BTreeMap<ClusterName, Cluster>,
    /// Private routes between networks, by name.
    pub peerings: BTreeMap<String, Peering>,
    /// Who reaches the API servers.
    pub api_access: ApiAccess,
    /// The gateways between networks.
    pub east_west: EastWest,
    /// The ingress gateways; `None` when there are none.
    pub ingress: Option<Ingress>,
    /// Where trust comes from.
    pub ca: Ca,
    /// The sample applications; `None` when they are not installed.
    pub sample: Option<Sample>,
    /// What is said about EKS add-ons, by name.
    pub addons: BTreeMap<String, Addon>,
    /// Where Istio's charts come from.
    pub istio_charts: String,
    /// Where the load balancer controller's chart comes from.
    pub load_balancer_controller_chart: String,
    /// The registry and path of Istio's images; `None` for the charts' own.
    pub image_hub: Option<String>,
    /// Renamed resources.
    pub moved: Vec<Move>,
}

/// The mesh's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mesh {
    /// Istio's `global.meshID`, the state's key and the ownership tag.
    pub id: String,
    /// The trust domain.
    pub trust_domain: String,
    /// Further accepted trust domains.
    pub trust_domain_aliases: Vec<String>,
    /// Whether families may mix inside one Istio network.
    pub allow_mixed_families: bool,
    /// The ARN of the policy that bounds every role; `None` for no boundary.
    pub permissions_boundary: Option<String>,
    /// The IAM path of every role.
    pub role_path: String,
}

/// One network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name, which is also its key.
    pub name: NetworkName,
    /// Its region.
    pub region: Region,
    /// Its IPv4 range, canonical.
    pub cidr: Ipv4Net,
    /// Its availability zones.
    pub azs: Azs,
    /// Its NAT gateways.
    pub nat: Nat,
    /// Whether it has an IPv6 range.
    pub dual_stack: bool,
    /// Whether its resolver synthesises IPv6 addresses and routes them to the NAT gateway.
    pub dns64: bool,
    /// The Istio network that it belongs to: `topology.istio.io/network`.
    pub istio_network: String,
    /// The VPC and subnets to use instead of building them.
    pub existing: Option<ExistingNetwork>,
    /// Whether it is protected from deletion and replacement.
    pub protect: bool,
    /// What was derived, and why.
    pub notes: Vec<String>,
}

/// An existing VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingNetwork {
    /// Its id.
    pub vpc_id: String,
    /// The ids of its private subnets, as listed.
    pub private_subnets: Vec<String>,
    /// The ids of its public subnets, as listed.
    pub public_subnets: Vec<String>,
    /// Whether the subnets' role tags are ours to write.
    pub manage_tags: bool,
}

/// One cluster.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own in a topology")]
pub struct Cluster {
    /// Its name, which is also its key.
    pub name: ClusterName,
    /// The network that it lives in.
    pub network: NetworkName,
    /// The family of its pods and services.
    pub ip_family: IpFamily,
    /// Whether it has a control plane of its own.
    pub role: Role,
    /// For a remote: whose control plane it uses.
    pub primary: Option<ClusterName>,
    /// The range of its services; `None` leaves it to EKS.
    pub service_cidr: Option<Ipv4Net>,
    /// Whether pods of an IPv4 cluster open IPv6 connections.
    pub v6_egress: bool,
    /// Whether pods of an IPv6 cluster open IPv4 connections.
    pub v4_egress: bool,
    /// Its Istio release.
    pub istio: IstioVersion,
    /// Its Kubernetes version.
    pub kubernetes: KubernetesVersion,
    /// Its nodes.
    pub nodes: Nodes,
    /// The cluster to use instead of building one.
    pub existing: Option<ExistingCluster>,
    /// How its pods get AWS permissions.
    pub workload_identity: WorkloadIdentity,
    /// Whether EKS itself refuses to delete it.
    pub deletion_protection: bool,
    /// The logs that its control plane writes.
    pub logging: BTreeSet<LogType>,
    /// The ids of further security groups of its control plane.
    pub security_groups: Vec<String>,
    /// The families of its east-west load balancer.
    pub gateway: IpAddressType,
    /// The name of its east-west load balancer, if one was given.
    pub load_balancer_name: Option<String>,
    /// Helm values: those of `[helm]`, then the cluster's own merged over them.
    pub helm: BTreeMap<Release, Values>,
    /// Further Helm releases.
    pub releases: Vec<ExtraRelease>,
    /// Further Kubernetes objects.
    pub manifests: Vec<ManifestFile>,
    /// Whether it is protected from deletion and replacement.
    pub protect: bool,
    /// What was derived, and why.
    pub notes: Vec<String>,
}

/// An existing cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExistingCluster {
    /// An EKS cluster of the account, in the network's region.
    Eks {
        /// Its name.
        name: String,
    },
    /// Any Kubernetes cluster.
    Kubeconfig {
        /// The path of the kubeconfig.
        file: String,
        /// The context in it; `None` for its current one.
        context: Option<String>,
    },
}

/// The nodes of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodes {
    /// Who runs them.
    pub mode: NodeMode,
    /// Instance types, the preferred first.
    pub instance_types: Vec<String>,
    /// The smallest number.
    pub min: u32,
    /// The largest number.
    pub max: u32,
    /// The number to start with.
    pub desired: u32,
    /// How they are paid for.
    pub capacity: Capacity,
    /// Their operating system.
    pub ami: Ami,
    /// Their root volume in GiB.
    pub disk_gib: u32,
}

/// A further Helm release.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtraRelease {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its chart.
    pub chart: String,
    /// Its chart's repository.
    pub repository: Option<String>,
    /// Its chart's version.
    pub version: Option<String>,
    /// Its values.
    pub values: Values,
}

/// A file of Kubernetes objects.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestFile {
    /// Its path.
    pub file: String,
    /// What is in it, once it was read.
    pub objects: Vec<serde_json::Value>,
}

/// A private route between networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peering {
    /// Who is joined, in the order written.
    pub networks: Vec<NetworkName>,
    /// By what.
    pub via: PeeringVia,
}

/// Who reaches the API servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAccess {
    /// Who may use the public endpoints.
    pub public: PublicAccess,
    /// Further ranges that may.
    pub cidrs: Vec<IpNet>,
    /// The ARNs of administrators besides the caller.
    pub admins: Vec<String>,
}

/// The gateways between networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EastWest {
    /// Whether their load balancers have public addresses.
    pub scheme: Scheme,
    /// Who may connect.
    pub allow: Sources,
    /// Pods per cluster.
    pub replicas: u32,
}

/// The ingress gateways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingress {
    /// Whether their load balancers have public addresses.
    pub scheme: Scheme,
    /// The ports they listen on.
    pub ports: Vec<u16>,
    /// Pods per cluster.
    pub replicas: u32,
}

/// Where trust comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ca {
    /// Who makes the certificates.
    pub source: CaSource,
    /// The kind of key.
    pub key: KeyKind,
    /// The root's lifetime.
    pub root_ttl: DurationText,
    /// An intermediate's lifetime.
    pub intermediate_ttl: DurationText,
    /// How long a given certificate must live yet.
    pub min_validity: DurationText,
    /// Whether workloads accept several roots.
    pub multi_root: bool,
    /// Whom the root's key is encrypted to; empty for an identity made at first use.
    pub recipients: Vec<String>,
    /// The given files, for [`CaSource::Files`].
    pub files: Option<CaFiles>,
    /// The authority's ARN, for [`CaSource::AcmPca`].
    pub acm_pca: Option<String>,
}

impl Ca {
    /// Takes the paths of files to be relative to this folder: the topology's.
    pub fn found_in(&mut self, folder: &Path) {
        let Some(files) = &mut self.files else { return };
        let ready = files.intermediates.values_mut().flat_map(|of| [&mut of.cert, &mut of.key, &mut of.chain]);
        for path in ready.chain([&mut files.root]).chain(&mut files.key) {
            *path = folder.join(&*path).display().to_string();
        }
    }
}

/// Certificates from files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaFiles {
    /// The root certificate.
    pub root: String,
    /// The root's private key; `None` when the intermediates are ready.
    pub key: Option<String>,
    /// Ready intermediates, by cluster.
    pub intermediates: BTreeMap<ClusterName, Intermediate>,
}

/// The files of a ready intermediate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intermediate {
    /// Its certificate.
    pub cert: String,
    /// Its private key.
    pub key: String,
    /// Its chain.
    pub chain: String,
}

/// The sample applications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Requests that `verify` sends from each cluster.
    pub requests: u32,
    /// The port of the helloworld service.
    pub port: u16,
}

/// What is said about an EKS add-on.
#[derive(Debug, Clone, PartialEq)]
pub struct Addon {
    /// A version, `default` or `latest`.
    pub version: String,
    /// Configuration values, merged with meshplan's own.
    pub configuration: Values,
}

/// A resource that has another address than it had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Its address in state.
    pub from: Address,
    /// Its address now.
    pub to: Address,
}

impl Topology {
    /// The network of a cluster; `None` only for a cluster that is not of this topology.
    #[must_use]
    pub fn network_of(&self, cluster: &Cluster) -> Option<&Network> {
        self.networks.get(&cluster.network)
    }

    /// The clusters of a network, by name. Looks at every cluster: for a whole pass, group them once instead.
    pub fn clusters_in<'a>(&'a self, network: &'a NetworkName) -> impl Iterator<Item = &'a Cluster> {
        self.clusters.values().filter(move |cluster| cluster.network == *network)
    }

    /// Whether any cluster's pods are IPv6.
    #[must_use]
    pub fn has_ipv6(&self) -> bool {
        self.clusters.values().any(|cluster| cluster.ip_family == IpFamily::Ipv6)
    }
}
