//! The planner: declarations, state and observations in, a plan or findings out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::compile::Declaration;
use crate::model::diff::FieldRule;
use crate::model::event::Operation;
use crate::model::graph::Dag;
use crate::model::{Address, AttrPath, Code, Diagnostic, Digest};
use crate::resource::{RuleBook, Validity};
use crate::state::{self, Entry, Record, RecordStatus, State};

use super::decide::Prior;
use super::model::{Change, FORMAT_VERSION, Move, Observation, Observed, Plan, Summary, fingerprint};
use super::outlook::Outlooks;
use super::{expiry, only, protect, steps};

/// What a plan is made of.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// What is declared, sorted by address; empty for a destroy.
    pub declarations: &'a [Declaration],
    /// What is owned.
    pub state: &'a State,
    /// What the cloud said; `None` for an offline plan.
    pub observed: Option<&'a Observed>,
    /// The kinds' rules.
    pub rules: &'a RuleBook,
    /// Renamed addresses, in the order in which they are applied.
    pub moves: &'a [Move],
    /// The digest of the topology's text; `None` for a destroy.
    pub topology: Option<Digest>,
    /// What the plan may do.
    pub scope: &'a Scope,
}

/// What a plan may do.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Whether everything is to go: nothing is protected then.
    pub destroy: bool,
    /// Protected addresses that may be deleted or replaced.
    pub allow_replace: BTreeSet<Address>,
    /// If not empty, only these and what they need.
    pub only: Vec<Address>,
    /// Addresses to be replaced though nothing forces it.
    pub replace: BTreeSet<Address>,
    /// The instant that the plan is made for: what is to be renewed by then is replaced. `None` renews nothing.
    pub as_of: Option<Timestamp>,
}

/// The planner's answer: a plan unless a finding is an error.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The plan; absent when there is an error among the findings.
    pub plan: Option<Plan>,
    /// What the user should know, errors first.
    pub diagnostics: Vec<Diagnostic>,
}

/// Makes a plan.
///
/// Pure and total: the same inputs give the same bytes, whatever they are.
#[must_use]
pub fn plan(inputs: Inputs<'_>) -> Planned {
    let mut bookkeeping = Vec::new();
    let mut diagnostics = Vec::new();
    let state = moved(inputs.state, inputs.moves, &mut bookkeeping, &mut diagnostics);
    let observed = inputs.observed.map(|observed| moved_observed(observed, &bookkeeping));
    let inputs = Inputs { observed: observed.as_deref(), ..inputs };
    let order = match declaration_order(inputs.declarations) {
        Ok(order) => order,
        Err(finding) => return Planned { plan: None, diagnostics: vec![finding] },
    };
    let mut planner = Planner {
        inputs,
        state: &state,
        outlooks: Outlooks::default(),
        changes: Vec::new(),
        no_ops: 0,
        bookkeeping,
        diagnostics,
        delete_first: BTreeSet::new(),
        validities: Vec::new(),
    };
    for index in order {
        planner.declared(&inputs.declarations[index]);
    }
    planner.undeclared();
    planner.finish()
}

/// The state with every rename applied. Without renames, which is nearly always, it is only borrowed.
fn moved<'a>(
    state: &'a State,
    moves: &[Move],
    bookkeeping: &mut Vec<Entry>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Cow<'a, State> {
    let mut state = Cow::Borrowed(state);
    for Move { from, to } in moves {
        if !state.records.contains_key(from) && !state.intents.contains_key(from) {
            continue; // Moved by an earlier run, or never made.
        }
        let promised = |address: &Address| {
            state.intents.get(address).is_some_and(|intent| intent.operation == state::Operation::Create)
        };
        if promised(to) {
            let message = format!("cannot move {from} to {to}: an earlier run began to create {to}");
            let help = "apply once without the `[[moved]]` table, or destroy what was begun".to_owned();
            diagnostics.push(
                Diagnostic::error(Code("moved-onto-existing"), message).at(AttrPath::keys(&["moved"])).help(help),
            );
            continue;
        }
        if state.records.contains_key(to) {
            let message = format!("cannot move {from} to {to}: both are in state");
            let help = format!("remove the `[[moved]]` table, or drop one of them with `meshplan state forget {to}`");
            diagnostics.push(
                Diagnostic::error(Code("moved-onto-existing"), message).at(AttrPath::keys(&["moved"])).help(help),
            );
            continue;
        }
        let entry = Entry::Moved { from: from.clone(), to: to.clone() };
        // A move's fold cannot fail: it needs nothing to be there.
        if state.to_mut().fold(entry.clone()).is_ok() {
            bookkeeping.push(entry);
        }
    }
    state
}

