//! Whole runs over the sandbox: plan, apply, plan again, drift, destroy; failures, interruptions, and mending state.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::support::{Place, SMALL};

/// Faults by which somebody else tags the VPC as soon as it is looked at.
fn meddle(key: &str, value: &str) -> String {
    format!(
        "[[rules]]\noperation = \"DescribeVpcs\"\nfault = \"modify\"\n\
         resource = \"tag:meshplan:address=aws.vpc/network1\"\n[rules.call]\nAction = \"CreateTags\"\n\
         \"ResourceId.1\" = \"{{id}}\"\n\"Tag.1.Key\" = \"{key}\"\n\"Tag.1.Value\" = \"{value}\"\n"
    )
}

#[test]
fn from_nothing_to_applied_to_nothing() {
    let place = Place::new("whole_run");
    let planned = place.sandbox("plan small.toml").succeeded();
    let applied = place.sandbox("apply --yes").succeeded();
    assert!(applied.stdout.starts_with(&planned.stdout), "what is carried out is what was reviewed");
    insta::assert_snapshot!("whole_run_apply", applied.brief());
    let again = place.sandbox("plan small.toml --detailed-exitcode").succeeded();
    insta::assert_snapshot!("whole_run_again", again.all());
    assert!(!place.exists("state/small.plan.json") || again.code == Some(0));
    insta::assert_snapshot!("whole_run_drift", place.sandbox("drift").succeeded().all());
    insta::assert_snapshot!("whole_run_outputs", place.run("outputs").succeeded().all());
    let status = place.sandbox("sandbox status").succeeded();
    assert!(status.stdout.contains("natgateway"), "{}", status.all());
    let destroyed = place.sandbox("destroy --yes").succeeded();
    insta::assert_snapshot!("whole_run_destroy", destroyed.brief());
    let left: serde_json::Value =
        serde_json::from_str(&place.sandbox("sandbox status --format json").succeeded().stdout).unwrap();
    assert_eq!(left["total"], 0, "{left}");
    let nothing = place.sandbox("destroy --yes").succeeded();
    assert!(nothing.stdout.contains("Nothing to destroy"), "{}", nothing.all());
}

#[test]
fn what_a_destroy_leaves_is_listed_with_its_cost_and_is_a_failure() {
    let place = Place::new("leftover");
    place.sandbox("apply small.toml --yes").succeeded();
    // While it is being destroyed, somebody makes an address in the mesh's name.
    place.write(
        "faults.toml",
        "[[rules]]\noperation = \"DeleteVpc\"\nfault = \"modify\"\n[rules.call]\nAction = \"AllocateAddress\"\n\
         \"TagSpecification.1.ResourceType\" = \"elastic-ip\"\n\
         \"TagSpecification.1.Tag.1.Key\" = \"meshplan:mesh\"\n\
         \"TagSpecification.1.Tag.1.Value\" = \"small\"\n",
    );
    let destroyed = place.sandbox("destroy --yes --sandbox-faults faults.toml").refused();
    assert!(destroyed.stdout.contains("Destroy: 12 deleted, 0 failed\n"), "{}", destroyed.all());
    let costs = "in us-west-2: a public IPv4 address is billed by the hour, in use or not\n";
    assert!(destroyed.stdout.contains("Left: 1 object\n  Elastic IP address eipalloc-"), "{}", destroyed.all());
    assert!(destroyed.stdout.ends_with(costs), "{}", destroyed.all());

    // State knows nothing of it, and the next destroy finds it all the same.
    let again = place.sandbox("destroy --yes --json").refused();
    let last: serde_json::Value = serde_json::from_str(again.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "audit-finished", "{}", again.all());
    assert_eq!(last["left"][0]["what"], "Elastic IP address");
    assert_eq!(last["left"][0]["ours"], true);
    assert_eq!(last["unseen"], serde_json::json!([]));
}

