//! The rules that a topology must follow, beyond its shape.

use std::collections::BTreeSet;

use super::resolved::Topology;
use super::schema::Document;
use crate::model::{AttrPath, Diagnostic};

/// What the rules look at: the document as written, and what it means.
pub(crate) struct Checked<'a> {
    pub(crate) written: &'a Document,
    pub(crate) topology: &'a Topology,
    pub(crate) set_aside: &'a BTreeSet<AttrPath>,
}

impl<'a> Checked<'a> {
    pub(crate) fn new(written: &'a Document, topology: &'a Topology, set_aside: &'a BTreeSet<AttrPath>) -> Self {
        Self { written, topology, set_aside }
    }
}

/// Applies every rule.
pub(crate) fn check(_checked: &Checked<'_>, _diagnostics: &mut Vec<Diagnostic>) {}
