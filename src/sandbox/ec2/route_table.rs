//! Route tables and their associations with subnets.

use std::collections::BTreeMap;

use super::listing::{Listing, write_next};
use super::{Answer, Call, Operation, reads, refer, route, tagging, writes};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::rows::{Route, RouteTable, RouteTarget};

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreateRouteTable", &["VpcId", "ClientToken", "TagSpecification"], create),
    reads("DescribeRouteTables", &["RouteTableId", "Filter", "MaxResults", "NextToken"], describe),
    writes("DeleteRouteTable", &["RouteTableId"], delete),
    writes("AssociateRouteTable", &["RouteTableId", "SubnetId"], associate),
    writes("DisassociateRouteTable", &["AssociationId"], disassociate),
    writes("ReplaceRouteTableAssociation", &["AssociationId", "RouteTableId"], replace_association),
];

const LISTING: Listing = Listing {
    ids: "RouteTableId",
    reference: &refer::ROUTE_TABLE,
    links: &[
        "route-table-id",
        "association.route-table-association-id",
        "association.subnet-id",
        "association.route-table-id",
        "route.nat-gateway-id",
        "route.gateway-id",
        "route.egress-only-internet-gateway-id",
        "route.vpc-peering-connection-id",
        "vpc-id",
    ],
    filters: &[
        "association.main",
        "association.route-table-association-id",
        "association.route-table-id",
        "association.subnet-id",
        "association.gateway-id",
        "owner-id",
        "route.destination-cidr-block",
        "route.destination-ipv6-cidr-block",
        "route.egress-only-internet-gateway-id",
        "route.gateway-id",
        "route.nat-gateway-id",
        "route.origin",
        "route.state",
        "route.vpc-peering-connection-id",
        "route-table-id",
        "vpc-id",
    ],
    // The API reference allows at most 100 for this call.
    page: (5, 100),
    refuses_unknown: true,
};

fn create(call: &mut Call<'_>) -> Answer {
    if let Some(made) = call.replayed()?.and_then(|id| call.region.route_tables.get(&id)) {
        return Ok(created(call, made));
    }
    let vpc_id = call.params.required("VpcId")?;
    let vpc = refer::find(&call.region.vpcs, &refer::VPC, vpc_id, call.now)?;
    let routes = vpc
        .blocks
        .iter()
        .map(|block| ipnet::IpNet::V4(block.block))
        .chain(vpc.ipv6.iter().filter(|block| block.is_held()).map(|block| ipnet::IpNet::V6(block.block)))
        .map(|destination| Route { destination, target: RouteTarget::Local })
        .collect();
    if call.region.route_tables.linked(vpc_id).count() >= call.quotas.route_tables_per_vpc {
        return Err(ApiError::new("RouteTableLimitExceeded", "The maximum number of route tables has been reached."));
    }
    let head = call.new_head("rtb", "route-table")?;
    let table = RouteTable { head, vpc_id: vpc_id.to_owned(), main: None, associations: BTreeMap::new(), routes };
    let xml = created(call, &table);
    let id = table.head.id.clone();
    call.region.route_tables.insert(table);
    call.remember(&id);
    Ok(xml)
}

fn created(call: &Call<'_>, table: &RouteTable) -> Xml {
    let mut xml = Xml::default();
    xml.group("routeTable", |xml| write(xml, call, table)).optional("clientToken", call.params.text("ClientToken"));
    xml
}

fn write(xml: &mut Xml, call: &Call<'_>, table: &RouteTable) {
    let id = &table.head.id;
    xml.text("routeTableId", id).text("vpcId", &table.vpc_id).text("ownerId", call.owner()).list(
        "routeSet",
        &table.routes,
        |xml, entry| route::write(xml, call, table, entry),
    );
    let main = table.main.iter().map(|association| (association, None));
    let subnets = table.associations.iter().map(|(association, subnet)| (association, Some(subnet)));
    xml.list("associationSet", main.chain(subnets), |xml, (association, subnet)| {
        xml.text("routeTableAssociationId", association)
            .text("routeTableId", id)
            .optional("subnetId", subnet)
            .text("main", subnet.is_none());
        write_state(xml);
    })
    .list("propagatingVgwSet", std::iter::empty::<()>(), |_, ()| {});
    tagging::write(xml, &table.head.tags);
}

fn write_state(xml: &mut Xml) {
    xml.group("associationState", |xml| {
        xml.text("state", "associated");
    });
}

/// The id of a route's target, if it is of the sort that has this name.
fn through(route: &Route, member: &str) -> Option<String> {
    (route::member(route) == member).then(|| route.target.id().to_owned())
}

