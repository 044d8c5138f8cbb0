// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first sectors of a card.

use std::ops::Range;

use identity_core::SECTOR_LEN;

use super::bytes::{Bytes, SECTOR, len};

/// How far a card is looked at: no family in the table has anything before its first partition behind this.
pub const GAP_SECTORS_MAX: u64 = 65536;

/// The first sectors of a card, from LBA 0 on: at least up to the first partition or [`GAP_SECTORS_MAX`], whichever
/// is less.
#[derive(Clone, Copy, Debug)]
pub struct Gap<'a> {
    bytes: &'a [u8],
    pieces: &'a [Piece],
    unreadable: &'a [Range<u64>],
    zeros: &'a [bool],
    device_sectors: u64,
}

/// What is known of one sector.
#[derive(Clone, Copy, Debug)]
pub enum Look<'a> {
    /// The sector was read: its bytes.
    Known(&'a [u8; SECTOR_LEN]),
    /// The device could not read it.
    Unreadable,
    /// Nobody has read it.
    Unknown,
    /// It is behind the end of the device.
    Beyond,
}

/// Sectors that were read elsewhere: a table's entries that were moved, the end of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// LBA of the first sector.
    pub start_lba: u64,
    /// Bytes of whole sectors from there on.
    pub bytes: Vec<u8>,
}

impl<'a> Gap<'a> {
    /// `bytes` are the first of a device of `device_sectors`.
    pub fn new(bytes: &'a [u8], device_sectors: u64) -> Self {
        Self { bytes, pieces: &[], unreadable: &[], zeros: &[], device_sectors }
    }

    /// The same, with sectors that were read elsewhere.
    #[must_use]
    pub fn with_pieces(self, pieces: &'a [Piece]) -> Self {
        Self { pieces, ..self }
    }

    /// The same, with the sectors that the device could not read. Where they lie among the bytes, the bytes say nothing.
    #[must_use]
    pub fn with_unreadable(self, unreadable: &'a [Range<u64>]) -> Self {
        Self { unreadable, ..self }
    }

    /// The same, with which of the first sectors are zeros alone, so that nobody looks at their bytes.
    #[must_use]
    pub fn with_zeros(self, zeros: &'a [bool]) -> Self {
        Self { zeros, ..self }
    }

    /// Whether a sector is known, and zeros alone.
    pub fn is_zero(&self, lba: u64) -> bool {
        match usize::try_from(lba).ok().and_then(|number| self.zeros.get(number)) {
            Some(is_zero) => *is_zero,
            None => self.sector(lba).is_some_and(|sector| *sector == [0; SECTOR_LEN]),
        }
    }

    /// What is known of a sector.
    pub fn look(&self, lba: u64) -> Look<'a> {
        if lba >= self.device_sectors {
            Look::Beyond
        } else if self.unreadable.iter().any(|range| range.contains(&lba)) {
            Look::Unreadable
        } else {
            self.sector(lba).map_or(Look::Unknown, Look::Known)
        }
    }

    /// All bytes, from LBA 0 on.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Length of the whole device.
    pub fn device_sectors(&self) -> u64 {
        self.device_sectors
    }

    /// Number of whole sectors that were read.
    pub fn sectors(&self) -> u64 {
        len(self.bytes).checked_div(SECTOR).unwrap_or(0)
    }

    /// One sector, also of the pieces.
    pub fn sector(&self, lba: u64) -> Option<&'a [u8; SECTOR_LEN]> {
        self.span(lba, 1)?.try_into().ok()
    }

    /// `sectors` sectors from `lba` on, if all of them are known and lie in one piece.
    pub fn span(&self, lba: u64, sectors: u64) -> Option<&'a [u8]> {
        let span = |bytes: &'a [u8], start: u64| {
            Bytes::span(bytes, lba.checked_sub(start)?.checked_mul(SECTOR)?, sectors.checked_mul(SECTOR)?)
        };
        span(self.bytes, 0)
            .or_else(|| self.pieces.iter().find_map(|piece| span(&piece.bytes, piece.start_lba)))
    }

    /// Everything from one sector on.
    pub fn from(&self, lba: u64) -> &'a [u8] {
        lba.checked_mul(SECTOR).map_or(&[], |at| Bytes::from(self.bytes, at))
    }
}
