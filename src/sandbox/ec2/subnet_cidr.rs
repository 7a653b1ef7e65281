//! The IPv6 blocks of subnets, associated and disassociated.

use super::{Answer, Call, Operation, refer, subnet, vpc_cidr, writes};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::rows::{Ipv6Block, Subnet};

pub(super) const OPERATIONS: &[Operation] = &[
    writes("AssociateSubnetCidrBlock", &["SubnetId", "Ipv6CidrBlock"], associate),
    writes("DisassociateSubnetCidrBlock", &["AssociationId"], disassociate),
];

/// Whether a subnet has an IPv6 block.
pub(super) fn has_ipv6(subnet: &Subnet) -> bool {
    subnet.ipv6.iter().any(Ipv6Block::is_held)
}

fn associate(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("SubnetId")?;
    let text = call.params.required("Ipv6CidrBlock")?;
    let found = refer::find(&call.region.subnets, &refer::SUBNET, id, call.now)?.clone();
    if has_ipv6(&found) {
        return Err(ApiError::new(
            "InvalidSubnet.Conflict",
            format!("The subnet {id} already has an IPv6 CIDR block associated"),
        ));
    }
    let vpc = refer::find(&call.region.vpcs, &refer::VPC, &found.vpc_id, call.now)?.clone();
    let block = subnet::check_ipv6(call, &vpc, text, Some(id))?;
    let associated = call.mint.ready(call.now, &format!("{id}{block}"), "ipv6", 1_000, 4_000);
    let made = vpc_cidr::ipv6_block(call.mint, "subnet-cidr-assoc", block, associated);
    let mut xml = Xml::default();
    xml.text("subnetId", id).group("ipv6CidrBlockAssociation", |xml| vpc_cidr::write_ipv6(xml, &made, call.now));
    call.region.subnets.edit(id, |subnet| subnet.ipv6.push(made));
    Ok(xml)
}

fn disassociate(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("AssociationId")?;
    refer::SUBNET_CIDR_ASSOCIATION.check(id)?;
    let found = call.region.subnets.linked(id).find(|subnet| subnet.head.visible_at <= call.now).cloned();
    let found = found.ok_or_else(|| refer::SUBNET_CIDR_ASSOCIATION.not_found(id))?;
    if found.assign_ipv6 {
        return Err(ApiError::combination(format!(
            "The IPv6 CIDR block of {} cannot be disassociated while assignIpv6AddressOnCreation is true",
            found.head.id
        )));
    }
    if call.region.interfaces.linked(&found.head.id).any(|interface| !interface.ipv6.is_empty()) {
        return Err(ApiError::new(
            "InvalidCidrBlock.InUse",
            format!("The subnet {} currently has addresses within its IPv6 CIDR block", found.head.id),
        ));
    }
    let Some(mut block) = found.ipv6.iter().find(|block| block.association_id == id).cloned() else {
        return Err(refer::SUBNET_CIDR_ASSOCIATION.not_found(id));
    };
    if block.is_held() {
        block.disassociated_at = Some(call.mint.after(call.now, id, "disassociated", 1_000, 4_000));
    }
    let mut xml = Xml::default();
    xml.text("subnetId", &found.head.id)
        .group("ipv6CidrBlockAssociation", |xml| vpc_cidr::write_ipv6(xml, &block, call.now));
    call.region.subnets.edit(&found.head.id, |subnet| {
        for known in subnet.ipv6.iter_mut().filter(|known| known.association_id == id) {
            known.clone_from(&block);
        }
    });
    Ok(xml)
}
