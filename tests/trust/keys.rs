//! Where keys are, and where they are not: in no file, no plan, no event and no message, however a run ends.

use std::path::Path;

use meshplan::compile::Declaration;
use meshplan::kinds::pki::KeyKind;
use meshplan::plan::render::{Style, json, markdown, text};
use meshplan::plan::{Plan, Scope};
use meshplan::state::Store;

use crate::replica::{self, Spec};
use crate::rig::run;
use crate::touches::every_touch_seen;
use crate::{declare, everything, intermediate_address, opened, process, sorted, trust};

/// The lines of keys that tell them: all but the frame, which all share.
fn lines(keys: &[String]) -> Vec<String> {
    keys.iter().flat_map(|key| key.lines()).filter(|line| !line.starts_with("-----")).map(str::to_owned).collect()
}

fn assert_absent(keys: &[String], where_: &str, seen: &str) {
    assert!(!seen.contains("PRIVATE KEY"), "a key in {where_}: {seen}");
    for line in lines(keys) {
        assert!(!seen.contains(&line), "a part of a key in {where_}: {seen}");
    }
}

/// Looks for every key that a state holds sealed, in every file beside it.
fn assert_nowhere(folder: &Path) {
    let keys = Store::read(folder, "mesh1").unwrap().map(|loaded| opened(&loaded.state, folder)).unwrap_or_default();
    for (path, bytes) in everything(folder) {
        assert_absent(&keys, &path.display().to_string(), &String::from_utf8_lossy(&bytes));
    }
}

fn with_replicas(clusters: &[&str], mut declared: Vec<Declaration>) -> Vec<Declaration> {
    for cluster in clusters {
        let address = meshplan::model::Address::new("test.replica", &[cluster]);
        declared.push(declare(&address, &Spec::of(&intermediate_address(cluster), cluster)));
    }
    sorted(declared)
}

/// Everything that a plan is shown as and kept as.
fn shown(plan: &Plan) -> String {
    let rules = meshplan::kinds::registry().rules();
    let saved = serde_json::to_string(plan).unwrap();
    format!("{}{}{}{saved}{plan:?}", text(plan, Style::plain()), markdown(plan), json(plan, &rules).unwrap())
}

#[test]
fn whoever_needs_a_key_gets_it_and_nobody_else_sees_it() {
    let home = tempfile::tempdir().unwrap();
    let clusters = ["cluster-1", "cluster-2"];
    let declared = with_replicas(&clusters, trust(&clusters, KeyKind::EcdsaP256));
    let mut process = process(home.path());
    let first = process.plan(&declared);
    process.apply(&declared);
    let state = process.process.store.state().clone();
    let keys = opened(&state, home.path());
    for (cluster, key) in clusters.iter().zip(&keys) {
        let held = replica::held(cluster);
        assert_eq!(held["ca-key.pem"], *key, "{cluster} has its own key");
        assert_eq!(held["cert-chain.pem"], format!("{}{}", held["ca-cert.pem"], held["root-cert.pem"]));
    }
    assert_nowhere(home.path());
    let again = process.plan(&declared);
    assert!(again.is_empty(), "{again:#?}");
    let events = format!("{:?}{}", process.process.events, serde_json::to_string(&process.process.events).unwrap());
    for (name, seen) in [("the plan", shown(&first)), ("the events", events), ("the state", format!("{state:?}"))] {
        assert_absent(&keys, name, &seen);
    }
}

#[test]
fn what_somebody_changed_is_seen_and_put_right_without_showing_it() {
    let home = tempfile::tempdir().unwrap();
    let declared = with_replicas(&["cluster-1"], trust(&["cluster-1"], KeyKind::EcdsaP256));
    let mut process = process(home.path());
    process.apply(&declared);
    let before = replica::held("cluster-1");
    replica::meddle("cluster-1", "ca-key.pem", "meddled");
    let plan = process.plan(&declared);
    let changed: Vec<String> = plan
        .changes
        .iter()
        .flat_map(|change| change.fields.iter().map(|field| format!("{} {}", change.address, field.path)))
        .collect();
    assert_eq!(changed, ["test.replica/cluster-1 data.\"ca-key.pem\""], "{}", text(&plan, Style::plain()));
    let keys = opened(process.process.store.state(), home.path());
    assert_absent(&keys, "the plan", &shown(&plan));
    process.apply(&declared);
    assert_eq!(replica::held("cluster-1"), before);
    assert_eq!(replica::writes(), 2);
}

