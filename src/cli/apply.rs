//! `apply` and `destroy`: approval, the run, and its report.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::Exit;
use super::args::ScopeArgs;
use super::clock::WallClock;
use super::context::{Context, Reported};
use super::interrupt::Interrupts;
use super::plan::{Wanted, check, look_ahead, make, next, region_of_state, scope};
use super::report::{Report, report};
use super::session::{Session, region_of};
use super::{audit, foreign, helm, verify};
use crate::apply::{ApplyError, Budgets, Outcome, Run, apply as carry_out};
use crate::kinds::audit::Scope;
use crate::model::event::{Event, Operation, Sink, Stamped};
use crate::model::{Clock, Digest};
use crate::plan::render::{clean, parse, text};
use crate::plan::{Plan, Scope as PlanScope, moved_since};
use crate::state::{Birth, Caller, Entry, Store, store};
use crate::ui::{Console, Form, PULSE, REDRAW};

/// How many reasons a stale plan is given: the rest are of the same sort.
const LISTED: usize = 10;

/// What the operator has agreed to beforehand.
#[expect(clippy::struct_excessive_bools, reason = "each is one option of the command line, and none excludes another")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Consent {
    /// The plan, whatever it says.
    pub(super) yes: bool,
    /// That load balancers of others go with their clusters.
    pub(super) force: bool,
    /// That fields of Kubernetes objects that others manage are taken over.
    pub(super) force_conflicts: bool,
    /// That the mesh is not verified at the end.
    pub(super) no_verify: bool,
}

/// `apply`.
pub(super) async fn apply(
    context: &Context,
    source: Option<&Path>,
    consent: Consent,
    args: &ScopeArgs,
) -> anyhow::Result<Exit> {
    let Some(path) = source else {
        refuse_scope(args)?;
        return Box::pin(saved(context, pending(context)?, consent)).await;
    };
    let content = fs::read_to_string(path).with_context(|| format!("could not read `{}`", path.display()))?;
    // A plan is JSON and a topology is TOML, which cannot begin with a brace.
    if content.trim_start().starts_with('{') {
        refuse_scope(args)?;
        let plan = parse(&content).with_context(|| format!("`{}` cannot be used", path.display()))?;
        return Box::pin(saved(context, plan, consent)).await;
    }
    let source = context.topology(Some(path))?;
    let store = context.open(&source.mesh, context.birth(&source.mesh, source.region.as_deref()))?;
    check(context, store.state(), &source)?;
    let session = Session::open(context, source.region.as_deref(), &store.state().lineage).await?;
    let session = session.forcing_conflicts(consent.force_conflicts);
    let account = session.check(store.state(), source.region.as_deref()).await?;
    let console = RefCell::new(console(context));
    let wanted = Wanted { state: store.state(), source: Some(&source), scope: scope(args, false) };
    let mut plan = make(context, Some(&session), wanted, &mut &console).await?;
    look_ahead(context, &session, &source, &plan).await?;
    context.judge(&helm::check(&session, &plan, true).await, None)?;
    let findings = helm::previews(context, Some(&session), store.state(), &source, &mut plan).await;
    context.judge(&findings, Some(&source))?;
    let again = next(context, &format!("apply {}", source.name));
    let requests = verify::requests(&source);
    run(Ready { context, session, store, account, console, again, requests }, &plan, consent).await
}

/// `destroy`.
pub(super) async fn destroy(context: &Context, mesh: Option<&str>, consent: Consent) -> anyhow::Result<Exit> {
    let mesh = context.mesh(mesh)?;
    context.existing_state(&mesh)?;
    let store = context.open(&mesh, context.birth(&mesh, None))?;
    store.state().check(&Caller { sandbox: Some(context.globals.sandbox), ..Caller::default() })?;
    let region = region_of_state(store.state());
    let session = Session::open(context, region.as_deref(), &store.state().lineage).await?;
    let account = session.check(store.state(), region.as_deref()).await?;
    let console = RefCell::new(console(context));
    let scope = PlanScope { destroy: true, ..PlanScope::default() };
    let plan =
        make(context, Some(&session), Wanted { state: store.state(), source: None, scope }, &mut &console).await?;
    let again = next(context, &format!("destroy {mesh}"));
    run(Ready { context, session, store, account, console, again, requests: None }, &plan, consent).await
}

/// A saved plan decides for itself what it may do.
fn refuse_scope(args: &ScopeArgs) -> anyhow::Result<()> {
    if args.only.is_empty() && args.allow_replace.is_empty() && args.replace.is_empty() {
        return Ok(());
    }
    bail!("a saved plan is carried out as it was reviewed: give `--only`, `--replace` and `--allow-replace` to `plan`")
}

