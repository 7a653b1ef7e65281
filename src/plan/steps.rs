//! From changes to the execution graph: creates follow what they require, deletes go before what they required.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::model::event::StepKind;
use crate::model::graph::{Cycle, Dag, Reach};
use crate::model::{Address, Code, Diagnostic};
use crate::resource::RuleBook;
use crate::state::{Durations, State};

use super::forecast::{self, Forecast};
use super::model::{Action, Change, Estimate, Plan, Reason, Step, StepId};

/// The steps of one change: the one after which it is as declared, and the one after which what it was is gone.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    ready: Option<usize>,
    gone: Option<usize>,
    /// Whether what it was goes only after it is ready.
    deposes: bool,
    /// Whether it is an update that takes away what others may still use.
    takes_away: bool,
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
    let mut of: Vec<&Change> = Vec::new();
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
            of.push(change);
            steps.len() - 1
        };
        let (ready, gone) = (ready.map(&mut add), gone.map(&mut add));
        let pair = Pair { ready, gone, deposes, takes_away: change.takes_away };
        pairs.insert(&change.address, pair);
    }
    let mut dag = Dag::new(steps.len());
    let leavers = leavers(changes, &pairs);
    for change in changes {
        connect(change, &pairs, &leavers, &mut dag);
    }
    free_claims(changes, &pairs, state, rules, &mut dag);
    let order = dag.order().map_err(|Cycle(nodes)| {
        let names: Vec<String> = nodes.iter().map(|n| format!("{} {}", steps[*n].1.verb(), steps[*n].0)).collect();
        let message = format!("the steps of this plan wait for each other in a circle: {}", names.join(" -> "));
        Diagnostic::error(Code("step-cycle"), message).help("apply the change in two parts, with `--only`")
    })?;
    let durations: Vec<f64> = steps.iter().map(|(_, _, seconds)| *seconds).collect();
    let longest = dag.critical_path(&order, &durations);
    let forecasts: Vec<Forecast<'_>> = steps
        .iter()
        .zip(&of)
        .map(|((_, kind, seconds), change)| Forecast { change, kind: *kind, seconds: *seconds })
        .collect();
    let estimate = Estimate {
        seconds: forecast::seconds(&dag, &order, &forecasts, rules, longest.seconds),
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

/// For each resource that goes for good, the updates of those that stood on it and stay.
fn leavers<'a>(changes: &'a [Change], pairs: &BTreeMap<&'a Address, Pair>) -> BTreeMap<&'a Address, Vec<usize>> {
    let mut leavers: BTreeMap<&Address, Vec<usize>> = BTreeMap::new();
    for change in changes {
        let Some(Pair { ready: Some(ready), gone: None, .. }) = pairs.get(&change.address) else { continue };
        for requirement in &change.requirements {
            if pairs.get(requirement).is_some_and(|pair| pair.gone.is_some() && (pair.ready.is_none() || pair.deposes))
            {
                leavers.entry(requirement).or_default().push(*ready);
            }
        }
    }
    leavers
}

/// The edges between one change's steps, and between them and the steps of what it requires or required.
fn connect(change: &Change, pairs: &BTreeMap<&Address, Pair>, leavers: &BTreeMap<&Address, Vec<usize>>, dag: &mut Dag) {
    let Some(&own) = pairs.get(&change.address) else { return };
    if let (Some(ready), Some(gone)) = (own.ready, own.gone) {
        if own.deposes { dag.edge(ready, gone) } else { dag.edge(gone, ready) }
    }
    let requires = change.goal.iter().flat_map(|goal| &goal.depends_on);
    for pair in requires.filter_map(|requirement| pairs.get(requirement)) {
        if let (Some(before), Some(after)) = (pair.ready, own.ready) {
            // A block that is taken away is in use until what has a part of it has given that back.
            let gives_back_first = pair.takes_away && change.action == Action::Update;
            if gives_back_first { dag.edge(after, before) } else { dag.edge(before, after) }
        }
    }
    if let (Action::Update, Some(after)) = (change.action, own.ready) {
        for pair in change.update_after.iter().filter_map(|address| pairs.get(address)) {
            if let Some(before) = pair.ready {
                dag.edge(before, after);
            }
        }
    }
    // What it stood on until now goes only after it has gone, or has moved over to its successor.
    for (requirement, pair) in change.requirements.iter().filter_map(|it| Some((it, pairs.get(it)?))) {
        if let (Some(gone), Some(theirs), true) = (own.gone, pair.ready, pair.takes_away) {
            dag.edge(gone, theirs);
        }
        let Some(theirs) = pair.gone else { continue };
        if let Some(gone) = own.gone {
            dag.edge(gone, theirs);
            // Those that stay leave the common base before anything else on it goes: a subnet has a new route table
            // before its old one loses its routes.
            for &leaver in leavers.get(requirement).into_iter().flatten().filter(|leaver| own.ready != Some(**leaver)) {
                if own.ready.is_none() {
                    dag.edge(leaver, gone);
                }
            }
        }
        match (own.gone, own.ready) {
            // It stays: it has to let go first. Not of what is deleted first and made anew, which it waits for.
            (None, Some(ready)) if pair.ready.is_none() || pair.deposes => dag.edge(ready, theirs),
            (None | Some(_), Some(_) | None) => {}
        }
    }
}

/// What a deletion frees, once its step is done.
struct Freed {
    gone: usize,
    ranges: Vec<IpNet>,
}

/// What is made waits for what is deleted with a range that overlaps its own, in the same network.
fn free_claims(changes: &[Change], pairs: &BTreeMap<&Address, Pair>, state: &State, rules: &RuleBook, dag: &mut Dag) {
    // By kind and by what both stand on: the same range in another VPC is no clash.
    let mut freed: BTreeMap<(&str, &Address), Vec<Freed>> = BTreeMap::new();
    for change in changes {
        let (Some(rules), Some(record)) = (rules.kind(change.address.kind()), state.records.get(&change.address))
        else {
            continue;
        };
        let Some(gone) = pairs.get(&change.address).and_then(|pair| pair.gone) else { continue };
        let claims = rules.claims(&record.spec.value());
        if claims.is_empty() {
            continue;
        }
        for requirement in &change.requirements {
            freed.entry((change.address.kind(), requirement)).or_default().push(Freed { gone, ranges: claims.clone() });
        }
    }
    if freed.is_empty() {
        return;
    }
    for change in changes {
        let (Some(rules), Some(goal)) = (rules.kind(change.address.kind()), &change.goal) else { continue };
        let Some(Pair { ready: Some(ready), gone: own, .. }) = pairs.get(&change.address) else { continue };
        if !matches!(change.action, Action::Create | Action::Replace) {
            continue;
        }
        let claims = rules.claims(&goal.spec.value());
        for requirement in &goal.depends_on {
            for Freed { gone, ranges } in freed.get(&(change.address.kind(), requirement)).into_iter().flatten() {
                let clash = ranges.iter().any(|theirs| claims.iter().any(|ours| overlap(theirs, ours)));
                if clash && Some(*gone) != *own && !dag.reachable([*ready], Reach::Followers)[*gone] {
                    dag.edge(*gone, *ready);
                }
            }
        }
    }
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
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
