//! Updates that take time, deletes that are put off, waits that are diagnosed, and what is nothing but its record.

use meshplan::compile::Declaration;
use meshplan::model::Target;
use meshplan::model::event::Event;
use meshplan::plan::{Action, Inputs, Plan, Scope, plan};
use meshplan::resource::ErrorClass;

use crate::rig::Rig;
use crate::toy::{Fault, Spec, declare, kind_on, thing, world};

fn slow(size: u32) -> Declaration {
    declare("toy.slow/a", &Spec { size: Some(size), ..thing("a") })
}

fn note(size: u32) -> Declaration {
    declare("toy.note/a", &Spec { size: Some(size), ..thing("a") })
}

fn requests(verb: &str) -> usize {
    world(|world| world.requests.iter().filter(|request| request.starts_with(verb)).count())
}

fn offline(rig: &Rig, declarations: &[Declaration]) -> Plan {
    plan(Inputs {
        declarations,
        state: &rig.ledger.state,
        observed: None,
        rules: &rig.registry.rules(),
        moves: &[],
        topology: None,
        scope: &Scope::default(),
    })
    .plan
    .unwrap()
}

#[test]
fn an_update_that_takes_time_is_followed_to_its_end() {
    let mut rig = Rig::new();
    rig.apply(&[slow(1)]);
    world(|world| world.requests.clear());
    let outcome = rig.apply(&[slow(2)]);
    assert!(outcome.seconds >= 7.0, "{outcome:?}");
    assert_eq!((requests("update a"), requests("follow") > 10), (1, true));
    assert!(rig.plan(&[slow(2)]).is_empty());
}

#[test]
fn an_update_that_comes_to_nothing_fails_with_its_reason() {
    let mut rig = Rig::new();
    rig.apply(&[slow(1)]);
    Rig::fault("update", "a", &[Fault::Spoil]);
    let plan = rig.plan(&[slow(2)]);
    let outcome = rig.apply_plan(&plan).unwrap();
    assert_eq!(outcome.failures[0].error, "toy.slow: the paint is out");
    rig.apply(&[slow(2)]);
    assert!(rig.plan(&[slow(2)]).is_empty());
}

#[test]
fn a_provider_that_is_busy_is_waited_for() {
    let mut rig = Rig::new();
    rig.apply(&[slow(1)]);
    Rig::fault("update", "a", &[Fault::Refuse(ErrorClass::Busy); 3]);
    let outcome = rig.apply(&[slow(2)]);
    assert!(outcome.seconds > 15.0, "{outcome:?}");
}

#[test]
fn a_delete_that_is_put_off_is_asked_for_until_it_is_accepted() {
    let mut rig = Rig::new();
    rig.apply(&[slow(1), note(1)]);
    world(|world| world.put_off.insert("a".to_owned(), 6));
    let outcome = rig.apply(&[]);
    assert_eq!(outcome.counts.deleted, 2);
    assert_eq!(requests("delete a"), 8);
    assert!(rig.there().is_empty());

    let mut rig = Rig::new();
    rig.apply(&[note(1)]);
    world(|world| world.put_off.insert("a".to_owned(), 10_000));
    let plan = rig.plan(&[]);
    let outcome = rig.apply_plan(&plan).unwrap();
    assert_eq!(outcome.failures[0].error, "toy.note: not gone after 60 s: something else goes first");
    world(|world| world.put_off.clear());
    rig.apply(&[]);
    assert!(rig.there().is_empty());
}

#[test]
fn a_wait_that_lasts_too_long_is_diagnosed_once() {
    let mut rig = Rig::new();
    Rig::fault("create", "a", &[Fault::Stall]);
    world(|world| world.findings = vec!["the brush is dry".to_owned(), "the pot is empty".to_owned()]);
    let plan = rig.plan(&[slow(1)]);
    let outcome = rig.apply_plan(&plan).unwrap();
    assert_eq!(outcome.failures[0].error, "toy.slow: it does not get ready: the brush is dry; the pot is empty");
    assert!((20.0..21.0).contains(&outcome.seconds), "{outcome:?}");
    world(|world| world.findings.clear());
    let plan = rig.plan(&[slow(1)]);
    assert_eq!(plan.changes[0].action, Action::Wait);
    let outcome = rig.apply_plan(&plan).unwrap();
    assert_eq!(outcome.failures[0].error, "toy.slow: not ready after 60 s: it is being painted");
    assert_eq!(requests("diagnose"), 2, "once in each run");
}

#[test]
fn what_is_used_by_the_create_alone_is_never_changed_back() {
    let mut rig = Rig::new();
    let seated = |seats| [declare("toy.slow/a", &Spec { seats: Some(seats), ..thing("a") })];
    rig.apply(&seated(3));
    assert_eq!(world(|world| world.objects["toy-1"].spec.seats), Some(3));
    world(|world| world.objects.values_mut().for_each(|object| object.spec.seats = Some(5)));
    assert!(rig.plan(&seated(3)).is_empty());
    assert!(rig.plan(&seated(4)).is_empty());
}

