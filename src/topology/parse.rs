//! From text to a [`Topology`], or to everything that is wrong with it.
//!
//! Entry point: [`parse`]. It reads no files: the caller brings the text, and the renderer brings the file name.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::decode::{decode, decode_entries};
use super::resolve::resolve;
use super::resolved::Topology;
use super::rules::{DUPLICATE_KEY, TOML_SYNTAX};
use super::schema::Document;
use super::{SpanTable, rules};
use crate::model::{AttrPath, Diagnostic, Location};

/// A topology of 100,000 resources is a third of a megabyte; this is a wrong file, and reading on costs memory.
const MAX_BYTES: usize = 64 << 20;

/// How many syntax errors are told: after a few, the rest mostly follow from the first.
const MAX_SYNTAX_ERRORS: usize = 20;

/// The big tables, whose entries are decoded one by one.
const BIG_TABLES: [&str; 3] = ["networks", "clusters", "peering"];

/// What became of a text.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The topology; `None` as soon as there is any error.
    pub topology: Option<Topology>,
    /// Everything found, errors first, each group in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// Where everything stands.
    pub spans: SpanTable,
}

impl Parsed {
    /// Whether anything must be fixed.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Parses, decodes, resolves and checks a topology. Every mistake that can be found is reported; syntax errors
/// alone end it early, because what follows them would be guesses.
#[must_use]
pub fn parse(text: &str) -> Parsed {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} MiB, more than any topology", text.len() >> 20);
        let found = Diagnostic::error(TOML_SYNTAX, message).help("is this the right file?");
        return Parsed { topology: None, diagnostics: vec![found], spans: SpanTable::default() };
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    let spans = SpanTable::of(&table);
    let mut diagnostics: Vec<Diagnostic> =
        errors.iter().take(MAX_SYNTAX_ERRORS).map(|error| syntax_error(text, error)).collect();
    if errors.len() > MAX_SYNTAX_ERRORS
        && let Some(last) = diagnostics.last_mut()
    {
        last.notes.push(format!("{} further syntax errors are not shown", errors.len() - MAX_SYNTAX_ERRORS));
    }
    let mut topology = None;
    if diagnostics.is_empty() {
        let mut set_aside = BTreeSet::new();
        let document = document(table, &mut set_aside, &mut diagnostics);
        let resolved = resolve(&document, &set_aside, &mut diagnostics);
        rules::check(&rules::Checked::new(&document, &resolved, &set_aside), &mut diagnostics);
        topology = Some(resolved);
    }
    sort(&mut diagnostics, &spans);
    let topology = topology.filter(|_| !diagnostics.iter().any(Diagnostic::is_error));
    Parsed { topology, diagnostics, spans }
}

/// The parser's message, in words for somebody who does not know its grammar.
fn syntax_error(text: &str, error: &toml::de::Error) -> Diagnostic {
    const QUOTES: &str = "texts, also ranges and versions, are in double quotes: `cidr = \"10.1.0.0/16\"`";
    let raw = error.message().replace('\n', " ");
    let at = error.span().and_then(|span| text.get(span)).unwrap_or_default().trim();
    let (code, message, help) = if raw.contains("duplicate key") {
        let help = "every key and table is written once: merge the two, or rename one";
        (DUPLICATE_KEY, format!("`{at}` is written twice"), Some(help))
    } else if raw.starts_with("string values must be quoted") && at.is_empty() {
        (TOML_SYNTAX, "a value is missing".to_owned(), Some("write `KEY = VALUE`, or remove the key"))
    } else if raw.starts_with("string values must be quoted") {
        (TOML_SYNTAX, format!("`{at}` is not in quotes"), Some(QUOTES))
    } else if raw.contains("invalid basic string") || raw.contains("invalid float") || raw.contains("invalid integer") {
        (TOML_SYNTAX, raw.trim_end_matches(", expected nothing").to_owned(), Some(QUOTES))
    } else if text.trim_start().starts_with('{') {
        (TOML_SYNTAX, raw, Some("a topology is written in TOML, not in JSON"))
    } else {
        (TOML_SYNTAX, raw, None)
    };
    let mut found = Diagnostic::error(code, message);
    found.help.extend(help.map(str::to_owned));
    match error.span() {
        Some(span) => found.at_location(Location::Source(span)),
        None => found,
    }
}

