//! `plan` and `show`; and how a plan is made, for every command that needs one.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::args::{Format, PlanArgs, ScopeArgs};
use super::clock::WallClock;
use super::context::{Context, Reported, Source};
use super::session::{Session, aws_region};
use super::{Exit, data, foreign, helm};
use crate::compile::Declaration;
use crate::kinds::registry;
use crate::model::diagnostic::did_you_mean;
use crate::model::event::Sink;
use crate::model::{Address, Clock, Code, Diagnostic};
use crate::plan::render::{json, markdown, parse, text};
use crate::plan::{Inputs, Plan, Planned, Scope, assume};
use crate::preflight;
use crate::refresh::refresh;
use crate::state::{Caller, State, store};
use crate::ui::{Console, Form};

/// `plan`.
pub(super) async fn plan(context: &Context, args: PlanArgs) -> anyhow::Result<Exit> {
    let source = context.topology(args.topology.as_deref())?;
    if let Some(out) = &args.out {
        refuse_to_overwrite(out)?;
    }
    let state = context.state(&source.mesh, source.region.as_deref())?;
    check(context, &state, &source)?;
    let session =
        if args.offline { None } else { Some(Session::open(context, source.region.as_deref(), &state.lineage).await?) };
    let account = match &session {
        Some(session) => Some(session.check(&state, source.region.as_deref()).await?),
        None => None,
    };
    let mut console = Console::new(context.streams, Form::Lines);
    let wanted = Wanted { state: &state, source: Some(&source), scope: scope(&args.scope, args.destroy) };
    let mut plan = make(context, session.as_ref(), wanted, &mut console).await?;
    if let Some(session) = &session {
        look_ahead(context, session, &source, &plan).await?;
        let foreign = foreign::foreign(session, &state, &plan).await?;
        if !foreign.is_empty() {
            context.judge(&[foreign::finding(&foreign, false)], None)?;
            plan.notes.extend(foreign.iter().map(foreign::sentence));
        }
    }
    let without_helm = match &session {
        Some(session) => helm::check(session, &plan, false).await,
        None => Vec::new(),
    };
    context.judge(&without_helm, None)?;
    if without_helm.is_empty() {
        let findings = helm::previews(context, session.as_ref(), &state, &source, &mut plan).await;
        context.judge(&findings, Some(&source))?;
    }
    // What whoever applies it later has to find again.
    plan.basis = assume(&plan, &state)?;
    plan.region.clone_from(&source.region);
    plan.account = account;
    let saved = json(&plan, &registry().rules())?;
    if let Some(out) = &args.out {
        store::write_atomically(out, saved.as_bytes())
            .with_context(|| format!("could not save the plan in `{}`", out.display()))?;
    }
    if !plan.offline {
        store::write_plan(&context.globals.state, &plan.mesh, saved.as_bytes())?;
    }
    let format = if context.globals.json { Format::Json } else { args.format };
    context.streams.data(&write(context, &plan, format)?)?;
    if !plan.offline && !plan.is_empty() {
        context
            .streams
            .say(&format!("Kept as the pending plan: `{}` carries out exactly this", next(context, "apply")));
    }
    let exit = if args.detailed_exitcode && !plan.is_empty() { Exit::Changes } else { Exit::Done };
    // The process ends here: freeing 100,000 records one by one is 7 % of what a plan
    // of nothing to do takes.
    std::mem::forget((source, state, plan));
    Ok(exit)
}

/// Refuses to write a plan over anything but a plan: a slip of the completion must not cost a topology.
fn refuse_to_overwrite(out: &Path) -> anyhow::Result<()> {
    #[derive(serde::Deserialize)]
    struct Head {
        #[serde(rename = "format_version")]
        _format_version: u32,
        #[serde(rename = "lineage")]
        _lineage: String,
    }
    let there = match fs::read(out) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("could not look at `{}`", out.display())),
    };
    if !there.is_empty() && serde_json::from_slice::<Head>(&there).is_err() {
        bail!("`{}` exists and is not a saved plan: give `--out` another name, or remove it", out.display());
    }
    Ok(())
}

/// `show`.
pub(super) fn show(context: &Context, path: &Path, format: Format) -> anyhow::Result<Exit> {
    let plan = load(path)?;
    let format = if context.globals.json { Format::Json } else { format };
    data(context, &write(context, &plan, format)?)
}

/// Reads a saved plan.
pub(super) fn load(path: &Path) -> anyhow::Result<Plan> {
    let text = fs::read_to_string(path).with_context(|| format!("could not read the plan `{}`", path.display()))?;
    parse(&text).with_context(|| format!("`{}` cannot be used", path.display()))
}

/// A command to type next, with the options that this one had.
pub(super) fn next(context: &Context, command: &str) -> String {
    let mut text = format!("meshplan {command}");
    if context.globals.sandbox {
        text.push_str(" --sandbox");
    }
    if context.globals.state != Path::new("state") {
        let _ = write!(text, " --state {}", context.globals.state.display());
    }
    text
}

