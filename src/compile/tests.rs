//! Compile, on whole small topologies.

use crate::kinds::registry;
use crate::model::AttrPath;
use crate::topology::parse;

use super::{Compiled, compile};

const HEAD: &str = "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\n";

pub(super) fn compiled(body: &str) -> Compiled {
    let parsed = parse(&format!("{HEAD}{body}"));
    assert!(!parsed.has_errors(), "{:#?}", parsed.diagnostics);
    let compiled = compile(&parsed.topology.unwrap());
    for declaration in &compiled.declarations {
        let value = declaration.spec.value();
        let mut named: Vec<_> = value.references().into_iter().map(|reference| reference.address.clone()).collect();
        named.sort_unstable();
        named.dedup();
        assert_eq!(declaration.references, named, "{}: its references are its holes", declaration.address);
        let kind = registry().kind(declaration.address.kind()).unwrap();
        assert_eq!(kind.check(&value), [], "{}", declaration.address);
        for reference in value.references() {
            let producer = registry().kind(reference.address.kind()).unwrap();
            assert!(producer.outputs().iter().any(|output| output.name == reference.output), "{reference}");
        }
        for needed in declaration.requirements() {
            assert!(compiled.declarations.iter().any(|other| other.address == needed), "{needed} is declared");
        }
    }
    assert!(compiled.declarations.is_sorted_by(|a, b| a.address < b.address), "sorted, each once");
    compiled
}

/// One line a declaration: what it is, what it refers to, what else it waits for.
pub(super) fn graph(compiled: &Compiled) -> String {
    let mut text = String::new();
    for declaration in &compiled.declarations {
        let list = |addresses: &[crate::model::Address]| {
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        text.push_str(declaration.address.as_str());
        if !declaration.references.is_empty() {
            text.push_str(" <- ");
            text.push_str(&list(&declaration.references));
        }
        if !declaration.depends_on.is_empty() {
            text.push_str(" after ");
            text.push_str(&list(&declaration.depends_on));
        }
        text.push('\n');
    }
    text
}

pub(super) fn spec(compiled: &Compiled, address: &str) -> String {
    let declaration = compiled.declarations.iter().find(|d| d.address.as_str() == address).unwrap();
    let value: serde_json::Value = declaration.spec.decode().unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn a_dual_stack_network_with_one_nat_gateway() {
    let compiled =
        compiled("[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\ndual_stack = true\n[tags]\nowner = \"me\"\n");
    insta::assert_snapshot!("single_nat_graph", graph(&compiled));
    insta::assert_snapshot!("single_nat_private_subnet", spec(&compiled, "aws.subnet/n1/private-a"));
    let vpc = compiled.declarations.iter().find(|d| d.address.as_str() == "aws.vpc/n1").unwrap();
    assert!(vpc.protected);
    assert_eq!(vpc.origin, AttrPath::keys(&["networks", "n1"]));
    assert_eq!(vpc.notes, ["zones usw2-az1, usw2-az2: the first 2 of us-west-2 that EKS can use"]);
    assert_eq!(compiled.notes, Vec::<String>::new());
}

#[test]
fn a_network_with_a_nat_gateway_in_each_zone_and_dns64() {
    let compiled = compiled(
        "[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = [\"us-west-2a\", \"us-west-2c\"]\nnat = \"per-az\"\n\
         dual_stack = true\ndns64 = true\nprotect = false\n",
    );
    insta::assert_snapshot!("per_az_nat_graph", graph(&compiled));
    let vpc = compiled.declarations.iter().find(|d| d.address.as_str() == "aws.vpc/n1").unwrap();
    assert!(!vpc.protected);
    assert!(spec(&compiled, "aws.subnet/n1/private-c").contains("\"enable_dns64\": true"));
    assert!(spec(&compiled, "aws.subnet/n1/public-c").contains("\"enable_dns64\": false"));
    assert!(spec(&compiled, "aws.subnet/n1/private-c").contains("\"availability_zone\": \"us-west-2c\""));
}

#[test]
fn a_network_without_nat_or_ipv6_has_no_way_out_of_its_private_subnets() {
    let compiled = compiled("[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\nnat = \"none\"\n");
    insta::assert_snapshot!("no_nat_graph", graph(&compiled));
}

#[test]
fn an_existing_network_is_one_look() {
    let compiled = compiled(
        "[networks.n1]\ncidr = \"10.1.0.0/16\"\n[networks.n1.existing]\nvpc_id = \"vpc-0123456789abcdef0\"\n\
         private_subnets = [\"subnet-0123456789abcdef0\", \"subnet-0123456789abcdef1\"]\n\
         public_subnets = [\"subnet-0123456789abcdef2\"]\nmanage_tags = true\n",
    );
    assert_eq!(graph(&compiled), "aws.existing_network/n1\n");
    assert!(compiled.declarations[0].notes[0].contains("only checked"), "{:?}", compiled.declarations[0].notes);
}

#[test]
fn networks_with_one_range_stay_apart() {
    let text = "[networks.n1]\ncidr = \"10.1.0.0/16\"\n[networks.n2]\ncidr = \"10.1.0.0/16\"\nregion = \"eu-west-1\"\n";
    let compiled = compiled(text);
    let (first, second): (Vec<_>, Vec<_>) =
        compiled.declarations.iter().partition(|d| d.address.parts().next() == Some("n1"));
    assert_eq!(first.len(), second.len());
    assert!(second.iter().all(|d| d.target.to_string() == "eu-west-1"));
}

/// A network is 25 declarations or so: this many make the 100,000 of the largest benchmark.
#[test]
#[ignore = "a measurement, for `cargo test --release -- --ignored --nocapture`"]
fn compiling_a_hundred_thousand_resources_is_quick() {
    let mut text = HEAD.to_owned();
    for n in 0..4_350 {
        let _ = std::fmt::Write::write_fmt(
            &mut text,
            format_args!("[networks.n{n}]\ncidr = \"10.1.0.0/16\"\nnat = \"per-az\"\ndual_stack = true\n"),
        );
    }
    let topology = parse(&text).topology.unwrap();
    let before = tokio::time::Instant::now();
    let compiled = compile(&topology);
    println!("{} declarations in {:?}", compiled.declarations.len(), before.elapsed());
}
