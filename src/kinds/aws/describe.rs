//! Looks at parts of a network that several kinds need.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{
    Filter, RouteTable, RouteTableAssociation, RouteTableAssociationStateCode, Subnet, SubnetCidrBlockStateCode,
    SubnetIpv6CidrBlockAssociation, VpcAttributeName,
};

use crate::kinds::sdk::{Absence, Answer};
use crate::resource::ProviderError;

use super::client::Ec2;
use super::live::{Association, PAGE};
use super::tags;

/// The most that one page holds: this API takes 5 to 100.
const PAGE_OF_TABLES: i32 = 100;

/// Whether the resolver is on, and whether hosts get names; `None` if there is no such VPC.
pub(super) async fn dns_attributes(client: &Ec2, id: &str) -> Result<Option<(bool, bool)>, ProviderError> {
    let Some(support) = attribute(client, id, VpcAttributeName::EnableDnsSupport).await? else { return Ok(None) };
    let hostnames = attribute(client, id, VpcAttributeName::EnableDnsHostnames).await?;
    Ok(hostnames.map(|hostnames| (support, hostnames)))
}

async fn attribute(client: &Ec2, id: &str, attribute: VpcAttributeName) -> Result<Option<bool>, ProviderError> {
    let answer = client
        .api()
        .describe_vpc_attribute()
        .vpc_id(id)
        .attribute(attribute.clone())
        .send()
        .await
        .read("ec2:DescribeVpcAttribute")
        .unless_absent()?;
    Ok(answer.map(|answer| {
        let value = if attribute == VpcAttributeName::EnableDnsSupport {
            answer.enable_dns_support
        } else {
            answer.enable_dns_hostnames
        };
        value.and_then(|value| value.value).unwrap_or(false)
    }))
}

/// The subnets for which a filter has one of these values.
pub(super) async fn subnets(client: &Ec2, filter: &str, values: Vec<String>) -> Result<Vec<Subnet>, ProviderError> {
    let mut pages = client
        .api()
        .describe_subnets()
        .filters(tags::ids_filter(filter, values))
        .max_results(PAGE)
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        found.extend(page.read("ec2:DescribeSubnets")?.subnets.unwrap_or_default());
    }
    Ok(found)
}

/// The IPv6 block that the subnet has or is about to have; failing that, one that is going or failed.
pub(super) fn ipv6_block(subnet: &Subnet) -> Option<(Association, &SubnetIpv6CidrBlockAssociation)> {
    let blocks = subnet.ipv6_cidr_block_association_set().iter().map(|block| {
        let state = block.ipv6_cidr_block_state().and_then(|state| state.state());
        (Association::of(state.map(SubnetCidrBlockStateCode::as_str)), block)
    });
    blocks.filter(|(state, _)| *state != Association::Gone).max_by_key(|(state, _)| state.is_declared())
}

/// The route tables that pass a filter, with their routes and associations.
pub(super) async fn route_tables(client: &Ec2, filter: Filter) -> Result<Vec<RouteTable>, ProviderError> {
    let mut pages =
        client.api().describe_route_tables().filters(filter).max_results(PAGE_OF_TABLES).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        found.extend(page.read("ec2:DescribeRouteTables")?.route_tables.unwrap_or_default());
    }
    Ok(found)
}

/// The public addresses of some of a VPC's NAT gateways, as ranges of one, sorted.
pub(super) async fn nat_cidrs(
    client: &Ec2,
    vpc: &str,
    gateways: &BTreeSet<&str>,
) -> Result<Vec<String>, ProviderError> {
    if gateways.is_empty() {
        return Ok(Vec::new());
    }
    let filter = tags::ids_filter("vpc-id", [vpc.to_owned()]);
    let mut pages = client.api().describe_nat_gateways().filter(filter).max_results(PAGE).into_paginator().send();
    let mut cidrs = BTreeSet::new();
    while let Some(page) = pages.next().await {
        for gateway in page.read("ec2:DescribeNatGateways")?.nat_gateways.unwrap_or_default() {
            if gateway.nat_gateway_id().is_some_and(|id| gateways.contains(id)) {
                let addresses = gateway.nat_gateway_addresses().iter().filter_map(|address| address.public_ip());
                cidrs.extend(addresses.map(|ip| format!("{ip}/32")));
            }
        }
    }
    Ok(cidrs.into_iter().collect())
}

/// The explicit association of each subnet that has one.
pub(super) fn associations(tables: &[RouteTable]) -> BTreeMap<&str, &RouteTableAssociation> {
    tables
        .iter()
        .flat_map(RouteTable::associations)
        .filter(|association| association_state(association) != Association::Gone)
        .filter_map(|association| Some((association.subnet_id()?, association)))
        .collect()
}

/// How far a route table is associated.
pub(super) fn association_state(association: &RouteTableAssociation) -> Association {
    let state = association.association_state().and_then(|state| state.state());
    Association::of(state.map(RouteTableAssociationStateCode::as_str))
}