/// The plan in a format.
pub(super) fn write(context: &Context, plan: &Plan, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Text => text(plan, context.streams.out_style()),
        Format::Json => json(plan, &registry().rules())?,
        Format::Markdown => markdown(plan),
    })
}

/// What a plan may do, as typed.
pub(super) fn scope(args: &ScopeArgs, destroy: bool) -> Scope {
    Scope {
        destroy,
        allow_replace: args.allow_replace.iter().cloned().collect(),
        only: args.only.clone(),
        replace: args.replace.iter().cloned().collect(),
        as_of: None,
    }
}

/// Refuses a state that is not the topology's, before anything is asked of a cloud.
pub(super) fn check(context: &Context, state: &State, source: &Source) -> anyhow::Result<()> {
    state.check(&Caller {
        mesh: Some(&source.mesh),
        sandbox: Some(context.globals.sandbox),
        region: source.region.as_deref(),
        ..Caller::default()
    })?;
    Ok(())
}

/// What a plan is made of.
pub(super) struct Wanted<'a> {
    pub(super) state: &'a State,
    /// The topology; `None` to plan with the state alone, which only a destroy does.
    pub(super) source: Option<&'a Source>,
    pub(super) scope: Scope,
}

/// Makes a plan: looks at the cloud unless there is no session, and prints what the planner finds. An error among
/// that ends the command.
pub(super) async fn make(
    context: &Context,
    session: Option<&Session>,
    wanted: Wanted<'_>,
    sink: &mut dyn Sink,
) -> anyhow::Result<Plan> {
    let Wanted { state, source, scope } = wanted;
    let declared = source.filter(|_| !scope.destroy);
    let declarations = declared.map_or(&[][..], |source| &source.compiled.declarations);
    context.judge(&unknown_addresses(&scope, declarations, state), None)?;
    let observed = match session {
        None => None,
        Some(session) => {
            let reading = refresh(&session.registry, &session.cloud, &*session.clock, state, declarations, sink);
            Some(session.drive(reading).await.observed)
        }
    };
    // Certificates are dated by the session's clock; without one by the wall's.
    let as_of = Some(session.map_or_else(|| WallClock.now(), |session| session.clock.now()));
    let scope = Scope { as_of, ..scope };
    let Planned { plan, diagnostics } = crate::plan::plan(Inputs {
        declarations,
        state,
        observed: observed.as_ref(),
        rules: &registry().rules(),
        moves: declared.map_or(&[][..], |source| &source.moves),
        topology: declared.map(Source::digest),
        scope: &scope,
    });
    tracing::info!(mesh = state.mesh, serial = state.serial, resources = state.records.len(), "planned");
    context.judge(&diagnostics, declared)?;
    let Some(mut plan) = plan else { return Err(Reported.into()) };
    if let Some(source) = declared {
        plan.notes.splice(0..0, source.compiled.notes.iter().cloned());
        plan.source = Some(source.name.clone());
    }
    Ok(plan)
}

/// Asks the cloud whether it can give what the plan makes. An error among what is found ends the command, before
/// anything is made.
pub(super) async fn look_ahead(
    context: &Context,
    session: &Session,
    source: &Source,
    plan: &Plan,
) -> anyhow::Result<()> {
    let asking = preflight::check(&session.cloud, &*session.clock, &source.compiled.declarations, plan);
    let found = session.drive(asking).await;
    context.judge(&found, Some(source))
}

/// A finding for each address that the plan is allowed or asked to replace and that nobody knows: a slip of the pen
/// would silently ask for nothing.
fn unknown_addresses(scope: &Scope, declarations: &[Declaration], state: &State) -> Vec<Diagnostic> {
    let known = |address: &Address| {
        state.records.contains_key(address) || declarations.binary_search_by(|d| d.address.cmp(address)).is_ok()
    };
    let asked = |option: &'static str, addresses: &BTreeSet<Address>| -> Vec<Diagnostic> {
        let unknown = addresses.iter().filter(|address| !known(address));
        let finding = |address: &Address| {
            let finding = Diagnostic::error(
                Code("unknown-address"),
                format!("`{option} {address}`: no such resource is declared or in state"),
            );
            let names =
                declarations.iter().map(|d| d.address.as_str()).chain(state.records.keys().map(Address::as_str));
            match did_you_mean(address.as_str(), names) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding,
            }
        };
        unknown.map(finding).collect()
    };
    [asked("--replace", &scope.replace), asked("--allow-replace", &scope.allow_replace)].concat()
}

/// The region in which the caller of a state is asked for.
pub(super) fn region_of_state(state: &State) -> Option<String> {
    let of_records = || state.records.values().find_map(|record| aws_region(&record.target));
    state.region.as_deref().or_else(of_records).map(str::to_owned)
}
