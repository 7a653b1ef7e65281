//! How long a run will take: its steps on the schedule that the engine would make, under the same request limits.
//!
//! Entry point: [`seconds`]. Discrete events over the step graph: a step's requests draw from the buckets of
//! [`limit`], the most urgent first, and what they wait for is added to what the step is expected to take. Waits,
//! and reads that one request makes for many, cost nothing.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};

use crate::model::event::StepKind;
use crate::model::graph::Dag;
use crate::model::{Target, Value};
use crate::resource::RuleBook;
use crate::resource::limits::{Limit, Verb, limit};

use super::model::Change;
use super::outlook::top_level;

/// A step as far as its duration goes.
pub(super) struct Forecast<'a> {
    pub(super) change: &'a Change,
    pub(super) kind: StepKind,
    /// What it takes when no limit binds.
    pub(super) seconds: f64,
}

/// Seconds until the last step is done. `order` is an order of the graph, `longest` its longest chain: no forecast is
/// shorter.
pub(super) fn seconds(dag: &Dag, order: &[usize], steps: &[Forecast<'_>], rules: &RuleBook, longest: f64) -> f64 {
    let durations: Vec<f64> = steps.iter().map(|step| step.seconds).collect();
    let mut run = Simulation {
        dag,
        remaining: dag.remaining(order, &durations),
        missing: (0..dag.len()).map(|index| dag.before(index).count()).collect(),
        buckets: Vec::new(),
        routes: Vec::with_capacity(steps.len()),
        durations,
        events: BinaryHeap::new(),
        now: 0.0,
    };
    let mut index = BTreeMap::new();
    for step in steps {
        let route = run.route(step, rules, &mut index);
        run.routes.push(route);
    }
    let end = run.run();
    // Rounding of sums must not make two figures of one.
    if end - longest < 1e-6 { longest } else { end }
}

/// The requests of a step, in order: which bucket, and how many tokens.
#[derive(Debug, Default)]
struct Route {
    requests: Vec<(usize, f64)>,
    /// How many are made.
    made: usize,
}

struct Bucket {
    limit: Limit,
    tokens: f64,
    at: f64,
    waiting: BinaryHeap<Waiting>,
    /// Whether an event will look at it again.
    timed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Waiting {
    urgency: f64,
    step: usize,
    tokens: f64,
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.urgency.total_cmp(&other.urgency).then(other.step.cmp(&self.step))
    }
}

/// Something that happens at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Event {
    at: f64,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A step's next request is due, or the step is done.
    Next(usize),
    /// A bucket has tokens again.
    Refilled(usize),
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.total_cmp(&other.at).then(self.what.cmp(&other.what))
    }
}

struct Simulation<'a> {
    dag: &'a Dag,
    remaining: Vec<f64>,
    missing: Vec<usize>,
    durations: Vec<f64>,
    routes: Vec<Route>,
    buckets: Vec<Bucket>,
    events: BinaryHeap<Reverse<Event>>,
    now: f64,
}

