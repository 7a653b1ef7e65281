//! The plan for a pull request: what a reviewer needs on the first screen, everything else folded below it, and
//! never more than the forge takes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::Address;
use crate::model::diff::FieldChange;
use crate::plan::model::{Action, Change, Plan};

use super::part::{Part, by_action};
use super::rows::{Mark, heading, rows_of};
use super::tags::CommonTags;
use super::text::{bookkeeping, counts, expectation, glyph, nothing_to_do, title};
use super::value::clean;
use super::{counted, risk};

/// GitHub refuses a comment of more than this many characters. They are counted as UTF-16 units, which is never
/// less than any other way of counting characters.
pub const MARKDOWN_BUDGET: usize = 65_536;

/// Kept free for the statement of what was cut.
const RESERVE: usize = 400;

/// Lines longer than this are cut: a comment is read, and the whole value is in the text and JSON views. It also
/// bounds the runs of backticks that a fence must be longer than.
const LINE: usize = 240;

/// Notes on the first screen; the rest is below each change.
const NOTES: usize = 6;

/// The plan for a pull request. Never longer than [`MARKDOWN_BUDGET`].
#[must_use]
pub fn markdown(plan: &Plan) -> String {
    let mut out = head(plan);
    if plan.is_empty() {
        return out;
    }
    let common = CommonTags::of(plan);
    if let Some(remark) = common.remark() {
        let _ = writeln!(out, "\n{}", inline(&short(&remark)));
    }
    let mut seconds: BTreeMap<&Address, f64> = BTreeMap::new();
    for step in &plan.steps {
        *seconds.entry(&step.address).or_default() += step.seconds;
    }
    let expected = |change: &Change| seconds.get(&change.address).copied().unwrap_or_default();
    let sheets: Vec<Sheet<'_>> = plan.changes.iter().map(|change| sheet(change, expected(change), &common)).collect();
    let mut groups: BTreeMap<Part<'_>, Vec<usize>> = BTreeMap::new();
    for (index, sheet) in sheets.iter().enumerate() {
        groups.entry(sheet.part).or_default().push(index);
    }
    let budget = MARKDOWN_BUDGET.saturating_sub(width(&out) + RESERVE);
    let detail = choose(&sheets, &groups, budget);
    for (part, members) in &groups {
        section(*part, members, &sheets, &detail, &mut out);
    }
    if let Some(statement) = cut_statement(&sheets, &detail) {
        out.push_str(&statement);
    }
    out
}

/// Everything above the folds; its size is bounded whatever the plan holds.
fn head(plan: &Plan) -> String {
    let mut out = format!("### {}\n\n", inline(&short(&title(plan))));
    if plan.offline {
        out.push_str("*Offline: nothing was read from the cloud; what was last applied stands for what is there.*\n\n");
    }
    if plan.is_empty() {
        let _ = writeln!(out, "**{}**", inline(&nothing_to_do(plan)));
    } else {
        let _ = writeln!(out, "**{}**\n\n{}", counts(&plan.summary), inline(&expectation(plan)));
    }
    if let Some(remark) = bookkeeping(plan) {
        let _ = writeln!(out, "\n{}", inline(&remark));
    }
    let risks = risk::risks(plan);
    if !risks.is_empty() {
        out.push_str("\n> [!WARNING]\n> **Look twice at:**\n");
        for risk in risks {
            let _ = writeln!(out, "> - {}", inline(&short(&risk.text)));
        }
    }
    let mut notes: Vec<&String> =
        plan.notes.iter().chain(plan.changes.iter().flat_map(|change| &change.notes)).collect();
    let mut seen = std::collections::BTreeSet::new();
    notes.retain(|note| seen.insert(note.as_str()));
    if !notes.is_empty() {
        out.push('\n');
        for note in notes.iter().take(NOTES) {
            let _ = writeln!(out, "- {}", inline(&short(&clean(note))));
        }
        if notes.len() > NOTES {
            let _ = writeln!(out, "- and {} below", counted(notes.len() - NOTES, "more note"));
        }
    }
    out
}

/// A change, laid out and measured before anything is chosen.
struct Sheet<'a> {
    change: &'a Change,
    part: Part<'a>,
    /// How long its steps should take: what takes long is what a reviewer asks about.
    seconds: f64,
    brief: String,
    fields: Vec<String>,
}

