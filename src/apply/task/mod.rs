//! What one step does next: a state machine that takes the last answer and says the next request.
//!
//! The order of what a turn says is the crash safety: its entries are durable before its request is made. A create
//! is promised before it is asked for, and its id is written before it is waited for.

mod claim;
mod create;
mod delete;
mod recorded;
mod settle;
mod turn;

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::diff::{FieldChange, FieldTrait, ThreeWay, diff, mask_sensitive};
use crate::model::event::{Event, StepKind};
use crate::model::{Document, Target, Value};
use crate::plan::{Change, Reason};
use crate::resource::{Deletion, DynKind, ErrorClass, Ownership, Possession, ProviderError, RemoteId, Status, Updated};
use crate::state::{Entry, Operation, State};

use super::report::{Failure, help, is_retry_safe};
use super::retry::{Advice, Retries};

pub(super) use turn::{Answer, Next, Request, Turn};

/// What a task is busy with: how it takes the next answer.
#[derive(Debug, Clone, PartialEq)]
enum Phase {
    /// Making the object.
    Making,
    /// Looking for what an interrupted create made, until then.
    Finding { until: Timestamp },
    /// Waiting until it is ready, and bringing it to its spec.
    Settling { since: Timestamp, seen: bool, rounds: u32 },
    /// Checking that what is to be changed is what was planned on.
    Checking,
    /// Removing it.
    Removing { since: Timestamp },
    /// Waiting until it is gone.
    Going { since: Timestamp },
    /// Looking at someone else's object.
    Adopting,
    /// Looking at an object of ours that state does not know.
    Claiming,
    /// Changing what has nothing to be read; these outputs stay.
    Amending { since: Timestamp, outputs: Document },
    /// Looking once more at what the plan believes to be gone, before acting on that.
    Doubting,
}

/// An update that is still not what it should be after this many requests never will be: the widest kind, a
/// subnet, needs eight.
const MOST_ROUNDS: u32 = 64;

/// One running step.
#[expect(clippy::struct_excessive_bools, reason = "four facts that have nothing to do with each other")]
pub(in crate::apply) struct Task<'a> {
    pub(in crate::apply) change: &'a Change,
    pub(in crate::apply) step: StepKind,
    pub(in crate::apply) kind: &'static dyn DynKind,
    pub(in crate::apply) started: Timestamp,
    /// How long it waited for a budget: not part of what the step itself takes.
    pub(in crate::apply) gated: Duration,
    /// Which object the next read, update or delete is about.
    pub(in crate::apply) id: Option<RemoteId>,
    /// Where the next request goes: where the object lives, which is not where its successor will when a region changed.
    pub(in crate::apply) at: Target,
    /// The filled spec; absent for deletes.
    pub(in crate::apply) desired: Option<Document>,
    pub(in crate::apply) owner: Ownership,
    /// What was last applied, for an update: fields that were ours and are no longer declared are removed.
    prior: Option<Document>,
    lineage: Rc<str>,
    phase: Phase,
    retries: Retries,
    /// Whether a create's answer was lost: its promise stays open when the step fails.
    maybe_made: bool,
    /// Whether the last request that was to change something was refused: a read that succeeds is no progress then.
    write_failed: bool,
    /// What the last update started from, and when it was answered: the same seen again may be an old answer.
    updated: Option<(Document, Timestamp)>,
    /// Whether this run has replaced or deleted something that it stands on: what that does to it was to be expected.
    stirred: bool,
    /// Whether the kind was asked why it takes so long.
    diagnosed: bool,
    /// What is still to be deleted and where it lives, the next last.
    victims: Vec<(RemoteId, Target)>,
}

