// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing a whole image to a card that keeps its identity.
//!
//! ```text
//! prepare    source ──▶ decode ──▶ head (first sectors, in memory) ──▶ choice, plan (pure)
//!               └ digest
//! run        record (on the host) ──▶ write (this thread: write, read back) ──▶ proof ──▶ record away
//!                       pipeline (a thread: decode, bmap) ──┘ └ progress, interrupt
//! ```
//!
//! The order of writes, and why the identity survives a power cut at any moment, is in [`write`].

pub mod choice;
pub mod head;
pub mod interrupt;
pub mod pipeline;
pub mod plan;
pub mod prepare;
pub mod progress;
pub mod read_back;
pub mod run;
pub mod write;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use identity_core::{Identity, Uuid};

use crate::error::Error;
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
        present: Identity,
        /// That of the record.
        record: Uuid,
    },
    /// The card has an identity, and other values were asked for.
    IdentityPresent(Identity),
    /// Several records are of this card.
    SeveralRecords(Vec<(PathBuf, Identity)>),
    /// Records may be of this card, or of another one.
    PossibleRecords(Vec<(PathBuf, Identity)>),
    /// The new layout has no place for the identity.
    NoPlace(Box<Error>),
    /// The image does not fit.
    TooLong {
        /// At least so many bytes.
        image_len: u64,
        /// Bytes that the card has.
        card_len: u64,
    },
    /// The flash was begun, and failed.
    Unfinished {
        /// Why.
        cause: Box<Error>,
        /// The identity that the card is to have, if it is to have one.
        identity: Option<Uuid>,
        /// Whether it is on the card.
        on_card: bool,
        /// The record of it.
        record: Option<PathBuf>,
    },
}

/// What a person should know of a flash.
#[derive(Debug)]
pub enum Note {
    /// The identity is degraded.
    Degraded(Box<Scan>),
    /// The identity comes from a record.
    Restored(Identity, PathBuf),
    /// A record cannot be read.
    BrokenRecord(Error),
    /// The identity does not stay on the card.
    GivenUp(std::sync::Arc<Error>),
    /// A record that nobody needs any more cannot be removed.
    RecordStays(Error),
}
