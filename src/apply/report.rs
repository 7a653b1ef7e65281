//! What a run came to.

use crate::model::Address;
use crate::model::event::{Counts, StepKind};
use crate::resource::{ErrorClass, ProviderError};

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// How many resources were created, updated, ….
    pub counts: Counts,
    /// What failed, in the order in which it failed.
    pub failures: Vec<Failure>,
    /// What was not tried, and because of what; by address.
    pub skipped: Vec<Skipped>,
    /// What was not started because the run was interrupted; by address.
    pub not_started: Vec<Address>,
    /// Whether the operator stopped it.
    pub interrupted: bool,
    /// How long it took on the run's clock, in seconds.
    pub seconds: f64,
    /// The longest chain of steps as they really took, without waiting for budgets: no schedule can be shorter.
    pub critical_seconds: f64,
    /// That chain.
    pub critical_path: Vec<Address>,
    /// What the request limits alone demand, in seconds: no schedule can be shorter than this either.
    pub limit_seconds: f64,
}

impl Outcome {
    /// Whether everything planned was done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && self.skipped.is_empty() && !self.interrupted
    }
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whose.
    pub address: Address,
    /// What it tried.
    pub kind: StepKind,
    /// What went wrong, and what was done about it: one line.
    pub error: String,
    /// What to do about it, the best first.
    pub help: Vec<String>,
    /// Whether running again is safe and may be enough.
    pub retry_safe: bool,
}

/// A step that was not tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Whose.
    pub address: Address,
    /// What it would have done.
    pub kind: StepKind,
    /// The failed step that it needs.
    pub blocked_by: Address,
}

/// What to do about a provider's error that failed a step.
pub(super) fn help(error: &ProviderError) -> Vec<String> {
    let text = match error.class {
        ErrorClass::Throttled => "the account is at its request limit: wait a few minutes and apply again",
        ErrorClass::Transient => "the service did not answer properly for minutes: apply again later",
        ErrorClass::Ambiguous => "the answer was lost: apply again, which looks for what was made first",
        ErrorClass::NotYet => "what it needs did not become visible in time: apply again",
        ErrorClass::InUse => {
            "something still uses it that meshplan does not own: find it in the console and remove it, then apply again"
        }
        ErrorClass::Busy => "an earlier change of it is still under way: apply again when that is done",
        ErrorClass::Denied => {
            return vec![format!("allow `{}` to the caller, or use other credentials", error.operation)];
        }
        ErrorClass::Quota => {
            return vec![
                "raise the quota in Service Quotas, or remove what is no longer needed, then apply again".to_owned(),
            ];
        }
        ErrorClass::Conflict => "someone else holds or changes it: look who, then plan again",
        ErrorClass::Invalid => "correct the topology and plan again",
        ErrorClass::Bug => "this is a defect of meshplan: please report it with this message",
    };
    vec![text.to_owned()]
}

/// Whether running again is safe and may be enough.
pub(super) fn is_retry_safe(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Throttled
        | ErrorClass::Transient
        | ErrorClass::Ambiguous
        | ErrorClass::NotYet
        | ErrorClass::InUse
        | ErrorClass::Busy => true,
        ErrorClass::Denied | ErrorClass::Invalid | ErrorClass::Quota | ErrorClass::Conflict | ErrorClass::Bug => false,
    }
}
