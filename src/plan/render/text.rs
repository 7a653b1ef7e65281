//! The plan for a terminal.

use std::fmt::Write as _;

use crate::model::Address;
use crate::model::diff::FieldChange;
use crate::model::event::Operation;
use crate::plan::model::{Action, Change, Plan, Summary};

use super::part::{by_action, by_part};
use super::rows::{Mark, Row, heading, rows_of};
use super::style::{Style, Tone};
use super::tags::CommonTags;
use super::value::clean;
use super::{counted, duration, risk};

/// Chains longer than this are shown by their two ends.
const CHAIN: usize = 6;

/// The plan for a terminal, each line ended.
#[must_use]
pub fn text(plan: &Plan, style: Style) -> String {
    let mut out = Out { text: String::new(), style };
    out.line(Tone::Strong, &title(plan));
    if plan.offline {
        out.line(
            Tone::Plain,
            "offline: nothing was read from the cloud; what was last applied stands for what is there",
        );
    }
    for note in &plan.notes {
        out.line(Tone::Plain, &clean(note));
    }
    out.blank();
    if plan.is_empty() {
        out.line(Tone::Add, &nothing_to_do(plan));
        if let Some(remark) = bookkeeping(plan) {
            out.line(Tone::Plain, &remark);
        }
        return out.text;
    }
    out.text.push_str(&changes(plan, style));
    let risks = risk::risks(plan);
    if !risks.is_empty() {
        out.line(Tone::Change, "Look twice at:");
        for risk in risks {
            out.line(Tone::Plain, &format!("  {}", risk.text));
        }
        out.blank();
    }
    out.line(Tone::Strong, &counts(&plan.summary));
    out.line(Tone::Plain, &expectation(plan));
    if let Some(remark) = bookkeeping(plan) {
        out.line(Tone::Plain, &remark);
    }
    out.text
}

/// The changes alone, by the part of the mesh they belong to, each followed by an empty line. Tags that every create brings along are said once.
#[must_use]
pub fn changes(plan: &Plan, style: Style) -> String {
    let mut out = Out { text: String::new(), style };
    let common = CommonTags::of(plan);
    let parts = by_part(&plan.changes, |change| change);
    for (part, changes) in &parts {
        // Of one part alone the addresses say enough.
        if parts.len() > 1 {
            let actions = by_action(changes.iter().copied());
            out.line(Tone::Strong, &format!("{}: {actions}", clean(&part.to_string())));
            out.blank();
        }
        for change in changes {
            out.change(change, &common);
            out.blank();
        }
    }
    if let Some(remark) = common.remark() {
        out.line(Tone::Plain, &remark);
        out.blank();
    }
    out.text
}

