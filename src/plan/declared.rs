//! The decision for one declared resource: the quick way when nothing changed, the three-way comparison otherwise.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::compile::Declaration;
use crate::model::diff::{Cause, FieldChange, Impact, ThreeWay, diff, mask_sensitive};
use crate::model::{Code, Diagnostic, Digest, Document, Location, Target, Value};
use crate::resource::{
    KindRules, LiveDocument, Possession, RawRecord, ReplaceOrder, Status, Validity, changed_hands, claimed,
    stored_outputs,
};
use crate::state::{Entry, Record, RecordStatus};

use super::decide::{Difference, Prior, Seen, Verdict, Why, decide, decide_observed};
use super::model::{Action, Change, Goal, Observation, Reason};
use super::outlook::{Outlook, top_level};
use super::planner::{Planner, observed_fingerprint};
use super::{expiry, secrets};

/// What is known of a declared resource before it is decided.
pub(super) struct Facts<'a> {
    pub(super) declaration: &'a Declaration,
    pub(super) rules: &'static dyn KindRules,
    declared: Digest,
    record: Option<&'a Record>,
    pub(super) prior: Prior,
    pub(super) observation: Option<Cow<'a, Observation>>,
    /// How long what is there is good.
    validity: Option<Validity>,
}

impl<'a> Planner<'a> {
    /// Decides one declaration; everything that it requires is decided already.
    pub(super) fn declared(&mut self, declaration: &'a Declaration) {
        let Some(rules) = self.inputs.rules.kind(declaration.address.kind()) else {
            let message =
                format!("{}: this version knows no kind `{}`", declaration.address, declaration.address.kind());
            self.diagnostics.push(Diagnostic::error(Code("unknown-kind"), message).at(declaration.origin.clone()));
            return;
        };
        let record = self.state.records.get(&declaration.address);
        let recorded = rules.possession() == Possession::Recorded;
        let observation = self.inputs.observed.and_then(|observed| observed.get(&declaration.address));
        // Of what is nothing but a record only this is ever seen: that it is gone with the cluster it was in.
        let observation = observation.filter(|seen| !recorded || matches!(seen, Observation::Absent));
        let validity = expiry::validity(rules, record, observation);
        self.validities.extend(validity.map(|validity| (declaration.address.clone(), validity)));
        let mut facts = Facts {
            declaration,
            rules,
            declared: declaration.digest(),
            record,
            prior: self.prior(&declaration.address, record),
            observation: observation.map(Cow::Borrowed),
            validity,
        };
        if self.is_untouched(&facts) {
            self.no_ops += 1;
            return;
        }
        if recorded {
            let seen = facts.observation.take();
            facts.observation = seen.or_else(|| Some(Cow::Owned(recollection(record, facts.prior))));
        } else if facts.prior == Prior::None && self.is_lost(&facts) {
            facts.prior = Prior::Lost;
        }
        self.decide_declared(&facts);
    }

    /// Whether what is there says itself that it is this resource of this mesh.
    fn is_lost(&self, facts: &Facts<'_>) -> bool {
        let Some(Observation::Present { live, .. }) = facts.observation.as_deref() else { return false };
        let address = &facts.declaration.address;
        claimed(&live.spec.value()) == Some((self.state.mesh.as_str(), address.as_str()))
    }

