//! Changes of a network's topology, from one text to the next over the realistic sandbox: each is applied in one run,
//! and then nothing is left to do.

use meshplan::plan::Scope;
use meshplan::sandbox::{Options, Quotas, Speed};

use crate::rig::{InSandbox, declarations, run};

/// One network with further lines.
fn network(lines: &str) -> String {
    format!(
        "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\n[networks.n]\ncidr = \"10.1.0.0/16\"\n{lines}\n"
    )
}

fn start(folder: &std::path::Path) -> InSandbox {
    InSandbox::start(folder, Options { speed: Speed::Unlimited, quotas: Quotas::unlimited(), ..Options::default() })
}

/// Applies each in turn, and expects a plan after each to be empty.
fn follow(texts: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    for text in texts {
        let all = declarations(text);
        let outcome = process.apply(&all);
        println!("{:?} in {:.0} s", outcome.counts, outcome.seconds);
        let again = process.plan(&all);
        assert!(again.is_empty() && again.bookkeeping.is_empty(), "after {text}: {again:#?}");
    }
    process.apply(&[]);
    assert_eq!(process.sandbox.status().total, 0);
}

#[test]
fn ipv6_comes_and_goes() {
    follow(&[network(""), network("dual_stack = true"), network(""), network("dual_stack = true")]);
}

#[test]
fn zones_change_places_and_number() {
    let zones = |zones: &str| network(&format!("dual_stack = true\nazs = {zones}"));
    follow(&[
        zones(r#"["us-west-2a", "us-west-2b"]"#),
        zones(r#"["us-west-2b", "us-west-2a"]"#),
        zones(r#"["us-west-2a", "us-west-2b", "us-west-2c"]"#),
        zones(r#"["us-west-2b", "us-west-2c"]"#),
    ]);
}

#[test]
fn nat_gateways_are_spread_and_gathered() {
    follow(&[
        network("nat = \"single\""),
        network("nat = \"per-az\""),
        network("nat = \"none\""),
        network("nat = \"single\""),
    ]);
}

#[test]
fn private_subnets_keep_a_way_out_while_nat_gateways_are_spread() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    process.apply(&declarations(&network("nat = \"single\"")));
    let plan = process.plan(&declarations(&network("nat = \"per-az\"")));
    let dag = meshplan::plan::step_graph(&plan);
    let step = |address: &str| plan.steps.iter().find(|step| step.address.as_str() == address).unwrap().id.index();
    let precedes = |before: &str, after: &str| {
        let needed = dag.reachable([step(after)], meshplan::model::graph::Reach::Requirements);
        assert!(needed[step(before)], "{after} does not wait for {before}: {plan:#?}");
    };
    precedes("aws.route/n/private-a/ipv4", "aws.subnet/n/private-a");
    precedes("aws.subnet/n/private-a", "aws.route/n/private/ipv4");
}

#[test]
fn anything_can_be_replaced_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    let all = declarations(&network("dual_stack = true"));
    process.apply(&all);
    for address in [
        "aws.nat_gateway/n/nat",
        "aws.route_table/n/private",
        "aws.eip/n/nat",
        "aws.egress_only_internet_gateway/n",
        "aws.subnet/n/public-a",
        "aws.route/n/private/ipv4",
    ] {
        let scope = Scope { replace: [address.parse().unwrap()].into(), ..Scope::default() };
        let sandbox = process.sandbox.clone();
        let planned = run(sandbox.drive(process.process.planned(&all, &scope)));
        let plan = planned.plan.unwrap_or_else(|| panic!("{address}: {:#?}", planned.diagnostics));
        let outcome = run(sandbox.drive(process.process.carry_out(&plan))).unwrap();
        assert!(outcome.is_complete(), "{address}: {outcome:#?}");
        assert!(outcome.counts.replaced >= 1, "{address}: {outcome:#?}");
        let again = process.plan(&all);
        assert!(again.is_empty(), "after replacing {address}: {again:#?}");
    }
}

#[test]
fn a_route_that_someone_sent_elsewhere_is_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    let all = declarations(&network(""));
    process.apply(&all);
    let id = |address: &str| process.process.store.state().records[address].id.to_string();
    let (table, internet) = (id("aws.route_table/n/private"), id("aws.internet_gateway/n"));
    let region = aws_config::Region::new("us-west-2");
    let config = process.sandbox.sdk_config().into_builder().region(region).build();
    let client = aws_sdk_ec2::Client::new(&config);
    let elsewhere =
        client.replace_route().route_table_id(&table).destination_cidr_block("0.0.0.0/0").gateway_id(&internet);
    run(process.sandbox.drive(elsewhere.send())).unwrap();
    let plan = process.plan(&all);
    assert_eq!(plan.changes.len(), 1, "{plan:#?}");
    assert_eq!(plan.changes[0].reason.to_string(), "drifted");
    process.apply(&all);
    assert!(process.plan(&all).is_empty());
    let tables = run(process.sandbox.drive(client.describe_route_tables().route_table_ids(table).send())).unwrap();
    let routes = tables.route_tables()[0].routes();
    let default = routes.iter().find(|route| route.destination_cidr_block() == Some("0.0.0.0/0")).unwrap();
    assert!(default.nat_gateway_id().is_some() && default.gateway_id().is_none(), "{default:?}");
}
