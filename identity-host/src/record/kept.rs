// SPDX-License-Identifier: MIT OR Apache-2.0
//! An identity in a file, and the right to give it to a card: one program on this host has it at a time.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use identity_core::field::kind;
use identity_core::{Identity, Uuid};
use identity_layout::mark::Mark;
use rustix::fs::{FlockOperation, OFlags, flock};

use super::{
    CardKey, Given, Record, RecordProblem, is_pending, make_directory, read_text, remove_if_pending,
};
use crate::device::{Access, Target};
use crate::document::Document;
use crate::error::{Action, Error, Result};
use crate::patience::{deadline, retry};
use crate::scan::Scan;

/// An identity in a file: a record, what `identity read --format json` prints, or the image of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Path of the file.
    pub file: PathBuf,
    /// The identity in it.
    pub identity: Identity,
    /// The card that it is of, where a record says so.
    pub card: Option<CardKey>,
    /// Whether a card certainly had it: an image may have been made for its first card.
    pub was_on_card: bool,
    /// When it went from that card, in nanoseconds of Unix time, where a retired record says so.
    pub retired_at: Option<u64>,
    /// The number in the mark of the card whose flash is unfinished, where a pending record says so.
    pub number: Option<u128>,
}

/// What a verb has printed: if its first line is an event that carries a record, that record; else all of it.
fn of_output(text: String) -> String {
    let first = text.lines().next().and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let record = first.as_ref().and_then(|line| line.get("event").and(line.get("record")));
    record.map_or(text, ToString::to_string)
}

/// Bytes of the smallest image of a card; no record is as long.
const IMAGE_LEN_MIN: u64 = 1 << 20;

/// The identity in a file: a record, what `identity read --format json` prints, or the image of a card. A record also says of
/// which card.
///
/// # Errors
/// If it cannot be read, or is none of them; [`Error::State`] of an image without an identity that can be used.
pub fn read_kept(path: &Path) -> Result<Kept> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() >= IMAGE_LEN_MIN)
    {
        return of_image(path);
    }
    let text = of_output(read_text(path)?);
    let problem = |problem| Error::Record { path: path.to_owned(), problem };
    let is_record =
        serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|value| value.get("record").is_some());
    if is_record {
        let record = Record::parse(&text).map_err(problem)?;
        return Kept::of_record(path, &record).ok_or_else(|| problem(RecordProblem::NoCopy));
    }
    let document: Document =
        serde_json::from_str(&text).map_err(|error| problem(RecordProblem::Syntax(error.to_string())))?;
    // What a plan or a lab has written down has been on no card yet.
    let was_on_card = !matches!(document.state.as_str(), "planned" | "recorded");
    let identity = document.identity().map_err(|reason| problem(RecordProblem::Document(reason)))?;
    Ok(Kept { file: path.to_owned(), identity, card: None, was_on_card, retired_at: None, number: None })
}

fn of_image(path: &Path) -> Result<Kept> {
    let scan = Scan::read(&Target::open(path, Access::Read)?, None);
    match scan.identity().filter(|_| scan.state().is_usable()).cloned() {
        Some(identity) => {
            let file = path.to_owned();
            Ok(Kept { file, identity, card: None, was_on_card: false, retired_at: None, number: None })
        }
        None => Err(Error::State { path: path.to_owned(), scan: Box::new(scan) }),
    }
}

impl Kept {
    /// Of a record in `file`; `None` if it holds no identity.
    pub fn of_record(file: &Path, record: &Record) -> Option<Self> {
        let identity = record.identity.clone()?;
        let (file, card) = (file.to_owned(), Some(record.card.clone()));
        Some(Self { file, identity, card, was_on_card: true, retired_at: record.at, number: record.number })
    }

    /// The card that got this identity from a file on this host and may have it yet, unless that is certainly the card `key`.
    /// `given` is the note in the place for records.
    pub fn given_to(&self, given: Option<&Given>, key: &CardKey) -> Option<CardKey> {
        let open =
            |given: &&Given| !given.is_certainly(key) && !given.is_over(self.card.as_ref(), self.retired_at);
        given.filter(open).map(|given| given.card.clone())
    }

    /// When the card `key` has the identity for certain, and has its name: a pending record in `directory`, the place for
    /// records, goes; of any other file, the note that [`Kept::claim`] has made gets that name.
    ///
    /// # Errors
    /// If the record stays, or as [`Given::write`].
    pub fn is_given(&self, directory: &Path, key: &CardKey) -> Result<()> {
        if remove_if_pending(&self.file, directory)? {
            return Ok(());
        }
        let uuid = self.identity.uuid();
        if Given::read(directory, uuid)?.is_some_and(|given| given.is_finished(key)) {
            return Ok(());
        }
        Given::write(directory, uuid, key, self.retired_at, true)
    }

