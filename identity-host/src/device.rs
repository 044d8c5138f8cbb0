// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards: the trait that everything above works on, and the real ones (block devices and image files).

mod buffer;
pub mod cid;
mod file;
pub mod info;
#[cfg(feature = "flash")]
mod layers;
pub mod safety;
pub mod sysfs;
#[cfg(feature = "flash")]
pub mod udev;

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::FileTypeExt;

pub use buffer::Buffer;
pub use cid::Cid;
pub use file::{Access, Target, is_being_written};
pub use identity_core::SECTOR_LEN;

/// The 512 bytes of a sector.
pub type Sector = [u8; SECTOR_LEN];

/// A card that can be read.
pub trait Card {
    /// Length of the card in sectors of 512 bytes.
    fn sectors(&self) -> u64;

    /// Reads whole sectors from `lba` on; `out` is a multiple of 512 bytes and inside the card.
    fn read(&self, lba: u64, out: &mut [u8]) -> io::Result<()>;
}

/// A card that can be written. Only `execute` and `flash::write` call these.
pub trait WritableCard: Card {
    /// Writes one sector; it may still be in a cache afterwards.
    fn write(&mut self, lba: u64, sector: &Sector) -> io::Result<()>;

    /// Writes whole sectors from `lba` on, the fast way: past the host's cache where that is possible.
    fn write_run(&mut self, lba: u64, bytes: &[u8]) -> io::Result<()> {
        let (sectors, _) = bytes.as_chunks();
        (lba..).zip(sectors).try_for_each(|(lba, sector)| self.write(lba, sector))
    }

    /// Asks the device to make sectors zero by itself; `false` if it cannot, and then nothing has changed.
    fn discard(&mut self, _lba: u64, _sectors: u64) -> io::Result<bool> {
        Ok(false)
    }

    /// Returns when everything written is on the medium, as far as the medium tells.
    fn flush(&mut self) -> io::Result<()>;

    /// Reads one sector from the medium, not from the host's cache.
    fn read_back(&self, lba: u64) -> io::Result<Sector>;

    /// Reads whole sectors from the medium.
    fn read_back_run(&self, lba: u64, out: &mut [u8]) -> io::Result<()> {
        let (sectors, _) = out.as_chunks_mut();
        (lba..).zip(sectors).try_for_each(|(lba, sector)| self.read_back(lba).map(|back| *sector = back))
    }
}

/// Whether this is of a block device.
pub fn is_block_device(metadata: &Metadata) -> bool {
    metadata.file_type().is_block_device()
}

/// An I/O error in the system's words, without Rust's "(os error N)".
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