/// What a task needs to begin.
pub(in crate::apply) struct Beginning<'a, 's> {
    pub(in crate::apply) change: &'a Change,
    pub(in crate::apply) step: StepKind,
    pub(in crate::apply) kind: &'static dyn DynKind,
    pub(in crate::apply) now: Timestamp,
    pub(in crate::apply) state: &'s State,
    /// The state's lineage, shared by all tasks.
    pub(in crate::apply) lineage: Rc<str>,
    /// The filled spec, for steps that have a goal.
    pub(in crate::apply) desired: Option<Document>,
    /// The token that a create gets when it has none yet.
    pub(in crate::apply) token: String,
    /// Whether this run replaces or deletes something that the resource stands on.
    pub(in crate::apply) stirred: bool,
}

impl<'a> Task<'a> {
    /// Begins a step.
    pub(in crate::apply) fn begin(beginning: Beginning<'a, '_>) -> (Self, Turn) {
        let Beginning { change, step, kind, now, state, lineage, desired, token, stirred } = beginning;
        let record = state.records.get(&change.address);
        let mut task = Self {
            change,
            step,
            kind,
            started: now,
            gated: Duration::ZERO,
            id: record.map(|record| record.id.clone()),
            desired,
            owner: Ownership { mesh: state.mesh.clone(), address: change.address.clone(), token },
            // Only an update compares with it: what is made or deleted has no use for it.
            prior: record.filter(|_| step == StepKind::Update).map(|record| record.spec.clone()),
            lineage,
            phase: Phase::Making,
            retries: Retries::new(seed(&change.address)),
            maybe_made: false,
            write_failed: false,
            updated: None,
            stirred,
            diagnosed: false,
            at: match (step, record) {
                (StepKind::Create | StepKind::Adopt, _) | (_, None) => change.target.clone(),
                (StepKind::Update | StepKind::Delete | StepKind::Wait | StepKind::Forget, Some(record)) => {
                    record.target.clone()
                }
            },
            victims: Vec::new(),
        };
        let promised = state.intents.get(&change.address).filter(|intent| intent.operation == Operation::Create);
        let turn = match step {
            StepKind::Create => task.begin_create(promised, record, now),
            StepKind::Adopt if change.reason == Reason::BroughtAlong => {
                task.id.clone_from(&change.id);
                task.phase = Phase::Adopting;
                Turn::request(Request::Read)
            }
            StepKind::Adopt if change.reason == Reason::Lost => {
                task.id.clone_from(&change.id);
                task.phase = Phase::Claiming;
                Turn::request(Request::Read)
            }
            StepKind::Adopt => task.begin_adopt(now),
            StepKind::Update if kind.possession() == Possession::Recorded => task.begin_amend(record, now),
            StepKind::Wait => {
                task.prior = None;
                task.settle(now)
            }
            StepKind::Update => {
                task.phase = Phase::Checking;
                Turn::request(Request::Read)
            }
            StepKind::Delete => task.begin_delete(promised, record, now),
            // What is said to be gone is looked for once more; what is someone else's only leaves the state.
            StepKind::Forget if record.is_some() && kind.possession() == Possession::Owned => {
                task.phase = Phase::Doubting;
                Turn::request(Request::Read)
            }
            StepKind::Forget => task.forget(),
        };
        (task, turn)
    }

