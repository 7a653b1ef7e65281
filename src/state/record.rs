//! The shape of state: one record per resource that we own, and the promises not yet kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::{Address, Digest, Document, Target};
use crate::resource::RemoteId;

/// The version of the state file's format that this version writes.
pub const FORMAT: u32 = 1;

/// Everything meshplan knows of one mesh.
#[derive(Debug, Clone)]
pub struct State {
    /// The mesh's id.
    pub mesh: String,
    /// The identity of this state's history: random at birth, the same for ever. Salts digests of sensitive values.
    pub lineage: String,
    /// Counts saves.
    pub serial: u64,
    /// Counts creates: makes each create's token unlike every other's.
    pub generation: u64,
    /// The AWS account, once a run has seen it.
    pub account: Option<String>,
    /// The mesh's default region.
    pub region: Option<String>,
    /// Whether the resources live in the sandbox.
    pub sandbox: bool,
    /// What we own.
    pub records: BTreeMap<Address, Record>,
    /// Calls that were promised and whose end is not known: what a crash leaves, and what the next run resolves.
    pub intents: BTreeMap<Address, Intent>,
    /// Fields written by a newer version of the same format: kept as they are.
    pub extra: BTreeMap<String, Box<RawValue>>,
}

/// One resource that we own.
#[derive(Debug, Clone)]
pub struct Record {
    /// The provider's id.
    pub id: RemoteId,
    /// How far it is.
    pub status: RecordStatus,
    /// The version of its kind's shape.
    pub schema_version: u32,
    /// Where it lives.
    pub target: Target,
    /// The spec as last applied: no holes, sensitive fields masked.
    pub spec: Document,
    /// The outputs; `{}` until it is ready. Only plain ones are stored.
    pub outputs: Document,
    /// The digest of the declaration that was last applied ([`crate::model::Digest`] of the spec with its holes):
    /// when it is unchanged and nothing above it changes, neither document is parsed.
    pub declared: Digest,
    /// Direct dependencies, sorted: so that it can be deleted in order after its text is gone.
    pub depends_on: Vec<Address>,
    /// Whether deleting or replacing it needs `--allow-replace`.
    pub protected: bool,
    /// How long its last create, update and delete took.
    pub durations: Durations,
    /// Predecessors that a create-first replacement has not deleted yet.
    pub deposed: Vec<Deposed>,
    /// Fields written by a newer version of the same format.
    pub extra: BTreeMap<String, Box<RawValue>>,
}

/// How far a record's object is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordStatus {
    /// It was seen ready.
    Ready,
    /// It exists and is not known to be ready, or not yet all of its spec is set.
    Creating,
    /// It exists and is not trusted: it will be replaced. The text says why.
    Tainted(String),
    /// Its deletion was requested and its end not seen.
    Deleting,
}

/// Durations seen, in seconds: what the next plan's estimate learns from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Durations {
    /// From the first request to ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<f64>,
    /// An update in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<f64>,
    /// From the request to gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<f64>,
}

/// An object that was replaced and is still to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposed {
    /// The provider's id.
    pub id: RemoteId,
    /// Where it lives.
    pub target: Target,
}

/// What a call is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Make an object.
    Create,
    /// Change one in place.
    Update,
    /// Remove one.
    Delete,
}

/// A promise: written and durable before the call it speaks of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// What the call does.
    pub operation: Operation,
    /// A create's token, also what an interrupted create is found by; empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// When it was promised, on the run's clock.
    pub started: Timestamp,
    /// What a create will have made: everything of its record but the id. `None` for other operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<IntendedRecord>,
}

/// The record that a create will have made, before it has an id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntendedRecord {
    /// See [`Record::schema_version`].
    pub schema_version: u32,
    /// See [`Record::target`].
    pub target: Target,
    /// See [`Record::spec`].
    pub spec: Document,
    /// See [`Record::declared`].
    pub declared: Digest,
    /// See [`Record::depends_on`].
    pub depends_on: Vec<Address>,
    /// See [`Record::protected`].
    pub protected: bool,
    /// Whether the address's present object stays until its successor is ready (a create-first replacement).
    #[serde(default)]
    pub deposes: bool,
}