/// `Plan: 28 to create, 1 to update, 4 unchanged`; what there is none of is left out.
#[must_use]
pub fn counts(summary: &Summary) -> String {
    let Summary { create, update, replace, delete, forget, adopt, no_op } = summary;
    let counts = [
        (create, "to create"),
        (update, "to update"),
        (replace, "to replace"),
        (delete, "to delete"),
        (forget, "to forget"),
        (adopt, "to adopt"),
        (no_op, "unchanged"),
    ];
    let said: Vec<String> = counts.iter().filter(|(n, _)| **n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    format!("Plan: {}", said.join(", "))
}

/// `Expected: about 2 m 10 s; longest chain: aws.vpc/network1 -> …`.
#[must_use]
pub fn expectation(plan: &Plan) -> String {
    let time = duration(plan.estimate.seconds);
    if plan.estimate.critical_path.is_empty() {
        return format!("Expected: about {time}");
    }
    format!("Expected: about {time}; longest chain: {}", chain(&plan.estimate.critical_path))
}

/// A chain of addresses, first to last; the middle of a long one is only counted.
#[must_use]
pub fn chain(path: &[Address]) -> String {
    let mut path: Vec<&str> = path.iter().map(Address::as_str).collect();
    path.dedup();
    if path.len() <= CHAIN {
        return path.join(" -> ");
    }
    let (start, end) = (&path[..CHAIN / 2], &path[path.len() - CHAIN / 2..]);
    format!("{} -> ({} more) -> {}", start.join(" -> "), path.len() - CHAIN, end.join(" -> "))
}

pub(super) fn title(plan: &Plan) -> String {
    let sandbox = if plan.sandbox { "sandbox: " } else { "" };
    let what = match plan.operation {
        Operation::Apply => "plan for",
        Operation::Destroy => "plan to destroy",
    };
    format!("{sandbox}{what} mesh {} (state serial {})", clean(&plan.mesh), plan.base_serial)
}

pub(super) fn nothing_to_do(plan: &Plan) -> String {
    match plan.operation {
        Operation::Destroy => "Nothing to destroy: state holds no resource".to_owned(),
        Operation::Apply if plan.summary.no_op == 1 => "No changes: 1 resource is as the topology says".to_owned(),
        Operation::Apply => format!("No changes: {} are as the topology says", counted(plan.summary.no_op, "resource")),
    }
}

/// What an apply would only write down.
pub(super) fn bookkeeping(plan: &Plan) -> Option<String> {
    match plan.bookkeeping.len() {
        0 => None,
        1 => Some("State is behind what is so in 1 place; an apply writes it down and touches nothing".to_owned()),
        n => Some(format!("State is behind what is so in {n} places; an apply writes them down and touches nothing")),
    }
}

pub(super) fn tone(action: Action) -> Tone {
    match action {
        Action::NoOp => Tone::Plain,
        Action::Create | Action::Adopt | Action::Wait => Tone::Add,
        Action::Update => Tone::Change,
        Action::Replace | Action::Delete | Action::Forget => Tone::Remove,
    }
}

/// The fields and notes of a change as lines, without its heading; for the plan and for `explain`.
pub(super) fn body(change: &Change, style: Style) -> Vec<String> {
    body_of(change, &|_| true, style)
}

fn body_of(change: &Change, shown: &dyn Fn(&FieldChange) -> bool, style: Style) -> Vec<String> {
    let mut lines: Vec<String> = rows_of(change, shown).iter().map(|row| field_line(row, style)).collect();
    lines.extend(
        change
            .notes
            .iter()
            .map(|note| format!("      {}", style.paint(Tone::Dim, &format!("= note: {}", clean(note))))),
    );
    lines.extend(change.preview.iter().map(|line| {
        let tone = match line.as_bytes().first() {
            Some(b'+') => Tone::Add,
            Some(b'-') => Tone::Remove,
            Some(b'~') => Tone::Change,
            Some(_) | None => Tone::Dim,
        };
        format!("      | {}", style.paint(tone, &clean(line)))
    }));
    lines
}

fn field_line(row: &Row, style: Style) -> String {
    let (glyph, tone) = match row.mark {
        Mark::Add => ("+", Tone::Add),
        Mark::Change => ("~", Tone::Change),
        Mark::Remove => ("-", Tone::Remove),
        Mark::Same => (" ", Tone::Dim),
    };
    let indent = " ".repeat(6 + 4 * row.depth);
    let text = match row.mark {
        Mark::Same => style.paint(Tone::Dim, &row.text),
        Mark::Add | Mark::Change | Mark::Remove => row.text.clone(),
    };
    let remark = row.remark.map_or_else(String::new, |remark| style.paint(Tone::Remove, &format!("  # {remark}")));
    format!("{indent}{} {text}{remark}", style.paint(tone, glyph)).trim_end().to_owned()
}

/// Lines in the making.
struct Out {
    text: String,
    style: Style,
}

impl Out {
    fn line(&mut self, tone: Tone, line: &str) {
        self.text.push_str(&self.style.paint(tone, line));
        self.text.push('\n');
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn change(&mut self, change: &Change, common: &CommonTags) {
        let glyph = self.style.paint(tone(change.action), &format!("{:>3}", glyph(change)));
        let heading = self.style.paint(Tone::Strong, &heading(change));
        let _ = writeln!(self.text, "{glyph} {heading}");
        let shown = |field: &FieldChange| change.action != Action::Create || !common.hides(field);
        for line in body_of(change, &shown, self.style) {
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }
}

/// A replacement whose predecessor stays until it is ready is drawn the other way round, as OpenTofu does.
pub(super) fn glyph(change: &Change) -> &'static str {
    if change.action == Action::Replace && change.goal.as_ref().is_some_and(|goal| goal.deposes) {
        "+/-"
    } else {
        change.action.glyph()
    }
}
