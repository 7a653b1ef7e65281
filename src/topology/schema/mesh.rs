//! `[mesh]`, `[versions]`, `[api_access]`, `[east_west]`, `[ingress]` and `[sample]`: the mesh as a whole.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Cidr, IstioVersion, KubernetesVersion, Region, Sources};

/// The mesh's identity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["id"]))]
pub struct MeshTable {
    /// The mesh's id: Istio's `global.meshID`, the name of the state and the ownership tag. It cannot change.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub id: Option<String>,
    /// The region of every network that names none.
    pub region: Option<Region>,
    /// The trust domain of every workload's identity. Default: `cluster.local`.
    pub trust_domain: Option<String>,
    /// Further trust domains that are accepted as if they were this mesh's.
    pub trust_domain_aliases: Option<Vec<String>>,
    /// Whether IPv4 and IPv6 clusters may share one Istio network, where only some connections work. Default:
    /// `false`.
    pub allow_mixed_families: Option<bool>,
    /// The ARN of an IAM policy that bounds what every role of the mesh may do at most. Default: none.
    #[schemars(regex(pattern = r"^arn:aws[a-z-]*:iam::(\d{12}|aws):policy/.+$"))]
    pub permissions_boundary: Option<String>,
    /// The IAM path of every role of the mesh. Default: `/`.
    #[schemars(regex(pattern = r"^/([!-~]+/)?$"), length(max = 512))]
    pub role_path: Option<String>,
}

/// The versions that every cluster runs, checked against the built-in compatibility matrix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionsTable {
    /// The Istio release. Default: `1.31.0`.
    pub istio: Option<IstioVersion>,
    /// The Kubernetes version. Default: `1.35`.
    pub kubernetes: Option<KubernetesVersion>,
    /// The release of the AWS Load Balancer Controller. Default: `3.5.0`.
    #[schemars(regex(pattern = r"^\d+\.\d+\.\d+$"))]
    pub load_balancer_controller: Option<String>,
    /// Whether Kubernetes versions in EKS's paid extended support are accepted. Default: `false`.
    pub extended_support: Option<bool>,
}

/// Who reaches the clusters' API servers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiAccessTable {
    /// Who may use the public endpoints. Default: `peers`.
    pub public: Option<PublicAccess>,
    /// Further ranges that may: operators and CI.
    pub cidrs: Option<Vec<Cidr>>,
    /// The ARNs of the IAM roles or users that administer the clusters, besides the caller.
    pub admins: Option<Vec<String>>,
}

/// Who may use an API server's public endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PublicAccess {
    /// The other networks of the mesh (their NAT gateways' addresses and IPv6 blocks) and `cidrs`.
    #[default]
    Peers,
    /// Anyone; the API still asks who they are.
    Any,
    /// Nobody: there is no public endpoint.
    None,
}

/// The gateways between networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EastWestTable {
    /// Whether the load balancers have public addresses. Default: `internet-facing`.
    pub scheme: Option<Scheme>,
    /// Who may connect to them. Default: `peers`.
    pub allow: Option<Sources>,
    /// How many gateway pods each cluster runs. Default: 2.
    pub replicas: Option<u32>,
    /// The address families of the load balancers. Default: `dualstack` as soon as any cluster is IPv6, else
    /// `ipv4`.
    pub ip_address_type: Option<IpAddressType>,
}

/// Whether a load balancer has public addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Public addresses.
    #[default]
    InternetFacing,
    /// Private addresses, for networks that are routed to each other.
    Internal,
}

/// The address families of a load balancer, in AWS's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IpAddressType {
    /// IPv4 alone: DNS has A records.
    #[default]
    Ipv4,
    /// Both: DNS has A and AAAA records.
    Dualstack,
}

/// The optional ingress gateways, for traffic from outside of the mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IngressTable {
    /// Whether every cluster has one. Default: `false`.
    pub enabled: Option<bool>,
    /// Whether its load balancer has public addresses. Default: `internet-facing`.
    pub scheme: Option<Scheme>,
    /// The ports it listens on. Default: `[80, 443]`.
    pub ports: Option<Vec<u16>>,
    /// How many pods each cluster runs. Default: 2.
    pub replicas: Option<u32>,
}

/// The sample applications that `verify` calls: helloworld in as many versions as there are clusters, and curl.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleTable {
    /// Whether they are installed. Default: `false`.
    pub enabled: Option<bool>,
    /// How many requests `verify` sends from each cluster. Default: 20.
    pub requests: Option<u32>,
    /// The port of the helloworld service. Default: 5000.
    pub port: Option<u16>,
}
