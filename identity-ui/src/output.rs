// SPDX-License-Identifier: MIT OR Apache-2.0
//! Standard output and error.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::ExitCode;
use std::sync::OnceLock;

use identity_host::device::plain;
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// The program that `say` names, where it is not `identity`.
static PROGRAM: OnceLock<&'static str> = OnceLock::new();

/// Names another program than `identity` before each line of [`say`]. To be called once, before anything is said.
pub fn set_program(name: &'static str) {
    let _ = PROGRAM.set(name);
}

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
/// Exit 7 if standard output fails, or leads nowhere.
pub fn print_for_certain(text: &str) -> Result<()> {
    if leads_nowhere().unwrap_or(false) {
        return Err(Failure::new(Exit::Device, "standard output leads nowhere"));
    }
    let mut out = anstream::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| failed(&error))
}

/// Whether standard output is the null device: so it is, too, where it was closed when the program was started, for Rust
/// opens that in its place.
fn leads_nowhere() -> io::Result<bool> {
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?).metadata()?;
    Ok(output.file_type().is_char_device() && output.rdev() == fs::metadata("/dev/null")?.rdev())
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(Exit::Device, format!("cannot write to standard output: {}", plain(error)))
}

/// Prints a line to standard error, with the program's name before it; whether that works does not matter.
pub fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{}: {line}", PROGRAM.get().unwrap_or(&"identity"));
}

/// What the parser of the command line says: help and version on standard output, where it may fail as any output, and wrong
/// usage on standard error. Returns the exit code.
pub fn say_usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        // Whether that works does not matter.
        let _ = error.print();
        return Exit::Usage.into();
    }
    match print(&error.render().ansi().to_string()) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            say(&failure.to_string());
            failure.exit().into()
        }
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
