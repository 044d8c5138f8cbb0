// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first sectors of a card.

use identity_core::SECTOR_LEN;

use super::bytes::{Bytes, SECTOR, len};

/// How far a card is looked at: no family in the table has anything before its first partition behind this.
pub const GAP_SECTORS_MAX: u64 = 65536;

/// The first sectors of a card, from LBA 0 on: at least up to the first partition or [`GAP_SECTORS_MAX`], whichever
/// is less.
#[derive(Clone, Copy, Debug)]
pub struct Gap<'a> {
    bytes: &'a [u8],
    device_sectors: u64,
}

impl<'a> Gap<'a> {
    /// `bytes` are the first of a device of `device_sectors`.
    pub fn new(bytes: &'a [u8], device_sectors: u64) -> Self {
        Self { bytes, device_sectors }
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

    /// One sector.
    pub fn sector(&self, lba: u64) -> Option<&'a [u8; SECTOR_LEN]> {
        self.bytes.sector(lba)
    }

    /// Everything from one sector on.
    pub fn from(&self, lba: u64) -> &'a [u8] {
        lba.checked_mul(SECTOR).map_or(&[], |at| Bytes::from(self.bytes, at))
    }
}
