//! The account of a run: a closed list of events. Console, JSON lines and tests are sinks of the same stream.

use jiff::Timestamp;
use serde::Serialize;

use super::Address;

/// What a run does as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Brings the cloud to the topology.
    Apply,
    /// Removes everything.
    Destroy,
}

/// What one step does to its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// Makes it.
    Create,
    /// Changes it in place.
    Update,
    /// Removes it.
    Delete,
    /// Finishes the wait of an earlier run's create.
    Wait,
    /// Takes an existing object into state.
    Adopt,
    /// Drops it from state, touching nothing.
    Forget,
}

impl StepKind {
    /// `create`, `update`, …
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Wait => "wait",
            Self::Adopt => "adopt",
            Self::Forget => "forget",
        }
    }

    /// `created`, `updated`, …
    #[must_use]
    pub fn past(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Update => "updated",
            Self::Delete => "deleted",
            Self::Wait => "ready",
            Self::Adopt => "adopted",
            Self::Forget => "forgotten",
        }
    }
}

/// How many resources a run created, updated, ….
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Made, without those that replace another.
    pub created: usize,
    /// Changed in place.
    pub updated: usize,
    /// Replaced.
    pub replaced: usize,
    /// Removed, without those that were replaced.
    pub deleted: usize,
    /// Taken into state, including creates that were finished for an earlier run.
    pub adopted: usize,
    /// Dropped from state.
    pub forgotten: usize,
    /// Failed.
    pub failed: usize,
    /// Not tried, because something they need failed.
    pub skipped: usize,
    /// Not started, because the run was interrupted.
    pub not_started: usize,
}

/// Something that is left after a teardown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Leftover {
    /// What it is, for example `NAT gateway`.
    pub what: String,
    /// Its id, name or ARN.
    pub id: String,
    /// Its region; `global` for what is the whole account's.
    pub region: String,
    /// Whether it is the mesh's: it carries the mesh's tag or its cluster's name. What is not was found in a VPC of the
    /// mesh.
    pub ours: bool,
    /// What it costs; absent if nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_billable: Option<&'static str>,
}

/// One event. Serialised, it is an object with `event` and the fields below.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Reading the cloud begins.
    RefreshStarted {
        /// How many resources are read.
        resources: usize,
    },
    /// Reading the cloud is done.
    RefreshFinished {
        /// How many resources were read.
        resources: usize,
        /// How many requests that took.
        requests: usize,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// The run begins.
    RunStarted {
        /// Apply or destroy.
        operation: Operation,
        /// The mesh's id.
        mesh: String,
        /// How many steps there are.
        steps: usize,
        /// How long it should take, in seconds.
        expected_seconds: f64,
    },
    /// A step begins.
    StepStarted {
        /// Whose.
        address: Address,
        /// What it does.
        kind: StepKind,
        /// How long it should take, in seconds.
        expected_seconds: f64,
    },
    /// A step's object exists (or is going) and is waited for.
    StepWaiting {
        /// Whose.
        address: Address,
        /// What it does.
        kind: StepKind,
        /// The provider's id.
        id: String,
        /// What is waited for, for example `state is pending`.
        what: String,
    },
    /// A request failed in a way that is retried.
    StepRetrying {
        /// Whose.
        address: Address,
        /// What it does.
        kind: StepKind,
        /// Which retry this will be, from 1.
        attempt: u32,
        /// When, in seconds from now.
        in_seconds: f64,
        /// What the provider said.
        error: String,
    },
    /// A step is done.
    StepFinished {
        /// Whose.
        address: Address,
        /// What it did.
        kind: StepKind,
        /// The provider's id; empty for a forgotten resource.
        id: String,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// A step failed; its dependents are skipped.
    StepFailed {
        /// Whose.
        address: Address,
        /// What it tried.
        kind: StepKind,
        /// What went wrong, one line.
        error: String,
        /// What to do about it.
        help: Vec<String>,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// A step was not tried.
    StepSkipped {
        /// Whose.
        address: Address,
        /// What it would have done.
        kind: StepKind,
        /// The failed step that it needs.
        blocked_by: Address,
    },
    /// The operator asked to stop.
    Interrupted {
        /// How many calls are still in flight and are finished first.
        in_flight: usize,
        /// How many waits were dropped; the next run picks them up.
        waits_dropped: usize,
    },
    /// The run is over.
    RunFinished {
        /// Apply or destroy.
        operation: Operation,
        /// What was done.
        counts: Counts,
        /// How long it took on the run's clock, in seconds.
        seconds: f64,
        /// The longest chain of steps as they really took, in seconds: no schedule can be shorter.
        critical_seconds: f64,
        /// That chain.
        critical_path: Vec<Address>,
        /// What the request limits alone demand, in seconds: no schedule can be shorter than this either.
        limit_seconds: f64,
    },
    /// After a teardown the cloud was looked at for what is left.
    AuditFinished {
        /// What is left, what costs money first.
        left: Vec<Leftover>,
        /// Where it could not be looked, a sentence each.
        unseen: Vec<String>,
    },
}

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stamped {
    /// When, on the run's clock.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// Where events go.
pub trait Sink {
    /// Takes one event.
    fn emit(&mut self, event: &Stamped);
}

impl Sink for Vec<Stamped> {
    fn emit(&mut self, event: &Stamped) {
        self.push(event.clone());
    }
}
