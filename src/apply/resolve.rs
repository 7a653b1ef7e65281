//! Filling holes while a run goes on, and the tokens of its creates.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::model::{Address, Document, Reference, Value};
use crate::resource::{KindRules, OutputClass};
use crate::state::State;

/// Where a hole's value is found: in state, except for what is never stored, which is held while the run lasts.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    held: BTreeMap<Address, Document>,
}

/// A hole that cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ResolveError {
    /// Its producer is not ready, or has no such output.
    #[error("{0} is not known, though what makes it is done")]
    Missing(Reference),
    /// Its value is not of the shape that is needed.
    #[error(transparent)]
    Pick(#[from] crate::model::value::PickError),
    /// The filled document cannot be written.
    #[error("the filled spec cannot be written as JSON: {0}")]
    Encode(String),
}

impl Outputs {
    /// Remembers what a finished step leaves: outputs that are never stored. Without outputs it is gone.
    pub(super) fn set(&mut self, address: &Address, rules: Option<&dyn KindRules>, outputs: Option<&Document>) {
        let unstored = |rules: &dyn KindRules| rules.outputs().iter().any(|rule| rule.class != OutputClass::Plain);
        match outputs.filter(|_| rules.is_some_and(unstored)) {
            Some(outputs) => self.held.insert(address.clone(), outputs.clone()),
            None => self.held.remove(address),
        };
    }

    /// A spec with every hole filled.
    pub(super) fn fill(&self, spec: &Document, state: &State) -> Result<Document, ResolveError> {
        let filled = spec.value().fill(&mut |reference| {
            let stored = || state.records.get(&reference.address).map(|record| &record.outputs);
            let outputs = self.held.get(&reference.address).or_else(stored)?.value();
            outputs.get(&reference.output).filter(|value| !matches!(value, Value::Null)).cloned()
        })?;
        if let Some(missing) = filled.references().first() {
            return Err(ResolveError::Missing((*missing).clone()));
        }
        Document::of(&filled).map_err(|error| ResolveError::Encode(error.to_string()))
    }
}

/// The token of a create: the same whenever that create is repeated, unlike that of any other.
///
/// 20 bytes of a SHA-256 in base32, which is 32 characters: AWS's client tokens hold 64.
pub(super) fn token(lineage: &str, address: &Address, generation: u64, spec: &Document) -> String {
    let mut hasher = Sha256::new();
    for part in [lineage, address.as_str(), &generation.to_string(), spec.as_str()] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    data_encoding::BASE32_NOPAD.encode(&hasher.finalize()[..20]).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_follows_from_what_is_made_and_from_nothing_else() {
        let vpc = Address::new("aws.vpc", &["network1"]);
        let spec = Document::of("x").unwrap();
        let first = token("lineage", &vpc, 1, &spec);
        assert_eq!(first.len(), 32);
        assert_eq!(first, token("lineage", &vpc, 1, &spec));
        let others = [
            token("other", &vpc, 1, &spec),
            token("lineage", &Address::new("aws.vpc", &["network2"]), 1, &spec),
            token("lineage", &vpc, 2, &spec),
            token("lineage", &vpc, 1, &Document::of("y").unwrap()),
        ];
        assert!(others.iter().all(|other| *other != first));
    }
}
