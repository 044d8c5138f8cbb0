// SPDX-License-Identifier: MIT OR Apache-2.0
//! How things are printed: one file per format, none decides anything.

pub mod assignments;
#[cfg(feature = "write")]
pub mod flash;
#[cfg(feature = "write")]
pub mod map_svg;
#[cfg(feature = "write")]
pub mod map_text;
pub mod text;

use std::io::{self, Write};

use serde::Serialize;

use crate::error::{Error, Result, plain};

/// Prints to standard output; a reader that has gone away is no error.
///
/// # Errors
/// Exit 7 if standard output fails otherwise.
pub fn print(text: &str) -> Result<()> {
    let result = anstream::stdout().write_all(text.as_bytes());
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::device(format!("cannot write to standard output: {}", plain(&error))))
        }
        _ => Ok(()),
    }
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
