// SPDX-License-Identifier: MIT OR Apache-2.0
//! A note on the host that an identity from a file is on a card now. A file can be named again and again; the note is why the
//! second time takes a person's word.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use identity_core::Uuid;
use serde::{Deserialize, Serialize};

#[cfg(feature = "flash")]
use super::remove;
use super::{CardKey, RecordProblem, make_directory, now, read_text};
use crate::error::{Action, Error, Result};
use crate::new_file::NewFile;

/// Start of such a file's name.
pub const PREFIX: &str = "given-";

/// Which card has got an identity from a file on this host, last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// What tells the card from others.
    pub card: CardKey,
    /// When, in nanoseconds of Unix time; not before the record that it came from.
    at: u64,
    /// Whether it is on the card for certain: whoever is stopped meanwhile has left a note that only says that it was begun.
    #[serde(default = "yes")]
    finished: bool,
}

/// Of notes from before they told.
fn yes() -> bool {
    true
}

impl Given {
    fn path(directory: &Path, uuid: Uuid) -> PathBuf {
        directory.join(format!("{PREFIX}{uuid}.json"))
    }

    /// The note about this identity, if there is one.
    ///
    /// # Errors
    /// [`Error::Record`] or [`Error::Io`] if it cannot be read: then it is not known who has the identity.
    pub fn read(directory: &Path, uuid: Uuid) -> Result<Option<Self>> {
        let path = Self::path(directory, uuid);
        let text = match read_text(&path) {
            Err(Error::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let problem = |error: serde_json::Error| RecordProblem::Note(error.to_string());
        serde_json::from_str(&text).map(Some).map_err(|error| Error::Record { path, problem: problem(error) })
    }

    /// The same; with `force`, none in place of one that cannot be understood.
    ///
    /// # Errors
    /// Likewise.
    pub fn read_or_force(directory: &Path, uuid: Uuid, force: bool) -> Result<Option<Self>> {
        match Self::read(directory, uuid) {
            Err(Error::Record { problem: RecordProblem::Note(_), .. }) if force => Ok(None),
            note => note,
        }
    }

    /// Notes that `card` has got the identity, whose record was written at `recorded`, or, not `finished`, that it is about to.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(
        directory: &Path,
        uuid: Uuid,
        card: &CardKey,
        recorded: Option<u64>,
        finished: bool,
    ) -> Result<()> {
        let path = Self::path(directory, uuid);
        // A clock that was set back makes no old record a new one.
        Self { card: card.clone(), at: now().max(recorded.unwrap_or(0)), finished }.publish(directory, &path)
    }

    fn publish(&self, directory: &Path, path: &Path) -> Result<()> {
        let write = || -> io::Result<()> {
            make_directory(directory)?;
            let mut file = NewFile::make(directory, 0o600)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.publish(path)
        };
        write().map_err(|error| Error::io(path, Action::WriteRecord, error))
    }

    /// Puts the note back that was there before [`Given::write`], or none: the card did not get the identity.
    ///
    /// # Errors
    /// If it cannot be written or removed.
    #[cfg(feature = "flash")]
    pub fn put_back(before: Option<&Self>, directory: &Path, uuid: Uuid) -> Result<()> {
        let path = Self::path(directory, uuid);
        match before {
            Some(note) => note.publish(directory, &path),
            None => remove(&path),
        }
    }

    /// Whether it names this card, and says that the identity is on it.
    pub fn is_finished(&self, card: &CardKey) -> bool {
        self.finished && self.card == *card
    }

    /// Whether it certainly names this card: the CIDs say, or it is an image file, and whoever was to put the identity there was
    /// stopped. Twenty cards go through one reader under one path.
    pub fn is_certainly(&self, card: &CardKey) -> bool {
        let is_same = self.card.cid.is_some() && self.card.cid == card.cid;
        is_same || !self.finished && self.card == *card && card.path.is_file()
    }

    /// Whether a record of `card`, written at `recorded` when its identity went, is later than this: what was given then is
    /// gone again.
    pub fn is_over(&self, card: Option<&CardKey>, recorded: Option<u64>) -> bool {
        card.is_some_and(|card| card.may_be(&self.card))
            && recorded.is_some_and(|recorded| recorded > self.at)
    }
}
