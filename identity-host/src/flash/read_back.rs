// SPDX-License-Identifier: MIT OR Apache-2.0
//! That what was written is on the card: read back past the host's cache, and compared by hash.

use std::path::Path;

use twox_hash::XxHash3_128;

use super::CHUNK_LEN;
use super::interrupt::Stop;
use super::progress::{Phase, Progress};
use crate::device::plain;
use crate::device::{Buffer, SECTOR_LEN, WritableCard};
use crate::error::{Error, Result};

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
        let place = format!("{}: LBA {} to {last_lba}", path.display(), self.lba);
        card.read_back_run(self.lba, back)
            .map_err(|error| Error::failed(format!("{place} cannot be read back ({})", plain(&error))))?;
        if XxHash3_128::oneshot(back) == self.hash {
            return Ok(());
        }
        Err(Error::failed(format!("{place} read back differently than written; replace the card")))
    }
}

/// Reads everything back.
///
/// # Errors
/// Exit 7 at the first difference; 130 when interrupted.
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
