//! What will be known of each resource's outputs: which holes a plan can fill already.

use std::collections::BTreeMap;

use crate::model::diff::FieldChange;
use crate::model::secret::{Sealed, mask};
use crate::model::{Address, Document, Reference, Segment, Value};
use crate::resource::{KindRules, OutputClass};

/// What the plan does to a declared resource's outputs.
#[derive(Debug)]
pub(super) enum Outlook {
    /// Nothing: they are what they were.
    Settled,
    /// An update of these top-level fields: only outputs that depend on one of them change.
    Updated(Vec<String>),
    /// They are known only after apply.
    Unknown,
}

/// The outputs known so far, by address. Documents are parsed at most once, and only when someone asks.
#[derive(Default)]
pub(super) struct Outlooks {
    of: BTreeMap<Address, (Outlook, Option<Document>)>,
    parsed: BTreeMap<Address, Value>,
}

impl Outlooks {
    /// Says what happens to an address, and what its outputs are now.
    pub(super) fn set(&mut self, address: &Address, outlook: Outlook, outputs: Option<&Document>) {
        self.of.insert(address.clone(), (outlook, outputs.cloned()));
    }

    /// Whether nothing happens to it: what refers to it sees what it saw before.
    pub(super) fn is_settled(&self, address: &Address) -> bool {
        // A settled resource is the overwhelming case and is not recorded; only what changes is.
        self.of.get(address).is_none_or(|(outlook, _)| matches!(outlook, Outlook::Settled))
    }

    /// The value that a reference will see, if the plan can know it: of a secret its salted digest, which is enough to
    /// see that it did not change. `settled` answers the outputs of a resource
    /// to which nothing happens.
    pub(super) fn lookup<'a>(
        &mut self,
        reference: &Reference,
        salt: &str,
        rules: Option<&dyn KindRules>,
        settled: impl FnOnce() -> Option<&'a Document>,
    ) -> Option<Value> {
        let output = rules?.outputs().iter().find(|output| output.name == reference.output)?;
        let document = match self.of.get(&reference.address) {
            None => settled().cloned(),
            Some((Outlook::Settled, outputs)) => outputs.clone(),
            Some((Outlook::Updated(fields), outputs)) => {
                let changes = output.changes_with.iter().any(|field| fields.iter().any(|changed| changed == field));
                if changes { None } else { outputs.clone() }
            }
            Some((Outlook::Unknown, _)) => None,
        }?;
        let outputs = self.parsed.entry(reference.address.clone()).or_insert_with(|| document.value());
        let value = outputs.get(&reference.output).filter(|value| !matches!(value, Value::Null))?;
        match output.class {
            OutputClass::Plain => Some(value.clone()),
            // A part of a secret cannot be told from its digest.
            OutputClass::Sealed | OutputClass::Ephemeral if reference.pick.is_some() => None,
            OutputClass::Sealed => Sealed::of(value).map(|sealed| sealed.masked().into()),
            OutputClass::Ephemeral => Some(mask(value, salt)),
        }
    }
}

/// The top-level fields of some changes.
pub(super) fn top_level(changes: &[FieldChange]) -> Vec<String> {
    let mut fields: Vec<String> = changes
        .iter()
        .filter_map(|change| match change.path.segments().first() {
            Some(Segment::Key(key)) => Some(key.clone()),
            Some(Segment::Index(_)) | None => None,
        })
        .collect();
    fields.dedup();
    fields
}
