//! Routes: the destination is their identity, the target can be replaced and can vanish.

use std::net::Ipv6Addr;

use ipnet::{IpNet, Ipv6Net};

use super::route_table::different_networks;
use super::{Answer, Call, Operation, refer, vpc_peering, writes};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::rows::{Route, RouteTable, RouteTarget};

const SET: &[&str] = &[
    "RouteTableId",
    "DestinationCidrBlock",
    "DestinationIpv6CidrBlock",
    "GatewayId",
    "NatGatewayId",
    "EgressOnlyInternetGatewayId",
    "NetworkInterfaceId",
    "VpcPeeringConnectionId",
];

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreateRoute", SET, create),
    writes("ReplaceRoute", SET, replace),
    writes("DeleteRoute", &["RouteTableId", "DestinationCidrBlock", "DestinationIpv6CidrBlock"], delete),
];

const PEERING: &str = "VpcPeeringConnectionId";

/// The block of NAT64 (RFC 6052), the only IPv6 destination that a NAT gateway takes.
const NAT64: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

fn destination(call: &Call<'_>) -> Result<IpNet, ApiError> {
    match (call.params.text("DestinationCidrBlock"), call.params.text("DestinationIpv6CidrBlock")) {
        (Some(text), None) => text
            .parse::<ipnet::Ipv4Net>()
            .map(|block| IpNet::V4(block.trunc()))
            .map_err(|_| ApiError::bad_value(text, "DestinationCidrBlock", "This is not a valid CIDR block.")),
        (None, Some(text)) => text
            .parse::<Ipv6Net>()
            .map(|block| IpNet::V6(block.trunc()))
            .map_err(|_| ApiError::bad_value(text, "DestinationIpv6CidrBlock", "This is not a valid IPv6 CIDR block.")),
        (None, None) => Err(ApiError::missing("DestinationCidrBlock")),
        (Some(_), Some(_)) => {
            Err(ApiError::combination("Only one of destinationCidrBlock and destinationIpv6CidrBlock can be specified"))
        }
    }
}

/// The target that a call names, checked against the table's VPC.
fn target(call: &Call<'_>, table: &RouteTable, destination: IpNet) -> Result<RouteTarget, ApiError> {
    let names = ["GatewayId", "NatGatewayId", "EgressOnlyInternetGatewayId", "NetworkInterfaceId", PEERING];
    let given: Vec<(&str, &str)> =
        names.into_iter().filter_map(|name| call.params.text(name).map(|id| (name, id))).collect();
    let [(name, id)] = given[..] else {
        return Err(if given.is_empty() {
            ApiError::new(
                "MissingParameter",
                "The request must contain exactly one target, such as gatewayId or natGatewayId",
            )
        } else {
            ApiError::combination("The request must contain exactly one target, such as gatewayId or natGatewayId")
        });
    };
    let (region, now, table_id) = (&*call.region, call.now, &table.head.id);
    let (target, vpc_id) = match name {
        "GatewayId" => {
            let gateway = refer::find(&region.internet_gateways, &refer::ROUTE_INTERNET_GATEWAY, id, now)?;
            let vpc_id = gateway.vpc_id.as_deref().unwrap_or_default();
            (RouteTarget::InternetGateway(id.to_owned()), vpc_id)
        }
        "NatGatewayId" => {
            let nat = refer::find(&region.nat_gateways, &refer::ROUTE_NAT_GATEWAY, id, now)?;
            // A gateway that is not available yet, or no more, does not exist for routes.
            if nat.state(now) != "available" {
                return Err(refer::ROUTE_NAT_GATEWAY.not_found(id));
            }
            if let IpNet::V6(block) = destination
                && !NAT64.contains(&block)
            {
                return Err(ApiError::value(format!(
                    "Only destinations within {NAT64} can be routed to NAT gateway {id}, not {block}"
                )));
            }
            (RouteTarget::NatGateway(id.to_owned()), nat.vpc_id.as_str())
        }
        "EgressOnlyInternetGatewayId" => {
            let gateway = refer::find(&region.egress_gateways, &refer::EGRESS_GATEWAY, id, now)?;
            if matches!(destination, IpNet::V4(_)) {
                return Err(ApiError::value(format!(
                    "Only IPv6 destinations can be routed to egress only internet gateway {id}"
                )));
            }
            (RouteTarget::EgressOnlyGateway(id.to_owned()), gateway.vpc_id.as_str())
        }
        PEERING => {
            let peering = vpc_peering::find(call, id)?;
            // One that is not accepted yet can be routed to: packets are dropped until it is.
            if peering.is_over(now) || peering.deleted_at.is_some() {
                return Err(refer::VPC_PEERING.not_found(id));
            }
            let here = peering.sides().into_iter().find(|side| side.vpc_id == table.vpc_id);
            (RouteTarget::Peering(id.to_owned()), here.map_or("", |side| side.vpc_id.as_str()))
        }
        _ => {
            let interface = refer::find(&region.interfaces, &refer::INTERFACE, id, now)?;
            (RouteTarget::Interface(id.to_owned()), interface.vpc_id.as_str())
        }
    };
    if vpc_id == table.vpc_id { Ok(target) } else { Err(different_networks(table_id, "network gateway", id)) }
}

