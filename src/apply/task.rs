//! What one step does next: a state machine that takes the last answer and says the next request.
//!
//! The order of what a turn says is the crash safety: its entries are durable before its request is made. A create
//! is promised before it is asked for, and its id is written before it is waited for.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::diff::{FieldChange, Impact, ThreeWay, diff, mask_sensitive};
use crate::model::event::{Event, StepKind};
use crate::model::{Document, Value};
use crate::plan::{Change, Reason, fingerprint};
use crate::resource::{
    Deletion, DynKind, ErrorClass, LiveDocument, Ownership, ProviderError, RemoteId, Status, stored_outputs,
};
use crate::state::{Entry, IntendedRecord, Intent, Operation, State};

use super::report::{Failure, help, is_retry_safe};
use super::retry::{Advice, FIND_WINDOW, Retries};

/// A request to a provider.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Request {
    /// Read the object with the task's id.
    Read,
    /// Make it.
    Create,
    /// Look for what an interrupted create made.
    Find,
    /// Take one step from this spec towards the desired one.
    Update(Document),
    /// Remove the object with the task's id.
    Delete,
}

/// A provider's answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// To [`Request::Read`].
    Read(Result<Option<LiveDocument>, ProviderError>),
    /// To [`Request::Create`].
    Created(Result<crate::resource::erased::CreatedDocument, ProviderError>),
    /// To [`Request::Find`].
    Found(Result<Option<RemoteId>, ProviderError>),
    /// To [`Request::Update`].
    Updated(Result<(), ProviderError>),
    /// To [`Request::Delete`].
    Deleted(Result<Deletion, ProviderError>),
}

/// What a task says after an answer. The entries are made durable first, then the events go out, then it goes on.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) entries: Vec<Entry>,
    pub(super) events: Vec<Event>,
    pub(super) next: Next,
}

/// How a task goes on.
#[derive(Debug)]
pub(super) enum Next {
    /// With this request, after this long.
    Request(Request, Duration),
    /// It is done. All outputs, also those that are not stored.
    Finished(Option<Document>),
    /// It failed.
    Failed(Failure),
}

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
    Removing,
    /// Waiting until it is gone.
    Going { since: Timestamp },
    /// Looking at someone else's object.
    Adopting,
}

/// An update that is still not what it should be after this many requests never will be: the widest kind, a
/// subnet, needs eight.
const MOST_ROUNDS: u32 = 64;

/// One running step.
pub(super) struct Task<'a> {
    pub(super) change: &'a Change,
    pub(super) step: StepKind,
    pub(super) kind: &'static dyn DynKind,
    pub(super) started: Timestamp,
    /// How long it waited for a budget: not part of what the step itself takes.
    pub(super) gated: Duration,
    /// Which object the next read, update or delete is about.
    pub(super) id: Option<RemoteId>,
    /// The filled spec; absent for deletes.
    pub(super) desired: Option<Document>,
    pub(super) owner: Ownership,
    desired_value: Value,
    /// What was last applied, for an update: fields that were ours and are no longer declared are removed.
    prior: Option<Value>,
    lineage: String,
    phase: Phase,
    retries: Retries,
    /// Whether a create's answer was lost: its promise stays open when the step fails.
    maybe_made: bool,
    /// What is still to be deleted, the next last.
    victims: Vec<RemoteId>,
}

/// What a task needs to begin.
pub(super) struct Beginning<'a, 's> {
    pub(super) change: &'a Change,
    pub(super) step: StepKind,
    pub(super) kind: &'static dyn DynKind,
    pub(super) now: Timestamp,
    pub(super) state: &'s State,
    /// The filled spec, for steps that have a goal.
    pub(super) desired: Option<(Value, Document)>,
    /// The token that a create gets when it has none yet.
    pub(super) token: String,
}

