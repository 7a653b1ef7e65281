//! Protected resources: a plan that deletes or replaces one is refused unless it is allowed by name.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Address, Code, Diagnostic, Document, Target};
use crate::resource::{KindRules, ReplaceOrder};
use crate::state::{Durations, RecordStatus, State};

use super::model::{Action, Change, Reason};
use super::planner::Inputs;

/// Adds an error for each protected resource that would go.
pub(super) fn check(changes: &[Change], inputs: Inputs<'_>, state: &State, diagnostics: &mut Vec<Diagnostic>) {
    if inputs.scope.destroy {
        return;
    }
    let mut dependents: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
    for change in changes.iter().filter(|change| matches!(change.action, Action::Delete | Action::Replace)) {
        for requirement in &change.requirements {
            dependents.entry(requirement).or_default().push(&change.address);
        }
    }
    let going: BTreeSet<&Address> = changes
        .iter()
        .filter(|change| matches!(change.action, Action::Delete | Action::Replace))
        .map(|change| &change.address)
        .collect();
    for change in changes {
        // What is in a cluster that goes is asked about with the cluster.
        if matches!(&change.target, Target::Cluster { cluster } if going.contains(cluster)) {
            continue;
        }
        let goes = match change.action {
            Action::Delete => "deletes",
            Action::Replace => "replaces",
            Action::NoOp | Action::Create | Action::Update | Action::Forget | Action::Adopt | Action::Wait => continue,
        };
        let by_kind = inputs.rules.kind(change.address.kind()).is_some_and(KindRules::protected);
        let by_goal = change.goal.as_ref().is_some_and(|goal| goal.protected);
        let by_record = state.records.get(&change.address).is_some_and(|record| record.protected);
        if !(by_kind || by_goal || by_record) || inputs.scope.allow_replace.contains(&change.address) {
            continue;
        }
        if never_was(change, inputs, state) {
            continue;
        }
        let blast = blast_radius(change, &dependents);
        let mut finding = Diagnostic::error(
            Code("protected"),
            format!("this plan {goes} {}, which is protected ({})", change.address, change.reason),
        )
        .note(match blast.len() {
            0 => "nothing else goes with it".to_owned(),
            1 => format!("1 resource goes with it: {}", blast[0]),
            n => {
                format!("{n} resources go with it: {}{}", blast[..n.min(5)].join(", "), if n > 5 { ", …" } else { "" })
            }
        })
        .help(format!("allow it with `--allow-replace {}`", change.address));
        if let Some(declaration) = inputs
            .declarations
            .binary_search_by(|d| d.address.cmp(&change.address))
            .ok()
            .map(|n| &inputs.declarations[n])
        {
            finding = finding.at(declaration.origin.clone());
        }
        diagnostics.push(finding);
    }
}

/// Whether what is replaced failed before it was ever ready: nothing depends on it yet.
///
/// A record has outputs from the moment it is ready for the first time, and how long that took from the moment a create
/// was seen through. A kind that is replaced before it is deleted can get a record back without either.
fn never_was(change: &Change, inputs: Inputs<'_>, state: &State) -> bool {
    let failed = matches!(change.reason, Reason::Failed(_) | Reason::Tainted(_));
    let (Some(rules), Some(record)) = (inputs.rules.kind(change.address.kind()), state.records.get(&change.address))
    else {
        return false;
    };
    change.action == Action::Replace
        && failed
        && rules.replace_order() == ReplaceOrder::DeleteFirst
        && !rules.outputs().is_empty()
        && matches!(record.status, RecordStatus::Creating | RecordStatus::Tainted(_))
        && record.outputs == Document::empty()
        && record.durations == Durations::default()
}

/// Everything that goes because it stands on `change`: its dependents, at any distance, that go too.
fn blast_radius(change: &Change, dependents: &BTreeMap<&Address, Vec<&Address>>) -> Vec<String> {
    let mut reached: BTreeSet<&Address> = BTreeSet::new();
    let mut pending = vec![&change.address];
    while let Some(address) = pending.pop() {
        for &dependent in dependents.get(address).into_iter().flatten() {
            if *dependent != change.address && reached.insert(dependent) {
                pending.push(dependent);
            }
        }
    }
    reached.into_iter().map(ToString::to_string).collect()
}
