//! What the planner decides, end to end over the toy provider.

use meshplan::model::{Address, Target};
use meshplan::plan::{Inputs, Move, Scope, plan};
use meshplan::resource::ErrorClass;

use crate::rig::Rig;
use crate::toy::{Fault, Object, Spec, declare, kind_on, on, thing, world};

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
        change: None,
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

/// A `toy.named` of this mesh.
fn named(name: &str, size: u32, color: Option<&str>) -> Spec {
    let tags = [("meshplan:mesh", "toys".to_owned()), ("meshplan:address", format!("toy.named/{name}"))];
    let tags = tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Spec { size: Some(size), color: color.map(str::to_owned), tags, ..thing(name) }
}

fn put(id: &str, spec: Spec) {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let object = Object {
        kind: "toy.named",
        spec,
        token: String::new(),
        ready_at: now,
        gone_at: None,
        failed: None,
        change: None,
    };
    world(|world| world.objects.insert(id.to_owned(), object));
}

fn findings(rig: &mut Rig, declared: &[meshplan::compile::Declaration]) -> Vec<(String, Vec<String>)> {
    let planned = rig.planned(declared, &Scope::default());
    assert!(planned.plan.is_none());
    planned.diagnostics.iter().map(|it| (format!("{}: {}", it.code, it.message), it.help.clone())).collect()
}

#[test]
fn what_state_has_lost_is_taken_in_again_and_brought_to_its_spec() {
    let mut rig = Rig::new();
    put("a", named("a", 1, None));
    let declared = [declare("toy.named/a", &named("a", 2, None)), kind_on("toy.thing", "b", &["toy.named/a"])];
    let plan = rig.plan(&declared);
    assert_eq!(actions(&plan)[0], "< toy.named/a (its tags say that it is ours, and state does not know it)");
    let outcome = rig.apply_plan(&plan).unwrap();
    assert!(outcome.is_complete(), "{outcome:#?}");
    assert_eq!(world(|world| world.requests.iter().filter(|r| *r == "create a").count()), 0);
    assert_eq!(world(|world| world.objects["a"].spec.size), Some(2));
    let again = rig.plan(&declared);
    assert!(again.is_empty() && again.bookkeeping.is_empty(), "{again:#?}");

    // It changes hands between the plan and the apply.
    let mut rig = Rig::new();
    put("a", named("a", 1, None));
    let plan = rig.plan(&declared[..1]);
    put("a", thing("a"));
    let outcome = rig.apply_plan(&plan).unwrap();
    let moved = "toy.named: it has moved since the plan was made: its tags no longer say that it is ours";
    assert_eq!(outcome.failures[0].error, moved);
    assert!(rig.ledger.state.records.is_empty());
}

#[test]
fn a_name_that_is_taken_is_a_finding_and_nothing_is_touched() {
    let mut rig = Rig::new();
    let declared = [declare("toy.named/a", &named("a", 1, Some("red")))];
    let adopt = "`meshplan state adopt toy.named/a a` takes it in";
    put("a", thing("a"));
    let found = findings(&mut rig, &declared);
    assert_eq!(found[0].0, "name-taken: toy.named/a: a is there already, and is not of this mesh");
    assert_eq!(found[0].1, ["choose another name", &format!("or, if nothing else manages it, {adopt}")]);

    let mut theirs = named("a", 1, Some("red"));
    theirs.tags.insert("meshplan:mesh".to_owned(), "other".to_owned());
    put("a", theirs);
    let found = findings(&mut rig, &declared);
    assert_eq!(found[0].0, "name-taken: toy.named/a: a is there already, of the mesh `other` as toy.named/a");

    put("a", named("a", 1, None));
    let found = findings(&mut rig, &declared);
    let ours =
        "name-taken: toy.named/a: a is there and ours, state does not know it, and `color` cannot change in place";
    assert_eq!(found, [(ours.to_owned(), vec![format!("{adopt}; the next plan replaces it")])]);

    world(|world| world.objects.get_mut("a").unwrap().failed = Some("out of toys".to_owned()));
    let found = findings(&mut rig, &declared);
    assert_eq!(
        found[0].0,
        "name-taken: toy.named/a: a is there and ours, state does not know it, and has failed: out of toys"
    );
    assert!(world(|world| world.requests.iter().all(|request| request.starts_with("read"))));
}

#[test]
fn what_has_the_name_of_ours_and_not_its_tags_is_left_alone() {
    let mut rig = Rig::new();
    let declared = [declare("toy.named/a", &named("a", 1, None))];
    let plan = rig.plan(&declared);
    assert!(rig.apply_plan(&plan).unwrap().is_complete());
    // Somebody deletes it, and makes one of their own with that name.
    put("a", thing("a"));
    let strange =
        "changed-hands: toy.named/a: a is there and no longer carries the tags of this mesh: it may be another one";
    for wanted in [&declared[..], &[]] {
        let found = findings(&mut rig, wanted);
        assert_eq!(found[0].0, strange);
        assert_eq!(found[0].1[0], "if it is another one, `meshplan state forget toy.named/a` leaves it alone");
    }
}

