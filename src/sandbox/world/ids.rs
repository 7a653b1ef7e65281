//! Makes ids and durations from a seed and a counter, so that the same calls make the same world.
//!
//! Entry point: [`Mint`].

use std::time::Duration;

use jiff::Timestamp;

use super::rows::{Head, Tags};
use crate::model::Digest;
use crate::sandbox::clock::later;

/// Makes ids and durations.
#[derive(Debug, Clone)]
pub(crate) struct Mint {
    /// The account that all objects belong to.
    pub(crate) account: String,
    /// How many ids were made; persists with the world.
    pub(crate) counter: u64,
    /// Whether states take time.
    pub(crate) realistic: bool,
    /// Whether each takes the middle of its range.
    pub(crate) even: bool,
    /// Whether what is made now never becomes ready (a fault).
    pub(crate) never_ready: bool,
}

impl Mint {
    /// A new id: the prefix, a zero, and 16 hexadecimal digits, as EC2 has made them since 2016.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        self.counter += 1;
        id_of(prefix, &[self.account.as_bytes(), &self.counter.to_le_bytes()])
    }

    /// A number that is fixed by the parts.
    pub(crate) fn number(&self, parts: &[&str]) -> u64 {
        let mut bytes: Vec<&[u8]> = vec![self.account.as_bytes()];
        bytes.extend(parts.iter().map(|part| part.as_bytes()));
        number_of(&bytes)
    }

    /// The head of a new object: its id, its tags, and when callers can see it.
    ///
    /// EC2 is eventually consistent: in Realistic worlds a third of the objects are visible at once and the others
    /// after up to 1.6 simulated seconds.
    pub(crate) fn head(&mut self, prefix: &str, tags: Tags, now: Timestamp) -> Head {
        let id = self.id(prefix);
        let draw = self.number(&[&id, "lag"]);
        let lag = if self.realistic && !draw.is_multiple_of(3) {
            Duration::from_millis(draw / 3 % 1600)
        } else {
            Duration::ZERO
        };
        Head { id, created_at: now, visible_at: later(now, lag), tags, native: false }
    }

    /// When something that takes between `low` and `high` milliseconds is through for this object.
    pub(crate) fn after(&self, now: Timestamp, id: &str, what: &str, low: u64, high: u64) -> Timestamp {
        if !self.realistic {
            return now;
        }
        let span = high.saturating_sub(low).max(1);
        let drawn = if self.even { span / 2 } else { self.number(&[id, what]) % span };
        later(now, Duration::from_millis(low + drawn))
    }

    /// The same for becoming ready, which a fault can prevent for ever.
    pub(crate) fn ready(&self, now: Timestamp, id: &str, what: &str, low: u64, high: u64) -> Timestamp {
        if self.never_ready { Timestamp::MAX } else { self.after(now, id, what, low, high) }
    }
}

/// An id that is fixed by the parts.
pub(crate) fn id_of(prefix: &str, parts: &[&[u8]]) -> String {
    format!("{prefix}-0{:016x}", number_of(parts))
}

/// A number that is fixed by the parts.
pub(crate) fn number_of(parts: &[&[u8]]) -> u64 {
    let digest = Digest::of_parts(parts);
    digest.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Whether an id has the prefix and 8 or 17 hexadecimal digits.
pub(crate) fn is_well_formed(id: &str, prefix: &str) -> bool {
    id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}
