//! What can go wrong at a provider, with a class decided where the error is born.

use std::fmt;
use std::time::Duration;

use crate::model::AttrPath;

/// What the engine may do about an error. Nobody looks inside an error to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorClass {
    /// Too many requests: wait, and go slower on that API.
    Throttled,
    /// The request had no effect and may be repeated.
    Transient,
    /// The answer was lost or unusable: the effect may or may not be there. Look before repeating.
    Ambiguous,
    /// Eventual consistency: something just made is not visible yet. Repeated for a bounded time.
    NotYet,
    /// Something that is going away still holds it (`DependencyViolation`). Repeated for a bounded, longer time.
    InUse,
    /// The provider is busy with an earlier change of the same object (EKS takes one update of a cluster at a time).
    /// Repeated for as long as such a change may take.
    Busy,
    /// The caller may not do this.
    Denied,
    /// The request is wrong and will be wrong again.
    Invalid,
    /// A quota of the account is used up.
    Quota,
    /// It clashes with an object that is not ours, or that someone else is changing.
    Conflict,
    /// A defect of meshplan.
    Bug,
}

impl ErrorClass {
    /// The class in a message, for example `throttled`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Ambiguous => "answer lost",
            Self::NotYet => "not visible yet",
            Self::InUse => "in use",
            Self::Busy => "busy with another change",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::Quota => "quota",
            Self::Conflict => "conflict",
            Self::Bug => "a defect of meshplan",
        }
    }
}

/// A provider's refusal or failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ProviderError {
    /// What may be done about it.
    pub class: ErrorClass,
    /// The call, for example `ec2:CreateVpc`.
    pub operation: &'static str,
    /// The provider's own code, for example `VpcLimitExceeded`.
    pub code: Option<String>,
    /// The provider's own message, or ours.
    pub message: String,
    /// The provider's id of the request, for its support.
    pub request_id: Option<String>,
    /// Which field of the spec is to blame, where that is known.
    pub at: Option<AttrPath>,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
}

impl ProviderError {
    /// An error of our own making.
    pub fn new(class: ErrorClass, operation: &'static str, message: impl Into<String>) -> Self {
        Self { class, operation, code: None, message: message.into(), request_id: None, at: None, retry_after: None }
    }

    /// A defect of meshplan.
    pub fn bug(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Bug, operation, message)
    }

    /// The same error in another class: for kinds that know more than the general classification.
    #[must_use]
    pub fn with_class(self, class: ErrorClass) -> Self {
        Self { class, ..self }
    }

    /// How long the provider asks to wait, at most five minutes: nobody watches a run that sleeps for an hour.
    #[must_use]
    pub fn asked_delay(&self) -> Option<Duration> {
        self.retry_after.map(|delay| delay.min(Duration::from_mins(5)))
    }

    /// Whether the provider's code is this one.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.operation)?;
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(self.message.trim_end_matches('.'))?;
        if let Some(request_id) = &self.request_id {
            write!(f, " (request {request_id})")?;
        }
        Ok(())
    }
}

impl From<crate::model::value::StillUnknown> for ProviderError {
    fn from(error: crate::model::value::StillUnknown) -> Self {
        Self::bug("resolve", error.to_string())
    }
}
