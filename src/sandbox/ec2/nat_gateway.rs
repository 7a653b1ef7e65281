//! NAT gateways: pending for minutes, deleting for a minute, and still listed for an hour after that.

use jiff::Timestamp;

use super::listing::{Listing, write_next};
use super::{Answer, Call, Operation, reads, refer, tagging, writes};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::ranges::private_ipv4;
use crate::sandbox::world::rows::{AddressAssociation, Head, NatFailure, NatGateway, NetworkInterface, Subnet, Tags};

pub(super) const OPERATIONS: &[Operation] = &[
    writes(
        "CreateNatGateway",
        &["SubnetId", "AllocationId", "ConnectivityType", "AvailabilityMode", "ClientToken", "TagSpecification"],
        create,
    ),
    reads("DescribeNatGateways", &["NatGatewayId", "Filter", "MaxResults", "NextToken"], describe),
    writes("DeleteNatGateway", &["NatGatewayId"], delete),
];

const LISTING: Listing = Listing {
    ids: "NatGatewayId",
    reference: &refer::NAT_GATEWAY,
    links: &["nat-gateway-id", "subnet-id", "vpc-id"],
    filters: &["nat-gateway-id", "state", "subnet-id", "vpc-id"],
    page: (5, 1000),
    refuses_unknown: true,
};

// V7 of the domain model: 1 min 25 s to 2 min 05 s until available, 42 to 94 s until deleted.
const CREATE_MS: (u64, u64) = (85_000, 125_000);
const DELETE_MS: (u64, u64) = (42_000, 94_000);
/// How long a gateway that cannot work stays pending before it fails.
const FAIL_MS: (u64, u64) = (5_000, 20_000);

fn create(call: &mut Call<'_>) -> Answer {
    if let Some(made) = call.replayed()?.and_then(|id| call.region.nat_gateways.get(&id)) {
        return Ok(created(call, made));
    }
    if let Some(mode) = call.params.text("AvailabilityMode").filter(|mode| *mode != "zonal") {
        return Err(ApiError::new(
            "UnsupportedOperation",
            format!("The sandbox has no {mode} NAT gateways, only zonal ones"),
        ));
    }
    let public = match call.params.text("ConnectivityType").unwrap_or("public") {
        "public" => true,
        "private" => false,
        other => return Err(ApiError::bad_value(other, "ConnectivityType", "Valid values are public and private")),
    };
    let subnet_id = call.params.required("SubnetId")?;
    let allocation_id = call.params.text("AllocationId");
    match (public, allocation_id) {
        (true, None) => return Err(ApiError::missing("AllocationId")),
        (false, Some(_)) => {
            return Err(ApiError::combination(
                "The parameter allocationId cannot be used with connectivityType private",
            ));
        }
        (true, Some(_)) | (false, None) => {}
    }
    let subnet = refer::find(&call.region.subnets, &refer::SUBNET, subnet_id, call.now)?.clone();
    let address = allocation_id
        .map(|id| refer::find(&call.region.addresses, &refer::ADDRESS, id, call.now).cloned())
        .transpose()?;
    if let Some(association) = address.as_ref().and_then(|address| address.association.as_ref()) {
        return Err(ApiError::new(
            "Resource.AlreadyAssociated",
            format!(
                "resource {} is already associated with associate-id {}",
                allocation_id.unwrap_or_default(),
                association.association_id
            ),
        ));
    }
    check_quota(call, &subnet)?;
    let Some(private_ip) = private_ipv4(call.region, subnet_id, subnet.cidr) else {
        return Err(ApiError::new(
            "InsufficientFreeAddressesInSubnet",
            format!(
                "There are not enough free addresses in subnet '{subnet_id}' to satisfy the requested number of interfaces."
            ),
        ));
    };
    let head = call.new_head("nat", "natgateway")?;
    let id = head.id.clone();
    let failure = failure(call, &subnet, public);
    let settled_at = match &failure {
        Some(_) => call.mint.after(call.now, &id, "fail", FAIL_MS.0, FAIL_MS.1),
        None => call.mint.ready(call.now, &id, "available", CREATE_MS.0, CREATE_MS.1),
    };
    let interface = interface(call, &subnet, &id, private_ip, allocation_id);
    let association_id = allocation_id.map(|_| call.mint.id("eipassoc"));
    if let (Some(allocation), Some(association_id)) = (allocation_id, &association_id) {
        let association = AddressAssociation {
            association_id: association_id.clone(),
            interface_id: interface.head.id.clone(),
            private_ip,
        };
        call.region.addresses.edit(allocation, |address| address.association = Some(association));
    }
    let gateway = NatGateway {
        head,
        vpc_id: subnet.vpc_id.clone(),
        subnet_id: subnet_id.to_owned(),
        public,
        allocation_id: allocation_id.map(str::to_owned),
        association_id,
        public_ip: address.map(|address| address.public_ip),
        private_ip,
        interface_id: interface.head.id.clone(),
        settled_at,
        failure,
        deletion: None,
        released: false,
    };
    call.region.interfaces.insert(interface);
    let xml = created(call, &gateway);
    call.region.nat_gateways.insert(gateway);
    call.remember(&id);
    Ok(xml)
}

