//! Which part of the mesh a change belongs to: what every view groups changes by.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::Address;
use crate::plan::model::{Action, Change};

/// A part of the mesh. The parts come in the order in which a mesh is built: itself, its networks, its clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part<'a> {
    /// What all clusters share.
    Mesh,
    /// One network.
    Network(&'a str),
    /// One cluster, and everything in it.
    Cluster(&'a str),
}

impl<'a> Part<'a> {
    /// The part that an address belongs to, by its kind and its first part.
    pub(super) fn of(address: &'a Address) -> Self {
        let name = address.parts().next().unwrap_or_default();
        match address.kind() {
            "pki.root" => Self::Mesh,
            "aws.security_group_rule" | "pki.intermediate" => Self::Cluster(name),
            kind => match kind.split('.').next() {
                Some("eks" | "helm" | "iam" | "kubernetes" | "teardown") => Self::Cluster(name),
                Some(_) | None => Self::Network(name),
            },
        }
    }

    /// `network` or `cluster`; empty for the mesh itself.
    pub(super) fn sort(self) -> &'static str {
        match self {
            Self::Mesh => "",
            Self::Network(_) => "network ",
            Self::Cluster(_) => "cluster ",
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'a str {
        match self {
            Self::Mesh => "mesh",
            Self::Network(name) | Self::Cluster(name) => name,
        }
    }
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.sort(), self.name())
    }
}

/// Changes by the part they belong to, each in the order given.
pub(super) fn by_part<'a, T>(items: &'a [T], change: impl Fn(&'a T) -> &'a Change) -> BTreeMap<Part<'a>, Vec<&'a T>> {
    let mut parts: BTreeMap<Part<'_>, Vec<&T>> = BTreeMap::new();
    for item in items {
        parts.entry(Part::of(&change(item).address)).or_default().push(item);
    }
    parts
}

/// `28 to create, 1 to update`.
pub(super) fn by_action<'a>(changes: impl Iterator<Item = &'a Change>) -> String {
    let mut counts: BTreeMap<Action, usize> = BTreeMap::new();
    changes.for_each(|change| *counts.entry(change.action).or_default() += 1);
    counts.iter().map(|(action, n)| format!("{n} to {}", action.verb())).collect::<Vec<_>>().join(", ")
}
