//! Making requests: each waits for its budget, reads of one kind and target go together.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;

use crate::model::Document;
use crate::resource::{ErrorClass, KindRules, ProviderError, READ_WIDTH, RemoteId};

use super::budget::{Key, Verb};
use super::engine::{Engine, Wake};
use super::task::{Answer, Request, Task};

/// How many calls are under way at most, reads not counted. An SDK's call takes some 20 KB, so that without a bound
/// memory would grow with the mesh. Request limits bind long before: EC2's let 50 calls of an action through at once.
const MOST_CALLS: usize = 512;

/// A due request that waits for a token.
#[derive(Debug, PartialEq)]
pub(super) struct Gated {
    urgency: f64,
    step: usize,
    since: Timestamp,
}

impl Eq for Gated {}

impl PartialOrd for Gated {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Gated {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.urgency.total_cmp(&other.urgency).then(other.step.cmp(&self.step))
    }
}

/// How many objects go into a read that needs requests for each: a second's worth of EC2's refill for reads, at two each.
const NARROW: usize = 10;

impl<'a> Engine<'a> {
    /// Puts a due request in front of its budget.
    pub(super) fn gate(&mut self, step: usize) {
        let (Some(task), Some(request)) = (self.tasks.get(&step), self.due.get(&step)) else { return };
        let gated = Gated { urgency: self.queue.urgency(step), step, since: self.clock.now() };
        self.gated.entry(key(task, verb(request))).or_default().push(gated);
    }

    /// How many objects a read takes, and how many requests of one action it then makes.
    fn breadth(&self, key: &Key, waiting: usize) -> (usize, u32) {
        match self.registry.kind(key.2).map_or(0, KindRules::reads_each) {
            0 => (waiting.min(READ_WIDTH), 1),
            each => {
                let width = waiting.min(NARROW);
                (width, each * u32::try_from(width).unwrap_or(1))
            }
        }
    }

    /// Makes every due request for which there is a token.
    pub(super) fn release_gated(&mut self) {
        let now = self.clock.now();
        let mut earliest: Option<Duration> = None;
        for (key, mut waiting) in std::mem::take(&mut self.gated) {
            while !waiting.is_empty() {
                if self.stopping || (key.3 != Verb::Read && self.calls.len() >= MOST_CALLS) {
                    break;
                }
                let (width, requests) = if key.3 == Verb::Read { self.breadth(&key, waiting.len()) } else { (1, 1) };
                if let Err(delay) = self.budgets.take(&key, now, requests) {
                    earliest = Some(earliest.map_or(delay, |earliest| earliest.min(delay)));
                    break;
                }
                if key.3 == Verb::Read {
                    let readers: Vec<usize> =
                        (0..width).filter_map(|_| waiting.pop()).map(|g| self.ungate(&g, now)).collect();
                    self.read(&key, readers);
                } else if let Some(gated) = waiting.pop() {
                    let step = self.ungate(&gated, now);
                    self.call(step);
                }
            }
            if !waiting.is_empty() {
                self.gated.insert(key, waiting);
            }
        }
        if let Some(delay) = earliest.filter(|_| !self.stopping) {
            let at = now.checked_add(delay).unwrap_or(Timestamp::MAX);
            if self.budget_timer.is_none_or(|timer| at < timer) {
                self.budget_timer = Some(at);
                let sleep = self.clock.sleep(delay);
                self.waits.push(Box::pin(async move {
                    sleep.await;
                    Wake::Budget
                }));
            }
        }
    }

    fn ungate(&mut self, gated: &Gated, now: Timestamp) -> usize {
        if let Some(task) = self.tasks.get_mut(&gated.step) {
            task.gated += Duration::try_from(now.duration_since(gated.since)).unwrap_or_default();
        }
        gated.step
    }

