//! Subnets and their attributes.

use ipnet::Ipv6Net;

use super::listing::{Listing, write_next};
use super::{Answer, Call, Operation, reads, refer, subnet_cidr, tagging, vpc, vpc_cidr, writes};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::Region;
use crate::sandbox::world::ranges::{free_addresses, overlap};
use crate::sandbox::world::rows::{Subnet, Vpc};
use crate::sandbox::world::zones::{Zone, zones};

pub(super) const OPERATIONS: &[Operation] = &[
    writes(
        "CreateSubnet",
        &["VpcId", "CidrBlock", "Ipv6CidrBlock", "AvailabilityZone", "AvailabilityZoneId", "TagSpecification"],
        create,
    ),
    reads("DescribeSubnets", &["SubnetId", "Filter", "MaxResults", "NextToken"], describe),
    writes("DeleteSubnet", &["SubnetId"], delete),
    writes("ModifySubnetAttribute", MODIFY, modify),
];

const LISTING: Listing = Listing {
    ids: "SubnetId",
    reference: &refer::SUBNET,
    links: &["subnet-id", "vpc-id", "ipv6-cidr-block-association.association-id"],
    filters: &[
        "assign-ipv6-address-on-creation",
        "availability-zone",
        "availabilityZone",
        "availability-zone-id",
        "availabilityZoneId",
        "available-ip-address-count",
        "cidr",
        "cidr-block",
        "cidrBlock",
        "default-for-az",
        "defaultForAz",
        "enable-dns64",
        "ipv6-cidr-block-association.ipv6-cidr-block",
        "ipv6-cidr-block-association.association-id",
        "ipv6-cidr-block-association.state",
        "ipv6-native",
        "map-public-ip-on-launch",
        "owner-id",
        "private-dns-name-options-on-launch.hostname-type",
        "private-dns-name-options-on-launch.enable-resource-name-dns-a-record",
        "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record",
        "state",
        "subnet-arn",
        "subnet-id",
        "vpc-id",
    ],
    page: (5, 1000),
    refuses_unknown: true,
};

/// The zone that a call names, by name or by id; without either EC2 chooses.
fn zone(call: &Call<'_>) -> Result<Zone, ApiError> {
    let zones = zones(&call.region.name);
    let choice = |found: Option<Zone>, value: &str, parameter: &str, name: fn(&Zone) -> &str| {
        found.ok_or_else(|| {
            let names: Vec<&str> = zones.iter().map(name).collect();
            let why = format!(
                "Subnets can currently only be created in the following availability zones: {}.",
                names.join(", ")
            );
            ApiError::bad_value(value, parameter, &why)
        })
    };
    match (call.params.text("AvailabilityZone"), call.params.text("AvailabilityZoneId")) {
        (Some(_), Some(_)) => {
            Err(ApiError::combination("Only one of availabilityZone and availabilityZoneId can be specified"))
        }
        (Some(name), None) => {
            choice(zones.iter().find(|zone| zone.name == name).cloned(), name, "AvailabilityZone", |zone| &zone.name)
        }
        (None, Some(id)) => {
            choice(zones.iter().find(|zone| zone.id == id).cloned(), id, "AvailabilityZoneId", |zone| &zone.id)
        }
        (None, None) => choice(zones.first().cloned(), "", "AvailabilityZone", |zone| &zone.name),
    }
}

/// Refuses an IPv6 block that a subnet of this VPC cannot have.
pub(super) fn check_ipv6(call: &Call<'_>, vpc: &Vpc, text: &str, except: Option<&str>) -> Result<Ipv6Net, ApiError> {
    let invalid = || ApiError::new("InvalidSubnet.Range", format!("The CIDR '{text}' is invalid."));
    let block: Ipv6Net =
        text.parse().map_err(|_| ApiError::bad_value(text, "Ipv6CidrBlock", "This is not a valid CIDR block."))?;
    let usable = |held: &Ipv6Net| held.contains(&block);
    let associated = vpc.ipv6.iter().filter(|held| held.state(call.now) == "associated").map(|held| &held.block);
    // Subnets of Amazon's blocks may be /44 to /64 in steps of four.
    if block.trunc() != block || !(44..=64).contains(&block.prefix_len()) || !block.prefix_len().is_multiple_of(4) {
        return Err(invalid());
    }
    if !associated.into_iter().any(usable) {
        return Err(invalid());
    }
    let taken = call.region.subnets.linked(&vpc.head.id).filter(|subnet| Some(subnet.head.id.as_str()) != except).any(
        |subnet| {
            subnet.ipv6.iter().any(|held| held.is_held() && crate::sandbox::world::ranges::overlap6(held.block, block))
        },
    );
    if taken {
        return Err(ApiError::new(
            "InvalidSubnet.Conflict",
            format!("The CIDR '{block}' conflicts with another subnet"),
        ));
    }
    Ok(block)
}

