//! `[clusters.NAME]` and `[defaults.nodes]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{HelmTables, Ipv4Cidr, IstioVersion, KubernetesVersion, Values};

/// One Kubernetes cluster of the mesh.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["network"]))]
pub struct ClusterTable {
    /// The name of the network that the cluster lives in.
    pub network: Option<String>,
    /// The address family of pods and services, fixed for the cluster's life. Default: `ipv4`.
    pub ip_family: Option<IpFamily>,
    /// Whether the cluster has a control plane of its own. Default: `primary`.
    pub role: Option<Role>,
    /// For `role = "remote"`: the name of the cluster whose control plane it uses.
    pub primary: Option<String>,
    /// The IPv4 range of services, /12 to /24. Default: EKS chooses 10.100.0.0/16 or 172.20.0.0/16.
    pub service_cidr: Option<Ipv4Cidr>,
    /// Whether pods of an IPv4 cluster can open IPv6 connections. Default: where the mesh needs it, which is
    /// with an IPv6 peer and an Istio older than 1.30.
    pub v6_egress: Option<bool>,
    /// Whether pods of an IPv6 cluster can open IPv4 connections (the VPC CNI's own default). Default: `true`
    /// with managed nodes, `false` in Auto Mode.
    pub v4_egress: Option<bool>,
    /// Versions of this cluster. Default: `[versions]`.
    pub versions: Option<ClusterVersionsTable>,
    /// The nodes of this cluster. Default, key by key: `[defaults.nodes]`.
    pub nodes: Option<NodesTable>,
    /// An existing cluster to use: of the account by `name`, or any by `kubeconfig` and `context`.
    pub existing: Option<ExistingClusterTable>,
    /// How the VPC CNI and the load balancer controller get their AWS permissions. Default: `pod-identity`.
    pub workload_identity: Option<WorkloadIdentity>,
    /// Whether EKS itself refuses to delete the cluster, whoever asks. Default: `false`.
    pub deletion_protection: Option<bool>,
    /// Which of the control plane's logs EKS writes to CloudWatch Logs, which charges for them. Default: none
    /// are turned on, and what somebody else turned on stays.
    #[schemars(extend("uniqueItems" = true))]
    pub logging: Option<Vec<LogType>>,
    /// The ids of further security groups of the control plane's network interfaces, at most four, in the network's VPC.
    /// Default: none besides the one that EKS makes.
    #[schemars(extend("maxItems" = 4, "uniqueItems" = true), inner(regex(pattern = r"^sg-[0-9a-f]{8,17}$")))]
    pub security_groups: Option<Vec<String>>,
    /// The name of the east-west load balancer, at most 32 characters. Default: the controller chooses one.
    pub load_balancer_name: Option<String>,
    /// Helm values for this cluster, merged after those of `[helm]`.
    pub helm: Option<HelmTables>,
    /// Further Helm releases.
    pub releases: Option<Vec<ReleaseTable>>,
    /// Further Kubernetes objects, from files.
    pub manifests: Option<Vec<ManifestTable>>,
    /// Whether a plan that would delete or replace the cluster is refused unless told otherwise. Default: `true`.
    pub protect: Option<bool>,
}

/// An address family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IpFamily {
    /// IPv4 alone.
    #[default]
    Ipv4,
    /// IPv6 alone.
    Ipv6,
}

impl IpFamily {
    /// The name in prose: `IPv4`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }
}

/// What a cluster is to the mesh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It runs its own control plane.
    #[default]
    Primary,
    /// It uses another cluster's control plane.
    Remote,
}

/// How pods get AWS permissions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadIdentity {
    /// EKS Pod Identity: an agent on each node, and nothing outside of the cluster.
    #[default]
    PodIdentity,
    /// IAM roles for service accounts: an OIDC provider in IAM for each cluster.
    Irsa,
}

/// A log of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogType {
    /// The API server's own.
    Api,
    /// Who asked the API server for what.
    Audit,
    /// Whom IAM identities were taken for.
    Authenticator,
    /// The controller manager's.
    ControllerManager,
    /// The scheduler's.
    Scheduler,
}

impl LogType {
    /// The word in a topology, which is EKS's.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Audit => "audit",
            Self::Authenticator => "authenticator",
            Self::ControllerManager => "controllerManager",
            Self::Scheduler => "scheduler",
        }
    }
}

/// Versions of one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterVersionsTable {
    /// The Istio release of this cluster.
    pub istio: Option<IstioVersion>,
    /// The Kubernetes version of this cluster.
    pub kubernetes: Option<KubernetesVersion>,
}

/// An existing cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExistingClusterTable {
    /// The name of an EKS cluster of the account and the network's region.
    pub name: Option<String>,
    /// The path of a kubeconfig file, for any other Kubernetes cluster.
    pub kubeconfig: Option<String>,
    /// The context in that kubeconfig.
    pub context: Option<String>,
}

/// The nodes of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodesTable {
    /// Who runs the nodes. Default: `managed`.
    pub mode: Option<NodeMode>,
    /// The instance types, the preferred first. IPv6 clusters need Nitro types. Default: `["m6i.large"]`.
    pub instance_types: Option<Vec<String>>,
    /// The smallest number of nodes. Default: 2.
    pub min: Option<u32>,
    /// The largest number of nodes. Default: 5, or `min` if that is more.
    pub max: Option<u32>,
    /// The number of nodes to start with. Default: `min`.
    pub desired: Option<u32>,
    /// How the nodes are paid for. Default: `on-demand`.
    pub capacity: Option<Capacity>,
    /// The operating system image. Default: `al2023`.
    pub ami: Option<Ami>,
    /// The size of a node's root volume in GiB. Default: 20, as EKS's own.
    pub disk_gib: Option<u32>,
}

/// Who runs the nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeMode {
    /// A managed node group.
    #[default]
    Managed,
    /// EKS Auto Mode.
    Auto,
}

/// How nodes are paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capacity {
    /// By the hour.
    #[default]
    OnDemand,
    /// By bidding for spare capacity; may be taken away at two minutes' notice.
    Spot,
}

/// A node's operating system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ami {
    /// Amazon Linux 2023.
    #[default]
    Al2023,
    /// Bottlerocket.
    Bottlerocket,
}

/// A further Helm release of one cluster.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["name", "namespace", "chart"]))]
pub struct ReleaseTable {
    /// The release's name.
    pub name: Option<String>,
    /// The namespace it goes to.
    pub namespace: Option<String>,
    /// The chart: a name in `repository`, an `oci://` reference or a local directory.
    pub chart: Option<String>,
    /// The chart repository's URL.
    pub repository: Option<String>,
    /// The chart's version.
    pub version: Option<String>,
    /// The values.
    pub values: Option<Values>,
}

/// A file of Kubernetes objects, server-side applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["file"]))]
pub struct ManifestTable {
    /// The path of a YAML file, relative to the topology.
    pub file: Option<String>,
}
