// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing a whole image to a card that keeps its identity.
//!
//! ```text
//! prepare    source ──▶ decode ──▶ head (first sectors, in memory) ──▶ choice, plan (pure)
//!               └ digest                                     leftover ──┘
//! run        record (on the host) ──▶ write (this thread: write, read back) ──▶ proof ──▶ record away
//!                       pipeline (a thread: decode, bmap) ──┘ └ progress, interrupt
//! ```
//!
//! The order of writes, and why the identity survives a power cut at any moment, is in [`write`].

pub mod choice;
pub mod head;
pub mod interrupt;
pub mod leftover;
pub mod pipeline;
pub mod plan;
pub mod prepare;
pub mod progress;
pub mod read_back;
pub mod run;
pub mod write;

#[cfg(test)]
mod tests;

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use identity_core::{Identity, Uuid};

use crate::error::Error;
use crate::image::container::Format;
use crate::scan::Scan;

pub use crate::image::CHUNK_LEN;

/// Why a flash is not begun, or not finished.
#[derive(Debug)]
pub enum FlashProblem {
    /// Whose card it is, is in doubt.
    Doubtful(Box<Scan>),
    /// The card has an identity, and the record that was named is of another one.
    OtherRecord {
        /// The one it has.
        present: Box<Identity>,
        /// That of the record.
        record: Uuid,
    },
    /// The card has an identity, and other values were asked for.
    IdentityPresent(Box<Scan>),
    /// Several records are of this card.
    SeveralRecords(Vec<(PathBuf, Identity)>),
    /// Records may be of this card, or of another one.
    PossibleRecords(Vec<(PathBuf, Identity)>),
    /// The new layout has no place for the identity.
    NoPlace {
        /// Why no two slots are free in the image's layout.
        cause: Box<Error>,
        /// Whether the identity would be a new one, so that the card loses none.
        is_new: bool,
    },
    /// The image does not fit.
    TooLong {
        /// At least so many bytes.
        image_len: u64,
        /// Bytes that the card has.
        card_len: u64,
    },
    /// The image, or what is below it, is the card itself.
    SameStorage,
    /// The card cannot be written or read, or reads back differently.
    Medium {
        /// First and last sector of what was to be done.
        lbas: RangeInclusive<u64>,
        /// What failed at these sectors.
        problem: MediumProblem,
    },
    /// The card cannot be flushed.
    Flush(io::Error),
    /// The first write failed, and the card is as it was.
    NotBegun(Box<Error>),
    /// The system gives no thread to read the image in; nothing was written.
    NoThread(io::Error),
    /// The thread that reads the image has ended without a word.
    ReaderGone,
    /// The flash was begun, and failed.
    Unfinished {
        /// What stopped the flash.
        cause: Box<Error>,
        /// Whether the card says that it is unfinished; `None` if LBA 0 cannot be read back.
        is_marked: Option<bool>,
        /// The identity that the card is to have, if it is to have one.
        identity: Option<Uuid>,
        /// Whether it is on the card, as far as that reads back.
        on_card: bool,
        /// The record of it.
        record: Option<PathBuf>,
    },
}

/// What a card does not do.
#[derive(Debug)]
pub enum MediumProblem {
    /// It cannot be written.
    Write(io::Error),
    /// Its sectors cannot be discarded.
    Discard(io::Error),
    /// What was written cannot be read back.
    ReadBack(io::Error),
    /// It reads back differently than written.
    Differs,
}

impl FlashProblem {
    /// Of sectors of the card at `path`.
    fn medium(path: &Path, lbas: RangeInclusive<u64>, problem: MediumProblem) -> Error {
        Error::Flash { path: path.to_owned(), problem: Self::Medium { lbas, problem } }
    }
}

/// What a person should know of a flash.
#[derive(Debug)]
pub enum Note {
    /// The identity is degraded.
    Degraded(Box<Scan>),
    /// The identity comes from a record.
    Restored(Box<Identity>, PathBuf),
    /// A record cannot be read.
    BrokenRecord(Error),
    /// The identity does not stay on the card.
    GivenUp(std::sync::Arc<Error>),
    /// A record that nobody needs any more cannot be removed.
    RecordStays(Error),
    /// So many bytes behind the packed image are no part of it.
    Ignored {
        /// How the image is packed.
        format: Format,
        /// Number of bytes that were ignored.
        len: u64,
    },
    /// The image ends before its own last partition does.
    EndsBeforePartition {
        /// Length of the image in bytes.
        image_len: u64,
        /// Number of the partition.
        number: u32,
        /// First byte behind it.
        partition_end: u64,
    },
    /// The GPT says that its backup is elsewhere than at the card's end.
    BackupGptNotAtEnd {
        /// Where it says that it is.
        backup_lba: u64,
        /// Where it should be.
        last_lba: u64,
    },
    /// The card's last sector, behind the image, cannot be read.
    UnreadableEnd(u64),
    /// Behind the image was something of an earlier system, which was cleared.
    Cleared(leftover::Leftover),
}
