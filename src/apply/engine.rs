//! The loop: it alone owns the ledger, hands out steps, makes requests and takes answers.
//!
//! There is no spawn and no lock. A request is a future that returns to the loop; between an answer and the next
//! request the loop makes the step's entries durable. Everything that is ready at once is taken at once, so that its
//! entries share one append.

use std::collections::{BTreeMap, BinaryHeap};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;

use crate::model::event::{Counts, Event, Sink, Stamped, StepKind};
use crate::model::graph::Dag;
use crate::model::{Address, Clock, Document};
use crate::plan::{Action, Change, Plan, Reason, step_graph};
use crate::resource::{Cloud, KindRules, Registry};
use crate::state::{Entry, State};

use super::budget::{Budgets, Key, Verb};
use super::gate::Gated;
use super::ledger::{Ledger, LedgerError};
use super::queue::Queue;
use super::report::{Failure, Outcome, Skipped};
use super::requests::{key, throttled, verb};
use super::resolve::{Filling, Outputs, ResolveError, masked, token};
use super::task::{Answer, Beginning, Next, Request, Task, Turn};

/// What a run needs.
pub struct Run<'a> {
    /// What was approved.
    pub plan: &'a Plan,
    /// The kinds.
    pub registry: &'a Registry,
    /// The providers.
    pub cloud: &'a Cloud,
    /// The run's clock.
    pub clock: Arc<dyn Clock>,
    /// What remembers.
    pub ledger: &'a mut dyn Ledger,
    /// Who is told.
    pub sink: &'a mut dyn Sink,
    /// Ready when the operator asks to stop.
    pub interrupt: Pin<Box<dyn Future<Output = ()>>>,
    /// How many requests each API may get.
    pub budgets: Budgets,
}

/// A run could not go on. What was done is in the journal, and the next run takes it from there.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// An entry could not be made durable.
    #[error("the run stopped: nothing may happen that is not remembered")]
    Ledger(#[from] LedgerError),
    /// The plan's steps do not form a graph.
    #[error("the plan is damaged: {0}")]
    Plan(String),
}

/// Why a step cannot even begin.
#[derive(Debug, thiserror::Error)]
enum CannotBegin {
    /// The plan does not fit this version.
    #[error("{0}")]
    Plan(String),
    /// What it needs is not there.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
}

impl CannotBegin {
    /// Whether the cause lies outside of meshplan: the same step may succeed later.
    fn is_outside(&self) -> bool {
        match self {
            Self::Resolve(ResolveError::Locked(..) | ResolveError::Unread(..)) => true,
            Self::Plan(_)
            | Self::Resolve(
                ResolveError::Missing(_) | ResolveError::Exposed(_) | ResolveError::Pick(_) | ResolveError::Encode(_),
            ) => false,
        }
    }

    fn help(&self) -> &'static str {
        if self.is_outside() {
            "see to that and apply again: nothing was begun"
        } else {
            "this is a defect of meshplan: please report it with this message"
        }
    }
}

/// Carries out a plan.
///
/// # Cancel safety
/// Dropping the future is what a crash is: everything that happened is in the ledger.
pub async fn apply(run: Run<'_>) -> Result<Outcome, ApplyError> {
    Engine::new(run)?.run().await
}

/// Something that happened.
pub(super) enum Wake {
    /// A delay is over: the task's pending request is due.
    Due(usize),
    /// There may be tokens again.
    Budget,
    /// Answers to some tasks.
    Answers(Vec<(usize, Answer)>),
}

pub(super) struct Engine<'a> {
    pub(super) plan: &'a Plan,
    pub(super) registry: &'a Registry,
    pub(super) cloud: &'a Cloud,
    pub(super) clock: Arc<dyn Clock>,
    ledger: &'a mut dyn Ledger,
    sink: &'a mut dyn Sink,
    interrupt: Pin<Box<dyn Future<Output = ()>>>,
    pub(super) budgets: Budgets,
    dag: Rc<Dag>,
    pub(super) queue: Queue,
    pub(super) outputs: Outputs,
    pub(super) tasks: BTreeMap<usize, Task<'a>>,
    /// The next request of each task that has one coming, until it is made.
    pub(super) due: BTreeMap<usize, Request>,
    /// Ready steps and due requests that wait for a token, the most urgent first.
    pub(super) gated: BTreeMap<Key, BinaryHeap<Gated>>,
    /// Requests that may change something: they are never dropped.
    pub(super) calls: FuturesUnordered<LocalBoxFuture<'a, Wake>>,
    /// Delays and reads: dropped when the operator asks to stop.
    pub(super) waits: FuturesUnordered<LocalBoxFuture<'a, Wake>>,
    /// When the earliest budget timer fires.
    pub(super) budget_timer: Option<Timestamp>,
    pub(super) stopping: bool,
    started: Timestamp,
    /// How long each step took, in seconds.
    took: Vec<f64>,
    outcome: Outcome,
    /// Entries of this round, made durable together.
    entries: Vec<Entry>,
    /// How many creates this round promises.
    promised: u64,
    /// What happens once the entries are durable.
    then: Vec<Then>,
    /// How many of those have a token for a call.
    pub(super) granted: usize,
    lineage: Rc<str>,
}

