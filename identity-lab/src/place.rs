// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where in a text file of the lab something stands, and errors that begin with it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use identity_host::device::plain;
use identity_ui::{Exit, Failure, Result};

/// The file that makes a directory a lab.
pub const LAB_TOML: &str = "lab.toml";
/// The list of boards.
pub const BOARDS_CSV: &str = "boards.csv";

/// A place in a file: `profiles/panda.toml:7`, or `boards.csv:3:14`. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    file: PathBuf,
    line: usize,
    column: Option<usize>,
}

impl Place {
    /// A whole line of a file.
    pub fn line(file: &Path, line: usize) -> Self {
        Self { file: file.to_owned(), line, column: None }
    }

    /// A character of a line.
    pub fn column(file: &Path, line: usize, column: usize) -> Self {
        Self { file: file.to_owned(), line, column: Some(column) }
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Number of the line, from 1.
    pub fn line_number(&self) -> usize {
        self.line
    }

    /// Number of the column in characters, from 1, if it is not the whole line.
    pub fn column_number(&self) -> Option<usize> {
        self.column
    }

    /// The same place, its file as the directory `dir` calls it.
    pub fn below(&self, dir: &Path) -> Self {
        let file = self.file.strip_prefix(dir).unwrap_or(&self.file).to_owned();
        Self { file, ..*self }
    }

    /// The file, or part of it, cannot be read as what it should be: exit 4.
    pub fn unreadable(&self, what: impl fmt::Display) -> Failure {
        Failure::new(Exit::Corrupt, format!("{self}: {what}"))
    }

    /// What stands there clashes with something else: exit 6.
    pub fn refused(&self, what: impl fmt::Display) -> Failure {
        Failure::refused(format!("{self}: {what}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)?;
        self.column.map_or(Ok(()), |column| write!(f, ":{column}"))
    }
}

/// A value, and the place where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value itself.
    pub value: T,
    /// Where it stands, for messages.
    pub place: Place,
}

impl<T> Placed<T> {
    /// The same place with a value that is made of this one.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Placed<U> {
        Placed { value: make(self.value), place: self.place }
    }
}

/// The line and the column, in characters from 1, of a byte in a text.
pub fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The text of a file of the lab.
///
/// # Errors
/// Exit 4 if it is not there, cannot be read, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    utf8(path, fs::read(path).map_err(|error| cannot("read", path, &error, Exit::Corrupt))?)
}

/// Bytes as text; `path` is for messages.
///
/// # Errors
/// Exit 4 with the place of what is not UTF-8.
pub fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let valid = String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned();
        let (line, column) = line_and_column(&valid, at);
        Place::column(path, line, column).unreadable("this byte is not UTF-8; save the file as UTF-8")
    })
}

/// A failure of the system: `cannot read PATH: no such file`.
pub fn cannot(action: &str, path: &Path, error: &io::Error, exit: Exit) -> Failure {
    Failure::new(exit, format!("cannot {action} {}: {}", path.display(), plain(error)))
}