impl Simulation<'_> {
    /// Which requests a step will make.
    fn route<'k>(
        &mut self,
        step: &Forecast<'k>,
        rules: &RuleBook,
        index: &mut BTreeMap<(&'static str, &'k Target, Verb), Option<usize>>,
    ) -> Route {
        let change = step.change;
        let Some(rules) = rules.kind(change.address.kind()) else { return Route::default() };
        let spec = change.goal.as_ref().map_or(Value::Null, |goal| goal.spec.value());
        // What is not read together with others is read before the first update and after each.
        let read = (Verb::Read, rules.reads_each());
        let updates = |n: u32| (0..n).flat_map(|_| [(Verb::Update, 1), read]);
        let wanted: Vec<(Verb, u32)> = match step.kind {
            StepKind::Create => {
                [(Verb::Create, 1), read].into_iter().chain(updates(rules.calls(&spec).updates)).collect()
            }
            StepKind::Update => {
                let fields = u32::try_from(top_level(&change.fields).len()).unwrap_or(u32::MAX);
                std::iter::once(read).chain(updates(fields.clamp(1, 64))).collect()
            }
            StepKind::Delete => (0..rules.calls(&spec).deletes).map(|_| (Verb::Delete, 1)).collect(),
            StepKind::Wait | StepKind::Adopt | StepKind::Forget => Vec::new(),
        };
        let mut requests = Vec::with_capacity(wanted.len());
        for (verb, tokens) in wanted.into_iter().filter(|(_, tokens)| *tokens > 0) {
            let bucket = *index.entry((rules.name(), &change.target, verb)).or_insert_with(|| {
                let limit = limit(rules.api(), verb)?;
                let waiting = BinaryHeap::new();
                self.buckets.push(Bucket { limit, tokens: limit.capacity, at: 0.0, waiting, timed: false });
                Some(self.buckets.len() - 1)
            });
            requests.extend(bucket.map(|bucket| (bucket, f64::from(tokens))));
        }
        Route { requests, made: 0 }
    }

    fn run(&mut self) -> f64 {
        for step in 0..self.missing.len() {
            if self.missing[step] == 0 {
                self.events.push(Reverse(Event { at: 0.0, what: What::Next(step) }));
            }
        }
        let mut end = 0.0_f64;
        while let Some(Reverse(Event { at, what })) = self.events.pop() {
            self.now = at;
            match what {
                What::Refilled(bucket) => {
                    self.buckets[bucket].timed = false;
                    self.serve(bucket);
                }
                What::Next(step) => {
                    let route = &self.routes[step];
                    match route.requests.get(route.made) {
                        Some(&(bucket, tokens)) => {
                            let waiting = Waiting { urgency: self.remaining[step], step, tokens };
                            self.buckets[bucket].waiting.push(waiting);
                            self.look_later(bucket, 0.0);
                        }
                        // Without a request it has taken no time yet.
                        None if route.requests.is_empty() && self.durations[step] > 0.0 => {
                            let at = at + std::mem::take(&mut self.durations[step]);
                            self.events.push(Reverse(Event { at, what: What::Next(step) }));
                        }
                        None => {
                            end = end.max(at);
                            self.finish(step);
                        }
                    }
                }
            }
        }
        end
    }

    fn finish(&mut self, step: usize) {
        let dag = self.dag;
        for next in dag.after(step) {
            self.missing[next] = self.missing[next].saturating_sub(1);
            if self.missing[next] == 0 {
                self.events.push(Reverse(Event { at: self.now, what: What::Next(next) }));
            }
        }
    }

    /// Looks at a bucket after so many seconds: once, after everything that becomes due at that moment.
    fn look_later(&mut self, bucket: usize, delay: f64) {
        if !std::mem::replace(&mut self.buckets[bucket].timed, true) {
            self.events.push(Reverse(Event { at: self.now + delay, what: What::Refilled(bucket) }));
        }
    }

    /// Gives a bucket's tokens to those that wait for them.
    fn serve(&mut self, index: usize) {
        let now = self.now;
        let bucket = &mut self.buckets[index];
        bucket.tokens = (bucket.tokens + (now - bucket.at) * bucket.limit.rate).min(bucket.limit.capacity);
        bucket.at = now;
        while let Some(next) = bucket.waiting.peek().copied() {
            let wanted = next.tokens.min(bucket.limit.capacity);
            // A hair's breadth of rounding is a token.
            if bucket.tokens + 1e-9 < wanted {
                let delay = (wanted - bucket.tokens) / bucket.limit.rate;
                self.look_later(index, delay);
                return;
            }
            bucket.tokens -= wanted;
            bucket.waiting.pop();
            let route = &mut self.routes[next.step];
            route.made += 1;
            // Its requests are spread over what it takes.
            #[expect(clippy::cast_precision_loss, reason = "a step makes a handful of requests")]
            let share = self.durations[next.step] / route.requests.len() as f64;
            self.events.push(Reverse(Event { at: now + share, what: What::Next(next.step) }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(capacity: f64, rate: f64) -> Bucket {
        let limit = Limit { capacity, rate };
        Bucket { limit, tokens: capacity, at: 0.0, waiting: BinaryHeap::new(), timed: false }
    }

    /// How long steps take that each make these requests of the one bucket.
    fn run(dag: &Dag, durations: &[f64], requests: &[usize], bucket: Bucket) -> f64 {
        let order = dag.order().unwrap();
        let mut run = Simulation {
            dag,
            remaining: dag.remaining(&order, durations),
            missing: (0..dag.len()).map(|index| dag.before(index).count()).collect(),
            durations: durations.to_vec(),
            routes: requests.iter().map(|n| Route { requests: vec![(0, 1.0); *n], made: 0 }).collect(),
            buckets: vec![bucket],
            events: BinaryHeap::new(),
            now: 0.0,
        };
        run.run()
    }

    #[test]
    fn what_the_bucket_holds_goes_at_once_and_the_rest_at_its_rate() {
        let dag = Dag::new(60);
        let end = run(&dag, &[2.0; 60], &[1; 60], bucket(50.0, 5.0));
        assert!((end - 4.0).abs() < 1e-6, "10 of them wait for up to 2 s: {end}");
        let end = run(&dag, &[2.0; 60], &[2; 60], bucket(50.0, 5.0));
        assert!((15.0..16.0).contains(&end), "70 of 120 requests wait, and half of a step follows its last: {end}");
    }

    #[test]
    fn the_most_urgent_goes_first() {
        // The last of three has a long one behind it, and there is one token a second.
        let mut dag = Dag::new(4);
        dag.edge(2, 3);
        let end = run(&dag, &[1.0, 1.0, 1.0, 10.0], &[1, 1, 1, 0], bucket(1.0, 1.0));
        assert!((end - 11.0).abs() < 1e-6, "{end}");
    }

    #[test]
    fn without_requests_it_is_the_longest_chain() {
        let mut dag = Dag::new(3);
        dag.edge(0, 1);
        let end = run(&dag, &[1.5, 2.5, 3.0], &[0, 0, 0], bucket(1.0, 1.0));
        assert!((end - 4.0).abs() < 1e-9, "{end}");
    }
}
