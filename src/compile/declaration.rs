//! What compile makes of a topology: one declaration per resource.

use serde::Serialize;

use super::Compiled;
use crate::model::{Address, AttrPath, Code, Diagnostic, Digest, Document, Target};

/// A spec that cannot be written as JSON: a defect.
const DEFECT: Code = Code("defect");

/// One resource as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Its name; the part before the first `/` is its kind.
    pub address: Address,
    /// Where it lives.
    pub target: Target,
    /// Its kind's spec, with a hole for every value that another resource produces.
    pub spec: Document,
    /// The resources whose outputs its spec refers to, sorted.
    pub references: Vec<Address>,
    /// Further resources that must be ready before this one is made, and gone only after it; sorted.
    pub depends_on: Vec<Address>,
    /// What an update of this one waits for, if it is made in the same run: a subnet moves to a route table only when
    /// that table's routes are there. A create does not wait for them.
    pub update_after: Vec<Address>,
    /// What was derived by default, and why: shown in the plan.
    pub notes: Vec<String>,
    /// The table of the topology it comes from: where a finding about it points.
    pub origin: AttrPath,
    /// Whether deleting or replacing it needs `--allow-replace`, beyond what its kind says.
    pub protected: bool,
}

impl Declaration {
    /// The digest that tells whether the declaration changed since it was last applied: of the spec with its
    /// holes, where it lives, and what it depends on.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let target = self.target.to_string();
        let mut parts: Vec<&[u8]> = vec![self.spec.as_str().as_bytes(), target.as_bytes()];
        parts.extend(self.depends_on.iter().map(|address| address.as_str().as_bytes()));
        Digest::of_parts(&parts)
    }

    /// Everything that must be ready before this: what it refers to and what it only waits for, sorted, once each.
    #[must_use]
    pub fn requirements(&self) -> Vec<Address> {
        let mut all: Vec<Address> = self.references.iter().chain(&self.depends_on).cloned().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Compiled {
    /// Adds a declaration. `depends_on` is what its holes do not say.
    pub(super) fn declare<S: Serialize>(
        &mut self,
        target: Target,
        address: Address,
        spec: &S,
        depends_on: &[&Address],
        origin: &AttrPath,
    ) -> Declared<'_> {
        let spec = match Document::of(spec) {
            Ok(spec) => spec,
            Err(error) => {
                let finding = Diagnostic::error(DEFECT, format!("the spec of {address} cannot be written: {error}"));
                self.diagnostics.push(finding.at(origin.clone()));
                return Declared(None);
            }
        };
        let mut references: Vec<Address> =
            spec.value().references().into_iter().map(|reference| reference.address.clone()).collect();
        references.sort_unstable();
        references.dedup();
        let mut depends_on: Vec<Address> = depends_on.iter().map(|address| (*address).clone()).collect();
        depends_on.sort_unstable();
        depends_on.dedup();
        self.declarations.push(Declaration {
            address,
            target,
            spec,
            references,
            depends_on,
            update_after: Vec::new(),
            notes: Vec::new(),
            origin: origin.clone(),
            protected: false,
        });
        Declared(self.declarations.last_mut())
    }
}

/// A declaration that was just made, to be completed.
pub(super) struct Declared<'a>(Option<&'a mut Declaration>);

impl Declared<'_> {
    pub(super) fn notes<'n>(mut self, notes: impl IntoIterator<Item = &'n String>) -> Self {
        if let Some(declaration) = &mut self.0 {
            declaration.notes.extend(notes.into_iter().cloned());
        }
        self
    }

    pub(super) fn protected(mut self, protected: bool) -> Self {
        if let Some(declaration) = &mut self.0 {
            declaration.protected = protected;
        }
        self
    }

    /// Where findings about it point, where that is not the table of its part of the mesh.
    pub(super) fn origin(mut self, origin: AttrPath) -> Self {
        if let Some(declaration) = &mut self.0 {
            declaration.origin = origin;
        }
        self
    }

    /// What an update of it waits for: see [`Declaration::update_after`].
    pub(super) fn update_after(mut self, before: Vec<Address>) -> Self {
        if let Some(declaration) = &mut self.0 {
            declaration.update_after = before;
        }
        self
    }
}
