//! When steps begin: not before their first request can be made.

use std::time::Duration;

use meshplan::compile::Declaration;
use meshplan::model::Clock;
use meshplan::model::event::Event;

use crate::rig::Rig;
use crate::toy::kind_on;

/// EC2's bucket for requests that change something.
const AT_ONCE: f64 = 50.0;
const PER_SECOND: f64 = 5.0;

fn metered(n: usize) -> Vec<Declaration> {
    (0..n).map(|n| kind_on("toy.metered", &format!("m{n:03}"), &[])).collect()
}

/// Seconds from the run's start to the events that `pick` gives an address for.
fn moments(rig: &Rig, pick: impl Fn(&Event) -> Option<String>) -> Vec<(String, f64)> {
    let start = rig.events.iter().find(|it| matches!(it.event, Event::RunStarted { .. })).unwrap().at;
    let at = |stamped: &meshplan::model::event::Stamped| stamped.at.duration_since(start).as_secs_f64();
    rig.events.iter().filter_map(|stamped| Some((pick(&stamped.event)?, at(stamped)))).collect()
}

fn begun(event: &Event) -> Option<String> {
    match event {
        Event::StepStarted { address, .. } => Some(address.to_string()),
        _ => None,
    }
}

#[test]
fn a_step_begins_when_its_first_request_can_be_made() {
    let mut rig = Rig::new();
    let outcome = rig.apply(&metered(120));
    let begun = moments(&rig, begun);
    assert_eq!(begun.len(), 120);
    for (n, (address, at)) in begun.iter().enumerate() {
        let allowed = AT_ONCE + PER_SECOND * at;
        assert!(n as f64 <= allowed, "{address} begins as number {n} after {at} s");
    }
    assert!(outcome.seconds <= outcome.limit_seconds.max(outcome.critical_seconds) + 12.0, "{outcome:?}");
}

#[test]
fn what_becomes_ready_later_and_is_more_urgent_overtakes() {
    let mut rig = Rig::new();
    let mut all = metered(200);
    all.extend([
        kind_on("toy.thing", "base", &[]),
        kind_on("toy.metered", "urgent", &["base"]),
        kind_on("toy.thing", "next", &["toy.metered/urgent"]),
        kind_on("toy.thing", "last", &["next"]),
    ]);
    rig.apply(&all);
    let ready = moments(&rig, |event| match event {
        Event::StepFinished { address, .. } if address.as_str() == "toy.thing/base" => Some(address.to_string()),
        _ => None,
    })[0]
        .1;
    let begins = moments(&rig, begun).iter().find(|(address, _)| address == "toy.metered/urgent").unwrap().1;
    assert!(begins - ready <= 0.3, "ready after {ready} s, begins after {begins} s");
}

#[test]
fn what_waited_for_its_turn_was_never_begun_when_a_run_is_stopped() {
    let mut rig = Rig::new();
    let plan = rig.plan(&metered(120));
    let interrupt = rig.clock.sleep(Duration::from_secs(2));
    let outcome = rig.apply_until(&plan, interrupt).unwrap();
    let known = rig.ledger.state.records.len() + rig.ledger.state.intents.len();
    assert!((50..=61).contains(&known), "{known} were begun");
    assert_eq!(outcome.not_started.len(), 120 - known);
}
