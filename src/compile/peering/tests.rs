//! Private routes, in meshes as small as they can be.

use crate::compile::Compiled;
use crate::compile::tests::{compiled, graph};

const NETWORKS: &str =
    "[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\n[networks.n2]\ncidr = \"10.2.0.0/16\"\nazs = 2\n";
const CLUSTERS: &str = "[clusters.c1]\nnetwork = \"n1\"\n[clusters.c2]\nnetwork = \"n2\"\n";

fn peered(further: &str) -> Compiled {
    compiled(&format!("{NETWORKS}{further}[peering.p]\nnetworks = [\"n2\", \"n1\"]\n{CLUSTERS}"))
}

/// What a peering adds, with what it is made of.
fn added(compiled: &Compiled) -> String {
    let of_peering = |line: &&str| line.contains("peer") || line.starts_with("aws.security_group_rule");
    graph(compiled).lines().filter(of_peering).fold(String::new(), |text, line| text + line + "\n")
}

fn field(compiled: &Compiled, address: &str, key: &str) -> Option<String> {
    let declaration = compiled.declarations.iter().find(|declaration| declaration.address.as_str() == address);
    let declaration = declaration.unwrap_or_else(|| panic!("{address} is not declared:\n{}", graph(compiled)));
    declaration.spec.value().get(key).map(ToString::to_string)
}

#[test]
fn one_istio_network_over_two_vpcs() {
    let compiled = compiled(&format!(
        "{}[peering.p]\nnetworks = [\"n2\", \"n1\"]\n{CLUSTERS}",
        NETWORKS.replace("azs = 2\n", "azs = 2\nistio_network = \"one\"\n")
    ));
    insta::assert_snapshot!("one_istio_network", added(&compiled));
    let connection = "aws.vpc_peering_connection/p";
    assert_eq!(field(&compiled, connection, "vpc_id").unwrap(), "(known after apply: aws.vpc/n1.vpc_id)");
    assert_eq!(field(&compiled, connection, "peer_vpc_id").unwrap(), "(known after apply: aws.vpc/n2.vpc_id)");
    let rule = "aws.security_group_rule/c1/from-c2";
    assert_eq!(field(&compiled, rule, "protocol").unwrap(), "\"-1\"", "pods connect directly");
    assert_eq!(
        field(&compiled, rule, "source_group_id").unwrap(),
        "(known after apply: eks.cluster/c2.cluster_security_group_id)"
    );
    let route = "aws.route/n1/private/peer-n2-ipv4";
    assert_eq!(field(&compiled, route, "destination").unwrap(), "\"10.2.0.0/16\"");
    assert_eq!(compiled.notes, Vec::<String>::new());
}

#[test]
fn dual_stack_networks_are_routed_in_both_families() {
    let compiled = peered("[api_access]\npublic = \"none\"\n[networks.n3]\ncidr = \"10.3.0.0/16\"\nazs = 2\n");
    assert_eq!(field(&compiled, "aws.security_group_rule/c1/from-c2", "from_port").unwrap(), "443", "and no more");
    assert_eq!(field(&compiled, "aws.security_group_rule/c1/from-c2", "protocol").unwrap(), "\"tcp\"");
    assert!(!added(&compiled).contains("ipv6"));
    let both = NETWORKS.replace("azs = 2\n", "azs = 2\ndual_stack = true\n");
    let compiled = self::compiled(&format!("{both}[peering.p]\nnetworks = [\"n1\", \"n2\"]\n{CLUSTERS}"));
    let route = "aws.route/n2/public/peer-n1-ipv6";
    assert_eq!(field(&compiled, route, "destination").unwrap(), "(known after apply: aws.vpc/n1.ipv6_cidr)");
}

#[test]
fn beyond_a_region_ranges_are_let_in() {
    let far = NETWORKS.replacen("cidr = \"10.2", "region = \"eu-west-1\"\ncidr = \"10.2", 1);
    let far = far.replace("azs = 2\n", "azs = 2\ndual_stack = true\n");
    let compiled = compiled(&format!("{far}[peering.p]\nnetworks = [\"n1\", \"n2\"]\n{CLUSTERS}"));
    insta::assert_snapshot!("two_regions", added(&compiled));
    assert_eq!(field(&compiled, "aws.vpc_peering_connection/p", "peer_region").unwrap(), "\"eu-west-1\"");
    let rule = "aws.security_group_rule/c1/from-network/n2-ipv4";
    assert_eq!(field(&compiled, rule, "cidr").unwrap(), "\"10.2.0.0/16\"");
    let rule = "aws.security_group_rule/c2/from-network/n1-ipv6";
    assert_eq!(field(&compiled, rule, "cidr").unwrap(), "(known after apply: aws.vpc/n1.ipv6_cidr)");
}

#[test]
fn routes_that_are_somebody_elses_are_only_relied_on() {
    let compiled =
        compiled(&format!("{NETWORKS}[peering.p]\nnetworks = [\"n1\", \"n2\"]\nvia = \"existing\"\n{CLUSTERS}"));
    assert!(!graph(&compiled).contains("peer"));
    assert_eq!(field(&compiled, "aws.security_group_rule/c1/from-network/n2-ipv4", "to_port").unwrap(), "443");
}

#[test]
fn the_tables_of_an_existing_network_are_its_owners() {
    let existing = "[networks.n2]\ncidr = \"10.2.0.0/16\"\n[networks.n2.existing]\nvpc_id = \"vpc-0123456789abcdef0\"\n\
                    private_subnets = [\"subnet-0123456789abcdef0\", \"subnet-0123456789abcdef1\"]\n\
                    public_subnets = [\"subnet-0123456789abcdef2\"]\n[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\n";
    let compiled = compiled(&format!("{existing}[peering.p]\nnetworks = [\"n1\", \"n2\"]\n{CLUSTERS}"));
    let connection =
        compiled.declarations.iter().find(|d| d.address.as_str() == "aws.vpc_peering_connection/p").unwrap();
    assert_eq!(
        connection.notes,
        [
            "n2 exists already, and its route tables are its owner's: 10.1.0.0/16 has to be routed to this connection there"
        ]
    );
    let routes: Vec<&str> = compiled
        .declarations
        .iter()
        .map(|declaration| declaration.address.as_str())
        .filter(|address| address.contains("/peer-"))
        .collect();
    assert_eq!(routes, ["aws.route/n1/private/peer-n2-ipv4", "aws.route/n1/public/peer-n2-ipv4"]);
}
