//! Filling holes while a run goes on, and the tokens of its creates.
//!
//! A sealed output is opened here, for the request that the filled document is made for: nothing else of the engine ever
//! sees it, and where it would end up in a field that is kept the step fails.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::model::diff::mask_sensitive;
use crate::model::secret::Sealed;
use crate::model::{Address, Document, Reference, Value};
use crate::resource::{ClearText, Cloud, KindRules, OutputClass, ProviderError};
use crate::state::State;

/// Where a hole's value is found: in state, except for what is never stored, which is held while the run lasts.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    held: BTreeMap<Address, Document>,
    /// Why what is never stored could not be read.
    unread: BTreeMap<Address, ProviderError>,
}

/// What a document is filled with, and for whom.
#[derive(Clone, Copy)]
pub(super) struct Filling<'a> {
    pub(super) state: &'a State,
    /// Whose keeper opens what is sealed.
    pub(super) cloud: &'a Cloud,
    /// The rules of the kind that gets the document.
    pub(super) rules: &'a dyn KindRules,
}

/// A hole that cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ResolveError {
    /// Its producer is not ready, or has no such output.
    #[error("{0} is not known, though what makes it is done")]
    Missing(Reference),
    /// It is never stored, and could not be read.
    #[error("{0} could not be read: {1}")]
    Unread(Reference, ProviderError),
    /// It is sealed, and could not be opened.
    #[error("{0} cannot be opened: {1}")]
    Locked(Reference, ProviderError),
    /// It is a secret, and would be kept where it stands.
    #[error("the secret {0} would be kept in a field that is not sensitive")]
    Exposed(Reference),
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

    /// Remembers that outputs which are never stored could not be read.
    pub(super) fn set_unread(&mut self, address: &Address, error: ProviderError) {
        self.unread.insert(address.clone(), error);
    }

    /// A spec with every hole filled.
    pub(super) fn fill(&self, spec: &Document, filling: Filling<'_>) -> Result<Document, ResolveError> {
        let Filling { state, cloud, rules } = filling;
        let mut opened: Vec<(Reference, ClearText)> = Vec::new();
        let mut locked = None;
        let filled = spec.value().fill(&mut |reference| {
            let stored = || state.records.get(&reference.address).map(|record| &record.outputs);
            let outputs = self.held.get(&reference.address).or_else(stored)?.value();
            let value = outputs.get(&reference.output).filter(|value| !matches!(value, Value::Null))?;
            let Some(sealed) = Sealed::of(value) else { return Some(value.clone()) };
            match cloud.keeper().and_then(|keeper| keeper.open(&sealed)) {
                Ok(clear) => {
                    let value = Value::String(clear.expose().to_string());
                    opened.push((reference.clone(), clear));
                    Some(value)
                }
                Err(error) => {
                    locked.get_or_insert(ResolveError::Locked(reference.clone(), error));
                    None
                }
            }
        })?;
        if let Some(locked) = locked {
            return Err(locked);
        }
        if let Some(missing) = filled.references().first() {
            return Err(match self.unread.get(&missing.address) {
                Some(error) => ResolveError::Unread((*missing).clone(), error.clone()),
                None => ResolveError::Missing((*missing).clone()),
            });
        }
        if !opened.is_empty() {
            let kept = mask_sensitive(&filled, rules.fields(), &state.lineage);
            if let Some((reference, _)) = opened.into_iter().find(|(_, clear)| holds(&kept, clear.expose())) {
                return Err(ResolveError::Exposed(reference));
            }
        }
        Document::of(&filled).map_err(|error| ResolveError::Encode(error.to_string()))
    }
}

/// Whether a text is anywhere in a document.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(there) => there.contains(text),
        Value::Array(items) => items.iter().any(|item| holds(item, text)),
        Value::Object(fields) => fields.values().any(|field| holds(field, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Unknown(_) => false,
    }
}

/// A filled spec as it may be kept: with its sensitive fields masked.
pub(super) fn masked(spec: &Document, rules: &dyn KindRules, lineage: &str) -> Result<Document, ResolveError> {
    let value = spec.value();
    let masked = mask_sensitive(&value, rules.fields(), lineage);
    if masked == value {
        return Ok(spec.clone());
    }
    Document::of(&masked).map_err(|error| ResolveError::Encode(error.to_string()))
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
