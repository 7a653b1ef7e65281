//! The planner: declarations, state and observations in, a plan or findings out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::compile::Declaration;
use crate::model::diff::{Cause, FieldChange, Impact, ThreeWay, diff, mask_sensitive};
use crate::model::event::Operation;
use crate::model::graph::Dag;
use crate::model::{Address, AttrPath, Code, Diagnostic, Digest, Document, Location, Value};
use crate::resource::{KindRules, LiveDocument, Possession, ReplaceOrder, RuleBook, Status, stored_outputs};
use crate::state::{self, Entry, Record, RecordStatus, State};

use super::decide::{Difference, Prior, Seen, Verdict, Why, decide, decide_observed};
use super::model::{
    Action, Change, FORMAT_VERSION, Goal, Move, Observation, Observed, Plan, Reason, Summary, fingerprint,
};
use super::outlook::{Outlook, Outlooks, top_level};
use super::{only, protect, steps};

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

struct Planner<'a> {
    inputs: Inputs<'a>,
    state: &'a State,
    outlooks: Outlooks,
    changes: Vec<Change>,
    no_ops: usize,
    bookkeeping: Vec<Entry>,
    diagnostics: Vec<Diagnostic>,
    /// Addresses whose replacement deletes first: what requires them must go before, so it deletes first too.
    delete_first: BTreeSet<Address>,
}

/// What is known of a declared resource before it is decided.
struct Facts<'a> {
    declaration: &'a Declaration,
    rules: &'static dyn KindRules,
    declared: Digest,
    record: Option<&'a Record>,
    prior: Prior,
    observation: Option<&'a Observation>,
}

impl<'a> Planner<'a> {
    fn declared(&mut self, declaration: &'a Declaration) {
        let Some(rules) = self.inputs.rules.kind(declaration.address.kind()) else {
            let message =
                format!("{}: this version knows no kind `{}`", declaration.address, declaration.address.kind());
            self.diagnostics.push(Diagnostic::error(Code("unknown-kind"), message).at(declaration.origin.clone()));
            return;
        };
        let record = self.state.records.get(&declaration.address);
        let facts = Facts {
            declaration,
            rules,
            declared: declaration.digest(),
            record,
            prior: self.prior(&declaration.address, record),
            observation: self.inputs.observed.and_then(|observed| observed.get(&declaration.address)),
        };
        if self.is_untouched(&facts) {
            self.no_ops += 1;
            return;
        }
        self.decide_declared(&facts);
    }

