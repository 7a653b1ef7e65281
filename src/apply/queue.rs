//! The scheduler: which step is next. Pure: no time, no futures, no provider.
//!
//! Ready steps are those with nothing left before them, counted by in-degree; among them the one with the longest
//! expected remaining chain goes first, so that the critical path is never kept waiting by what could wait.
//! O((V + E) log V) over a whole run.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::Rc;

use crate::model::graph::Dag;

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Something before it is not done.
    Blocked,
    /// It could start.
    Ready,
    /// It was handed out.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// Something before it failed: the step by that index.
    Skipped(usize),
}

/// The steps of one run.
#[derive(Debug)]
pub struct Queue {
    dag: Rc<Dag>,
    missing: Vec<usize>,
    remaining: Vec<f64>,
    standing: Vec<Standing>,
    ready: BinaryHeap<Candidate>,
    running: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    remaining: f64,
    index: usize,
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        // Among equals the lower index: steps are numbered in an order that is stable across runs.
        self.remaining.total_cmp(&other.remaining).then(other.index.cmp(&self.index))
    }
}

impl Queue {
    /// A queue over an acyclic graph; `seconds` are the steps' expected durations.
    #[must_use]
    pub fn new(dag: Rc<Dag>, seconds: &[f64]) -> Self {
        // A cycle would leave its steps blocked for ever; plans are checked for cycles when they are made and loaded.
        let order = dag.order().unwrap_or_default();
        let remaining = dag.remaining(&order, seconds);
        let missing: Vec<usize> = (0..dag.len()).map(|index| dag.before(index).count()).collect();
        let mut queue = Self {
            standing: vec![Standing::Blocked; dag.len()],
            ready: BinaryHeap::new(),
            running: 0,
            dag,
            missing,
            remaining,
        };
        for index in 0..queue.standing.len() {
            queue.ready_if_free(index);
        }
        queue
    }

    /// Hands out the most urgent ready step.
    pub fn pop(&mut self) -> Option<usize> {
        let Candidate { index, .. } = self.ready.pop()?;
        self.standing[index] = Standing::Running;
        self.running += 1;
        Some(index)
    }

    /// Takes back a step that was handed out and not begun.
    pub fn put_back(&mut self, index: usize) {
        self.leave(index, Standing::Ready);
        self.ready.push(Candidate { remaining: self.remaining[index], index });
    }

    /// A step is done: what waited for nothing else becomes ready.
    pub fn finish(&mut self, index: usize) {
        self.leave(index, Standing::Done);
        let followers: Vec<usize> = self.dag.after(index).collect();
        for next in followers {
            self.missing[next] = self.missing[next].saturating_sub(1);
            self.ready_if_free(next);
        }
    }

    /// A step failed: exactly what follows it, at any distance, is skipped. Answers those, by index.
    pub fn fail(&mut self, index: usize) -> Vec<usize> {
        self.leave(index, Standing::Failed);
        let mut skipped = Vec::new();
        let mut stack = vec![index];
        // Only through what was still blocked: what was skipped before is not walked again.
        while let Some(step) = stack.pop() {
            for next in self.dag.after(step) {
                if self.standing[next] == Standing::Blocked {
                    self.standing[next] = Standing::Skipped(index);
                    skipped.push(next);
                    stack.push(next);
                }
            }
        }
        skipped.sort_unstable();
        skipped
    }

    /// Where a step stands.
    #[must_use]
    pub fn standing(&self, index: usize) -> Standing {
        self.standing[index]
    }

    /// The longest expected time from a step's start to the end of all that follows it, in seconds.
    #[must_use]
    pub fn urgency(&self, index: usize) -> f64 {
        self.remaining[index]
    }

    /// How many steps are handed out and not ended.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// The steps that were never handed out and not skipped.
    pub fn not_started(&self) -> impl Iterator<Item = usize> {
        self.standing
            .iter()
            .enumerate()
            .filter(|(_, standing)| matches!(standing, Standing::Blocked | Standing::Ready))
            .map(|(index, _)| index)
    }

    fn leave(&mut self, index: usize, standing: Standing) {
        if self.standing[index] == Standing::Running {
            self.running -= 1;
        }
        self.standing[index] = standing;
    }

    fn ready_if_free(&mut self, index: usize) {
        if self.missing[index] == 0 && self.standing[index] == Standing::Blocked {
            self.standing[index] = Standing::Ready;
            self.ready.push(Candidate { remaining: self.remaining[index], index });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Number of steps, edges, durations, and which fail.
    type Drawn = (usize, Vec<(usize, usize)>, Vec<u8>, Vec<bool>);

    /// Arbitrary graphs (an edge only goes to a higher index, so there is no cycle), durations, and failures.
    fn runs() -> impl Strategy<Value = Drawn> {
        (1_usize..40).prop_flat_map(|n| {
            (
                Just(n),
                proptest::collection::vec((0..n, 0..n), 0..n * 2),
                proptest::collection::vec(0_u8..9, n),
                proptest::collection::vec(proptest::bool::weighted(0.1), n),
            )
        })
    }

    fn dag(n: usize, edges: &[(usize, usize)]) -> Dag {
        let mut dag = Dag::new(n);
        for &(a, b) in edges.iter().filter(|(a, b)| a != b) {
            dag.edge(a.min(b), a.max(b));
        }
        dag
    }

    proptest! {
        /// Against a model: nothing starts early or twice, skipped are exactly the followers of failures, and
        /// nothing is idle while something is ready.
        #[test]
        fn a_run_keeps_its_promises((n, edges, seconds, fails) in runs(), width in 1_usize..5) {
            let graph = dag(n, &edges);
            let seconds: Vec<f64> = seconds.into_iter().map(f64::from).collect();
            let mut queue = Queue::new(Rc::new(graph.clone()), &seconds);
            let mut started = vec![false; n];
            let mut done = vec![false; n];
            let mut failed = Vec::new();
            let mut running: Vec<usize> = Vec::new();
            loop {
                while running.len() < width {
                    let Some(step) = queue.pop() else { break };
                    prop_assert!(!std::mem::replace(&mut started[step], true), "{step} starts twice");
                    prop_assert!(graph.before(step).all(|before| done[before]), "{step} starts early");
                    running.push(step);
                }
                let Some(step) = running.pop() else { break };
                if fails[step] {
                    queue.fail(step);
                    failed.push(step);
                } else {
                    queue.finish(step);
                    done[step] = true;
                }
                prop_assert_eq!(queue.running(), running.len());
            }
            let behind = graph.reachable(failed.iter().copied(), crate::model::graph::Reach::Followers);
            for step in 0..n {
                let expected = !behind[step];
                prop_assert_eq!(done[step], expected, "step {}", step);
                let skipped = matches!(queue.standing(step), Standing::Skipped(_));
                prop_assert_eq!(skipped, behind[step] && !failed.contains(&step), "step {}", step);
            }
            prop_assert_eq!(queue.not_started().count(), 0);
        }
    }

    #[test]
    fn the_longest_chain_goes_first_and_ties_by_number() {
        let mut queue = Queue::new(Rc::new(dag(5, &[(0, 3), (1, 4)])), &[1.0, 1.0, 1.0, 1.0, 9.0]);
        assert_eq!([queue.pop(), queue.pop(), queue.pop(), queue.pop()], [Some(1), Some(0), Some(2), None]);
        queue.put_back(0);
        assert_eq!((queue.running(), queue.not_started().collect::<Vec<_>>()), (2, vec![0, 3, 4]));
        assert_eq!(queue.pop(), Some(0));
    }
}