    /// Takes back what [`Kept::claim`] has noted, as the card certainly did not get the identity. `seen` is the note that was
    /// there before. To be called while the claim is held.
    ///
    /// # Errors
    /// As [`Given::put_back`].
    #[cfg(feature = "flash")]
    pub fn is_not_given(&self, directory: &Path, seen: Option<&Given>) -> Result<()> {
        if is_pending(&self.file, directory) {
            return Ok(());
        }
        Given::put_back(seen, directory, self.identity.uuid())
    }

    /// Whether it is of this card, by all that is known of both.
    pub fn is_of(&self, card: &CardKey) -> bool {
        self.card.as_ref().is_some_and(|own| own.may_be(card))
    }

    /// Whether it is of an unfinished flash, which writes the copies first, and nothing says that this was the card: neither
    /// the CIDs nor the number in its `mark`.
    pub fn is_of_another_flash(&self, card: &CardKey, mark: Option<&Mark>) -> bool {
        let is_same = |own: &CardKey| own.cid.is_some() && own.cid == card.cid;
        let is_marked = mark.and_then(Mark::number).is_some_and(|number| Some(number) == self.number);
        self.number.is_some() && !is_marked && !self.card.as_ref().is_some_and(is_same)
    }

    /// Takes the right to give the identity to the card `key`, and reads the file once more: meanwhile another program may
    /// have given the identity to another card. `directory` is the place for records, `path` the card's name in messages, `seen`
    /// the note there when it was asked whether another card has the identity. Unless a pending record says so, it is noted
    /// before the card is written that it has the identity: whoever is killed meanwhile has not given it to two. To be held
    /// until the card is written and its record gone.
    ///
    /// # Errors
    /// [`Error::RecordInUse`] if another program has the right now; [`Error::RecordUsed`], [`Error::OtherCard`] or
    /// [`Error::GivenBefore`] if one had it meanwhile; [`Error::Io`] if it cannot be noted.
    pub fn claim(&self, directory: &Path, key: &CardKey, path: &Path, seen: Option<&Given>) -> Result<Claim> {
        let uuid = self.identity.uuid();
        let claim = Claim::take(directory, uuid, path)?;
        let used = || Error::RecordUsed {
            path: path.to_owned(),
            record: self.file.clone(),
            uuid: self.identity.uuid(),
        };
        let now = match read_kept(&self.file) {
            Err(Error::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => return Err(used()),
            now => now?,
        };
        if let Some(card) = now.card.as_ref().filter(|card| self.card.as_ref() != Some(card)) {
            return Err(Error::OtherCard {
                path: path.to_owned(),
                record: self.file.clone(),
                card: card.clone(),
                sectors: key.sectors,
            });
        }
        // Its bindings may have been left out.
        if now.unbound()? != self.unbound()? {
            return Err(used());
        }
        let given = Given::read_or_force(directory, uuid, seen.is_none())?;
        if let Some(given) = given.filter(|given| Some(given) != seen) {
            return Err(Error::GivenBefore { path: path.to_owned(), uuid, card: given.card });
        }
        if !is_pending(&self.file, directory) {
            Given::write(directory, uuid, key, self.retired_at, false)?;
        }
        Ok(claim)
    }

    /// The identity without bindings: they name the old card and the board that it was in, and the new card is bound anew,
    /// if at all.
    ///
    /// # Errors
    /// [`Error::Generation`] if it cannot be written any more.
    pub fn unbound(&self) -> Result<Identity> {
        let mut draft = self.identity.draft();
        draft.remove(|field, _| field == kind::CARD || field == kind::BOARD);
        draft.finish().map_err(Error::Generation)
    }
}

/// The right to give an identity to a card. It is a lock on a file beside the records, for a record is replaced by another
/// file of its name. The file goes with it.
#[derive(Debug)]
pub struct Claim {
    _held: File,
    file: PathBuf,
}

impl Claim {
    fn take(directory: &Path, uuid: Uuid, path: &Path) -> Result<Self> {
        let file = directory.join(format!(".{uuid}.lock"));
        let deadline = deadline();
        loop {
            let failed = |error| Error::io(&file, Action::WriteRecord, error);
            make_directory(directory).map_err(failed)?;
            let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
            let held = options.open(&file).map_err(failed)?;
            // A pipe that somebody reads is opened, too.
            if !held.metadata().map_err(failed)?.is_file() {
                return Err(Error::Record { path: file, problem: RecordProblem::NoFile });
            }
            let lock = || flock(&held, FlockOperation::NonBlockingLockExclusive).map_err(io::Error::from);
            match retry(deadline, lock, |error| error.kind() == io::ErrorKind::WouldBlock) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Error::RecordInUse { path: path.to_owned(), uuid });
                }
                locked => locked.map_err(failed)?,
            }
            // Who had it has removed it before it was locked here: another file has the name by now, or none.
            let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
            let named = fs::symlink_metadata(&file).map(id).ok();
            if named == Some(held.metadata().map(id).map_err(failed)?) {
                return Ok(Self { _held: held, file });
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // A file that stays is harmless: the lock goes with the handle.
        let _ = fs::remove_file(&self.file);
    }
}
