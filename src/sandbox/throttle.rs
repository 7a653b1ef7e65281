//! The limit on the rate of calls: a token bucket per operation, service and region, on virtual time.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::options::Throttle;

/// It is a call too many.
#[derive(Debug)]
pub(crate) struct LimitExceeded;

/// The buckets of all operations and regions. They do not persist: a bucket is full again within seconds.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    tokens: BTreeMap<(String, &'static str, &'static str), (f64, Timestamp)>,
}

impl Buckets {
    /// Takes a token for a call: region, service, operation.
    pub(crate) fn take(
        &mut self,
        limits: &Throttle,
        (region, service, operation): (&str, &'static str, &'static str),
        writes: bool,
        now: Timestamp,
    ) -> Result<(), LimitExceeded> {
        let (size, refill) = if writes { limits.writes } else { limits.reads };
        let bucket = self.tokens.entry((region.to_owned(), service, operation)).or_insert((size, now));
        let passed = now.duration_since(bucket.1).as_secs_f64().max(0.0);
        *bucket = (size.min(bucket.0 + passed * refill), now);
        if bucket.0 < 1.0 {
            return Err(LimitExceeded);
        }
        bucket.0 -= 1.0;
        Ok(())
    }
}
