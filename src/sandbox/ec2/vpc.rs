//! VPCs and their attributes.

use ipnet::{IpNet, Ipv4Net};

use super::listing::{Listing, write_next};
use super::{Answer, Call, Operation, reads, refer, tagging, vpc_cidr, vpc_peering, writes};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::fresh::{VpcParts, furnish_vpc};
use crate::sandbox::world::ranges::amazon_ipv6;
use crate::sandbox::world::rows::{Ipv4Block, Vpc};

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreateVpc", &["CidrBlock", "AmazonProvidedIpv6CidrBlock", "InstanceTenancy", "TagSpecification"], create),
    reads("DescribeVpcs", &["VpcId", "Filter", "MaxResults", "NextToken"], describe),
    writes("DeleteVpc", &["VpcId"], delete),
    writes(
        "ModifyVpcAttribute",
        &["VpcId", "EnableDnsSupport", "EnableDnsHostnames", "EnableNetworkAddressUsageMetrics"],
        modify_attribute,
    ),
    reads("DescribeVpcAttribute", &["VpcId", "Attribute"], describe_attribute),
];

const LISTING: Listing = Listing {
    ids: "VpcId",
    reference: &refer::VPC,
    links: &["vpc-id", "dhcp-options-id"],
    filters: &[
        "cidr",
        "cidr-block",
        "cidr-block-association.cidr-block",
        "cidr-block-association.association-id",
        "cidr-block-association.state",
        "dhcp-options-id",
        "ipv6-cidr-block-association.ipv6-cidr-block",
        "ipv6-cidr-block-association.association-id",
        "ipv6-cidr-block-association.state",
        "is-default",
        "isDefault",
        "owner-id",
        "state",
        "vpc-id",
    ],
    page: (5, 1000),
    refuses_unknown: true,
};

/// Reads an IPv4 block; host bits are dropped, as EC2 does.
pub(super) fn parse_ipv4(text: &str) -> Result<Ipv4Net, ApiError> {
    text.parse::<Ipv4Net>()
        .map(|block| block.trunc())
        .map_err(|_| ApiError::bad_value(text, "CidrBlock", "This is not a valid CIDR block."))
}

fn create(call: &mut Call<'_>) -> Answer {
    let Some(text) = call.params.text("CidrBlock") else {
        return Err(ApiError::new("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided."));
    };
    let block = parse_ipv4(text)?;
    if !(16..=28).contains(&block.prefix_len()) {
        return Err(ApiError::new("InvalidVpc.Range", format!("The CIDR '{block}' is invalid.")));
    }
    let tenancy = call.params.text("InstanceTenancy").unwrap_or("default").to_owned();
    if !matches!(tenancy.as_str(), "default" | "dedicated") {
        return Err(ApiError::bad_value(&tenancy, "InstanceTenancy", "Valid values are default and dedicated"));
    }
    let with_ipv6 = call.params.boolean("AmazonProvidedIpv6CidrBlock")? == Some(true);
    if call.region.vpcs.len() >= call.quotas.vpcs {
        return Err(ApiError::new("VpcLimitExceeded", "The maximum number of VPCs has been reached."));
    }
    let head = call.new_head("vpc", "vpc")?;
    let parts = VpcParts::new(call.mint, &head);
    let associated = call.mint.ready(call.now, &head.id, "ipv6", 2_000, 6_000);
    let mut blocks = vec![IpNet::V4(block)];
    let mut ipv6 = Vec::new();
    if with_ipv6 {
        let block = amazon_ipv6(call.region, call.mint);
        let made = vpc_cidr::ipv6_block(call.mint, "vpc-cidr-assoc", block, associated);
        blocks.push(IpNet::V6(made.block));
        ipv6.push(made);
    }
    let options =
        call.region.dhcp_options.iter().find(|options| options.head.native).map(|options| options.head.id.clone());
    let vpc = Vpc {
        blocks: vec![Ipv4Block { association_id: call.mint.id("vpc-cidr-assoc"), block, associated_at: call.now }],
        ipv6,
        tenancy,
        // V1 of the domain model: 2-15 s until available and associated.
        available_at: call.mint.ready(call.now, &head.id, "available", 2_000, 6_000),
        is_default: false,
        dhcp_options_id: options.unwrap_or_else(|| "default".to_owned()),
        dns_support: true,
        dns_hostnames: false,
        usage_metrics: false,
        head,
    };
    furnish_vpc(call.region, &vpc.head.id, &blocks, parts);
    let mut xml = Xml::default();
    xml.group("vpc", |xml| write(xml, call, &vpc));
    call.region.vpcs.insert(vpc);
    Ok(xml)
}

