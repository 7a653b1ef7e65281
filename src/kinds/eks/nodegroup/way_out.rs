//! Whether nodes in some subnets reach what they need: addresses, and a way out.
//!
//! Entry point: [`Network::problems`]. Pure: it judges what was read.

use aws_sdk_ec2::types::{Route, RouteState, RouteTable, Subnet};

/// A node takes an address for itself and some for its pods; with fewer free ones than this it does not get ready.
const FREE_FOR_A_NODE: i32 = 4;

/// What was read of the network that nodes are in.
pub(super) struct Network<'a> {
    /// The subnets of the nodes, as far as they exist.
    pub(super) subnets: &'a [Subnet],
    /// Every route table of their VPC.
    pub(super) tables: &'a [RouteTable],
    /// Whether AWS is reached without a way out: the VPC has endpoints of its own for EC2's and ECR's APIs.
    pub(super) endpoints: bool,
}

impl Network<'_> {
    /// What is wrong with the subnets that were asked for, a sentence each.
    pub(super) fn problems(&self, wanted: &[String], ipv6: bool) -> Vec<String> {
        let mut problems = Vec::new();
        for id in wanted {
            let Some(subnet) = self.subnets.iter().find(|subnet| subnet.subnet_id() == Some(id)) else {
                problems.push(format!("{id}, a subnet of the nodes, does not exist (any more)"));
                continue;
            };
            if let Some(free) = subnet.available_ip_address_count().filter(|free| *free < FREE_FOR_A_NODE) {
                problems.push(format!("{id} has {free} free addresses left, and a node with its pods needs more"));
            }
            if ipv6 && subnet.assign_ipv6_address_on_creation() != Some(true) {
                problems.push(format!(
                    "{id} does not assign IPv6 addresses, which IPv6 nodes need: set assignIpv6AddressOnCreation"
                ));
            }
            problems.extend(self.no_way_out(id, subnet));
        }
        problems
    }

    fn no_way_out(&self, id: &str, subnet: &Subnet) -> Option<String> {
        if self.endpoints {
            return None;
        }
        let needs = "nodes reach neither EKS nor the registries of their images";
        let Some(route) = self.table_of(id).and_then(default_route) else {
            return Some(format!("{id} has no route 0.0.0.0/0: {needs}; route it to a NAT gateway"));
        };
        if route.state().map(RouteState::as_str) == Some("blackhole") {
            let to = target(route);
            return Some(format!(
                "{id} routes 0.0.0.0/0 to {to}, which is gone: {needs}; apply again to mend the route"
            ));
        }
        let public = subnet.map_public_ip_on_launch() == Some(true);
        (route.gateway_id().is_some_and(|gateway| gateway.starts_with("igw-")) && !public)
            .then(|| format!("{id} routes 0.0.0.0/0 to an internet gateway and gives nodes no public address: {needs}"))
    }

    /// The table a subnet uses: its own, else the VPC's main one.
    fn table_of(&self, subnet: &str) -> Option<&RouteTable> {
        let has = |is: &dyn Fn(&aws_sdk_ec2::types::RouteTableAssociation) -> bool| {
            self.tables.iter().find(|table| table.associations().iter().any(is))
        };
        has(&|association| association.subnet_id() == Some(subnet))
            .or_else(|| has(&|association| association.main() == Some(true)))
    }
}

fn default_route(table: &RouteTable) -> Option<&Route> {
    table.routes().iter().find(|route| route.destination_cidr_block() == Some("0.0.0.0/0"))
}

fn target(route: &Route) -> &str {
    route
        .nat_gateway_id()
        .or(route.gateway_id())
        .or(route.transit_gateway_id())
        .or(route.network_interface_id())
        .unwrap_or("something")
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::RouteTableAssociation;

    use super::*;

    fn subnet(id: &str) -> aws_sdk_ec2::types::builders::SubnetBuilder {
        Subnet::builder().subnet_id(id).available_ip_address_count(100)
    }

    fn table(subnet: Option<&str>, route: Option<Route>) -> RouteTable {
        let association =
            RouteTableAssociation::builder().main(subnet.is_none()).set_subnet_id(subnet.map(str::to_owned)).build();
        RouteTable::builder().associations(association).set_routes(route.map(|route| vec![route])).build()
    }

    fn nat() -> aws_sdk_ec2::types::builders::RouteBuilder {
        Route::builder().destination_cidr_block("0.0.0.0/0").nat_gateway_id("nat-1")
    }

    #[test]
    fn a_network_in_which_nodes_join_has_no_problems() {
        let subnets = [subnet("subnet-a").build(), subnet("subnet-b").build()];
        let tables = [table(Some("subnet-a"), Some(nat().build())), table(None, Some(nat().build()))];
        let network = Network { subnets: &subnets, tables: &tables, endpoints: false };
        assert_eq!(network.problems(&["subnet-a".to_owned(), "subnet-b".to_owned()], false), [""; 0]);
    }

    #[test]
    fn everything_that_keeps_nodes_from_joining_is_said() {
        let subnets = [
            subnet("subnet-a").available_ip_address_count(1).build(),
            subnet("subnet-b").assign_ipv6_address_on_creation(true).build(),
            subnet("subnet-c").assign_ipv6_address_on_creation(true).build(),
        ];
        let igw = Route::builder().destination_cidr_block("0.0.0.0/0").gateway_id("igw-1").build();
        let tables = [
            table(Some("subnet-a"), Some(nat().state(RouteState::Blackhole).build())),
            table(Some("subnet-b"), Some(igw)),
            table(None, None),
        ];
        let network = Network { subnets: &subnets, tables: &tables, endpoints: false };
        let wanted = ["subnet-a", "subnet-b", "subnet-c", "subnet-d"].map(str::to_owned);
        assert_eq!(
            network.problems(&wanted, true),
            [
                "subnet-a has 1 free addresses left, and a node with its pods needs more",
                "subnet-a does not assign IPv6 addresses, which IPv6 nodes need: set assignIpv6AddressOnCreation",
                "subnet-a routes 0.0.0.0/0 to nat-1, which is gone: nodes reach neither EKS nor the registries of their \
                 images; apply again to mend the route",
                "subnet-b routes 0.0.0.0/0 to an internet gateway and gives nodes no public address: nodes reach neither \
                 EKS nor the registries of their images",
                "subnet-c has no route 0.0.0.0/0: nodes reach neither EKS nor the registries of their images; route it to \
                 a NAT gateway",
                "subnet-d, a subnet of the nodes, does not exist (any more)",
            ]
        );
        let private = Network { endpoints: true, ..network };
        assert_eq!(private.problems(&["subnet-c".to_owned()], true), [""; 0]);
    }
}
