//! Making an object: promised before it is asked for, looked for when an answer was lost.

use std::time::Duration;

use jiff::Timestamp;

use crate::apply::retry::{Advice, FIND_WINDOW};
use crate::model::event::StepKind;
use crate::resource::{ErrorClass, ProviderError, RemoteId};
use crate::state::{Entry, IntendedRecord, Intent, Record, RecordStatus};

use super::turn::{Request, Turn};
use super::{Phase, Task, later, without_goal};

impl Task<'_> {
    pub(super) fn begin_create(&mut self, promised: Option<&Intent>, record: Option<&Record>, now: Timestamp) -> Turn {
        self.prior = None;
        let deposes = self.change.goal.as_ref().is_some_and(|goal| goal.deposes);
        let Some(promised) = promised else {
            return match record {
                // A second object beside one that is on record is never made: it was made after the plan was.
                // Begun and not made: there is nothing to look at.
                Some(record) if self.is_recorded() && record.status == RecordStatus::Creating && !deposes => {
                    self.id = None;
                    self.promise(now)
                }
                Some(record) if !deposes && self.change.id.as_ref() != Some(&record.id) => {
                    self.moved(&format!("another run has made it: {}", record.id))
                }
                Some(record) if !deposes => {
                    self.at.clone_from(&record.target);
                    self.phase = Phase::Doubting;
                    Turn::request(Request::Read)
                }
                Some(_) | None => {
                    self.id = None;
                    self.promise(now)
                }
            };
        };
        self.id = None;
        // An earlier run promised this create: whether it was made is to be found out before anything else.
        self.owner.token.clone_from(&promised.token);
        if self.is_recorded() {
            return self.promised_again(now);
        }
        self.maybe_made = true;
        // From now and not from the promise: its request may have waited for a budget, and been sent the moment before.
        self.phase = Phase::Finding { until: later(now, FIND_WINDOW) };
        Turn::request(Request::Find)
    }

    pub(super) fn promise(&mut self, now: Timestamp) -> Turn {
        let Some(record) = self.intended() else { return self.fail(&without_goal()) };
        self.phase = Phase::Making;
        let intent = Intent::create(self.owner.token.clone(), now, record);
        Turn::request(Request::Create).after(vec![Entry::Intent { address: self.change.address.clone(), intent }])
    }

    pub(super) fn intended(&self) -> Option<IntendedRecord> {
        let goal = self.change.goal.as_ref()?;
        Some(IntendedRecord {
            schema_version: goal.schema_version,
            target: self.change.target.clone(),
            spec: self.masked()?,
            declared: goal.declared,
            depends_on: goal.depends_on.clone(),
            protected: goal.protected,
            deposes: goal.deposes,
        })
    }

    pub(super) fn created(&mut self, id: &RemoteId) -> Entry {
        self.id = Some(id.clone());
        Entry::Created { address: self.change.address.clone(), id: id.clone() }
    }

    pub(super) fn create_failed(&mut self, error: &ProviderError, now: Timestamp) -> Turn {
        self.maybe_made |= error.class == ErrorClass::Ambiguous && !self.is_recorded();
        match self.retries.advise(error.class, error.asked_delay()) {
            Advice::Again(delay) => self.again(error, Request::Create, delay),
            Advice::Look(delay) if self.is_recorded() => self.again(error, Request::Create, delay),
            Advice::Look(delay) => {
                self.phase = Phase::Finding { until: later(now, FIND_WINDOW) };
                self.again(error, Request::Find, delay)
            }
            Advice::GiveUp { .. } => {
                let turn = self.fail(error);
                // Refused without effect, and never asked in a way that might have had one: the promise is void.
                if self.maybe_made {
                    turn
                } else {
                    turn.after(vec![Entry::Void { address: self.change.address.clone() }])
                }
            }
        }
    }

    pub(super) fn found(&mut self, id: &RemoteId, now: Timestamp) -> Turn {
        self.retries.reset();
        let entries = vec![self.created(id)];
        if self.step == StepKind::Delete {
            self.victims.push((id.clone(), self.at.clone()));
            return self.remove_next(now).after(entries);
        }
        self.settle(now).after(entries)
    }

    pub(super) fn not_found(&mut self, until: Timestamp, now: Timestamp) -> Turn {
        if now < until {
            // Describes lag behind creates: one look that finds nothing proves nothing.
            return Turn::request(Request::Find).delayed(Duration::from_secs(3));
        }
        if self.step == StepKind::Delete {
            let entries = vec![Entry::Void { address: self.change.address.clone() }];
            return self.remove_next(now).after(entries);
        }
        self.promise(now)
    }
}
