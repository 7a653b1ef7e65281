//! `--only ADDRESS`: the chosen changes and those they cannot do without.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::diagnostic::did_you_mean;
use crate::model::{Address, Code, Diagnostic};
use crate::state::State;

use super::model::{Action, Change};
use super::planner::Inputs;

/// Keeps the changes of the chosen addresses and their closure: what a create or update needs first, and what
/// must go before a delete or replacement.
pub(super) fn keep(
    changes: &mut Vec<Change>,
    inputs: Inputs<'_>,
    state: &State,
    notes: &mut Vec<String>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let chosen = &inputs.scope.only;
    let known: BTreeSet<&str> = inputs
        .declarations
        .iter()
        .map(|d| d.address.as_str())
        .chain(state.records.keys().map(Address::as_str))
        .collect();
    for address in chosen.iter().filter(|address| !known.contains(address.as_str())) {
        let mut finding = Diagnostic::error(
            Code("unknown-address"),
            format!("`--only {address}`: no such resource is declared or in state"),
        );
        if let Some(near) = did_you_mean(address.as_str(), known.iter().copied()) {
            finding = finding.help(format!("did you mean `{near}`?"));
        }
        diagnostics.push(finding);
    }
    let closure = closure(changes, inputs, chosen);
    let added = closure.iter().filter(|address| !chosen.contains(address)).count();
    let before = changes.len();
    changes.retain(|change| closure.contains(&change.address));
    notes.push(format!(
        "only {}: {added} further {} needed, {} left out",
        chosen.iter().map(Address::as_str).collect::<Vec<_>>().join(", "),
        if added == 1 { "change is" } else { "changes are" },
        before - changes.len()
    ));
}

fn closure(changes: &[Change], inputs: Inputs<'_>, chosen: &[Address]) -> BTreeSet<Address> {
    let by_address: BTreeMap<&Address, &Change> = changes.iter().map(|change| (&change.address, change)).collect();
    let mut dependents: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
    for change in changes {
        for requirement in &change.requirements {
            dependents.entry(requirement).or_default().push(&change.address);
        }
    }
    let mut closure = BTreeSet::new();
    // What has no change of its own still leads to what it requires.
    let mut visited = BTreeSet::new();
    let mut pending: Vec<Address> = chosen.to_vec();
    while let Some(address) = pending.pop() {
        if !visited.insert(address.clone()) {
            continue;
        }
        let declaration = inputs.declarations.binary_search_by(|d| d.address.cmp(&address)).ok();
        if let Some(index) = declaration {
            pending.extend(inputs.declarations[index].requirements());
        }
        let Some(change) = by_address.get(&address) else { continue };
        closure.insert(address.clone());
        if matches!(change.action, Action::Delete | Action::Replace) {
            pending.extend(dependents.get(&address).into_iter().flatten().map(|dependent| (*dependent).clone()));
        }
    }
    closure
}
