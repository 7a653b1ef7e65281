//! What compile makes of a topology: one declaration per resource.

use crate::model::{Address, AttrPath, Digest, Document, Target};

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
