//! The plan as JSON: what scripts read, and the file that a saved plan is. Documented in `docs/formats.md`.

use std::collections::BTreeSet;

use crate::model::diff::{FieldRule, exposed};
use crate::model::{Address, AttrPath, Digest};
use crate::plan::model::{FORMAT_VERSION, Plan};
use crate::plan::steps::step_graph;
use crate::resource::{KindRules, RuleBook};

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
    #[error("the plan was changed or damaged: {0}; make it again with `meshplan plan`")]
    Damaged(String),
}

/// A plan cannot be written as JSON.
#[derive(Debug, thiserror::Error)]
pub enum Unwritable {
    /// A secret would be readable in it.
    #[error(
        "`{path}` of {address} is a secret, and the plan's file and JSON would show it: `meshplan apply TOPOLOGY` plans and \
         applies without writing a plan"
    )]
    Secret {
        /// Whose.
        address: Address,
        /// Where in its spec.
        path: AttrPath,
    },
    /// It has no JSON form.
    #[error("the plan has no JSON form")]
    Json(#[from] serde_json::Error),
}

/// The plan as JSON, ended by a line end, with a digest over all of it. Refused when a secret would be readable.
pub fn json(plan: &Plan, rules: &RuleBook) -> Result<String, Unwritable> {
    if let Some((address, path)) = secret(plan, &|kind| rules.kind(kind).map_or(&[], KindRules::fields)) {
        return Err(Unwritable::Secret { address, path });
    }
    let digest = content_digest(&serde_json::to_string(plan)?)?;
    let mut text = serde_json::to_string_pretty(&Plan { digest: Some(digest), ..plan.clone() })?;
    text.push('\n');
    Ok(text)
}

/// The first secret that the plan would show. What is compared is masked already; what is to be set is not.
pub(super) fn secret(plan: &Plan, fields: &dyn Fn(&str) -> &'static [FieldRule]) -> Option<(Address, AttrPath)> {
    plan.changes.iter().find_map(|change| {
        let spec = &change.goal.as_ref()?.spec;
        let path = exposed(&spec.value(), fields(change.address.kind()))?;
        Some((change.address.clone(), path))
    })
}

/// The digest of a plan's text, whatever its layout, without the digest that it holds.
fn content_digest(text: &str) -> Result<Digest, serde_json::Error> {
    let mut content: serde_json::Value = serde_json::from_str(text)?;
    if let Some(fields) = content.as_object_mut() {
        fields.remove("digest");
    }
    Ok(Digest::of(serde_json::to_string(&content)?))
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
    let mut plan: Plan = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| PlanError::Shape { path: error.path().to_string(), error: error.inner().to_string() })?;
    deserializer.end().map_err(|error| PlanError::Shape { path: ".".to_owned(), error: error.to_string() })?;
    check(&plan)?;
    let digest =
        content_digest(text).map_err(|error| PlanError::Shape { path: ".".to_owned(), error: error.to_string() })?;
    if plan.digest.take() != Some(digest) {
        return Err(PlanError::Damaged("it is not as it was written".to_owned()));
    }
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
