// SPDX-License-Identifier: MIT OR Apache-2.0
//! How far the making of a root is: a line for each step, and below it, on a terminal, one that moves; into a file or a pipe, plain
//! lines, and of packages one now and then.

use std::time::{Duration, Instant};

use identity_ui::output::{json_line, print, say};
use identity_ui::{confirm, lines};
use serde::Serialize;

use crate::args::Format;
use crate::root::run::Told;

/// Time between two plain lines about packages.
const INTERVAL: Duration = Duration::from_secs(30);
/// Characters of a line that moves: a longer one would not be on one line of every terminal.
const WIDTH: usize = 79;

#[derive(Serialize)]
struct Event<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unpacked: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_up: Option<u64>,
    seconds: u64,
}

/// How far it is.
pub struct Steps {
    format: Format,
    is_terminal: bool,
    started: Instant,
    /// When a plain line was shown last.
    shown: Instant,
    step: String,
    /// What another program does within the step.
    part: String,
    packages: Option<(u64, u64)>,
}

impl Steps {
    /// From now on.
    pub fn new(format: Format) -> Self {
        let is_terminal = format == Format::Text && confirm::can_show_over();
        let now = Instant::now();
        let (step, part) = (String::new(), String::new());
        Self { format, is_terminal, started: now, shown: now, step, part, packages: None }
    }

    /// Shows what the script tells.
    pub fn show(&mut self, told: &Told) {
        match told {
            Told::Step(text) => {
                text.clone_into(&mut self.step);
                self.part.clear();
                self.packages = None;
                self.clear();
                self.line("step", text);
            }
            Told::Part(text) => {
                text.clone_into(&mut self.part);
                if !self.is_terminal {
                    self.line("part", text);
                }
            }
            Told::Packages(unpacked, set_up) if self.packages != Some((*unpacked, *set_up)) => {
                self.packages = Some((*unpacked, *set_up));
                self.count(*unpacked, *set_up);
            }
            Told::Packages(..) | Told::Nothing | Told::Fact(..) | Told::Refused(_) => (),
        }
        if self.is_terminal {
            confirm::show_over(&self.moving());
        }
    }

    /// Ends the line that moves.
    pub fn clear(&self) {
        if self.is_terminal {
            confirm::show_over("");
        }
    }

    fn seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// A line that stays.
    fn line(&mut self, event: &'static str, text: &str) {
        let seconds = self.seconds();
        self.shown = Instant::now();
        match self.format {
            Format::Text => say(&format!("{seconds:4} s  {}", lines::escaped(text))),
            // That nobody listens is no reason to end.
            Format::Json => drop(print(&json_line(&Event {
                event,
                text: Some(text),
                unpacked: None,
                set_up: None,
                seconds,
            }))),
        }
    }

    fn count(&mut self, unpacked: u64, set_up: u64) {
        let seconds = self.seconds();
        match self.format {
            Format::Json => drop(print(&json_line(&Event {
                event: "packages",
                text: None,
                unpacked: Some(unpacked),
                set_up: Some(set_up),
                seconds,
            }))),
            Format::Text if !self.is_terminal && self.shown.elapsed() >= INTERVAL => {
                let text = counted(unpacked, set_up);
                self.line("packages", &text);
            }
            Format::Text => (),
        }
    }

    /// The line that moves; what counts comes first, for its end may not be seen.
    fn moving(&self) -> String {
        let packages =
            self.packages.map_or_else(String::new, |(unpacked, set_up)| counted(unpacked, set_up) + "; ");
        let part = if self.part.is_empty() { &self.step } else { &self.part };
        let text = format!("{:4} s  {packages}{}", self.seconds(), lines::escaped(part));
        text.chars().take(WIDTH).collect()
    }
}

fn counted(unpacked: u64, set_up: u64) -> String {
    format!("{unpacked} packages unpacked, {set_up} set up")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_moves_is_one_line() {
        let mut steps = Steps::new(Format::Text);
        steps.step = "pack the image".into();
        assert_eq!(steps.moving(), "   0 s  pack the image");
        steps.part = "installing remaining packages inside the chroot".into();
        steps.packages = Some((143, 57));
        let line =
            "   0 s  143 packages unpacked, 57 set up; installing remaining packages inside the chroot";
        assert_eq!(steps.moving(), line[..WIDTH]);
        steps.part = "a\u{1b}b\n".into();
        assert!(!steps.moving().contains(['\u{1b}', '\n']));
    }
}
