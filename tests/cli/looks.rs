//! The commands that only look, and the formats that scripts rely on.

use std::process::Stdio;

use crate::support::Place;

#[test]
fn help_and_version_are_data() {
    let place = Place::new("help");
    insta::assert_snapshot!(place.run("--help").succeeded().all());
    let version = place.run("--version").succeeded();
    assert_eq!(version.stdout, concat!("meshplan ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn schema_completions_and_manual_are_what_they_claim() {
    let place = Place::new("schema");
    let schema: serde_json::Value = serde_json::from_str(&place.run("schema").succeeded().stdout).unwrap();
    assert_eq!(schema["type"], "object");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(place.run(&format!("completions {shell}")).succeeded().stdout.contains("meshplan"), "{shell}");
    }
    assert!(place.run("man").succeeded().stdout.contains(".TH meshplan"));
}

#[test]
fn a_valid_topology_says_what_it_holds() {
    let place = Place::new("valid");
    insta::assert_snapshot!(place.run("validate small.toml").succeeded().all());
    place.write("meshplan.toml", crate::support::SMALL);
    assert!(place.run("validate").succeeded().stdout.starts_with("meshplan.toml is valid"));
}

#[test]
fn an_offline_plan_needs_no_cloud_and_is_the_same_every_time() {
    let place = Place::new("offline");
    let first = place.sandbox("plan small.toml --offline").succeeded();
    insta::assert_snapshot!(first.brief());
    assert_eq!(first.stdout, place.sandbox("plan small.toml --offline").succeeded().stdout);
    assert!(!place.exists("state/sandbox"), "the sandbox is not even opened");
}

#[test]
fn the_plans_json_has_the_documented_fields() {
    let place = Place::new("plan_json");
    let ran = place.sandbox("plan small.toml --format json --out saved.json --detailed-exitcode");
    assert_eq!(ran.code, Some(2), "{}", ran.all());
    assert_eq!(ran.stdout, place.read("saved.json"));
    let plan: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(plan["format_version"], 1);
    assert_eq!(plan["sandbox"], true);
    let n = plan["changes"].as_array().unwrap().len();
    assert_eq!(plan["summary"]["create"], n);
    for key in ["create", "update", "replace", "delete", "forget", "adopt", "no_op"] {
        assert!(plan["summary"][key].is_u64(), "{key}");
    }
    for change in plan["changes"].as_array().unwrap() {
        assert!(change["address"].is_string() && change["action"] == "create" && change["reason"] == "not-in-state");
        assert!(change["fields"].is_array() && change["notes"].is_array());
    }
    for step in plan["steps"].as_array().unwrap() {
        assert!(step["id"].is_u64() && step["address"].is_string() && step["kind"] == "create");
        assert!(step["after"].as_array().unwrap().iter().all(|before| before.as_u64() < step["id"].as_u64()));
    }
    assert!(plan["estimate"]["seconds"].as_f64().unwrap() > 60.0, "a NAT gateway takes its time");
    assert!(plan["estimate"]["critical_path"].as_array().unwrap().len() > 2);
    let shown = place.run("show saved.json --format json").succeeded();
    assert_eq!(shown.stdout, ran.stdout);
    let text = place.run("show saved.json").succeeded();
    assert!(text.stdout.starts_with("sandbox: plan for mesh small"), "{}", text.stdout);
}

#[test]
fn a_comment_for_a_pull_request_fits_a_screen_before_its_folds() {
    let place = Place::new("comment");
    let ran = place.sandbox("plan small.toml --format markdown").succeeded();
    let (head, folds) = ran.stdout.split_once("\n<details>").unwrap();
    assert!(head.lines().count() <= 25 && head.starts_with("### sandbox: plan for mesh small"));
    assert!(folds.contains("</details>"));
    insta::assert_snapshot!(head);
    place.write("two-network.toml", include_str!("../../topologies/two-network.toml"));
    let ran = place.sandbox("plan two-network.toml --format markdown").succeeded();
    let (head, folds) = ran.stdout.split_once("\n<details>").unwrap();
    assert!(head.lines().count() <= 25, "{head}");
    assert!(folds.contains("<b>network2</b>") && ran.stdout.encode_utf16().count() <= 65_536);
    assert!(!ran.stdout.contains("Cut to fit"));
}

#[test]
fn addresses_are_explained_and_graphs_drawn() {
    let place = Place::new("explain");
    insta::assert_snapshot!(place.sandbox("explain aws.nat_gateway/network1/nat small.toml").succeeded().all());
    let unknown = place.sandbox("explain aws.nat_gateway/netwrok1/nat small.toml --offline").refused();
    assert!(unknown.stderr.contains("did you mean `aws.nat_gateway/network1/nat`?"), "{}", unknown.all());
    assert!(place.run("graph small.toml").succeeded().stdout.starts_with("digraph \"small\" {"));
    assert!(place.run("graph small.toml --format mermaid").succeeded().stdout.starts_with("flowchart LR\n"));
    let drawn = place.run("graph small.toml --format json").succeeded();
    let drawn: serde_json::Value = serde_json::from_str(&drawn.stdout).unwrap();
    let addresses: Vec<&str> =
        drawn["nodes"].as_array().unwrap().iter().map(|node| node["address"].as_str().unwrap()).collect();
    for edge in drawn["edges"].as_array().unwrap() {
        assert!(addresses.contains(&edge["from"].as_str().unwrap()));
        assert!(addresses.contains(&edge["needs"].as_str().unwrap()));
    }
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let place = Place::new("broken_pipe");
    let mut child = place.command("schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
}
