//! What the planner decides, end to end over the toy provider.

use meshplan::model::Address;
use meshplan::plan::{Inputs, Move, Scope, plan};

use crate::toy::{Object, Rig, Spec, declare, on, thing, world};

fn actions(plan: &meshplan::plan::Plan) -> Vec<String> {
    plan.changes
        .iter()
        .map(|change| format!("{} {} ({})", change.action.glyph(), change.address, change.reason))
        .collect()
}

#[test]
fn drift_vanishing_and_removal_are_told_apart() {
    let mut rig = Rig::new();
    let sized = |name: &str| declare(&format!("toy.thing/{name}"), &Spec { size: Some(1), ..thing(name) });
    rig.apply(&[sized("drifts"), sized("goes"), sized("vanishes")]);
    world(|world| {
        let id = |name: &str, world: &crate::toy::World| {
            world.objects.iter().find(|(_, object)| object.spec.name == name).map(|(id, _)| id.clone()).unwrap()
        };
        let (drifts, vanishes) = (id("drifts", world), id("vanishes", world));
        world.objects.get_mut(&drifts).unwrap().spec.size = Some(7);
        world.objects.remove(&vanishes);
    });
    let plan = rig.plan(&[sized("drifts"), sized("vanishes")]);
    assert_eq!(
        actions(&plan),
        [
            "~ toy.thing/drifts (drifted)",
            "- toy.thing/goes (not declared)",
            "+ toy.thing/vanishes (vanished: it is in state and gone from the cloud)"
        ]
    );
}

#[test]
fn an_update_that_changes_an_output_is_waited_for_and_one_that_does_not_is_not() {
    let mut rig = Rig::new();
    let below = |size| declare("toy.thing/a", &Spec { size: Some(size), ..thing("a") });
    let mut reader = thing("b");
    let address: Address = "toy.thing/a".parse().unwrap();
    reader.inputs.insert("size".to_owned(), meshplan::model::Reference::to(&address, "size_handle").into());
    let reader = declare("toy.thing/b", &reader);
    rig.apply(&[below(1), reader.clone(), on("c", &["a"])]);
    let plan = rig.plan(&[below(2), reader.clone(), on("c", &["a"])]);
    assert_eq!(actions(&plan), ["~ toy.thing/a (changed)", "~ toy.thing/b (changed)"]);
    assert_eq!(plan.steps.iter().map(|step| step.after.len()).collect::<Vec<_>>(), [0, 1]);
    rig.apply_plan(&plan).unwrap();
    assert!(rig.plan(&[below(2), reader, on("c", &["a"])]).is_empty());
}

#[test]
fn a_renamed_address_moves_and_nothing_else_happens() {
    let mut rig = Rig::new();
    rig.apply(&[declare("toy.thing/old", &thing("same")), on("b", &["old"])]);
    let moves = [Move { from: "toy.thing/old".parse().unwrap(), to: "toy.thing/new".parse().unwrap() }];
    let declarations = [on("b", &["new"]), declare("toy.thing/new", &thing("same"))];
    let observed = rig.observe(&[]);
    let planned = plan(Inputs {
        declarations: &declarations,
        state: &rig.ledger.state,
        observed: Some(&observed),
        rules: &rig.registry.rules(),
        moves: &moves,
        topology: None,
        scope: &Scope::default(),
    });
    let plan = planned.plan.unwrap();
    assert!(plan.is_empty(), "{:?}", actions(&plan));
    rig.apply_plan(&plan).unwrap();
    assert_eq!(
        rig.ledger.state.records.keys().map(ToString::to_string).collect::<Vec<_>>(),
        ["toy.thing/b", "toy.thing/new"]
    );
    assert!(rig.plan(&declarations).is_empty());
}

#[test]
fn only_keeps_what_is_chosen_and_what_it_needs() {
    let mut rig = Rig::new();
    let all = [on("a", &[]), on("b", &["a"]), on("c", &["b"]), on("d", &["a"]), on("e", &[])];
    let scope = Scope { only: vec!["toy.thing/c".parse().unwrap()], ..Scope::default() };
    let plan = rig.planned(&all, &scope).plan.unwrap();
    assert_eq!(
        plan.changes.iter().map(|c| c.address.to_string()).collect::<Vec<_>>(),
        ["toy.thing/a", "toy.thing/b", "toy.thing/c"]
    );
    assert_eq!(plan.notes, ["only toy.thing/c: 2 further changes are needed, 2 left out"]);
    let scope = Scope { only: vec!["toy.thing/cc".parse().unwrap()], ..Scope::default() };
    let planned = rig.planned(&all, &scope);
    assert!(planned.plan.is_none());
    assert_eq!(planned.diagnostics[0].help, ["did you mean `toy.thing/c`?"]);
}

#[test]
fn what_is_protected_goes_only_when_allowed() {
    let mut rig = Rig::new();
    let mut guarded = on("a", &[]);
    guarded.protected = true;
    rig.apply(&[guarded, on("b", &["a"]), on("c", &["b"])]);
    let planned = rig.planned(&[], &Scope::default());
    assert!(planned.plan.is_none());
    let finding = &planned.diagnostics[0];
    assert_eq!(finding.message, "this plan deletes toy.thing/a, which is protected (not declared)");
    assert_eq!(finding.notes, ["2 resources go with it: toy.thing/b, toy.thing/c"]);
    let allowed = Scope { allow_replace: ["toy.thing/a".parse().unwrap()].into(), ..Scope::default() };
    assert_eq!(rig.planned(&[], &allowed).plan.unwrap().summary.delete, 3);
    let destroy = Scope { destroy: true, ..Scope::default() };
    assert_eq!(rig.planned(&[], &destroy).plan.unwrap().summary.delete, 3);
}

#[test]
fn what_is_someone_elses_is_looked_up_and_forgotten_and_never_touched() {
    let mut rig = Rig::new();
    let now = jiff::Timestamp::UNIX_EPOCH;
    let guest = Object {
        kind: "toy.guest",
        spec: thing("guest"),
        token: String::new(),
        ready_at: now,
        gone_at: None,
        failed: None,
    };
    world(|world| world.objects.insert("guest".to_owned(), guest));
    let guest = declare("toy.guest/guest", &thing("guest"));
    let user = crate::toy::kind_on("toy.thing", "b", &["toy.guest/guest"]);
    let plan = rig.plan(&[guest.clone(), user.clone()]);
    assert_eq!(actions(&plan)[0], "< toy.guest/guest (it exists already and is only looked up)");
    rig.apply(&[guest.clone(), user.clone()]);
    assert!(rig.plan(&[guest, user]).is_empty());
    rig.apply(&[]);
    assert_eq!(rig.there(), ["toy.guest guest"]);
    assert!(rig.ledger.state.records.is_empty());
    let missing = rig.planned(&[declare("toy.guest/nobody", &thing("nobody"))], &Scope::default());
    assert_eq!(missing.diagnostics[0].message, "toy.guest/nobody is declared as existing and is not there");
}
