//! Everything in state that is no longer declared: it goes.

use std::collections::BTreeSet;

use crate::model::{Address, Code, Diagnostic};
use crate::resource::{KindRules, Possession, changed_hands};
use crate::state::Entry;

use super::decide::{Difference, Prior, Seen, Verdict, Why, decide, decide_observed};
use super::model::{Action, Change, Observation, Reason};
use super::planner::{Planner, observed_fingerprint};

impl Planner<'_> {
    /// Everything in state that is not declared.
    pub(super) fn undeclared(&mut self) {
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
            let rules = self.inputs.rules.kind(address.kind());
            let possession = rules.map_or(Possession::Owned, KindRules::possession);
            let fields = rules.map_or(&[][..], KindRules::fields);
            if let (Some(record), Some(Observation::Present { id, live })) = (record, observation)
                && rules.is_some_and(KindRules::is_named)
                && prior != Prior::Promised
                && changed_hands(&record.spec.value(), &live.spec.value(), &self.state.mesh)
            {
                self.strange(address, id, None);
                continue;
            }
            let verdict = match possession {
                Possession::Owned | Possession::Recorded => decide(false, prior, seen),
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
                Verdict::Create(_)
                | Verdict::Update
                | Verdict::Replace(_)
                | Verdict::Adopt(_)
                | Verdict::Wait
                | Verdict::Taken => continue,
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
                    | Why::BroughtAlong
                    | Why::Elsewhere
                    | Why::Lost
                        if self.inputs.scope.destroy =>
                    {
                        Reason::Destroyed
                    }
                    Why::New
                    | Why::Vanished
                    | Why::Fields
                    | Why::Tainted
                    | Why::Failed
                    | Why::BeingDeleted
                    | Why::NotDeclared
                    | Why::BroughtAlong
                    | Why::Elsewhere
                    | Why::Lost => Reason::NotDeclared,
                },
                fields: Vec::new(),
                notes: Vec::new(),
                preview: Vec::new(),
                target: target.clone(),
                id: record.map(|record| record.id.clone()),
                // What a promise made is another object than the one on record: its fingerprint says nothing of that one.
                fingerprint: observed_fingerprint(fields, observation).filter(|_| prior != Prior::Promised),
                goal: None,
                takes_away: false,
                update_after: Vec::new(),
                requirements: record
                    .map(|record| record.depends_on.clone())
                    .or_else(|| intended.map(|record| record.depends_on.clone()))
                    .unwrap_or_default(),
            });
        }
    }
}