/// What was observed, under the addresses that it has now.
fn moved_observed<'a>(observed: &'a Observed, bookkeeping: &[Entry]) -> Cow<'a, Observed> {
    let mut observed = Cow::Borrowed(observed);
    for entry in bookkeeping {
        if let Entry::Moved { from, to } = entry
            && let Some(seen) = observed.to_mut().remove(from)
        {
            observed.to_mut().insert(to.clone(), seen);
        }
    }
    observed
}

/// An order in which everything comes after what it requires.
fn declaration_order(declarations: &[Declaration]) -> Result<Vec<usize>, Diagnostic> {
    let index: BTreeMap<&Address, usize> = declarations.iter().enumerate().map(|(n, d)| (&d.address, n)).collect();
    let mut dag = Dag::new(declarations.len());
    for (after, declaration) in declarations.iter().enumerate() {
        for requirement in declaration.references.iter().chain(&declaration.depends_on) {
            let Some(&before) = index.get(requirement) else {
                let message = format!("{} requires {requirement}, which is not declared", declaration.address);
                return Err(Diagnostic::error(Code("unknown-requirement"), message).at(declaration.origin.clone()));
            };
            dag.edge(before, after);
        }
    }
    dag.order().map_err(|cycle| {
        let names: Vec<&str> = cycle.0.iter().map(|n| declarations[*n].address.as_str()).collect();
        let message = format!("these resources need each other in a circle: {}", names.join(" -> "));
        Diagnostic::error(Code("dependency-cycle"), message)
    })
}

pub(super) struct Planner<'a> {
    pub(super) inputs: Inputs<'a>,
    pub(super) state: &'a State,
    pub(super) outlooks: Outlooks,
    pub(super) changes: Vec<Change>,
    pub(super) no_ops: usize,
    pub(super) bookkeeping: Vec<Entry>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Addresses whose replacement deletes first: what requires them must go before, so it deletes first too.
    pub(super) delete_first: BTreeSet<Address>,
    /// How long what there is now is good.
    pub(super) validities: Vec<(Address, Validity)>,
}

impl Planner<'_> {
    pub(super) fn prior(&self, address: &Address, record: Option<&Record>) -> Prior {
        if let Some(intent) = self.state.intents.get(address)
            && intent.operation == state::Operation::Create
        {
            return Prior::Promised;
        }
        match record.map(|record| &record.status) {
            None => Prior::None,
            Some(RecordStatus::Ready) => Prior::Ready,
            Some(RecordStatus::Creating) => Prior::Creating,
            Some(RecordStatus::Tainted(_)) => Prior::Tainted,
            Some(RecordStatus::Deleting) => Prior::Deleting,
        }
    }

    fn finish(mut self) -> Planned {
        let inputs = self.inputs;
        self.changes.sort_by(|a, b| a.address.cmp(&b.address));
        let mut notes = Vec::new();
        if !inputs.scope.only.is_empty() {
            only::keep(&mut self.changes, inputs, self.state, &mut notes, &mut self.diagnostics);
        }
        notes.extend(expiry::notes(&self.validities, &self.changes));
        self.diagnostics.extend(expiry::warnings(&self.validities, &self.changes, inputs.scope.as_of));
        protect::check(&self.changes, inputs, self.state, &mut self.diagnostics);
        self.diagnostics.sort_by_key(|finding| !finding.is_error());
        if self.diagnostics.iter().any(Diagnostic::is_error) {
            return Planned { plan: None, diagnostics: self.diagnostics };
        }
        let mut summary = Summary { no_op: self.no_ops, ..Summary::default() };
        self.changes.iter().for_each(|change| summary.count(change.action));
        let (steps, estimate) = match steps::build(&self.changes, self.state, inputs.rules) {
            Ok(built) => built,
            Err(finding) => {
                self.diagnostics.push(finding);
                return Planned { plan: None, diagnostics: self.diagnostics };
            }
        };
        let plan = Plan {
            format_version: FORMAT_VERSION,
            operation: if inputs.scope.destroy { Operation::Destroy } else { Operation::Apply },
            mesh: self.state.mesh.clone(),
            lineage: self.state.lineage.clone(),
            base_serial: self.state.serial,
            sandbox: self.state.sandbox,
            offline: inputs.observed.is_none(),
            topology: inputs.topology,
            source: None,
            region: None,
            account: None,
            basis: BTreeMap::new(),
            summary,
            changes: self.changes,
            steps,
            estimate,
            notes,
            bookkeeping: self.bookkeeping,
            digest: None,
        };
        Planned { plan: Some(plan), diagnostics: self.diagnostics }
    }
}

/// The digest of what was observed.
pub(super) fn observed_fingerprint(rules: &[FieldRule], observation: Option<&Observation>) -> Option<Digest> {
    match observation? {
        Observation::Present { id, live } => Some(fingerprint(rules, id, &live.spec)),
        Observation::Absent | Observation::Unreadable(_) => None,
    }
}
