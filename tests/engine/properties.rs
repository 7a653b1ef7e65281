//! What holds for arbitrary topologies, changes between them, and faults on the way.

use std::collections::BTreeMap;

use meshplan::compile::Declaration;
use meshplan::model::diff::{ThreeWay, diff};
use meshplan::model::event::StepKind;
use meshplan::model::{Address, AttrPath, Segment, Value};
use meshplan::plan::{Inputs, Plan, Scope, plan, step_graph};
use meshplan::resource::ErrorClass;
use proptest::prelude::*;

use crate::rig::Rig;
use crate::toy::{Fault, Spec, declare, thing};

/// One toy of an arbitrary topology: whether it is there, its kind, what it stands on (of those before it), its size
/// and its color.
type Sketch = (bool, usize, Vec<bool>, Option<u32>, bool);

const N: usize = 8;

fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    let one = (
        proptest::bool::weighted(0.8),
        0_usize..5,
        proptest::collection::vec(proptest::bool::weighted(0.3), N),
        proptest::option::of(1_u32..3),
        proptest::bool::weighted(0.2),
    );
    proptest::collection::vec(one, N)
}

/// The declarations of a sketch. A toy keeps its kind from one topology to the next, as addresses do.
fn draw(sketches: &[Sketch], kinds: &[Sketch]) -> Vec<Declaration> {
    let kind = |n: usize| ["toy.thing", "toy.fixed", "toy.swap", "toy.note", "toy.slow"][kinds[n].1];
    let mut declarations = Vec::new();
    for (n, (there, _, below, size, red)) in sketches.iter().enumerate() {
        if !there {
            continue;
        }
        let mut spec = Spec { size: *size, color: red.then(|| "red".to_owned()), ..thing(&format!("t{n}")) };
        // What stands on a thing that is deleted before it is replaced must be able to follow: only `toy.fixed` may.
        let bases = (0..n).filter(|base| below[*base] && sketches[*base].0);
        for base in bases.filter(|base| kind(n) == "toy.fixed" || kind(*base) == "toy.swap") {
            let address = Address::new(kind(base), &[&format!("t{base}")]);
            spec.inputs.insert(format!("in{base}"), meshplan::model::Reference::to(&address, "handle").into());
        }
        declarations.push(declare(&format!("{}/t{n}", kind(n)), &spec));
    }
    declarations.sort_by(|a, b| a.address.cmp(&b.address));
    declarations
}

fn faults() -> impl Strategy<Value = Vec<(usize, usize, Fault)>> {
    let fault = prop_oneof![
        Just(Fault::LoseAnswer),
        Just(Fault::Refuse(ErrorClass::Throttled)),
        Just(Fault::Refuse(ErrorClass::Transient)),
        Just(Fault::Refuse(ErrorClass::Ambiguous)),
        Just(Fault::Refuse(ErrorClass::Denied)),
    ];
    proptest::collection::vec((0_usize..3, 0_usize..N, fault), 0..6)
}

fn declared_names(declarations: &[Declaration]) -> Vec<String> {
    let name = |d: &Declaration| format!("{} {}", d.address.kind(), d.address.parts().next().unwrap());
    let mut names: Vec<String> = declarations.iter().map(name).collect();
    names.sort();
    names
}