/// What a step does once its entries are durable.
struct Then {
    step: usize,
    events: Vec<Event>,
    next: Next,
    /// The token that it has for a request of this sort.
    granted: Option<Verb>,
}

impl<'a> Engine<'a> {
    fn new(run: Run<'a>) -> Result<Self, ApplyError> {
        let Run { plan, registry, cloud, clock, ledger, sink, interrupt, budgets } = run;
        let dag = Rc::new(step_graph(plan));
        if dag.order().is_err() {
            return Err(ApplyError::Plan("its steps wait for each other in a circle".to_owned()));
        }
        let seconds: Vec<f64> = plan.steps.iter().map(|step| step.seconds).collect();
        let started = clock.now();
        Ok(Self {
            lineage: ledger.state().lineage.as_str().into(),
            queue: Queue::new(Rc::clone(&dag), &seconds),
            took: vec![0.0; dag.len()],
            dag,
            plan,
            registry,
            cloud,
            clock,
            ledger,
            sink,
            interrupt,
            budgets,
            outputs: Outputs::default(),
            tasks: BTreeMap::new(),
            due: BTreeMap::new(),
            gated: BTreeMap::new(),
            calls: FuturesUnordered::new(),
            waits: FuturesUnordered::new(),
            budget_timer: None,
            stopping: false,
            started,
            outcome: Outcome::default(),
            entries: Vec::new(),
            promised: 0,
            then: Vec::new(),
            granted: 0,
        })
    }

    async fn run(mut self) -> Result<Outcome, ApplyError> {
        self.emit(Event::RunStarted {
            operation: self.plan.operation,
            mesh: self.plan.mesh.clone(),
            steps: self.plan.steps.len(),
            expected_seconds: self.plan.estimate.seconds,
        });
        self.offer_recorded_clusters();
        if !self.plan.bookkeeping.is_empty() {
            self.ledger.append(self.plan.bookkeeping.clone())?;
        }
        self.read_unstored().await;
        loop {
            self.settle_round()?;
            if self.calls.is_empty() && (self.waits.is_empty() || self.stopping) {
                break;
            }
            for wake in self.next_wakes().await {
                match wake {
                    Wake::Due(step) => self.gate(step),
                    Wake::Budget => self.budget_timer = None,
                    Wake::Answers(answers) => {
                        for (step, answer) in answers {
                            self.answered(step, answer);
                        }
                    }
                }
            }
        }
        Ok(self.finish())
    }

    /// Makes the round's entries durable and carries out what follows from them; then makes the requests and begins the
    /// steps that can be; again, until nothing more follows at once.
    fn settle_round(&mut self) -> Result<(), ApplyError> {
        loop {
            if self.then.is_empty() {
                self.offer();
                self.release();
                if self.then.is_empty() {
                    return Ok(());
                }
            }
            let entries = std::mem::take(&mut self.entries);
            self.promised = 0;
            if !entries.is_empty() {
                self.ledger.append(entries)?;
            }
            self.granted = 0;
            for Then { step, events, next, granted } in std::mem::take(&mut self.then) {
                for event in events {
                    self.emit(event);
                }
                self.carry_on(step, next, granted);
            }
        }
    }

    /// Begins a step: what it does first.
    pub(super) fn begin(&mut self, step: usize) -> Turn {
        let planned = &self.plan.steps[step];
        let (address, kind) = (planned.address.clone(), planned.kind);
        self.emit(Event::StepStarted { address: address.clone(), kind, expected_seconds: planned.seconds });
        match self.beginning(&address, kind).map(Task::begin) {
            Ok((task, turn)) => {
                self.tasks.insert(step, task);
                turn
            }
            Err(error) => Turn::failed(Failure {
                address,
                kind,
                error: error.to_string(),
                help: vec![error.help().to_owned()],
                retry_safe: error.is_outside(),
            }),
        }
    }