#[test]
fn an_update_touches_only_what_changed() {
    let place = Place::new("update");
    place.sandbox("apply small.toml --yes").succeeded();
    place.write("small.toml", &format!("{SMALL}\n[tags]\nowner = \"me\"\n"));
    let planned = place.sandbox("plan small.toml").succeeded();
    assert!(planned.stdout.contains("      + tags.owner = \"me\"\n"), "{}", planned.all());
    let applied = place.sandbox("apply --yes").succeeded();
    assert!(
        !applied.stdout.contains(" created, ") && applied.stdout.contains(" updated, 0 failed\n"),
        "{}",
        applied.all()
    );
    assert!(place.sandbox("plan small.toml").succeeded().stdout.contains("No changes: "));
}

#[test]
fn only_takes_what_it_needs_along_and_says_so() {
    let place = Place::new("only");
    let ran = place.sandbox("plan small.toml --only aws.internet_gateway/network1").succeeded();
    insta::assert_snapshot!(ran.brief());
}

#[test]
fn events_are_json_lines_and_nothing_else_is_on_standard_output() {
    let place = Place::new("events");
    let ran = place.sandbox("apply small.toml --yes --json").succeeded();
    let events: Vec<serde_json::Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["refresh-started", "refresh-finished"]);
    assert_eq!(names[2], "run-started");
    assert_eq!(names.last(), Some(&"run-finished"));
    assert!(events.iter().all(|event| event["at"].is_string()));
    let finished = names.iter().filter(|name| **name == "step-finished").count();
    assert_eq!(events.last().unwrap()["counts"]["created"], finished);
}

#[test]
fn a_failure_skips_what_needs_it_and_the_next_run_goes_on() {
    let place = Place::new("failure");
    place.write("faults.toml", "[[rules]]\noperation = \"CreateNatGateway\"\nfault = \"quota\"\n");
    let ran = place.sandbox("apply small.toml --yes --sandbox-faults faults.toml").refused();
    let report: Vec<&str> = ran.stdout.lines().skip_while(|line| !line.starts_with("failed:")).collect();
    insta::assert_snapshot!(report.join("\n"));
    let mended = place.sandbox("apply small.toml --yes").succeeded();
    assert!(mended.stdout.contains(" 0 failed\n"), "{}", mended.all());
    assert!(place.sandbox("plan small.toml").succeeded().stdout.contains("No changes: "));
}

#[test]
fn random_faults_are_ridden_out() {
    let place = Place::new("random_faults");
    for line in ["apply small.toml --yes", "destroy --yes"] {
        place.sandbox(&format!("{line} --sandbox-faults seed=7,rate=0.1")).succeeded();
    }
    let left = place.sandbox("sandbox status --format json").succeeded();
    assert!(left.stdout.contains("\"total\": 0"), "{}", left.all());
}

#[test]
fn the_first_interrupt_stops_at_once_and_the_next_run_picks_up() {
    let place = Place::new("interrupt");
    // 20 simulated seconds in a real one: there are 5 s to interrupt the NAT gateway's wait in.
    let mut child = place
        .command("apply small.toml --yes --sandbox --sandbox-speed 20")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("created aws.vpc/") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended before anything was created");
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("interrupted: "), "{rest}");
    place.sandbox("apply small.toml --yes").succeeded();
    let left = place.sandbox("sandbox status --format json").succeeded();
    let left: serde_json::Value = serde_json::from_str(&left.stdout).unwrap();
    let vpcs = left["regions"][0]["counts"].as_array().unwrap().iter().find(|count| count["type"] == "vpc").unwrap();
    assert_eq!(vpcs["count"], 1, "nothing is made twice: {left}");
}