/// Every edge that the order of things demands is in the graph.
fn assert_ordered(plan: &Plan, rig: &Rig) {
    let dag = step_graph(plan);
    assert!(dag.order().is_ok(), "{plan:#?}");
    let position: BTreeMap<(&Address, bool), usize> = plan
        .steps
        .iter()
        .map(|step| ((&step.address, matches!(step.kind, StepKind::Delete | StepKind::Forget)), step.id.index()))
        .collect();
    let precedes = |before: usize, after: usize| {
        dag.reachable([after], meshplan::model::graph::Reach::Requirements)[before] && before != after
    };
    for change in &plan.changes {
        let (ready, gone) = (position.get(&(&change.address, false)), position.get(&(&change.address, true)));
        for requirement in change.goal.iter().flat_map(|goal| &goal.depends_on) {
            if let (Some(after), Some(before)) = (ready, position.get(&(requirement, false))) {
                assert!(precedes(*before, *after), "{} is made before {requirement}", change.address);
            }
        }
        let recorded = rig.ledger.state.records.get(&change.address).map(|record| record.depends_on.clone());
        for requirement in recorded.unwrap_or_default() {
            if let (Some(before), Some(after)) = (gone, position.get(&(&requirement, true))) {
                assert!(precedes(*before, *after), "{requirement} is deleted before {}", change.address);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// From any topology to any other, and then nothing is left to do.
    #[test]
    fn any_change_converges_in_one_apply(before in sketches(), after in sketches()) {
        let mut rig = Rig::new();
        rig.apply(&draw(&before, &before));
        let goal = draw(&after, &before);
        let plan = rig.plan(&goal);
        assert_ordered(&plan, &rig);
        let outcome = rig.apply_plan(&plan).unwrap();
        prop_assert!(outcome.is_complete(), "{outcome:#?}");
        prop_assert_eq!(rig.there(), declared_names(&goal));
        let again = rig.plan(&goal);
        prop_assert!(again.is_empty() && again.bookkeeping.is_empty(), "{again:#?}");
        prop_assert_eq!(again.summary.no_op, goal.len());
        rig.apply(&[]);
        prop_assert!(rig.there().is_empty());
        prop_assert!(rig.ledger.state.records.is_empty());
    }

    /// Whatever goes wrong on the way, running again ends where it should, with nothing made twice.
    #[test]
    fn faults_delay_and_never_derail(before in sketches(), after in sketches(), faults in faults()) {
        let mut rig = Rig::new();
        rig.apply(&draw(&before, &before));
        let goal = draw(&after, &before);
        for (verb, n, fault) in faults {
            Rig::fault(["create", "update", "delete"][verb], &format!("t{n}"), &[fault]);
        }
        for round in 0.. {
            let plan = rig.plan(&goal);
            if plan.is_empty() {
                break;
            }
            // Each of six refusals may end one round.
            prop_assert!(round <= 6, "not converged: {plan:#?}");
            rig.apply_plan(&plan).unwrap();
        }
        prop_assert_eq!(rig.there(), declared_names(&goal));
        prop_assert!(rig.ledger.state.intents.is_empty());
    }

    /// The same inputs give the same bytes, and a plan survives being saved.
    #[test]
    fn a_plan_is_deterministic_and_survives_its_file(before in sketches(), after in sketches()) {
        let mut rig = Rig::new();
        rig.apply(&draw(&before, &before));
        let goal = draw(&after, &before);
        let observed = rig.observe(&goal);
        let make = || {
            plan(Inputs {
                declarations: &goal,
                state: &rig.ledger.state,
                observed: Some(&observed),
                rules: &rig.registry.rules(),
                moves: &[],
                topology: None,
                scope: &Scope::default(),
            })
            .plan
            .unwrap()
        };
        let text = serde_json::to_string(&make()).unwrap();
        prop_assert_eq!(&text, &serde_json::to_string(&make()).unwrap());
        let back: Plan = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }

    /// Carrying out a difference gives what is desired, on the fields that are ours, and leaves the others.
    #[test]
    fn a_difference_leads_from_what_is_there_to_what_is_wanted(
        desired in documents(), prior in documents(), observed in documents(),
    ) {
        let changes = diff(ThreeWay { desired: &desired, prior: Some(&prior), observed: &observed }, &[], "salt");
        let mut patched = observed.clone();
        for change in &changes {
            set(&mut patched, &change.path, change.after.as_ref());
        }
        let left = diff(ThreeWay { desired: &desired, prior: Some(&prior), observed: &patched }, &[], "salt");
        prop_assert!(left.is_empty(), "{left:?}");
        for (key, value) in observed.as_object().unwrap() {
            if desired.get(key).is_none() && prior.get(key).is_none() {
                prop_assert_eq!(patched.get(key), Some(value), "a field that is not ours was touched");
            }
        }
    }
}

fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<bool>().prop_map(Value::Bool), "[ab]{1,2}".prop_map(Value::String)];
    let inner = leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::btree_map("[a-d]", inner, 0..4).prop_map(Value::Object),
        ]
    });
    proptest::collection::btree_map("[a-e]", inner, 0..5).prop_map(Value::Object)
}

fn set(document: &mut Value, path: &AttrPath, value: Option<&Value>) {
    let mut at = document;
    let (last, parents) = path.segments().split_last().unwrap();
    for segment in parents {
        let (Segment::Key(key), Value::Object(fields)) = (segment, at) else { panic!("a path into no object: {path}") };
        at = fields.entry(key.clone()).or_insert_with(|| Value::Object(BTreeMap::new()));
    }
    let (Segment::Key(key), Value::Object(fields)) = (last, at) else { panic!("a path into no object: {path}") };
    match value {
        Some(value) => fields.insert(key.clone(), value.clone()),
        None => fields.remove(key),
    };
}
