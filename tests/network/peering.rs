//! Networks with a private route between them: made, changed, mended and taken down, within a region and between two.

use std::time::Duration;

use aws_sdk_ec2::config::Region;
use meshplan::model::Clock as _;
use meshplan::plan::Action;
use meshplan::sandbox::{Options, Quotas, Speed};

use crate::networks::networks;
use crate::rig::{InSandbox, run, topology};
use crate::touches::every_touch;

fn start(folder: &std::path::Path) -> InSandbox {
    InSandbox::start(folder, Options { speed: Speed::Unlimited, quotas: Quotas::unlimited(), ..Options::default() })
}

fn ec2(process: &InSandbox, region: &'static str) -> aws_sdk_ec2::Client {
    let config = process.sandbox.sdk_config().into_builder().region(Region::new(region)).build();
    aws_sdk_ec2::Client::new(&config)
}

/// Two networks with further lines for each, peered or not.
fn pair(lines: &str, peered: bool) -> String {
    let peering = if peered { "[peering.p]\nnetworks = [\"a\", \"b\"]\n" } else { "" };
    format!(
        "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\n\
         [networks.a]\ncidr = \"10.1.0.0/16\"\nazs = 2\n{lines}\n[networks.b]\ncidr = \"10.2.0.0/16\"\nazs = 2\n{lines}\n{peering}"
    )
}

#[test]
fn every_table_of_both_sides_leads_to_the_other_in_both_families() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    let all = networks(&topology("peered-regions.toml"));
    let outcome = process.apply(&all);
    println!("{} resources in {:.1} s", outcome.counts.created, outcome.seconds);
    let again = process.plan(&all);
    assert!(again.is_empty() && again.bookkeeping.is_empty(), "{again:#?}");
    let sandbox = process.sandbox.clone();
    let states = run(sandbox.drive(async {
        let mut states = Vec::new();
        for region in ["us-west-2", "eu-west-1"] {
            let tables = ec2(&process, region).describe_route_tables().send().await.unwrap();
            let routes = tables.route_tables().iter().flat_map(aws_sdk_ec2::types::RouteTable::routes);
            let through = routes.filter(|route| route.vpc_peering_connection_id().is_some());
            states.extend(through.map(|route| route.state().unwrap().as_str().to_owned()));
        }
        states
    }));
    assert_eq!(states, vec!["active"; 8], "two tables a side, two families a table");
    process.apply(&[]);
    assert_eq!(process.sandbox.status().total, 0, "{:#?}", process.sandbox.status());
}

#[test]
fn a_peering_and_the_families_of_its_networks_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    let dual = "dual_stack = true";
    for text in [pair("", false), pair("", true), pair(dual, true), pair("", true), pair(dual, true), pair(dual, false)]
    {
        let all = networks(&text);
        process.apply(&all);
        let again = process.plan(&all);
        assert!(again.is_empty() && again.bookkeeping.is_empty(), "after {text}: {again:#?}");
    }
    process.apply(&[]);
    assert_eq!(process.sandbox.status().total, 0);
}

#[test]
fn a_connection_that_somebody_deleted_is_made_again_and_its_routes_are_mended() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    let all = networks(&pair("", true));
    process.apply(&all);
    let sandbox = process.sandbox.clone();
    run(sandbox.drive(async {
        let ec2 = ec2(&process, "us-west-2");
        let found = ec2.describe_vpc_peering_connections().send().await.unwrap();
        let id = found.vpc_peering_connections()[0].vpc_peering_connection_id().unwrap().to_owned();
        ec2.delete_vpc_peering_connection().vpc_peering_connection_id(id).send().await.unwrap();
        sandbox.clock().sleep(Duration::from_secs(10)).await;
    }));
    let plan = process.plan(&all);
    let action = |address: &str| plan.change(&address.parse().unwrap()).map(|change| change.action);
    assert_eq!(action("aws.vpc_peering_connection/p"), Some(Action::Create));
    assert_eq!(action("aws.route/a/private/peer-b-ipv4"), Some(Action::Update), "{plan:#?}");
    process.apply(&all);
    assert!(process.plan(&all).is_empty());
}

#[test]
fn peered_networks_converge_from_every_crash() {
    every_touch("peer", &[], &networks(&pair("nat = \"none\"", true)));
}

#[test]
fn the_end_of_peered_networks_converges_from_every_crash() {
    every_touch("part", &networks(&pair("nat = \"none\"\ndual_stack = true", true)), &[]);
}

#[test]
fn a_peering_between_regions_converges_from_every_crash() {
    let far = |text: String| text.replace("[networks.b]\n", "[networks.b]\nregion = \"eu-west-1\"\n");
    let lines = "nat = \"none\"\ndual_stack = true";
    every_touch("peer-far", &networks(&far(pair("nat = \"none\"", false))), &networks(&far(pair(lines, true))));
}
