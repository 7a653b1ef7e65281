//! What is done about a provider's error: by its class, for a bounded time, with jitter.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::resource::ErrorClass;

/// How long an unfinished create is looked for before it counts as never made: EC2's describe lag (DOMAIN 1.2).
pub(super) const FIND_WINDOW: Duration = Duration::from_secs(30);

/// The retries of one request.
#[derive(Debug)]
pub(super) struct Retries {
    seed: u64,
    attempts: u32,
    class: Option<ErrorClass>,
    delays: Option<ExponentialBackoff>,
    waited: Duration,
}

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advice {
    /// Do the same again after this long.
    Again(Duration),
    /// The effect may be there: look for it after this long, and decide then.
    Look(Duration),
    /// Give up. Whether the request may have had an effect.
    GiveUp {
        /// Whether the effect may be there.
        ambiguous: bool,
    },
}

impl Retries {
    /// Retries whose jitter follows from `seed`, so that a simulated run is the same each time.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, attempts: 0, class: None, delays: None, waited: Duration::ZERO }
    }

    /// How many errors there were.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The request was answered: the next starts afresh.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.seed);
    }

    /// What to do about an error of this class.
    pub(super) fn advise(&mut self, class: ErrorClass, retry_after: Option<Duration>) -> Advice {
        self.attempts += 1;
        let ambiguous = class == ErrorClass::Ambiguous;
        let Some(policy) = policy(class) else { return Advice::GiveUp { ambiguous } };
        if self.class != Some(class) {
            self.class = Some(class);
            self.waited = Duration::ZERO;
            self.delays = Some(
                ExponentialBuilder::default()
                    .with_min_delay(policy.first)
                    .with_max_delay(policy.longest)
                    .with_factor(2.0)
                    .without_max_times()
                    .with_jitter()
                    .with_jitter_seed(self.seed)
                    .build(),
            );
        }
        let next = self.delays.as_mut().and_then(Iterator::next).unwrap_or(policy.longest);
        let delay = next.max(retry_after.unwrap_or_default());
        if self.waited + delay > policy.total {
            return Advice::GiveUp { ambiguous };
        }
        self.waited += delay;
        if ambiguous { Advice::Look(delay) } else { Advice::Again(delay) }
    }
}

struct Policy {
    first: Duration,
    longest: Duration,
    total: Duration,
}

const fn policy_of(first_ms: u64, longest_seconds: u64, total_seconds: u64) -> Policy {
    Policy {
        first: Duration::from_millis(first_ms),
        longest: Duration::from_secs(longest_seconds),
        total: Duration::from_secs(total_seconds),
    }
}

/// How each class is retried; `None` fails the step at once.
fn policy(class: ErrorClass) -> Option<Policy> {
    Some(match class {
        // A shared account can be throttled for minutes by someone else's run.
        ErrorClass::Throttled => policy_of(1000, 20, 600),
        ErrorClass::Transient | ErrorClass::Ambiguous => policy_of(500, 10, 180),
        // The bound of terraform's provider for its own new objects (DOMAIN 1.2).
        ErrorClass::NotYet => policy_of(500, 5, 120),
        // Network interfaces of what was just deleted: terraform's provider waits 20 minutes (DOMAIN 3.2).
        ErrorClass::InUse => policy_of(2000, 10, 1200),
        // A version update of a control plane takes up to 25 minutes; terraform's provider waits for 60 (DOMAIN 1.5).
        ErrorClass::Busy => policy_of(5000, 15, 3600),
        ErrorClass::Denied | ErrorClass::Invalid | ErrorClass::Quota | ErrorClass::Conflict | ErrorClass::Bug => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_will_not_mend_are_not_retried() {
        for class in [ErrorClass::Denied, ErrorClass::Invalid, ErrorClass::Quota, ErrorClass::Conflict, ErrorClass::Bug]
        {
            assert_eq!(Retries::new(1).advise(class, None), Advice::GiveUp { ambiguous: false }, "{class:?}");
        }
    }

    #[test]
    fn retries_are_bounded_in_time_and_the_same_for_a_seed() {
        for class in [
            ErrorClass::Throttled,
            ErrorClass::Transient,
            ErrorClass::NotYet,
            ErrorClass::InUse,
            ErrorClass::Busy,
            ErrorClass::Ambiguous,
        ] {
            let run = || {
                let mut retries = Retries::new(7);
                std::iter::from_fn(|| match retries.advise(class, None) {
                    Advice::Again(delay) | Advice::Look(delay) => Some(delay),
                    Advice::GiveUp { .. } => None,
                })
                .take(10_000)
                .collect::<Vec<_>>()
            };
            let delays = run();
            assert_eq!(delays, run());
            let total: Duration = delays.iter().sum();
            assert!(total <= policy(class).unwrap().total, "{class:?} {total:?}");
            assert!(total >= policy(class).unwrap().total / 2, "{class:?} {total:?}");
        }
    }

    #[test]
    fn what_the_provider_asks_for_is_respected() {
        let asked = Duration::from_secs(33);
        assert_eq!(Retries::new(1).advise(ErrorClass::Throttled, Some(asked)), Advice::Again(asked));
    }
}
