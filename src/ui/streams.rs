//! The three streams: data on standard output, everything else on standard error, answers from standard input.

use std::io::{self, IsTerminal, Write};

use crate::plan::render::Style;

/// Width when there is no terminal to ask.
const WIDTH: usize = 100;

/// What the environment and the options say about colour and width; read once, in `cli`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// Never colour (`NO_COLOR`, `--no-color`, `TERM=dumb`).
    pub no_color: bool,
    /// A fixed width (`COLUMNS`).
    pub columns: Option<usize>,
}

/// The streams of this process.
#[derive(Debug, Clone, Copy)]
pub struct Streams {
    wishes: Wishes,
}

impl Streams {
    /// The streams of this process.
    #[must_use]
    pub fn new(wishes: Wishes) -> Self {
        Self { wishes }
    }

    /// Writes data, ended by the caller. An error of kind `BrokenPipe` means that nobody reads any more.
    pub fn data(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Writes one line for people. That it cannot be written is not worth a word: there is nowhere to say it.
    pub fn say(&self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Writes text for people, ended by the caller.
    pub fn say_text(&self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Whether people read standard error as it is written.
    #[must_use]
    pub fn is_live(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Whether someone is there to answer.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks, and takes exactly `yes` for a yes.
    pub fn ask(&self, question: &str) -> io::Result<bool> {
        self.say_text(question);
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(answer.trim() == "yes")
    }

    /// The style of standard output.
    #[must_use]
    pub fn out_style(&self) -> Style {
        Style::new(!self.wishes.no_color && io::stdout().is_terminal())
    }

    /// The style of standard error.
    #[must_use]
    pub fn err_style(&self) -> Style {
        Style::new(!self.wishes.no_color && io::stderr().is_terminal())
    }

    /// How wide standard error is, in characters.
    #[must_use]
    pub fn width(&self) -> usize {
        let terminal = || console::Term::stderr().size_checked().map(|(_, columns)| usize::from(columns));
        self.wishes.columns.or_else(terminal).unwrap_or(WIDTH)
    }
}
