// SPDX-License-Identifier: MIT OR Apache-2.0
//! How far a flash is: a bar on a terminal, lines of JSON, or nothing.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;

use identity_host::flash::progress::{Phase, Progress};

use crate::output;
use crate::size::Size;

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

/// Progress as a bar, as lines of JSON, or not shown.
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
            // What follows draws the bar.
            set_style(bar, false);
            bar.set_message(match phase {
                Phase::Write => "writing",
                Phase::Verify => "verifying",
            });
            bar.unset_length();
            bar.reset();
        }
    }

    fn at(&mut self, bytes: u64, total: Option<u64>) {
        match &self.mode {
            Mode::Quiet => (),
            Mode::Bar(bar) => {
                if bar.length().is_some() != total.is_some() {
                    set_style(bar, total.is_some());
                }
                match total {
                    Some(total) => bar.set_length(total.max(bytes)),
                    None => bar.unset_length(),
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

/// A bar, or, where the end is not known, no bar and no time that is left. Units are those of [`Size`], as in the result.
fn set_style(bar: &ProgressBar, has_end: bool) {
    let template = if has_end {
        "{msg:9} [{wide_bar}] {size}/{total_size}  {rate}/s  {eta} left"
    } else {
        "{msg:9} {size}  {rate}/s  {elapsed}"
    };
    let Ok(style) = ProgressStyle::with_template(template) else { return };
    let style = style
        .progress_chars("=> ")
        .with_key("size", |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{}", Size(state.pos()));
        })
        .with_key("total_size", |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{}", Size(state.len().unwrap_or(0)));
        })
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{}", Size(state.per_sec() as u64));
        });
    bar.set_style(style);
}

impl Drop for ShownProgress {
    fn drop(&mut self) {
        if let Mode::Bar(bar) = &self.mode {
            bar.finish_and_clear();
        }
    }
}