impl<'a> Task<'a> {
    /// Begins a step.
    pub(super) fn begin(beginning: Beginning<'a, '_>) -> (Self, Turn) {
        let Beginning { change, step, kind, now, state, desired, token } = beginning;
        let record = state.records.get(&change.address);
        let (desired_value, desired) = desired.map_or((Value::Null, None), |(value, document)| (value, Some(document)));
        let mut task = Self {
            change,
            step,
            kind,
            started: now,
            gated: Duration::ZERO,
            id: record.map(|record| record.id.clone()),
            desired,
            owner: Ownership { mesh: state.mesh.clone(), address: change.address.clone(), token },
            desired_value,
            prior: record.map(|record| record.spec.value()),
            lineage: state.lineage.clone(),
            phase: Phase::Making,
            retries: Retries::new(seed(&change.address)),
            maybe_made: false,
            victims: Vec::new(),
        };
        let promised = state.intents.get(&change.address).filter(|intent| intent.operation == Operation::Create);
        let turn = match step {
            StepKind::Create => task.begin_create(promised, now),
            StepKind::Adopt if change.reason == Reason::BroughtAlong => {
                task.id.clone_from(&change.id);
                task.phase = Phase::Adopting;
                Turn::request(Request::Read)
            }
            StepKind::Adopt => task.begin_adopt(now),
            StepKind::Wait => {
                task.prior = None;
                task.settle(now)
            }
            StepKind::Update => {
                task.phase = Phase::Checking;
                Turn::request(Request::Read)
            }
            StepKind::Delete => task.begin_delete(promised, record, now),
            StepKind::Forget => Turn {
                entries: vec![Entry::Forgotten { address: change.address.clone() }],
                events: Vec::new(),
                next: Next::Finished(None),
            },
        };
        (task, turn)
    }

    /// Takes an answer.
    pub(super) fn advance(&mut self, answer: Answer, now: Timestamp) -> Turn {
        match (self.phase.clone(), answer) {
            (Phase::Making, Answer::Created(Ok(created))) => {
                self.retries.reset();
                let entries = vec![self.created(&created.id)];
                match created.live {
                    Some(live) => {
                        self.phase = Phase::Settling { since: now, seen: true, rounds: 0 };
                        self.settled(&live, now).after(entries)
                    }
                    None => self.settle(now).delayed(self.kind.wait().first).after(entries),
                }
            }
            (Phase::Making, Answer::Created(Err(error))) => self.create_failed(error, now),
            (Phase::Finding { .. }, Answer::Found(Ok(Some(id)))) => self.found(&id, now),
            (Phase::Finding { until }, Answer::Found(Ok(None))) => self.not_found(until, now),
            (Phase::Settling { since, seen, rounds }, Answer::Read(Ok(live))) => match live {
                Some(live) => {
                    self.retries.reset();
                    self.phase = Phase::Settling { since, seen: true, rounds };
                    self.settled(&live, now)
                }
                None => self.invisible(since, seen, now),
            },
            (Phase::Settling { since, rounds, .. }, Answer::Updated(Ok(()))) => {
                self.retries.reset();
                self.phase = Phase::Settling { since, seen: true, rounds: rounds + 1 };
                Turn::request(Request::Read)
            }
            (Phase::Checking, Answer::Read(Ok(live))) => self.checked(live, now),
            (Phase::Removing, Answer::Deleted(Ok(deletion))) => {
                self.retries.reset();
                match deletion {
                    Deletion::Again => Turn::request(Request::Delete),
                    Deletion::Accepted => {
                        self.phase = Phase::Going { since: now };
                        Turn::request(Request::Read)
                    }
                }
            }
            (Phase::Going { since }, Answer::Read(Ok(live))) => self.going(since, live.as_ref(), now),
            (Phase::Adopting, Answer::Read(Ok(live))) => self.adopt(live),
            (_, Answer::Read(Err(error)) | Answer::Updated(Err(error))) => self.retry(error, Request::Read),
            (_, Answer::Found(Err(error))) => self.retry(error, Request::Find),
            (_, Answer::Deleted(Err(error))) => self.retry(error, Request::Delete),
            (_, Answer::Created(_) | Answer::Found(_) | Answer::Updated(_) | Answer::Deleted(_) | Answer::Read(_)) => {
                self.fail(&ProviderError::bug("apply", "an answer came to a question that was not asked"))
            }
        }
    }

    // Creating

    fn begin_create(&mut self, promised: Option<&Intent>, now: Timestamp) -> Turn {
        self.prior = None;
        self.id = None;
        let Some(promised) = promised else { return self.promise(now) };
        // An earlier run promised this create: whether it was made is to be found out before anything else.
        self.owner.token.clone_from(&promised.token);
        self.maybe_made = true;
        self.phase = Phase::Finding { until: later(promised.started, FIND_WINDOW) };
        Turn::request(Request::Find)
    }

