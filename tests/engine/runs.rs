//! Whole runs: parallelism, failures, lost answers, replacement, interruption.

use std::time::Duration;

use meshplan::model::Clock;
use meshplan::model::event::Event;
use meshplan::plan::Action;
use meshplan::resource::ErrorClass;

use crate::rig::Rig;
use crate::toy::{Fault, Spec, declare, kind_on, on, thing, world};

#[test]
fn a_chain_and_its_neighbours_take_as_long_as_the_chain() {
    let mut rig = Rig::new();
    let mut all = vec![on("a", &[]), on("b", &["a"]), on("c", &["b"])];
    all.extend((0..40).map(|n| on(&format!("wide-{n}"), &["a"])));
    let outcome = rig.apply(&all);
    assert_eq!(outcome.counts.created, 43);
    assert!(
        outcome.seconds <= outcome.critical_seconds * 1.01,
        "{} s for a chain of {}",
        outcome.seconds,
        outcome.critical_seconds
    );
    assert_eq!(
        outcome.critical_path.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["toy.thing/a", "toy.thing/b", "toy.thing/c"]
    );
    let again = rig.plan(&all);
    assert!(again.is_empty() && again.bookkeeping.is_empty(), "{again:#?}");
    assert_eq!(again.summary.no_op, 43);
}

#[test]
fn what_a_create_cannot_set_is_set_before_it_counts_as_ready() {
    let mut rig = Rig::new();
    let sized = Spec { size: Some(3), ..thing("a") };
    rig.apply(&[declare("toy.thing/a", &sized)]);
    assert_eq!(world(|world| world.objects["toy-1"].spec.clone()), sized);
    let requests = world(|world| world.requests.clone());
    assert_eq!(requests.iter().filter(|r| *r == "update a").count(), 1);
}

#[test]
fn a_failure_skips_exactly_what_stands_on_it() {
    let mut rig = Rig::new();
    Rig::fault("create", "b", &[Fault::Refuse(ErrorClass::Denied)]);
    let all = [on("a", &[]), on("b", &["a"]), on("c", &["b"]), on("d", &["c"]), on("e", &["a"])];
    let plan = rig.plan(&all);
    let outcome = rig.apply_plan(&plan).unwrap();
    assert_eq!(rig.there(), ["toy.thing a", "toy.thing e"]);
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(outcome.failures[0].error, "toy:Request: refused on demand");
    assert_eq!(outcome.failures[0].help, ["allow `toy:Request` to the caller, or use other credentials"]);
    let skipped: Vec<String> = outcome.skipped.iter().map(|s| format!("{} by {}", s.address, s.blocked_by)).collect();
    assert_eq!(skipped, ["toy.thing/c by toy.thing/b", "toy.thing/d by toy.thing/b"]);
    assert!(rig.ledger.state.intents.is_empty(), "a refusal leaves no promise: {:?}", rig.ledger.state.intents);
    let outcome = rig.apply(&all);
    assert_eq!(outcome.counts.created, 3);
}

#[test]
fn a_lost_answer_makes_nothing_twice() {
    let mut rig = Rig::new();
    Rig::fault("create", "a", &[Fault::LoseAnswer]);
    Rig::fault("create", "b", &[Fault::Refuse(ErrorClass::Ambiguous), Fault::LoseAnswer]);
    let outcome = rig.apply(&[on("a", &[]), on("b", &["a"])]);
    assert_eq!(outcome.counts.created, 2);
    assert_eq!(rig.there(), ["toy.thing a", "toy.thing b"]);
}

#[test]
fn errors_that_pass_are_waited_out_and_told() {
    let mut rig = Rig::new();
    Rig::fault(
        "create",
        "a",
        &[
            Fault::Refuse(ErrorClass::Throttled),
            Fault::Refuse(ErrorClass::NotYet),
            Fault::Refuse(ErrorClass::Transient),
        ],
    );
    Rig::fault("delete", "a", &[Fault::Refuse(ErrorClass::InUse), Fault::LoseAnswer]);
    rig.apply(&[on("a", &[])]);
    rig.apply(&[]);
    assert!(rig.there().is_empty());
    let retries = rig.events.iter().filter(|stamped| matches!(stamped.event, Event::StepRetrying { .. })).count();
    assert_eq!(retries, 5);
}

