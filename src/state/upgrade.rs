//! How an older state file becomes one of today's format: a chain with one step per format.
//!
//! To change the format: raise [`FORMAT`], append one [`Step`] to [`CHAIN`], and keep a file of the old format as a
//! test. Adding a field needs no step, because readers keep fields that they do not know; give it a default. A kind's
//! own documents have versions of their own ([`Record::schema_version`](super::Record::schema_version)) and are
//! upgraded by the kind, not here.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::record::FORMAT;

/// The members of a state file, each still as text: a step parses what it changes and nothing else.
pub type Members = BTreeMap<String, Box<RawValue>>;

/// From one format to the next.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Changes the state file's members. The error says what it could not make sense of.
    pub state: fn(Members) -> Result<Members, String>,
    /// Changes one entry of a journal, for a journal that an older version left behind.
    pub entry: fn(Box<RawValue>) -> Result<Box<RawValue>, String>,
}

/// Every step there is, and the format the first one reads.
#[derive(Debug, Clone, Copy)]
pub struct Chain {
    /// The oldest format that can be read.
    pub oldest: u32,
    /// The step at `i` reads format `oldest + i`.
    pub steps: &'static [Step],
}

/// The chain up to [`FORMAT`], the first format that was released.
pub const CHAIN: Chain = Chain { oldest: 1, steps: &[] };

const _: () = assert!(CHAIN.oldest as usize + CHAIN.steps.len() == FORMAT as usize, "a step is missing");

/// A format that no step reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UpgradeError {
    /// Older than the chain.
    TooOld {
        /// Its format.
        format: u32,
    },
    /// A step could not make sense of what it read.
    Step {
        /// The step's format.
        format: u32,
        /// What was wrong.
        reason: String,
    },
}

impl Chain {
    fn from(&self, format: u32) -> Result<impl Iterator<Item = (u32, &'static Step)> + use<>, UpgradeError> {
        let at = format.checked_sub(self.oldest).ok_or(UpgradeError::TooOld { format })?;
        let skipped = usize::try_from(at).unwrap_or(usize::MAX);
        Ok((format..).zip(self.steps.iter().skip(skipped)))
    }

    /// Takes a state file's members through the steps from their format on.
    pub(crate) fn state(&self, format: u32, mut members: Members) -> Result<Members, UpgradeError> {
        for (format, step) in self.from(format)? {
            members = (step.state)(members).map_err(|reason| UpgradeError::Step { format, reason })?;
        }
        Ok(members)
    }

    /// Takes a journal's entry through the steps from its format on.
    pub(crate) fn entry(&self, format: u32, mut entry: Box<RawValue>) -> Result<Box<RawValue>, UpgradeError> {
        for (format, step) in self.from(format)? {
            entry = (step.entry)(entry).map_err(|reason| UpgradeError::Step { format, reason })?;
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn plus_one(entry: &RawValue) -> Result<Box<RawValue>, String> {
        let number: u32 = entry.get().parse().map_err(|_| format!("{} is no number", entry.get()))?;
        Ok(raw(&(number + 1).to_string()))
    }

    const COUNTING: Step = Step {
        state: |members| members.iter().map(|(k, v)| Ok((k.clone(), plus_one(v)?))).collect(),
        entry: |entry| plus_one(&entry),
    };
    const THREE: Chain = Chain { oldest: 4, steps: &[COUNTING, COUNTING, COUNTING] };

    #[test]
    fn only_the_steps_from_the_format_on_are_taken() {
        for (format, expected) in [(4, "13"), (5, "12"), (6, "11"), (7, "10")] {
            assert_eq!(THREE.entry(format, raw("10")).unwrap().get(), expected);
            let members = THREE.state(format, [("n".to_owned(), raw("10"))].into()).unwrap();
            assert_eq!(members["n"].get(), expected);
        }
    }

    #[test]
    fn a_failure_names_the_step() {
        assert_eq!(THREE.entry(3, raw("10")).unwrap_err(), UpgradeError::TooOld { format: 3 });
        let error = UpgradeError::Step { format: 5, reason: "null is no number".to_owned() };
        assert_eq!(THREE.entry(5, raw("null")).unwrap_err(), error);
    }
}
