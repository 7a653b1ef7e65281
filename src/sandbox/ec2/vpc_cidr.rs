//! The address blocks of VPCs: secondary IPv4 blocks and Amazon's IPv6 blocks, associated and disassociated.

use ipnet::{IpNet, Ipv6Net};
use jiff::Timestamp;

use super::vpc::parse_ipv4;
use super::{Answer, Call, Operation, refer, writes};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::ids::Mint;
use crate::sandbox::world::ranges::{amazon_ipv6, overlap};
use crate::sandbox::world::rows::{Ipv4Block, Ipv6Block, Route, RouteTarget};

pub(super) const OPERATIONS: &[Operation] = &[
    writes("AssociateVpcCidrBlock", &["VpcId", "CidrBlock", "AmazonProvidedIpv6CidrBlock"], associate),
    writes("DisassociateVpcCidrBlock", &["AssociationId"], disassociate),
];

/// Quota "IPv4 CIDR blocks per VPC" and "IPv6 CIDR blocks per VPC".
const MAX_BLOCKS: usize = 5;

/// A new IPv6 block of a VPC or a subnet.
pub(super) fn ipv6_block(mint: &mut Mint, prefix: &str, block: Ipv6Net, associated_at: Timestamp) -> Ipv6Block {
    Ipv6Block { association_id: mint.id(prefix), block, associated_at, disassociated_at: None }
}

/// The state of an IPv4 block.
pub(super) fn state_ipv4(block: &Ipv4Block, now: Timestamp) -> &'static str {
    if now >= block.associated_at { "associated" } else { "associating" }
}

/// Writes an IPv4 block.
pub(super) fn write_ipv4(xml: &mut Xml, block: &Ipv4Block, now: Timestamp) {
    xml.text("associationId", &block.association_id).text("cidrBlock", block.block).group("cidrBlockState", |xml| {
        xml.text("state", state_ipv4(block, now));
    });
}

/// Writes an IPv6 block of a VPC or a subnet.
pub(super) fn write_ipv6(xml: &mut Xml, block: &Ipv6Block, now: Timestamp) {
    xml.text("associationId", &block.association_id).text("ipv6CidrBlock", block.block).group(
        "ipv6CidrBlockState",
        |xml| {
            xml.text("state", block.state(now));
        },
    );
}

fn associate(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("VpcId")?;
    let ipv6 = call.params.boolean("AmazonProvidedIpv6CidrBlock")? == Some(true);
    let vpc = refer::find(&call.region.vpcs, &refer::VPC, id, call.now)?.clone();
    let mut xml = Xml::default();
    let added = match (call.params.text("CidrBlock"), ipv6) {
        (None, true) => {
            if vpc.ipv6.iter().filter(|block| block.is_held()).count() >= MAX_BLOCKS {
                return Err(too_many(id, "IPv6"));
            }
            let block = amazon_ipv6(call.region, call.mint);
            let associated = call.mint.ready(call.now, &block.to_string(), "ipv6", 2_000, 6_000);
            let made = ipv6_block(call.mint, "vpc-cidr-assoc", block, associated);
            xml.text("vpcId", id).group("ipv6CidrBlockAssociation", |xml| write_ipv6(xml, &made, call.now));
            call.region.vpcs.edit(id, |vpc| vpc.ipv6.push(made));
            IpNet::V6(block)
        }
        (Some(text), false) => {
            let block = parse_ipv4(text)?;
            if !(16..=28).contains(&block.prefix_len()) {
                return Err(ApiError::new("InvalidVpc.Range", format!("The CIDR '{block}' is invalid.")));
            }
            if vpc.blocks.len() >= MAX_BLOCKS {
                return Err(too_many(id, "IPv4"));
            }
            if let Some(other) = vpc.blocks.iter().find(|other| overlap(other.block, block)) {
                return Err(ApiError::new(
                    "CidrConflict",
                    format!("The CIDR '{block}' conflicts with the CIDR '{}' of {id}", other.block),
                ));
            }
            let association_id = call.mint.id("vpc-cidr-assoc");
            let associated_at = call.mint.ready(call.now, &association_id, "ipv4", 1_000, 3_000);
            let made = Ipv4Block { association_id, block, associated_at };
            xml.text("vpcId", id).group("cidrBlockAssociation", |xml| write_ipv4(xml, &made, call.now));
            call.region.vpcs.edit(id, |vpc| vpc.blocks.push(made));
            IpNet::V4(block)
        }
        (None, false) => return Err(ApiError::missing("CidrBlock")),
        (Some(_), true) => {
            return Err(ApiError::combination(
                "Only one of cidrBlock and amazonProvidedIpv6CidrBlock can be specified",
            ));
        }
    };
    edit_local_routes(call, id, |routes| {
        // What leads to a part of the block gives way to the local route; a wider route, as the default one, stays.
        routes.retain(|route| !added.contains(&route.destination));
        routes.insert(0, Route { destination: added, target: RouteTarget::Local });
    });
    Ok(xml)
}