#[test]
fn what_is_forgotten_can_be_adopted_again() {
    let place = Place::new("adopt");
    place.sandbox("apply small.toml --yes").succeeded();
    let record = place.run("state show aws.vpc/network1").succeeded();
    let record: serde_json::Value = serde_json::from_str(&record.stdout).unwrap();
    let id = record["id"].as_str().unwrap();
    place.run("state forget aws.vpc/network1 --yes").succeeded();
    let wrong = place.sandbox("state adopt aws.vpc/network1 vpc-00000000000000000 small.toml").refused();
    assert!(wrong.stderr.contains("vpc-00000000000000000"), "{}", wrong.all());
    place.sandbox(&format!("state adopt aws.vpc/network1 {id} small.toml")).succeeded();
    let again = place.sandbox("plan small.toml").succeeded();
    assert!(
        again.stdout.contains("Plan: ") && !again.stdout.contains(" to create") || again.stdout.contains("No changes"),
        "{}",
        again.all()
    );
    let history = place.run("state history").succeeded();
    assert_eq!(history.stdout.lines().filter(|line| line.ends_with("(present)")).count(), 1, "{}", history.all());
    place.run("state restore 1 --yes").succeeded();
}

#[test]
fn an_adopted_objects_foreign_tags_stay_theirs() {
    let place = Place::new("adopt_foreign");
    place.sandbox("apply small.toml --yes").succeeded();
    let record = place.run("state show aws.vpc/network1").succeeded();
    let record: serde_json::Value = serde_json::from_str(&record.stdout).unwrap();
    let id = record["id"].as_str().unwrap();
    place.write("faults.toml", &meddle("team", "theirs"));
    place.run("state forget aws.vpc/network1 --yes").succeeded();
    place.sandbox(&format!("state adopt aws.vpc/network1 {id} small.toml --sandbox-faults faults.toml")).succeeded();
    assert!(!place.run("state show aws.vpc/network1").succeeded().stdout.contains("theirs"));
    let again = place.sandbox("plan small.toml").succeeded();
    assert!(again.stdout.contains("No changes: "), "{}", again.all());
}

#[test]
fn what_was_begun_is_not_adopted() {
    let place = Place::new("adopt_begun");
    place.write(
        "faults.toml",
        "[[rules]]\noperation = \"CreateVpc\"\nfault = \"lost-answer\"\n\
         [[rules]]\noperation = \"DescribeVpcs\"\nfault = \"throttle\"\ntimes = 100000\n",
    );
    place.sandbox("apply small.toml --yes --sandbox-faults faults.toml").refused();
    let list = place.run("state list").succeeded();
    assert!(list.stdout.contains("aws.vpc/network1  (a create was begun"), "{}", list.all());
    let ran = place.sandbox("state adopt aws.vpc/network1 vpc-0 small.toml").refused();
    assert!(ran.stderr.contains("`meshplan apply small.toml --sandbox` finds out"), "{}", ran.all());
    place.sandbox("apply small.toml --yes").succeeded();
    let status = place.sandbox("sandbox status").succeeded();
    assert!(status.stdout.contains("  vpc                                1\n"), "{}", status.all());
}

#[test]
fn drift_shows_what_somebody_else_changed_and_an_apply_puts_it_right() {
    let place = Place::new("drift");
    place.sandbox("apply small.toml --yes").succeeded();
    place.write("faults.toml", &meddle("Name", "mine"));
    let ran = place.sandbox("drift --detailed-exitcode --sandbox-faults faults.toml");
    assert_eq!(ran.code, Some(2), "{}", ran.all());
    insta::assert_snapshot!(ran.all());
    let mended = place.sandbox("apply small.toml --yes").succeeded();
    assert!(mended.stdout.contains("Apply: 1 updated, 0 failed\n"), "{}", mended.all());
    assert_eq!(place.sandbox("drift --detailed-exitcode").code, Some(0));
}

#[test]
fn the_log_is_off_unless_it_is_asked_for() {
    let place = Place::new("log");
    assert!(!place.run("validate small.toml").succeeded().stderr.contains("INFO"));
    assert!(place.run("validate small.toml -v").succeeded().stderr.contains("INFO"));
}
