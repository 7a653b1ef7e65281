//! Internet gateways and their attachment.

use super::listing::{Listing, write_next};
use super::{Answer, Call, Operation, reads, refer, tagging, writes};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::Region;
use crate::sandbox::world::rows::InternetGateway;

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreateInternetGateway", &["TagSpecification"], create),
    reads("DescribeInternetGateways", &["InternetGatewayId", "Filter", "MaxResults", "NextToken"], describe),
    writes("AttachInternetGateway", &["InternetGatewayId", "VpcId"], attach),
    writes("DetachInternetGateway", &["InternetGatewayId", "VpcId"], detach),
    writes("DeleteInternetGateway", &["InternetGatewayId"], delete),
];

const LISTING: Listing = Listing {
    ids: "InternetGatewayId",
    reference: &refer::INTERNET_GATEWAY,
    links: &["internet-gateway-id", "attachment.vpc-id"],
    filters: &["attachment.state", "attachment.vpc-id", "internet-gateway-id", "owner-id"],
    page: (5, 1000),
    refuses_unknown: true,
};

fn create(call: &mut Call<'_>) -> Answer {
    if call.region.internet_gateways.len() >= call.quotas.internet_gateways {
        return Err(ApiError::new(
            "InternetGatewayLimitExceeded",
            "The maximum number of internet gateways has been reached.",
        ));
    }
    let gateway = InternetGateway { head: call.new_head("igw", "internet-gateway")?, vpc_id: None };
    let mut xml = Xml::default();
    xml.group("internetGateway", |xml| write(xml, call, &gateway));
    call.region.internet_gateways.insert(gateway);
    Ok(xml)
}

fn write(xml: &mut Xml, call: &Call<'_>, gateway: &InternetGateway) {
    xml.text("internetGatewayId", &gateway.head.id).text("ownerId", call.owner()).list(
        "attachmentSet",
        &gateway.vpc_id,
        |xml, vpc_id| {
            xml.text("vpcId", vpc_id).text("state", "available");
        },
    );
    tagging::write(xml, &gateway.head.tags);
}

fn describe(call: &mut Call<'_>) -> Answer {
    let selected = LISTING.select(call, &call.region.internet_gateways, |gateway, filter| match filter {
        "attachment.state" => gateway.vpc_id.iter().map(|_| "available".to_owned()).collect(),
        "attachment.vpc-id" => gateway.vpc_id.iter().cloned().collect(),
        "owner-id" => vec![call.owner().to_owned()],
        _ => vec![gateway.head.id.clone()],
    })?;
    let mut xml = Xml::default();
    xml.list("internetGatewaySet", selected.rows, |xml, gateway| write(xml, call, gateway));
    write_next(&mut xml, selected.next);
    Ok(xml)
}

fn attach(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("InternetGatewayId")?;
    let vpc_id = call.params.required("VpcId")?;
    let gateway = refer::find(&call.region.internet_gateways, &refer::INTERNET_GATEWAY, id, call.now)?;
    refer::find(&call.region.vpcs, &refer::VPC, vpc_id, call.now)?;
    if let Some(other) = &gateway.vpc_id {
        return Err(ApiError::new(
            "Resource.AlreadyAssociated",
            format!("resource {id} is already attached to network {other}"),
        ));
    }
    if call.region.internet_gateways.linked(vpc_id).next().is_some() {
        return Err(ApiError::value(format!("Network {vpc_id} already has an internet gateway attached")));
    }
    call.region.internet_gateways.edit(id, |gateway| gateway.vpc_id = Some(vpc_id.to_owned()));
    Ok(Xml::default().returned())
}

/// Whether a public address is mapped into a VPC.
fn has_mapped_addresses(region: &Region, vpc_id: &str) -> bool {
    region.interfaces.linked(vpc_id).any(|interface| interface.allocation_id.is_some() || interface.public_ip.is_some())
}

fn detach(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("InternetGatewayId")?;
    let vpc_id = call.params.required("VpcId")?;
    let gateway = refer::find(&call.region.internet_gateways, &refer::INTERNET_GATEWAY, id, call.now)?;
    refer::find(&call.region.vpcs, &refer::VPC, vpc_id, call.now)?;
    if gateway.vpc_id.as_deref() != Some(vpc_id) {
        return Err(ApiError::new("Gateway.NotAttached", format!("resource {id} is not attached to network {vpc_id}")));
    }
    if has_mapped_addresses(call.region, vpc_id) {
        return Err(ApiError::dependency(format!(
            "Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway."
        )));
    }
    call.region.internet_gateways.edit(id, |gateway| gateway.vpc_id = None);
    Ok(Xml::default().returned())
}

fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("InternetGatewayId")?;
    let gateway = refer::find(&call.region.internet_gateways, &refer::INTERNET_GATEWAY, id, call.now)?;
    if gateway.vpc_id.is_some() {
        return Err(ApiError::dependency(format!(
            "The internetGateway '{id}' has dependencies and cannot be deleted."
        )));
    }
    call.region.internet_gateways.remove(id);
    Ok(Xml::default().returned())
}