/// Decodes the document. The big tables go entry by entry: a mistake in one network costs one more decoding of
/// that network, not of all of them.
fn document(
    table: Spanned<DeTable<'_>>,
    set_aside: &mut BTreeSet<AttrPath>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Document {
    let mut table = table.into_inner();
    let [networks, clusters, peering] = BIG_TABLES.map(|name| table.remove(name));
    let mut document: Document =
        decode(&DeValue::Table(table), &AttrPath::root(), set_aside, diagnostics).unwrap_or_default();
    document.networks =
        networks.map(|value| decode_entries(value.get_ref(), &AttrPath::keys(&["networks"]), set_aside, diagnostics));
    document.clusters =
        clusters.map(|value| decode_entries(value.get_ref(), &AttrPath::keys(&["clusters"]), set_aside, diagnostics));
    document.peering =
        peering.map(|value| decode_entries(value.get_ref(), &AttrPath::keys(&["peering"]), set_aside, diagnostics));
    document
}

/// Errors first, then by place in the text; what has no place comes last. Stable, so equal places keep the order
/// in which they were found.
fn sort(diagnostics: &mut [Diagnostic], spans: &SpanTable) {
    diagnostics.sort_by_cached_key(|found| {
        let start = match &found.at {
            Some(Location::Topology(path)) => spans.nearest(path).map(|range| range.start),
            Some(Location::TopologyKey(path)) => spans.key(path).or_else(|| spans.nearest(path)).map(|r| r.start),
            Some(Location::Source(range)) => Some(range.start),
            Some(Location::Resource(..)) | None => None,
        };
        (found.severity, start.unwrap_or(usize::MAX))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::schema::{IpAddressType, Nat};

    #[test]
    fn the_minimal_topology_is_completed() {
        let parsed = parse(include_str!("../../topologies/minimal.toml"));
        assert_eq!(parsed.diagnostics, []);
        let topology = parsed.topology.unwrap();
        let network1 = &topology.networks["network1"];
        assert!(network1.dual_stack && !network1.dns64 && network1.nat == Nat::Single && network1.azs.count() == 3);
        assert_eq!(
            network1.notes,
            ["dual-stack, because cluster-2's IPv6-only proxies need an IPv6 address (AAAA) on network1's gateway: \
              Istio 1.30 and later drop endpoints behind an IPv4-only one"]
        );
        let cluster1 = &topology.clusters["cluster-1"];
        assert_eq!(cluster1.gateway, IpAddressType::Dualstack);
        assert!(!cluster1.v6_egress, "Istio 1.31 filters by family");
        assert!(topology.sample.is_none() && topology.ca.multi_root && topology.has_ipv6());
    }

    #[test]
    fn one_mistake_hides_no_other() {
        let parsed = parse(
            "schema = 1\nmesh = { id = 'm', region = 7, colour = 'red' }\n[networks.a]\ncidr = '10.0.0.0/99'\nazs = []\nnaat = 'none'\nnat = 'nonne'\n[networks.b]\ncidr = 3\n",
        );
        let codes: Vec<&str> = parsed.diagnostics.iter().map(|found| found.code.0).collect();
        assert!(parsed.topology.is_none());
        let mistakes = ["wrong-type", "unknown-key", "invalid-value", "unknown-key", "invalid-value", "wrong-type"];
        assert!(mistakes.iter().all(|code| codes.contains(code)), "{codes:?}");
        assert!(!codes.contains(&"missing-key"), "{codes:?}");
    }
}
