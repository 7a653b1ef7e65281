//! What one change looks like, decided once for every view.

use crate::model::Value;
use crate::model::diff::{Cause, FieldChange, Impact};
use crate::plan::model::{Action, Change};

use super::policy;
use super::value::{clean, difference, is_long, lines, show};

/// Paths are padded to the longest of their change, up to this width: beyond it one long path would push every
/// value of the change off the screen.
const PATH_WIDTH: usize = 36;

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Add,
    Change,
    Remove,
    Same,
}

/// One line below a change's heading. Clean: no control characters, no line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) mark: Mark,
    /// How deep it stands below the change's own fields.
    pub(super) depth: usize,
    pub(super) text: String,
    /// What stands behind the value: `forces replacement`, `drifted`.
    pub(super) remark: Option<&'static str>,
}

impl Row {
    pub(super) fn new(mark: Mark, text: String) -> Self {
        Self { mark, depth: 0, text, remark: None }
    }
}

/// `aws.vpc/network1 (not in state)`.
pub(super) fn heading(change: &Change) -> String {
    format!("{} ({})", change.address, clean(&change.reason.to_string()))
}

/// The changed fields that a view shows, in document order.
pub(super) fn rows_of(change: &Change, shown: &dyn Fn(&FieldChange) -> bool) -> Vec<Row> {
    let mut fields: Vec<&FieldChange> = change.fields.iter().filter(|field| shown(field)).collect();
    let versions: Vec<&FieldChange> =
        fields.iter().copied().filter(|field| policy::is_version(field, &fields)).collect();
    fields.retain(|field| !versions.iter().any(|version| std::ptr::eq(*version, *field)));
    let path = |field: &FieldChange| match policy::statements(field).and_then(|_| field.path.parent()) {
        Some(document) => clean(&document.to_string()),
        None => clean(&field.path.to_string()),
    };
    let paths: Vec<String> = fields.iter().map(|field| path(field)).collect();
    let width = paths.iter().map(|path| path.chars().count()).max().unwrap_or_default().min(PATH_WIDTH);
    let mut rows = Vec::with_capacity(fields.len());
    for (field, path) in fields.into_iter().zip(paths) {
        let path = if path.is_empty() { "(all of it)".to_owned() } else { path };
        push_field(field, change.action, &format!("{path:width$}"), &mut rows);
    }
    rows
}

fn push_field(field: &FieldChange, action: Action, path: &str, rows: &mut Vec<Row>) {
    let remark = match (field.impact, field.cause) {
        (Impact::Replace, _) => Some("forces replacement"),
        (Impact::Update, Cause::Drifted) if action != Action::Create => Some("drifted"),
        (Impact::Update, Cause::Changed | Cause::Drifted) => None,
    };
    let mut push = |mark, depth, text: String, remark| rows.push(Row { mark, depth, text, remark });
    let (mark, value) = match (&field.before, &field.after) {
        (None, None) => return,
        (Some(before), Some(after)) if is_long(before) || is_long(after) => {
            push(Mark::Change, 0, format!("{} =", path.trim_end()), remark);
            for row in difference(before, after) {
                push(row.mark, 1, row.text, row.remark);
            }
            return;
        }
        (Some(before), Some(after)) => {
            return push(Mark::Change, 0, format!("{path} = {} -> {}", show(before), show(after)), remark);
        }
        (None, Some(after)) => (Mark::Add, after),
        (Some(before), None) => (Mark::Remove, before),
    };
    if let Some(statements) = policy::statements(field) {
        match policy::lines(statements).as_slice() {
            [only] => push(mark, 0, format!("{path} = {only}"), remark),
            several => {
                push(mark, 0, format!("{} =", path.trim_end()), remark);
                several.iter().for_each(|line| push(mark, 1, line.clone(), None));
            }
        }
        return;
    }
    push_value(mark, path, value, remark, &mut push);
}

fn push_value(
    mark: Mark,
    path: &str,
    value: &Value,
    remark: Option<&'static str>,
    push: &mut dyn FnMut(Mark, usize, String, Option<&'static str>),
) {
    if is_long(value) {
        push(mark, 0, format!("{} =", path.trim_end()), remark);
        for line in lines(value) {
            push(mark, 1, line, None);
        }
    } else {
        push(mark, 0, format!("{path} = {}", show(value)), remark);
    }
}
