//! The plan: every choice of a run, made by a pure function and reviewed before anything is touched.
//!
//! Entry point: [`plan`]. It sees declarations, state, what was observed, and the kinds' rules; no clock, no file,
//! no network, no randomness. The answer is the execution graph itself: `apply` follows its steps and fills holes,
//! and decides nothing.

mod basis;
pub mod decide;
mod declared;
mod expiry;
mod findings;
mod forecast;
mod model;
mod only;
mod outlook;
mod planner;
mod protect;
pub mod render;
mod secrets;
mod steps;
mod undeclared;

pub use basis::{Basis, assume, moved_since};
pub use model::{
    Action, Change, Estimate, FORMAT_VERSION, Goal, Move, Observation, Observed, Plan, Reason, Step, StepId, Summary,
    fingerprint,
};
pub use planner::{Inputs, Planned, Scope, plan};
pub use steps::step_graph;
