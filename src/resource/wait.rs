//! How long to wait and how often to look. The engine owns the waiting; kinds only say these figures.

use std::time::Duration;

/// How a kind's objects are waited for.
///
/// The looks are frequent near the expected end and never back off to minutes: the SDK's own waiters poll
/// every 15 to 120 seconds, which adds up to two minutes to each resource (DOMAIN, finding 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitPolicy {
    /// From the request to the first look.
    pub first: Duration,
    /// Between later looks.
    pub interval: Duration,
    /// After this long the kind is asked once what is wrong ([`ResourceKind::diagnose`](super::ResourceKind::diagnose)).
    pub suspect: Option<Duration>,
    /// After this long the step fails.
    pub ceiling: Duration,
}

impl WaitPolicy {
    /// A policy in milliseconds, milliseconds and seconds.
    #[must_use]
    pub const fn new(first_ms: u64, interval_ms: u64, ceiling_seconds: u64) -> Self {
        Self {
            first: Duration::from_millis(first_ms),
            interval: Duration::from_millis(interval_ms),
            suspect: None,
            ceiling: Duration::from_secs(ceiling_seconds),
        }
    }

    /// The same, with a diagnosis after so many seconds.
    #[must_use]
    pub const fn suspecting_after(mut self, seconds: u64) -> Self {
        self.suspect = Some(Duration::from_secs(seconds));
        self
    }
}
