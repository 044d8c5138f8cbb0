// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader of a batch, and what goes on in it.

use std::path::PathBuf;
use std::thread::JoinHandle;

use identity_host::device::info::DeviceInfo;
use identity_ui::Result;

use crate::claims::Claim;
use crate::identity_program::Answer;
use crate::readers::Medium;

/// A reader of the batch.
pub struct Reader {
    /// Its device.
    pub path: PathBuf,
    /// The board whose card a person was asked for.
    pub wanted: Option<usize>,
    /// The board whose card is in it, where that is known.
    pub holds: Option<usize>,
    /// What goes on in it.
    pub state: ReaderState,
}

/// What goes on in a reader.
pub enum ReaderState {
    /// There is no card in it, or none that was looked at.
    Waiting {
        /// Whether a person was told that a card is wanted.
        is_told: bool,
    },
    /// A card is written.
    Working {
        /// Number of its board in the batch.
        board: usize,
        /// What tells the card from the next one.
        medium: Medium,
        /// The card, and its reader.
        info: Box<DeviceInfo>,
        /// The right to write it.
        claim: Box<Claim>,
        /// Whether the card had the board's identity before.
        is_its_card: bool,
        /// Who writes it.
        writer: JoinHandle<Result<Answer>>,
    },
    /// Its card is done with, and is to be taken out.
    Spent(Medium),
}
