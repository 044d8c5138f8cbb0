// SPDX-License-Identifier: MIT OR Apache-2.0
//! How far a flash is: a bar on a terminal, lines of JSON, or nothing.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use identity_host::flash::progress::{Phase, Progress};

use crate::output;

/// Time between two lines.
const INTERVAL: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct Line {
    event: &'static str,
    phase: Phase,
    bytes: u64,
    total: Option<u64>,
    bytes_per_second: u64,
    seconds_left: Option<u64>,
}

enum Mode {
    Quiet,
    Bar(ProgressBar),
    Json,
}

/// Shows progress.
pub struct ShownProgress {
    mode: Mode,
    phase: Phase,
    started: Instant,
    /// When the last line was printed in this phase.
    shown: Option<Instant>,
}

impl ShownProgress {
    /// Lines of JSON on standard output; else a bar, if standard error is a terminal.
    pub fn new(is_json: bool) -> Self {
        let mode = if is_json {
            Mode::Json
        } else if std::io::stderr().is_terminal() {
            Mode::Bar(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5)))
        } else {
            Mode::Quiet
        };
        Self { mode, phase: Phase::Write, started: Instant::now(), shown: None }
    }

    fn line(&mut self, bytes: u64, total: Option<u64>) {
        self.shown = Some(Instant::now());
        let milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = bytes.saturating_mul(1000) / milliseconds;
        let left = total.and_then(|total| total.saturating_sub(bytes).checked_div(rate));
        let line = output::json_line(&Line {
            event: "progress",
            phase: self.phase,
            bytes,
            total,
            bytes_per_second: rate,
            seconds_left: left,
        });
        // A card is not left half-written because nobody listens.
        let _ = output::print(&line);
    }
}

impl Progress for ShownProgress {
    fn begin(&mut self, phase: Phase) {
        (self.phase, self.started, self.shown) = (phase, Instant::now(), None);
        if let Mode::Bar(bar) = &self.mode {
            let template = "{msg:9} [{wide_bar}] {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.reset();
            bar.set_message(match phase {
                Phase::Write => "writing",
                Phase::Verify => "verifying",
            });
        }
    }

    fn at(&mut self, bytes: u64, total: Option<u64>) {
        match &self.mode {
            Mode::Quiet => (),
            Mode::Bar(bar) => {
                if let Some(total) = total {
                    bar.set_length(total.max(bytes));
                }
                bar.set_position(bytes);
            }
            Mode::Json if self.shown.is_some_and(|shown| shown.elapsed() < INTERVAL) => (),
            Mode::Json => self.line(bytes, total),
        }
    }

    fn end(&mut self, bytes: u64) {
        match &self.mode {
            Mode::Quiet => (),
            Mode::Bar(bar) => bar.finish_and_clear(),
            Mode::Json => self.line(bytes, Some(bytes)),
        }
    }
}

impl Drop for ShownProgress {
    fn drop(&mut self) {
        if let Mode::Bar(bar) = &self.mode {
            bar.finish_and_clear();
        }
    }
}
