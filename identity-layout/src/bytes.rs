// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checked reads from untrusted bytes: `None` past the end, never a panic.

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use zerocopy::byteorder::{BE, LE, U16, U32, U64};
use zerocopy::{FromBytes, Unaligned};

/// The CRC-32 of zlib, GPT and U-Boot (check value CBF43926), with the large table: environments are long.
pub const CRC32: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// A sector's length as the type of offsets.
pub const SECTOR: u64 = 512;
const _: () = assert!(identity_core::SECTOR_LEN == 512);

/// Reads at a byte offset.
pub trait Bytes {
    /// `len` bytes from `at`.
    fn span(&self, at: u64, len: u64) -> Option<&[u8]>;

    /// Everything from `at` on; empty past the end.
    fn from(&self, at: u64) -> &[u8];

    /// A structure whose every bit pattern is valid.
    fn object<T: FromBytes + Unaligned>(&self, at: u64) -> Option<T>;

    /// Whether exactly these bytes lie at `at`.
    fn has(&self, at: u64, magic: &[u8]) -> bool;

    /// The byte at this offset; `None` if it is not known.
    fn byte(&self, at: u64) -> Option<u8> {
        self.object(at)
    }

    /// The little-endian `u16` at this offset.
    fn u16_le(&self, at: u64) -> Option<u16> {
        self.object::<U16<LE>>(at).map(U16::get)
    }

    /// The little-endian `u32` at this offset.
    fn u32_le(&self, at: u64) -> Option<u32> {
        self.object::<U32<LE>>(at).map(U32::get)
    }

    /// The little-endian `u64` at this offset.
    fn u64_le(&self, at: u64) -> Option<u64> {
        self.object::<U64<LE>>(at).map(U64::get)
    }

    /// The big-endian `u16` at this offset.
    fn u16_be(&self, at: u64) -> Option<u16> {
        self.object::<U16<BE>>(at).map(U16::get)
    }

    /// The big-endian `u32` at this offset.
    fn u32_be(&self, at: u64) -> Option<u32> {
        self.object::<U32<BE>>(at).map(U32::get)
    }
}

impl Bytes for [u8] {
    fn span(&self, at: u64, len: u64) -> Option<&[u8]> {
        let start = usize::try_from(at).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        self.get(start..end)
    }

    fn from(&self, at: u64) -> &[u8] {
        usize::try_from(at).ok().and_then(|start| self.get(start..)).unwrap_or(&[])
    }

    fn object<T: FromBytes + Unaligned>(&self, at: u64) -> Option<T> {
        T::read_from_prefix(Bytes::from(self, at)).ok().map(|(object, _)| object)
    }

    fn has(&self, at: u64, magic: &[u8]) -> bool {
        Bytes::from(self, at).starts_with(magic)
    }
}

/// Sectors that `bytes` bytes take.
pub fn sectors(bytes: u64) -> u64 {
    bytes.div_ceil(SECTOR)
}

/// A length in memory as the type of offsets.
pub fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_end() {
        let bytes: &[u8] = &[1, 2, 3, 4];
        assert_eq!(bytes.u32_le(0), Some(0x0403_0201));
        assert_eq!(bytes.u32_be(0), Some(0x0102_0304));
        assert_eq!(bytes.u16_le(3), None);
        assert_eq!(bytes.u16_le(u64::MAX), None);
        assert_eq!(bytes.span(2, u64::MAX), None);
        assert_eq!(bytes.span(4, 0), Some(&[][..]));
        assert!(!bytes.has(3, &[4, 5]));
    }

    #[test]
    fn crc_is_iso_hdlc() {
        assert_eq!(CRC32.checksum(b"123456789"), 0xcbf4_3926);
    }
}
