//! The objects of the network layer of EC2.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::{Head, Row, row};

/// A virtual private cloud.
#[expect(clippy::struct_excessive_bools, reason = "they are the API's own attributes")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Vpc {
    pub(crate) head: Head,
    pub(crate) blocks: Vec<Ipv4Block>,
    pub(crate) ipv6: Vec<Ipv6Block>,
    pub(crate) tenancy: String,
    pub(crate) available_at: Timestamp,
    pub(crate) is_default: bool,
    pub(crate) dhcp_options_id: String,
    pub(crate) dns_support: bool,
    pub(crate) dns_hostnames: bool,
    pub(crate) usage_metrics: bool,
}

row!(Vpc, "vpc", |vpc| vpc
    .blocks
    .iter()
    .map(|block| block.association_id.clone())
    .chain(vpc.ipv6.iter().flat_map(|block| [block.association_id.clone(), block.block.to_string()]))
    .chain([vpc.dhcp_options_id.clone()])
    .collect(),
    due vpc.ipv6.iter().filter_map(Ipv6Block::forgotten_at).min());

/// An IPv4 block of a VPC; the first is the primary one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ipv4Block {
    pub(crate) association_id: String,
    pub(crate) block: Ipv4Net,
    pub(crate) associated_at: Timestamp,
}

/// An IPv6 block of a VPC or a subnet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ipv6Block {
    pub(crate) association_id: String,
    pub(crate) block: Ipv6Net,
    pub(crate) associated_at: Timestamp,
    /// When a disassociation, once asked for, is through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disassociated_at: Option<Timestamp>,
}

impl Ipv6Block {
    /// The state in the words of the API.
    pub(crate) fn state(&self, now: Timestamp) -> &'static str {
        match self.disassociated_at {
            Some(at) if now >= at => "disassociated",
            Some(_) => "disassociating",
            None if now >= self.associated_at => "associated",
            None => "associating",
        }
    }

    /// Whether the block still counts: nobody has asked for its disassociation.
    pub(crate) fn is_held(&self) -> bool {
        self.disassociated_at.is_none()
    }

    /// A disassociated block stays listed for a while.
    fn forgotten_at(&self) -> Option<Timestamp> {
        self.disassociated_at.and_then(|at| at.checked_add(10.minutes()).ok())
    }

    /// Whether it is time to drop the block from the lists.
    pub(crate) fn is_forgotten(&self, now: Timestamp) -> bool {
        self.forgotten_at().is_some_and(|at| now >= at)
    }
}

/// A subnet.
#[expect(clippy::struct_excessive_bools, reason = "they are the API's own attributes")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Subnet {
    pub(crate) head: Head,
    pub(crate) vpc_id: String,
    pub(crate) zone: String,
    pub(crate) zone_id: String,
    pub(crate) cidr: Ipv4Net,
    pub(crate) ipv6: Vec<Ipv6Block>,
    pub(crate) available_at: Timestamp,
    pub(crate) default_for_az: bool,
    pub(crate) map_public_ip: bool,
    pub(crate) assign_ipv6: bool,
    pub(crate) dns64: bool,
    pub(crate) hostname_type: String,
    pub(crate) dns_a: bool,
    pub(crate) dns_aaaa: bool,
    /// The id of its association with the VPC's default network ACL, the only one there is.
    pub(crate) acl_association: String,
}

row!(Subnet, "subnet", |subnet| std::iter::once(subnet.vpc_id.clone())
    .chain(subnet.ipv6.iter().map(|block| block.association_id.clone()))
    .collect(),
    due subnet.ipv6.iter().filter_map(Ipv6Block::forgotten_at).min());

/// An internet gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct InternetGateway {
    pub(crate) head: Head,
    pub(crate) vpc_id: Option<String>,
}

row!(InternetGateway, "internet-gateway", |gateway| gateway.vpc_id.clone().into_iter().collect());

/// An egress-only internet gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EgressOnlyGateway {
    pub(crate) head: Head,
    pub(crate) vpc_id: String,
}

row!(EgressOnlyGateway, "egress-only-internet-gateway", |gateway| vec![gateway.vpc_id.clone()]);

/// An elastic IP address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) head: Head,
    pub(crate) public_ip: Ipv4Addr,
    pub(crate) association: Option<AddressAssociation>,
}

/// What an elastic IP address is mapped to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AddressAssociation {
    pub(crate) association_id: String,
    pub(crate) interface_id: String,
    pub(crate) private_ip: Ipv4Addr,
}

row!(Address, "elastic-ip", |address| std::iter::once(address.public_ip.to_string())
    .chain(address.association.iter().flat_map(|a| [a.association_id.clone(), a.interface_id.clone()]))
    .collect());

/// A NAT gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NatGateway {
    pub(crate) head: Head,
    pub(crate) vpc_id: String,
    pub(crate) subnet_id: String,
    pub(crate) public: bool,
    pub(crate) allocation_id: Option<String>,
    pub(crate) association_id: Option<String>,
    pub(crate) public_ip: Option<Ipv4Addr>,
    pub(crate) private_ip: Ipv4Addr,
    pub(crate) interface_id: String,
    /// When it stops being pending, either way.
    pub(crate) settled_at: Timestamp,
    pub(crate) failure: Option<NatFailure>,
    /// When a deletion was asked for, and when it is through.
    pub(crate) deletion: Option<(Timestamp, Timestamp)>,
    /// Whether its interface and address were given back.
    pub(crate) released: bool,
}

