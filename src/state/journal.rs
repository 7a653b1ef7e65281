//! The journal's entries and how they change a state. Pure: bytes and files belong to the store.
//!
//! The journal is what makes a crash ordinary: an intent is durable before its call, an id is durable before its
//! wait. Folding any prefix of a journal over its state gives a valid state, and folding an entry twice
//! gives the same as folding it once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Address, Digest, Document, Target};
use crate::resource::RemoteId;

use super::record::IntendedRecord;
use super::record::{Deposed, Durations, Intent, Operation, Record, RecordStatus, State};

/// One thing that happened, or is about to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// A call is about to be made.
    Intent {
        /// Whose.
        address: Address,
        /// What is promised.
        intent: Intent,
    },
    /// A create was answered, or its object was found: the id is known, the object may not be ready.
    Created {
        /// Whose.
        address: Address,
        /// The object.
        id: RemoteId,
    },
    /// An object is ready and is as its spec says.
    Ready {
        /// Whose.
        address: Address,
        /// The spec as applied, sensitive fields masked.
        spec: Document,
        /// The digest of the declaration it follows.
        declared: Digest,
        /// Direct dependencies, sorted.
        depends_on: Vec<Address>,
        /// Whether it is protected.
        protected: bool,
        /// The version of its kind's shape that the documents have.
        schema_version: u32,
        /// The plain outputs.
        outputs: Document,
        /// What was done and how long it took, in seconds; `None` when nothing was timed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        took: Option<(Operation, f64)>,
    },
    /// A call was refused without effect: the promise is void.
    Void {
        /// Whose.
        address: Address,
    },
    /// An object exists and must not be trusted.
    Tainted {
        /// Whose.
        address: Address,
        /// Why, for the next plan.
        reason: String,
    },
    /// An object is gone. With a deposed object's id only that one is dropped, otherwise the record.
    Deleted {
        /// Whose.
        address: Address,
        /// The object.
        id: RemoteId,
    },
    /// An existing object was taken into state.
    Adopted {
        /// Its address.
        address: Address,
        /// The object.
        id: RemoteId,
        /// Everything else of its record.
        record: IntendedRecord,
        /// Its plain outputs.
        outputs: Document,
    },
    /// A record was dropped, its object untouched.
    Forgotten {
        /// Whose.
        address: Address,
    },
    /// A record changed its address.
    Moved {
        /// From where.
        from: Address,
        /// To where.
        to: Address,
    },
    /// The caller's account, seen for the first time.
    Account {
        /// The AWS account id.
        account: String,
    },
}

impl Entry {
    /// The addresses whose record or promise it changes.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        let (first, second) = match self {
            Self::Intent { address, .. }
            | Self::Created { address, .. }
            | Self::Ready { address, .. }
            | Self::Void { address }
            | Self::Tainted { address, .. }
            | Self::Deleted { address, .. }
            | Self::Adopted { address, .. }
            | Self::Forgotten { address } => (Some(address), None),
            Self::Moved { from, to } => (Some(from), Some(to)),
            Self::Account { .. } => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// An entry does not fit the state it is folded over: the two files are not of one history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal says {entry} of {address}, and the state has no {missing} of it")]
pub struct FoldError {
    entry: &'static str,
    missing: &'static str,
    address: Address,
}

impl State {
    /// A state without a resource.
    #[must_use]
    pub fn new(mesh: &str, lineage: String, sandbox: bool) -> Self {
        Self {
            mesh: mesh.to_owned(),
            lineage,
            serial: 0,
            generation: 0,
            account: None,
            region: None,
            sandbox,
            records: std::collections::BTreeMap::new(),
            intents: std::collections::BTreeMap::new(),
            extra: std::collections::BTreeMap::new(),
        }
    }

