//! Values as people read them: one line, many lines, and the difference of two that are long.

use similar::{ChangeTag, TextDiff};

use crate::model::Value;
use crate::model::secret::{SENSITIVE, is_masked};

use super::rows::{Mark, Row};

/// Values longer than this on one line are shown over several: two of them and a path no longer fit a terminal.
const LONG: usize = 72;

/// Lines of unchanged context around a difference.
const CONTEXT: usize = 2;

/// The text with every control, invisible and direction-changing character escaped, line ends included.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_clean(c, &mut out));
    out
}

fn push_clean(c: char, out: &mut String) {
    // What Rust escapes in a debug text is what a terminal might not show as one glyph; quotes and backslashes are
    // shown as they are, and letters are let through even where they combine with the one before.
    if matches!(c, '\'' | '"' | '\\') || c.is_alphanumeric() { out.push(c) } else { out.extend(c.escape_debug()) }
}

/// The value on one line.
#[must_use]
pub fn show(value: &Value) -> String {
    if is_masked(value) {
        return SENSITIVE.to_owned();
    }
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, field)| format!("{} = {}", clean(key), show(field))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Unknown(reference) => format!("(known after apply: {})", clean(&reference.to_string())),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        push_clean(c, &mut out);
    }
    out.push('"');
    out
}

/// Whether the value is shown over several lines.
pub(super) fn is_long(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\n') || text.len() > LONG,
        Value::Array(_) | Value::Object(_) => show(value).len() > LONG,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Unknown(_) => false,
    }
}

/// The value over several lines, each of them clean: a text's own lines, a list's elements, an object's fields.
pub(super) fn lines(value: &Value) -> Vec<String> {
    let mut out = Vec::new();
    push_lines(value, "", "", &mut out);
    out
}

fn push_lines(value: &Value, indent: &str, label: &str, out: &mut Vec<String>) {
    let deeper = format!("{indent}  ");
    match value {
        Value::String(text) if is_long(value) && text.contains('\n') => {
            if !label.is_empty() {
                out.push(format!("{indent}{label}|"));
            }
            let indent = if label.is_empty() { indent } else { &deeper };
            out.extend(text.split('\n').map(|line| format!("{indent}{}", clean(line.trim_end_matches('\r')))));
        }
        Value::Array(items) if !items.is_empty() && is_long(value) => {
            out.push(format!("{indent}{label}["));
            for item in items {
                push_lines(item, &deeper, "", out);
            }
            out.push(format!("{indent}]"));
        }
        Value::Object(fields) if is_long(value) && !is_masked(value) => {
            out.push(format!("{indent}{label}{{"));
            for (key, field) in fields {
                push_lines(field, &deeper, &format!("{} = ", clean(key)), out);
            }
            out.push(format!("{indent}}}"));
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_)
        | Value::Unknown(_) => out.push(format!("{indent}{label}{}", show(value))),
    }
}

/// The lines that lead from one value to another, with a little context.
pub(super) fn difference(before: &Value, after: &Value) -> Vec<Row> {
    let (before, after) = (lines(before), lines(after));
    let old: Vec<&str> = before.iter().map(String::as_str).collect();
    let new: Vec<&str> = after.iter().map(String::as_str).collect();
    let diff = TextDiff::from_slices(&old, &new);
    let mut rows = Vec::new();
    let mut shown = 0;
    for group in diff.grouped_ops(CONTEXT) {
        let start = group.first().map_or(0, |op| op.old_range().start);
        rows.extend(unchanged(start.saturating_sub(shown)));
        shown = group.last().map_or(shown, |op| op.old_range().end);
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let mark = match change.tag() {
                ChangeTag::Delete => Mark::Remove,
                ChangeTag::Insert => Mark::Add,
                ChangeTag::Equal => Mark::Same,
            };
            rows.push(Row::new(mark, change.value().to_owned()));
        }
    }
    rows.extend(unchanged(old.len().saturating_sub(shown)));
    rows
}

fn unchanged(lines: usize) -> Option<Row> {
    (lines > 0).then(|| Row::new(Mark::Same, format!("({} unchanged)", super::counted(lines, "line"))))
}
