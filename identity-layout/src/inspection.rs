// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which sectors of a card must be known before its map can be drawn: this crate asks for them and reads nothing.
//!
//! As with the search of `identity_core`: [`Inspection::next`] names a range of sectors, the caller reads it and hands the
//! bytes to [`Inspection::give`], or says [`Inspection::give_unreadable`], until `next` returns `None`; then
//! [`Inspection::gap`] is complete. No range is asked for twice; only a sector of a table that lies in the gap, away from its
//! usual place, is read once for the table and once more with the gap.

use std::ops::Range;

use identity_core::SECTOR_LEN;

use super::bytes::{SECTOR, len};
use super::gap::{GAP_SECTORS_MAX, Gap, Look, Piece};
use super::{table, whole_device};

/// Sectors read at first: a partition table where all known tools put it, and the superblocks of most file systems.
const FIRST_SECTORS: u64 = 64;
/// What stands for a sector that cannot be read: data of somebody, never blank.
const UNREADABLE: [u8; SECTOR_LEN] = [0xee; SECTOR_LEN];

/// The sectors known so far of one card.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    head: Vec<u8>,
    /// Which sectors of the head are zeros alone.
    zeros: Vec<bool>,
    pieces: Vec<Piece>,
    unreadable: Vec<Range<u64>>,
    device_sectors: u64,
}

impl Inspection {
    /// Of a device of this length, of which nothing is known yet.
    pub fn new(device_sectors: u64) -> Self {
        Self { device_sectors, ..Self::default() }
    }

    /// Of a device of which the first bytes are known already, for example from the image that will be written to it.
    pub fn with_head(head: Vec<u8>, device_sectors: u64) -> Self {
        let zeros = zeros(&head);
        Self { head, zeros, ..Self::new(device_sectors) }
    }

    /// The next sectors to read, all on the device, for the partition tables alone; `None` when these are known.
    pub fn next_of_table(&self) -> Option<Range<u64>> {
        let known = self.head_sectors();
        let first = FIRST_SECTORS.min(self.device_sectors);
        if known < first {
            return Some(known..first);
        }
        self.first_unknown(table::probes(&self.gap()))
    }

    /// The next sectors to read, all on the device; `None` when all that matters is known.
    pub fn next(&self) -> Option<Range<u64>> {
        if let Some(range) = self.next_of_table() {
            return Some(range);
        }
        let (gap, known) = (self.gap(), self.head_sectors());
        let end = table::read(&gap).gap_end_lba(self.device_sectors);
        if known < end {
            return Some(known..end);
        }
        self.first_unknown(whole_device::probes(&gap))
    }

    /// Takes the bytes of the range that [`Inspection::next`] has named: whole sectors from `start_lba` on.
    pub fn give(&mut self, start_lba: u64, mut bytes: Vec<u8>) {
        if start_lba == self.head_sectors() {
            self.zeros.append(&mut zeros(&bytes));
            self.head.append(&mut bytes);
        } else {
            self.pieces.push(Piece { start_lba, bytes });
        }
    }

    /// Takes the head anew, longer by the range that [`Inspection::next`] has named, with which of its sectors are zeros alone.
    pub fn give_head(&mut self, head: Vec<u8>, zeros: Vec<bool>) {
        (self.head, self.zeros) = (head, zeros);
    }

    /// Takes note that the device cannot read these sectors of the range that [`Inspection::next`] has named. They count as
    /// somebody's. A range that is only partly readable is given in parts, in order.
    pub fn give_unreadable(&mut self, range: Range<u64>) {
        if range.start == self.head_sectors() {
            let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
            for _ in 0..len.min(usize::try_from(GAP_SECTORS_MAX).unwrap_or(len)) {
                self.head.extend(UNREADABLE);
                self.zeros.push(false);
            }
        }
        self.unreadable.push(range);
    }

    /// What is known so far.
    pub fn gap(&self) -> Gap<'_> {
        let gap = Gap::new(&self.head, self.device_sectors).with_pieces(&self.pieces);
        gap.with_unreadable(&self.unreadable).with_zeros(&self.zeros)
    }

    /// The same card if `lba` were blank.
    #[must_use]
    pub fn with_blank(&self, lba: u64) -> Self {
        let mut changed = self.clone();
        let start = lba.checked_mul(SECTOR).and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX);
        if let Some(sector) = changed.head.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
            *sector = [0; SECTOR_LEN];
        }
        if let Some(is_zero) = usize::try_from(lba).ok().and_then(|number| changed.zeros.get_mut(number)) {
            *is_zero = true;
        }
        changed
    }

    /// The bytes from LBA 0 on, as known so far.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Which sectors of the head are zeros alone.
    pub fn zeros(&self) -> &[bool] {
        &self.zeros
    }

    /// The bytes from LBA 0 on, without the pieces behind them.
    pub fn into_head(self) -> Vec<u8> {
        self.head
    }

    /// How many sectors are known from LBA 0 on.
    pub fn head_sectors(&self) -> u64 {
        len(&self.head).checked_div(SECTOR).unwrap_or(0)
    }

    /// The first of the ranges in `wanted` that is neither known in one piece nor found unreadable.
    fn first_unknown(&self, wanted: Vec<Range<u64>>) -> Option<Range<u64>> {
        let gap = self.gap();
        for range in wanted {
            let range = range.start..range.end.min(self.device_sectors);
            let sectors = range.end.saturating_sub(range.start);
            // What claims more than the longest gap is no table, and is reported as not known.
            if sectors == 0 || sectors > GAP_SECTORS_MAX || gap.span(range.start, sectors).is_some() {
                continue;
            }
            if !range.clone().any(|lba| matches!(gap.look(lba), Look::Unreadable)) {
                return Some(range);
            }
            if let Some(lba) = range.clone().find(|lba| matches!(gap.look(*lba), Look::Unknown)) {
                return Some(lba..lba.saturating_add(1));
            }
        }
        None
    }
}

/// Which sectors are zeros alone.
fn zeros(bytes: &[u8]) -> Vec<bool> {
    bytes.as_chunks::<SECTOR_LEN>().0.iter().map(|sector| *sector == [0; SECTOR_LEN]).collect()
}

#[cfg(test)]
mod tests;