    pub(super) fn state(&self) -> &State {
        self.ledger.state()
    }

    /// What a step begins with. Borrows state only while the task is made.
    fn beginning(&mut self, address: &Address, kind: StepKind) -> Result<Beginning<'a, '_>, CannotBegin> {
        let plan: &'a Plan = self.plan;
        let change: &'a Change = plan
            .change(address)
            .ok_or_else(|| CannotBegin::Plan(format!("the plan has a step of {address} and no change")))?;
        let dyn_kind = self
            .registry
            .kind(address.kind())
            .ok_or_else(|| CannotBegin::Plan(format!("this version of meshplan knows no kind `{}`", address.kind())))?;
        let state = self.ledger.state();
        let wants_spec = !matches!(kind, StepKind::Delete | StepKind::Forget);
        let desired = match (&change.goal, wants_spec) {
            (Some(goal), true) => {
                let filling = Filling { state, cloud: self.cloud, rules: dyn_kind };
                Some(self.outputs.fill(&goal.spec, filling)?)
            }
            (Some(_) | None, _) => None,
        };
        let generation = state.generation + self.promised + 1;
        let token = match (&desired, kind) {
            (Some(spec), StepKind::Create) => {
                // Of what may be kept: a token is written down and sent about, and must tell nothing of a secret.
                let spec = masked(spec, dyn_kind, &state.lineage)?;
                token(&state.lineage, address, generation, &spec)
            }
            (Some(_) | None, _) => String::new(),
        };
        let stirred = change.requirements.iter().any(|requirement| {
            plan.change(requirement).is_some_and(|other| matches!(other.action, Action::Replace | Action::Delete))
        });
        let (lineage, now) = (Rc::clone(&self.lineage), self.clock.now());
        Ok(Beginning { stirred, change, step: kind, kind: dyn_kind, now, state, lineage, desired, token })
    }

    pub(super) fn answered(&mut self, step: usize, answer: Answer) {
        let now = self.clock.now();
        if let (Some(task), Some((verb, error))) = (self.tasks.get(&step), throttled(&answer)) {
            let key = key(task, verb);
            self.budgets.throttled(&key, now, error.asked_delay());
        }
        let Some(task) = self.tasks.get_mut(&step) else { return };
        let turn = task.advance(answer, now);
        self.take(step, turn, None);
    }