fn create(call: &mut Call<'_>) -> Answer {
    let vpc_id = call.params.required("VpcId")?;
    let text = call.params.required("CidrBlock")?;
    let block = vpc::parse_ipv4(text)?;
    let vpc = refer::find(&call.region.vpcs, &refer::VPC, vpc_id, call.now)?.clone();
    let zone = zone(call)?;
    if !(16..=28).contains(&block.prefix_len()) || !vpc.blocks.iter().any(|held| held.block.contains(&block)) {
        return Err(ApiError::new("InvalidSubnet.Range", format!("The CIDR '{block}' is invalid.")));
    }
    if call.region.subnets.linked(vpc_id).any(|subnet| overlap(subnet.cidr, block)) {
        return Err(ApiError::new(
            "InvalidSubnet.Conflict",
            format!("The CIDR '{block}' conflicts with another subnet"),
        ));
    }
    let ipv6 = call.params.text("Ipv6CidrBlock").map(|text| check_ipv6(call, &vpc, text, None)).transpose()?;
    if call.region.subnets.linked(vpc_id).count() >= call.quotas.subnets_per_vpc {
        return Err(ApiError::new("SubnetLimitExceeded", "The maximum number of subnets has been reached."));
    }
    let head = call.new_head("subnet", "subnet")?;
    let id = head.id.clone();
    let associated = call.mint.ready(call.now, &id, "ipv6", 1_000, 4_000);
    let subnet = Subnet {
        vpc_id: vpc_id.to_owned(),
        zone: zone.name,
        zone_id: zone.id,
        cidr: block,
        ipv6: ipv6
            .map(|block| vpc_cidr::ipv6_block(call.mint, "subnet-cidr-assoc", block, associated))
            .into_iter()
            .collect(),
        // V5 of the domain model: 1-12 s, mostly below 4.
        available_at: call.mint.ready(call.now, &id, "available", 1_000, 4_000),
        default_for_az: false,
        map_public_ip: false,
        assign_ipv6: false,
        dns64: false,
        hostname_type: "ip-name".to_owned(),
        dns_a: false,
        dns_aaaa: false,
        acl_association: call.mint.id("aclassoc"),
        head,
    };
    let mut xml = Xml::default();
    xml.group("subnet", |xml| write(xml, call, &subnet));
    call.region.subnets.insert(subnet);
    Ok(xml)
}

fn state(subnet: &Subnet, call: &Call<'_>) -> &'static str {
    if call.now >= subnet.available_at { "available" } else { "pending" }
}

fn write(xml: &mut Xml, call: &Call<'_>, subnet: &Subnet) {
    let id = &subnet.head.id;
    xml.text("subnetId", id)
        .text("subnetArn", call.arn("subnet", id))
        .text("state", state(subnet, call))
        .text("ownerId", call.owner())
        .text("vpcId", &subnet.vpc_id)
        .text("cidrBlock", subnet.cidr)
        .list("ipv6CidrBlockAssociationSet", &subnet.ipv6, |xml, block| vpc_cidr::write_ipv6(xml, block, call.now))
        .text("assignIpv6AddressOnCreation", subnet.assign_ipv6)
        .text("availabilityZone", &subnet.zone)
        .text("availabilityZoneId", &subnet.zone_id)
        .text("availableIpAddressCount", free_addresses(call.region, id, subnet.cidr))
        .text("defaultForAz", subnet.default_for_az)
        .text("mapPublicIpOnLaunch", subnet.map_public_ip)
        .text("mapCustomerOwnedIpOnLaunch", false)
        .text("ipv6Native", false)
        .text("enableDns64", subnet.dns64)
        .group("privateDnsNameOptionsOnLaunch", |xml| {
            xml.text("hostnameType", &subnet.hostname_type)
                .text("enableResourceNameDnsARecord", subnet.dns_a)
                .text("enableResourceNameDnsAAAARecord", subnet.dns_aaaa);
        });
    tagging::write(xml, &subnet.head.tags);
}

fn describe(call: &mut Call<'_>) -> Answer {
    let selected = LISTING.select(call, &call.region.subnets, |subnet, filter| {
        vec![match filter {
            "assign-ipv6-address-on-creation" => subnet.assign_ipv6.to_string(),
            "availability-zone" | "availabilityZone" => subnet.zone.clone(),
            "availability-zone-id" | "availabilityZoneId" => subnet.zone_id.clone(),
            "available-ip-address-count" => free_addresses(call.region, &subnet.head.id, subnet.cidr).to_string(),
            "cidr" | "cidr-block" | "cidrBlock" => subnet.cidr.to_string(),
            "default-for-az" | "defaultForAz" => subnet.default_for_az.to_string(),
            "enable-dns64" => subnet.dns64.to_string(),
            "ipv6-cidr-block-association.ipv6-cidr-block" => {
                return subnet.ipv6.iter().map(|block| block.block.to_string()).collect();
            }
            "ipv6-cidr-block-association.association-id" => {
                return subnet.ipv6.iter().map(|block| block.association_id.clone()).collect();
            }
            "ipv6-cidr-block-association.state" => {
                return subnet.ipv6.iter().map(|block| block.state(call.now).to_owned()).collect();
            }
            "ipv6-native" => "false".to_owned(),
            "map-public-ip-on-launch" => subnet.map_public_ip.to_string(),
            "owner-id" => call.owner().to_owned(),
            "private-dns-name-options-on-launch.hostname-type" => subnet.hostname_type.clone(),
            "private-dns-name-options-on-launch.enable-resource-name-dns-a-record" => subnet.dns_a.to_string(),
            "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record" => subnet.dns_aaaa.to_string(),
            "state" => state(subnet, call).to_owned(),
            "subnet-arn" => call.arn("subnet", &subnet.head.id),
            "vpc-id" => subnet.vpc_id.clone(),
            _ => subnet.head.id.clone(),
        }]
    })?;
    let mut xml = Xml::default();
    xml.list("subnetSet", selected.rows, |xml, subnet| write(xml, call, subnet));
    write_next(&mut xml, selected.next);
    Ok(xml)
}

fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("SubnetId")?;
    refer::find(&call.region.subnets, &refer::SUBNET, id, call.now)?;
    if call.region.interfaces.linked(id).next().is_some() {
        return Err(ApiError::dependency(format!("The subnet '{id}' has dependencies and cannot be deleted.")));
    }
    remove(call.region, id);
    Ok(Xml::default().returned())
}

