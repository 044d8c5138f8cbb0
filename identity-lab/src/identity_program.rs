// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program `identity`, which writes to cards: the one beside this program, else that in `PATH`. So a card is written by the
//! same rules whoever asks.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use identity_core::Identity;
use identity_host::device::plain;
use identity_host::document::Document;
use identity_ui::{Exit, Failure, Result};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::boards::Board;

const PROGRAM: &str = "identity";

/// What it answered.
#[derive(Debug)]
pub struct Answer {
    /// How it ended.
    pub status: ExitStatus,
    /// The last thing that it printed.
    pub last: Value,
    /// What it said, without its name.
    pub said: String,
}

impl Answer {
    /// Its exit code; that of a failed device where a signal has ended it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(Exit::Device as i32)
    }
}

/// Runs it, without a terminal, and gives `show` each object that it prints before the last.
///
/// # Errors
/// Exit 6 if it cannot be started.
pub fn run(words: &[OsString], show: impl Fn(&Value)) -> Result<Answer> {
    let beside = env::current_exe().ok().map(|own| own.with_file_name(PROGRAM)).filter(|path| path.is_file());
    let program = beside.unwrap_or_else(|| PathBuf::from(PROGRAM));
    let mut command = Command::new(&program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if words.first().is_some_and(|verb| verb == "stamp") {
        // Ctrl-C is for who waits: what takes a moment is brought to its end.
        command.process_group(0);
    }
    let spawned = command.spawn();
    let failed = |error: &std::io::Error| {
        let way_out = match error.kind() {
            ErrorKind::NotFound => "; install the package sd-card-identity",
            _ => "",
        };
        Failure::refused(format!("the program identity cannot be run: {}{way_out}", plain(error)))
    };
    let mut child = spawned.map_err(|error| failed(&error))?;
    let errors = child.stderr.take();
    let said = thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut errors) = errors {
            // What came until then is what there is to say.
            let _ = errors.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut text = String::new();
    let mut last = Value::Null;
    for line in
        child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok)
    {
        // One object a line, or one over many lines.
        text.push_str(&line);
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            text.clear();
            show(&last);
            last = value;
        }
    }
    let status = child.wait().map_err(|error| failed(&error))?;
    let said = said.join().unwrap_or_default();
    let said: Vec<_> = said.lines().map(|line| line.strip_prefix("identity: ").unwrap_or(line)).collect();
    let said = match &said[..] {
        [] if !status.success() => format!("the program identity ended without a word ({status})"),
        said => said.join("; "),
    };
    Ok(Answer { status, last, said })
}

/// `stamp`: the board's identity onto a device; of what `held` has, the board's, everything that the list does not name goes.
pub fn stamp(board: &Board, device: &Path, held: Option<&Identity>) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["stamp", "--format", "json"].map(OsString::from).to_vec();
    let mut add = |option: &str, value: String| words.push(format!("{option}={value}").into());
    add("--uuid", board.uuid.to_string());
    add("--profile", board.profile.clone());
    add("--hostname", board.hostname.clone());
    if let Some(serial) = &board.serial {
        add("--serial", serial.clone());
    }
    for (index, mac) in &board.macs {
        add("--mac", format!("{index}={mac}"));
    }
    for (key, value) in &board.variables {
        add("--set", format!("{key}={value}"));
    }
    if let Some(held) = held {
        if held.serial().is_some() && board.serial.is_none() {
            add("--unset", "serial".to_owned());
        }
        for (index, _) in
            held.fields().macs().filter(|(index, _)| board.macs.iter().all(|(own, _)| own != index))
        {
            add("--unset", format!("mac.{index}"));
        }
        for (key, _) in
            held.fields().variables().filter(|(key, _)| board.variables.iter().all(|(own, _)| own != key))
        {
            add("--unset", format!("variables.{key}"));
        }
    }
    words.push(device.into());
    words
}

/// `flash`: an image onto a device, with the identity in the file `identity`; `again` if a person has said that the card which had
/// it has it no more.
pub fn flash(image: &Path, identity: &Path, device: &Path, again: bool) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["flash", "--format", "json", "--yes"].map(OsString::from).to_vec();
    words.extend(again.then(|| "--force".into()));
    words.push("--restore".into());
    words.extend([identity.into(), image.into(), device.into()]);
    words
}

/// The same words, but nothing is written.
pub fn with_dry_run(words: &[OsString]) -> Vec<OsString> {
    // Behind the verb: the device stays last.
    let mut words = words.to_vec();
    words.insert(1, "--dry-run".into());
    words
}

/// An identity as a file that `flash --restore` takes.
///
/// # Errors
/// Exit 7 if there is no room for it.
pub fn document(identity: &identity_core::Identity) -> Result<NamedTempFile> {
    let write = || -> io::Result<NamedTempFile> {
        let mut file = tempfile::Builder::new().prefix("identity-lab-").suffix(".json").tempfile()?;
        serde_json::to_writer(&mut file, &Document::of_recorded(identity))?;
        file.flush()?;
        Ok(file)
    };
    write().map_err(|error| {
        Failure::new(Exit::Device, format!("no room for a temporary file: {}", plain(&error)))
    })
}
