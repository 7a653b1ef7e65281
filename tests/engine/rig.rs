//! One mesh of toys: a ledger in memory, virtual time, and what a command does with them.

use std::sync::Arc;

use jiff::Timestamp;
use meshplan::apply::{Budgets, Ledger, LedgerError, Outcome, Run, apply};
use meshplan::compile::Declaration;
use meshplan::model::Clock;
use meshplan::model::event::Stamped;
use meshplan::model::fuse::Fuse;
use meshplan::plan::{Inputs, Observed, Plan, Planned, Scope, plan};
use meshplan::refresh::refresh;
use meshplan::resource::{Cloud, Registry};
use meshplan::sandbox::{SimClock, Speed};
use meshplan::state::{Entry, State};

use crate::toy::{Fault, KINDS, NOTE, Toy, World, world};

/// A ledger that asks the fuse before and after it is durable.
pub(crate) struct FusedLedger {
    pub(crate) state: State,
    pub(crate) fuse: Fuse,
    /// Every entry ever made durable, as it would be written.
    pub(crate) written: String,
}

impl Ledger for FusedLedger {
    fn state(&self) -> &State {
        &self.state
    }
    fn append(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        let lost = || LedgerError("power lost".into());
        self.fuse.touch().then_some(()).ok_or_else(lost)?;
        for entry in entries {
            self.written.push_str(&serde_json::to_string(&entry).unwrap());
            self.state.fold(entry).map_err(|error| LedgerError(Box::new(error)))?;
        }
        self.fuse.touch().then_some(()).ok_or_else(lost)
    }
}

/// A test's engine: a state, a virtual clock and the thread's toy world.
pub(crate) struct Rig {
    pub(crate) ledger: FusedLedger,
    pub(crate) clock: SimClock,
    pub(crate) events: Vec<Stamped>,
    pub(crate) registry: Registry,
    pub(crate) cloud: Cloud,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with_fuse(Fuse::never())
    }

    pub(crate) fn with_fuse(fuse: Fuse) -> Self {
        let clock = SimClock::new(Timestamp::UNIX_EPOCH, Speed::Unlimited, fuse.clone());
        world(|world| {
            *world = World { clock: Some(clock.clone()), fuse: Some(fuse.clone()), ..World::default() };
        });
        Self {
            ledger: FusedLedger { state: State::new("toys", "lineage".to_owned(), true), fuse, written: String::new() },
            clock,
            events: Vec::new(),
            registry: Registry::new(KINDS),
            cloud: Cloud::new(aws_config::SdkConfig::builder().build()),
        }
    }

    /// Starts over as a new process would: only the ledger's state and the world are left.
    pub(crate) fn restart(&mut self, fuse: Fuse) {
        self.clock = SimClock::new(self.clock.now(), Speed::Unlimited, fuse.clone());
        self.ledger.fuse = fuse.clone();
        world(|world| {
            world.clock = Some(self.clock.clone());
            world.fuse = Some(fuse);
        });
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    pub(crate) fn observe(&mut self, declarations: &[Declaration]) -> Observed {
        let clock = self.clock.clone();
        let reading = refresh(&self.registry, &self.cloud, &clock, &self.ledger.state, declarations, &mut self.events);
        Self::block_on(clock.drive(reading)).observed
    }

    pub(crate) fn planned(&mut self, declarations: &[Declaration], scope: &Scope) -> Planned {
        let mut declarations = declarations.to_vec();
        declarations.sort_by(|a, b| a.address.cmp(&b.address));
        let observed = self.observe(&declarations);
        plan(Inputs {
            declarations: &declarations,
            state: &self.ledger.state,
            observed: Some(&observed),
            rules: &self.registry.rules(),
            moves: &[],
            topology: None,
            scope,
        })
    }

    pub(crate) fn plan(&mut self, declarations: &[Declaration]) -> Plan {
        let planned = self.planned(declarations, &Scope::default());
        planned.plan.unwrap_or_else(|| panic!("{:?}", planned.diagnostics))
    }

    pub(crate) fn apply_plan(&mut self, plan: &Plan) -> Result<Outcome, meshplan::apply::ApplyError> {
        self.apply_until(plan, Box::pin(std::future::pending()))
    }

    pub(crate) fn apply_until(
        &mut self,
        plan: &Plan,
        interrupt: std::pin::Pin<Box<dyn Future<Output = ()>>>,
    ) -> Result<Outcome, meshplan::apply::ApplyError> {
        let clock = self.clock.clone();
        let run = apply(Run {
            plan,
            registry: &self.registry,
            cloud: &self.cloud,
            clock: Arc::new(clock.clone()),
            ledger: &mut self.ledger,
            sink: &mut self.events,
            interrupt,
            budgets: Budgets::default(),
        });
        Self::block_on(clock.drive(run))
    }

    /// Plans and applies, and expects all of it to succeed.
    pub(crate) fn apply(&mut self, declarations: &[Declaration]) -> Outcome {
        let plan = self.plan(declarations);
        let outcome = self.apply_plan(&plan).unwrap();
        assert!(outcome.is_complete(), "{outcome:#?}");
        outcome
    }

    /// What is there, as `kind name`, sorted.
    pub(crate) fn there(&self) -> Vec<String> {
        let now = self.clock.now();
        let mut names: Vec<String> = world(|world| {
            let alive = world.objects.iter().filter(|(id, object)| Toy::live(object, id, now).is_some());
            alive.map(|(_, object)| format!("{} {}", object.kind, object.spec.name)).collect()
        });
        // What is only recorded is there when its record says so.
        let recorded = self.ledger.state.records.keys().filter(|address| address.kind() == NOTE);
        names.extend(recorded.map(|address| format!("{} {}", NOTE, address.parts().next().unwrap())));
        names.sort();
        names
    }

    pub(crate) fn fault(verb: &'static str, name: &str, faults: &[Fault]) {
        world(|world| world.faults.insert((verb, name.to_owned()), faults.to_vec()));
    }
}
