//! The registry of everything that can be found in a topology: its code, its rule's number, and what it says.
//!
//! Entry point: [`RULES`]. Documentation and tests loop over it; a code that is used but not listed does not
//! compile, and one that is listed but never found fails a test.

use crate::model::{Code, Severity};

/// One thing that can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its stable name.
    pub code: Code,
    /// The rule it belongs to, R1 to R33.
    pub number: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it demands, in one line.
    pub summary: &'static str,
}

macro_rules! rules {
    ($($name:ident $code:literal $number:literal $severity:ident $summary:literal)*) => {
        $(#[doc = concat!($number, ": ", $summary, ".")] pub(crate) const $name: Code = Code($code);)*

        /// Everything that can be found, by rule.
        pub const RULES: &[Rule] = &[$(Rule {
            code: $name, number: $number, severity: Severity::$severity, summary: $summary
        }),*];
    };
}

rules! {
    TOML_SYNTAX "toml-syntax" "R1" Error "the text is TOML"
    DUPLICATE_KEY "duplicate-key" "R1" Error "every key and table is written once"
    UNKNOWN_KEY "unknown-key" "R1" Error "every key and table is one that the schema has"
    WRONG_TYPE "wrong-type" "R1" Error "every value has its key's type"
    INVALID_VALUE "invalid-value" "R1" Error "every value says something that its key can mean"
    MISSING_KEY "missing-key" "R1" Error "what cannot be derived is written"
    UNKNOWN_SCHEMA "unknown-schema" "R1" Error "`schema` is a version that this program reads"
    INVALID_MOVE "invalid-move" "R1" Error "a move goes from one address to another of the same kind, once"
    INVALID_TAG "invalid-tag" "R1" Error "tags are within AWS's limits and do not collide with meshplan's own"
    INVALID_EKS_NAME "invalid-eks-name" "R2" Error "an EKS cluster's name is one that EKS accepts"
    ADOPTED_TWICE "adopted-twice" "R2" Error "an existing VPC or cluster is used once"
    EXISTING_FORM "existing-form" "R2" Error "an existing thing is named completely and in one way"
    INVALID_NAME "invalid-name" "R3" Error "names are DNS labels, because Istio and Kubernetes put them into labels and names"
    LOAD_BALANCER_NAME "load-balancer-name" "R4" Error "a load balancer's name is one that AWS accepts, once per region"
    INVALID_ROLE_SETTING "invalid-role-setting" "R4" Error "roles have a path and a boundary that IAM accepts"
    UNKNOWN_NETWORK "unknown-network" "R5" Error "every network that is named is declared"
    UNKNOWN_CLUSTER "unknown-cluster" "R5" Error "every cluster that is named is declared"
    NO_NETWORKS "no-networks" "R5" Error "a mesh has a network"
    NO_CLUSTERS "no-clusters" "R5" Warning "a mesh has clusters"
    UNUSED_NETWORK "unused-network" "R5" Warning "a network has clusters"
    REMOTE_CLUSTER "remote-cluster" "R5" Error "every cluster is a primary, until remotes are supported"
    TRUST_DOMAIN "trust-domain" "R6" Error "trust domains are domain names, each written once"
    OWNED_VALUE "owned-value" "R6" Error "values that make the mesh one are meshplan's to set"
    ISTIO_SKEW "istio-skew" "R7" Error "control planes are at most one minor release apart"
    ISTIO_MIXED "istio-mixed" "R7" Warning "control planes run the same release"
    UNKNOWN_ISTIO "unknown-istio" "R8" Error "the Istio release is in the compatibility matrix"
    ISTIO_END_OF_LIFE "istio-end-of-life" "R8" Warning "the Istio release still gets fixes"
    KUBERNETES_MISMATCH "kubernetes-mismatch" "R8" Error "the Istio release supports the Kubernetes version"
    KUBERNETES_NOT_OFFERED "kubernetes-not-offered" "R8" Error "EKS offers the Kubernetes version"
    EXTENDED_SUPPORT "extended-support" "R8" Error "the Kubernetes version is in standard support, or paying more was agreed to"
    SUPPORT_ENDING "support-ending" "R8" Warning "the Kubernetes version's standard support does not end within weeks"
    RESERVED_RELEASE "reserved-release" "R9" Error "further Helm releases do not replace the mesh's own, nor each other"
    NAMESPACE_SAMENESS "namespace-sameness" "R9" Warning "what is put into a namespace that the mesh shares is the same in every cluster"
    CIDR_SIZE "cidr-size" "R10" Error "a VPC's range is /16 to /28"
    CIDR_NOT_CANONICAL "cidr-not-canonical" "R10" Error "a range starts at its network address"
    CIDR_NOT_PRIVATE "cidr-not-private" "R10" Warning "a VPC's range is of private addresses"
    CIDR_TOO_SMALL "cidr-too-small" "R10" Error "a VPC's range holds a public and a private subnet for each zone"
    SMALL_SUBNETS "small-subnets" "R10" Warning "private subnets have addresses for a handful of nodes and their pods"
    SERVICE_CIDR "service-cidr" "R11" Error "a service range is private, /12 to /24, and apart from every routed network"
    NO_SERVICE_CIDR "no-service-cidr" "R11" Error "EKS cannot choose a service range that a routed network uses"
    IPV6_SERVICE_CIDR "ipv6-service-cidr" "R12" Error "an IPv6 cluster's service range is Amazon's"
    IPV6_NEEDS_DUAL_STACK "ipv6-needs-dual-stack" "R12" Error "an IPv6 cluster lives in a dual-stack network"
    IPV6_INSTANCE_TYPE "ipv6-instance-type" "R12" Error "an IPv6 cluster's nodes are Nitro instances"
    IPV6_REGION "ipv6-region" "R12" Error "IPv6 clusters are not in China's regions"
    IPV6_CUSTOM_NETWORKING "ipv6-custom-networking" "R12" Error "an IPv6 cluster has no custom networking"
    ZONE_COUNT "zone-count" "R13" Error "a network has as many zones as its IPv6 range and its region can serve"
    ZONES_TOO_FEW "zones-too-few" "R14" Error "a network spans two availability zones, as EKS demands"
    ZONE_NAME "zone-name" "R14" Error "a zone belongs to its network's region, and is named once"
    ZONE_UNSUPPORTED "zone-unsupported" "R14" Error "EKS's control plane can live in the zone"
    OVERLAPPING_NETWORKS "overlapping-networks" "R15" Error "networks that are routed to each other do not overlap"
    RESERVED_RANGE "reserved-range" "R16" Error "a VPC's range is none that the host, Istio or the VPC CNI uses itself"
    QUOTA "quota" "R17" Warning "the default quotas suffice"
    FAMILY_UNREACHABLE "family-unreachable" "R18" Error "every cluster's proxies can use every other cluster's gateway addresses"
    FAMILY_API_UNREACHABLE "family-api-unreachable" "R18" Error "every cluster's istiod can reach every other API server's address family"
    IPV6_GATEWAY "ipv6-gateway" "R19" Error "an IPv6 cluster's gateway is dualstack"
    GATEWAY_NEEDS_DUAL_STACK "gateway-needs-dual-stack" "R20" Error "a dualstack load balancer lives in a dual-stack network"
    SOURCES_FAMILY "sources-family" "R20" Error "the ranges that may connect are of the load balancer's families"
    POD_EGRESS "pod-egress" "R21" Error "egress to the other family is possible where it is asked for"
    IPV6_AUTO_MODE "ipv6-auto-mode" "R22" Error "an IPv6 cluster in Auto Mode has DNS64"
    DNS64_NEEDS_NAT "dns64-needs-nat" "R22" Error "DNS64 has a NAT gateway and an IPv6 range to work with"
    DNS64_COST "dns64-cost" "R22" Warning "managed nodes do not pay for DNS64"
    MIXED_FAMILIES "mixed-families" "R22" Error "the clusters of one Istio network are of one family"
    API_UNREACHABLE "api-unreachable" "R23" Error "every istiod can reach every API server"
    PUBLIC_RANGES "public-ranges" "R23" Error "an API server's public endpoint is opened to at most 40 ranges"
    API_CIDRS "api-cidrs" "R23" Warning "every range in `api_access.cidrs` has an effect"
    INVALID_ADMIN "invalid-admin" "R23" Error "an administrator is an IAM role or user"
    INTERNAL_NOT_PEERED "internal-not-peered" "R24" Error "networks behind internal load balancers are routed to each other"
    ISTIO_NETWORK_NOT_PEERED "istio-network-not-peered" "R24" Error "networks that share an Istio network are routed to each other"
    INVALID_PEERING "invalid-peering" "R24" Error "a peering joins different networks, once"
    TRANSIT_GATEWAY "transit-gateway" "R24" Error "a private route is a VPC peering connection or exists already, until transit gateways are supported"
    NO_EGRESS "no-egress" "R25" Error "private nodes can reach registries and the EKS API"
    SINGLE_REPLICA "single-replica" "R26" Warning "gateways and nodes are at least two"
    NODE_COUNTS "node-counts" "R26" Error "node counts are in order"
    NODE_ARCHITECTURE "node-architecture" "R26" Error "a node group's instance types are of one architecture"
    IGNORED_FOR_EXISTING "ignored-for-existing" "R26" Warning "an existing cluster is not given what only a new one takes"
    IGNORED_FOR_AUTO "ignored-for-auto" "R26" Warning "Auto Mode's nodes are not given what only managed ones take"
    CA_SOURCE "ca-source" "R27" Error "the authority's source and its files or ARN fit together"
    CA_LIFETIME "ca-lifetime" "R27" Error "no certificate outlives its issuer, and a given one lives long enough"
    CA_RECIPIENT "ca-recipient" "R27" Error "recipients are public keys of age or ssh"
    MULTI_ROOT_OFF "multi-root-off" "R28" Warning "the root can be rotated without downtime"
    MULTI_ROOT_ISTIO "multi-root-istio" "R28" Error "the Istio release can hold several roots"
    SECURITY_GROUPS "security-groups" "R29" Error "a control plane has four further security groups at most, each named once by its id"
    CONTROLLER_VALUES "controller-values" "R30" Error "the load balancer controller is told its cluster, VPC and region by meshplan"
    RESERVED_PORT "reserved-port" "R32" Error "the mesh's own ports are not used for anything else"
    GATEWAY_PORT "gateway-port" "R32" Error "an east-west gateway listens on 15443"
}
