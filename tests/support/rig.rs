//! One mesh: a state folder, a cloud, and what a command does with them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use meshplan::apply::{ApplyError, Budgets, Outcome, Run, apply};
use meshplan::cli::sandboxed::cloud;
use meshplan::compile::{Declaration, compile};
use meshplan::kinds;
use meshplan::kinds::helm::program::{HelmProgram, Settings};
use meshplan::model::event::Stamped;
use meshplan::model::fuse::Fuse;
use meshplan::model::{Address, Clock, Digest, Target};
use meshplan::plan::{Inputs, Plan, Planned, Scope, plan};
use meshplan::refresh::refresh;
use meshplan::resource::{Cloud, Registry};
use meshplan::sandbox::{Options, Sandbox};
use meshplan::state::{Birth, Opening, Store};
use meshplan::topology::parse;
use meshplan::vault::Vault;

const LINEAGE: &str = "0123456789abcdef0123456789abcdef";

/// A vault whose identity is in a process's folder.
pub(crate) fn vault(folder: &Path) -> Vault {
    Vault::new(Some(folder.join("identity.txt")), Vec::new(), LINEAGE)
}

/// A helm that is not there: the sandbox's clusters need none.
fn no_helm(sandbox: &Sandbox, folder: &Path) -> Rc<HelmProgram> {
    Rc::new(HelmProgram::new(Settings {
        path: Vec::new(),
        meshplan: PathBuf::from("meshplan"),
        folder: folder.to_owned(),
        aws: sandbox.sdk_config(),
        clock: Arc::new(sandbox.clock().clone()),
        width: 1,
    }))
}

/// Everything that a topology's text declares, which must be without errors.
#[allow(dead_code, reason = "each test binary has its own part of the mesh in view")]
pub(crate) fn whole_mesh(text: &str) -> Vec<Declaration> {
    let parsed = parse(text);
    assert!(!parsed.has_errors(), "{:#?}", parsed.diagnostics);
    compile(&parsed.topology.unwrap()).declarations
}

/// The declarations of a topology's text outside of clusters: networks, clusters, and what sweeps up after them.
#[allow(dead_code, reason = "each test binary has its own part of the mesh in view")]
pub(crate) fn declarations(text: &str) -> Vec<Declaration> {
    let is_outside = |declaration: &Declaration| match &declaration.target {
        Target::Aws { .. } => true,
        Target::Local => !declaration.address.kind().starts_with("pki."),
        Target::Cluster { .. } => false,
    };
    let mut all = whole_mesh(text);
    all.retain(is_outside);
    let kept: BTreeSet<Address> = all.iter().map(|declaration| declaration.address.clone()).collect();
    for declaration in &mut all {
        declaration.depends_on.retain(|address| kept.contains(address));
    }
    all
}

/// The text of a committed topology.
pub(crate) fn topology(name: &str) -> String {
    std::fs::read_to_string(Path::new("topologies").join(name)).unwrap()
}

/// A process: everything that a crash takes away.
pub(crate) struct Process {
    pub(crate) cloud: Cloud,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) events: Vec<Stamped>,
    pub(crate) budgets: fn() -> Budgets,
}

impl Process {
    /// A process over a folder and a cloud.
    pub(crate) fn start(folder: &Path, cloud: Cloud, clock: Arc<dyn Clock>, fuse: Fuse) -> Self {
        let opening = Opening {
            birth: Birth { sandbox: true, lineage: Some(LINEAGE.to_owned()), ..Birth::default() },
            fuse,
            ..Opening::new("a test", Timestamp::UNIX_EPOCH)
        };
        let store = Store::open(folder, "mesh1", opening).unwrap();
        Self { cloud, clock, store, registry: kinds::registry(), events: Vec::new(), budgets: Budgets::default }
    }

    /// What a plan over these declarations would be.
    pub(crate) async fn planned(&mut self, declarations: &[Declaration], scope: &Scope) -> Planned {
        let state = self.store.state();
        let refreshed = refresh(&self.registry, &self.cloud, &*self.clock, state, declarations, &mut self.events).await;
        plan(Inputs {
            declarations,
            state,
            observed: Some(&refreshed.observed),
            rules: &self.registry.rules(),
            moves: &[],
            topology: Some(Digest::of("a topology")),
            scope,
        })
    }

    /// The plan, which must be without errors.
    pub(crate) async fn plan(&mut self, declarations: &[Declaration]) -> Plan {
        // Nothing declared is how everything goes: a destroy.
        let scope = Scope { destroy: declarations.is_empty(), ..Scope::default() };
        let planned = self.planned(declarations, &scope).await;
        planned.plan.unwrap_or_else(|| panic!("{:#?}", planned.diagnostics))
    }

    /// Carries out a plan.
    pub(crate) async fn carry_out(&mut self, plan: &Plan) -> Result<Outcome, ApplyError> {
        let outcome = apply(Run {
            plan,
            registry: &self.registry,
            cloud: &self.cloud,
            clock: Arc::clone(&self.clock),
            ledger: &mut self.store,
            sink: &mut self.events,
            interrupt: Box::pin(std::future::pending()),
            budgets: (self.budgets)(),
        })
        .await?;
        Ok(outcome)
    }

    /// Plans and applies as the command does, and saves.
    pub(crate) async fn apply(&mut self, declarations: &[Declaration]) -> Result<Outcome, ApplyError> {
        let plan = self.plan(declarations).await;
        let outcome = self.carry_out(&plan).await?;
        if let Err(error) = self.store.save() {
            return Err(ApplyError::Plan(error.to_string()));
        }
        Ok(outcome)
    }
}

/// A process over a sandbox that lives in the same folder.
pub(crate) struct InSandbox {
    pub(crate) sandbox: Sandbox,
    pub(crate) process: Process,
}

impl InSandbox {
    pub(crate) fn start(folder: &Path, options: Options) -> Self {
        let fuse = options.fuse.clone();
        let sandbox = Sandbox::open(&sandbox_folder(folder), options).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(sandbox.clock().clone());
        let cloud = cloud(&sandbox, Rc::new(vault(folder)), no_helm(&sandbox, folder));
        let process = Process::start(folder, cloud, clock, fuse);
        Self { sandbox, process }
    }

    /// Applies to the end; everything must succeed.
    pub(crate) fn apply(&mut self, declarations: &[Declaration]) -> Outcome {
        let outcome = run(self.sandbox.drive(self.process.apply(declarations))).unwrap();
        assert!(outcome.is_complete(), "{outcome:#?}");
        outcome
    }

    /// What a plan would do.
    pub(crate) fn plan(&mut self, declarations: &[Declaration]) -> Plan {
        run(self.sandbox.drive(self.process.plan(declarations)))
    }
}

pub(crate) fn sandbox_folder(folder: &Path) -> PathBuf {
    folder.join("sandbox")
}

pub(crate) fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