/// Takes a subnet out, with its associations.
pub(in crate::sandbox) fn remove(region: &mut Region, id: &str) {
    let tables: Vec<String> = region.route_tables.linked(id).map(|table| table.head.id.clone()).collect();
    for table in tables {
        region.route_tables.edit(&table, |table| table.associations.retain(|_, subnet| subnet != id));
    }
    region.subnets.remove(id);
}

const MODIFY: &[&str] = &[
    "SubnetId",
    "AssignIpv6AddressOnCreation",
    "MapPublicIpOnLaunch",
    "EnableDns64",
    "PrivateDnsHostnameTypeOnLaunch",
    "EnableResourceNameDnsARecordOnLaunch",
    "EnableResourceNameDnsAAAARecordOnLaunch",
];

fn modify(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("SubnetId")?;
    let given: Vec<&str> = MODIFY.iter().skip(1).copied().filter(|name| call.params.at(name).is_some()).collect();
    let [attribute] = given.as_slice() else {
        return Err(vpc::one_attribute(&given));
    };
    let subnet = refer::find(&call.region.subnets, &refer::SUBNET, id, call.now)?;
    if *attribute == "PrivateDnsHostnameTypeOnLaunch" {
        let hostname_type = call.params.required("PrivateDnsHostnameTypeOnLaunch")?;
        if !matches!(hostname_type, "ip-name" | "resource-name") {
            return Err(ApiError::bad_value(hostname_type, attribute, "Valid values are ip-name and resource-name"));
        }
        call.region.subnets.edit(id, |subnet| hostname_type.clone_into(&mut subnet.hostname_type));
        return Ok(Xml::default().returned());
    }
    let Some(value) = call.params.boolean(&format!("{attribute}.Value"))? else {
        return Err(ApiError::missing(&format!("{attribute}.Value")));
    };
    let needs_ipv6 = matches!(*attribute, "AssignIpv6AddressOnCreation" | "EnableResourceNameDnsAAAARecordOnLaunch");
    if needs_ipv6 && value && !subnet_cidr::has_ipv6(subnet) {
        return Err(ApiError::value(format!(
            "Invalid value 'true' for {}. The subnet {id} has no IPv6 CIDR block associated",
            crate::sandbox::protocol::error::lower_first(attribute)
        )));
    }
    call.region.subnets.edit(id, |subnet| match *attribute {
        "AssignIpv6AddressOnCreation" => subnet.assign_ipv6 = value,
        "MapPublicIpOnLaunch" => subnet.map_public_ip = value,
        "EnableDns64" => subnet.dns64 = value,
        "EnableResourceNameDnsARecordOnLaunch" => subnet.dns_a = value,
        _ => subnet.dns_aaaa = value,
    });
    Ok(Xml::default().returned())
}
