//! The kinds by name: the full ones for the engine, their rules for the planner.

use std::collections::BTreeMap;

use super::erased::DynKind;
use super::rules::KindRules;

/// Every kind, for what runs.
#[derive(Clone)]
pub struct Registry(BTreeMap<&'static str, &'static dyn DynKind>);

impl Registry {
    /// A registry of these kinds. Of two with one name the later wins; the conformance tests refuse that.
    #[must_use]
    pub fn new(kinds: &[&'static dyn DynKind]) -> Self {
        Self(kinds.iter().map(|kind| (kind.name(), *kind)).collect())
    }

    /// The kind of that name.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<&'static dyn DynKind> {
        self.0.get(name).copied()
    }

    /// Every kind, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &'static dyn DynKind> {
        self.0.values().copied()
    }

    /// The rules of every kind.
    #[must_use]
    pub fn rules(&self) -> RuleBook {
        RuleBook(self.0.iter().map(|(name, kind)| (*name, *kind as &'static dyn KindRules)).collect())
    }
}

/// The rules of every kind, for the planner.
#[derive(Clone)]
pub struct RuleBook(BTreeMap<&'static str, &'static dyn KindRules>);

impl RuleBook {
    /// The rules of the kind of that name.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<&'static dyn KindRules> {
        self.0.get(name).copied()
    }

    /// The names of every kind, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}
