//! What has nothing to be read back: its record in state is all there is.
//!
//! There is no looking: a create whose end is not on record is asked for again, with the same token. One entry says that
//! it was made and all that is known of it, so that no crash can part the two.

use jiff::Timestamp;

use crate::model::Document;
use crate::model::event::StepKind;
use crate::resource::erased::CreatedDocument;
use crate::resource::{ErrorClass, LiveDocument, ProviderError, Status, Updated, stored_outputs};
use crate::state::{Entry, Intent, Operation, Record};

use super::turn::{Answer, Next, Request, Turn};
use super::{Phase, Task, without_goal};

impl Task<'_> {
    /// What a create answered is what it is; one that has to wait for something is asked for again.
    pub(super) fn recorded(&mut self, created: CreatedDocument, now: Timestamp) -> Turn {
        self.retries.reset();
        let CreatedDocument { id, live } = created;
        let Some(live) = live else {
            let why = "a create must answer what it made, where there is nothing to read";
            return self.fail(&ProviderError::bug(self.kind.name(), why));
        };
        if let Status::Pending(what) | Status::Degraded(what) = &live.status {
            return self.wait(self.started, what, Request::Create, now);
        }
        let Some(record) = self.intended() else { return self.fail(&without_goal()) };
        self.id = Some(id.clone());
        let address = self.change.address.clone();
        let outputs = stored_outputs(self.kind, &live.outputs);
        let mut entries = vec![Entry::Adopted { address: address.clone(), id, record, outputs }];
        match live.status {
            Status::Ready | Status::Pending(_) | Status::Degraded(_) => {
                Turn { entries, events: Vec::new(), next: Next::Finished(Some(live.outputs)) }
            }
            Status::Failed(why) => {
                entries.push(Entry::Tainted { address, reason: why.clone() });
                self.fail(&ProviderError::new(ErrorClass::Invalid, self.kind.name(), why)).after(entries)
            }
            Status::Deleting => {
                let why = "what was just made is said to be going away";
                self.fail(&ProviderError::bug(self.kind.name(), why)).after(entries)
            }
        }
    }

    /// Changes it from what is on record.
    pub(super) fn begin_amend(&mut self, record: Option<&Record>, now: Timestamp) -> Turn {
        let Some(record) = record else { return self.moved("it is no longer in state") };
        self.phase = Phase::Amending { since: now, outputs: record.outputs.clone() };
        let intent = Intent::on_record(Operation::Update, now);
        self.amend().after(vec![Entry::Intent { address: self.change.address.clone(), intent }])
    }

    fn amend(&self) -> Turn {
        match (self.prior.clone(), self.desired.clone()) {
            (Some(from), Some(to)) => Turn::request(Request::Update { from, to }),
            (None | Some(_), None) | (None, Some(_)) => self.fail(&without_goal()),
        }
    }

    /// Takes the answer to an update: once it is done the record is what is declared, and its outputs are what they were.
    pub(super) fn amended(&mut self, since: Timestamp, outputs: Document, answer: Answer, now: Timestamp) -> Turn {
        let status = match answer {
            Answer::Updated(Ok(Updated::Done)) => Status::Ready,
            Answer::Updated(Ok(Updated::Underway(update))) => {
                self.retries.reset();
                return Turn::request(Request::Follow(update));
            }
            Answer::Followed(update, Ok(Status::Pending(what) | Status::Degraded(what))) => {
                self.retries.reset();
                return self.wait(since, &what, Request::Follow(update), now);
            }
            Answer::Followed(_, Ok(status)) => status,
            Answer::Followed(update, Err(error)) => return self.retry(&error, Request::Follow(update)),
            Answer::Updated(Err(error)) => {
                let again = self.amend();
                return match again.next {
                    Next::Request(request, _) => self.retry(&error, request),
                    Next::Finished(_) | Next::Failed(_) => again,
                };
            }
            Answer::Read(_) | Answer::Created(_) | Answer::Found(_) | Answer::Diagnosed(_) | Answer::Deleted(_) => {
                return self.fail(&ProviderError::bug("apply", "an answer came to a question that was not asked"));
            }
        };
        match status {
            Status::Failed(why) => self.fail(&ProviderError::new(ErrorClass::Invalid, self.kind.name(), why)),
            Status::Ready | Status::Pending(_) | Status::Degraded(_) | Status::Deleting => {
                let Some(spec) = self.desired.clone() else { return self.fail(&without_goal()) };
                self.ready(&LiveDocument { spec, outputs, status: Status::Ready }, now)
            }
        }
    }

    /// An interrupted create of it: it is not there unless it is on record, and is asked for again.
    pub(super) fn promised_again(&mut self, now: Timestamp) -> Turn {
        if self.step == StepKind::Delete {
            let entries = vec![Entry::Void { address: self.change.address.clone() }];
            return self.remove_next(now).after(entries);
        }
        self.promise(now)
    }
}
