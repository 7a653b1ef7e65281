//! The crash harness over the toy provider: power is cut at every touch of the outside world, and a new process
//! converges with nothing lost and nothing made twice.

use meshplan::compile::Declaration;
use meshplan::model::fuse::Fuse;

use crate::rig::{FusedLedger, Rig};
use crate::toy::{Spec, declare, kind_on, on, thing, world};

/// A run from one topology to the next, cut at `touch`, and then on to a third, which may be the second; answers how
/// many rounds that took, or `None` when the first run ended before that touch.
fn cut(before: &[Declaration], during: &[Declaration], after: &[Declaration], touch: u64) -> Option<u32> {
    let mut rig = Rig::new();
    if !before.is_empty() {
        rig.apply(before);
    }
    let fuse = Fuse::after(touch);
    rig.restart(fuse.clone());
    let crashed = run_cut(&mut rig, during, &fuse);
    if !crashed {
        return None;
    }
    for round in 1..=3 {
        rig.restart(Fuse::never());
        let plan = rig.plan(after);
        let outcome = rig.apply_plan(&plan).unwrap();
        assert!(outcome.is_complete(), "touch {touch}: {outcome:#?}");
        if rig.plan(after).is_empty() {
            assert_converged(&rig, after, touch);
            return Some(round);
        }
    }
    panic!("touch {touch}: not converged after 3 rounds");
}

/// Plans and applies under a fuse, and drops everything the moment it blows.
fn run_cut(rig: &mut Rig, declarations: &[Declaration], fuse: &Fuse) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Planning changes nothing: the touches that matter are those of the apply.
    rig.restart(Fuse::never());
    let plan = rig.plan(declarations);
    rig.restart(fuse.clone());
    let clock = rig.clock.clone();
    let ledger: &mut FusedLedger = &mut rig.ledger;
    let run = meshplan::apply::apply(meshplan::apply::Run {
        plan: &plan,
        registry: &rig.registry,
        cloud: &rig.cloud,
        clock: std::sync::Arc::new(clock.clone()),
        ledger,
        sink: &mut rig.events,
        interrupt: Box::pin(std::future::pending()),
        budgets: meshplan::apply::Budgets::default(),
    });
    let until_dark = std::future::poll_fn(|cx| {
        // A blown fuse wakes nobody: look after every poll of the run, and again on the next tick.
        cx.waker().wake_by_ref();
        if fuse.is_blown() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    });
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = until_dark => true,
            outcome = clock.drive(run) => outcome.is_err() || fuse.is_blown(),
        }
    })
}

fn assert_converged(rig: &Rig, declared: &[Declaration], touch: u64) {
    let mut wanted: Vec<String> = declared
        .iter()
        .map(|d| format!("{} {}", d.address.kind(), d.address.parts().next().unwrap_or_default()))
        .collect();
    wanted.sort();
    assert_eq!(
        rig.there(),
        wanted,
        "touch {touch}: orphans or duplicates: {:#?}",
        world(|world| world.requests.clone())
    );
    assert!(rig.ledger.state.intents.is_empty(), "touch {touch}: {:?}", rig.ledger.state.intents);
}

fn every_touch(before: &[Declaration], after: &[Declaration]) -> u64 {
    every_touch_then(before, after, after)
}

fn every_touch_then(before: &[Declaration], during: &[Declaration], after: &[Declaration]) -> u64 {
    let mut worst = 0;
    for touch in 0.. {
        let Some(rounds) = cut(before, during, after, touch) else {
            println!("{touch} crash points, at most {worst} rounds");
            return touch;
        };
        worst = worst.max(rounds);
    }
    unreachable!("a run has an end")
}

#[test]
fn a_create_converges_from_every_crash() {
    let sized = declare("toy.thing/a", &Spec { size: Some(2), ..thing("a") });
    assert!(every_touch(&[], &[sized, on("b", &["a"]), on("c", &["a"])]) > 20);
}

