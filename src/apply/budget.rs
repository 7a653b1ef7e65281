//! How many requests an API may get: a token bucket for each of its actions in each region. Pure: time comes in.
//!
//! EC2 evaluates each action of an account and region by itself ("Request throttling for the Amazon EC2 API"); a
//! kind's verb stands for its action. Only requests draw tokens: a wait holds nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::Target;
use crate::resource::Api;

/// Whether a request changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verb {
    /// It only looks at what it knows the id of.
    Read,
    /// It looks for something.
    Find,
    /// It makes something.
    Create,
    /// It changes something.
    Update,
    /// It removes something.
    Delete,
}

/// Who shares a bucket.
pub(super) type Key = (Api, Target, &'static str, Verb);

/// The buckets of a run.
#[derive(Debug, Default)]
pub struct Budgets {
    buckets: BTreeMap<Key, Bucket>,
    unlimited: bool,
}

#[derive(Debug)]
struct Bucket {
    capacity: f64,
    /// Tokens a second when the API has not complained.
    full_rate: f64,
    rate: f64,
    tokens: f64,
    /// How many tokens were taken.
    taken: f64,
    at: Timestamp,
    held_until: Timestamp,
}

/// A bucket that was throttled gets this share of its lost rate back each second: half of it in 14 s.
const RECOVERY_PER_SECOND: f64 = 0.05;

/// A bucket never gets slower than this, in requests a second: a run must end.
const SLOWEST: f64 = 0.5;

impl Budgets {
    /// Buckets that never run dry: for measuring the engine alone.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { buckets: BTreeMap::new(), unlimited: true }
    }

    /// Takes as many tokens as requests are to be made, or says how long until there are as many.
    pub(super) fn take(&mut self, key: &Key, now: Timestamp, requests: u32) -> Result<(), Duration> {
        let Some(bucket) = self.bucket(key, now) else { return Ok(()) };
        bucket.refill(now);
        if now < bucket.held_until {
            return Err(since(now, bucket.held_until));
        }
        let wanted = f64::from(requests).min(bucket.capacity);
        if bucket.tokens >= wanted {
            bucket.tokens -= wanted;
            bucket.taken += wanted;
            return Ok(());
        }
        // Rounded up to a millisecond, so that a sleeper never wakes a hair too early and asks again.
        let seconds = (wanted - bucket.tokens) / bucket.rate;
        Err(Duration::from_secs_f64((seconds * 1000.0).ceil().max(1.0) / 1000.0))
    }

    /// The API complained: half the rate, an empty bucket, and nothing for as long as it asked.
    pub(super) fn throttled(&mut self, key: &Key, now: Timestamp, retry_after: Option<Duration>) {
        let Some(bucket) = self.bucket(key, now) else { return };
        bucket.refill(now);
        bucket.rate = (bucket.rate / 2.0).max(SLOWEST);
        bucket.tokens = 0.0;
        bucket.held_until = bucket.held_until.max(later(now, retry_after.unwrap_or_default()));
    }

    /// The time that the requests made so far need at the least, in seconds, whatever their order: that of the
    /// bucket that is asked for the most.
    pub(super) fn least_seconds(&self) -> f64 {
        let needs = self.buckets.values().map(|bucket| (bucket.taken - bucket.capacity) / bucket.full_rate);
        needs.fold(0.0, f64::max)
    }

    fn bucket(&mut self, key: &Key, now: Timestamp) -> Option<&mut Bucket> {
        if self.unlimited {
            return None;
        }
        let (capacity, rate) = limits(key.0, key.3)?;
        Some(self.buckets.entry(key.clone()).or_insert_with(|| Bucket {
            capacity,
            full_rate: rate,
            rate,
            tokens: capacity,
            taken: 0.0,
            at: now,
            held_until: now,
        }))
    }
}

impl Bucket {
    fn refill(&mut self, now: Timestamp) {
        let seconds = since(self.at, now).as_secs_f64();
        self.tokens = (self.tokens + seconds * self.rate).min(self.capacity);
        let lost = self.full_rate - self.rate;
        self.rate = self.full_rate - lost * (1.0 - RECOVERY_PER_SECOND).powf(seconds);
        self.at = self.at.max(now);
    }
}

/// Capacity in requests and refill in requests a second; `None` for an API without a limit.
fn limits(api: Api, verb: Verb) -> Option<(f64, f64)> {
    match (api, verb) {
        (Api::Local, _) => None,
        // EC2's published default buckets: 100 and 20 a second for reads, 50 and 5 a second for the rest.
        (Api::Ec2, Verb::Read | Verb::Find) => Some((100.0, 20.0)),
        (Api::Ec2, Verb::Create | Verb::Update | Verb::Delete) => Some((50.0, 5.0)),
        // The others publish no figures. These are well below what accounts were seen to get, and a complaint slows
        // them down.
        (Api::Iam | Api::Eks | Api::ElasticLoadBalancing, Verb::Read | Verb::Find) => Some((50.0, 10.0)),
        (Api::Iam | Api::Eks | Api::ElasticLoadBalancing, Verb::Create | Verb::Update | Verb::Delete) => {
            Some((20.0, 5.0))
        }
        // An API server shares itself out by priority and fairness and says 429 when it is enough; what a busy client
        // (kubectl, helm) allows itself is 50 a second with bursts of 300.
        (Api::Kubernetes, _) => Some((300.0, 50.0)),
    }
}

fn since(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        later(Timestamp::UNIX_EPOCH, Duration::from_secs_f64(seconds))
    }

    fn key(verb: Verb) -> Key {
        (Api::Ec2, Target::aws("us-west-2"), "aws.subnet", verb)
    }

    #[test]
    fn a_bucket_holds_its_capacity_and_refills_at_its_rate() {
        let mut budgets = Budgets::default();
        let key = key(Verb::Create);
        assert_eq!((0..60).filter(|_| budgets.take(&key, at(0.0), 1).is_ok()).count(), 50);
        assert_eq!(budgets.take(&key, at(0.0), 1), Err(Duration::from_millis(200)));
        assert_eq!(budgets.take(&key, at(0.2), 1), Ok(()));
        assert_eq!((0..60).filter(|_| budgets.take(&key, at(2.2), 1).is_ok()).count(), 10);
        assert!((budgets.least_seconds() - 2.2).abs() < 1e-9, "61 requests, of which 50 at once and 5 a second");
        assert_eq!((0..200).filter(|_| budgets.take(&super::tests::key(Verb::Read), at(0.0), 1).is_ok()).count(), 100);
    }

    #[test]
    fn a_complaint_slows_that_action_down_and_it_recovers() {
        let mut budgets = Budgets::default();
        let slow = key(Verb::Create);
        budgets.take(&slow, at(0.0), 1).unwrap();
        budgets.throttled(&slow, at(0.0), Some(Duration::from_secs(3)));
        assert_eq!(budgets.take(&slow, at(1.0), 1), Err(Duration::from_secs(2)));
        assert_eq!(
            (0..60).filter(|_| budgets.take(&slow, at(4.0), 1).is_ok()).count(),
            10,
            "half of 5 a second for 4 seconds"
        );
        assert_eq!(budgets.take(&key(Verb::Delete), at(1.0), 1), Ok(()), "another action is not slowed down");
        let later = (0..600).filter(|_| budgets.take(&slow, at(200.0), 1).is_ok()).count();
        assert_eq!(later, 50);
    }
}
