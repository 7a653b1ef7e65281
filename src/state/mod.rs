//! What meshplan owns, and what it was about to do: state, journal, and the store that keeps both on disk.
//!
//! [`State`] and [`journal`] are pure, and so is their form on disk; only [`store`] touches files.

mod check;
mod encode;
pub mod frame;
pub mod journal;
mod lines;
mod record;
pub mod store;
#[cfg(test)]
mod testing;
pub mod upgrade;

pub use check::{Caller, StateMismatch};
pub use journal::{Entry, FoldError};
pub use record::{Deposed, Durations, FORMAT, IntendedRecord, Intent, Operation, Record, RecordStatus, State};
pub use store::{Birth, Loaded, Note, Opening, Store, StoreError};