    fn promise(&mut self, now: Timestamp) -> Turn {
        let Some(record) = self.intended() else { return self.fail(&without_goal()) };
        self.phase = Phase::Making;
        let intent = Intent::create(self.owner.token.clone(), now, record);
        Turn::request(Request::Create).after(vec![Entry::Intent { address: self.change.address.clone(), intent }])
    }

    fn intended(&self) -> Option<IntendedRecord> {
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

    fn created(&mut self, id: &RemoteId) -> Entry {
        self.id = Some(id.clone());
        Entry::Created { address: self.change.address.clone(), id: id.clone() }
    }

    fn create_failed(&mut self, error: ProviderError, now: Timestamp) -> Turn {
        self.maybe_made |= error.class == ErrorClass::Ambiguous;
        match self.retries.advise(error.class, error.retry_after) {
            Advice::Again(delay) => self.again(&error, Request::Create, delay),
            Advice::Look(delay) => {
                self.phase = Phase::Finding { until: later(now, FIND_WINDOW) };
                self.again(&error, Request::Find, delay)
            }
            Advice::GiveUp { .. } => {
                let turn = self.fail(&error);
                // Refused without effect, and never asked in a way that might have had one: the promise is void.
                if self.maybe_made {
                    turn
                } else {
                    turn.after(vec![Entry::Void { address: self.change.address.clone() }])
                }
            }
        }
    }

    fn found(&mut self, id: &RemoteId, now: Timestamp) -> Turn {
        self.retries.reset();
        let entries = vec![self.created(id)];
        if self.step == StepKind::Delete {
            self.victims.push(id.clone());
            return self.remove_next(now).after(entries);
        }
        self.settle(now).after(entries)
    }

    fn not_found(&mut self, until: Timestamp, now: Timestamp) -> Turn {
        if now < until {
            // Describes lag behind creates: one look that finds nothing proves nothing.
            return Turn::request(Request::Find).delayed(Duration::from_secs(3));
        }
        self.maybe_made = false;
        if self.step == StepKind::Delete {
            let entries = vec![Entry::Void { address: self.change.address.clone() }];
            return self.remove_next(now).after(entries);
        }
        self.promise(now)
    }

    // Waiting until it is ready and as declared

    fn begin_adopt(&mut self, now: Timestamp) -> Turn {
        self.prior = None;
        let Some(id) = self.change.id.clone() else {
            return self.fail(&ProviderError::bug("adopt", "the plan has no id to adopt"));
        };
        let entries = vec![self.created(&id)];
        self.settle(now).after(entries)
    }

    fn settle(&mut self, now: Timestamp) -> Turn {
        self.phase = Phase::Settling { since: now, seen: false, rounds: 0 };
        Turn::request(Request::Read)
    }

    /// It cannot be read: not yet visible, or gone.
    fn invisible(&mut self, since: Timestamp, seen: bool, now: Timestamp) -> Turn {
        let error = if seen {
            ProviderError::new(ErrorClass::Conflict, self.kind.name(), "it was there and is gone: someone deleted it")
        } else {
            ProviderError::new(ErrorClass::NotYet, self.kind.name(), "it is not visible yet")
        };
        if seen || elapsed(since, now) > self.kind.wait().ceiling.max(Duration::from_secs(120)) {
            return self.fail(&error);
        }
        match self.retries.advise(error.class, None) {
            Advice::Again(delay) | Advice::Look(delay) => {
                Turn::request(Request::Read).delayed(delay.min(self.kind.wait().interval))
            }
            Advice::GiveUp { .. } => self.fail(&error),
        }
    }

    fn settled(&mut self, live: &LiveDocument, now: Timestamp) -> Turn {
        let Phase::Settling { since, rounds, .. } = self.phase else { return self.fail(&without_goal()) };
        match &live.status {
            Status::Pending(what) => self.wait(since, what, now),
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
            Status::Ready => {
                let fields = self.differences(&live.spec.value());
                if fields.is_empty() {
                    return self.ready(live, now);
                }
                let stuck: Vec<String> = fields
                    .iter()
                    .filter(|field| field.impact == Impact::Replace || rounds >= MOST_ROUNDS)
                    .map(describe)
                    .collect();
                if stuck.is_empty() {
                    return Turn::request(Request::Update(live.spec.clone()));
                }
                let message = format!("the provider keeps {}", stuck.join(", "));
                let mut turn = self.fail(&ProviderError::new(ErrorClass::Conflict, self.kind.name(), message));
                turn.advise("plan again: it shows what differs and what that forces");
                turn
            }
        }
    }

    fn wait(&mut self, since: Timestamp, what: &str, now: Timestamp) -> Turn {
        let policy = self.kind.wait();
        if elapsed(since, now) > policy.ceiling {
            let message = format!("not ready after {} s: {what}", policy.ceiling.as_secs());
            let mut turn = self.fail(&ProviderError::new(ErrorClass::NotYet, self.kind.name(), message));
            turn.advise("apply again to go on waiting: nothing is made twice");
            return turn;
        }
        let id = self.id.as_ref().map(ToString::to_string).unwrap_or_default();
        let event =
            Event::StepWaiting { address: self.change.address.clone(), kind: self.step, id, what: what.to_owned() };
        let mut turn = Turn::request(Request::Read).delayed(policy.interval);
        turn.events.push(event);
        turn
    }

    fn ready(&mut self, live: &LiveDocument, now: Timestamp) -> Turn {
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
            outputs: stored_outputs(self.kind, &live.outputs),
            took,
        };
        Turn { entries: vec![entry], events: Vec::new(), next: Next::Finished(Some(live.outputs.clone())) }
    }

