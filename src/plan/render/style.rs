//! Colour, or none: the one place that writes terminal escapes.

/// Whether colours are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    color: bool,
}

/// What a piece of text is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Text as it is.
    Plain,
    /// Something is added or done.
    Add,
    /// Something changes, or is a warning.
    Change,
    /// Something goes, or failed.
    Remove,
    /// Something stands out.
    Strong,
    /// Something may be skipped in reading.
    Dim,
}

impl Style {
    /// Text without an escape.
    #[must_use]
    pub const fn plain() -> Self {
        Self { color: false }
    }

    /// Text with colours if `color`.
    #[must_use]
    pub const fn new(color: bool) -> Self {
        Self { color }
    }

    /// The text in its tone. The caller vouches for the text being clean (see [`super::clean`]).
    #[must_use]
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Add => "32",
            Tone::Change => "33",
            Tone::Remove => "31",
            Tone::Strong => "1",
            Tone::Dim => "2",
        };
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
