//! A refusal as AWS words it: a code that programs match on, a message for people, an HTTP status.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// The HTTP status of the answer.
    pub(crate) status: u16,
    /// The code, in AWS's own (inconsistent) spelling.
    pub(crate) code: Cow<'static, str>,
    /// The sentence for people.
    pub(crate) message: String,
    /// What JSON services say besides: `clusterName` and the like.
    pub(crate) members: BTreeMap<&'static str, String>,
}

impl ApiError {
    /// A client error: HTTP 400, as EC2 answers nearly all of them.
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.into(), message: message.into(), members: BTreeMap::new() }
    }

    /// The same error with another HTTP status.
    #[must_use]
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same error with a further member, in protocols that have them.
    #[must_use]
    pub(crate) fn with(mut self, member: &'static str, value: impl Into<String>) -> Self {
        self.members.insert(member, value.into());
        self
    }

    /// A required parameter is absent.
    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new("MissingParameter", format!("The request must contain the parameter {}", lower_first(parameter)))
    }

    /// A parameter's value is not acceptable.
    pub(crate) fn value(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValue", message)
    }

    /// `Value (x) for parameter p is invalid. why`: the sentence EC2 uses most.
    pub(crate) fn bad_value(value: &str, parameter: &str, why: &str) -> Self {
        Self::value(format!("Value ({value}) for parameter {} is invalid. {why}", lower_first(parameter)))
    }

    /// Two parameters that exclude each other.
    pub(crate) fn combination(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterCombination", message)
    }

    /// Something else still needs the object.
    pub(crate) fn dependency(message: impl Into<String>) -> Self {
        Self::new("DependencyViolation", message)
    }
}

/// EC2 names parameters with a small first letter in its messages.
pub(crate) fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