    // Updating

    fn checked(&mut self, live: Option<LiveDocument>, now: Timestamp) -> Turn {
        if self.step == StepKind::Delete {
            return self.checked_delete(live, now);
        }
        let Some(live) = live else {
            return self.moved("it is gone");
        };
        match &live.status {
            Status::Deleting => return self.moved("it is being deleted"),
            Status::Failed(why) => return self.moved(why),
            Status::Ready | Status::Pending(_) => {}
        }
        let now_differs = self.differences(&live.spec.value());
        let unplanned: Vec<String> = now_differs
            .iter()
            .filter(|field| {
                !self.change.fields.iter().any(|known| known.path == field.path && known.before == field.before)
            })
            .map(describe)
            .collect();
        if self.change.fingerprint.is_some() && !unplanned.is_empty() {
            return self.moved(&unplanned.join(", "));
        }
        let intent = Intent::on_record(Operation::Update, now);
        self.phase = Phase::Settling { since: now, seen: true, rounds: 0 };
        self.settled(&live, now).after(vec![Entry::Intent { address: self.change.address.clone(), intent }])
    }

    fn moved(&self, what: &str) -> Turn {
        let message = format!("it has moved since the plan was made: {what}");
        let mut turn = self.fail(&ProviderError::new(ErrorClass::Conflict, self.kind.name(), message));
        turn.advise("plan again and review what changed");
        turn
    }

    // Deleting

    fn begin_delete(
        &mut self,
        promised: Option<&Intent>,
        record: Option<&crate::state::Record>,
        now: Timestamp,
    ) -> Turn {
        let deposed = record.into_iter().flat_map(|record| &record.deposed).map(|deposed| deposed.id.clone());
        let keeps_record =
            self.change.goal.as_ref().is_some_and(|goal| goal.deposes) || self.change.reason == Reason::Deposed;
        if !keeps_record {
            self.victims.extend(self.id.clone());
        }
        self.victims.extend(deposed);
        if let Some(promised) = promised
            && !keeps_record
        {
            self.owner.token.clone_from(&promised.token);
            self.desired = promised.record.as_ref().map(|record| record.spec.clone());
            self.phase = Phase::Finding { until: later(promised.started, FIND_WINDOW) };
            return Turn::request(Request::Find);
        }
        self.remove_next(now)
    }

    fn remove_next(&mut self, now: Timestamp) -> Turn {
        let Some(victim) = self.victims.last().cloned() else {
            return Turn { entries: Vec::new(), events: Vec::new(), next: Next::Finished(None) };
        };
        let planned = self.change.fingerprint.is_some() && self.change.id.as_ref() == Some(&victim);
        self.id = Some(victim);
        if planned {
            self.phase = Phase::Checking;
            return Turn::request(Request::Read);
        }
        self.promise_delete(now)
    }

