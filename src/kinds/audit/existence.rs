//! Which tagged objects of EC2's are still there: tags outlive what they are on, by minutes on AWS (its documentation
//! says so of NAT gateways and instances) and for good on some servers.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::Filter;

use crate::kinds::sdk::Answer;
use crate::resource::ProviderError;

use super::Look;

/// EC2 takes at most 200 values a filter.
const VALUES: usize = 200;

/// What a type's list is asked by, and how ids are taken from its answer.
macro_rules! present {
    ($look:expr, $ids:expr, $list:ident, $filter:literal, $operation:literal, $items:ident, $id:ident) => {{
        let by_id = Filter::builder().name($filter).set_values(Some($ids.to_vec())).build();
        let mut pages = $look.services.ec2.$list().filters(by_id).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            found.extend(page.read($operation)?.$items.unwrap_or_default().into_iter().filter_map(|it| it.$id));
        }
        found
    }};
}

/// The ids of those objects that exist, of objects given by type (`internet-gateway`, as tags call it). Types that this
/// program never makes are taken at their tag's word.
pub(super) async fn existing(
    look: &Look<'_>,
    tagged: &BTreeMap<String, Vec<String>>,
) -> Result<BTreeSet<String>, ProviderError> {
    let mut existing = BTreeSet::new();
    for (of, ids) in tagged {
        for ids in ids.chunks(VALUES) {
            let wanted: BTreeSet<&String> = ids.iter().collect();
            let found = of_type(look, of, ids).await?;
            existing.extend(found.into_iter().filter(|id| wanted.contains(id)));
        }
    }
    Ok(existing)
}

async fn of_type(look: &Look<'_>, of: &str, ids: &[String]) -> Result<Vec<String>, ProviderError> {
    Ok(match of {
        "vpc" => present!(look, ids, describe_vpcs, "vpc-id", "ec2:DescribeVpcs", vpcs, vpc_id),
        "subnet" => present!(look, ids, describe_subnets, "subnet-id", "ec2:DescribeSubnets", subnets, subnet_id),
        "internet-gateway" => present!(
            look,
            ids,
            describe_internet_gateways,
            "internet-gateway-id",
            "ec2:DescribeInternetGateways",
            internet_gateways,
            internet_gateway_id
        ),
        "egress-only-internet-gateway" => {
            // It has no filter by id, and a list of ids fails when one of them is gone.
            let mut pages = look.services.ec2.describe_egress_only_internet_gateways().into_paginator().send();
            let mut found = Vec::new();
            while let Some(page) = pages.next().await {
                let gateways = page.read("ec2:DescribeEgressOnlyInternetGateways")?.egress_only_internet_gateways;
                found.extend(
                    gateways.unwrap_or_default().into_iter().filter_map(|it| it.egress_only_internet_gateway_id),
                );
            }
            found
        }
        "route-table" => present!(
            look,
            ids,
            describe_route_tables,
            "route-table-id",
            "ec2:DescribeRouteTables",
            route_tables,
            route_table_id
        ),
        "elastic-ip" => {
            let by_id = Filter::builder().name("allocation-id").set_values(Some(ids.to_vec())).build();
            let answer = look.services.ec2.describe_addresses().filters(by_id).send().await;
            let addresses = answer.read("ec2:DescribeAddresses")?.addresses.unwrap_or_default();
            addresses.into_iter().filter_map(|it| it.allocation_id).collect()
        }
        "security-group" => present!(
            look,
            ids,
            describe_security_groups,
            "group-id",
            "ec2:DescribeSecurityGroups",
            security_groups,
            group_id
        ),
        "security-group-rule" => present!(
            look,
            ids,
            describe_security_group_rules,
            "security-group-rule-id",
            "ec2:DescribeSecurityGroupRules",
            security_group_rules,
            security_group_rule_id
        ),
        "network-interface" => present!(
            look,
            ids,
            describe_network_interfaces,
            "network-interface-id",
            "ec2:DescribeNetworkInterfaces",
            network_interfaces,
            network_interface_id
        ),
        "vpc-peering-connection" => {
            let by_id = Filter::builder().name("vpc-peering-connection-id").set_values(Some(ids.to_vec())).build();
            let mut pages = look.services.ec2.describe_vpc_peering_connections().filters(by_id).into_paginator().send();
            let mut found = Vec::new();
            while let Some(page) = pages.next().await {
                let page = page.read("ec2:DescribeVpcPeeringConnections")?;
                let there = page.vpc_peering_connections.unwrap_or_default().into_iter().filter(|it| {
                    // One that was deleted is listed for two more hours.
                    let state = it.status().and_then(|status| status.code()).map(|code| code.as_str().to_owned());
                    !matches!(state.as_deref(), Some("deleting" | "deleted" | "rejected" | "expired" | "failed"))
                });
                found.extend(there.filter_map(|it| it.vpc_peering_connection_id));
            }
            found
        }
        _ => ids.to_vec(),
    })
}
