//! `drift`: where the cloud no longer is what was last applied. Needs the state alone, no topology.

use std::fmt::Write as _;

use super::context::Context;
use super::plan::region_of_state;
use super::session::Session;
use super::{Exit, data};
use crate::compile::Declaration;
use crate::model::AttrPath;
use crate::plan::render::{changes, counted};
use crate::plan::{Inputs, Scope};
use crate::refresh::refresh;
use crate::state::{Caller, RecordStatus, State};
use crate::ui::{Console, Form};

/// `drift`.
pub(super) async fn drift(context: &Context, mesh: Option<&str>, detailed_exitcode: bool) -> anyhow::Result<Exit> {
    let mut state = context.existing_state(&context.mesh(mesh)?)?;
    state.check(&Caller { sandbox: Some(context.globals.sandbox), ..Caller::default() })?;
    let region = region_of_state(&state);
    let session = Session::open(context, region.as_deref(), &state.lineage).await?;
    session.check(&state, region.as_deref()).await?;
    // What an interrupted run left behind is not drift: only what was once seen ready can drift.
    state.intents.clear();
    state.records.retain(|_, record| record.status == RecordStatus::Ready);
    let declarations = as_applied(&state);
    let mut console = Console::new(context.streams, Form::Lines);
    let reading = refresh(&session.registry, &session.cloud, &*session.clock, &state, &declarations, &mut console);
    let observed = session.drive(reading).await.observed;
    let scope = Scope { allow_replace: state.records.keys().cloned().collect(), ..Scope::default() };
    let planned = crate::plan::plan(Inputs {
        declarations: &declarations,
        state: &state,
        observed: Some(&observed),
        rules: &session.registry.rules(),
        moves: &[],
        topology: None,
        scope: &scope,
    });
    context.judge(&planned.diagnostics, None)?;
    let plan = planned.plan.filter(|plan| !plan.is_empty());
    let sandbox = if context.globals.sandbox { "sandbox: " } else { "" };
    let Some(plan) = plan else {
        let resources = counted(state.records.len(), "resource");
        return data(context, &format!("{sandbox}no drift: {resources} as they were applied\n"));
    };
    let mut text = format!("{sandbox}drift of mesh {}: what an apply would put right\n\n", plan.mesh);
    text.push_str(&changes(&plan, context.streams.out_style()));
    let _ = writeln!(text, "Drift: {} of {}", plan.changes.len(), counted(state.records.len(), "resource"));
    context.streams.data(&text)?;
    Ok(if detailed_exitcode { Exit::Changes } else { Exit::Done })
}

/// What was last applied, as if it were declared.
fn as_applied(state: &State) -> Vec<Declaration> {
    let declaration = |(address, record): (&crate::model::Address, &crate::state::Record)| Declaration {
        address: address.clone(),
        target: record.target.clone(),
        spec: record.spec.clone(),
        references: Vec::new(),
        depends_on: record.depends_on.iter().filter(|needed| state.records.contains_key(*needed)).cloned().collect(),
        update_after: Vec::new(),
        notes: Vec::new(),
        origin: AttrPath::root(),
        protected: record.protected,
    };
    state.records.iter().map(declaration).collect()
}
