//! The port to what remembers: the engine appends entries and reads the state that they make.

use crate::state::{Entry, State, Store};

/// An entry could not be made durable. The run stops at once: nothing may happen that is not remembered.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the journal")]
pub struct LedgerError(#[source] pub Box<dyn std::error::Error + Send + Sync + 'static>);

/// What remembers a run.
///
/// # Guarantees
/// When `append` returns, the entries are durable and the state shows them. When it fails, the state does not show
/// them, and every later append fails too.
pub trait Ledger {
    /// The state with every appended entry.
    fn state(&self) -> &State;

    /// Makes entries durable, all at once.
    fn append(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError>;
}

impl Ledger for Store {
    fn state(&self) -> &State {
        Self::state(self)
    }

    fn append(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        Self::append(self, &entries).map_err(|error| LedgerError(Box::new(error)))
    }
}

/// A ledger without a disk: for simulations and benchmarks.
#[derive(Debug)]
pub struct MemoryLedger(pub State);

impl Ledger for MemoryLedger {
    fn state(&self) -> &State {
        &self.0
    }

    fn append(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        entries.into_iter().try_for_each(|entry| self.0.fold(entry)).map_err(|error| LedgerError(Box::new(error)))
    }
}
