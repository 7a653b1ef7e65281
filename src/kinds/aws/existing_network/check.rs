//! What has to hold of a network that meshplan did not make, so that clusters and load balancers work in it.
//!
//! Entry point: [`Found::problems`]. Pure: it judges what was read, and says everything that does not hold at once.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{Route, RouteState, RouteTable, Subnet, Vpc};

use super::Spec;
use crate::kinds::aws::describe::{associations, ipv6_block};

/// The AWS Load Balancer Controller leaves out a subnet with fewer free addresses (its docs, "Subnet Discovery").
const FREE_FOR_LOAD_BALANCERS: i32 = 8;

/// EKS needs six free addresses in a cluster's subnet ("VPC and subnet requirements").
const FREE_FOR_CLUSTERS: i32 = 6;

/// EKS needs subnets in two zones ("VPC and subnet requirements").
const LEAST_ZONES: usize = 2;

/// What was read.
pub(super) struct Found<'a> {
    pub(super) vpc: &'a Vpc,
    pub(super) dns_support: bool,
    pub(super) dns_hostnames: bool,
    /// The subnets asked for, as far as they exist.
    pub(super) subnets: &'a [Subnet],
    /// Every route table of the VPC.
    pub(super) tables: &'a [RouteTable],
}

/// What a subnet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    Private,
    Public,
}

impl Tier {
    fn role_tag(self) -> &'static str {
        match self {
            Self::Private => "kubernetes.io/role/internal-elb",
            Self::Public => "kubernetes.io/role/elb",
        }
    }

    fn least_free(self) -> i32 {
        match self {
            Self::Private => FREE_FOR_CLUSTERS,
            Self::Public => FREE_FOR_LOAD_BALANCERS,
        }
    }
}

