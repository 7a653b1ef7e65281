//! Who goes next: ready steps and due requests wait in front of their budgets, the most urgent first.
//!
//! A ready step is not begun before its first request can be made. What waits here is a number and an urgency; a task
//! with its filled documents exists only while it has something under way, so that memory does not grow with the width
//! of a plan. A step that becomes ready later and is more urgent overtakes all that wait.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::event::StepKind;
use crate::plan::Reason;
use crate::resource::{KindRules, Possession, READ_WIDTH};
use crate::state::Operation;

use super::budget::{Key, Verb};
use super::engine::{Engine, Wake};
use super::requests::{key, verb};
use super::task::{Next, Request};

/// How many calls are under way at most, reads not counted. An SDK's call takes some 20 KB, so that without a bound
/// memory would grow with the mesh. Request limits bind long before: EC2's let 50 calls of an action through at once.
const MOST_CALLS: usize = 256;

/// How many objects go into a read that needs requests for each: a second's worth of EC2's refill for reads, at two each.
const NARROW: usize = 10;

/// A ready step that is not begun, or a begun step's due request: it waits for a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gated {
    urgency: f64,
    pub(super) step: usize,
    since: Timestamp,
}

impl Eq for Gated {}

impl PartialOrd for Gated {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Gated {
    fn cmp(&self, other: &Self) -> Ordering {
        self.urgency.total_cmp(&other.urgency).then(other.step.cmp(&self.step))
    }
}

impl Engine<'_> {
    /// Puts a begun step's due request in front of its budget.
    pub(super) fn gate(&mut self, step: usize) {
        let (Some(task), Some(request)) = (self.tasks.get(&step), self.due.get(&step)) else { return };
        self.wait_for(key(task, verb(request)), step);
    }

    fn wait_for(&mut self, key: Key, step: usize) {
        let gated = Gated { urgency: self.queue.urgency(step), step, since: self.clock.now() };
        self.gated.entry(key).or_default().push(gated);
    }

    /// Puts every ready step in front of the budget of its first request. What makes no request begins at once, so many
    /// in a round.
    pub(super) fn offer(&mut self) {
        let mut begun = 0;
        while !self.stopping
            && begun < MOST_CALLS
            && let Some(step) = self.queue.pop()
        {
            match self.first_key(step) {
                Some(key) => self.wait_for(key, step),
                None => {
                    let turn = self.begin(step);
                    self.take(step, turn, None);
                    begun += 1;
                }
            }
        }
    }

    /// Which bucket the first request of a step draws from, as far as it can be told before the step is begun; `None`
    /// when it makes none. A step that begins otherwise waits again, at its own bucket.
    fn first_key(&self, step: usize) -> Option<Key> {
        let planned = &self.plan.steps[step];
        let change = self.plan.change(&planned.address)?;
        let kind = self.registry.kind(planned.address.kind())?;
        let state = self.state();
        let record = state.records.get(&planned.address);
        let promised = state.intents.get(&planned.address).is_some_and(|intent| intent.operation == Operation::Create);
        let recorded = kind.possession() == Possession::Recorded;
        let deposes = change.goal.as_ref().is_some_and(|goal| goal.deposes);
        let (verb, at) = match planned.kind {
            StepKind::Create if recorded => (Verb::Create, None),
            StepKind::Create if promised => (Verb::Find, None),
            StepKind::Create if record.is_some() && !deposes => (Verb::Read, record),
            StepKind::Create => (Verb::Create, None),
            StepKind::Adopt => (Verb::Read, None),
            StepKind::Update if recorded => (Verb::Update, record),
            StepKind::Update | StepKind::Wait => (Verb::Read, record),
            StepKind::Delete if recorded => (Verb::Delete, record),
            StepKind::Delete if promised && !deposes && change.reason != Reason::Deposed => (Verb::Find, record),
            StepKind::Delete if change.fingerprint.is_some() => (Verb::Read, record),
            StepKind::Delete => (Verb::Delete, record),
            StepKind::Forget if record.is_some() && kind.possession() == Possession::Owned => (Verb::Read, record),
            StepKind::Forget => return None,
        };
        let target = at.map_or(&change.target, |record| &record.target);
        Some((kind.api(), target.clone(), kind.name(), verb))
    }

    /// Makes every due request, and begins every ready step, for which there is a token: the most urgent first, whatever
    /// their buckets.
    pub(super) fn release(&mut self) {
        let now = self.clock.now();
        let mut earliest: Option<Duration> = None;
        let mut waiting: Vec<(Key, BinaryHeap<Gated>)> = std::mem::take(&mut self.gated).into_iter().collect();
        let mut heads: BinaryHeap<(Gated, usize)> =
            waiting.iter().enumerate().filter_map(|(n, (_, waiting))| Some((*waiting.peek()?, n))).collect();
        while let Some((_, n)) = heads.pop() {
            let (key, waiting) = &mut waiting[n];
            let reads = key.3 == Verb::Read;
            if self.stopping || (!reads && self.calls.len() + self.granted >= MOST_CALLS) {
                continue;
            }
            let (width, requests) = if reads { self.breadth(key, waiting.len()) } else { (1, 1) };
            if let Err(delay) = self.budgets.take(key, now, requests) {
                earliest = Some(earliest.map_or(delay, |earliest| earliest.min(delay)));
                continue;
            }
            let chosen: Vec<Gated> = (0..width).filter_map(|_| waiting.pop()).collect();
            if reads {
                let readers: Vec<usize> =
                    chosen.into_iter().filter(|gated| self.is_reader(gated, now)).map(|gated| gated.step).collect();
                self.read(key, readers);
            } else {
                chosen.iter().for_each(|gated| self.let_through(gated, key.3, now));
            }
            if let Some(next) = waiting.peek() {
                heads.push((*next, n));
            }
        }
        self.gated = waiting.into_iter().filter(|(_, waiting)| !waiting.is_empty()).collect();
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

    /// Makes the request that has its token now, or begins the step that it is the first of: once what the step
    /// promises is durable, its request is made with that token.
    fn let_through(&mut self, gated: &Gated, verb: Verb, now: Timestamp) {
        if self.is_begun(gated, now) {
            self.call(gated.step);
        } else {
            let turn = self.begin(gated.step);
            self.take(gated.step, turn, Some(verb));
        }
    }

    /// Whether a step takes part in the read that is about to be made. One that begins with something else, or has
    /// something to say first, does not.
    fn is_reader(&mut self, gated: &Gated, now: Timestamp) -> bool {
        if self.is_begun(gated, now) {
            return true;
        }
        let turn = self.begin(gated.step);
        if turn.entries.is_empty()
            && turn.events.is_empty()
            && turn.next == Next::Request(Request::Read, Duration::ZERO)
        {
            self.due.insert(gated.step, Request::Read);
            return true;
        }
        self.take(gated.step, turn, None);
        false
    }

    fn is_begun(&mut self, gated: &Gated, now: Timestamp) -> bool {
        let Some(task) = self.tasks.get_mut(&gated.step) else { return false };
        task.gated += Duration::try_from(now.duration_since(gated.since)).unwrap_or_default();
        true
    }

    /// Forgets all that waits; steps that were not begun never were.
    pub(super) fn clear_gates(&mut self) {
        for gated in std::mem::take(&mut self.gated).into_values().flatten() {
            if !self.tasks.contains_key(&gated.step) {
                self.queue.put_back(gated.step);
            }
        }
    }
}
