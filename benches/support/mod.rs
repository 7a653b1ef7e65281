//! What the benchmarks share: topologies of any size, a mesh that is applied, and what a process needed.

#![allow(dead_code, reason = "each benchmark uses its part")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use meshplan::apply::{ApplyError, Budgets, Outcome, Run, apply};
use meshplan::compile::{Declaration, compile};
use meshplan::kinds;
use meshplan::model::event::{Event, Sink, Stamped};
use meshplan::model::{Clock, Digest};
use meshplan::plan::{Inputs, Observed, Plan, Planned, Scope};
use meshplan::resource::{Cloud, Registry};
use meshplan::sandbox::{Options, Sandbox};
use meshplan::state::{Birth, Opening, State, Store};
use meshplan::topology::parse;

#[expect(dead_code, reason = "the example's own command line")]
#[path = "../../examples/generate-topology.rs"]
mod generator;

/// What can go wrong while measuring.
pub(crate) type Measured<T> = Result<T, Box<dyn std::error::Error>>;

/// The mesh's id in every topology of the generator.
pub(crate) const MESH: &str = "bench";

/// What a network of the generator consists of.
pub(crate) const RESOURCES_PER_NETWORK: usize = 17;

/// A topology of `networks` networks, over so many regions.
pub(crate) fn topology(networks: usize, regions: usize) -> Measured<String> {
    let arguments =
        generator::Arguments { networks, clusters_per_network: 0, regions, azs: 3, dual_stack: true, ipv6: false };
    Ok(generator::topology(&arguments)?)
}

/// The declarations of a topology's text, which must be without errors.
pub(crate) fn declarations(text: &str) -> Measured<Vec<Declaration>> {
    let topology = parse(text).topology.ok_or("the topology has errors")?;
    Ok(compile(&topology).declarations)
}

/// Opens the state of the benchmarks' mesh.
pub(crate) fn open(folder: &Path) -> Measured<Store> {
    let birth = Birth { sandbox: true, lineage: Some("0123456789abcdef0123456789abcdef".to_owned()), region: None };
    Ok(Store::open(folder, MESH, Opening { birth, ..Opening::new("a benchmark", Timestamp::UNIX_EPOCH) })?)
}

/// A plan over a state; `observed` is `None` for an offline one.
pub(crate) fn plan(declarations: &[Declaration], state: &State, observed: Option<&Observed>) -> Planned {
    meshplan::plan::plan(Inputs {
        declarations,
        state,
        observed,
        rules: &kinds::registry().rules(),
        moves: &[],
        topology: Some(Digest::of("a topology")),
        scope: &Scope::default(),
    })
}

/// Creates everything declared in a fresh sandbox, with every effect in the journal of `store`; and how long the run
/// alone took.
pub(crate) fn create_all(
    store: &mut Store,
    sandbox: &Sandbox,
    declarations: &[Declaration],
    budgets: Budgets,
    sink: &mut dyn Sink,
) -> Measured<(Duration, Outcome)> {
    let clock: Arc<dyn Clock> = Arc::new(sandbox.clock().clone());
    let cloud = Cloud::new(sandbox.sdk_config());
    create(store, &cloud, clock, declarations, budgets, sink, |run| sandbox.drive(apply(run)))
}

/// Creates everything declared in an empty cloud, the way that `drive` runs it.
pub(crate) fn create<'a, F>(
    store: &'a mut Store,
    cloud: &'a Cloud,
    clock: Arc<dyn Clock>,
    declarations: &[Declaration],
    budgets: Budgets,
    sink: &'a mut dyn Sink,
    drive: impl FnOnce(Run<'a>) -> F,
) -> Measured<(Duration, Outcome)>
where
    F: Future<Output = Result<Outcome, ApplyError>>,
{
    // Both live as long as the process: a run borrows them, and a benchmark is one run.
    let registry: &'static Registry = Box::leak(Box::new(kinds::registry()));
    // A fresh cloud has none of it.
    let plan = plan(declarations, store.state(), Some(&Observed::new())).plan.ok_or("the plan has errors")?;
    let plan: &'static Plan = Box::leak(Box::new(plan));
    let interrupt = Box::pin(std::future::pending());
    let run = Run { plan, registry, cloud, clock, ledger: store, sink, interrupt, budgets };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (time, outcome) = timed(|| runtime.block_on(drive(run)));
    let outcome = outcome?;
    if !outcome.is_complete() {
        return Err(format!("{} steps failed", outcome.failures.len()).into());
    }
    Ok((time, outcome))
}

/// Looks at the process's memory when a run begins, and each time so many steps have finished.
pub(crate) struct Watch {
    every: usize,
    finished: usize,
    /// The resident size when the plan was made and nothing was done.
    pub(crate) planned: f64,
    /// The resident size each time.
    pub(crate) megabytes: Vec<f64>,
}

impl Watch {
    pub(crate) fn every(every: usize) -> Self {
        Self { every, finished: 0, planned: 0.0, megabytes: Vec::new() }
    }
}

impl Sink for Watch {
    fn emit(&mut self, event: &Stamped) {
        if matches!(event.event, Event::RunStarted { .. }) {
            self.planned = resident_megabytes();
        }
        if matches!(event.event, Event::StepFinished { .. }) {
            self.finished += 1;
            if self.finished.is_multiple_of(self.every) {
                self.megabytes.push(resident_megabytes());
            }
        }
    }
}

/// A sandbox that is kept in memory only.
pub(crate) fn sandbox(options: Options) -> Measured<Sandbox> {
    Ok(Sandbox::open(Path::new("."), Options { persist: false, ..options })?)
}

#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a benchmark measures real time")]
pub(crate) fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let start = std::time::Instant::now();
    let result = run();
    (start.elapsed(), result)
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The one in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The largest resident size that the process had, or zero where the system does not say.
pub(crate) fn peak_megabytes() -> f64 {
    megabytes("VmHWM:")
}

/// The resident size of the process now, or zero where the system does not say.
pub(crate) fn resident_megabytes() -> f64 {
    megabytes("VmRSS:")
}

fn megabytes(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes: f64 = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default();
    kilobytes * 1024.0 / 1e6
}
