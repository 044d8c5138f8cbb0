// SPDX-License-Identifier: MIT OR Apache-2.0
//! A question before harm: only where a person sees it and can answer. A question must not hang a script.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::AsFd;

use anstream::AutoStream;
use identity_host::device::plain;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{QueueSelector, tcflush, tcgetpgrp};

use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// Every question: what a verb is about to do, the option that answers, and what happens without a terminal. `--help` and
/// the manual page are made of it; the README's table is compared with it by a test.
pub const QUESTIONS: [(&str, &str, &str); 6] = [
    ("flash overwrites a device", "--yes", "refused (6)"),
    ("flash overwrites an image file", "--yes", "goes on"),
    ("erase removes an identity", "--force", "goes on"),
    ("repair or flash completes a lone copy", "--keep, --force", "refused (6)"),
    ("a card gets another card's identity", "--force", "refused (6)"),
    ("a copy in a partition is cleared", "--force", "refused (6)"),
];

/// Where and how a question is asked.
pub const HOW_IT_ASKS: &str = "A verb asks only at a terminal on standard input; where the image comes on standard input, at \
    the terminal of the process. y or yes goes on. Any other answer ends with 6, and nothing is written.";

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
        if is_data {
            let terminal = open_controlling().ok()?;
            return is_foreground(terminal).then_some(Self::Controlling);
        }
        let input = io::stdin();
        (input.is_terminal() && is_foreground(input)).then_some(Self::StandardInput)
    }
}

/// The system stops a job in the background that reads from its terminal: nobody would answer.
fn is_foreground(terminal: impl AsFd) -> bool {
    tcgetpgrp(terminal).map_or(true, |group| group == getpgrp())
}

/// Shows a question where a person sees it, also where standard error goes into a file.
fn show(text: &str) -> io::Result<()> {
    if !io::stderr().is_terminal()
        && let Ok(terminal) = open_controlling()
    {
        let mut terminal = AutoStream::auto(terminal);
        return terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
    }
    let mut stderr = anstream::stderr();
    stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush())
}

fn open_controlling() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

/// Whether there is a person to ask.
pub fn can_ask() -> bool {
    Terminal::find(false).is_some()
}

/// What a person has typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A line without its end and blanks around it.
    Line(String),
    /// Nothing comes any more, or `is_ended` said so.
    End,
}

/// Shows a question, and waits at the terminal for a line; looks now and then whether to end without one. What was typed before
/// the question is no answer to it.
///
/// # Errors
/// Exit 7 if the terminal fails.
pub fn ask_line(question: &str, is_ended: &dyn Fn() -> bool) -> Result<Reply> {
    let failed = |error: io::Error| {
        Failure::new(Exit::Device, format!("cannot ask on the terminal: {}", plain(&error)))
    };
    let input = io::stdin();
    if input.is_terminal() {
        tcflush(&input, QueueSelector::IFlush).map_err(|errno| failed(errno.into()))?;
    }
    show(question).map_err(failed)?;
    let tick = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    loop {
        if is_ended() {
            return Ok(Reply::End);
        }
        match poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&tick)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => break,
            Err(errno) => return Err(failed(errno.into())),
        }
    }
    match line_of(input.lock()).map_err(failed)? {
        line if line.is_empty() => Ok(Reply::End),
        line => Ok(Reply::Line(line.trim().to_owned())),
    }
}

/// A line with its end, empty where nothing comes any more. What is no UTF-8 is no answer that anything takes.
fn line_of(mut input: impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Whether [`show_over`] shows anything.
pub fn can_show_over() -> bool {
    io::stderr().is_terminal()
}

/// Shows a text over the one before it on the same line, where standard error is a terminal.
pub fn show_over(text: &str) {
    if can_show_over() {
        // What is not seen is not missed.
        let _ = show(&format!("\r{text}\u{1b}[K"));
    }
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
    show(&format!("{facts}{question} [y/N] ")).map_err(failed)?;
    let answer = match terminal {
        Terminal::StandardInput => line_of(io::stdin().lock()),
        Terminal::Controlling => open_controlling().and_then(|tty| line_of(BufReader::new(tty))),
    };
    let answer = answer.map_err(failed)?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::refused("not confirmed; nothing was written"))
}