fn too_many(id: &str, family: &str) -> ApiError {
    ApiError::new("VpcCidrBlockLimitExceeded", format!("{id} has reached the maximum number of {family} CIDR blocks"))
}

/// Every route table of a VPC has a local route for each of its blocks.
fn edit_local_routes(call: &mut Call<'_>, vpc_id: &str, change: impl Fn(&mut Vec<Route>)) {
    let tables: Vec<String> = call.region.route_tables.linked(vpc_id).map(|table| table.head.id.clone()).collect();
    for table in tables {
        call.region.route_tables.edit(&table, |table| change(&mut table.routes));
    }
}

fn disassociate(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("AssociationId")?;
    refer::VPC_CIDR_ASSOCIATION.check(id)?;
    let vpc = call.region.vpcs.linked(id).find(|vpc| vpc.head.visible_at <= call.now).cloned();
    let vpc = vpc.ok_or_else(|| refer::VPC_CIDR_ASSOCIATION.not_found(id))?;
    let vpc_id = vpc.head.id.clone();
    let in_use = |block: IpNet| {
        ApiError::new(
            "InvalidCidrBlock.InUse",
            format!("The vpc {vpc_id} currently has a subnet within CIDR block {block}"),
        )
    };
    let mut xml = Xml::default();
    xml.text("vpcId", &vpc_id);
    let removed = if let Some(block) = vpc.ipv6.iter().find(|block| block.association_id == id) {
        let within = |other: &Ipv6Block| other.is_held() && block.block.contains(&other.block);
        if call.region.subnets.linked(&vpc_id).any(|subnet| subnet.ipv6.iter().any(within)) {
            return Err(in_use(IpNet::V6(block.block)));
        }
        let mut block = block.clone();
        if block.is_held() {
            block.disassociated_at = Some(call.mint.after(call.now, id, "disassociated", 2_000, 5_000));
        }
        xml.group("ipv6CidrBlockAssociation", |xml| write_ipv6(xml, &block, call.now));
        let removed = IpNet::V6(block.block);
        call.region.vpcs.edit(&vpc_id, |vpc| {
            for known in vpc.ipv6.iter_mut().filter(|known| known.association_id == id) {
                known.clone_from(&block);
            }
        });
        removed
    } else {
        let position = vpc.blocks.iter().position(|block| block.association_id == id);
        let Some(block) = position.and_then(|position| vpc.blocks.get(position)) else {
            return Err(refer::VPC_CIDR_ASSOCIATION.not_found(id));
        };
        if position == Some(0) {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!(
                    "The vpc CIDR block with association ID {id} may not be disassociated. It is the primary IPv4 CIDR block of the VPC"
                ),
            ));
        }
        if call.region.subnets.linked(&vpc_id).any(|subnet| block.block.contains(&subnet.cidr)) {
            return Err(in_use(IpNet::V4(block.block)));
        }
        xml.group("cidrBlockAssociation", |xml| {
            xml.text("associationId", id).text("cidrBlock", block.block).group("cidrBlockState", |xml| {
                xml.text("state", "disassociating");
            });
        });
        call.region.vpcs.edit(&vpc_id, |vpc| vpc.blocks.retain(|block| block.association_id != id));
        IpNet::V4(block.block)
    };
    edit_local_routes(call, &vpc_id, |routes| {
        routes.retain(|route| route.destination != removed || route.target != RouteTarget::Local);
    });
    Ok(xml)
}
