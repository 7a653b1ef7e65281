//! The commands that only look: `validate`, `graph`, `explain`, `outputs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::args::{Drawing, Listing};
use super::context::Context;
use super::plan::{Wanted, check, make};
use super::session::Session;
use super::{Exit, data};
use crate::model::{Address, Value};
use crate::plan::Scope;
use crate::plan::render::{Explained, counted, explain as explained, graph as drawn, show};
use crate::state::State;
use crate::ui::{Console, Form};

/// `validate`: the topology's rules, and everything that a plan from nothing would find.
pub(super) fn validate(context: &Context, topology: Option<&Path>) -> anyhow::Result<Exit> {
    let source = context.topology(topology)?;
    let nothing = State::new(&source.mesh, String::new(), context.globals.sandbox);
    let planned = crate::plan::plan(crate::plan::Inputs {
        declarations: &source.compiled.declarations,
        state: &nothing,
        observed: None,
        rules: &crate::kinds::registry().rules(),
        moves: &source.moves,
        topology: Some(source.digest()),
        scope: &Scope::default(),
    });
    context.judge(&planned.diagnostics, Some(&source))?;
    for note in &source.compiled.notes {
        context.streams.say(&format!("note: {note}"));
    }
    let (networks, clusters) = (counted(source.networks, "network"), counted(source.clusters, "cluster"));
    let resources = counted(source.compiled.declarations.len(), "resource");
    data(context, &format!("{} is valid: {networks}, {clusters}, {resources} planned\n", source.name))
}

/// `graph`: from the topology and state, without looking at the cloud.
pub(super) fn graph(context: &Context, topology: Option<&Path>, format: Drawing) -> anyhow::Result<Exit> {
    let source = context.topology(topology)?;
    let state = context.state(&source.mesh, source.region.as_deref())?;
    let mut scope = Scope::default();
    // A drawing changes nothing: what is protected may be drawn as going.
    scope.allow_replace.extend(state.records.keys().cloned());
    let planned = crate::plan::plan(crate::plan::Inputs {
        declarations: &source.compiled.declarations,
        state: &state,
        observed: None,
        rules: &crate::kinds::registry().rules(),
        moves: &source.moves,
        topology: Some(source.digest()),
        scope: &scope,
    });
    context.judge(&planned.diagnostics, Some(&source))?;
    let plan = planned.plan.context("there is no plan to draw")?;
    let format = if context.globals.json { Drawing::Json } else { format };
    data(context, &drawn(&plan, &source.compiled.declarations, &state, format.into())?)
}

/// `explain`.
pub(super) async fn explain(
    context: &Context,
    address: &Address,
    topology: Option<&Path>,
    offline: bool,
) -> anyhow::Result<Exit> {
    let source = context.topology(topology)?;
    let state = context.state(&source.mesh, source.region.as_deref())?;
    check(context, &state, &source)?;
    let session =
        if offline { None } else { Some(Session::open(context, source.region.as_deref(), &state.lineage).await?) };
    if let Some(session) = &session {
        session.check(&state, source.region.as_deref()).await?;
    }
    let mut scope = Scope::default();
    scope.allow_replace.extend(state.records.keys().cloned());
    let mut console = Console::new(context.streams, Form::Lines);
    let wanted = Wanted { state: &state, source: Some(&source), scope };
    let plan = make(context, session.as_ref(), wanted, &mut console).await?;
    let with = Explained { plan: &plan, declarations: &source.compiled.declarations, state: &state };
    match explained(with, address, context.streams.out_style()) {
        Ok(text) => data(context, &text),
        Err(finding) => {
            context.judge(&[*finding], None)?;
            Ok(Exit::Failed)
        }
    }
}

/// `outputs`.
pub(super) fn outputs(context: &Context, mesh: Option<&str>, format: Listing) -> anyhow::Result<Exit> {
    let state = context.existing_state(&context.mesh(mesh)?)?;
    if format == Listing::Json || context.globals.json {
        let all: BTreeMap<_, _> = state.records.iter().map(|(address, record)| (address, &record.outputs)).collect();
        return data(context, &(serde_json::to_string_pretty(&all)? + "\n"));
    }
    let mut text = String::new();
    for (address, record) in &state.records {
        let Value::Object(fields) = record.outputs.value() else { continue };
        for (name, value) in fields.iter().filter(|(_, value)| !matches!(value, Value::Null)) {
            let _ = writeln!(text, "{address}.{name} = {}", shortly(value));
        }
    }
    data(context, &text)
}

/// An output on one line: of a certificate that it is one, of a sealed secret whom it is sealed to. The JSON has them whole.
fn shortly(value: &Value) -> String {
    let sealed = |fields: &BTreeMap<String, Value>| match (fields.get("$sealed"), fields.get("to")) {
        (Some(_), Some(Value::Array(to))) => Some(counted(to.len(), "public key")),
        (Some(_) | None, _) => None,
    };
    match value {
        Value::String(text) if text.starts_with("-----BEGIN ") => {
            let blocks = text.matches("-----BEGIN ").count();
            format!("(PEM, {})", counted(blocks, "block"))
        }
        Value::Object(fields) => sealed(fields).map_or_else(|| show(value), |to| format!("(sealed to {to})")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Unknown(_) => {
            show(value)
        }
    }
}
