//! How far a run is: events in, lines of text out. Pure; time comes with the events and with [`Progress::at`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::model::event::{Event, Stamped, StepKind};
use crate::model::graph::Dag;
use crate::model::{Address, Clock};
use crate::plan::render::{chain, clean, counted, duration};
use crate::plan::{Plan, step_graph};

/// Running steps shown one by one; the rest is counted.
const SHOWN: usize = 8;

/// How far a run is.
#[derive(Debug)]
pub struct Progress {
    steps: Vec<Step>,
    index: BTreeMap<(Address, StepKind), usize>,
    dag: Dag,
    order: Vec<usize>,
    running: BTreeSet<usize>,
    finished: usize,
    failed: usize,
    skipped: usize,
    started: Option<Timestamp>,
    now: Option<Timestamp>,
    interrupted: bool,
}

#[derive(Debug)]
struct Step {
    address: Address,
    kind: StepKind,
    expected: f64,
    standing: Standing,
}

#[derive(Debug, Clone, PartialEq)]
enum Standing {
    Blocked,
    Running { since: Timestamp, what: String },
    Over,
}

impl Progress {
    /// A run of which nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            steps: Vec::new(),
            index: BTreeMap::new(),
            dag: Dag::new(0),
            order: Vec::new(),
            running: BTreeSet::new(),
            finished: 0,
            failed: 0,
            skipped: 0,
            started: None,
            now: None,
            interrupted: false,
        }
    }

    /// From now on follows this plan's steps.
    pub fn follow(&mut self, plan: &Plan) {
        *self = Self::new();
        let step = |step: &crate::plan::Step| Step {
            address: step.address.clone(),
            kind: step.kind,
            expected: step.seconds,
            standing: Standing::Blocked,
        };
        self.steps = plan.steps.iter().map(step).collect();
        self.index = self.steps.iter().enumerate().map(|(n, step)| ((step.address.clone(), step.kind), n)).collect();
        self.dag = step_graph(plan);
        self.order = self.dag.order().unwrap_or_default();
    }

    /// Takes one event.
    pub fn observe(&mut self, event: &Stamped) {
        let at = event.at;
        self.now = Some(at);
        match &event.event {
            Event::RunStarted { .. } => self.started = Some(at),
            Event::StepStarted { address, kind, .. } => self.run(address, *kind, at, String::new()),
            Event::StepWaiting { address, kind, what, .. } => self.run(address, *kind, at, clean(what)),
            Event::StepRetrying { address, kind, attempt, in_seconds, error } => {
                let what = format!("retry {attempt} in {}: {}", duration(*in_seconds), clean(error));
                self.run(address, *kind, at, what);
            }
            Event::StepFinished { address, kind, .. } => {
                self.finished += 1;
                self.over(address, *kind);
            }
            Event::StepFailed { address, kind, .. } => {
                self.failed += 1;
                self.over(address, *kind);
            }
            Event::StepSkipped { address, kind, .. } => {
                self.skipped += 1;
                self.over(address, *kind);
            }
            Event::Interrupted { .. } => self.interrupted = true,
            Event::RefreshStarted { .. }
            | Event::RefreshFinished { .. }
            | Event::RunFinished { .. }
            | Event::AuditFinished { .. } => {}
        }
    }

    /// Says what time it is.
    pub fn at(&mut self, clock: &dyn Clock) {
        self.now = Some(clock.now());
    }

    /// Whether a run is under way.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.started.is_some() && self.finished + self.failed + self.skipped < self.steps.len()
    }

    /// Steps that are done, and how many there are.
    #[must_use]
    pub fn done(&self) -> (usize, usize) {
        (self.finished, self.steps.len())
    }

    fn run(&mut self, address: &Address, kind: StepKind, at: Timestamp, what: String) {
        let Some(&index) = self.index.get(&(address.clone(), kind)) else { return };
        let since = match self.steps[index].standing {
            Standing::Running { since, .. } => since,
            Standing::Blocked | Standing::Over => at,
        };
        self.steps[index].standing = Standing::Running { since, what };
        self.running.insert(index);
    }

    fn over(&mut self, address: &Address, kind: StepKind) {
        let Some(&index) = self.index.get(&(address.clone(), kind)) else { return };
        self.steps[index].standing = Standing::Over;
        self.running.remove(&index);
    }

    fn since(&self, then: Timestamp) -> f64 {
        self.now.map_or(0.0, |now| now.duration_since(then).as_secs_f64().max(0.0))
    }

    /// What each step still takes, if all goes as expected.
    fn left(&self) -> Vec<f64> {
        self.steps
            .iter()
            .map(|step| match &step.standing {
                Standing::Blocked => step.expected,
                Standing::Running { since, .. } => (step.expected - self.since(*since)).max(0.0),
                Standing::Over => 0.0,
            })
            .collect()
    }

    /// The chain of unfinished steps that takes longest, and how long it takes, in seconds.
    fn longest_left(&self) -> (f64, Vec<Address>) {
        let path = self.dag.critical_path(&self.order, &self.left());
        let unfinished = |step: &&Step| step.standing != Standing::Over;
        let steps = path.nodes.iter().filter_map(|index| self.steps.get(*index)).filter(unfinished);
        (path.seconds, steps.map(|step| step.address.clone()).collect())
    }

    /// One line on a running step: `create aws.vpc/network1, 3 s of about 8 s: state is pending; 4 steps wait for it`.
    fn step_line(&self, index: usize) -> String {
        let step = &self.steps[index];
        let mut line = format!("{} {}", step.kind.verb(), step.address);
        if let Standing::Running { since, what } = &step.standing {
            let _ = write!(line, ", {} of about {}", duration(self.since(*since)), duration(step.expected));
            if !what.is_empty() {
                line.push_str(": ");
                line.push_str(what);
            }
        }
        let waiting = self.dag.after(index).filter(|next| self.steps[*next].standing == Standing::Blocked);
        match waiting.collect::<BTreeSet<usize>>().len() {
            0 => {}
            1 => line.push_str("; 1 step waits for it"),
            n => {
                let _ = write!(line, "; {n} steps wait for it");
            }
        }
        line
    }

    /// The running steps, the longest left first, at most `most`; and how many more there are.
    fn running_lines(&self, most: usize) -> (Vec<String>, usize) {
        let remaining = self.dag.remaining(&self.order, &self.left());
        let mut running: Vec<usize> = self.running.iter().copied().collect();
        running.sort_by(|a, b| remaining[*b].total_cmp(&remaining[*a]).then(a.cmp(b)));
        let more = running.len().saturating_sub(most);
        (running.into_iter().take(most).map(|index| self.step_line(index)).collect(), more)
    }

    /// `3 of 57 steps done, 6 running, 48 waiting, 1 m 10 s left`.
    fn head(&self) -> String {
        let over = self.finished + self.failed + self.skipped;
        let waiting = self.steps.len().saturating_sub(over + self.running.len());
        let mut parts = vec![
            format!("{} of {} done", self.finished, counted(self.steps.len(), "step")),
            format!("{} running", self.running.len()),
            format!("{waiting} waiting"),
        ];
        if self.failed > 0 {
            parts.push(format!("{} failed", self.failed));
        }
        if self.skipped > 0 {
            parts.push(format!("{} skipped", self.skipped));
        }
        if let Some(started) = self.started {
            parts.push(format!("{} elapsed", duration(self.since(started))));
        }
        if self.interrupted {
            parts.push("stopping".to_owned());
        } else {
            parts.push(format!("about {} left", duration(self.longest_left().0)));
        }
        parts.join(", ")
    }

    /// One line for a log, when a run has said nothing for a while.
    #[must_use]
    pub fn heartbeat(&self) -> String {
        let (mut lines, more) = self.running_lines(1);
        lines.insert(0, self.head());
        if more > 0 {
            lines.push(format!("{more} more running"));
        }
        lines.join("; ")
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// The live view: what runs, who waits on it, and the longest chain left. No line is wider than `width` characters.
#[must_use]
pub fn frame(progress: &Progress, width: usize) -> Vec<String> {
    if !progress.is_running() {
        return Vec::new();
    }
    let mut lines = vec![progress.head()];
    let (running, more) = progress.running_lines(SHOWN);
    lines.extend(running.into_iter().map(|line| format!("  {line}")));
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    let (_, path) = progress.longest_left();
    if path.len() > 1 {
        lines.push(format!("longest chain left: {}", chain(&path)));
    }
    lines.into_iter().map(|line| fit(&line, width)).collect()
}

fn fit(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Operation;

    fn plan() -> Plan {
        serde_json::from_str(
            r#"{"format_version": 1, "operation": "apply", "mesh": "mesh1", "lineage": "l", "base_serial": 0,
            "sandbox": true, "offline": false,
            "summary": {"create": 3, "update": 0, "replace": 0, "delete": 0, "forget": 0, "adopt": 0, "no_op": 0},
            "changes": [
              {"address": "aws.eip/n", "action": "create", "reason": "not-in-state", "target": "local"},
              {"address": "aws.nat/n", "action": "create", "reason": "not-in-state", "target": "local"},
              {"address": "aws.vpc/n", "action": "create", "reason": "not-in-state", "target": "local"}],
            "steps": [
              {"id": 0, "address": "aws.vpc/n", "kind": "create", "after": [], "seconds": 8.0},
              {"id": 1, "address": "aws.eip/n", "kind": "create", "after": [], "seconds": 1.0},
              {"id": 2, "address": "aws.nat/n", "kind": "create", "after": [0, 1], "seconds": 105.0}],
            "estimate": {"seconds": 113.0, "critical_path": ["aws.vpc/n", "aws.nat/n"]}}"#,
        )
        .unwrap()
    }

    fn at(second: i64, event: Event) -> Stamped {
        Stamped { at: Timestamp::from_second(1_767_225_600 + second).unwrap(), event }
    }

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn started(second: i64, name: &str) -> Stamped {
        at(second, Event::StepStarted { address: address(name), kind: StepKind::Create, expected_seconds: 0.0 })
    }

    fn finished(second: i64, name: &str) -> Stamped {
        let event =
            Event::StepFinished { address: address(name), kind: StepKind::Create, id: "x".to_owned(), seconds: 1.0 };
        at(second, event)
    }

    #[test]
    fn the_view_follows_the_run_from_its_first_step_to_its_last() {
        let mut progress = Progress::new();
        progress.follow(&plan());
        assert!(frame(&progress, 80).is_empty());
        let begin = Event::RunStarted {
            operation: Operation::Apply,
            mesh: "mesh1".to_owned(),
            steps: 3,
            expected_seconds: 113.0,
        };
        for event in [at(0, begin), started(0, "aws.vpc/n"), started(0, "aws.eip/n"), finished(1, "aws.eip/n")] {
            progress.observe(&event);
        }
        progress.observe(&at(
            3,
            Event::StepWaiting {
                address: address("aws.vpc/n"),
                kind: StepKind::Create,
                id: "vpc-1".to_owned(),
                what: "state is pending".to_owned(),
            },
        ));
        assert_eq!(
            frame(&progress, 90),
            [
                "1 of 3 steps done, 1 running, 1 waiting, 3 s elapsed, about 1 m 50 s left",
                "  create aws.vpc/n, 3 s of about 8 s: state is pending; 1 step waits for it",
                "longest chain left: aws.vpc/n -> aws.nat/n",
            ]
        );
        assert!(frame(&progress, 20).iter().all(|line| line.chars().count() <= 20));
        assert!(progress.heartbeat().starts_with("1 of 3 steps done, 1 running"));
        for event in [finished(8, "aws.vpc/n"), started(8, "aws.nat/n"), finished(113, "aws.nat/n")] {
            progress.observe(&event);
        }
        assert!(frame(&progress, 90).is_empty());
    }

    #[test]
    fn a_step_that_takes_longer_than_expected_is_not_owed_time() {
        let mut progress = Progress::new();
        progress.follow(&plan());
        progress.observe(&at(
            0,
            Event::RunStarted { operation: Operation::Apply, mesh: String::new(), steps: 3, expected_seconds: 0.0 },
        ));
        progress.observe(&started(0, "aws.vpc/n"));
        progress.observe(&started(500, "aws.eip/n"));
        assert!(progress.heartbeat().contains("about 1 m 46 s left"), "{}", progress.heartbeat());
    }
}