    /// One read for several tasks of one kind and target.
    fn read(&mut self, key: &Key, readers: Vec<usize>) {
        let Some(kind) = self.registry.kind(key.2) else { return };
        let mut steps = Vec::with_capacity(readers.len());
        let mut ids: Vec<RemoteId> = Vec::with_capacity(readers.len());
        for step in readers {
            self.due.remove(&step);
            match self.tasks.get(&step).and_then(|task| task.id.clone()) {
                Some(id) => {
                    steps.push(step);
                    ids.push(id);
                }
                None => {
                    self.answered(step, Answer::Read(Err(ProviderError::bug(kind.name(), "there is no id to read"))));
                }
            }
        }
        let (cloud, target) = (self.cloud, key.1.clone());
        self.waits.push(Box::pin(async move {
            match kind.read_many(cloud, &target, &ids).await {
                Ok(found) => {
                    Wake::Answers(steps.into_iter().zip(found.into_iter().map(|live| Answer::Read(Ok(live)))).collect())
                }
                Err(error) => {
                    Wake::Answers(steps.into_iter().map(|step| (step, Answer::Read(Err(error.clone())))).collect())
                }
            }
        }));
    }

    /// One request that is not a read.
    fn call(&mut self, step: usize) {
        let (Some(task), Some(request)) = (self.tasks.get(&step), self.due.remove(&step)) else { return };
        let (kind, cloud, target, owner) = (task.kind, self.cloud, task.at.clone(), task.owner.clone());
        let (id, desired) = (task.id.clone(), task.desired.clone().unwrap_or_else(Document::empty));
        let missing = move || ProviderError::bug(kind.name(), "there is no id to work on");
        let looks = matches!(request, Request::Find | Request::Follow(_) | Request::Diagnose);
        let future: LocalBoxFuture<'a, Wake> = Box::pin(async move {
            let answer = match request {
                Request::Create => Answer::Created(kind.create(cloud, &target, &desired, &owner).await),
                Request::Find => Answer::Found(kind.find(cloud, &target, &desired, &owner).await),
                Request::Update { from, to } => Answer::Updated(match &id {
                    Some(id) => kind.update(cloud, &target, id, &from, &to).await,
                    None => Err(missing()),
                }),
                Request::Follow(update) => {
                    let answer = match &id {
                        Some(id) => kind.follow(cloud, &target, id, &update).await,
                        None => Err(missing()),
                    };
                    Answer::Followed(update, answer)
                }
                Request::Diagnose => Answer::Diagnosed(match &id {
                    Some(id) => kind.diagnose(cloud, &target, id).await,
                    None => Err(missing()),
                }),
                Request::Delete => Answer::Deleted(match &id {
                    Some(id) => kind.delete(cloud, &target, id).await,
                    None => Err(missing()),
                }),
                Request::Read => Answer::Read(Err(ProviderError::bug(kind.name(), "reads are made together"))),
            };
            Wake::Answers(vec![(step, answer)])
        });
        if looks { self.waits.push(future) } else { self.calls.push(future) }
    }
}

/// Which bucket a task's request draws from.
pub(super) fn key(task: &Task<'_>, verb: Verb) -> Key {
    (task.kind.api(), task.at.clone(), task.kind.name(), verb)
}

fn verb(request: &Request) -> Verb {
    match request {
        Request::Read => Verb::Read,
        // A find is a describe, by tag; it shares no request with others.
        Request::Find | Request::Follow(_) | Request::Diagnose => Verb::Find,
        Request::Create => Verb::Create,
        Request::Update { .. } => Verb::Update,
        Request::Delete => Verb::Delete,
    }
}

/// The complaint in an answer, if it is one, and about which verb.
pub(super) fn throttled(answer: &Answer) -> Option<(Verb, &ProviderError)> {
    let (verb, error) = match answer {
        Answer::Read(result) => (Verb::Read, result.as_ref().err()),
        Answer::Created(result) => (Verb::Create, result.as_ref().err()),
        Answer::Found(result) => (Verb::Find, result.as_ref().err()),
        Answer::Updated(result) => (Verb::Update, result.as_ref().err()),
        Answer::Followed(_, result) => (Verb::Find, result.as_ref().err()),
        Answer::Diagnosed(result) => (Verb::Find, result.as_ref().err()),
        Answer::Deleted(result) => (Verb::Delete, result.as_ref().err()),
    };
    error.filter(|error| error.class == ErrorClass::Throttled).map(|error| (verb, error))
}