    /// Takes an answer.
    pub(in crate::apply) fn advance(&mut self, answer: Answer, now: Timestamp) -> Turn {
        match (self.phase.clone(), answer) {
            (Phase::Making, Answer::Created(Ok(created))) if self.is_recorded() => self.recorded(created, now),
            (Phase::Making, Answer::Created(Ok(created))) => {
                self.retries.reset();
                let entries = vec![self.created(&created.id)];
                let Some(live) = created.live else {
                    return self.settle(now).delayed(self.kind.wait().first).after(entries);
                };
                // Only a read proves that it can be read: the answer of the create does not.
                self.phase = Phase::Settling { since: now, seen: false, rounds: 0 };
                let turn = self.settled(&live, now).after(entries);
                if matches!(live.status, Status::Pending(_) | Status::Degraded(_)) {
                    turn.delayed(self.kind.wait().first)
                } else {
                    turn
                }
            }
            (Phase::Making, Answer::Created(Err(error))) => self.create_failed(&error, now),
            (Phase::Finding { .. }, Answer::Found(Ok(Some(id)))) => self.found(&id, now),
            (Phase::Finding { until }, Answer::Found(Ok(None))) => self.not_found(until, now),
            (Phase::Settling { since, seen, rounds }, Answer::Read(Ok(live))) => match live {
                Some(live) => {
                    if !self.write_failed {
                        self.retries.reset();
                    }
                    self.phase = Phase::Settling { since, seen: true, rounds };
                    self.settled(&live, now)
                }
                None => self.invisible(since, seen, now),
            },
            (Phase::Settling { since, seen, rounds }, Answer::Updated(Ok(updated))) => {
                self.retries.reset();
                self.write_failed = false;
                if let Some((_, at)) = &mut self.updated {
                    *at = now;
                }
                self.phase = Phase::Settling { since, seen, rounds: rounds + 1 };
                match updated {
                    Updated::Done => Turn::request(Request::Read),
                    Updated::Underway(update) => Turn::request(Request::Follow(update)),
                }
            }
            (Phase::Settling { since, .. }, Answer::Followed(update, Ok(status))) => {
                self.retries.reset();
                match status {
                    Status::Pending(what) | Status::Degraded(what) => {
                        self.wait(since, &what, Request::Follow(update), now)
                    }
                    Status::Ready | Status::Deleting => {
                        // What is read now may still be an old answer: the update ended only now.
                        if let Some((_, at)) = &mut self.updated {
                            *at = now;
                        }
                        Turn::request(Request::Read)
                    }
                    Status::Failed(why) => self.fail(&ProviderError::new(ErrorClass::Invalid, self.kind.name(), why)),
                }
            }
            (Phase::Settling { .. }, Answer::Diagnosed(answer)) => self.suspected(answer),
            (Phase::Amending { since, outputs }, answer) => self.amended(since, outputs, answer, now),
            (Phase::Checking, Answer::Read(Ok(live))) => self.checked(live, now),
            (Phase::Removing { since }, Answer::Deleted(Ok(deletion))) => {
                self.retries.reset();
                match deletion {
                    Deletion::Again => Turn::request(Request::Delete),
                    Deletion::Later(what) => self.wait(since, &what, Request::Delete, now),
                    Deletion::Accepted if self.is_recorded() => self.gone(now),
                    Deletion::Accepted => {
                        self.phase = Phase::Going { since };
                        Turn::request(Request::Read)
                    }
                }
            }
            (Phase::Going { since }, Answer::Read(Ok(live))) => self.going(since, live.as_ref(), now),
            (Phase::Adopting, Answer::Read(Ok(live))) => self.adopt(live),
            (Phase::Claiming, Answer::Read(Ok(live))) => self.claim(live, now),
            (Phase::Doubting, Answer::Read(Ok(live))) => self.doubted(live.is_some(), now),
            (_, Answer::Read(Err(error))) => self.retry(&error, Request::Read),
            (_, Answer::Updated(Err(error))) => {
                self.write_failed = true;
                self.updated = None;
                self.retry(&error, Request::Read)
            }
            (_, Answer::Found(Err(error))) => self.retry(&error, Request::Find),
            (_, Answer::Followed(update, Err(error))) => self.retry(&error, Request::Follow(update)),
            (_, Answer::Deleted(Err(error))) => self.retry(&error, Request::Delete),
            (
                _,
                Answer::Created(_)
                | Answer::Found(_)
                | Answer::Updated(_)
                | Answer::Followed(..)
                | Answer::Diagnosed(_)
                | Answer::Deleted(_)
                | Answer::Read(_),
            ) => self.fail(&ProviderError::bug("apply", "an answer came to a question that was not asked")),
        }
    }

    /// Whether there is nothing to read of it.
    fn is_recorded(&self) -> bool {
        self.kind.possession() == Possession::Recorded
    }