impl Found<'_> {
    /// The VPC's IPv6 block, whoever provided it.
    pub(super) fn ipv6_block(&self) -> Option<&str> {
        self.vpc
            .ipv6_cidr_block_association_set()
            .iter()
            .find(|block| {
                let state = block.ipv6_cidr_block_state().and_then(|state| state.state());
                super::is_held(state.map(aws_sdk_ec2::types::VpcCidrBlockStateCode::as_str))
            })
            .and_then(|block| block.ipv6_cidr_block())
    }

    /// Everything that does not hold, in the order in which the subnets are declared.
    pub(super) fn problems(&self, spec: &Spec) -> Vec<String> {
        let mut problems = self.problems_of_vpc(spec);
        let by_id: BTreeMap<&str, &Subnet> =
            self.subnets.iter().filter_map(|subnet| Some((subnet.subnet_id()?, subnet))).collect();
        let mut zones = BTreeSet::new();
        for (tier, ids) in [(Tier::Private, &spec.private_subnets), (Tier::Public, &spec.public_subnets)] {
            for id in ids {
                let Some(subnet) = by_id.get(id.as_str()) else {
                    problems.push(format!("{id} does not exist in this region"));
                    continue;
                };
                if subnet.vpc_id() != Some(spec.vpc_id.as_str()) {
                    problems.push(format!("{id} is in {}", subnet.vpc_id().unwrap_or("another VPC")));
                    continue;
                }
                if tier == Tier::Private {
                    zones.extend(subnet.availability_zone());
                }
                self.problems_of_subnet(spec, tier, id, subnet, &mut problems);
            }
        }
        if zones.len() < LEAST_ZONES {
            let zones: Vec<&str> = zones.into_iter().collect();
            problems.push(format!(
                "its private subnets are in one availability zone ({}), EKS needs two",
                zones.join(", ")
            ));
        }
        problems
    }

    fn problems_of_vpc(&self, spec: &Spec) -> Vec<String> {
        let vpc = &spec.vpc_id;
        let mut problems = Vec::new();
        let declared = spec.cidr.to_string();
        let secondary = self.vpc.cidr_block_association_set().iter().filter_map(|block| block.cidr_block());
        if !self.vpc.cidr_block().into_iter().chain(secondary).any(|block| block == declared) {
            let has = self.vpc.cidr_block().unwrap_or("no IPv4 block");
            problems.push(format!("{vpc} has {has}, and the topology says {declared}"));
        }
        if !self.dns_support {
            problems.push(format!("{vpc} has DNS support off (enableDnsSupport), and EKS nodes need it"));
        }
        if !self.dns_hostnames {
            problems.push(format!("{vpc} has DNS hostnames off (enableDnsHostnames), and EKS nodes need them"));
        }
        if spec.dual_stack && self.ipv6_block().is_none() {
            problems.push(format!("{vpc} has no IPv6 block, and the network is dual-stack"));
        }
        problems
    }

    fn problems_of_subnet(&self, spec: &Spec, tier: Tier, id: &str, subnet: &Subnet, problems: &mut Vec<String>) {
        let tag = tier.role_tag();
        // The controller takes `1` and the empty text.
        let tagged = |tag: &str| {
            subnet.tags().iter().any(|t| t.key() == Some(tag) && matches!(t.value(), None | Some("" | "1")))
        };
        if spec.role_tags && !tagged(tag) {
            problems.push(format!("{id} lacks the tag {tag}=1"));
        }
        if let Some(free) = subnet.available_ip_address_count()
            && free < tier.least_free()
        {
            problems.push(format!("{id} has {free} free addresses, and {} are needed", tier.least_free()));
        }
        if spec.dual_stack {
            if !ipv6_block(subnet).is_some_and(|(state, _)| state.is_declared()) {
                problems.push(format!("{id} has no IPv6 block, and the network is dual-stack"));
            } else if subnet.assign_ipv6_address_on_creation() != Some(true) && tier == Tier::Private {
                problems.push(format!("{id} does not assign IPv6 addresses (assignIpv6AddressOnCreation)"));
            }
        }
        let Some(table) = self.table_of(id) else {
            problems.push(format!("{id} has no route table"));
            return;
        };
        let ipv4 = default_route(table, |route| route.destination_cidr_block() == Some("0.0.0.0/0"));
        let ipv6 = default_route(table, |route| route.destination_ipv6_cidr_block() == Some("::/0"));
        match tier {
            Tier::Public => {
                if !ipv4.is_some_and(to_internet_gateway) {
                    problems.push(format!("{id} is public and has no route 0.0.0.0/0 to an internet gateway"));
                }
                if spec.dual_stack && !ipv6.is_some_and(to_internet_gateway) {
                    problems.push(format!("{id} is public and has no route ::/0 to an internet gateway"));
                }
            }
            Tier::Private => {
                if ipv4.is_some_and(to_internet_gateway) {
                    problems.push(format!("{id} is private and has a route 0.0.0.0/0 to an internet gateway"));
                } else if spec.ipv4_egress && ipv4.is_none() {
                    problems.push(format!("{id} is private and has no working route 0.0.0.0/0 (to a NAT gateway)"));
                }
                if spec.dual_stack && ipv6.is_none() {
                    let to = "to an egress-only internet gateway";
                    problems.push(format!("{id} is private and has no working route ::/0 ({to})"));
                }
            }
        }
    }

    /// The NAT gateways that the private subnets send IPv4 through.
    pub(super) fn nat_gateways(&self, spec: &Spec) -> BTreeSet<&str> {
        let tables = spec.private_subnets.iter().filter_map(|subnet| self.table_of(subnet));
        tables
            .filter_map(|table| default_route(table, |route| route.destination_cidr_block() == Some("0.0.0.0/0")))
            .filter_map(|route| route.nat_gateway_id())
            .collect()
    }

    /// The table a subnet uses: its own, else the VPC's main one.
    fn table_of(&self, subnet: &str) -> Option<&RouteTable> {
        let own = associations(self.tables).get(subnet).and_then(|association| association.route_table_id());
        self.tables.iter().find(|table| match own {
            Some(id) => table.route_table_id() == Some(id),
            None => table.associations().iter().any(|association| association.main() == Some(true)),
        })
    }
}

/// A route that passes packets.
fn default_route(table: &RouteTable, is_default: impl Fn(&Route) -> bool) -> Option<&Route> {
    let works = |route: &&Route| route.state().map(RouteState::as_str) != Some("blackhole");
    table.routes().iter().filter(works).find(|route| is_default(route))
}

