//! The planner and the apply engine against a toy provider whose every answer a test decides, on virtual time.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells its figures"
)]

mod crashes;
mod pace;
mod planning;
mod properties;
mod rig;
mod runs;
mod takes_time;
mod toy;