    fn prior(&self, address: &Address, record: Option<&Record>) -> Prior {
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

    /// Whether nothing changed, told without parsing a document: the declaration's digest is what was last applied,
    /// nothing above it changes, and what is observed is, to the byte, what was stored.
    fn is_untouched(&self, facts: &Facts<'_>) -> bool {
        let Some(record) = facts.record else { return false };
        facts.prior == Prior::Ready
            && record.declared == facts.declared
            && record.schema_version == facts.rules.schema_version()
            && record.deposed.is_empty()
            && record.protected == is_protected(facts)
            && !self.inputs.scope.replace.contains(&facts.declaration.address)
            && !self.state.intents.contains_key(&facts.declaration.address)
            && facts.declaration.references.iter().all(|address| self.outlooks.is_settled(address))
            && match facts.observation {
                None => true,
                Some(Observation::Present { id, live }) => {
                    *id == record.id
                        && live.status == Status::Ready
                        && live.spec == record.spec
                        && live.outputs == record.outputs
                }
                Some(Observation::Absent | Observation::Unreadable(_)) => false,
            }
    }

    fn decide_declared(&mut self, facts: &Facts<'a>) {
        let address = &facts.declaration.address;
        let desired = match self.fill(facts) {
            Ok(desired) => desired,
            Err(finding) => return self.diagnostics.push(finding),
        };
        for error in facts.rules.check(&desired) {
            let message = format!("{address}: `{}`: {}", error.path, error.message);
            let at = Location::Topology(facts.declaration.origin.clone());
            self.diagnostics.push(Diagnostic::error(Code("invalid-spec"), message).at_location(at));
        }
        let record = match self.upgraded(facts) {
            Ok(record) => record,
            Err(finding) => return self.diagnostics.push(finding),
        };
        let prior_spec = record.as_ref().map(|(spec, _)| spec);
        let live = match facts.observation {
            Some(Observation::Present { live, .. }) => Some(live),
            Some(Observation::Absent | Observation::Unreadable(_)) | None => None,
        };
        // With nothing observed, what was last applied stands for what is there.
        let there = live.map(|live| live.spec.value()).or_else(|| prior_spec.cloned());
        let fields = there.as_ref().map_or_else(Vec::new, |there| {
            let documents = ThreeWay { desired: &desired, prior: prior_spec, observed: there };
            diff(documents, facts.rules.fields(), &self.state.lineage)
        });
        let seen = self.seen(facts, live, difference(&fields, self.inputs.scope.replace.contains(address)));
        let verdict = match facts.rules.possession() {
            Possession::Owned => decide(true, facts.prior, seen),
            Possession::Observed => decide_observed(true, facts.prior, seen),
        };
        self.carry_out(facts, verdict, fields, &desired, live, record.map(|(_, outputs)| outputs));
    }

    fn seen(&self, facts: &Facts<'_>, live: Option<&LiveDocument>, difference: Difference) -> Seen {
        match (facts.observation, live.map(|live| &live.status)) {
            (Some(Observation::Unreadable(_)), _) => Seen::Unreadable,
            (Some(Observation::Absent), _) => Seen::Absent,
            (_, Some(Status::Deleting)) => Seen::Deleting,
            (_, Some(Status::Failed(_))) => Seen::Failed,
            (_, Some(Status::Ready | Status::Pending(_))) => Seen::Present(difference),
            (Some(Observation::Present { .. }) | None, None) if self.inputs.observed.is_none() => {
                Seen::NotRead(difference)
            }
            (Some(Observation::Present { .. }) | None, None) => Seen::Absent,
        }
    }

    /// The declared spec with every hole filled that can be.
    fn fill(&mut self, facts: &Facts<'_>) -> Result<Value, Diagnostic> {
        let (state, rules, outlooks) = (self.state, self.inputs.rules, &mut self.outlooks);
        let observed = self.inputs.observed;
        facts
            .declaration
            .spec
            .value()
            .fill(&mut |reference| {
                outlooks.lookup(
                    reference,
                    rules.kind(reference.address.kind()).map(|rules| rules as &dyn KindRules),
                    || match observed.and_then(|observed| observed.get(&reference.address)) {
                        Some(Observation::Present { live, .. }) => Some(&live.outputs),
                        Some(Observation::Absent | Observation::Unreadable(_)) | None => {
                            state.records.get(&reference.address).map(|record| &record.outputs)
                        }
                    },
                )
            })
            .map_err(|error| {
                let message = format!("{}: {error}", facts.declaration.address);
                Diagnostic::error(Code("unusable-output"), message).at(facts.declaration.origin.clone())
            })
    }

    /// The record's spec and outputs, in the shape of this version of its kind.
    fn upgraded(&self, facts: &Facts<'_>) -> Result<Option<(Value, Document)>, Diagnostic> {
        let Some(record) = facts.record else { return Ok(None) };
        if record.schema_version == facts.rules.schema_version() {
            return Ok(Some((record.spec.value(), record.outputs.clone())));
        }
        let raw = crate::resource::RawRecord { spec: record.spec.value(), outputs: record.outputs.value() };
        let upgraded = facts.rules.upgrade(record.schema_version, raw).map_err(|error| {
            Diagnostic::error(Code("state-too-new"), format!("{}: {error}", facts.declaration.address))
                .help("use the version of meshplan that last applied this mesh, or a newer one")
        })?;
        Ok(Some((upgraded.spec, Document::of(&upgraded.outputs).unwrap_or_else(|_| Document::empty()))))
    }

    fn carry_out(
        &mut self,
        facts: &Facts<'a>,
        verdict: Verdict,
        fields: Vec<FieldChange>,
        desired: &Value,
        live: Option<&LiveDocument>,
        outputs: Option<Document>,
    ) {
        let address = &facts.declaration.address;
        let outputs = live.map(|live| live.outputs.clone()).or(outputs);
        let failed = match live.map(|live| &live.status) {
            Some(Status::Failed(why)) => why.clone(),
            Some(Status::Ready | Status::Pending(_) | Status::Deleting) | None => String::new(),
        };
        let deposed = facts.record.is_some_and(|record| !record.deposed.is_empty());
        // The promised successor of a create-first replacement: its predecessor is still on record.
        let unfinished_replacement = facts.record.is_some()
            && facts.prior == Prior::Promised
            && self
                .state
                .intents
                .get(address)
                .and_then(|intent| intent.record.as_ref())
                .is_some_and(|record| record.deposes);
        let (action, reason) = match verdict {
            Verdict::Create(Why::Unfinished) | Verdict::Adopt(Why::Unfinished) if unfinished_replacement => {
                (Action::Replace, Reason::CreateUnfinished)
            }
            Verdict::NoOp if deposed => (Action::Replace, Reason::Deposed),
            Verdict::NoOp => return self.up_to_date(facts, desired, live, outputs),
            Verdict::Refuse => return self.refuse(facts, &failed),
            Verdict::Create(why) => (Action::Create, self.reason(why, facts, &fields, &failed)),
            Verdict::Update if fields.iter().any(|field| field.cause == Cause::Changed) => {
                (Action::Update, Reason::Changed)
            }
            Verdict::Update => (Action::Update, Reason::Drifted),
            Verdict::Replace(why) => (Action::Replace, self.reason(why, facts, &fields, &failed)),
            Verdict::Adopt(why) => (Action::Adopt, self.reason(why, facts, &fields, &failed)),
            Verdict::Wait => (Action::Wait, Reason::CreateUnfinished),
            Verdict::Delete(why) => (Action::Delete, self.reason(why, facts, &fields, &failed)),
            Verdict::Forget(why) => (Action::Forget, self.reason(why, facts, &fields, &failed)),
        };
        let outlook = match action {
            Action::Update => Outlook::Updated(top_level(&fields)),
            // What is someone else's is known already, whatever we do.
            Action::Adopt if facts.rules.possession() == Possession::Observed => Outlook::Settled,
            Action::Replace if reason == Reason::Deposed => Outlook::Settled,
            Action::NoOp
            | Action::Create
            | Action::Replace
            | Action::Delete
            | Action::Forget
            | Action::Adopt
            | Action::Wait => Outlook::Unknown,
        };
        self.outlooks.set(address, outlook, outputs.as_ref());
        // A predecessor that an interrupted replacement left behind goes as soon as this one is ready.
        let deposes = match action {
            Action::Replace if reason == Reason::Deposed => true,
            Action::Replace => unfinished_replacement || self.deposes(facts),
            Action::NoOp
            | Action::Create
            | Action::Update
            | Action::Delete
            | Action::Forget
            | Action::Adopt
            | Action::Wait => deposed,
        };
        if action == Action::Replace && !deposes {
            self.delete_first.insert(address.clone());
        }
        let fields =
            if action == Action::Create { created_fields(desired, facts, &self.state.lineage) } else { fields };
        self.changes.push(Change {
            address: address.clone(),
            action,
            reason,
            fields,
            notes: facts.declaration.notes.clone(),
            target: facts.declaration.target.clone(),
            id: match facts.observation {
                Some(Observation::Present { id, .. }) => Some(id.clone()),
                Some(Observation::Absent | Observation::Unreadable(_)) | None => {
                    facts.record.map(|record| record.id.clone())
                }
            },
            fingerprint: observed_fingerprint(facts.observation),
            goal: Some(Goal {
                spec: facts.declaration.spec.clone(),
                declared: facts.declared,
                depends_on: facts.declaration.requirements(),
                protected: is_protected(facts),
                schema_version: facts.rules.schema_version(),
                deposes,
            }),
            requirements: facts.record.map(|record| record.depends_on.clone()).unwrap_or_default(),
        });
    }

    /// Whether a replacement keeps its predecessor until it is ready. Not when something it requires is deleted
    /// first: its predecessor cannot outlive that.
    fn deposes(&self, facts: &Facts<'_>) -> bool {
        facts.rules.replace_order() == ReplaceOrder::CreateFirst
            && !facts.declaration.requirements().iter().any(|requirement| self.delete_first.contains(requirement))
    }

    /// Nothing to do in the cloud; state may still be behind what is so.
    fn up_to_date(
        &mut self,
        facts: &Facts<'_>,
        desired: &Value,
        live: Option<&LiveDocument>,
        outputs: Option<Document>,
    ) {
        self.no_ops += 1;
        // An offline plan has seen nothing: it must not vouch for what it did not look at.
        let (Some(record), Some(outputs), Some(_)) = (facts.record, outputs, live) else { return };
        // What was applied, not what is there: a field that someone else added never becomes ours.
        let applied = mask_sensitive(desired, facts.rules.fields(), &self.state.lineage);
        let spec = if desired.has_unknown() || record.spec.value() == applied {
            record.spec.clone()
        } else {
            Document::of(&applied).unwrap_or_else(|_| record.spec.clone())
        };
        let depends_on = facts.declaration.requirements();
        let outputs = stored_outputs(facts.rules, &outputs);
        let outputs_moved = record.outputs != outputs && record.outputs.value() != outputs.value();
        let behind = record.declared != facts.declared
            || record.status != RecordStatus::Ready
            || outputs_moved
            || record.spec != spec
            || record.depends_on != depends_on
            || record.protected != is_protected(facts)
            || self.state.intents.contains_key(&facts.declaration.address);
        if outputs_moved {
            self.outlooks.set(&facts.declaration.address, Outlook::Updated(Vec::new()), Some(&outputs));
        }
        if behind {
            self.bookkeeping.push(Entry::Ready {
                address: facts.declaration.address.clone(),
                spec,
                declared: facts.declared,
                depends_on,
                protected: is_protected(facts),
                outputs,
                took: None,
            });
        }
    }

    fn refuse(&mut self, facts: &Facts<'_>, failed: &str) {
        let address = &facts.declaration.address;
        let at = Location::Topology(facts.declaration.origin.clone());
        let finding = match facts.observation {
            Some(Observation::Unreadable(why)) => {
                Diagnostic::error(Code("unreadable"), format!("{address} could not be read: {why}"))
                    .help("plan with `--offline` to compare with the last applied state instead")
            }
            Some(Observation::Absent | Observation::Present { .. }) | None if failed.is_empty() => Diagnostic::error(
                Code("missing-existing"),
                format!("{address} is declared as existing and is not there"),
            )
            .help("check its id and its region, or let meshplan make it by removing `existing`"),
            Some(Observation::Absent | Observation::Present { .. }) | None => {
                Diagnostic::error(Code("unfit-existing"), format!("{address} exists and cannot be used: {failed}"))
            }
        };
        self.diagnostics.push(finding.at_location(at));
    }

    fn reason(&self, why: Why, facts: &Facts<'_>, fields: &[FieldChange], failed: &str) -> Reason {
        match why {
            Why::New => Reason::NotInState,
            Why::Unfinished => Reason::CreateUnfinished,
            Why::DeleteUnfinished => Reason::DeleteUnfinished,
            Why::Vanished => Reason::Vanished,
            Why::Fields => Reason::ForcedBy(
                fields
                    .iter()
                    .filter(|field| field.impact == Impact::Replace)
                    .map(|field| field.path.to_string())
                    .collect(),
            ),
            Why::Tainted => match facts.record.map(|record| &record.status) {
                Some(RecordStatus::Tainted(why)) => Reason::Tainted(why.clone()),
                Some(RecordStatus::Ready | RecordStatus::Creating | RecordStatus::Deleting) | None => {
                    Reason::Tainted(String::new())
                }
            },
            Why::Failed => Reason::Failed(failed.to_owned()),
            Why::BeingDeleted => Reason::BeingDeleted,
            Why::NotDeclared => Reason::NotDeclared,
            Why::BroughtAlong => Reason::BroughtAlong,
        }
    }

    /// Everything in state that is not declared.
    fn undeclared(&mut self) {
        let declared =
            |address: &Address| self.inputs.declarations.binary_search_by(|d| d.address.cmp(address)).is_ok();
        let addresses: BTreeSet<&Address> = self.state.records.keys().chain(self.state.intents.keys()).collect();
        let gone: Vec<&Address> = addresses.into_iter().filter(|address| !declared(address)).collect();
        for address in gone {
            let record = self.state.records.get(address);
            let intended = self.state.intents.get(address).and_then(|intent| intent.record.as_ref());
            let observation = self.inputs.observed.and_then(|observed| observed.get(address));
            let prior = self.prior(address, record);
            let seen = match observation {
                Some(Observation::Present { .. }) => Seen::Present(Difference::None),
                Some(Observation::Absent) => Seen::Absent,
                Some(Observation::Unreadable(_)) => Seen::Unreadable,
                None => Seen::NotRead(Difference::None),
            };
            let possession = self.inputs.rules.kind(address.kind()).map_or(Possession::Owned, KindRules::possession);
            let verdict = match possession {
                Possession::Owned => decide(false, prior, seen),
                Possession::Observed => decide_observed(false, prior, seen),
            };
            let deposed = record.is_some_and(|record| !record.deposed.is_empty());
            let (action, why) = match verdict {
                Verdict::Delete(why) => (Action::Delete, why),
                Verdict::Forget(why) if deposed => (Action::Delete, why),
                Verdict::Forget(why) => (Action::Forget, why),
                Verdict::Refuse => {
                    let why = match observation {
                        Some(Observation::Unreadable(why)) => why.as_str(),
                        Some(Observation::Absent | Observation::Present { .. }) | None => "",
                    };
                    let message = format!("{address} is to be deleted and could not be read: {why}");
                    let help =
                        format!("`meshplan state forget {address}` drops it from state and leaves it where it is");
                    self.diagnostics.push(Diagnostic::error(Code("unreadable"), message).help(help));
                    continue;
                }
                Verdict::NoOp => {
                    // A promise to change or delete what is no longer on record: nothing is left to keep.
                    self.bookkeeping.push(Entry::Void { address: address.clone() });
                    continue;
                }
                Verdict::Create(_) | Verdict::Update | Verdict::Replace(_) | Verdict::Adopt(_) | Verdict::Wait => {
                    continue;
                }
            };
            let Some(target) = record.map(|record| &record.target).or(intended.map(|record| &record.target)) else {
                continue;
            };
            self.changes.push(Change {
                address: address.clone(),
                action,
                reason: match why {
                    Why::Unfinished => Reason::CreateUnfinished,
                    Why::DeleteUnfinished => Reason::DeleteUnfinished,
                    Why::New
                    | Why::Vanished
                    | Why::Fields
                    | Why::Tainted
                    | Why::Failed
                    | Why::BeingDeleted
                    | Why::NotDeclared
                    | Why::BroughtAlong => Reason::NotDeclared,
                },
                fields: Vec::new(),
                notes: Vec::new(),
                target: target.clone(),
                id: record.map(|record| record.id.clone()),
                fingerprint: observed_fingerprint(observation),
                goal: None,
                requirements: record
                    .map(|record| record.depends_on.clone())
                    .or_else(|| intended.map(|record| record.depends_on.clone()))
                    .unwrap_or_default(),
            });
        }
    }

    fn finish(mut self) -> Planned {
        let inputs = self.inputs;
        self.changes.sort_by(|a, b| a.address.cmp(&b.address));
        let mut notes = Vec::new();
        if !inputs.scope.only.is_empty() {
            only::keep(&mut self.changes, inputs, self.state, &mut notes, &mut self.diagnostics);
        }
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
            summary,
            changes: self.changes,
            steps,
            estimate,
            notes,
            bookkeeping: self.bookkeeping,
        };
        Planned { plan: Some(plan), diagnostics: self.diagnostics }
    }
}

fn is_protected(facts: &Facts<'_>) -> bool {
    facts.declaration.protected || facts.rules.protected()
}

fn difference(fields: &[FieldChange], replace: bool) -> Difference {
    if replace || fields.iter().any(|field| field.impact == Impact::Replace) {
        Difference::Forces
    } else if fields.is_empty() {
        Difference::None
    } else {
        Difference::InPlace
    }
}

fn observed_fingerprint(observation: Option<&Observation>) -> Option<Digest> {
    match observation? {
        Observation::Present { id, live } => Some(fingerprint(id, &live.spec)),
        Observation::Absent | Observation::Unreadable(_) => None,
    }
}

/// A create shows every field that is set.
fn created_fields(desired: &Value, facts: &Facts<'_>, salt: &str) -> Vec<FieldChange> {
    let nothing = Value::Object(BTreeMap::new());
    let mut fields = diff(ThreeWay { desired, prior: None, observed: &nothing }, facts.rules.fields(), salt);
    for field in &mut fields {
        field.impact = Impact::Update;
        field.cause = Cause::Changed;
    }
    fields
}