#[test]
fn an_update_and_a_replacement_converge_from_every_crash() {
    let fixed = || kind_on("toy.fixed", "b", &["a"]);
    let before = [on("a", &[]), fixed(), on("gone", &["toy.fixed/b"])];
    let red = declare("toy.thing/a", &Spec { color: Some("red".to_owned()), size: Some(1), ..thing("a") });
    assert!(every_touch(&before, &[red, fixed()]) > 20);
}

#[test]
fn a_create_first_replacement_converges_from_every_crash() {
    let swap = |color: &str| declare("toy.swap/a", &Spec { color: Some(color.to_owned()), ..thing("a") });
    let user = kind_on("toy.thing", "b", &["toy.swap/a"]);
    assert!(every_touch(&[swap("blue"), user.clone()], &[swap("red"), user]) > 20);
}

#[test]
fn updates_that_take_time_converge_from_every_crash() {
    let slow = |size| declare("toy.slow/a", &Spec { size: Some(size), ..thing("a") });
    let user = kind_on("toy.thing", "b", &["toy.slow/a"]);
    assert!(every_touch(&[], &[slow(1), user.clone()]) > 20);
    assert!(every_touch(&[slow(1), user.clone()], &[slow(2), user]) > 20);
    assert!(every_touch(&[slow(1)], &[]) > 20);
}

#[test]
fn what_is_only_recorded_converges_from_every_crash() {
    let note = |size, color: &str| {
        declare("toy.note/a", &Spec { size: Some(size), color: Some(color.to_owned()), ..thing("a") })
    };
    let user = kind_on("toy.fixed", "b", &["toy.note/a"]);
    assert!(every_touch(&[], &[note(1, "red"), user.clone()]) > 10);
    assert!(every_touch(&[note(1, "red"), user.clone()], &[note(2, "red"), user.clone()]) > 4);
    assert!(every_touch(&[note(1, "red"), user.clone()], &[note(1, "blue"), user.clone()]) > 10);
    assert!(every_touch(&[note(1, "red"), user.clone()], &[]) > 10);
    assert!(every_touch_then(&[], &[note(1, "red"), user.clone()], &[]) > 10);
    assert!(every_touch_then(&[], &[note(1, "red")], &[note(2, "blue")]) > 4);
}

#[test]
fn what_is_only_recorded_is_asked_for_again_with_its_token() {
    let note = [kind_on("toy.note", "a", &[])];
    for touch in 0.. {
        let converged = cut(&[], &note, &note, touch).is_some();
        let tokens = world(|world| world.tokens.clone());
        assert!(tokens.iter().all(|token| *token == tokens[0]), "touch {touch}: {tokens:?}");
        if !converged {
            break;
        }
    }
}

#[test]
fn a_destroy_converges_from_every_crash() {
    assert!(every_touch(&[on("a", &[]), on("b", &["a"]), on("c", &["b"])], &[]) > 20);
}

#[test]
fn what_a_crash_left_unfinished_is_destroyed_with_the_rest() {
    let sized = declare("toy.thing/a", &Spec { size: Some(2), ..thing("a") });
    assert!(every_touch_then(&[], &[sized, on("b", &["a"])], &[]) > 20);
    let swap = |color: &str| declare("toy.swap/a", &Spec { color: Some(color.to_owned()), ..thing("a") });
    let user = kind_on("toy.thing", "b", &["toy.swap/a"]);
    assert!(every_touch_then(&[swap("blue"), user.clone()], &[swap("red"), user], &[]) > 20);
}

#[test]
fn a_change_of_mind_after_a_crash_is_followed() {
    let sized = |size, color: &str| {
        declare("toy.thing/a", &Spec { size: Some(size), color: Some(color.to_owned()), ..thing("a") })
    };
    let fixed = || kind_on("toy.fixed", "b", &["a"]);
    assert!(every_touch_then(&[], &[sized(1, "red"), fixed()], &[sized(2, "blue"), fixed()]) > 20);
    let swap = |color: &str| declare("toy.swap/a", &Spec { color: Some(color.to_owned()), ..thing("a") });
    assert!(every_touch_then(&[swap("blue")], &[swap("red")], &[swap("green")]) > 5);
}
