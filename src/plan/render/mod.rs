//! One plan, three views: text for a terminal, JSON for scripts and the saved plan file, markdown for a pull
//! request; and two looks at a single thing: the graph, and the explanation of one address.
//!
//! Everything here is pure and deterministic, and escapes control characters: what a topology or a provider says
//! never moves a cursor. What a change looks like is decided once, in `rows`; the views only lay it out. Events and
//! progress are `ui`'s.

mod explain;
mod graph;
mod json;
mod markdown;
mod part;
mod policy;
mod risk;
mod rows;
mod style;
mod tags;
mod text;
mod value;

pub use explain::{Explained, explain};
pub use graph::{GraphFormat, graph};
pub use json::{PlanError, Unwritable, json, parse};
pub use markdown::{MARKDOWN_BUDGET, markdown};
pub use style::{Style, Tone};
pub use text::{chain, changes, counts, expectation, text};
pub use value::{clean, show};

/// A duration for people, from seconds: `0.4 s`, `12 s`, `2 m 10 s`, `1 h 02 m`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.clamp(0.0, 3.2e9) } else { 0.0 };
    if seconds < 9.95 {
        let tenths = format!("{seconds:.1}");
        return format!("{} s", tenths.strip_suffix(".0").unwrap_or(&tenths));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped above to what a u64 holds, and not negative"
    )]
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} m {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} m"),
    }
}

/// `1 change`, `2 changes`.
#[must_use]
pub fn counted(n: usize, singular: &str) -> String {
    format!("{n} {singular}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
