//! Where each key and value of a topology stands in its text: the bridge from a path to a caret.
//!
//! Entry point: [`SpanTable::of`] while the parsed text is at hand, then [`SpanTable::key`] and
//! [`SpanTable::value`]. It deliberately knows nothing of lines and columns: those belong to the renderer.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::{AttrPath, Segment};

/// The byte ranges of every key and value of a topology, as a tree in the shape of the document.
///
/// Offsets are kept as `u32`, a node takes a few words: a topology of 100,000 resources has some 20,000 nodes.
#[derive(Debug, Clone, Default)]
pub struct SpanTable {
    root: Node,
}

#[derive(Debug, Clone, Default)]
struct Node {
    key: Option<Span>,
    value: Span,
    children: Children,
}

#[derive(Debug, Clone, Default)]
enum Children {
    #[default]
    None,
    /// Sorted by key, so that a look-up is a binary search.
    Table(Box<[(Box<str>, Node)]>),
    Array(Box<[Node]>),
}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(range: &Range<usize>) -> Self {
        // A topology of more than 4 GiB is refused before it is parsed; saturating keeps this total.
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { start: narrow(range.start), end: narrow(range.end) }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl SpanTable {
    /// Records the spans of a parsed document.
    #[must_use]
    pub fn of(document: &Spanned<DeTable<'_>>) -> Self {
        Self { root: Node { key: None, value: Span::of(&document.span()), children: table(document.get_ref()) } }
    }

    /// The range of the key at a path, quotes included; `None` for the root, an array's element, or no such path.
    #[must_use]
    pub fn key(&self, path: &AttrPath) -> Option<Range<usize>> {
        self.node(path)?.key.map(Span::range)
    }

    /// The range of the value at a path. The value of a `[table]` is its header.
    #[must_use]
    pub fn value(&self, path: &AttrPath) -> Option<Range<usize>> {
        if path.is_root() {
            return None;
        }
        self.node(path).map(|node| node.value.range())
    }

    /// The range of the value at a path, or else of the nearest table around it that is written.
    #[must_use]
    pub fn nearest(&self, path: &AttrPath) -> Option<Range<usize>> {
        let mut path = path.clone();
        loop {
            if let Some(range) = self.value(&path) {
                return Some(range);
            }
            path = path.parent()?;
        }
    }

    fn node(&self, path: &AttrPath) -> Option<&Node> {
        path.segments().iter().try_fold(&self.root, |node, segment| match (&node.children, segment) {
            (Children::Table(entries), Segment::Key(key)) => {
                let found = entries.binary_search_by(|(name, _)| name.as_ref().cmp(key)).ok()?;
                entries.get(found).map(|(_, node)| node)
            }
            (Children::Array(items), Segment::Index(index)) => items.get(*index),
            (Children::None | Children::Table(_) | Children::Array(_), _) => None,
        })
    }
}

fn table(table: &DeTable<'_>) -> Children {
    // The parser's map iterates in the order of its keys, which is the order the binary search needs.
    let entries = table.iter().map(|(key, value)| (key.get_ref().as_ref().into(), node(Some(&key.span()), value)));
    Children::Table(entries.collect())
}

fn node(key: Option<&Range<usize>>, value: &Spanned<DeValue<'_>>) -> Node {
    let children = match value.get_ref() {
        DeValue::Table(entries) => table(entries),
        DeValue::Array(items) => Children::Array(items.iter().map(|item| node(None, item)).collect()),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            Children::None
        }
    };
    Node { key: key.map(Span::of), value: Span::of(&value.span()), children }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_values_headers_and_elements_have_their_spans() {
        let text = "[networks.\"a b\"]\ncidr = '10.0.0.0/16'\nazs = ['x', 'y']\n[[moved]]\nfrom = 'a'\n";
        let document = DeTable::parse(text).unwrap();
        let spans = SpanTable::of(&document);
        let at = |range: Option<Range<usize>>| range.map(|r| &text[r]);
        let network = AttrPath::keys(&["networks", "a b"]);
        assert_eq!(at(spans.key(&network)), Some("\"a b\""));
        assert_eq!(at(spans.value(&network)), Some("[networks.\"a b\"]"));
        assert_eq!(at(spans.key(&network.key("cidr"))), Some("cidr"));
        assert_eq!(at(spans.value(&network.key("cidr"))), Some("'10.0.0.0/16'"));
        assert_eq!(at(spans.value(&network.key("azs").index(1))), Some("'y'"));
        assert_eq!(at(spans.value(&AttrPath::keys(&["moved"]).index(0).key("from"))), Some("'a'"));
        assert_eq!(at(spans.value(&network.key("nothing"))), None);
        assert_eq!(at(spans.key(&network.key("azs").index(7))), None);
    }
}
