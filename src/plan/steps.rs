//! From changes to the execution graph: creates follow what they require, deletes go before what they required.

use std::collections::BTreeMap;

use crate::model::event::StepKind;
use crate::model::graph::{Cycle, Dag};
use crate::model::{Address, Code, Diagnostic};
use crate::resource::RuleBook;
use crate::state::{Durations, State};

use super::model::{Action, Change, Estimate, Plan, Reason, Step, StepId};

/// The steps of one change: the one after which it is as declared, and the one after which what it was is gone.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    ready: Option<usize>,
    gone: Option<usize>,
    /// Whether what it was goes only after it is ready.
    deposes: bool,
}

/// The graph of a plan's steps.
#[must_use]
pub fn step_graph(plan: &Plan) -> Dag {
    let mut dag = Dag::new(plan.steps.len());
    for step in &plan.steps {
        for before in &step.after {
            dag.edge(before.index(), step.id.index());
        }
    }
    dag
}

/// The steps of all changes, and the estimate of how long they take.
pub(super) fn build(changes: &[Change], state: &State, rules: &RuleBook) -> Result<(Vec<Step>, Estimate), Diagnostic> {
    let mut steps: Vec<(Address, StepKind, f64)> = Vec::new();
    let mut pairs: BTreeMap<&Address, Pair> = BTreeMap::new();
    for change in changes {
        let deposes = change.goal.as_ref().is_some_and(|goal| goal.deposes);
        let (ready, gone) = match change.action {
            Action::NoOp => (None, None),
            Action::Create => (Some(StepKind::Create), deposes.then_some(StepKind::Delete)),
            Action::Update => (Some(StepKind::Update), deposes.then_some(StepKind::Delete)),
            Action::Wait => (Some(StepKind::Wait), deposes.then_some(StepKind::Delete)),
            Action::Adopt => (Some(StepKind::Adopt), deposes.then_some(StepKind::Delete)),
            Action::Replace if change.reason == Reason::Deposed => (None, Some(StepKind::Delete)),
            Action::Replace => (Some(StepKind::Create), Some(StepKind::Delete)),
            Action::Delete => (None, Some(StepKind::Delete)),
            Action::Forget => (None, Some(StepKind::Forget)),
        };
        let mut add = |kind: StepKind| {
            steps.push((change.address.clone(), kind, seconds(change, kind, state, rules)));
            steps.len() - 1
        };
        let pair = Pair { ready: ready.map(&mut add), gone: gone.map(&mut add), deposes };
        pairs.insert(&change.address, pair);
    }
    let mut dag = Dag::new(steps.len());
    for change in changes {
        connect(change, &pairs, &mut dag);
    }
    let order = dag.order().map_err(|Cycle(nodes)| {
        let names: Vec<String> = nodes.iter().map(|n| format!("{} {}", steps[*n].1.verb(), steps[*n].0)).collect();
        let message = format!("the steps of this plan wait for each other in a circle: {}", names.join(" -> "));
        Diagnostic::error(Code("step-cycle"), message).help("apply the change in two parts, with `--only`")
    })?;
    let durations: Vec<f64> = steps.iter().map(|(_, _, seconds)| *seconds).collect();
    let longest = dag.critical_path(&order, &durations);
    let estimate = Estimate {
        seconds: longest.seconds,
        critical_path: longest.nodes.iter().map(|n| steps[*n].0.clone()).collect(),
    };
    // Numbered in an order in which they could run one by one: a plan is read from top to bottom.
    let mut number = vec![0_u32; steps.len()];
    for (position, index) in order.iter().enumerate() {
        number[*index] = u32::try_from(position).unwrap_or(u32::MAX);
    }
    let steps = order
        .iter()
        .map(|&index| {
            let (address, kind, seconds) = steps[index].clone();
            let mut after: Vec<StepId> = dag.before(index).map(|before| StepId(number[before])).collect();
            after.sort_unstable();
            after.dedup();
            Step { id: StepId(number[index]), address, kind, after, seconds }
        })
        .collect();
    Ok((steps, estimate))
}

/// The edges between one change's steps, and between them and the steps of what it requires or required.
fn connect(change: &Change, pairs: &BTreeMap<&Address, Pair>, dag: &mut Dag) {
    let Some(&own) = pairs.get(&change.address) else { return };
    if let (Some(ready), Some(gone)) = (own.ready, own.gone) {
        if own.deposes { dag.edge(ready, gone) } else { dag.edge(gone, ready) }
    }
    let requires = change.goal.iter().flat_map(|goal| &goal.depends_on);
    for pair in requires.filter_map(|requirement| pairs.get(requirement)) {
        if let (Some(before), Some(after)) = (pair.ready, own.ready) {
            dag.edge(before, after);
        }
    }
    // What it stood on until now goes only after it has gone, or has moved over to its successor.
    for pair in change.requirements.iter().filter_map(|requirement| pairs.get(requirement)) {
        let Some(theirs) = pair.gone else { continue };
        match (own.gone, own.ready) {
            (Some(gone), _) => dag.edge(gone, theirs),
            // It stays: it has to let go first. Not of what is deleted first and made anew, which it waits for.
            (None, Some(ready)) if pair.ready.is_none() || pair.deposes => dag.edge(ready, theirs),
            (None, Some(_) | None) => {}
        }
    }
}

/// How long a step should take: what it took last time here, else what is typical of its kind.
fn seconds(change: &Change, kind: StepKind, state: &State, rules: &RuleBook) -> f64 {
    let seen = state.records.get(&change.address).map_or_else(Durations::default, |record| record.durations);
    let expected = rules.kind(change.address.kind()).map(crate::resource::KindRules::expected);
    let typical = |pick: fn(&crate::resource::Expected) -> f64| expected.as_ref().map_or(0.0, pick);
    match kind {
        StepKind::Create | StepKind::Wait => seen.create.unwrap_or_else(|| typical(|e| e.create)),
        StepKind::Update => seen.update.unwrap_or_else(|| typical(|e| e.update)),
        StepKind::Delete => seen.delete.unwrap_or_else(|| typical(|e| e.delete)),
        StepKind::Adopt => typical(|e| e.update),
        StepKind::Forget => 0.0,
    }
}