/// The one pending plan.
fn pending(context: &Context) -> anyhow::Result<Plan> {
    let directory = &context.globals.state;
    let mut meshes = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        meshes.extend(name.to_str().and_then(|name| name.strip_suffix(".plan.json")).map(str::to_owned));
    }
    meshes.sort_unstable();
    let mesh = match meshes.as_slice() {
        [] => bail!("there is no pending plan in `{}`: `meshplan plan TOPOLOGY` makes one", directory.display()),
        [only] => only,
        several => bail!(
            "several plans are pending in `{}`: name a topology or plan of {}",
            directory.display(),
            several.join(", ")
        ),
    };
    let Some(bytes) = store::read_plan(directory, mesh)? else { bail!("the pending plan of {mesh} is gone") };
    let path = directory.join(format!("{mesh}.plan.json"));
    parse(&String::from_utf8_lossy(&bytes)).with_context(|| {
        format!("the pending plan `{}` cannot be used: `meshplan plan TOPOLOGY` makes it anew", path.display())
    })
}

/// Applies a plan that was made before.
async fn saved(context: &Context, plan: Plan, consent: Consent) -> anyhow::Result<Exit> {
    if plan.offline {
        bail!("the plan was made offline, so it does not know what is there: make it again without `--offline`");
    }
    if plan.sandbox != context.globals.sandbox {
        let (is, way) = if plan.sandbox { ("the sandbox", "give") } else { ("AWS", "leave out") };
        bail!("the plan is for {is}: {way} `--sandbox`");
    }
    let birth = Birth { lineage: Some(plan.lineage.clone()), ..context.birth(&plan.mesh, plan.region.as_deref()) };
    let store = context.open(&plan.mesh, birth)?;
    store.state().check(&Caller {
        mesh: Some(&plan.mesh),
        sandbox: Some(plan.sandbox),
        region: plan.region.as_deref(),
        lineage: Some(&plan.lineage),
        ..Caller::default()
    })?;
    let mut moved: Vec<String> = topology_moved(&plan).into_iter().collect();
    moved.extend(moved_since(&plan, store.state())?);
    if !moved.is_empty() {
        context.streams.say("error: the plan is stale");
        for what in moved.iter().take(LISTED) {
            context.streams.say(&format!("  moved since: {}", clean(what)));
        }
        if moved.len() > LISTED {
            context.streams.say(&format!("  and {} more", moved.len() - LISTED));
        }
        let source = plan.source.as_deref().unwrap_or("TOPOLOGY");
        context.streams.say(&format!("  help: make it again with `{}`", next(context, &format!("plan {source}"))));
        return Err(Reported.into());
    }
    let region = plan.region.clone().or_else(|| region_of(&plan).map(str::to_owned));
    let region = region.or_else(|| region_of_state(store.state()));
    let session = Session::open(context, region.as_deref(), &store.state().lineage).await?;
    let session = session.forcing_conflicts(consent.force_conflicts);
    let account = session.check(store.state(), region.as_deref()).await?;
    if plan.account.as_ref() != Some(&account) {
        let made = plan.account.as_deref().unwrap_or("none");
        bail!(
            "the plan was made with credentials for account {}, and these are for account {account}: use credentials of \
             the first, or make the plan again",
            clean(made)
        );
    }
    let again = match plan.operation {
        Operation::Apply => next(context, &format!("plan {}", plan.source.as_deref().unwrap_or("TOPOLOGY"))),
        Operation::Destroy => next(context, &format!("destroy {}", plan.mesh)),
    };
    let console = RefCell::new(console(context));
    run(Ready { context, session, store, account, console, again, requests: None }, &plan, consent).await
}

/// Whether the topology is another text than the one that was reviewed, as far as it is still there.
fn topology_moved(plan: &Plan) -> Option<String> {
    let (source, digest) = plan.source.as_ref().zip(plan.topology)?;
    let text = fs::read(source).ok()?;
    (Digest::of(&text) != digest).then(|| format!("the topology `{source}` has changed since the plan"))
}

fn console(context: &Context) -> Console {
    let form = if context.globals.json {
        Form::Json
    } else if context.streams.is_live() && !context.globals.no_progress {
        Form::Live
    } else {
        Form::Lines
    };
    Console::new(context.streams, form)
}

/// Everything that a run needs but its plan.
struct Ready<'a> {
    context: &'a Context,
    session: Session,
    store: Store,
    account: String,
    console: RefCell<Console>,
    /// The command that goes on where this one stopped.
    again: String,
    /// How many requests the topology wants each cluster to send when the mesh is verified.
    requests: Option<u32>,
}

/// The console is told by the run and drawn by the clock beside it.
impl Sink for &RefCell<Console> {
    fn emit(&mut self, event: &Stamped) {
        self.borrow_mut().emit(event);
    }
}

