//! Where events go: a live view on a terminal, a line per finished step elsewhere, JSON lines for scripts.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::model::Clock;
use crate::model::event::{Event, Sink, Stamped};
use crate::plan::Plan;
use crate::plan::render::{Tone, clean, counted, duration};

use super::progress::{Progress, frame};
use super::streams::Streams;

/// A log without a terminal says something this often, in real time whatever the run's clock is: who looks at it takes
/// a long silence for a hang.
pub const HEARTBEAT: Duration = Duration::from_secs(30);

/// How often it is looked whether such a log has been silent for [`HEARTBEAT`].
pub const PULSE: Duration = Duration::from_secs(5);

/// How often the live view is drawn, in real time: often enough to be seen as moving.
pub const REDRAW: Duration = Duration::from_millis(200);

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Drawn over itself on a terminal.
    Live,
    /// One line per finished step.
    Lines,
    /// One JSON object per event, on standard output.
    Json,
}

/// The sink of a run.
#[derive(Debug)]
pub struct Console {
    streams: Streams,
    form: Form,
    progress: Progress,
    bar: Option<ProgressBar>,
    /// How long nothing was said, in whole [`PULSE`]s.
    silent: Duration,
}

impl Console {
    /// A console of this form.
    #[must_use]
    pub fn new(streams: Streams, form: Form) -> Self {
        Self { streams, form, progress: Progress::new(), bar: None, silent: Duration::ZERO }
    }

    /// How the run is shown.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// From now on follows this plan.
    pub fn follow(&mut self, plan: &Plan) {
        self.progress.follow(plan);
        if self.form == Form::Live {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // A template of one placeholder is always valid; without it the default style would draw a bar.
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
    }

    /// Draws the live view; in a log, which has a beat each [`PULSE`], says that the run is alive if nothing was said for
    /// [`HEARTBEAT`]. `clock` is the run's.
    pub fn beat(&mut self, clock: &dyn Clock) {
        self.progress.at(clock);
        if let Some(bar) = &self.bar {
            bar.set_message(frame(&self.progress, self.streams.width().saturating_sub(1)).join("\n"));
            bar.tick();
            return;
        }
        self.silent += PULSE;
        if self.form == Form::Lines && self.progress.is_running() && self.silent >= HEARTBEAT {
            let line = self.progress.heartbeat();
            self.say(&line);
        }
    }

    /// Takes the live view off the screen.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn say(&mut self, line: &str) {
        self.silent = Duration::ZERO;
        match &self.bar {
            Some(bar) => bar.println(line),
            None => self.streams.say(line),
        }
    }
}

impl Sink for Console {
    fn emit(&mut self, event: &Stamped) {
        tracing::debug!(at = %event.at, event = ?event.event);
        self.progress.observe(event);
        if self.form == Form::Json {
            // Nobody reading is no reason to stop a run: what happens is in the journal.
            if let Ok(line) = serde_json::to_string(event) {
                let _ = self.streams.data(&(line + "\n"));
            }
            return;
        }
        if let Some((tone, line)) = line(&event.event, self.progress.done()) {
            let line = self.streams.err_style().paint(tone, &line);
            self.say(&line);
        }
    }
}

/// The line for people, for events that are worth one.
fn line(event: &Event, (done, steps): (usize, usize)) -> Option<(Tone, String)> {
    match event {
        Event::RefreshFinished { resources: 0, .. }
        | Event::RefreshStarted { .. }
        | Event::RunStarted { .. }
        | Event::StepStarted { .. }
        | Event::StepWaiting { .. }
        | Event::StepRetrying { .. }
        | Event::RunFinished { .. }
        | Event::AuditFinished { .. } => None,
        Event::RefreshFinished { resources, requests, .. } => Some((
            Tone::Dim,
            format!("refreshed {} with {}", counted(*resources, "resource"), counted(*requests, "request")),
        )),
        Event::StepFinished { address, kind, id, seconds } => {
            let id = if id.is_empty() { String::new() } else { format!(" ({})", clean(id)) };
            Some((Tone::Plain, format!("[{done}/{steps}] {} {address}{id} in {}", kind.past(), duration(*seconds))))
        }
        Event::StepFailed { address, kind, error, .. } => {
            Some((Tone::Remove, format!("failed to {} {address}: {}", kind.verb(), clean(error))))
        }
        Event::StepSkipped { address, kind, blocked_by } => {
            Some((Tone::Change, format!("skipped {} {address}: blocked by {blocked_by}", kind.verb())))
        }
        Event::Interrupted { in_flight, waits_dropped } => Some((
            Tone::Change,
            format!(
                "interrupted: {} in flight to be finished first, {} dropped that the next run picks up",
                counted(*in_flight, "call"),
                counted(*waits_dropped, "wait")
            ),
        )),
    }
}
