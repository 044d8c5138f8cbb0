// SPDX-License-Identifier: MIT OR Apache-2.0
//! A question before harm.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

use identity_host::device::plain;

use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// Where a person answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// The terminal on standard input.
    StandardInput,
    /// On the terminal of the process: standard input is a pipe with data.
    Controlling,
}

impl Terminal {
    /// Where there is a person to ask; `is_data` says whether standard input carries data, so that an answer cannot come
    /// from there.
    pub fn find(is_data: bool) -> Option<Self> {
        if !is_data {
            return io::stdin().is_terminal().then_some(Self::StandardInput);
        }
        open_controlling().is_ok().then_some(Self::Controlling)
    }
}

fn open_controlling() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

/// Whether there is a person to ask.
pub fn can_ask() -> bool {
    Terminal::find(false).is_some()
}

/// Shows `facts`, asks `question`, and goes on only if the answer is yes.
///
/// # Errors
/// Exit 6 for any other answer; 7 if the terminal fails.
pub fn ask(facts: &str, question: &str) -> Result<()> {
    ask_on(Terminal::StandardInput, facts, question)
}

/// The same on this terminal.
///
/// # Errors
/// As [`ask`].
pub fn ask_on(terminal: Terminal, facts: &str, question: &str) -> Result<()> {
    let failed = |error: io::Error| {
        Failure::new(Exit::Device, format!("cannot ask on the terminal: {}", plain(&error)))
    };
    let mut stderr = anstream::stderr();
    write!(stderr, "{facts}{question} [y/N] ").and_then(|()| stderr.flush()).map_err(failed)?;
    let mut answer = String::new();
    match terminal {
        Terminal::StandardInput => io::stdin().lock().read_line(&mut answer),
        Terminal::Controlling => {
            open_controlling().and_then(|tty| BufReader::new(tty).read_line(&mut answer))
        }
    }
    .map_err(failed)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::refused("not confirmed; nothing was written"))
}