fn to_internet_gateway(route: &Route) -> bool {
    route.gateway_id().is_some_and(|id| id.starts_with("igw-"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{RouteTableAssociation, Tag};

    use super::*;

    fn spec() -> Spec {
        Spec {
            vpc_id: "vpc-1".to_owned(),
            cidr: "10.9.0.0/16".parse().unwrap(),
            private_subnets: vec!["subnet-a".to_owned(), "subnet-b".to_owned()],
            public_subnets: vec!["subnet-c".to_owned()],
            dual_stack: false,
            ipv4_egress: true,
            role_tags: true,
        }
    }

    fn subnet(id: &str, zone: &str, tag: Option<&str>) -> Subnet {
        Subnet::builder()
            .subnet_id(id)
            .vpc_id("vpc-1")
            .availability_zone(zone)
            .available_ip_address_count(200)
            .set_tags(tag.map(|key| vec![Tag::builder().key(key).value("1").build()]))
            .build()
    }

    fn table(id: &str, subnets: &[&str], route: Route) -> RouteTable {
        let associations = subnets.iter().map(|subnet| {
            RouteTableAssociation::builder()
                .subnet_id(*subnet)
                .route_table_id(id)
                .route_table_association_id("a")
                .build()
        });
        RouteTable::builder().route_table_id(id).set_associations(Some(associations.collect())).routes(route).build()
    }

    fn vpc() -> Vpc {
        Vpc::builder().vpc_id("vpc-1").cidr_block("10.9.0.0/16").build()
    }

    fn problems(spec: &Spec, subnets: &[Subnet], tables: &[RouteTable]) -> Vec<String> {
        Found { vpc: &vpc(), dns_support: true, dns_hostnames: true, subnets, tables }.problems(spec)
    }

    fn to_nat() -> Route {
        Route::builder().destination_cidr_block("0.0.0.0/0").nat_gateway_id("nat-1").build()
    }

    fn to_internet() -> Route {
        Route::builder().destination_cidr_block("0.0.0.0/0").gateway_id("igw-1").build()
    }

    #[test]
    fn a_network_in_which_all_holds_has_no_problems() {
        let subnets = [
            subnet("subnet-a", "us-west-2a", Some("kubernetes.io/role/internal-elb")),
            subnet("subnet-b", "us-west-2b", Some("kubernetes.io/role/internal-elb")),
            subnet("subnet-c", "us-west-2a", Some("kubernetes.io/role/elb")),
        ];
        let tables =
            [table("rtb-1", &["subnet-a", "subnet-b"], to_nat()), table("rtb-2", &["subnet-c"], to_internet())];
        assert_eq!(problems(&spec(), &subnets, &tables), Vec::<String>::new());
        let found = Found { vpc: &vpc(), dns_support: true, dns_hostnames: true, subnets: &subnets, tables: &tables };
        assert_eq!(found.nat_gateways(&spec()), BTreeSet::from(["nat-1"]));
    }

    #[test]
    fn everything_that_does_not_hold_is_said_at_once() {
        let subnets = [
            subnet("subnet-a", "us-west-2a", Some("kubernetes.io/role/internal-elb")),
            subnet("subnet-c", "us-west-2a", None),
        ];
        let blackhole = Route::builder()
            .destination_cidr_block("0.0.0.0/0")
            .nat_gateway_id("nat-1")
            .state(RouteState::Blackhole)
            .build();
        let tables = [table("rtb-1", &["subnet-a"], blackhole), table("rtb-2", &["subnet-c"], to_nat())];
        let spec = Spec { cidr: "10.8.0.0/16".parse().unwrap(), ..spec() };
        assert_eq!(
            problems(&spec, &subnets, &tables),
            [
                "vpc-1 has 10.9.0.0/16, and the topology says 10.8.0.0/16",
                "subnet-a is private and has no working route 0.0.0.0/0 (to a NAT gateway)",
                "subnet-b does not exist in this region",
                "subnet-c lacks the tag kubernetes.io/role/elb=1",
                "subnet-c is public and has no route 0.0.0.0/0 to an internet gateway",
                "its private subnets are in one availability zone (us-west-2a), EKS needs two",
            ]
        );
    }

    #[test]
    fn dual_stack_needs_blocks_and_routes_for_ipv6() {
        let subnets = [
            subnet("subnet-a", "us-west-2a", Some("kubernetes.io/role/internal-elb")),
            subnet("subnet-b", "us-west-2b", Some("kubernetes.io/role/internal-elb")),
            subnet("subnet-c", "us-west-2a", Some("kubernetes.io/role/elb")),
        ];
        let tables =
            [table("rtb-1", &["subnet-a", "subnet-b"], to_nat()), table("rtb-2", &["subnet-c"], to_internet())];
        let found = problems(&Spec { dual_stack: true, ..spec() }, &subnets, &tables);
        assert_eq!(found[0], "vpc-1 has no IPv6 block, and the network is dual-stack");
        assert_eq!(found[1], "subnet-a has no IPv6 block, and the network is dual-stack");
        assert_eq!(found.last().unwrap(), "subnet-c is public and has no route ::/0 to an internet gateway");
        assert_eq!(found.len(), 7);
    }
}
