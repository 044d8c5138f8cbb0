// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a command ends without having done its work: a sentence, and an exit code.

use std::fmt;

use identity_host::error::Error;

use crate::exit::Exit;
use crate::wording;

/// Result of everything that can end a command.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command ends.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// With this exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Wrong usage that the parser of the command line cannot see.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A refusal for safety, exit 6.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// The same, and one more sentence.
    #[must_use]
    pub fn and(self, sentence: &str) -> Self {
        Self { message: format!("{}; {sentence}", self.message), ..self }
    }

    /// The exit code with which the command ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { exit: Exit::of_error(&error), message: wording::error(&error) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
