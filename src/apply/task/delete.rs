//! Removing objects: checked against what was reviewed, promised, asked for, and waited for until they are gone.

use jiff::Timestamp;

use crate::apply::retry::FIND_WINDOW;
use crate::plan::{Reason, fingerprint};
use crate::resource::{LiveDocument, Status};
use crate::state::{Entry, Intent, Operation, Record};

use super::turn::{Next, Request, Turn};
use super::{Phase, Task, later, without_goal};

impl Task<'_> {
    pub(super) fn begin_delete(&mut self, promised: Option<&Intent>, record: Option<&Record>, now: Timestamp) -> Turn {
        let deposed = record.into_iter().flat_map(|record| &record.deposed);
        let keeps_record =
            self.change.goal.as_ref().is_some_and(|goal| goal.deposes) || self.change.reason == Reason::Deposed;
        if !keeps_record {
            self.victims.extend(record.map(|record| (record.id.clone(), record.target.clone())));
        }
        self.victims.extend(deposed.map(|deposed| (deposed.id.clone(), deposed.target.clone())));
        if let Some(promised) = promised
            && !keeps_record
        {
            self.owner.token.clone_from(&promised.token);
            self.desired = promised.record.as_ref().map(|record| record.spec.clone());
            if let Some(record) = &promised.record {
                self.at.clone_from(&record.target);
            }
            if self.is_recorded() {
                return self.promised_again(now);
            }
            self.phase = Phase::Finding { until: later(now, FIND_WINDOW) };
            return Turn::request(Request::Find);
        }
        self.remove_next(now)
    }

    pub(super) fn remove_next(&mut self, now: Timestamp) -> Turn {
        let Some((victim, at)) = self.victims.last().cloned() else {
            return Turn { entries: Vec::new(), events: Vec::new(), next: Next::Finished(None) };
        };
        let planned = self.change.fingerprint.is_some() && self.change.id.as_ref() == Some(&victim);
        self.id = Some(victim);
        self.at = at;
        if planned && !self.is_recorded() {
            self.phase = Phase::Checking;
            return Turn::request(Request::Read);
        }
        self.promise_delete(now)
    }

    pub(super) fn checked_delete(&mut self, live: Option<LiveDocument>, now: Timestamp) -> Turn {
        let (Some(id), Some(live)) = (self.id.clone(), live) else { return self.gone(now) };
        let as_planned = live.status == Status::Deleting
            || self.change.fingerprint.is_none_or(|planned| planned == fingerprint(&id, &live.spec));
        if as_planned { self.promise_delete(now) } else { self.moved("its fields are not those that were reviewed") }
    }

    pub(super) fn promise_delete(&mut self, now: Timestamp) -> Turn {
        self.phase = Phase::Removing { since: now };
        let intent = Intent::on_record(Operation::Delete, now);
        Turn::request(Request::Delete).after(vec![Entry::Intent { address: self.change.address.clone(), intent }])
    }

    pub(super) fn going(&mut self, since: Timestamp, live: Option<&LiveDocument>, now: Timestamp) -> Turn {
        let Some(live) = live else { return self.gone(now) };
        let what = match &live.status {
            Status::Pending(what) | Status::Failed(what) => what.as_str(),
            Status::Ready => "it is still there",
            Status::Deleting => "it is being deleted",
        };
        self.wait(since, what, Request::Read, now)
    }

    pub(super) fn gone(&mut self, now: Timestamp) -> Turn {
        let Some((id, _)) = self.victims.pop() else { return self.fail(&without_goal()) };
        let entry = Entry::Deleted { address: self.change.address.clone(), id };
        self.retries.reset();
        self.remove_next(now).after(vec![entry])
    }
}
