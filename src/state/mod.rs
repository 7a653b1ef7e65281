//! What meshplan owns, and what it was about to do: state, journal, and the store that keeps both on disk.
//!
//! [`State`] and [`journal`] are pure; only [`store`] touches files.

pub mod journal;
mod record;

pub use journal::{Entry, FoldError};
pub use record::{Deposed, Durations, FORMAT, IntendedRecord, Intent, Operation, Record, RecordStatus, State};