/// Why a NAT gateway failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NatFailure {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl NatGateway {
    /// The state in the words of the API.
    pub(crate) fn state(&self, now: Timestamp) -> &'static str {
        match self.deletion {
            Some((_, at)) if now >= at => "deleted",
            Some(_) => "deleting",
            None if now < self.settled_at => "pending",
            None if self.failure.is_some() => "failed",
            None => "available",
        }
    }

    /// When it gives back what it holds: at the end of its deletion, or when it fails.
    pub(crate) fn releases_at(&self) -> Option<Timestamp> {
        match (self.deletion, &self.failure) {
            (Some((_, at)), _) => Some(at),
            (None, Some(_)) => Some(self.settled_at),
            (None, None) => None,
        }
    }
}

row!(NatGateway, "natgateway", |nat| [Some(&nat.vpc_id), Some(&nat.subnet_id), nat.allocation_id.as_ref(), Some(&nat.interface_id)]
.into_iter().flatten().cloned().collect(),
due match nat.releases_at() {
    // A deleted or failed gateway stays listed for about an hour (VPC user guide, "NAT gateways").
    Some(at) if nat.released => at.checked_add(1.hour()).ok(),
    other => other,
});

/// A route table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RouteTable {
    pub(crate) head: Head,
    pub(crate) vpc_id: String,
    /// The id of the association that makes it the VPC's main table.
    pub(crate) main: Option<String>,
    /// Subnets by association id.
    pub(crate) associations: BTreeMap<String, String>,
    pub(crate) routes: Vec<Route>,
}

/// A route.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Route {
    pub(crate) destination: IpNet,
    pub(crate) target: RouteTarget,
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RouteTarget {
    Local,
    InternetGateway(String),
    NatGateway(String),
    EgressOnlyGateway(String),
    Interface(String),
    Peering(String),
}

impl RouteTarget {
    /// The id of the target.
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Local => "local",
            Self::InternetGateway(id)
            | Self::NatGateway(id)
            | Self::EgressOnlyGateway(id)
            | Self::Interface(id)
            | Self::Peering(id) => id,
        }
    }
}

row!(RouteTable, "route-table", |table| [&table.vpc_id]
    .into_iter()
    .chain(&table.main)
    .chain(table.associations.iter().flat_map(|(id, subnet)| [id, subnet]))
    .cloned()
    .chain(
        table
            .routes
            .iter()
            .filter(|route| route.target != RouteTarget::Local)
            .map(|route| route.target.id().to_owned())
    )
    .collect());

/// A security group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SecurityGroup {
    pub(crate) head: Head,
    pub(crate) vpc_id: String,
    pub(crate) name: String,
    pub(crate) description: String,
}

row!(SecurityGroup, "security-group", |group| vec![group.vpc_id.clone(), format!("{}/{}", group.vpc_id, group.name)]);

/// A rule of a security group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SecurityGroupRule {
    pub(crate) head: Head,
    pub(crate) group_id: String,
    pub(crate) egress: bool,
    pub(crate) protocol: String,
    pub(crate) ports: Option<(i64, i64)>,
    pub(crate) peer: Peer,
    pub(crate) description: Option<String>,
}

/// The other side of a security group rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Peer {
    Ipv4(Ipv4Net),
    Ipv6(Ipv6Net),
    Group(String),
    PrefixList(String),
}

row!(SecurityGroupRule, "security-group-rule", |rule| match &rule.peer {
    Peer::Group(peer) => vec![rule.group_id.clone(), format!("peer/{peer}")],
    Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => vec![rule.group_id.clone()],
});

/// A network interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NetworkInterface {
    pub(crate) head: Head,
    pub(crate) vpc_id: String,
    pub(crate) subnet_id: String,
    pub(crate) zone: String,
    pub(crate) groups: Vec<String>,
    pub(crate) description: String,
    pub(crate) interface_type: String,
    pub(crate) private_ip: Ipv4Addr,
    pub(crate) ipv6: Vec<Ipv6Addr>,
    pub(crate) allocation_id: Option<String>,
    pub(crate) attachment_id: Option<String>,
    pub(crate) requester_managed: bool,
    /// A public address of Amazon's own that is mapped to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public_ip: Option<Ipv4Addr>,
    /// The instance that it is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instance_id: Option<String>,
    /// When its owner takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gone_at: Option<Timestamp>,
}

row!(NetworkInterface, "network-interface", |interface| [&interface.vpc_id, &interface.subnet_id]
    .into_iter()
    .chain(&interface.groups)
    .chain(&interface.allocation_id)
    .chain(&interface.instance_id)
    .cloned()
    .chain(interface.public_ip.map(|address| address.to_string()))
    .collect(),
    due interface.gone_at);

/// A network access control list; its entries are the default ones (everything is allowed).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NetworkAcl {
    pub(crate) head: Head,
    pub(crate) vpc_id: String,
    pub(crate) is_default: bool,
}

row!(NetworkAcl, "network-acl", |acl| vec![acl.vpc_id.clone()]);

/// A set of DHCP options.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DhcpOptions {
    pub(crate) head: Head,
    pub(crate) configurations: BTreeMap<String, Vec<String>>,
}

row!(DhcpOptions, "dhcp-options", |_options| Vec::new());