#[test]
fn what_will_never_be_ready_is_tainted_and_replaced() {
    let mut rig = Rig::new();
    Rig::fault("create", "a", &[Fault::Doom]);
    let all = [on("a", &[])];
    let plan = rig.plan(&all);
    let outcome = rig.apply_plan(&plan).unwrap();
    assert_eq!(outcome.failures[0].error, "toy.thing: out of toys");
    let plan = rig.plan(&all);
    assert_eq!(plan.changes[0].action, Action::Replace);
    assert_eq!(plan.changes[0].reason.to_string(), "failed: out of toys");
    let outcome = rig.apply_plan(&plan).unwrap();
    assert_eq!(outcome.counts.replaced, 1);
    assert_eq!(rig.there(), ["toy.thing a"]);
}

#[test]
fn a_replacement_takes_its_dependents_along_in_order() {
    let mut rig = Rig::new();
    let fixed = || kind_on("toy.fixed", "b", &["a"]);
    rig.apply(&[on("a", &[]), fixed()]);
    world(|world| world.requests.clear());
    let red = Spec { color: Some("red".to_owned()), ..thing("a") };
    let outcome = rig.apply(&[declare("toy.thing/a", &red), fixed()]);
    assert_eq!((outcome.counts.replaced, outcome.counts.updated), (2, 0));
    let changes: Vec<String> =
        world(|world| world.requests.iter().filter(|r| !r.starts_with("read")).cloned().collect());
    assert_eq!(changes, ["delete b", "delete a", "create a", "create b"]);
    assert_eq!(rig.there(), ["toy.fixed b", "toy.thing a"]);
}

#[test]
fn a_create_first_replacement_never_leaves_its_dependents_without() {
    let mut rig = Rig::new();
    let below = |color: Option<&str>| declare("toy.swap/a", &Spec { color: color.map(str::to_owned), ..thing("a") });
    rig.apply(&[below(None), kind_on("toy.thing", "b", &["toy.swap/a"])]);
    world(|world| world.requests.clear());
    let outcome = rig.apply(&[below(Some("red")), kind_on("toy.thing", "b", &["toy.swap/a"])]);
    assert_eq!((outcome.counts.replaced, outcome.counts.updated), (1, 1));
    let changes: Vec<String> =
        world(|world| world.requests.iter().filter(|r| !r.starts_with("read")).cloned().collect());
    assert_eq!(changes, ["create a", "update b", "delete a"]);
    assert_eq!(rig.there(), ["toy.swap a", "toy.thing b"]);
    assert!(rig.ledger.state.records.values().all(|record| record.deposed.is_empty()));
}

#[test]
fn an_interrupted_run_stops_waiting_at_once_and_the_next_goes_on() {
    let mut rig = Rig::new();
    let all = [on("a", &[]), on("b", &["a"])];
    let plan = rig.plan(&all);
    let before = rig.clock.now();
    let interrupt = rig.clock.sleep(Duration::from_secs(3));
    let outcome = rig.apply_until(&plan, interrupt).unwrap();
    assert!(outcome.interrupted);
    assert_eq!(rig.clock.now().duration_since(before).as_secs(), 3, "the wait of ten seconds is dropped at once");
    assert_eq!(outcome.not_started.iter().map(ToString::to_string).collect::<Vec<_>>(), ["toy.thing/b"]);
    let plan = rig.plan(&all);
    assert_eq!(plan.changes[0].action, Action::Wait);
    rig.apply_plan(&plan).unwrap();
    assert_eq!(rig.there(), ["toy.thing a", "toy.thing b"]);
}

#[test]
fn what_moved_since_the_plan_is_not_touched() {
    let mut rig = Rig::new();
    let sized = |size| declare("toy.thing/a", &Spec { size: Some(size), ..thing("a") });
    rig.apply(&[sized(1), on("b", &[])]);
    let update = rig.plan(&[sized(2), on("b", &[])]);
    let delete = rig.plan(&[sized(1)]);
    world(|world| world.objects.values_mut().for_each(|object| object.spec.size = Some(9)));
    let outcome = rig.apply_plan(&update).unwrap();
    assert_eq!(outcome.failures[0].error, "toy.thing: it has moved since the plan was made: `size` was 1 and is 9");
    let outcome = rig.apply_plan(&delete).unwrap();
    assert_eq!(outcome.failures.len(), 1, "{outcome:#?}");
    assert_eq!(rig.there(), ["toy.thing a", "toy.thing b"]);
    rig.apply(&[sized(2)]);
    assert_eq!(rig.there(), ["toy.thing a"]);
}

