// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which sectors of a card must be known before its map can be drawn: this crate asks for them and reads nothing.
//!
//! As with the search of `identity_core`: [`Inspection::next`] names a range of sectors, the caller reads it and hands the
//! bytes to [`Inspection::give`], until `next` returns `None`; then [`Inspection::gap`] is complete. No sector is asked for
//! twice.

use std::ops::Range;

use super::bytes::{SECTOR, len};
use super::gap::{GAP_SECTORS_MAX, Gap, Piece};
use super::table;

/// Sectors read at first: a partition table where all known tools put it, and the superblocks of most file systems.
const FIRST_SECTORS: u64 = 64;

/// The sectors known so far of one card.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    head: Vec<u8>,
    pieces: Vec<Piece>,
    device_sectors: u64,
}

impl Inspection {
    /// Of a device of this length, of which nothing is known yet.
    pub fn new(device_sectors: u64) -> Self {
        Self { head: Vec::new(), pieces: Vec::new(), device_sectors }
    }

    /// Of a device of which the first bytes are known already, for example from the image that will be written to it.
    pub fn with_head(head: Vec<u8>, device_sectors: u64) -> Self {
        Self { head, ..Self::new(device_sectors) }
    }

    /// The next sectors to read, all on the device; `None` when all that matters is known.
    pub fn next(&self) -> Option<Range<u64>> {
        let known = self.head_sectors();
        let first = FIRST_SECTORS.min(self.device_sectors);
        if known < first {
            return Some(known..first);
        }
        let gap = self.gap();
        if let Some(range) = self.first_unknown(table::probes(&gap)) {
            return Some(range);
        }
        let end = gap.end_lba();
        if known < end {
            return Some(known..end);
        }
        None
    }

    /// Takes the bytes of the range that [`Inspection::next`] has named: whole sectors from `start_lba` on.
    pub fn give(&mut self, start_lba: u64, bytes: Vec<u8>) {
        if start_lba == self.head_sectors() {
            // The shorter one is moved, so that a gap of 32 MiB is not in memory twice.
            let mut bytes = bytes;
            if bytes.len() > self.head.len() {
                bytes.reserve_exact(self.head.len());
                bytes.splice(0..0, self.head.drain(..));
                self.head = bytes;
            } else {
                self.head.append(&mut bytes);
            }
        } else {
            self.pieces.push(Piece { start_lba, bytes });
        }
    }

    /// What is known so far.
    pub fn gap(&self) -> Gap<'_> {
        Gap::new(&self.head, self.device_sectors).with_pieces(&self.pieces)
    }

    /// The same, as if one sector were blank.
    #[must_use]
    pub fn with_blank(&self, lba: u64) -> Self {
        let mut blanked = self.clone();
        let at = lba.checked_mul(SECTOR).and_then(|at| usize::try_from(at).ok());
        let sector = at.and_then(|at| blanked.head.get_mut(at..)).and_then(<[u8]>::first_chunk_mut);
        if let Some(sector) = sector {
            *sector = [0; identity_core::SECTOR_LEN];
        }
        blanked
    }

    /// The bytes from LBA 0 on, without the pieces behind them.
    pub fn into_head(self) -> Vec<u8> {
        self.head
    }

    fn head_sectors(&self) -> u64 {
        len(&self.head).checked_div(SECTOR).unwrap_or(0)
    }

    fn first_unknown(&self, wanted: Vec<Range<u64>>) -> Option<Range<u64>> {
        let on_device = wanted.into_iter().map(|range| range.start..range.end.min(self.device_sectors));
        let mut wanted = on_device
            .filter(|range| !range.is_empty() && range.end <= range.start.saturating_add(GAP_SECTORS_MAX));
        wanted.find(|range| self.gap().span(range.start, range.end.saturating_sub(range.start)).is_none())
    }
}
