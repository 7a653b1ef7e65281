//! A report for people: a table of pairs and checks, then each cause once, with whom it concerns and what to do.

use std::fmt::Write as _;

use super::report::{Check, Concern, Pair, Report, Verdict};

/// Pairs in the table. Of a larger mesh only those that fail are shown: seven clusters are 42 pairs.
const ROWS: usize = 42;

/// Pairs that are named with a cause; the rest are counted.
const NAMED: usize = 4;

/// What a piece of text is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// A check that holds.
    Good,
    /// One that does not.
    Bad,
    /// Something that may be skipped in reading.
    Faint,
}

/// Writes a report; `paint` colours a piece of it.
#[must_use]
pub fn render(report: &Report, paint: impl Fn(Tone, &str) -> String) -> String {
    let mut out = String::new();
    table(report, &paint, &mut out);
    for Concern { cause, fails } in report.concerns() {
        let mut checks: Vec<&str> = fails.iter().map(|(_, _, check)| check.name()).collect();
        checks.dedup();
        let _ = writeln!(out, "{}", paint(Tone::Bad, &format!("{}: {}", checks.join(", "), named(&fails))));
        let _ = writeln!(out, "  cause: {}", clean(&cause.what));
        let _ = writeln!(out, "  remedy: {}", clean(&cause.remedy));
        let _ = writeln!(out);
    }
    for note in &report.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let _ = writeln!(out, "{}", paint(if report.holds() { Tone::Good } else { Tone::Bad }, &summary(report)));
    out
}

/// One line: how much holds.
#[must_use]
pub fn summary(report: &Report) -> String {
    let (mut checked, mut held) = (0_usize, 0_usize);
    for finding in report.pairs.iter().flat_map(|pair| &pair.findings) {
        match finding.verdict {
            Verdict::Pass(_) => (checked, held) = (checked + 1, held + 1),
            Verdict::Fail(_) | Verdict::Follows(_) => checked += 1,
            Verdict::Skipped(_) => {}
        }
    }
    let n_causes = report.concerns().len();
    let causes = match n_causes {
        0 => String::new(),
        1 => ", 1 cause".to_owned(),
        n => format!(", {n} causes"),
    };
    format!("Verify: {held} of {checked} checks hold in {}{causes}", pairs(report.pairs.len()))
}

/// What is being waited for, in a line.
#[must_use]
pub fn waiting_for(report: &Report) -> String {
    let concerns = report.concerns();
    let Some(first) = concerns.first() else { return "nothing".to_owned() };
    let more = if concerns.len() > 1 { format!(" (and {} more)", concerns.len() - 1) } else { String::new() };
    format!("{}{more}", clean(&first.cause.what))
}

fn pairs(n: usize) -> String {
    if n == 1 { "1 pair".to_owned() } else { format!("{n} pairs") }
}

fn table(report: &Report, paint: &impl Fn(Tone, &str) -> String, out: &mut String) {
    let all = report.pairs.len() <= ROWS;
    let rows: Vec<&Pair> = report.pairs.iter().filter(|pair| all || !pair.holds()).take(ROWS).collect();
    if !rows.is_empty() {
        let width = |of: fn(&Pair) -> &str, title: &str| {
            rows.iter().map(|pair| of(pair).chars().count()).chain([title.len()]).max().unwrap_or_default()
        };
        let (reader, peer) = (width(|pair| &pair.reader, "reader"), width(|pair| &pair.peer, "peer"));
        let heads: Vec<String> = Check::ALL.iter().map(|check| check.name().to_owned()).collect();
        let _ = writeln!(
            out,
            "{}",
            paint(Tone::Faint, &format!("{:reader$}  {:peer$}  {}", "reader", "peer", heads.join("  ")))
        );
        for pair in &rows {
            let mut line = format!("{:reader$}  {:peer$}", pair.reader, pair.peer);
            for (at, check) in Check::ALL.iter().enumerate() {
                let (word, tone) = word(pair.verdict(*check));
                let last = at + 1 == Check::ALL.len();
                let pad = if last { 0 } else { check.name().len().saturating_sub(word.len()) };
                let _ = write!(line, "  {}{}", paint(tone, word), " ".repeat(pad));
            }
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
    let hidden = report.pairs.len().saturating_sub(rows.len());
    if hidden > 0 {
        let hold = report.pairs.iter().filter(|pair| pair.holds()).count();
        let _ = writeln!(out, "{} more, {hold} of all hold", pairs(hidden));
    }
    let _ = writeln!(out);
}

fn word(verdict: Option<&Verdict>) -> (&'static str, Tone) {
    match verdict {
        Some(Verdict::Pass(_)) => ("ok", Tone::Good),
        Some(Verdict::Fail(_)) => ("FAIL", Tone::Bad),
        // It fails too, but its cause is told under another check.
        Some(Verdict::Follows(_)) => ("after", Tone::Bad),
        Some(Verdict::Skipped(_)) | None => ("-", Tone::Faint),
    }
}

fn named(fails: &[(&str, &str, Check)]) -> String {
    let mut names: Vec<String> = fails.iter().map(|(reader, peer, _)| format!("{reader} -> {peer}")).collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

/// Text of others, without what would steer a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
