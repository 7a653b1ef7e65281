//! Waiting until an object is ready, and bringing it to its spec: one request at a time, read after each.

use std::time::Duration;

use jiff::Timestamp;

use crate::apply::retry::Advice;
use crate::model::Document;
use crate::model::diff::{Cause, Impact, outgoing};
use crate::model::event::{Event, StepKind};
use crate::resource::{ErrorClass, LiveDocument, ProviderError, Status, stored_outputs};
use crate::state::{Entry, Intent, Operation};

use super::turn::{Next, Request, Turn};
use super::{MOST_ROUNDS, Phase, Task, describe, elapsed, text, without_goal};

/// How long a new object may stay invisible (DOMAIN 1.2).
const NOT_YET: Duration = Duration::from_mins(2);

/// How long a read may answer what was before an update.
const STALE_READS: Duration = Duration::from_secs(10);

impl Task<'_> {
    pub(super) fn settle(&mut self, now: Timestamp) -> Turn {
        self.phase = Phase::Settling { since: now, seen: false, rounds: 0 };
        Turn::request(Request::Read)
    }

    /// It cannot be read: not visible yet, for a moment not visible again, or gone.
    pub(super) fn invisible(&mut self, since: Timestamp, seen: bool, now: Timestamp) -> Turn {
        let error = if seen {
            ProviderError::new(ErrorClass::Conflict, self.kind.name(), "it was there and is gone: someone deleted it")
        } else {
            ProviderError::new(ErrorClass::NotYet, self.kind.name(), "it did not become visible")
        };
        if elapsed(since, now) > self.kind.wait().ceiling.max(NOT_YET) {
            return self.fail(&error);
        }
        match self.retries.advise(ErrorClass::NotYet, None) {
            Advice::Again(delay) | Advice::Look(delay) => {
                Turn::request(Request::Read).delayed(delay.min(self.kind.wait().interval))
            }
            Advice::GiveUp { .. } => self.fail(&error),
        }
    }

    pub(super) fn settled(&mut self, live: &LiveDocument, now: Timestamp) -> Turn {
        let Phase::Settling { since, rounds, .. } = self.phase else { return self.fail(&without_goal()) };
        match &live.status {
            Status::Pending(what) => self.wait(since, what, Request::Read, now),
            // What ails it may be what is to be changed.
            Status::Degraded(what) if self.differences(&live.spec.value()).is_empty() => {
                self.wait(since, what, Request::Read, now)
            }
            Status::Failed(why) => {
                let error = ProviderError::new(ErrorClass::Invalid, self.kind.name(), why.clone());
                let entry = Entry::Tainted { address: self.change.address.clone(), reason: why.clone() };
                let mut turn = self.fail(&error).after(vec![entry]);
                turn.advise("mend the cause; the next apply replaces it");
                turn
            }
            Status::Deleting => {
                self.fail(&ProviderError::new(ErrorClass::Conflict, self.kind.name(), "someone is deleting it"))
            }
            Status::Ready | Status::Degraded(_) => {
                let observed = live.spec.value();
                let fields = self.differences(&observed);
                if fields.is_empty() {
                    return self.ready(live, now);
                }
                let stuck: Vec<String> = fields
                    .iter()
                    .filter(|field| field.impact == Impact::Replace || rounds >= MOST_ROUNDS)
                    .map(describe)
                    .collect();
                if stuck.is_empty() {
                    // Not every update may be repeated (a second IPv6 block would be a second one): what looks as it did
                    // before the last may be an old answer, and is looked at again for a while.
                    if let Some((from, at)) = &self.updated
                        && *from == live.spec
                        && elapsed(*at, now) < STALE_READS
                    {
                        return Turn::request(Request::Read).delayed(Duration::from_secs(1));
                    }
                    self.updated = Some((live.spec.clone(), now));
                    return match Document::of(&outgoing(&observed, &self.goal(), &fields, self.kind.fields())) {
                        Ok(to) => Turn::request(Request::Update { from: live.spec.clone(), to }),
                        Err(error) => self.fail(&ProviderError::bug(self.kind.name(), error.to_string())),
                    };
                }
                let message = format!("the provider keeps {}", stuck.join(", "));
                let mut turn = self.fail(&ProviderError::new(ErrorClass::Conflict, self.kind.name(), message));
                turn.advise("plan again: it shows what differs and what that forces");
                turn
            }
        }
    }

    /// Asks again after the kind's interval: why, and with which request.
    pub(super) fn wait(&mut self, since: Timestamp, what: &str, next: Request, now: Timestamp) -> Turn {
        let policy = self.kind.wait();
        let settles = matches!(self.phase, Phase::Settling { .. }) && next == Request::Read;
        if settles && !self.diagnosed && policy.suspect.is_some_and(|after| elapsed(since, now) >= after) {
            self.diagnosed = true;
            return Turn::request(Request::Diagnose);
        }
        if elapsed(since, now) > policy.ceiling {
            let goal = match self.phase {
                Phase::Removing { .. } | Phase::Going { .. } => "gone",
                Phase::Making
                | Phase::Finding { .. }
                | Phase::Settling { .. }
                | Phase::Checking
                | Phase::Adopting
                | Phase::Claiming
                | Phase::Amending { .. }
                | Phase::Doubting => "ready",
            };
            let message = format!("not {goal} after {} s: {what}", policy.ceiling.as_secs());
            let mut turn = self.fail(&ProviderError::new(ErrorClass::NotYet, self.kind.name(), message));
            turn.advise("apply again to go on waiting: nothing is made twice");
            return turn;
        }
        let id = self.id.as_ref().map(ToString::to_string).unwrap_or_default();
        let event =
            Event::StepWaiting { address: self.change.address.clone(), kind: self.step, id, what: what.to_owned() };
        let mut turn = Turn::request(next).delayed(policy.interval);
        turn.events.push(event);
        turn
    }

    /// What the kind says about a wait that takes too long. A diagnosis that cannot be made says nothing.
    pub(super) fn suspected(&mut self, answer: Result<Vec<String>, ProviderError>) -> Turn {
        let findings = answer.unwrap_or_default();
        if findings.is_empty() {
            return Turn::request(Request::Read).delayed(self.kind.wait().interval);
        }
        let message = format!("it does not get ready: {}", findings.join("; "));
        let mut turn = self.fail(&ProviderError::new(ErrorClass::NotYet, self.kind.name(), message));
        turn.advise("mend that and apply again: the wait goes on, and nothing is made twice");
        turn
    }

    pub(super) fn ready(&mut self, live: &LiveDocument, now: Timestamp) -> Turn {
        let (Some(goal), Some(spec)) = (self.change.goal.as_ref(), self.masked()) else {
            return self.fail(&without_goal());
        };
        let took = match self.step {
            StepKind::Create => Some((Operation::Create, self.seconds(now))),
            StepKind::Update => Some((Operation::Update, self.seconds(now))),
            // A part of a create's time says nothing of the next create.
            StepKind::Wait | StepKind::Adopt | StepKind::Delete | StepKind::Forget => None,
        };
        let entry = Entry::Ready {
            address: self.change.address.clone(),
            spec,
            declared: goal.declared,
            depends_on: goal.depends_on.clone(),
            protected: goal.protected,
            schema_version: goal.schema_version,
            outputs: stored_outputs(self.kind, &live.outputs),
            took,
        };
        Turn { entries: vec![entry], events: Vec::new(), next: Next::Finished(Some(live.outputs.clone())) }
    }

    pub(super) fn checked(&mut self, live: Option<LiveDocument>, now: Timestamp) -> Turn {
        if self.step == StepKind::Delete {
            return self.checked_delete(live, now);
        }
        let Some(live) = live else {
            return self.moved("it is gone");
        };
        match &live.status {
            Status::Deleting => return self.moved("it is being deleted"),
            Status::Failed(why) => return self.moved(why),
            Status::Ready | Status::Pending(_) | Status::Degraded(_) => {}
        }
        let now_differs = self.differences(&live.spec.value());
        let unplanned: Vec<String> = now_differs
            .iter()
            .filter(|field| {
                let known =
                    self.change.fields.iter().any(|known| known.path == field.path && known.before == field.before);
                // A route whose gateway this run has just replaced is a blackhole: that was to be expected.
                let expected = self.stirred && field.cause == Cause::Drifted;
                !known && !expected
            })
            .map(|field| {
                let planned = self.change.fields.iter().find(|known| known.path == field.path);
                let was = planned.map_or(field.after.as_ref(), |known| known.before.as_ref());
                format!("`{}` was {} and is {}", field.path, text(was), text(field.before.as_ref()))
            })
            .collect();
        if self.change.fingerprint.is_some() && !unplanned.is_empty() {
            return self.moved(&unplanned.join(", "));
        }
        let intent = Intent::on_record(Operation::Update, now);
        self.phase = Phase::Settling { since: now, seen: true, rounds: 0 };
        self.settled(&live, now).after(vec![Entry::Intent { address: self.change.address.clone(), intent }])
    }

    pub(super) fn moved(&self, what: &str) -> Turn {
        let message = format!("it has moved since the plan was made: {what}");
        let mut turn = self.fail(&ProviderError::new(ErrorClass::Conflict, self.kind.name(), message));
        turn.advise("plan again and review what changed");
        turn
    }
}
