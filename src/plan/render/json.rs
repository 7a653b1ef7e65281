//! The plan as JSON: what scripts read, and the file that a saved plan is. Documented in `docs/formats.md`.

use std::collections::BTreeSet;

use crate::model::Address;
use crate::plan::model::{FORMAT_VERSION, Plan};
use crate::plan::steps::step_graph;

/// A text is not a plan that this version can apply.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// It is not JSON of a plan's shape.
    #[error("not a saved plan: `{path}`: {error}")]
    Shape {
        /// Where in the JSON.
        path: String,
        /// What is wrong there.
        error: String,
    },
    /// It was written by another version.
    #[error(
        "the plan has format version {found}, and this version of meshplan reads {FORMAT_VERSION}; make it again with `meshplan plan`"
    )]
    Version {
        /// What it says.
        found: u64,
    },
    /// Its parts do not fit each other: it was changed by hand or damaged.
    #[error("the plan is damaged: {0}; make it again with `meshplan plan`")]
    Damaged(String),
}

/// The plan as JSON, ended by a line end.
pub fn json(plan: &Plan) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(plan)?;
    text.push('\n');
    Ok(text)
}

/// The plan that a saved file holds, checked to be one that can be followed: every step belongs to a change and
/// comes after the steps it waits for.
pub fn parse(text: &str) -> Result<Plan, PlanError> {
    #[derive(serde::Deserialize)]
    struct Head {
        format_version: u64,
    }
    // The version first: of a later format nothing else can be relied on.
    if let Ok(Head { format_version }) = serde_json::from_str::<Head>(text)
        && format_version != u64::from(FORMAT_VERSION)
    {
        return Err(PlanError::Version { found: format_version });
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let plan: Plan = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| PlanError::Shape { path: error.path().to_string(), error: error.inner().to_string() })?;
    deserializer.end().map_err(|error| PlanError::Shape { path: ".".to_owned(), error: error.to_string() })?;
    check(&plan)?;
    Ok(plan)
}

fn check(plan: &Plan) -> Result<(), PlanError> {
    let damaged = |what: String| Err(PlanError::Damaged(what));
    if let Some(pair) = plan.changes.windows(2).find(|pair| pair[0].address >= pair[1].address) {
        return damaged(format!("the change of {} is out of order", pair[1].address));
    }
    let changed: BTreeSet<&Address> = plan.changes.iter().map(|change| &change.address).collect();
    for (index, step) in plan.steps.iter().enumerate() {
        if step.id.index() != index {
            return damaged(format!("step {index} calls itself {}", step.id.0));
        }
        if !changed.contains(&step.address) {
            return damaged(format!("step {index} is of {}, which no change names", step.address));
        }
        if let Some(after) = step.after.iter().find(|after| after.index() >= index) {
            return damaged(format!("step {index} waits for step {}, which comes later", after.0));
        }
        if !step.seconds.is_finite() || step.seconds < 0.0 {
            return damaged(format!("step {index} is expected to take {} s", step.seconds));
        }
    }
    if step_graph(plan).order().is_err() {
        return damaged("its steps wait for each other in a circle".to_owned());
    }
    Ok(())
}
