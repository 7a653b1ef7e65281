//! Findings the user can fix. Plain data: they are collected, several at a time, and say where in terms of an
//! address or a path; only the renderer knows files, lines and columns.

use std::fmt;
use std::ops::Range;

use super::{Address, AttrPath};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing happens until this is fixed.
    Error,
    /// Legal, but probably not meant.
    Warning,
}

/// The stable, kebab-case name of a finding, for example `unknown-reference`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Where a finding points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A value (or, failing that, its nearest table) of the topology.
    Topology(AttrPath),
    /// The *key* at a path of the topology: for findings about a name and not about its value.
    TopologyKey(AttrPath),
    /// A byte range of the topology's text: for findings of the parser, which precede any path.
    Source(Range<usize>),
    /// A resource and a path inside its document.
    Resource(Address, AttrPath),
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a finding that is not collected is lost"]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Its stable name.
    pub code: Code,
    /// What is wrong, lower case, one line, no full stop at the end.
    pub message: String,
    /// The primary place; `None` when the finding is about the whole.
    pub at: Option<Location>,
    /// What to write under the primary place; empty for a bare underline.
    pub label: String,
    /// Further places with a text each.
    pub related: Vec<(Location, String)>,
    /// Why this is so, where the message alone does not say it.
    pub notes: Vec<String>,
    /// Ways out, the best first.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// A warning without a place yet.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    fn new(severity: Severity, code: Code, message: String) -> Self {
        Self {
            severity,
            code,
            message,
            at: None,
            label: String::new(),
            related: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Points at a value of the topology.
    pub fn at(mut self, path: AttrPath) -> Self {
        self.at = Some(Location::Topology(path));
        self
    }

    /// Points at a key of the topology.
    pub fn at_key(mut self, path: AttrPath) -> Self {
        self.at = Some(Location::TopologyKey(path));
        self
    }

    /// Points at a place of any sort.
    pub fn at_location(mut self, location: Location) -> Self {
        self.at = Some(location);
        self
    }

    /// Sets the text under the primary place.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds a further place.
    pub fn related(mut self, location: Location, label: impl Into<String>) -> Self {
        self.related.push((location, label.into()));
        self
    }

    /// Adds a reason.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a way out.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Whether this is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The declared name nearest to `given`, if one is near enough to be what was meant.
#[must_use]
pub fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Jaro-Winkler over 0.8 is what clap uses for its own suggestions: typos and swapped letters, not other words.
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, name)| name)
}
