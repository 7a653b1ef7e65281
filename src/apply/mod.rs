//! Carrying out a plan: one loop that owns everything mutable, and futures that each make one request.
//!
//! Entry point: [`apply`]. It takes an approved plan and never looks at the topology; it fills holes with outputs
//! as they become known, and changes no value that was shown.
//!
//! * `queue`: which step is next (pure);
//! * `budget`: how many requests an API may get (pure);
//! * `retry`: what is done about an error (pure);
//! * `task`: what one step does next, given the last answer (pure but for reading state);
//! * `clusters`: which clusters can be reached by now;
//! * `requests`: making them, within the budgets;
//! * `unstored`: reading again what is needed and never stored;
//! * `engine`: the loop.

mod budget;
mod clusters;
mod engine;
mod gate;
mod ledger;
mod queue;
mod report;
mod requests;
mod resolve;
mod retry;
mod task;
mod unstored;

pub use budget::Budgets;
pub use engine::{ApplyError, Run, apply};
pub use ledger::{Ledger, LedgerError, MemoryLedger};
pub use queue::{Queue, Standing};
pub use report::{Failure, Outcome, Skipped};