fn state(vpc: &Vpc, call: &Call<'_>) -> &'static str {
    if call.now >= vpc.available_at { "available" } else { "pending" }
}

fn write(xml: &mut Xml, call: &Call<'_>, vpc: &Vpc) {
    xml.text("vpcId", &vpc.head.id)
        .text("ownerId", call.owner())
        .text("state", state(vpc, call))
        .optional("cidrBlock", vpc.blocks.first().map(|block| block.block))
        .list("cidrBlockAssociationSet", &vpc.blocks, |xml, block| vpc_cidr::write_ipv4(xml, block, call.now));
    xml.list("ipv6CidrBlockAssociationSet", &vpc.ipv6, |xml, block| {
        vpc_cidr::write_ipv6(xml, block, call.now);
        xml.text("networkBorderGroup", &call.region.name)
            .text("ipv6Pool", "Amazon")
            .text("ipv6AddressAttribute", "public")
            .text("ipSource", "amazon");
    });
    xml.text("dhcpOptionsId", &vpc.dhcp_options_id)
        .text("instanceTenancy", &vpc.tenancy)
        .text("isDefault", vpc.is_default);
    tagging::write(xml, &vpc.head.tags);
}

fn describe(call: &mut Call<'_>) -> Answer {
    let selected = LISTING.select(call, &call.region.vpcs, |vpc, filter| match filter {
        "cidr" | "cidr-block" => vpc.blocks.first().map(|block| block.block.to_string()).into_iter().collect(),
        "cidr-block-association.cidr-block" => vpc.blocks.iter().map(|block| block.block.to_string()).collect(),
        "cidr-block-association.association-id" => {
            vpc.blocks.iter().map(|block| block.association_id.clone()).collect()
        }
        "cidr-block-association.state" => {
            vpc.blocks.iter().map(|block| vpc_cidr::state_ipv4(block, call.now).to_owned()).collect()
        }
        "dhcp-options-id" => vec![vpc.dhcp_options_id.clone()],
        "ipv6-cidr-block-association.ipv6-cidr-block" => vpc.ipv6.iter().map(|block| block.block.to_string()).collect(),
        "ipv6-cidr-block-association.association-id" => {
            vpc.ipv6.iter().map(|block| block.association_id.clone()).collect()
        }
        "ipv6-cidr-block-association.state" => vpc.ipv6.iter().map(|block| block.state(call.now).to_owned()).collect(),
        "is-default" | "isDefault" => vec![vpc.is_default.to_string()],
        "owner-id" => vec![call.owner().to_owned()],
        "state" => vec![state(vpc, call).to_owned()],
        _ => vec![vpc.head.id.clone()],
    })?;
    let mut xml = Xml::default();
    xml.list("vpcSet", selected.rows, |xml, vpc| write(xml, call, vpc));
    write_next(&mut xml, selected.next);
    Ok(xml)
}

fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("VpcId")?;
    refer::find(&call.region.vpcs, &refer::VPC, id, call.now)?;
    let region = &call.region;
    let has_dependencies = region.subnets.linked(id).next().is_some()
        || region.internet_gateways.linked(id).next().is_some()
        || region.egress_gateways.linked(id).next().is_some()
        || region.interfaces.linked(id).next().is_some()
        || region.nat_gateways.linked(id).any(|nat| !nat.released)
        || region.route_tables.linked(id).any(|table| table.main.is_none())
        || region.security_groups.linked(id).any(|group| group.name != "default")
        || region.network_acls.linked(id).any(|acl| !acl.is_default)
        || vpc_peering::has_any(call, id);
    if has_dependencies {
        return Err(ApiError::dependency(format!("The vpc '{id}' has dependencies and cannot be deleted.")));
    }
    remove(call.region, id);
    Ok(Xml::default().returned())
}

/// Takes a VPC out, with what it was born with.
pub(in crate::sandbox) fn remove(region: &mut crate::sandbox::world::Region, id: &str) {
    let tables: Vec<String> = region.route_tables.linked(id).map(|table| table.head.id.clone()).collect();
    let groups: Vec<String> = region.security_groups.linked(id).map(|group| group.head.id.clone()).collect();
    let acls: Vec<String> = region.network_acls.linked(id).map(|acl| acl.head.id.clone()).collect();
    for table in tables {
        region.route_tables.remove(&table);
    }
    for group in groups {
        super::security_group::remove(region, &group);
    }
    for acl in acls {
        region.network_acls.remove(&acl);
    }
    region.vpcs.remove(id);
}

const ATTRIBUTES: [&str; 3] = ["EnableDnsSupport", "EnableDnsHostnames", "EnableNetworkAddressUsageMetrics"];

fn modify_attribute(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("VpcId")?;
    let given: Vec<&str> = ATTRIBUTES.into_iter().filter(|name| call.params.at(name).is_some()).collect();
    let [attribute] = given.as_slice() else {
        return Err(one_attribute(&given));
    };
    let Some(value) = call.params.boolean(&format!("{attribute}.Value"))? else {
        return Err(ApiError::missing(&format!("{attribute}.Value")));
    };
    let vpc = refer::find(&call.region.vpcs, &refer::VPC, id, call.now)?;
    if *attribute == "EnableDnsHostnames" && value && !vpc.dns_support {
        return Err(ApiError::combination("DNS hostnames can only be enabled on a VPC that has DNS support enabled"));
    }
    call.region.vpcs.edit(id, |vpc| match *attribute {
        "EnableDnsSupport" => vpc.dns_support = value,
        "EnableDnsHostnames" => vpc.dns_hostnames = value,
        _ => vpc.usage_metrics = value,
    });
    Ok(Xml::default().returned())
}

/// The refusal of a call that must name exactly one attribute.
pub(super) fn one_attribute(given: &[&str]) -> ApiError {
    if given.is_empty() {
        return ApiError::new("MissingParameter", "The request must contain exactly one attribute to modify");
    }
    let names: Vec<String> = given.iter().map(|name| crate::sandbox::protocol::error::lower_first(name)).collect();
    ApiError::combination(format!("Fields for multiple attribute types specified: {}", names.join(", ")))
}

fn describe_attribute(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("VpcId")?;
    let attribute = call.params.required("Attribute")?;
    let vpc = refer::find(&call.region.vpcs, &refer::VPC, id, call.now)?;
    let value = match attribute {
        "enableDnsSupport" => vpc.dns_support,
        "enableDnsHostnames" => vpc.dns_hostnames,
        "enableNetworkAddressUsageMetrics" => vpc.usage_metrics,
        other => return Err(ApiError::bad_value(other, "Attribute", "Unknown attribute.")),
    };
    let mut xml = Xml::default();
    xml.text("vpcId", id).group(attribute, |xml| {
        xml.text("value", value);
    });
    Ok(xml)
}
