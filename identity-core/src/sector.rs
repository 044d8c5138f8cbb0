// SPDX-License-Identifier: MIT OR Apache-2.0
//! The 512 bytes of a copy: where each part lies, and the checksum over them. `docs/FORMAT.md` is the prose.

use crc::{CRC_32_ISCSI, Crc, Table};

use zerocopy::byteorder::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute_mut, transmute_ref};

/// Length of a sector in bytes: SD cards have no other (SD Physical Layer Specification 3.01, section 4.3.2).
pub const SECTOR_LEN: usize = 512;

/// First bytes of every copy of every version. The first byte is neither ASCII nor any boot ROM's magic.
pub const MAGIC: [u8; 8] = *b"\xb1IDENT\r\n";
/// The format version that this crate reads and writes.
pub const VERSION: u16 = 1;
/// Length of this version's header, which is where its fields start, in bytes.
pub const HEADER_LEN: u16 = 48;
/// Space for fields, in bytes.
pub const FIELDS_CAPACITY: usize = 462;
/// Space at the end that is always zero, in bytes, so that no copy looks like a boot sector.
pub const TRAILER_LEN: usize = 2;

/// Byte positions in the sector, as the tables of `docs/FORMAT.md` give them.
pub mod offset {
    /// Magic, 8 bytes; frozen for all versions.
    pub const MAGIC: usize = 0;
    /// CRC-32/ISCSI over all other bytes, u32; frozen for all versions.
    pub const CRC: usize = 8;
    /// Header length, u16; frozen for all versions.
    pub const HEADER_LEN: usize = 12;
    /// Format version, u16; frozen for all versions.
    pub const VERSION: usize = 14;
    /// LBA of this sector, u32.
    pub const OWN_LBA: usize = 16;
    /// LBA of the other copy, u32.
    pub const PEER_LBA: usize = 20;
    /// Number of writes of this identity, u32.
    pub const GENERATION: usize = 24;
    /// Length of all fields together, u16.
    pub const FIELDS_LEN: usize = 28;
    /// Offset of two bytes that must be zero.
    pub const RESERVED: usize = 30;
    /// UUID, 16 bytes in RFC 9562 order.
    pub const UUID: usize = 32;
    /// Offset of the first field in bytes.
    pub const FIELDS: usize = 48;
    /// Two zero bytes; frozen for all versions.
    pub const TRAILER: usize = 510;
}

/// A copy's sector, cut into its parts; nothing about the values has been checked.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawSector {
    pub magic: [u8; 8],
    pub crc: U32,
    pub header_len: U16,
    pub version: U16,
    pub own_lba: U32,
    pub peer_lba: U32,
    pub generation: U32,
    pub fields_len: U16,
    pub reserved: U16,
    pub uuid: [u8; 16],
    pub fields: [u8; FIELDS_CAPACITY],
    pub trailer: [u8; TRAILER_LEN],
}

/// A header up to the UUID, aligned and in the processor's byte order.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Header {
    pub magic: [u8; 8],
    pub crc: u32,
    pub header_len: u16,
    pub version: u16,
    pub own_lba: u32,
    pub peer_lba: u32,
    pub generation: u32,
    pub fields_len: u16,
    pub reserved: u16,
}

impl Header {
    /// Copies it from a sector. Not inlined: where only aligned numbers can be loaded, a compiler that sees where these come
    /// from would put each of them together from bytes.
    #[inline(never)]
    pub fn copy(&mut self, raw: &RawSector) {
        let bytes: &mut [u8; size_of::<Self>()] = transmute_mut!(self);
        if let Some(head) = raw.bytes().first_chunk() {
            *bytes = *head;
        }
        self.crc = u32::from_le(self.crc);
        self.header_len = u16::from_le(self.header_len);
        self.version = u16::from_le(self.version);
        self.own_lba = u32::from_le(self.own_lba);
        self.peer_lba = u32::from_le(self.peer_lba);
        self.generation = u32::from_le(self.generation);
        self.fields_len = u16::from_le(self.fields_len);
        self.reserved = u16::from_le(self.reserved);
    }
}

impl RawSector {
    pub fn of(bytes: &[u8; SECTOR_LEN]) -> &Self {
        transmute_ref!(bytes)
    }

    pub fn bytes(&self) -> &[u8; SECTOR_LEN] {
        transmute_ref!(self)
    }

