//! Egress-only internet gateways.

use super::listing::{Listing, write_next};
use super::{Answer, Call, Operation, reads, refer, tagging, writes};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::rows::EgressOnlyGateway;

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreateEgressOnlyInternetGateway", &["VpcId", "ClientToken", "TagSpecification"], create),
    reads(
        "DescribeEgressOnlyInternetGateways",
        &["EgressOnlyInternetGatewayId", "Filter", "MaxResults", "NextToken"],
        describe,
    ),
    writes("DeleteEgressOnlyInternetGateway", &["EgressOnlyInternetGatewayId"], delete),
];

const LISTING: Listing = Listing {
    ids: "EgressOnlyInternetGatewayId",
    reference: &refer::EGRESS_GATEWAY,
    links: &[],
    // The API reference has filters on tags only for this call.
    filters: &[],
    page: (5, 255),
    // An unknown id gives an empty list on AWS (Cluster API's and Terraform's providers rely on it).
    refuses_unknown: false,
};

fn create(call: &mut Call<'_>) -> Answer {
    if let Some(made) = call.replayed()?.and_then(|id| call.region.egress_gateways.get(&id)) {
        return Ok(created(call, made));
    }
    let vpc_id = call.params.required("VpcId")?;
    refer::find(&call.region.vpcs, &refer::VPC, vpc_id, call.now)?;
    if call.region.egress_gateways.linked(vpc_id).next().is_some() {
        return Err(ApiError::value(format!("Network {vpc_id} already has an egress only internet gateway attached")));
    }
    if call.region.egress_gateways.len() >= call.quotas.egress_gateways {
        return Err(ApiError::new(
            "EgressOnlyInternetGatewayLimitExceeded",
            "The maximum number of egress only internet gateways has been reached.",
        ));
    }
    let head = call.new_head("eigw", "egress-only-internet-gateway")?;
    let gateway = EgressOnlyGateway { head, vpc_id: vpc_id.to_owned() };
    let xml = created(call, &gateway);
    let id = gateway.head.id.clone();
    call.region.egress_gateways.insert(gateway);
    call.remember(&id);
    Ok(xml)
}

fn created(call: &Call<'_>, gateway: &EgressOnlyGateway) -> Xml {
    let mut xml = Xml::default();
    xml.optional("clientToken", call.params.text("ClientToken"))
        .group("egressOnlyInternetGateway", |xml| write(xml, gateway));
    xml
}

fn write(xml: &mut Xml, gateway: &EgressOnlyGateway) {
    xml.text("egressOnlyInternetGatewayId", &gateway.head.id).list(
        "attachmentSet",
        [&gateway.vpc_id],
        |xml, vpc_id| {
            xml.text("vpcId", vpc_id).text("state", "attached");
        },
    );
    tagging::write(xml, &gateway.head.tags);
}

fn describe(call: &mut Call<'_>) -> Answer {
    let selected = LISTING.select(call, &call.region.egress_gateways, |_, _| Vec::new())?;
    let mut xml = Xml::default();
    xml.list("egressOnlyInternetGatewaySet", selected.rows, write);
    write_next(&mut xml, selected.next);
    Ok(xml)
}

fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("EgressOnlyInternetGatewayId")?;
    refer::find(&call.region.egress_gateways, &refer::EGRESS_GATEWAY, id, call.now)?;
    call.region.egress_gateways.remove(id);
    call.forget(id);
    let mut xml = Xml::default();
    xml.text("returnCode", true);
    Ok(xml)
}