/// How much of a change is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    Omitted,
    Brief,
    Full,
}

fn sheet<'a>(change: &'a Change, seconds: f64, common: &CommonTags) -> Sheet<'a> {
    // GitHub colours a line of a diff by its first character: `+` green, `-` red, `!` orange.
    let mark = match change.action {
        Action::Create | Action::Adopt | Action::Wait => '+',
        Action::Update => '!',
        Action::Replace | Action::Delete | Action::Forget => '-',
        Action::NoOp => ' ',
    };
    let glyph = match glyph(change) {
        "+" | "-" => String::new(),
        glyph => format!("{glyph} "),
    };
    let shown = |field: &FieldChange| change.action != Action::Create || !common.hides(field);
    let mut fields: Vec<String> = rows_of(change, &shown)
        .iter()
        .map(|row| {
            let mark = match row.mark {
                Mark::Add => '+',
                Mark::Change => '!',
                Mark::Remove => '-',
                Mark::Same => ' ',
            };
            let remark = row.remark.map_or_else(String::new, |remark| format!("  # {remark}"));
            short(&format!("{mark}     {}{}{remark}", "    ".repeat(row.depth), row.text))
        })
        .collect();
    fields.extend(change.notes.iter().map(|note| short(&format!("#     note: {}", clean(note)))));
    // A line's mark stays where the fence colours it.
    fields.extend(change.preview.iter().map(|line| {
        let (mark, rest) = match line.split_at_checked(1) {
            Some(("~", rest)) => ("!", rest),
            Some((mark @ ("+" | "-"), rest)) => (mark, rest),
            Some(_) | None => (" ", line.as_str()),
        };
        short(&format!("{mark}     | {}", clean(rest)))
    }));
    let brief = short(&format!("{mark} {glyph}{}", heading(change)));
    Sheet { change, part: Part::of(&change.address), seconds, brief, fields }
}

/// How much of each change fits: every part of the mesh is named, then the most important changes, each before its
/// fields are shown.
fn choose(sheets: &[Sheet<'_>], groups: &BTreeMap<Part<'_>, Vec<usize>>, budget: usize) -> Vec<Detail> {
    let mut detail = vec![Detail::Omitted; sheets.len()];
    let mut left = budget;
    // What is not left for a part's name is not left for its changes.
    let mut opened: std::collections::BTreeSet<Part<'_>> = std::collections::BTreeSet::new();
    for (part, members) in groups {
        let cost = overhead(*part, members, sheets);
        if cost <= left {
            left -= cost;
            opened.insert(*part);
        }
    }
    let mut order: Vec<usize> = (0..sheets.len()).collect();
    let key = |index: &usize| importance(sheets[*index].change.action);
    order.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| sheets[*b].seconds.total_cmp(&sheets[*a].seconds)));
    for tier in order.chunk_by(|a, b| importance(sheets[*a].change.action) == importance(sheets[*b].change.action)) {
        for &index in tier.iter().filter(|index| opened.contains(&sheets[**index].part)) {
            let cost = width(&sheets[index].brief) + 1;
            if cost <= left {
                left -= cost;
                detail[index] = Detail::Brief;
            }
        }
        for &index in tier {
            let cost: usize = sheets[index].fields.iter().map(|line| width(line) + 1).sum();
            if detail[index] == Detail::Brief && cost <= left {
                left -= cost;
                detail[index] = Detail::Full;
            }
        }
    }
    detail
}

/// What goes is reviewed before what changes, and what changes before what is new.
fn importance(action: Action) -> u8 {
    match action {
        Action::Replace | Action::Delete => 0,
        Action::Update => 1,
        Action::Adopt | Action::Wait | Action::Forget => 2,
        Action::Create => 3,
        Action::NoOp => 4,
    }
}

/// What a part costs beside its lines: its summary, and both fences at their longest.
fn overhead(part: Part<'_>, members: &[usize], sheets: &[Sheet<'_>]) -> usize {
    let longest = longest_run(members.iter().flat_map(|index| sheets[*index].lines(Detail::Full)));
    let fence = "`".repeat(fence_length(longest));
    width(&opening(part, members, sheets, &fence)) + width(&closing(&fence))
}

