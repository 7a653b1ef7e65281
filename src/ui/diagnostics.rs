//! Diagnostics as text, with the line of the topology and a caret under what is wrong.
//!
//! Entry points: [`render`] and [`summary`]. Only this file knows files, lines and columns, and only this file
//! names the crate that draws the snippets. It deliberately filters and sorts nothing.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use crate::model::{Diagnostic, Location, Severity};
use crate::topology::SpanTable;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text that diagnostics point into.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The file's name, as the user gave it.
    pub name: &'a str,
    /// The whole text.
    pub text: &'a str,
    /// Where everything stands in it.
    pub spans: &'a SpanTable,
}

/// Renders diagnostics one after the other, each followed by an empty line. Without a source (the state alone, for
/// example) the places are named instead of shown.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], source: Option<Source<'_>>, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for found in diagnostics {
        text.push_str(&renderer.render(&[group(found, source)]));
        text.push_str("\n\n");
    }
    text
}

/// "2 errors, 1 warning"; empty without any.
#[must_use]
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|found| found.is_error()).count();
    let counts = [(errors, "error"), (diagnostics.len() - errors, "warning")];
    let parts: Vec<String> = counts
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}{}", if n == 1 { "" } else { "s" }))
        .collect();
    parts.join(", ")
}

fn group<'a>(found: &'a Diagnostic, source: Option<Source<'a>>) -> Group<'a> {
    let level = match found.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut elements: Vec<Element<'a>> = Vec::new();
    let primary = found.at.as_ref().and_then(|at| span(at, source?));
    if let Some(source) = source.filter(|source| primary.is_some() || !source.name.is_empty()) {
        match primary {
            Some(primary) => elements.push(snippet(found, &primary, source).into()),
            None if !matches!(found.at, Some(Location::Resource(..))) => {
                elements.push(Origin::path(source.name).into());
            }
            None => {}
        }
    }
    if let Some(Location::Resource(address, path)) = &found.at {
        let place = if path.is_root() { address.to_string() } else { format!("{address}, at `{path}`") };
        elements.push(Level::NOTE.message(format!("in {place}")).into());
    } else if let (None, Some(Location::Topology(path) | Location::TopologyKey(path))) = (source, &found.at) {
        elements.push(Level::NOTE.message(format!("in the topology, at `{path}`")).into());
    }
    for note in &found.notes {
        elements.push(Level::NOTE.message(note).into());
    }
    for help in &found.help {
        elements.push(Level::HELP.message(help).into());
    }
    level.primary_title(&found.message).id(found.code.0).elements(elements)
}

/// The lines from the first to the last place, with their annotations. Cutting them out keeps the cost of a
/// finding independent of the file's size.
fn snippet<'a>(found: &'a Diagnostic, primary: &Range<usize>, source: Source<'a>) -> Snippet<'a, Annotation<'a>> {
    let mut places: Vec<(Range<usize>, &'a str, AnnotationKind)> =
        vec![(primary.clone(), found.label.as_str(), AnnotationKind::Primary)];
    for (location, label) in &found.related {
        // A place that is not written has nothing to point at, and one over the primary's would hide it.
        let is_written = !matches!(location, Location::Topology(path) if source.spans.value(path).is_none());
        let apart = |range: &Range<usize>| range.end <= primary.start || primary.end <= range.start;
        if let Some(range) = span(location, source).filter(|range| is_written && apart(range)) {
            places.push((range, label, AnnotationKind::Context));
        }
    }
    let first = places.iter().map(|(range, ..)| range.start).min().unwrap_or_default();
    let last = places.iter().map(|(range, ..)| range.end).max().unwrap_or_default();
    let text = source.text;
    // A byte order mark has no width, and would count as a column.
    let origin = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8().min(first) } else { 0 };
    let start = text.get(..first).and_then(|before| before.rfind('\n')).map_or(origin, |newline| newline + 1);
    let end = text.get(last..).and_then(|after| after.find('\n')).map_or(text.len(), |newline| last + newline);
    let end = if end > last && text.get(..end).is_some_and(|before| before.ends_with('\r')) { end - 1 } else { end };
    let lines_before = text.get(..start).map_or(0, |before| before.matches('\n').count());
    let annotations = places.into_iter().map(|(range, label, kind)| {
        kind.span(range.start - start..range.end - start).label((!label.is_empty()).then_some(label))
    });
    Snippet::source(text.get(start..end).unwrap_or_default())
        .line_start(lines_before + 1)
        .path(source.name)
        .annotations(annotations)
}

