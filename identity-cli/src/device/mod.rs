// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards: the trait that everything above works on, and the real ones (block devices and image files).

mod file;
pub mod safety;
mod sysfs;

use std::io;

pub use file::{Access, Target};
pub use identity_core::SECTOR_LEN;

/// One sector.
pub type Sector = [u8; SECTOR_LEN];

/// A card that can be read.
pub trait Card {
    /// Length in sectors.
    fn sectors(&self) -> u64;

    /// Reads whole sectors from `lba` on; `out` is a multiple of 512 bytes and inside the card.
    fn read(&self, lba: u64, out: &mut [u8]) -> io::Result<()>;
}

/// A card that can be written. Only `execute` and `create` call these.
pub trait WritableCard: Card {
    /// Writes one sector; it may still be in a cache afterwards.
    fn write(&mut self, lba: u64, sector: &Sector) -> io::Result<()>;

    /// Returns when everything written is on the medium, as far as the medium tells.
    fn flush(&mut self) -> io::Result<()>;

    /// Reads one sector from the medium, not from the host's cache.
    fn read_back(&self, lba: u64) -> io::Result<Sector>;
}