    /// Changes the state as one entry says.
    pub fn fold(&mut self, entry: Entry) -> Result<(), FoldError> {
        match entry {
            Entry::Intent { address, intent } => {
                if intent.operation == Operation::Create && self.intents.get(&address) != Some(&intent) {
                    self.generation += 1;
                }
                if intent.operation == Operation::Delete
                    && let Some(record) = self.records.get_mut(&address)
                    && record.deposed.is_empty()
                {
                    record.status = RecordStatus::Deleting;
                }
                self.intents.insert(address, intent);
            }
            Entry::Created { address, id } => self.fold_created(address, id)?,
            Entry::Ready { address, spec, declared, depends_on, protected, schema_version, outputs, took } => {
                self.intents.remove(&address);
                let record = self.record_mut(&address, "ready")?;
                record.status = RecordStatus::Ready;
                record.spec = spec;
                record.declared = declared;
                record.depends_on = depends_on;
                record.protected = protected;
                record.schema_version = schema_version;
                record.outputs = outputs;
                if let Some((operation, seconds)) = took {
                    record.durations.set(operation, seconds);
                }
            }
            Entry::Void { address } => {
                self.intents.remove(&address);
            }
            Entry::Tainted { address, reason } => {
                self.intents.remove(&address);
                self.record_mut(&address, "tainted")?.status = RecordStatus::Tainted(reason);
            }
            Entry::Deleted { address, id } => {
                self.intents.remove(&address);
                // Folded a second time there is no record, or a successor's: neither is touched.
                if let Some(record) = self.records.get_mut(&address) {
                    if record.id != id {
                        record.deposed.retain(|deposed| deposed.id != id);
                    } else if let Some(deposed) = record.deposed.pop() {
                        // What it replaced is still there and must not be lost sight of.
                        record.id = deposed.id;
                        record.target = deposed.target;
                        record.outputs = Document::empty();
                        record.status = RecordStatus::Tainted("its successor is gone".to_owned());
                    } else {
                        self.records.remove(&address);
                    }
                }
            }
            Entry::Adopted { address, id, record, outputs } => {
                self.intents.remove(&address);
                let before = self.records.remove(&address);
                let mut record = record.succeeding(before, id);
                record.status = RecordStatus::Ready;
                record.outputs = outputs;
                self.records.insert(address, record);
            }
            Entry::Forgotten { address } => {
                self.intents.remove(&address);
                self.records.remove(&address);
            }
            Entry::Moved { from, to } => {
                if let Some(record) = self.records.remove(&from) {
                    self.records.insert(to.clone(), record);
                }
                if let Some(intent) = self.intents.remove(&from) {
                    self.intents.insert(to.clone(), intent);
                }
                let renamed = |address: &mut Address| {
                    if *address == from {
                        *address = to.clone();
                    }
                };
                let retarget = |target: &mut Target| match target {
                    Target::Cluster { cluster } => renamed(cluster),
                    Target::Aws { .. } | Target::Local => {}
                };
                for record in self.records.values_mut() {
                    record.depends_on.iter_mut().for_each(renamed);
                    record.depends_on.sort_unstable();
                    retarget(&mut record.target);
                    record.deposed.iter_mut().for_each(|deposed| retarget(&mut deposed.target));
                }
                for record in self.intents.values_mut().filter_map(|intent| intent.record.as_mut()) {
                    record.depends_on.iter_mut().for_each(renamed);
                    record.depends_on.sort_unstable();
                    retarget(&mut record.target);
                }
            }
            Entry::Account { account } => self.account = Some(account),
        }
        Ok(())
    }

    fn fold_created(&mut self, address: Address, id: RemoteId) -> Result<(), FoldError> {
        let Some(intent) = self.intents.remove(&address) else {
            // Folded a second time the promise is kept already; without a record the files do not fit.
            return self.record_mut(&address, "created").map(|_| ());
        };
        let Some(intended) = intent.record else {
            return Err(FoldError { entry: "created", missing: "create's promise", address });
        };
        let before = self.records.remove(&address);
        self.records.insert(address, intended.succeeding(before, id));
        Ok(())
    }

    fn record_mut(&mut self, address: &Address, entry: &'static str) -> Result<&mut Record, FoldError> {
        self.records.get_mut(address).ok_or_else(|| FoldError { entry, missing: "record", address: address.clone() })
    }
}

impl IntendedRecord {
    /// The record once its object has an id. Objects that were there before and are not known to be gone stay on record.
    fn succeeding(self, before: Option<Record>, id: RemoteId) -> Record {
        let (mut durations, mut deposed) = (Durations::default(), Vec::new());
        if let Some(before) = before {
            durations = before.durations;
            deposed = before.deposed;
            if self.deposes {
                deposed.push(Deposed { id: before.id, target: before.target });
            }
            // Folded a second time it is its own predecessor.
            deposed.retain(|deposed| deposed.id != id);
        }
        Record {
            id,
            status: RecordStatus::Creating,
            schema_version: self.schema_version,
            target: self.target,
            spec: self.spec,
            outputs: Document::empty(),
            declared: self.declared,
            depends_on: self.depends_on,
            protected: self.protected,
            durations,
            deposed,
            extra: std::collections::BTreeMap::new(),
        }
    }
}

impl Durations {
    /// Remembers how long an operation took, in seconds.
    pub fn set(&mut self, operation: Operation, seconds: f64) {
        let slot = match operation {
            Operation::Create => &mut self.create,
            Operation::Update => &mut self.update,
            Operation::Delete => &mut self.delete,
        };
        *slot = Some(seconds);
    }
}

impl Intent {
    /// A create's promise.
    #[must_use]
    pub fn create(token: String, started: Timestamp, record: IntendedRecord) -> Self {
        Self { operation: Operation::Create, token, started, record: Some(record) }
    }

    /// The promise to change or remove what is on record.
    #[must_use]
    pub fn on_record(operation: Operation, started: Timestamp) -> Self {
        Self { operation, token: String::new(), started, record: None }
    }
}

#[cfg(test)]
mod tests;
