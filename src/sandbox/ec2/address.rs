//! Elastic IP addresses.

use super::listing::{Listing, Page, write_next};
use super::{Answer, Call, Operation, reads, refer, tagging, writes};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::ranges::amazon_ipv4;
use crate::sandbox::world::rows::Address;

pub(super) const OPERATIONS: &[Operation] = &[
    writes("AllocateAddress", &["Domain", "NetworkBorderGroup", "PublicIpv4Pool", "TagSpecification"], allocate),
    reads("DescribeAddresses", &["AllocationId", "PublicIp", "Filter"], describe),
    reads("DescribeAddressesAttribute", &["AllocationId", "Attribute", "MaxResults", "NextToken"], describe_attribute),
    writes("ReleaseAddress", &["AllocationId", "PublicIp", "NetworkBorderGroup"], release),
];

const LISTING: Listing = Listing {
    ids: "AllocationId",
    reference: &refer::ADDRESS,
    links: &["allocation-id", "public-ip", "association-id", "network-interface-id"],
    filters: &[
        "allocation-id",
        "association-id",
        "domain",
        "instance-id",
        "network-border-group",
        "network-interface-id",
        "network-interface-owner-id",
        "private-ip-address",
        "public-ip",
    ],
    page: (5, 1000),
    refuses_unknown: true,
};

fn allocate(call: &mut Call<'_>) -> Answer {
    if let Some(domain) = call.params.text("Domain").filter(|domain| *domain != "vpc") {
        return Err(ApiError::bad_value(domain, "Domain", "Only vpc is possible"));
    }
    let group = call.params.text("NetworkBorderGroup").filter(|group| *group != call.region.name);
    if let Some(group) = group {
        return Err(ApiError::bad_value(group, "NetworkBorderGroup", "The region has no such border group"));
    }
    if let Some(pool) = call.params.text("PublicIpv4Pool").filter(|pool| *pool != "amazon") {
        return Err(ApiError::new("InvalidPublicIpv4PoolID.NotFound", format!("The pool ID '{pool}' does not exist")));
    }
    if call.region.addresses.len() >= call.quotas.addresses {
        return Err(ApiError::new("AddressLimitExceeded", "The maximum number of addresses has been reached."));
    }
    let head = call.new_head("eipalloc", "elastic-ip")?;
    let address = Address { head, public_ip: amazon_ipv4(call.region, call.mint), association: None };
    let mut xml = Xml::default();
    xml.text("publicIp", address.public_ip)
        .text("allocationId", &address.head.id)
        .text("publicIpv4Pool", "amazon")
        .text("domain", "vpc")
        .text("networkBorderGroup", &call.region.name);
    call.region.addresses.insert(address);
    Ok(xml)
}

fn describe(call: &mut Call<'_>) -> Answer {
    let mut selected = LISTING.select(call, &call.region.addresses, |address, filter| {
        let association = |part: fn(&crate::sandbox::world::rows::AddressAssociation) -> String| {
            address.association.iter().map(part).collect()
        };
        match filter {
            "association-id" => association(|a| a.association_id.clone()),
            "domain" => vec!["vpc".to_owned()],
            "instance-id" => Vec::new(),
            "network-border-group" => vec![call.region.name.clone()],
            "network-interface-id" => association(|a| a.interface_id.clone()),
            "network-interface-owner-id" => address.association.iter().map(|_| call.owner().to_owned()).collect(),
            "private-ip-address" => association(|a| a.private_ip.to_string()),
            "public-ip" => vec![address.public_ip.to_string()],
            _ => vec![address.head.id.clone()],
        }
    })?;
    let wanted = call.params.texts("PublicIp");
    if !wanted.is_empty() {
        selected.rows.retain(|address| wanted.contains(&address.public_ip.to_string().as_str()));
        let known = |ip: &str| selected.rows.iter().any(|address| address.public_ip.to_string() == ip);
        if let Some(ip) = wanted.into_iter().find(|ip| !known(ip)) {
            return Err(ApiError::new("InvalidAddress.NotFound", format!("Address '{ip}' not found.")));
        }
    }
    let mut xml = Xml::default();
    xml.list("addressesSet", selected.rows, |xml, address| {
        xml.text("publicIp", address.public_ip)
            .text("allocationId", &address.head.id)
            .text("domain", "vpc")
            .text("publicIpv4Pool", "amazon")
            .text("networkBorderGroup", &call.region.name);
        if let Some(association) = &address.association {
            xml.text("associationId", &association.association_id)
                .text("networkInterfaceId", &association.interface_id)
                .text("networkInterfaceOwnerId", call.owner())
                .text("privateIpAddress", association.private_ip);
        }
        tagging::write(xml, &address.head.tags);
    });
    Ok(xml)
}

/// Reverse DNS names; the sandbox gives none.
fn describe_attribute(call: &mut Call<'_>) -> Answer {
    if let Some(other) = call.params.text("Attribute").filter(|attribute| *attribute != "domain-name") {
        return Err(ApiError::bad_value(other, "Attribute", "Unknown attribute."));
    }
    let ids = call.params.texts("AllocationId");
    let mut rows = Vec::new();
    if ids.is_empty() {
        rows.extend(call.region.addresses.iter().filter(|address| address.head.visible_at <= call.now));
    }
    for id in ids {
        rows.push(refer::find(&call.region.addresses, &refer::ADDRESS, id, call.now)?);
    }
    let selected = Page::parse(call.params, (5, 1000))?.cut(rows, |address| &address.head.id);
    let mut xml = Xml::default();
    xml.list("addressSet", selected.rows, |xml, address| {
        xml.text("publicIp", address.public_ip).text("allocationId", &address.head.id);
    });
    write_next(&mut xml, selected.next);
    Ok(xml)
}

fn release(call: &mut Call<'_>) -> Answer {
    let address = match (call.params.text("AllocationId"), call.params.text("PublicIp")) {
        (Some(id), None) => refer::find(&call.region.addresses, &refer::ADDRESS, id, call.now)?,
        (None, Some(ip)) => call
            .region
            .addresses
            .linked(ip)
            .find(|address| address.head.visible_at <= call.now)
            .ok_or_else(|| ApiError::new("InvalidAddress.NotFound", format!("Address '{ip}' not found.")))?,
        (None, None) => return Err(ApiError::missing("AllocationId")),
        (Some(_), Some(_)) => {
            return Err(ApiError::combination(
                "You may specify public IP or allocation id, but not both in the same call",
            ));
        }
    };
    if address.association.is_some() {
        return Err(ApiError::new("InvalidIPAddress.InUse", format!("Address {} is in use.", address.public_ip)));
    }
    let id = address.head.id.clone();
    call.region.addresses.remove(&id);
    Ok(Xml::default().returned())
}