#[test]
fn what_was_in_a_cluster_is_gone_with_it_and_unknown_while_it_cannot_be_reached() {
    let mut rig = Rig::new();
    let mut inside = kind_on("toy.thing", "inside", &["toy.thing/cluster"]);
    inside.target = Target::Cluster { cluster: "toy.thing/cluster".parse().unwrap() };
    let declared = [kind_on("toy.thing", "cluster", &[]), inside];
    let plan = rig.plan(&declared);
    assert!(rig.apply_plan(&plan).unwrap().is_complete());
    assert!(rig.plan(&declared).is_empty());

    // It cannot be read: nothing is decided of what is in it.
    Rig::fault("read", "toy.thing", &[Fault::Refuse(ErrorClass::Denied)]);
    let found: Vec<String> = findings(&mut rig, &declared).into_iter().map(|(what, _)| what).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.iter().any(|what| what
            .contains("toy.thing/inside could not be read: toy.thing/cluster, which it is in, could not be read")),
        "{found:?}"
    );

    // Somebody deleted it: what was in it is made again, and no request asks for it.
    world(|world| world.objects.retain(|_, object| object.spec.name != "cluster"));
    let plan = rig.plan(&declared);
    let gone = "(vanished: it is in state and gone from the cloud)";
    assert_eq!(actions(&plan), [format!("+ toy.thing/cluster {gone}"), format!("+ toy.thing/inside {gone}")]);
}

#[test]
fn what_is_in_a_cluster_is_replaced_with_it_and_asked_about_with_it() {
    let mut rig = Rig::new();
    let cluster = |color: &str| {
        let mut cluster = declare("toy.thing/cluster", &Spec { color: Some(color.to_owned()), ..thing("cluster") });
        cluster.protected = true;
        cluster
    };
    let mut inside = kind_on("toy.thing", "inside", &["toy.thing/cluster"]);
    inside.target = Target::Cluster { cluster: "toy.thing/cluster".parse().unwrap() };
    inside.protected = true;
    // Nothing of it refers to the cluster but where it is.
    let mut note = kind_on("toy.note", "note", &["toy.thing/inside"]);
    note.target = inside.target.clone();
    rig.apply(&[cluster("red"), inside.clone(), note.clone()]);
    let declared = [cluster("blue"), inside, note];
    let refused = rig.planned(&declared, &Scope::default()).diagnostics;
    assert_eq!(refused.len(), 1, "{refused:?}");
    let allow_replace = ["toy.thing/cluster".parse().unwrap()].into();
    let planned = rig.planned(&declared, &Scope { allow_replace, ..Scope::default() });
    let plan = planned.plan.unwrap_or_else(|| panic!("{:?}", planned.diagnostics));
    assert_eq!(plan.summary.replace, 3, "{:?}", actions(&plan));
    assert!(rig.apply_plan(&plan).unwrap().is_complete());
    assert!(rig.plan(&declared).is_empty());
}

#[test]
fn a_name_that_state_knows_under_another_address_is_a_move() {
    let mut rig = Rig::new();
    rig.apply(&[declare("toy.named/old", &thing("a"))]);
    let found = findings(&mut rig, &[declare("toy.named/new", &thing("a"))]);
    assert_eq!(found[0].0, "name-taken: toy.named/new: a is there already: it is toy.named/old in state");
    assert_eq!(found[0].1[0], "rename it with `[[moved]]`, from = \"toy.named/old\", to = \"toy.named/new\"");
}

#[test]
fn a_change_that_takes_several_steps_is_refused_with_the_way() {
    let mut rig = Rig::new();
    let slow = |size, color: Option<&str>| {
        [declare("toy.slow/a", &Spec { size: Some(size), color: color.map(str::to_owned), ..thing("a") })]
    };
    rig.apply(&slow(1, None));
    let found = findings(&mut rig, &slow(3, None));
    assert_eq!(found[0].0, "refused-change: toy.slow/a: `size`: 1 -> 3: apply with 2 first");
    assert!(!rig.plan(&slow(2, None)).is_empty());
    // What is made anew takes no step from what was.
    assert_eq!(rig.plan(&slow(3, Some("red"))).summary.replace, 1);
    world(|world| world.objects.clear());
    assert_eq!(rig.plan(&slow(3, None)).summary.create, 1);
}

#[test]
fn what_is_protected_and_was_never_ready_is_replaced_without_asking() {
    let mut rig = Rig::new();
    let mut guarded = on("a", &[]);
    guarded.protected = true;
    crate::rig::Rig::fault("create", "a", &[crate::toy::Fault::Doom]);
    let plan = rig.plan(std::slice::from_ref(&guarded));
    assert_eq!(rig.apply_plan(&plan).unwrap().failures.len(), 1);
    let plan = rig.plan(std::slice::from_ref(&guarded));
    assert_eq!(actions(&plan), ["-/+ toy.thing/a (failed: out of toys)"]);
    rig.apply_plan(&plan).unwrap();
    // It was ready once: others may stand on it, though it has failed now.
    world(|world| world.objects.values_mut().for_each(|object| object.failed = Some("rust".to_owned())));
    let planned = rig.planned(std::slice::from_ref(&guarded), &Scope::default());
    assert_eq!(planned.diagnostics[0].message, "this plan replaces toy.thing/a, which is protected (failed: rust)");
}