    /// Takes what a task says into the round; `granted` is the token that it has, if any.
    pub(super) fn take(&mut self, step: usize, turn: Turn, granted: Option<Verb>) {
        let Turn { entries, events, next } = turn;
        self.promised += entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Intent { intent, .. } if intent.record.is_some()))
            .count() as u64;
        self.entries.extend(entries);
        self.granted += usize::from(granted.is_some());
        self.then.push(Then { step, events, next, granted });
    }

    /// What follows once a task's entries are durable.
    fn carry_on(&mut self, step: usize, next: Next, granted: Option<Verb>) {
        match next {
            Next::Request(request, delay) => {
                let has_token = granted == Some(verb(&request));
                self.due.insert(step, request);
                if delay.is_zero() && has_token {
                    self.call(step);
                } else if delay.is_zero() {
                    self.gate(step);
                } else if !self.stopping {
                    let sleep = self.clock.sleep(delay);
                    self.waits.push(Box::pin(async move {
                        sleep.await;
                        Wake::Due(step)
                    }));
                }
            }
            Next::Finished(outputs) => self.finished(step, outputs.as_ref()),
            Next::Failed(failure) => self.failed(step, failure),
        }
    }

    fn finished(&mut self, step: usize, outputs: Option<&Document>) {
        let address = self.plan.steps[step].address.clone();
        self.outputs.set(&address, self.registry.kind(address.kind()).map(|kind| kind as &dyn KindRules), outputs);
        let Some(task) = self.tasks.remove(&step) else { return };
        let seconds = task.seconds(self.clock.now());
        self.took[step] = seconds;
        let (kind, id) = (task.step, task.id.as_ref().map(ToString::to_string).unwrap_or_default());
        self.offer_cluster(&address, kind, outputs);
        self.emit(Event::StepFinished { address, kind, id, seconds });
        self.count(step);
        self.queue.finish(step);
    }

    /// Counts a finished step: a replacement once, with the last of its two.
    fn count(&mut self, step: usize) {
        let Some(change) = self.plan.change(&self.plan.steps[step].address) else { return };
        let counts = &mut self.outcome.counts;
        let deposes = change.goal.as_ref().is_some_and(|goal| goal.deposes) || change.reason == Reason::Deposed;
        let last_of_replacement = if deposes { StepKind::Delete } else { StepKind::Create };
        match (change.action, self.plan.steps[step].kind) {
            (Action::Replace, kind) => counts.replaced += usize::from(kind == last_of_replacement),
            (_, StepKind::Create) => counts.created += 1,
            (_, StepKind::Update) => counts.updated += 1,
            (_, StepKind::Delete) => counts.deleted += 1,
            (_, StepKind::Adopt | StepKind::Wait) => counts.adopted += 1,
            (_, StepKind::Forget) => counts.forgotten += 1,
        }
    }

    fn failed(&mut self, step: usize, failure: Failure) {
        let now = self.clock.now();
        let seconds = self.tasks.remove(&step).map_or(0.0, |task| task.seconds(now));
        self.took[step] = seconds;
        self.emit(Event::StepFailed {
            address: failure.address.clone(),
            kind: failure.kind,
            error: failure.error.clone(),
            help: failure.help.clone(),
            seconds,
        });
        for skipped in self.queue.fail(step) {
            let planned = &self.plan.steps[skipped];
            let (address, kind) = (planned.address.clone(), planned.kind);
            self.emit(Event::StepSkipped { address: address.clone(), kind, blocked_by: failure.address.clone() });
            self.outcome.skipped.push(Skipped { address, kind, blocked_by: failure.address.clone() });
        }
        self.outcome.failures.push(failure);
    }

    /// Everything that has happened, as soon as something has.
    async fn next_wakes(&mut self) -> Vec<Wake> {
        let wakes = poll_fn(|cx| self.poll_wakes(cx)).await;
        if wakes.is_none() {
            self.stop();
        }
        wakes.unwrap_or_default()
    }

    /// `None` when the operator asks to stop.
    fn poll_wakes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<Wake>>> {
        let mut wakes = Vec::new();
        while let Poll::Ready(Some(wake)) = self.calls.poll_next_unpin(cx) {
            wakes.push(wake);
        }
        while let Poll::Ready(Some(wake)) = self.waits.poll_next_unpin(cx) {
            wakes.push(wake);
        }
        if !wakes.is_empty() {
            return Poll::Ready(Some(wakes));
        }
        if !self.stopping && self.interrupt.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    /// The operator asked to stop: nothing new begins and waits are dropped at once; requests in flight are finished,
    /// and what they answer is remembered.
    fn stop(&mut self) {
        self.stopping = true;
        self.outcome.interrupted = true;
        let waits_dropped = self.tasks.len() - self.calls.len().min(self.tasks.len());
        self.waits.clear();
        self.clear_gates();
        self.emit(Event::Interrupted { in_flight: self.calls.len(), waits_dropped });
    }

    fn emit(&mut self, event: Event) {
        self.sink.emit(&Stamped { at: self.clock.now(), event });
    }

    fn finish(mut self) -> Outcome {
        let plan = self.plan;
        let address = |step: usize| plan.steps[step].address.clone();
        let mut not_started: Vec<Address> = self.queue.not_started().map(address).collect();
        not_started.sort_unstable();
        not_started.dedup();
        let order = self.dag.order().unwrap_or_default();
        let critical = self.dag.critical_path(&order, &self.took);
        let seconds = Duration::try_from(self.clock.now().duration_since(self.started)).unwrap_or_default();
        self.outcome.skipped.sort_by(|a, b| a.address.cmp(&b.address));
        let counts = Counts {
            failed: self.outcome.failures.len(),
            skipped: self.outcome.skipped.len(),
            not_started: not_started.len(),
            ..self.outcome.counts
        };
        let outcome = Outcome {
            counts,
            not_started,
            seconds: seconds.as_secs_f64(),
            critical_seconds: critical.seconds,
            limit_seconds: self.budgets.least_seconds(),
            critical_path: critical.nodes.into_iter().filter(|step| self.took[*step] > 0.0).map(address).collect(),
            ..std::mem::take(&mut self.outcome)
        };
        self.emit(Event::RunFinished {
            operation: self.plan.operation,
            counts: outcome.counts,
            seconds: outcome.seconds,
            critical_seconds: outcome.critical_seconds,
            limit_seconds: outcome.limit_seconds,
            critical_path: outcome.critical_path.clone(),
        });
        outcome
    }
}