    /// The fields and the zeros behind them, up to the end of the sector.
    pub fn fields_and_padding(&self, header: &Header) -> Option<(&[u8], &[u8])> {
        let len = usize::from(header.fields_len);
        let (_, behind_header) = self.bytes().split_at(offset::FIELDS);
        behind_header.split_at_checked(len).filter(|_| len <= FIELDS_CAPACITY)
    }

    /// CRC-32/ISCSI (check value E3069283) over every byte except the four of the CRC itself.
    pub fn compute_crc(&self) -> u32 {
        let (magic, rest) = self.bytes().split_at(offset::CRC);
        let (_, rest) = rest.split_at(size_of::<U32>());
        finish(update(update(CRC_32_ISCSI.init, magic), rest))
    }
}

/// CRC-32/ISCSI of some bytes.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    finish(update(CRC_32_ISCSI.init, bytes))
}

/// Whether every byte is `value`. In a function of its own, so that a bootloader has one loop for all that is all zero;
/// without an early end, so that a host takes many bytes at once.
#[inline(never)]
pub(crate) fn all_are(bytes: &[u8], value: u8) -> bool {
    bytes.iter().fold(0, |differing, &byte| differing | (byte ^ value)) == 0
}

/// Four bits at a time: a table of 64 bytes, where the `crc` crate offers 1024, or eight times the instructions.
/// Parameters and table are the crate's.
fn update(crc: u32, bytes: &[u8]) -> u32 {
    let mut crc = crc;
    for &byte in bytes {
        crc ^= u32::from(byte);
        crc = shift_nibble(shift_nibble(crc));
    }
    crc
}

#[inline(always)]
fn shift_nibble(crc: u32) -> u32 {
    let [low, ..] = crc.to_le_bytes();
    crc >> 4 ^ NIBBLES.get(usize::from(low & 0xf)).copied().unwrap_or(0)
}

fn finish(crc: u32) -> u32 {
    crc ^ CRC_32_ISCSI.xorout
}

/// What four bits contribute: in a reflected CRC, every sixteenth entry of the table for eight bits.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "computed by the compiler")]
static NIBBLES: [u32; 16] = {
    let crate_s = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);
    let [bytes] = crate_s.table();
    let mut nibbles = [0; 16];
    let mut nibble = 0;
    while nibble < nibbles.len() {
        nibbles[nibble] = bytes[nibble << 4];
        nibble += 1;
    }
    nibbles
};

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn offsets_are_the_struct() {
        assert_eq!(size_of::<RawSector>(), SECTOR_LEN);
        for (constant, field) in [
            (offset::MAGIC, offset_of!(RawSector, magic)),
            (offset::CRC, offset_of!(RawSector, crc)),
            (offset::HEADER_LEN, offset_of!(RawSector, header_len)),
            (offset::VERSION, offset_of!(RawSector, version)),
            (offset::OWN_LBA, offset_of!(RawSector, own_lba)),
            (offset::PEER_LBA, offset_of!(RawSector, peer_lba)),
            (offset::GENERATION, offset_of!(RawSector, generation)),
            (offset::FIELDS_LEN, offset_of!(RawSector, fields_len)),
            (offset::RESERVED, offset_of!(RawSector, reserved)),
            (offset::UUID, offset_of!(RawSector, uuid)),
            (offset::FIELDS, offset_of!(RawSector, fields)),
            (offset::TRAILER, offset_of!(RawSector, trailer)),
        ] {
            assert_eq!(constant, field);
        }
        assert_eq!(offset::FIELDS, usize::from(HEADER_LEN));
    }

    #[test]
    fn crc_is_castagnoli() {
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
    }

    proptest::proptest! {
        #[test]
        fn crc_is_the_crate_s(bytes: std::vec::Vec<u8>) {
            let crate_s = Crc::<u32>::new(&CRC_32_ISCSI).checksum(&bytes);
            proptest::prop_assert_eq!(checksum(&bytes), crate_s);
        }
    }

    #[test]
    fn crc_covers_all_but_itself() {
        let mut bytes = [0x5a; SECTOR_LEN];
        let clean = RawSector::of(&bytes).compute_crc();
        for at in 0..SECTOR_LEN {
            bytes[at] ^= 0x10;
            let covered = RawSector::of(&bytes).compute_crc() != clean;
            assert_eq!(covered, !(offset::CRC..offset::HEADER_LEN).contains(&at), "byte {at}");
            bytes[at] ^= 0x10;
        }
    }
}
