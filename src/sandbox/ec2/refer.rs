//! Looks objects up by the ids in a call, and words EC2's refusals when there is none.
//!
//! Entry point: [`find`]. AWS's spelling of the codes is inconsistent and clients match on it, so each is written out.

use jiff::Timestamp;

use crate::sandbox::protocol::ApiError;
use crate::sandbox::world::ids::is_well_formed;
use crate::sandbox::world::table::{Row, Table};

/// How one type of object is referred to.
pub(super) struct Reference {
    /// The prefix of its ids.
    pub(super) prefix: &'static str,
    /// The code for an id that names nothing.
    not_found: &'static str,
    /// The code for something that is no such id.
    malformed: &'static str,
    /// What messages call the id.
    noun: &'static str,
}

const fn reference(
    prefix: &'static str,
    not_found: &'static str,
    malformed: &'static str,
    noun: &'static str,
) -> Reference {
    Reference { prefix, not_found, malformed, noun }
}

// Source of the codes: "Error codes for the Amazon EC2 API".
pub(super) const VPC: Reference = reference("vpc", "InvalidVpcID.NotFound", "InvalidVpcID.Malformed", "vpc ID");
pub(super) const SUBNET: Reference =
    reference("subnet", "InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed", "subnet ID");
pub(super) const INTERNET_GATEWAY: Reference =
    reference("igw", "InvalidInternetGatewayID.NotFound", "InvalidInternetGatewayId.Malformed", "internetGateway ID");
pub(super) const EGRESS_GATEWAY: Reference = reference(
    "eigw",
    "InvalidGatewayID.NotFound",
    "InvalidEgressOnlyInternetGatewayId.Malformed",
    "egressOnlyInternetGateway ID",
);
/// An internet gateway as the target of a route; `local` is none either.
pub(super) const ROUTE_INTERNET_GATEWAY: Reference =
    reference("igw", "InvalidGatewayID.NotFound", "InvalidGatewayID.NotFound", "gateway ID");
pub(super) const NAT_GATEWAY: Reference =
    reference("nat", "NatGatewayNotFound", "NatGatewayMalformed", "NAT gateway ID");
/// A NAT gateway as the target of a route.
pub(super) const ROUTE_NAT_GATEWAY: Reference =
    reference("nat", "InvalidNatGatewayID.NotFound", "InvalidNatGatewayID.Malformed", "natGateway ID");
pub(super) const ROUTE_TABLE: Reference =
    reference("rtb", "InvalidRouteTableID.NotFound", "InvalidRouteTableId.Malformed", "routeTable ID");
pub(super) const SECURITY_GROUP: Reference =
    reference("sg", "InvalidGroup.NotFound", "InvalidGroupId.Malformed", "security group");
pub(super) const SECURITY_GROUP_RULE: Reference = reference(
    "sgr",
    "InvalidSecurityGroupRuleId.NotFound",
    "InvalidSecurityGroupRuleId.Malformed",
    "security group rule ID",
);
pub(super) const INTERFACE: Reference = reference(
    "eni",
    "InvalidNetworkInterfaceID.NotFound",
    "InvalidNetworkInterfaceId.Malformed",
    "networkInterface ID",
);
pub(super) const INSTANCE: Reference =
    reference("i", "InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed", "instance ID");
pub(super) const NETWORK_ACL: Reference =
    reference("acl", "InvalidNetworkAclID.NotFound", "InvalidNetworkAclId.Malformed", "networkAcl ID");
pub(super) const DHCP_OPTIONS: Reference =
    reference("dopt", "InvalidDhcpOptionID.NotFound", "InvalidDhcpOptionsId.Malformed", "dhcpOption ID");
pub(super) const VPC_PEERING: Reference = reference(
    "pcx",
    "InvalidVpcPeeringConnectionID.NotFound",
    "InvalidVpcPeeringConnectionId.Malformed",
    "vpcPeeringConnection ID",
);
/// EC2 has no code for a malformed allocation id.
pub(super) const ADDRESS: Reference =
    reference("eipalloc", "InvalidAllocationID.NotFound", "InvalidAllocationID.NotFound", "allocation ID");
pub(super) const ROUTE_TABLE_ASSOCIATION: Reference =
    reference("rtbassoc", "InvalidAssociationID.NotFound", "InvalidAssociationID.NotFound", "association ID");
pub(super) const VPC_CIDR_ASSOCIATION: Reference = reference(
    "vpc-cidr-assoc",
    "InvalidVpcCidrBlockAssociationID.NotFound",
    "InvalidVpcCidrBlockAssociationIdMalformed",
    "vpc CIDR block association ID",
);
pub(super) const SUBNET_CIDR_ASSOCIATION: Reference = reference(
    "subnet-cidr-assoc",
    "InvalidSubnetCidrBlockAssociationID.NotFound",
    "InvalidSubnetCidrBlockAssociationID.Malformed",
    "subnet CIDR block association ID",
);

impl Reference {
    /// The refusal of an id that names nothing a caller can see.
    pub(super) fn not_found(&self, id: &str) -> ApiError {
        let message = match self.not_found {
            "NatGatewayNotFound" => format!("The Nat Gateway {id} was not found"),
            _ => format!("The {} '{id}' does not exist", self.noun),
        };
        ApiError::new(self.not_found, message)
    }

    /// Refuses what cannot be such an id.
    pub(super) fn check(&self, id: &str) -> Result<(), ApiError> {
        if is_well_formed(id, self.prefix) {
            return Ok(());
        }
        Err(match self.malformed {
            code if code == self.not_found => self.not_found(id),
            "NatGatewayMalformed" => ApiError::new(self.malformed, format!("The Nat Gateway id {id} was malformed")),
            code => ApiError::new(code, format!("Invalid id: \"{id}\" (expecting \"{}-...\")", self.prefix)),
        })
    }
}

/// The object with this id.
pub(super) fn find<'a, T: Row>(
    table: &'a Table<T>,
    reference: &Reference,
    id: &str,
    now: Timestamp,
) -> Result<&'a T, ApiError> {
    reference.check(id)?;
    table.seen(id, now).ok_or_else(|| reference.not_found(id))
}
