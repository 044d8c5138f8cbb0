// SPDX-License-Identifier: MIT OR Apache-2.0
//! Intel (Altera) SoCFPGA: SPL of Cyclone V, Arria V and Arria 10.

use crc::{CRC_32_BZIP2, Crc};

use super::{Extent, Find, Format, checked, plausible};
use crate::bytes::Bytes;

/// SPL; the boot ROM tries four of them, 64 or 256 KiB apart, mostly in a partition of type 0xA2.
pub const SPL: Format = Format {
    name: "SPL (SoCFPGA)",
    family: "Intel SoCFPGA",
    magic: &[(HEADER_OFFSET, b"AS01")],
    source: "U-Boot tools/socfpgaimage.c",
    find: Find::Anywhere(find_spl),
};

const HEADER_OFFSET: u64 = 0x40;
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_BZIP2);

fn find_spl(bytes: &[u8]) -> Option<Extent> {
    let version = bytes.byte(HEADER_OFFSET.checked_add(4)?)?;
    // Where the header's checksum is; the byte before it is not in the sum.
    let (sum_at, len) = match version {
        0 => (10_u64, u64::from(bytes.u16_le(HEADER_OFFSET.checked_add(6)?)?).checked_mul(4)?),
        1 => (18, bytes.u32_le(HEADER_OFFSET.checked_add(8)?)?.into()),
        _ => return None,
    };
    let header = bytes.span(HEADER_OFFSET, sum_at.checked_sub(1)?)?;
    let sum = header.iter().fold(0_u16, |sum, &byte| sum.wrapping_add(byte.into()));
    (sum == bytes.u16_le(HEADER_OFFSET.checked_add(sum_at)?)?).then_some(())?;
    let len = plausible(len)?;
    let crc_at = len.checked_sub(4)?;
    let good = bytes.span(0, crc_at).zip(bytes.u32_le(crc_at)).map(|(data, crc)| CRC.checksum(data) == crc);
    Some(Extent::new(len, checked(good)))
}
