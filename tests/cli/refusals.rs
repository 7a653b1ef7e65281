//! What is refused, and how: exit 1, the reason, and the way out.

use crate::support::{Place, SMALL};

#[test]
fn a_typing_mistake_is_exit_1_because_2_means_changes() {
    let place = Place::new("typing_mistake");
    for line in ["plann", "plan --nope", "graph --format png", "explain nothing", "validate --sandbox-speed 3"] {
        let ran = place.run(line).refused();
        assert!(ran.stdout.is_empty() && ran.stderr.starts_with("error:"), "{}", ran.all());
    }
    insta::assert_snapshot!(place.run("plann").all());
}

#[test]
fn a_topology_with_mistakes_is_refused_with_all_of_them() {
    let place = Place::new("topology_mistakes");
    place.write(
        "bad.toml",
        &SMALL.replace("azs = 2", "azz = 2\nnat = \"sinlge\"").replace("10.1.0.0/16", "10.1.0.0/99"),
    );
    insta::assert_snapshot!(place.run("validate bad.toml").refused().all());
    let planned = place.sandbox("plan bad.toml").refused();
    assert!(planned.stdout.is_empty());
    assert!(!place.exists("state"), "a refused plan leaves nothing behind");
}

#[test]
fn missing_things_are_named() {
    let place = Place::new("missing_things");
    let lines = [
        "validate",
        "plan nowhere.toml --offline",
        "apply",
        "apply nowhere.json",
        "destroy",
        "outputs nosuchmesh",
        "state show aws.vpc/network1",
        "show small.toml",
    ];
    let all: Vec<String> = lines.iter().map(|line| place.run(line).refused().all().to_owned()).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn several_states_and_no_argument_is_an_error_that_lists_them() {
    let place = Place::new("several_states");
    place.write("other.toml", &SMALL.replace("\"small\"", "\"other\""));
    place.sandbox("plan small.toml").succeeded();
    place.sandbox("plan other.toml").succeeded();
    let pending = place.sandbox("apply --yes").refused();
    assert!(pending.stderr.contains("other, small"), "{}", pending.all());
    for name in ["small.toml", "other.toml"] {
        place.sandbox(&format!("apply {name} --yes")).succeeded();
    }
    insta::assert_snapshot!(place.sandbox("destroy --yes").refused().all());
    place.sandbox("destroy other --yes").succeeded();
}

#[test]
fn nobody_to_ask_is_a_refusal() {
    let place = Place::new("nobody_to_ask");
    let ran = place.sandbox("apply small.toml").refused();
    assert!(
        ran.stderr.ends_with("error: nobody is there to approve: look at the plan, then run this again with `--yes`\n")
    );
    let list = place.run("state list").refused();
    assert!(list.stderr.contains("there is no state"), "nothing was made: {}", list.all());
}

#[test]
fn a_stale_plan_says_what_moved() {
    let place = Place::new("stale_plan");
    place.sandbox("plan small.toml --out saved.json").succeeded();
    place.sandbox("apply small.toml --yes").succeeded();
    place.write("small.toml", &SMALL.replace("azs = 2", "azs = 3"));
    let ran = place.sandbox("apply saved.json --yes").refused();
    insta::assert_snapshot!(ran.all());
    assert!(ran.stderr.trim_end().ends_with("  help: make it again with `meshplan plan small.toml --sandbox`"));
}

#[test]
fn damaged_and_foreign_plans_are_refused_and_touch_nothing() {
    let place = Place::new("damaged_plans");
    place.sandbox("plan small.toml --out saved.json").succeeded();
    let good = place.read("saved.json");
    let offline = place.run("plan small.toml --offline --out offline.json --state elsewhere").succeeded();
    assert!(offline.stdout.contains("offline: nothing was read from the cloud"));
    let cases = [
        (good[..good.len() / 2].to_owned(), "EOF while parsing"),
        (good.replacen("\"format_version\": 1", "\"format_version\": 2", 1), "format version 2"),
        (good.replacen("\"after\": []", "\"after\": [33]", 1), "which comes later"),
        (good.replacen("\"sandbox\": true", "\"sandbox\": false", 1), "it is not as it was written"),
        (good.replace("10.1.0.0/16", "10.2.0.0/16"), "it is not as it was written"),
        (good.replacen("aws.eip/", "aws.eip//", 1), "is not an address"),
        (place.read("offline.json"), "made offline"),
    ];
    for (text, expected) in cases {
        place.write("bad.json", &text);
        let ran = place.sandbox("apply bad.json --yes").refused();
        assert!(ran.stderr.contains(expected), "{} does not say {expected}", ran.all());
    }
    assert!(!place.exists("state/small.json"));
}

#[test]
fn the_sandboxs_state_is_not_taken_for_aws() {
    let place = Place::new("not_aws");
    place.sandbox("apply small.toml --yes").succeeded();
    let ran = place.run("destroy --yes").refused();
    assert!(ran.stderr.contains("live in the sandbox"), "{}", ran.all());
    let ran = place.run("plan small.toml --offline").refused();
    assert!(ran.stderr.contains("give `--sandbox`"), "{}", ran.all());
}

#[test]
fn what_is_protected_stays_unless_it_is_named() {
    let place = Place::new("protected");
    place.sandbox("apply small.toml --yes").succeeded();
    place.write("small.toml", &SMALL.replace("10.1.0.0/16", "10.9.0.0/16"));
    let ran = place.sandbox("plan small.toml").refused();
    assert!(ran.stderr.contains("error[protected]"), "{}", ran.all());
    assert!(ran.stderr.contains("--allow-replace aws.vpc/network1"), "{}", ran.all());
    let allowed = place.sandbox("plan small.toml --allow-replace aws.vpc/network1").succeeded();
    assert!(allowed.stdout.contains("Look twice at:\n  replaces aws."), "{}", allowed.all());
}

#[test]
fn a_plan_is_written_over_nothing_but_a_plan() {
    let place = Place::new("overwrite");
    let ran = place.sandbox("plan small.toml --out small.toml").refused();
    assert!(ran.stderr.contains("`small.toml` exists and is not a saved plan"), "{}", ran.all());
    assert_eq!(place.read("small.toml"), SMALL);
    place.sandbox("plan small.toml --out new.json").succeeded();
    place.sandbox("plan small.toml --out new.json").succeeded();
}

#[test]
fn a_slip_in_an_address_to_replace_is_said() {
    let place = Place::new("replace_slip");
    for option in ["--replace", "--allow-replace"] {
        let ran = place.sandbox(&format!("plan small.toml {option} aws.vpc/netwrok1")).refused();
        assert!(ran.stderr.contains(&format!("`{option} aws.vpc/netwrok1`: no such resource")), "{}", ran.all());
        assert!(ran.stderr.contains("did you mean `aws.vpc/network1`?"), "{}", ran.all());
    }
}

#[test]
fn a_plan_for_aws_is_not_applied_in_the_sandbox() {
    let place = Place::new("plan_for_aws");
    place.sandbox("plan small.toml --out saved.json").succeeded();
    let ran = place.run("apply saved.json --yes").refused();
    assert!(ran.stderr.contains("the plan is for the sandbox: give `--sandbox`"), "{}", ran.all());
}
