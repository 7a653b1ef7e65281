//! A directed acyclic graph over dense indexes: the one place that knows petgraph.

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

/// Nodes `0..n` and edges "before → after".
#[derive(Debug, Clone)]
pub struct Dag {
    graph: DiGraph<(), (), u32>,
}

/// A cycle: each node must come before the next, and the last before the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle(pub Vec<usize>);

/// The longest chain of a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct CriticalPath {
    /// Its length: the sum of its nodes' durations.
    pub seconds: f64,
    /// Its nodes, first to last.
    pub nodes: Vec<usize>,
}

impl Dag {
    /// A graph of `n` nodes and no edges.
    #[must_use]
    pub fn new(n: usize) -> Self {
        let mut graph = DiGraph::with_capacity(n, n * 2);
        for _ in 0..n {
            graph.add_node(());
        }
        Self { graph }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.graph.node_count() == 0
    }

    /// Says that `before` comes before `after`. Repeating an edge is harmless.
    pub fn edge(&mut self, before: usize, after: usize) {
        self.graph.add_edge(node(before), node(after), ());
    }

    /// The nodes that directly precede one.
    pub fn before(&self, index: usize) -> impl Iterator<Item = usize> {
        self.graph.edges_directed(node(index), Direction::Incoming).map(|edge| edge.source().index())
    }

    /// The nodes that directly follow one.
    pub fn after(&self, index: usize) -> impl Iterator<Item = usize> {
        self.graph.edges_directed(node(index), Direction::Outgoing).map(|edge| edge.target().index())
    }

    /// An order in which every node comes after those before it; among equals the lower index first.
    pub fn order(&self) -> Result<Vec<usize>, Cycle> {
        let mut missing: Vec<usize> = (0..self.len()).map(|index| self.before(index).count()).collect();
        let mut ready: std::collections::BinaryHeap<_> =
            missing.iter().enumerate().filter(|(_, n)| **n == 0).map(|(index, _)| std::cmp::Reverse(index)).collect();
        let mut order = Vec::with_capacity(self.len());
        while let Some(std::cmp::Reverse(index)) = ready.pop() {
            order.push(index);
            for next in self.after(index) {
                missing[next] -= 1;
                if missing[next] == 0 {
                    ready.push(std::cmp::Reverse(next));
                }
            }
        }
        if order.len() == self.len() { Ok(order) } else { Err(self.find_cycle()) }
    }

    /// For each node, the longest time from its start to the end of everything that follows it, in seconds.
    ///
    /// `order` is [`Self::order`]'s answer.
    #[must_use]
    pub fn remaining(&self, order: &[usize], seconds: &[f64]) -> Vec<f64> {
        let mut remaining = vec![0.0_f64; self.len()];
        for &index in order.iter().rev() {
            let longest = self.after(index).map(|next| remaining[next]).fold(0.0, f64::max);
            remaining[index] = seconds[index] + longest;
        }
        remaining
    }

    /// The longest chain. Among equally long ones, that of the lowest indexes.
    #[must_use]
    pub fn critical_path(&self, order: &[usize], seconds: &[f64]) -> CriticalPath {
        let remaining = self.remaining(order, seconds);
        let longest = |candidates: &mut dyn Iterator<Item = usize>| {
            candidates.min_by(|a, b| remaining[*b].total_cmp(&remaining[*a]).then(a.cmp(b)))
        };
        let Some(first) = longest(&mut (0..self.len()).filter(|index| self.before(*index).next().is_none())) else {
            return CriticalPath { seconds: 0.0, nodes: Vec::new() };
        };
        let mut nodes = vec![first];
        let mut last = first;
        while let Some(next) = longest(&mut self.after(last)) {
            nodes.push(next);
            last = next;
        }
        CriticalPath { seconds: remaining[first], nodes }
    }

    /// Marks `starts` and everything that follows them, at any distance.
    #[must_use]
    pub fn reachable(&self, starts: impl IntoIterator<Item = usize>, direction: Reach) -> Vec<bool> {
        let mut seen = vec![false; self.len()];
        let mut stack: Vec<usize> = starts.into_iter().collect();
        while let Some(index) = stack.pop() {
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            match direction {
                Reach::Followers => stack.extend(self.after(index)),
                Reach::Requirements => stack.extend(self.before(index)),
            }
        }
        seen
    }

    fn find_cycle(&self) -> Cycle {
        let components = petgraph::algo::tarjan_scc(&self.graph);
        let knot = components
            .into_iter()
            .find(|nodes| nodes.len() > 1 || nodes.iter().any(|n| self.graph.contains_edge(*n, *n)))
            .unwrap_or_default();
        // Walk inside the component until a node repeats: that stretch is a cycle.
        let members: std::collections::BTreeSet<usize> = knot.iter().map(|n| n.index()).collect();
        let mut walk: Vec<usize> = members.first().copied().into_iter().collect();
        while let Some(next) = walk.last().and_then(|last| self.after(*last).filter(|n| members.contains(n)).min()) {
            if let Some(start) = walk.iter().position(|seen| *seen == next) {
                return Cycle(walk.split_off(start));
            }
            walk.push(next);
        }
        Cycle(walk)
    }
}

/// Which way [`Dag::reachable`] walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To what comes after.
    Followers,
    /// To what must come before.
    Requirements,
}

fn node(index: usize) -> NodeIndex<u32> {
    NodeIndex::new(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dag(n: usize, edges: &[(usize, usize)]) -> Dag {
        let mut dag = Dag::new(n);
        for &(before, after) in edges {
            dag.edge(before, after);
        }
        dag
    }

    #[test]
    fn order_critical_path_and_reach_of_a_diamond() {
        let dag = dag(5, &[(0, 1), (0, 2), (1, 3), (2, 3)]);
        assert_eq!(dag.order().unwrap(), [0, 1, 2, 3, 4]);
        let path = dag.critical_path(&dag.order().unwrap(), &[1.0, 5.0, 9.0, 1.0, 2.0]);
        assert_eq!(path, CriticalPath { seconds: 11.0, nodes: vec![0, 2, 3] });
        assert_eq!(dag.reachable([1], Reach::Followers), [false, true, false, true, false]);
        assert_eq!(dag.reachable([3], Reach::Requirements), [true, true, true, true, false]);
    }

    #[test]
    fn a_cycle_is_named_and_nothing_else() {
        let Cycle(mut nodes) = dag(5, &[(0, 1), (1, 2), (2, 3), (3, 1), (3, 4)]).order().unwrap_err();
        nodes.sort_unstable();
        assert_eq!(nodes, [1, 2, 3]);
        assert_eq!(dag(1, &[(0, 0)]).order().unwrap_err(), Cycle(vec![0]));
    }
}