fn created(call: &Call<'_>, gateway: &NatGateway) -> Xml {
    let mut xml = Xml::default();
    xml.group("natGateway", |xml| write(xml, call, gateway)).optional("clientToken", call.params.text("ClientToken"));
    xml
}

/// The quota is per availability zone; gateways that are being deleted still count.
fn check_quota(call: &Call<'_>, subnet: &Subnet) -> Result<(), ApiError> {
    if call.quotas.nat_gateways_per_zone == usize::MAX {
        return Ok(());
    }
    let in_zone = |subnet_id: &str| call.region.subnets.get(subnet_id).is_some_and(|other| other.zone == subnet.zone);
    let count = call.region.nat_gateways.iter().filter(|nat| !nat.released && in_zone(&nat.subnet_id)).count();
    if count >= call.quotas.nat_gateways_per_zone {
        return Err(ApiError::new(
            "NatGatewayLimitExceeded",
            format!(
                "Performing this operation would exceed the limit of {} NAT gateways",
                call.quotas.nat_gateways_per_zone
            ),
        ));
    }
    Ok(())
}

/// Why a gateway will fail, in the words of the API reference (`NatGateway.failureCode`).
fn failure(call: &Call<'_>, subnet: &Subnet, public: bool) -> Option<NatFailure> {
    let attached = call.region.internet_gateways.linked(&subnet.vpc_id).next().is_some();
    (public && !attached).then(|| NatFailure {
        code: "Gateway.NotAttached".to_owned(),
        message: format!("Network {} has no Internet gateway attached", subnet.vpc_id),
    })
}

/// The network interface that AWS makes for a gateway.
fn interface(
    call: &mut Call<'_>,
    subnet: &Subnet,
    gateway_id: &str,
    private_ip: std::net::Ipv4Addr,
    allocation_id: Option<&str>,
) -> NetworkInterface {
    let head =
        Head { id: call.mint.id("eni"), created_at: call.now, visible_at: call.now, tags: Tags::new(), native: false };
    NetworkInterface {
        head,
        vpc_id: subnet.vpc_id.clone(),
        subnet_id: subnet.head.id.clone(),
        zone: subnet.zone.clone(),
        groups: Vec::new(),
        description: format!("Interface for NAT Gateway {gateway_id}"),
        interface_type: "nat_gateway".to_owned(),
        private_ip,
        ipv6: Vec::new(),
        allocation_id: allocation_id.map(str::to_owned),
        attachment_id: Some(call.mint.id("ela-attach")),
        requester_managed: true,
        public_ip: None,
        instance_id: None,
        gone_at: None,
    }
}

/// EC2 writes whole seconds, with the fraction.
fn when(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
}

fn write(xml: &mut Xml, call: &Call<'_>, nat: &NatGateway) {
    let state = nat.state(call.now);
    xml.text("natGatewayId", &nat.head.id)
        .text("createTime", when(nat.head.created_at))
        .optional("deleteTime", nat.deletion.map(|(asked, _)| when(asked)))
        .text("state", state)
        .text("subnetId", &nat.subnet_id)
        .text("vpcId", &nat.vpc_id)
        .text("connectivityType", if nat.public { "public" } else { "private" })
        .text("availabilityMode", "zonal");
    if let Some(failure) = nat.failure.as_ref().filter(|_| state != "pending") {
        xml.text("failureCode", &failure.code).text("failureMessage", &failure.message);
    }
    let held = !nat.released;
    xml.list("natGatewayAddressSet", [nat], |xml, nat| {
        xml.optional("allocationId", nat.allocation_id.as_ref()).optional("publicIp", nat.public_ip);
        if held {
            xml.optional("associationId", nat.association_id.as_ref())
                .text("networkInterfaceId", &nat.interface_id)
                .text("privateIp", nat.private_ip);
        }
        xml.text("isPrimary", true).text("status", if nat.failure.is_some() { "failed" } else { "succeeded" });
    });
    tagging::write(xml, &nat.head.tags);
}

fn describe(call: &mut Call<'_>) -> Answer {
    let selected = LISTING.select(call, &call.region.nat_gateways, |nat, filter| {
        vec![match filter {
            "state" => nat.state(call.now).to_owned(),
            "subnet-id" => nat.subnet_id.clone(),
            "vpc-id" => nat.vpc_id.clone(),
            _ => nat.head.id.clone(),
        }]
    })?;
    let mut xml = Xml::default();
    xml.list("natGatewaySet", selected.rows, |xml, nat| write(xml, call, nat));
    write_next(&mut xml, selected.next);
    Ok(xml)
}

fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("NatGatewayId")?;
    let nat = refer::find(&call.region.nat_gateways, &refer::NAT_GATEWAY, id, call.now)?;
    match nat.state(call.now) {
        "deleted" => return Err(refer::NAT_GATEWAY.not_found(id)),
        // A second call changes nothing.
        "deleting" => {}
        "failed" => {
            call.region.nat_gateways.edit(id, |nat| nat.deletion = Some((call.now, call.now)));
        }
        _ => {
            let deleted_at = call.mint.after(call.now, id, "deleted", DELETE_MS.0, DELETE_MS.1);
            call.region.nat_gateways.edit(id, |nat| nat.deletion = Some((call.now, deleted_at)));
        }
    }
    call.region.settle(call.now);
    let mut xml = Xml::default();
    xml.text("natGatewayId", id);
    Ok(xml)
}