fn describe(call: &mut Call<'_>) -> Answer {
    let selected = LISTING.select(call, &call.region.route_tables, |table, filter| {
        let routes = |part: &dyn Fn(&Route) -> Option<String>| table.routes.iter().filter_map(part).collect();
        let has_associations = table.main.is_some() || !table.associations.is_empty();
        match filter {
            "association.main" => {
                let main = table.main.iter().map(|_| "true".to_owned());
                main.chain(table.associations.iter().map(|_| "false".to_owned())).collect()
            }
            "association.route-table-association-id" => {
                table.main.iter().chain(table.associations.keys()).cloned().collect()
            }
            "association.route-table-id" if !has_associations => Vec::new(),
            "association.subnet-id" => table.associations.values().cloned().collect(),
            "association.gateway-id" => Vec::new(),
            "owner-id" => vec![call.owner().to_owned()],
            "route.destination-cidr-block" => routes(&|entry| match entry.destination {
                ipnet::IpNet::V4(block) => Some(block.to_string()),
                ipnet::IpNet::V6(_) => None,
            }),
            "route.destination-ipv6-cidr-block" => routes(&|entry| match entry.destination {
                ipnet::IpNet::V6(block) => Some(block.to_string()),
                ipnet::IpNet::V4(_) => None,
            }),
            "route.egress-only-internet-gateway-id" => routes(&|entry| through(entry, "egressOnlyInternetGatewayId")),
            "route.gateway-id" => routes(&|entry| through(entry, "gatewayId")),
            "route.nat-gateway-id" => routes(&|entry| through(entry, "natGatewayId")),
            "route.vpc-peering-connection-id" => routes(&|entry| through(entry, "vpcPeeringConnectionId")),
            "route.origin" => routes(&|entry| Some(route::origin(entry).to_owned())),
            "route.state" => routes(&|entry| Some(route::state(call, table, entry).to_owned())),
            "vpc-id" => vec![table.vpc_id.clone()],
            _ => vec![table.head.id.clone()],
        }
    })?;
    let mut xml = Xml::default();
    xml.list("routeTableSet", selected.rows, |xml, table| write(xml, call, table));
    write_next(&mut xml, selected.next);
    Ok(xml)
}

fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("RouteTableId")?;
    let table = refer::find(&call.region.route_tables, &refer::ROUTE_TABLE, id, call.now)?;
    if table.main.is_some() || !table.associations.is_empty() {
        return Err(ApiError::dependency(format!("The routeTable '{id}' has dependencies and cannot be deleted.")));
    }
    call.region.route_tables.remove(id);
    call.forget(id);
    Ok(Xml::default().returned())
}

fn associate(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("RouteTableId")?;
    let subnet_id = call.params.required("SubnetId")?;
    let table = refer::find(&call.region.route_tables, &refer::ROUTE_TABLE, id, call.now)?;
    let subnet = refer::find(&call.region.subnets, &refer::SUBNET, subnet_id, call.now)?;
    if table.vpc_id != subnet.vpc_id {
        return Err(different_networks(id, "subnet", subnet_id));
    }
    if call.region.route_tables.linked(subnet_id).next().is_some() {
        return Err(ApiError::new(
            "Resource.AlreadyAssociated",
            format!("the specified association for route table {id} conflicts with an existing association"),
        ));
    }
    let association = call.mint.id("rtbassoc");
    call.region.route_tables.edit(id, |table| table.associations.insert(association.clone(), subnet_id.to_owned()));
    let mut xml = Xml::default();
    xml.text("associationId", association);
    write_state(&mut xml);
    Ok(xml)
}

/// The refusal to join what belongs to two VPCs.
pub(super) fn different_networks(table_id: &str, what: &str, id: &str) -> ApiError {
    ApiError::value(format!("route table {table_id} and {what} {id} belong to different networks"))
}

/// The table that has an association.
fn holder<'a>(call: &'a Call<'_>, association: &str) -> Result<&'a RouteTable, ApiError> {
    refer::ROUTE_TABLE_ASSOCIATION.check(association)?;
    let found = call.region.route_tables.linked(association).next();
    found.ok_or_else(|| refer::ROUTE_TABLE_ASSOCIATION.not_found(association))
}

fn disassociate(call: &mut Call<'_>) -> Answer {
    let association = call.params.required("AssociationId")?;
    let table = holder(call, association)?;
    if table.main.as_deref() == Some(association) {
        return Err(ApiError::value(format!("cannot disassociate the main route table association {association}")));
    }
    let id = table.head.id.clone();
    call.region.route_tables.edit(&id, |table| table.associations.remove(association));
    Ok(Xml::default().returned())
}

fn replace_association(call: &mut Call<'_>) -> Answer {
    let association = call.params.required("AssociationId")?;
    let id = call.params.required("RouteTableId")?;
    let old = holder(call, association)?.clone();
    let table = refer::find(&call.region.route_tables, &refer::ROUTE_TABLE, id, call.now)?;
    if table.vpc_id != old.vpc_id {
        return Err(different_networks(id, "route table", &old.head.id));
    }
    let new = call.mint.id("rtbassoc");
    let subnet = old.associations.get(association).cloned();
    call.region.route_tables.edit(&old.head.id, |table| {
        table.associations.remove(association);
        if subnet.is_none() {
            table.main = None;
        }
    });
    call.region.route_tables.edit(id, |table| match subnet {
        Some(subnet) => {
            table.associations.insert(new.clone(), subnet);
        }
        None => table.main = Some(new.clone()),
    });
    let mut xml = Xml::default();
    xml.text("newAssociationId", new);
    write_state(&mut xml);
    Ok(xml)
}
