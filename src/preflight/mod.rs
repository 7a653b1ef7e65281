//! What the cloud is asked before anything is created: whether it offers what the plan wants, and has room for it.
//!
//! Entry point: [`check`]. A control plane takes ten minutes and its nodes come after it: that a zone does not have their
//! instance type is better known before. Everything here only reads. A question that may not be asked is a warning, for
//! nobody needs these rights to apply; and a plan that makes nothing asks nothing.
//!
//! What the plan wants is in `demand`, the questions are in `ask`, and what the answers mean is in `judge`, which is
//! pure. Whether the state is of this account and region is checked elsewhere, before any plan.

mod ask;
mod demand;
mod judge;

use futures_util::future::join_all;

use crate::compile::Declaration;
use crate::model::{Clock, Diagnostic};
use crate::plan::Plan;
use crate::resource::Cloud;

/// Asks the cloud whether it can give what the plan makes. `declarations` are those that the plan was made of, sorted by
/// address. The regions are asked side by side, and so are the questions to each.
///
/// # Cancel safety
/// Nothing is changed; dropping it loses only the answers.
pub async fn check(cloud: &Cloud, clock: &dyn Clock, declarations: &[Declaration], plan: &Plan) -> Vec<Diagnostic> {
    let demands = demand::of(declarations, plan);
    let answers = join_all(demands.iter().map(|demand| ask::ask(cloud, clock, demand))).await;
    demands.iter().zip(&answers).flat_map(|(demand, answers)| judge::judge(demand, answers)).collect()
}

#[cfg(test)]
mod tests;