#[test]
fn secrets_and_ephemeral_outputs_reach_no_state_plan_or_event() {
    let mut rig = Rig::new();
    let secret = |value: &str| Spec { secret: Some(value.to_owned()), ..thing("a") };
    rig.apply(&[declare("toy.thing/a", &secret("hunter2"))]);
    let plan = rig.plan(&[declare("toy.thing/a", &secret("hunter2"))]);
    assert!(plan.is_empty(), "{plan:#?}");
    let plan = rig.plan(&[declare("toy.thing/a", &secret("hunter3"))]);
    assert_eq!(plan.changes[0].fields.len(), 1);
    rig.apply_plan(&plan).unwrap();
    let fields = serde_json::to_string(&plan.changes[0].fields).unwrap();
    let events = serde_json::to_string(&rig.events).unwrap();
    for text in [&rig.ledger.written, &fields, &events] {
        assert!(!text.contains("hunter") && !text.contains("ephemeral-"), "{text}");
    }
}

#[test]
fn a_plan_from_before_another_run_made_it_makes_nothing_twice() {
    let mut rig = Rig::new();
    let stale = rig.plan(&[on("a", &[])]);
    rig.apply(&[on("a", &[])]);
    let outcome = rig.apply_plan(&stale).unwrap();
    assert_eq!(
        outcome.failures[0].error,
        "toy.thing: it has moved since the plan was made: another run has made it: toy-1"
    );
    assert_eq!(rig.there(), ["toy.thing a"]);
}

#[test]
fn what_seemed_gone_and_is_there_is_not_made_again() {
    let mut rig = Rig::new();
    rig.apply(&[on("a", &[])]);
    let hidden = world(|world| world.objects.remove("toy-1").unwrap());
    let (again, gone) = (rig.plan(&[on("a", &[])]), rig.plan(&[]));
    assert_eq!(again.changes[0].reason.to_string(), "vanished: it is in state and gone from the cloud");
    world(|world| world.objects.insert("toy-1".to_owned(), hidden));
    for plan in [again, gone] {
        let outcome = rig.apply_plan(&plan).unwrap();
        assert_eq!(outcome.failures[0].error, "toy.thing: it has moved since the plan was made: it is there after all");
    }
    assert!(rig.plan(&[on("a", &[])]).is_empty());
}

#[test]
fn an_update_that_is_always_refused_ends() {
    let mut rig = Rig::new();
    let sized = |size| declare("toy.thing/a", &Spec { size: Some(size), ..thing("a") });
    rig.apply(&[sized(1)]);
    Rig::fault("update", "a", &[Fault::Refuse(ErrorClass::NotYet); 1000]);
    let plan = rig.plan(&[sized(2)]);
    let outcome = rig.apply_plan(&plan).unwrap();
    assert_eq!(outcome.failures.len(), 1);
    assert!(outcome.seconds < 200.0, "{outcome:?}");
}

#[test]
fn a_resource_that_is_declared_elsewhere_is_moved_there_and_leaves_nothing() {
    let mut rig = Rig::new();
    rig.apply(&[on("a", &[]), kind_on("toy.fixed", "b", &["a"])]);
    let mut elsewhere = [on("a", &[]), kind_on("toy.fixed", "b", &["a"])];
    for declaration in &mut elsewhere {
        declaration.target = meshplan::model::Target::aws("farland");
    }
    let plan = rig.plan(&elsewhere);
    world(|world| world.places.clear());
    let reasons: Vec<String> =
        plan.changes.iter().map(|change| format!("{} {}", change.address, change.reason)).collect();
    assert_eq!(
        reasons,
        ["toy.fixed/b it lives in toyland and cannot move", "toy.thing/a it lives in toyland and cannot move"]
    );
    let outcome = rig.apply_plan(&plan).unwrap();
    assert_eq!(outcome.counts.replaced, 2, "{outcome:#?}");
    assert_eq!(rig.there(), ["toy.fixed b", "toy.thing a"]);
    assert!(world(|world| world.places.iter().all(|(verb, place)| (*verb == "delete") == (place == "toyland"))));
    assert!(rig.plan(&elsewhere).is_empty());
}
