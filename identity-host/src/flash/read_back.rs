// SPDX-License-Identifier: MIT OR Apache-2.0
//! That what was written is on the card: read back past the host's cache, and compared by hash.

use std::path::Path;

use twox_hash::XxHash3_128;

use super::interrupt::Stop;
use super::progress::{Phase, Progress};
use super::{CHUNK_LEN, FlashProblem, MediumProblem};
use crate::device::{Buffer, SECTOR_LEN, WritableCard};
use crate::error::Result;

/// What was written in one piece, at most a chunk.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    lba: u64,
    len: usize,
    hash: u128,
}

impl Written {
    /// `bytes`, from `lba` on. The hash has 128 bits and is not cryptographic: a card does not plot.
    pub fn new(lba: u64, bytes: &[u8]) -> Self {
        Self { lba, len: bytes.len(), hash: XxHash3_128::oneshot(bytes) }
    }

    fn check(&self, card: &dyn WritableCard, path: &Path, buffer: &mut [u8]) -> Result<()> {
        let back = &mut buffer[..self.len];
        let last_lba = self.lba + (self.len / SECTOR_LEN) as u64 - 1;
        let failed = |problem| Err(FlashProblem::medium(path, self.lba..=last_lba, problem));
        match card.read_back_run(self.lba, back) {
            Err(error) => failed(MediumProblem::ReadBack(error)),
            Ok(()) if XxHash3_128::oneshot(back) == self.hash => Ok(()),
            Ok(()) => failed(MediumProblem::Differs),
        }
    }
}

/// Reads back all that was written, and compares its hashes.
///
/// # Errors
/// [`FlashProblem::Medium`] at the first difference; [`Error::Interrupted`](crate::Error::Interrupted).
pub fn check(
    written: &[Written],
    card: &dyn WritableCard,
    path: &Path,
    progress: &mut dyn Progress,
    stop: &Stop,
) -> Result<()> {
    let total = written.iter().map(|one| one.len as u64).sum();
    let mut buffer = Buffer::new(CHUNK_LEN);
    let mut done = 0;
    progress.begin(Phase::Verify);
    for one in written {
        stop.check()?;
        one.check(card, path, &mut buffer)?;
        done += one.len as u64;
        progress.at(done, Some(total));
    }
    progress.end(total);
    Ok(())
}