impl Sheet<'_> {
    fn lines(&self, detail: Detail) -> impl Iterator<Item = &str> {
        let brief = (detail >= Detail::Brief).then_some(self.brief.as_str());
        let fields = if detail == Detail::Full { self.fields.as_slice() } else { &[] };
        brief.into_iter().chain(fields.iter().map(String::as_str))
    }
}

fn opening(part: Part<'_>, members: &[usize], sheets: &[Sheet<'_>], fence: &str) -> String {
    let actions = by_action(members.iter().map(|index| sheets[*index].change));
    format!(
        "\n<details><summary>{}<b>{}</b>: {actions}</summary>\n\n{fence}diff\n",
        part.sort(),
        inline(&clean(part.name()))
    )
}

fn closing(fence: &str) -> String {
    format!("{fence}\n</details>\n")
}

fn section(part: Part<'_>, members: &[usize], sheets: &[Sheet<'_>], detail: &[Detail], out: &mut String) {
    let lines = || members.iter().flat_map(|index| sheets[*index].lines(detail[*index]));
    if lines().next().is_none() {
        return;
    }
    let fence = "`".repeat(fence_length(longest_run(lines())));
    out.push_str(&opening(part, members, sheets, &fence));
    for line in lines() {
        out.push_str(line);
        out.push('\n');
    }
    out.push_str(&closing(&fence));
}

fn cut_statement(sheets: &[Sheet<'_>], detail: &[Detail]) -> Option<String> {
    let with = |wanted: Detail| {
        sheets.iter().zip(detail).filter(move |(sheet, detail)| {
            **detail == wanted && (wanted == Detail::Omitted || !sheet.fields.is_empty())
        })
    };
    let (omitted, brief) = (with(Detail::Omitted).count(), with(Detail::Brief).count());
    if omitted + brief == 0 {
        return None;
    }
    let mut parts = Vec::new();
    if omitted > 0 {
        let actions = by_action(with(Detail::Omitted).map(|(sheet, _)| sheet.change));
        parts.push(format!(
            "{} not listed ({actions})",
            if omitted == 1 { "1 change is".to_owned() } else { format!("{omitted} changes are") }
        ));
    }
    if brief > 0 {
        parts.push(format!(
            "{} shown without {} fields",
            if brief == 1 { "1 change is".to_owned() } else { format!("{brief} changes are") },
            if brief == 1 { "its" } else { "their" }
        ));
    }
    Some(format!(
        "\n**Cut to fit into a comment:** {}. The whole plan is in `meshplan plan`'s text and JSON.\n",
        parts.join("; ")
    ))
}

fn longest_run<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    lines.flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0)
}

fn fence_length(longest_run: usize) -> usize {
    longest_run.max(2) + 1
}

/// The line, cut to [`LINE`] characters.
fn short(line: &str) -> String {
    if line.chars().count() <= LINE {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(LINE - 1).collect();
    cut.push('…');
    cut
}

/// UTF-16 units.
fn width(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Clean text as markdown that shows it as it is, keeping paired backticks as code.
fn inline(text: &str) -> String {
    let pieces: Vec<&str> = text.split('`').collect();
    // With an odd number of backticks one of them is only a character.
    let paired = pieces.len() % 2 == 1;
    let mut out = String::with_capacity(text.len() + 8);
    for (n, piece) in pieces.iter().enumerate() {
        if n > 0 {
            out.push_str(if paired { "`" } else { "\\`" });
        }
        if paired && n % 2 == 1 {
            out.push_str(piece);
            continue;
        }
        let mut before = ' ';
        let mut chars = piece.chars().peekable();
        while let Some(c) = chars.next() {
            let inside_a_word = before.is_alphanumeric() && chars.peek().is_some_and(|next| next.is_alphanumeric());
            before = c;
            match c {
                '_' if inside_a_word => out.push('_'),
                '<' => out.push_str("&lt;"),
                // Only at the start of a line it means something.
                '>' if out.is_empty() => out.push_str("&gt;"),
                '&' => out.push_str("&amp;"),
                '\\' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '$' => {
                    out.push('\\');
                    out.push(c);
                }
                // A word joiner: nobody is notified because a name holds an `@`.
                '@' => out.push_str("@\u{2060}"),
                _ => out.push(c),
            }
        }
    }
    out
}