    fn checked_delete(&mut self, live: Option<LiveDocument>, now: Timestamp) -> Turn {
        let (Some(id), Some(live)) = (self.id.clone(), live) else { return self.gone(now) };
        let as_planned = live.status == Status::Deleting
            || self.change.fingerprint.is_none_or(|planned| planned == fingerprint(&id, &live.spec));
        if as_planned { self.promise_delete(now) } else { self.moved("its fields are not those that were reviewed") }
    }

    fn promise_delete(&mut self, now: Timestamp) -> Turn {
        self.phase = Phase::Removing;
        let intent = Intent::on_record(Operation::Delete, now);
        Turn::request(Request::Delete).after(vec![Entry::Intent { address: self.change.address.clone(), intent }])
    }

    fn going(&mut self, since: Timestamp, live: Option<&LiveDocument>, now: Timestamp) -> Turn {
        let Some(live) = live else { return self.gone(now) };
        let what = match &live.status {
            Status::Pending(what) | Status::Failed(what) => what.as_str(),
            Status::Ready => "it is still there",
            Status::Deleting => "it is being deleted",
        };
        self.wait(since, what, now)
    }

    fn gone(&mut self, now: Timestamp) -> Turn {
        let Some(id) = self.victims.pop() else { return self.fail(&without_goal()) };
        let entry = Entry::Deleted { address: self.change.address.clone(), id };
        self.retries.reset();
        self.remove_next(now).after(vec![entry])
    }

    // Looking up

    fn adopt(&mut self, live: Option<LiveDocument>) -> Turn {
        let (Some(id), Some(live)) = (self.id.clone(), live) else { return self.moved("it is gone") };
        match &live.status {
            Status::Ready => {}
            Status::Pending(why) | Status::Failed(why) => return self.moved(why),
            Status::Deleting => return self.moved("it is being deleted"),
        }
        let Some(record) = self.intended() else { return self.fail(&without_goal()) };
        let outputs = stored_outputs(self.kind, &live.outputs);
        let entry = Entry::Adopted { address: self.change.address.clone(), id, record, outputs };
        Turn { entries: vec![entry], events: Vec::new(), next: Next::Finished(Some(live.outputs)) }
    }

    // Shared

    /// How long the step itself took so far, in seconds.
    pub(super) fn seconds(&self, now: Timestamp) -> f64 {
        elapsed(self.started, now).saturating_sub(self.gated).as_secs_f64()
    }

    fn differences(&self, observed: &Value) -> Vec<FieldChange> {
        let documents = ThreeWay { desired: &self.desired_value, prior: self.prior.as_ref(), observed };
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
            rule.traits.contains(&crate::model::diff::FieldTrait::WriteOnly)
                && (path == rule.path || path.starts_with(&format!("{}.", rule.path)))
        })
    }

    fn masked(&self) -> Option<Document> {
        let masked = mask_sensitive(&self.desired_value, self.kind.fields(), &self.lineage);
        if masked == self.desired_value { self.desired.clone() } else { Document::of(&masked).ok() }
    }

    fn retry(&mut self, error: ProviderError, request: Request) -> Turn {
        match self.retries.advise(error.class, error.retry_after) {
            Advice::Again(delay) | Advice::Look(delay) => self.again(&error, request, delay),
            Advice::GiveUp { .. } => self.fail(&error),
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

impl Turn {
    fn request(request: Request) -> Self {
        Self { entries: Vec::new(), events: Vec::new(), next: Next::Request(request, Duration::ZERO) }
    }

    fn delayed(mut self, by: Duration) -> Self {
        if let Next::Request(_, delay) = &mut self.next {
            *delay = by;
        }
        self
    }

    /// Puts entries before this turn's own.
    fn after(mut self, mut entries: Vec<Entry>) -> Self {
        entries.append(&mut self.entries);
        Self { entries, ..self }
    }

    /// Puts better advice before that of the error's class.
    fn advise(&mut self, help: &str) {
        if let Next::Failed(failure) = &mut self.next {
            failure.help.insert(0, help.to_owned());
            failure.help.truncate(1);
        }
    }
}

fn describe(field: &FieldChange) -> String {
    let text = |value: Option<&Value>| value.map_or_else(|| "(not set)".to_owned(), ToString::to_string);
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
