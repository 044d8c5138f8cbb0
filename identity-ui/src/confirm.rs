// SPDX-License-Identifier: MIT OR Apache-2.0
//! A question before harm.

use std::io::{self, BufRead, IsTerminal, Write};

use identity_host::device::plain;

use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// Whether there is a person to ask.
pub fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// Shows `facts`, asks `question`, and goes on only if the answer is yes.
///
/// # Errors
/// Exit 6 for any other answer; 7 if the terminal fails.
pub fn ask(facts: &str, question: &str) -> Result<()> {
    let failed = |error: io::Error| {
        Failure::new(Exit::Device, format!("cannot ask on the terminal: {}", plain(&error)))
    };
    let mut stderr = anstream::stderr();
    write!(stderr, "{facts}{question} [y/N] ").and_then(|()| stderr.flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::refused("not confirmed; nothing was written"))
}
