//! Plans that are saved and applied later: what makes them stale, what does not, and whose they are.

use std::fmt::Write as _;

use meshplan::plan::Plan;
use meshplan::plan::render::{json, parse};

use crate::support::{Place, SMALL};

#[test]
fn a_state_born_from_a_saved_plan_keeps_the_region() {
    let place = Place::new("born_from_plan");
    place.sandbox("plan small.toml --out saved.json").succeeded();
    place.sandbox("apply saved.json --yes").succeeded();
    place.write("small.toml", &SMALL.replace("us-west-2", "us-east-1"));
    let ran = place.sandbox("plan small.toml").refused();
    assert!(ran.stderr.contains("made with region us-west-2, and this run is for us-east-1"), "{}", ran.all());
}

#[test]
fn a_plan_of_another_account_is_refused_before_a_state_is_born() {
    let place = Place::new("foreign_account");
    place.sandbox("plan small.toml --out saved.json").succeeded();
    let plan = place.read("saved.json");
    assert!(plan.contains("\"account\": \"123456789012\"") && plan.contains("\"region\": \"us-west-2\""), "{plan}");
    for account in [Some("210987654321"), None] {
        let foreign = Plan { account: account.map(str::to_owned), ..parse(&plan).unwrap() };
        place.write("foreign.json", &json(&foreign, &meshplan::kinds::registry().rules()).unwrap());
        let ran = place.sandbox("apply foreign.json --yes").refused();
        assert!(ran.stderr.contains("these are for account 123456789012"), "{}", ran.all());
    }
    let status = place.sandbox("sandbox status --format json").succeeded();
    assert!(status.stdout.contains("\"total\": 0"), "{}", status.all());
    assert!(!place.exists("state/small.json"));
    place.sandbox("apply saved.json --yes").succeeded();
}

#[test]
fn a_saved_plan_is_carried_out_once() {
    let place = Place::new("once");
    place.sandbox("plan small.toml --out saved.json").succeeded();
    place.write("faults.toml", "[[rules]]\noperation = \"CreateNatGateway\"\nfault = \"quota\"\n");
    place.sandbox("apply saved.json --yes --sandbox-faults faults.toml").refused();
    let again = place.sandbox("apply saved.json --yes").refused();
    assert!(again.stderr.contains("  moved since: aws.vpc/network1 is in state now, as vpc-"), "{}", again.all());
}

#[test]
fn movement_elsewhere_does_not_make_a_plan_stale() {
    let place = Place::new("elsewhere");
    let two = format!("{SMALL}\n[networks.network2]\ncidr = \"10.2.0.0/16\"\nazs = 2\n");
    place.write("small.toml", &two);
    place.sandbox("apply small.toml --yes").succeeded();
    place.write("small.toml", &format!("{two}\n[tags]\nowner = \"me\"\n"));
    place.sandbox("plan small.toml --only aws.vpc/network1 --out one.json").succeeded();
    place.sandbox("plan small.toml --out all.json").succeeded();
    let meanwhile = place.sandbox("apply small.toml --only aws.vpc/network2 --yes").succeeded();
    assert!(meanwhile.stdout.contains(" 1 updated"), "{}", meanwhile.all());
    let stale = place.sandbox("apply all.json --yes").refused();
    let moved: Vec<&str> = stale.stderr.lines().filter(|line| line.contains("moved since")).collect();
    assert_eq!(moved.len(), 1, "{}", stale.all());
    assert!(moved[0].starts_with("  moved since: aws.vpc/network2 (vpc-"), "{}", moved[0]);
    let applied = place.sandbox("apply one.json --yes").succeeded();
    assert!(applied.stdout.contains(" 1 updated"), "{}", applied.all());
}

#[test]
fn a_saved_plan_with_renames_can_be_applied() {
    let place = Place::new("renames");
    place.sandbox("apply small.toml --yes").succeeded();
    let list = place.run("state list").succeeded();
    let mut renamed = SMALL.replace("network1", "core");
    for address in list.stdout.lines().filter_map(|line| line.split_whitespace().next()) {
        let to = address.replace("network1", "core");
        write!(renamed, "\n[[moved]]\nfrom = \"{address}\"\nto = \"{to}\"\n").unwrap();
    }
    place.write("small.toml", &renamed);
    let planned = place.sandbox("plan small.toml --out saved.json").succeeded();
    assert!(!planned.stdout.contains(" to create"), "{}", planned.all());
    place.sandbox("apply saved.json --yes").succeeded();
    assert!(place.sandbox("plan small.toml").succeeded().stdout.contains("No changes: "));
    let again = place.sandbox("apply saved.json --yes").refused();
    assert!(again.stderr.contains("the plan is stale"), "{}", again.all());
}
