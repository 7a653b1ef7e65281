//! `[networks.NAME]` and `[peering.NAME]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Azs, Ipv4Cidr, Region};

/// One network: a VPC with a public and a private subnet per availability zone, built or existing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["cidr"]))]
pub struct NetworkTable {
    /// The VPC's IPv4 range, /16 to /28, private addresses. Networks may overlap unless they are routed to
    /// each other.
    pub cidr: Option<Ipv4Cidr>,
    /// The AWS region. Default: `mesh.region`.
    pub region: Option<Region>,
    /// How many availability zones, or which. Default: 3.
    pub azs: Option<Azs>,
    /// The NAT gateways of the private subnets. Default: `single`.
    pub nat: Option<Nat>,
    /// Whether the network also has an IPv6 range (a /56 from Amazon). Default: `true` as soon as any cluster of
    /// the mesh is IPv6, else `false`.
    pub dual_stack: Option<bool>,
    /// Whether the private subnets' resolver synthesises IPv6 addresses for IPv4-only names, routed through the
    /// NAT gateway. Default: `true` if an IPv6 cluster in Auto Mode lives here, else `false`.
    pub dns64: Option<bool>,
    /// The Istio network that this one belongs to. Several networks of one Istio network reach each other's pods
    /// directly, through peering. Default: the network's own name.
    pub istio_network: Option<String>,
    /// An existing VPC to use. It is checked and read, never changed or deleted.
    pub existing: Option<ExistingNetworkTable>,
    /// Whether a plan that would delete or replace the VPC is refused unless told otherwise. Default: `true`.
    pub protect: Option<bool>,
}

/// The NAT gateways of a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// One for the whole network: cheapest, gone with its availability zone.
    #[default]
    Single,
    /// One in each availability zone.
    PerAz,
    /// None: the private subnets reach nothing over IPv4.
    None,
}

impl Nat {
    /// The word in a topology.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::PerAz => "per-az",
            Self::None => "none",
        }
    }
}

/// An existing VPC with its subnets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["vpc_id", "private_subnets", "public_subnets"]))]
pub struct ExistingNetworkTable {
    /// The VPC's id.
    #[schemars(regex(pattern = r"^vpc-[0-9a-f]{8,17}$"))]
    pub vpc_id: Option<String>,
    /// The ids of the subnets for nodes and pods, in at least two availability zones.
    #[schemars(inner(regex(pattern = r"^subnet-[0-9a-f]{8,17}$")))]
    pub private_subnets: Option<Vec<String>>,
    /// The ids of the subnets for internet-facing load balancers.
    #[schemars(inner(regex(pattern = r"^subnet-[0-9a-f]{8,17}$")))]
    pub public_subnets: Option<Vec<String>>,
    /// Whether the subnets' role tags for Kubernetes are written by meshplan. Default: `false`, they are only
    /// checked.
    pub manage_tags: Option<bool>,
}

/// A private route between networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["networks"]))]
pub struct PeeringTable {
    /// The names of the networks that are joined: two for a VPC peering, two or more otherwise.
    pub networks: Option<Vec<String>>,
    /// What carries the traffic. Default: `vpc-peering`.
    pub via: Option<PeeringVia>,
}

/// What joins networks privately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PeeringVia {
    /// A VPC peering connection between two networks.
    #[default]
    VpcPeering,
    /// A transit gateway between two or more networks: refused, because meshplan cannot build it yet.
    TransitGateway,
    /// Routes that exist already and are somebody else's.
    Existing,
}