#[test]
fn a_refused_write_tells_nothing() {
    let home = tempfile::tempdir().unwrap();
    let declared = with_replicas(&["cluster-1"], trust(&["cluster-1"], KeyKind::EcdsaP256));
    let mut process = process(home.path());
    replica::refuse();
    let sandbox = process.sandbox.clone();
    let outcome = run(sandbox.drive(process.process.apply(&declared))).unwrap();
    assert_eq!(outcome.failures.len(), 1, "{outcome:#?}");
    let keys = opened(process.process.store.state(), home.path());
    assert_eq!(keys.len(), 2);
    assert_absent(&keys, "the outcome", &format!("{outcome:?} {:?}", process.process.events));
    assert_nowhere(home.path());
}

#[test]
fn a_secret_in_a_field_that_all_can_see_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let mut declared = trust(&["cluster-1"], KeyKind::EcdsaP256);
    let intermediate = intermediate_address("cluster-1");
    let label = Some(meshplan::model::Reference::to(&intermediate, "key").into());
    let spec = Spec { label, ..Spec::of(&intermediate, "cluster-1") };
    declared.push(declare(&"test.replica/cluster-1".parse().unwrap(), &spec));
    let mut process = process(home.path());
    let sandbox = process.sandbox.clone();
    let planned = run(sandbox.drive(process.process.planned(&sorted(declared), &Scope::default())));
    let messages: Vec<&str> = planned.diagnostics.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "test.replica/cluster-1: `label` would show the secret pki.intermediate/cluster-1.key: it is no sensitive field"
        ]
    );
}

#[test]
fn a_key_that_nobody_here_can_open_stops_what_needs_it_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let one = trust(&["cluster-1"], KeyKind::EcdsaP256);
    process(home.path()).apply(&one);
    std::fs::remove_file(home.path().join("identity.txt")).unwrap();
    let mut process = process(home.path());
    let two = trust(&["cluster-1", "cluster-2"], KeyKind::EcdsaP256);
    let sandbox = process.sandbox.clone();
    let outcome = run(sandbox.drive(process.process.apply(&two))).unwrap();
    let told: Vec<&str> = outcome.failures.iter().map(|failure| failure.error.as_str()).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("it is sealed to age1") && told[0].contains("--identity FILE"), "{told:?}");
    assert!(process.process.store.state().intents.is_empty(), "nothing was promised");
}

#[test]
fn no_crash_leaves_a_key_in_the_clear() {
    let clusters = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let states = every_touch_seen("trust", &[], &trust(&clusters, KeyKind::EcdsaP256), 1, &assert_nowhere);
    // Keys that are made at once share their appends.
    assert!(states > 10, "{states}");
}

#[test]
fn no_crash_of_a_replacement_leaves_a_key_in_the_clear() {
    let clusters = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let before = trust(&clusters, KeyKind::EcdsaP256);
    let mut after = trust(&clusters, KeyKind::EcdsaP256);
    for (declaration, cluster) in after.iter_mut().zip(clusters) {
        let spec = crate::intermediate_spec(&crate::root_address(), cluster, KeyKind::EcdsaP256);
        *declaration = declare(
            &intermediate_address(cluster),
            &meshplan::kinds::pki::intermediate::Spec { ttl_seconds: crate::YEAR, ..spec },
        );
    }
    let states = every_touch_seen("another life", &before, &after, 1, &assert_nowhere);
    assert!(states > 10, "{states}");
}