fn table(call: &Call<'_>) -> Result<RouteTable, ApiError> {
    let id = call.params.required("RouteTableId")?;
    refer::find(&call.region.route_tables, &refer::ROUTE_TABLE, id, call.now).cloned()
}

fn create(call: &mut Call<'_>) -> Answer {
    let table = table(call)?;
    let destination = destination(call)?;
    let target = target(call, &table, destination)?;
    if table.routes.iter().any(|route| route.destination == destination) {
        return Err(ApiError::new(
            "RouteAlreadyExists",
            format!("The route identified by {destination} already exists."),
        ));
    }
    let local = |route: &Route| route.target == RouteTarget::Local && route.destination.contains(&destination);
    if table.routes.iter().any(local) {
        return Err(ApiError::value(format!("Route destination {destination} is within the VPC's own CIDR blocks")));
    }
    let same_family = |route: &&Route| {
        matches!((route.destination, destination), (IpNet::V4(_), IpNet::V4(_)) | (IpNet::V6(_), IpNet::V6(_)))
    };
    let count = table.routes.iter().filter(|route| route.target != RouteTarget::Local).filter(same_family).count();
    if count >= call.quotas.routes_per_table {
        return Err(ApiError::new(
            "RouteLimitExceeded",
            "The maximum number of routes per route table has been reached.",
        ));
    }
    call.region.route_tables.edit(&table.head.id, |table| table.routes.push(Route { destination, target }));
    Ok(Xml::default().returned())
}

fn replace(call: &mut Call<'_>) -> Answer {
    let table = table(call)?;
    let destination = destination(call)?;
    let target = target(call, &table, destination)?;
    let Some(position) = table.routes.iter().position(|route| route.destination == destination) else {
        return Err(ApiError::value(format!(
            "There is no route defined for '{destination}' in the route table. Use CreateRoute instead."
        )));
    };
    call.region.route_tables.edit(&table.head.id, |table| {
        if let Some(route) = table.routes.get_mut(position) {
            route.target = target;
        }
    });
    Ok(Xml::default().returned())
}

fn delete(call: &mut Call<'_>) -> Answer {
    let table = table(call)?;
    let destination = destination(call)?;
    let id = &table.head.id;
    let route = table.routes.iter().find(|route| route.destination == destination);
    match route.map(|route| &route.target) {
        None => {
            let family = if matches!(destination, IpNet::V4(_)) { "cidr" } else { "ipv6-cidr" };
            Err(ApiError::new(
                "InvalidRoute.NotFound",
                format!("no route with destination-{family}-block {destination} in route table {id}"),
            ))
        }
        Some(RouteTarget::Local) => {
            Err(ApiError::value(format!("cannot remove local route {destination} in route table {id}")))
        }
        Some(_) => {
            call.region.route_tables.edit(id, |table| table.routes.retain(|route| route.destination != destination));
            Ok(Xml::default().returned())
        }
    }
}

/// Whether a route leads anywhere.
pub(super) fn state(call: &Call<'_>, table: &RouteTable, route: &Route) -> &'static str {
    let region = &call.region;
    let alive = match &route.target {
        RouteTarget::Local => true,
        RouteTarget::InternetGateway(id) => {
            region.internet_gateways.get(id).is_some_and(|gateway| gateway.vpc_id.as_ref() == Some(&table.vpc_id))
        }
        RouteTarget::NatGateway(id) => {
            region.nat_gateways.get(id).is_some_and(|nat| !matches!(nat.state(call.now), "deleted" | "failed"))
        }
        RouteTarget::EgressOnlyGateway(id) => region.egress_gateways.get(id).is_some(),
        RouteTarget::Interface(id) => region.interfaces.get(id).is_some(),
        RouteTarget::Peering(id) => {
            call.global.vpc_peerings.get(id).is_some_and(|peering| peering.state(call.now) == "active")
        }
    };
    if alive { "active" } else { "blackhole" }
}

/// What made a route.
pub(super) fn origin(route: &Route) -> &'static str {
    if route.target == RouteTarget::Local { "CreateRouteTable" } else { "CreateRoute" }
}

/// What an answer calls the id of a route's target.
pub(super) fn member(route: &Route) -> &'static str {
    match &route.target {
        RouteTarget::Local | RouteTarget::InternetGateway(_) => "gatewayId",
        RouteTarget::NatGateway(_) => "natGatewayId",
        RouteTarget::EgressOnlyGateway(_) => "egressOnlyInternetGatewayId",
        RouteTarget::Interface(_) => "networkInterfaceId",
        RouteTarget::Peering(_) => "vpcPeeringConnectionId",
    }
}

/// Writes a route.
pub(super) fn write(xml: &mut Xml, call: &Call<'_>, table: &RouteTable, route: &Route) {
    match route.destination {
        IpNet::V4(block) => xml.text("destinationCidrBlock", block),
        IpNet::V6(block) => xml.text("destinationIpv6CidrBlock", block),
    };
    xml.text(member(route), route.target.id()).text("state", state(call, table, route)).text("origin", origin(route));
}