    fn forget(&self) -> Turn {
        Turn {
            entries: vec![Entry::Forgotten { address: self.change.address.clone() }],
            events: Vec::new(),
            next: Next::Finished(None),
        }
    }

    /// The last look before a record is given up.
    fn doubted(&mut self, there: bool, now: Timestamp) -> Turn {
        if there {
            return self.moved("it is there after all");
        }
        if self.step == StepKind::Forget {
            return self.forget();
        }
        self.id = None;
        self.at.clone_from(&self.change.target);
        self.promise(now)
    }

    /// How long the step itself took so far, in seconds.
    pub(in crate::apply) fn seconds(&self, now: Timestamp) -> f64 {
        elapsed(self.started, now).saturating_sub(self.gated).as_secs_f64()
    }

    fn differences(&self, observed: &Value) -> Vec<FieldChange> {
        let (desired, prior) = (self.goal(), self.prior.as_ref().map(Document::value));
        let documents = ThreeWay { desired: &desired, prior: prior.as_ref(), observed };
        let mut fields = diff(documents, self.kind.fields(), &self.lineage);
        if self.prior.is_none() {
            // Fresh from its create there is nothing to compare a write-only field with: it is what was sent.
            fields.retain(|field| !self.is_write_only(field));
        }
        fields
    }

    fn is_write_only(&self, field: &FieldChange) -> bool {
        let path = field.path.to_string();
        self.kind.fields().iter().any(|rule| {
            rule.traits.contains(&FieldTrait::WriteOnly)
                && (path == rule.path || path.starts_with(&format!("{}.", rule.path)))
        })
    }

    /// What it shall be, as a tree: parsed when it is needed, which is seldom.
    fn goal(&self) -> Value {
        self.desired.as_ref().map_or(Value::Null, Document::value)
    }

    fn masked(&self) -> Option<Document> {
        if !self.kind.fields().iter().any(|rule| rule.traits.contains(&FieldTrait::Sensitive)) {
            return self.desired.clone();
        }
        Document::of(&mask_sensitive(&self.goal(), self.kind.fields(), &self.lineage)).ok()
    }

    fn retry(&mut self, error: &ProviderError, request: Request) -> Turn {
        match self.retries.advise(error.class, error.asked_delay()) {
            Advice::Again(delay) | Advice::Look(delay) => self.again(error, request, delay),
            Advice::GiveUp { .. } => self.fail(error),
        }
    }

    fn again(&self, error: &ProviderError, request: Request, delay: Duration) -> Turn {
        let event = Event::StepRetrying {
            address: self.change.address.clone(),
            kind: self.step,
            attempt: self.retries.attempts(),
            in_seconds: delay.as_secs_f64(),
            error: error.to_string(),
        };
        Turn { entries: Vec::new(), events: vec![event], next: Next::Request(request, delay) }
    }

    fn fail(&self, error: &ProviderError) -> Turn {
        let tries = match self.retries.attempts() {
            0 | 1 => String::new(),
            n => format!(" (gave up after {n} tries)"),
        };
        let failure = Failure {
            address: self.change.address.clone(),
            kind: self.step,
            error: format!("{error}{tries}"),
            help: help(error),
            retry_safe: is_retry_safe(error.class),
        };
        Turn { entries: Vec::new(), events: Vec::new(), next: Next::Failed(failure) }
    }
}

fn text(value: Option<&Value>) -> String {
    value.map_or_else(|| "(not set)".to_owned(), ToString::to_string)
}

fn describe(field: &FieldChange) -> String {
    format!("`{}` = {} instead of {}", field.path, text(field.before.as_ref()), text(field.after.as_ref()))
}

fn without_goal() -> ProviderError {
    ProviderError::bug("apply", "the plan does not say what the resource shall be")
}

/// The seed of a resource's jitter: its own, and the same in each run.
fn seed(address: &crate::model::Address) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&crate::model::Digest::of(address.as_str()).as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn later(from: Timestamp, by: Duration) -> Timestamp {
    from.checked_add(by).unwrap_or(Timestamp::MAX)
}