    /// Whether nothing changed, told without parsing a document: the declaration's digest is what was last applied,
    /// nothing above it changes, and what is observed is, to the byte, what was stored.
    fn is_untouched(&self, facts: &Facts<'_>) -> bool {
        let Some(record) = facts.record else { return false };
        facts.prior == Prior::Ready
            && record.declared == facts.declared
            && record.schema_version == facts.rules.schema_version()
            && self.elsewhere(facts).is_none()
            && record.deposed.is_empty()
            && record.protected == is_protected(facts)
            && !self.inputs.scope.replace.contains(&facts.declaration.address)
            && !self.is_due(facts)
            && !self.state.intents.contains_key(&facts.declaration.address)
            && facts.declaration.references.iter().all(|address| self.outlooks.is_settled(address))
            && match facts.observation.as_deref() {
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

    /// The record of a resource that cannot stay where it is: it is declared elsewhere, or the cluster that it is in is
    /// replaced.
    fn elsewhere(&self, facts: &Facts<'a>) -> Option<&'a Record> {
        let is_replaced =
            |target: &Target| matches!(target, Target::Cluster { cluster } if self.delete_first.contains(cluster));
        let goes = |record: &&Record| record.target != facts.declaration.target || is_replaced(&record.target);
        facts.record.filter(goes)
    }

    /// Whether it is time to replace what still is as it should be.
    fn is_due(&self, facts: &Facts<'_>) -> bool {
        facts.validity.is_some_and(|validity| expiry::is_due(validity, self.inputs.scope.as_of))
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
        let record = match Self::upgraded(facts) {
            Ok(record) => record,
            Err(finding) => return self.diagnostics.push(finding),
        };
        let prior_spec = record.as_ref().map(|(spec, _)| spec);
        if let (Some(prior), Some(Observation::Present { id, live })) = (prior_spec, facts.observation.as_deref())
            && facts.rules.is_named()
            && facts.prior != Prior::Promised
            && changed_hands(prior, &live.spec.value(), &self.state.mesh)
        {
            return self.strange(address, id, Some(&facts.declaration.origin));
        }
        let live = match facts.observation.as_deref() {
            Some(Observation::Present { live, .. }) => Some(live),
            Some(Observation::Absent | Observation::Unreadable(_)) | None => None,
        };
        // With nothing observed, what was last applied stands for what is there.
        let there = live.map(|live| live.spec.value()).or_else(|| prior_spec.cloned());
        let fields = there.as_ref().map_or_else(Vec::new, |there| {
            let documents = ThreeWay { desired: &desired, prior: prior_spec, observed: there };
            diff(documents, facts.rules.fields(), &self.state.lineage)
        });
        let anyway = self.inputs.scope.replace.contains(address) || self.is_due(facts);
        let seen = self.seen(facts, live, difference(&fields, anyway));
        let elsewhere = self.elsewhere(facts);
        let verdict = match facts.rules.possession() {
            Possession::Owned | Possession::Recorded
                if elsewhere.is_some() && facts.prior != Prior::Promised && seen != Seen::Unreadable =>
            {
                Verdict::Replace(Why::Elsewhere)
            }
            Possession::Owned | Possession::Recorded => decide(true, facts.prior, seen),
            Possession::Observed => decide_observed(true, facts.prior, seen),
        };
        self.check_way(facts, verdict, &fields, there.as_ref(), &desired);
        self.carry_out(facts, verdict, fields, &desired, live, record.map(|(_, outputs)| outputs));
    }

    fn seen(&self, facts: &Facts<'_>, live: Option<&LiveDocument>, difference: Difference) -> Seen {
        match (facts.observation.as_deref(), live.map(|live| &live.status)) {
            (Some(Observation::Unreadable(_)), _) => Seen::Unreadable,
            (Some(Observation::Absent), _) => Seen::Absent,
            (_, Some(Status::Deleting)) => Seen::Deleting,
            (_, Some(Status::Failed(_))) => Seen::Failed,
            (_, Some(Status::Ready | Status::Pending(_) | Status::Degraded(_))) => Seen::Present(difference),
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
        let spec = facts.declaration.spec.value();
        secrets::check(facts.declaration, &spec, facts.rules, rules)?;
        spec.fill(&mut |reference| {
            outlooks.lookup(
                reference,
                &state.lineage,
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
    fn upgraded(facts: &Facts<'_>) -> Result<Option<(Value, Document)>, Diagnostic> {
        let Some(record) = facts.record else { return Ok(None) };
        if record.schema_version == facts.rules.schema_version() {
            return Ok(Some((record.spec.value(), record.outputs.clone())));
        }
        let raw = RawRecord { spec: record.spec.value(), outputs: record.outputs.value() };
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
            Some(Status::Ready | Status::Pending(_) | Status::Degraded(_) | Status::Deleting) | None => String::new(),
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
            Verdict::Taken => return self.taken(facts, &fields),
            Verdict::Create(why) => (Action::Create, Self::reason(why, facts, &fields, &failed)),
            Verdict::Update if fields.iter().any(|field| field.cause == Cause::Changed) => {
                (Action::Update, Reason::Changed)
            }
            Verdict::Update => (Action::Update, Reason::Drifted),
            Verdict::Replace(why) => match (Self::reason(why, facts, &fields, &failed), facts.validity) {
                (Reason::Requested, Some(validity)) if self.is_due(facts) => {
                    (Action::Replace, Reason::Renewal(validity.until))
                }
                (reason, _) => (Action::Replace, reason),
            },
            Verdict::Adopt(why) => (Action::Adopt, Self::reason(why, facts, &fields, &failed)),
            Verdict::Wait => (Action::Wait, Reason::CreateUnfinished),
            Verdict::Delete(why) => (Action::Delete, Self::reason(why, facts, &fields, &failed)),
            Verdict::Forget(why) => (Action::Forget, Self::reason(why, facts, &fields, &failed)),
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
            Action::Replace => reason == Reason::CreateUnfinished || self.deposes(facts),
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
        let takes_away = action == Action::Update && facts.rules.takes_away(&fields);
        let mut notes = facts.declaration.notes.clone();
        if action == Action::Update {
            notes.extend(facts.rules.remarks(&fields));
        }
        let fields =
            if action == Action::Create { created_fields(desired, facts, &self.state.lineage) } else { fields };
        self.changes.push(Change {
            address: address.clone(),
            action,
            reason,
            fields,
            notes,
            preview: Vec::new(),
            target: facts.declaration.target.clone(),
            id: match facts.observation.as_deref() {
                Some(Observation::Present { id, .. }) => Some(id.clone()),
                Some(Observation::Absent | Observation::Unreadable(_)) | None => {
                    facts.record.map(|record| record.id.clone())
                }
            },
            // What a promise made is another object than the one on record: its fingerprint says nothing of that one.
            // What is only recorded is what state says: nothing of it can move.
            fingerprint: observed_fingerprint(facts.rules.fields(), facts.observation.as_deref())
                .filter(|_| facts.prior != Prior::Promised && facts.rules.possession() != Possession::Recorded),
            goal: Some(Goal {
                spec: facts.declaration.spec.clone(),
                declared: facts.declared,
                depends_on: facts.declaration.requirements(),
                protected: is_protected(facts),
                schema_version: facts.rules.schema_version(),
                deposes,
            }),
            requirements: facts.record.map(|record| record.depends_on.clone()).unwrap_or_default(),
            takes_away,
            update_after: facts.declaration.update_after.clone(),
        });
    }

    /// Whether a replacement keeps its predecessor until it is ready. Not when something it requires is deleted
    /// first: its predecessor cannot outlive that.
    fn deposes(&self, facts: &Facts<'_>) -> bool {
        facts.rules.replace_order() == ReplaceOrder::CreateFirst
            && facts.prior != Prior::Promised
            && facts.record.is_none_or(|record| record.target == facts.declaration.target)
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
            || record.schema_version != facts.rules.schema_version()
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
                schema_version: facts.rules.schema_version(),
                outputs,
                took: None,
            });
        }
    }

    fn reason(why: Why, facts: &Facts<'_>, fields: &[FieldChange], failed: &str) -> Reason {
        match why {
            Why::New => Reason::NotInState,
            Why::Unfinished => Reason::CreateUnfinished,
            Why::DeleteUnfinished => Reason::DeleteUnfinished,
            Why::Vanished => Reason::Vanished,
            Why::Fields if fields.iter().all(|field| field.impact != Impact::Replace) => Reason::Requested,
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
            Why::Lost => Reason::Lost,
            Why::Elsewhere => {
                Reason::Elsewhere(facts.record.map(|record| record.target.to_string()).unwrap_or_default())
            }
        }
    }
}

/// What state alone says of what has nothing to be read: it is what it was recorded as. What was begun and not recorded
/// was not made.
fn recollection(record: Option<&Record>, prior: Prior) -> Observation {
    match (record, prior) {
        (Some(record), Prior::Ready | Prior::Tainted | Prior::Deleting) => {
            let live =
                LiveDocument { spec: record.spec.clone(), outputs: record.outputs.clone(), status: Status::Ready };
            Observation::Present { id: record.id.clone(), live }
        }
        (_, Prior::None | Prior::Lost | Prior::Promised | Prior::Creating) | (None, _) => Observation::Absent,
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