/// Shows a plan, has it approved, carries it out, saves, and reports.
async fn run(mut ready: Ready<'_>, plan: &Plan, consent: Consent) -> anyhow::Result<Exit> {
    let Consent { yes, force, force_conflicts: _, no_verify } = consent;
    let context = ready.context;
    // Afterwards state does not know any more where to look.
    let destroyed = (plan.operation == Operation::Destroy).then(|| audit::scope(ready.store.state(), &ready.session));
    let streams = context.streams;
    let json = context.globals.json;
    if !json {
        streams.data(&text(plan, streams.out_style()))?;
    }
    helm::recorded(context, plan);
    if plan.is_empty() && plan.bookkeeping.is_empty() {
        store::remove_plan(&context.globals.state, &plan.mesh)?;
        return match destroyed {
            Some(scope) => left(&ready, &scope, true).await,
            None => Ok(Exit::Done),
        };
    }
    context.judge(&helm::check(&ready.session, plan, true).await, None)?;
    if !force {
        let foreign = foreign::foreign(&ready.session, ready.store.state(), plan).await?;
        if !foreign.is_empty() {
            context.judge(&[foreign::finding(&foreign, true)], None)?;
        }
    }
    if !plan.is_empty() {
        if json && !yes {
            streams.say_text(&text(plan, streams.err_style()));
        }
        let question = match plan.operation {
            Operation::Apply => "Apply these changes?",
            Operation::Destroy => "Destroy all of this?",
        };
        if let Some(exit) = context.approve(question, yes).await? {
            return Ok(exit);
        }
    }
    if ready.store.state().account.is_none() {
        ready.store.append(&[Entry::Account { account: ready.account.clone() }])?;
    }
    let began = WallClock.now();
    let outcome = engine(&mut ready, plan).await?;
    ready.console.borrow_mut().finish();
    for notice in ready.session.vault.take_notices() {
        streams.say(&format!("note: {notice}"));
    }
    let Some(outcome) = outcome else { return Ok(Exit::Interrupted) };
    if let Err(error) = &outcome
        && matches!(error, ApplyError::Plan(_))
    {
        bail!("{error}");
    }
    let outcome =
        outcome.context("the run could not go on; what was done is on record, and the next run takes it from there")?;
    ready.store.save().context("the run is on record, but state could not be saved")?;
    store::remove_plan(&context.globals.state, &plan.mesh)?;
    if plan.is_empty() {
        return Ok(Exit::Done);
    }
    let real = Duration::try_from(WallClock.now().duration_since(began)).unwrap_or_default();
    let told = Report {
        operation: plan.operation,
        outcome: &outcome,
        sandbox: plan.sandbox,
        // Never in a log, so that two logs of the sandbox can be compared.
        real: streams.is_live().then_some(real),
        next: &ready.again,
    };
    if json {
        streams.say_text(&report(&told, streams.err_style()));
    } else {
        streams.data(&report(&told, streams.out_style()))?;
    }
    if outcome.interrupted {
        return Ok(Exit::Interrupted);
    }
    let audited = match destroyed {
        Some(scope) => left(&ready, &scope, outcome.is_complete()).await?,
        None => Exit::Done,
    };
    if !outcome.is_complete() {
        return Ok(Exit::Failed);
    }
    if plan.operation == Operation::Apply && !no_verify {
        return verify::after_apply(context, &ready.session, ready.store.state(), ready.requests).await;
    }
    Ok(audited)
}

/// Looks for what a destroy left, and says it. That something of ours is left is a failure.
async fn left(ready: &Ready<'_>, scope: &Scope, ended_well: bool) -> anyhow::Result<Exit> {
    let streams = ready.context.streams;
    let audited = audit::look(&ready.session, scope, ended_well).await;
    if ready.context.globals.json {
        let event = Event::AuditFinished { left: audited.left.clone(), unseen: audited.unseen.clone() };
        ready.console.borrow_mut().emit(&Stamped { at: ready.session.clock.now(), event });
        streams.say_text(&audit::text(&audited, streams.err_style()));
    } else {
        streams.data(&audit::text(&audited, streams.out_style()))?;
    }
    Ok(if audited.left.iter().any(|leftover| leftover.ours) { Exit::Failed } else { Exit::Done })
}

/// Carries out the plan beside what draws it; `None` when the operator asked twice to stop.
async fn engine(ready: &mut Ready<'_>, plan: &Plan) -> anyhow::Result<Option<Result<Outcome, ApplyError>>> {
    let Interrupts { first, second } = Interrupts::listen()?;
    let (session, console) = (&ready.session, &ready.console);
    console.borrow_mut().follow(plan);
    let form = console.borrow().form();
    let mut sink = console;
    let running = carry_out(Run {
        plan,
        registry: &session.registry,
        cloud: &session.cloud,
        clock: session.clock.clone(),
        ledger: &mut ready.store,
        sink: &mut sink,
        interrupt: first,
        budgets: Budgets::default(),
    });
    // Whoever looks lives in real time, whatever the run's clock is.
    let every = match form {
        Form::Live => Some(REDRAW),
        Form::Lines => Some(PULSE),
        Form::Json => None,
    };
    tokio::select! {
        biased;
        outcome = session.drive(running) => Ok(Some(outcome)),
        () = second => Ok(None),
        never = beat(every, console, &*session.clock) => match never {},
    }
}

/// Beats for as long as it is polled, or never.
async fn beat(every: Option<Duration>, console: &RefCell<Console>, clock: &dyn Clock) -> Infallible {
    let Some(every) = every else { return std::future::pending().await };
    loop {
        WallClock.sleep(every).await;
        console.borrow_mut().beat(clock);
    }
}