#[test]
fn what_is_only_recorded_is_never_read() {
    let mut rig = Rig::new();
    rig.apply(&[note(1), kind_on("toy.thing", "b", &["toy.note/a"])]);
    let record = rig.ledger.state.records["toy.note/a"].clone();
    assert_eq!(record.id.as_str(), "note-a");
    assert!(record.outputs.as_str().contains("handle-of-note-a"), "{record:?}");
    assert!(!rig.ledger.written.contains("\"token\":\"note-a\""), "an ephemeral output is stored");
    let again = rig.plan(&[note(1), kind_on("toy.thing", "b", &["toy.note/a"])]);
    assert!(again.is_empty() && again.bookkeeping.is_empty(), "{again:#?}");

    rig.apply(&[note(2), kind_on("toy.thing", "b", &["toy.note/a"])]);
    let updated = rig.ledger.state.records["toy.note/a"].clone();
    assert_eq!(updated.outputs, record.outputs);
    assert!(updated.spec.as_str().contains("\"size\":2"), "{updated:?}");
    rig.apply(&[]);
    assert!(rig.ledger.state.records.is_empty());
    let of_notes = world(|world| world.requests.iter().filter(|r| *r == "read toy.note" || *r == "find a").count());
    assert_eq!(of_notes, 0);
    assert_eq!((requests("create a"), requests("update a"), requests("delete a")), (1, 1, 1));
}

#[test]
fn what_is_only_recorded_is_planned_alike_with_and_without_reading() {
    let mut rig = Rig::new();
    let changes = |plan: &Plan| serde_json::to_value((&plan.changes, &plan.bookkeeping)).unwrap();
    for declared in [vec![note(1)], vec![note(2)], vec![]] {
        let online = rig.plan(&declared);
        assert_eq!(changes(&online), changes(&offline(&rig, &declared)));
        rig.apply_plan(&online).unwrap();
        assert!(offline(&rig, &declared).is_empty());
    }
}

#[test]
fn a_lost_answer_about_a_record_is_asked_for_again_with_its_token() {
    let mut rig = Rig::new();
    Rig::fault("create", "a", &[Fault::LoseAnswer]);
    Rig::fault("update", "a", &[Fault::LoseAnswer]);
    rig.apply(&[note(1)]);
    let tokens = world(|world| world.tokens.clone());
    assert_eq!((tokens.len(), tokens[0] == tokens[1]), (2, true));
    rig.apply(&[note(2)]);
    assert_eq!(requests("update a"), 2);
}

#[test]
fn what_is_only_recorded_is_asked_for_until_it_is_true() {
    let mut rig = Rig::new();
    world(|world| world.not_yet.insert("a".to_owned(), 5));
    let outcome = rig.apply(&[note(1), kind_on("toy.thing", "b", &["toy.note/a"])]);
    assert_eq!(requests("create a"), 6, "five times it was not so");
    assert!(outcome.seconds > 0.5, "{}", outcome.seconds);
    let waited = rig.events.iter().filter(|stamped| matches!(&stamped.event, Event::StepWaiting { .. })).count();
    assert!(waited >= 5, "{waited}");
    assert_eq!(rig.there(), ["toy.note a", "toy.thing b"]);
    // One that never comes true ends, and leaves nothing that stands on it.
    world(|world| world.not_yet.insert("c".to_owned(), u32::MAX));
    let never = declare("toy.note/c", &thing("c"));
    let plan = rig.plan(&[note(1), kind_on("toy.thing", "b", &["toy.note/a"]), never.clone()]);
    let outcome = rig.apply_plan(&plan).unwrap();
    assert_eq!(outcome.failures[0].error, "toy.note: not ready after 60 s: nobody has written it yet");
    world(|world| world.not_yet.clear());
    rig.apply(&[note(1), kind_on("toy.thing", "b", &["toy.note/a"]), never]);
}

#[test]
fn what_is_only_recorded_is_gone_with_its_cluster() {
    let mut rig = Rig::new();
    let cluster = declare("toy.thing/cluster", &thing("cluster"));
    let mut inside = kind_on("toy.note", "a", &["toy.thing/cluster"]);
    inside.target = Target::Cluster { cluster: cluster.address.clone() };
    rig.apply(&[cluster.clone(), inside.clone()]);
    world(|world| world.objects.clear());
    let plan = rig.plan(&[]);
    let actions: Vec<String> = plan.changes.iter().map(|c| format!("{} {:?}", c.address, c.action)).collect();
    assert_eq!(actions, ["toy.note/a Forget", "toy.thing/cluster Forget"], "nothing can be asked of it");
    rig.apply(&[cluster, inside]);
}
