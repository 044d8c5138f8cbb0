// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors: what was found and where, what to do, and the exit code that scripts see.

use std::fmt;
use std::io;
use std::path::Path;

use identity_core::State;

/// Exit codes, for scripts; the same for every verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; a valid identity.
    Done = 0,
    /// Wrong usage.
    Usage = 2,
    /// Blank: no identity.
    Blank = 3,
    /// Corrupt, or newer than this program.
    Corrupt = 4,
    /// Valid but degraded, or conflict, or cloned, or moved.
    Doubtful = 5,
    /// Refused: unsafe target, identity present, no free slot.
    Refused = 6,
    /// The device failed: not found, not readable, not writable, read-back differs.
    Device = 7,
    /// Stopped by a signal: 128 and SIGINT's number, as shells have it.
    Interrupted = 130,
}

impl Exit {
    /// For `verify`, which looks at everything: anything but valid is worth an exit code.
    pub fn of_verified(state: State) -> Self {
        match state {
            State::Valid => Self::Done,
            State::Degraded | State::Conflict | State::Cloned | State::Moved => Self::Doubtful,
            State::Blank => Self::Blank,
            State::Corrupt | State::Newer => Self::Corrupt,
            State::Unreadable => Self::Device,
        }
    }

    /// For `read`: a degraded identity is still the identity.
    pub fn of_read(state: State) -> Self {
        if state == State::Degraded { Self::Done } else { Self::of_verified(state) }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ends without having done its work.
#[derive(Debug)]
pub struct Error {
    exit: Exit,
    message: String,
}

/// Result of everything that can end a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wrong usage that clap cannot see.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// Refused for safety.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, message: message.into() }
    }

    /// The device failed.
    pub fn device(message: impl Into<String>) -> Self {
        Self { exit: Exit::Device, message: message.into() }
    }

    /// Stopped by a signal.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self { exit: Exit::Interrupted, message: message.into() }
    }

    /// The same, and one more sentence.
    #[must_use]
    pub fn and(self, sentence: &str) -> Self {
        Self { message: format!("{}; {sentence}", self.message), ..self }
    }

    /// The same, with what it is about before it.
    #[must_use]
    pub fn about(self, path: &Path) -> Self {
        Self { message: format!("{}: {}", path.display(), self.message), ..self }
    }

    /// The state of the card is the answer.
    pub fn state(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// An I/O error on `path` while `doing` something.
    pub fn io(path: &Path, doing: &str, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "; check the name, nothing is created",
            io::ErrorKind::PermissionDenied => "; run as root or as a member of the device's group",
            _ => "",
        };
        Self::device(format!("cannot {doing} {}: {}{hint}", path.display(), plain(error)))
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

/// An I/O error without Rust's "(os error N)".
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
