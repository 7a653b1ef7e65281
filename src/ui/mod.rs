//! What people see: streams and colour, progress, reports.
//!
//! Entry points: [`Streams`] for every byte that is written, [`Console`] as the sink of a run, [`diagnostics`] for findings.
//! Nothing here decides anything, and nothing here reads the environment: `cli` does, once.

pub mod console;
pub mod diagnostics;
pub mod progress;
pub mod streams;

pub use console::{Console, Form, PULSE, REDRAW};
pub use progress::{Progress, frame};
pub use streams::{Streams, Wishes};
