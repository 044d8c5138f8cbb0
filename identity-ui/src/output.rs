// SPDX-License-Identifier: MIT OR Apache-2.0
//! Standard output and error.

use std::io::{self, Write};

use identity_host::device::plain;
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// Prints to standard output; a reader that has gone away is no error.
///
/// # Errors
/// Exit 7 if standard output fails otherwise.
pub fn print(text: &str) -> Result<()> {
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(&error)),
        _ => Ok(()),
    }
}

/// Prints to standard output what must not be lost: a reader that has gone away is an error too.
///
/// # Errors
/// Exit 7 if standard output fails.
pub fn print_for_certain(text: &str) -> Result<()> {
    let mut out = anstream::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| failed(&error))
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(Exit::Device, format!("cannot write to standard output: {}", plain(error)))
}

/// Prints a line to standard error, with the program's name before it; whether that works does not matter.
pub fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "identity: {line}");
}

/// One JSON object in one line.
pub fn json_line(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    text
}

/// One JSON object, indented.
pub fn json(value: &impl Serialize) -> String {
    // Strings, numbers and maps with string keys always serialize.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