/// The range of a place, made to fit the text: on character boundaries, within one line, and not empty where that
/// can be helped.
fn span(location: &Location, source: Source<'_>) -> Option<Range<usize>> {
    let range = match location {
        Location::Topology(path) => source.spans.nearest(path)?,
        Location::TopologyKey(path) => source.spans.key(path).or_else(|| source.spans.nearest(path))?,
        Location::Source(range) => range.clone(),
        Location::Resource(..) => return None,
    };
    let text = source.text;
    let mut start = range.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    // A long value is shown by its first line: the caret says where it begins, the text says what is wrong.
    let line_end = text.get(start..).and_then(|rest| rest.find(['\n', '\r'])).map_or(text.len(), |n| start + n);
    let mut end = range.end.clamp(start, line_end.max(start));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Address, AttrPath, Code};
    use crate::topology::parse;

    #[test]
    fn a_resource_is_named_when_it_cannot_be_shown() {
        let found = Diagnostic::error(Code("immutable-field"), "changing `cidr` replaces the VPC")
            .at_location(Location::Resource(Address::new("aws.vpc", &["network1"]), AttrPath::keys(&["cidr"])))
            .help("declare a new network and move what uses it");
        assert_eq!(
            render(&[found], None, false),
            "error[immutable-field]: changing `cidr` replaces the VPC\n \
             |\n = note: in aws.vpc/network1, at `cidr`\n = help: declare a new network and move what uses it\n\n"
        );
    }

    #[test]
    fn counts_are_in_words() {
        let error = || Diagnostic::error(Code("x"), "x");
        let warning = || Diagnostic::warning(Code("x"), "x");
        assert_eq!(summary(&[error(), warning(), error()]), "2 errors, 1 warning");
        assert_eq!(summary(&[warning()]), "1 warning");
        assert_eq!(summary(&[]), "");
    }

    fn render_all(text: &str) -> String {
        let parsed = parse(text);
        let source = Source { name: "t.toml", text, spans: &parsed.spans };
        // Every finding, and a place at every byte: whatever the parser says about where, it can be drawn.
        let mut findings = parsed.diagnostics.clone();
        for n in (0..text.len() + 3).take(64) {
            findings.push(
                Diagnostic::error(Code("x"), "x")
                    .at_location(Location::Source(n..n + 2))
                    .related(Location::Source(0..text.len()), "all"),
            );
        }
        render(&findings, Some(source), true) + &render(&findings, Some(source), false)
    }

    #[test]
    fn awkward_texts_are_drawn() {
        for text in [
            "",
            "\n",
            "\u{feff}",
            "\u{feff}schema = 2",
            "schema = 2",
            "schema = 2\r\n[mesh]\r\nid = \"A\"\r\n",
            "\tschema\t=\t2\t# ü\n[mesh]\n\tid = \"ü\u{202e}\"\n",
            "[networks.\"é\u{1f600}\"]\ncidr = \"\u{1f600}\"",
            "[mesh]\nid = \"\"\"\na\nb\"\"\"\n",
            "x = [1,\n2,\n",
            "= =",
            "\0",
        ] {
            render_all(text);
        }
        let deep = format!("{}=1", vec!["a"; 20_000].join("."));
        let nested = format!("a={}{}", "[".repeat(20_000), "]".repeat(20_000));
        for text in [deep, nested] {
            assert!(parse(&text).has_errors());
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_on_any_text(text in any::<String>()) {
            render_all(&text);
        }

        #[test]
        fn nothing_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            render_all(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn nothing_panics_on_a_broken_topology(at in 0..1200_usize, len in 0..8_usize, with in "[\\[\\]{}=\"'\n\r.,#ü0-9a-z]{0,4}") {
            let good = include_str!("../../topologies/minimal.toml");
            let (start, end) = (at.min(good.len()), (at + len).min(good.len()));
            render_all(&format!("{}{with}{}", &good[..start], &good[end..]));
        }
    }
}
