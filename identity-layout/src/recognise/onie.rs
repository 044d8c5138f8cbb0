// SPDX-License-Identifier: MIT OR Apache-2.0
//! ONIE's TlvInfo, where a board keeps it on the disk instead of an EEPROM.

use super::{Extent, Find, Format, checked};
use crate::bytes::{Bytes, CRC32};

/// MAC addresses, serial number and the like.
pub const TLV_INFO: Format = Format {
    name: "TlvInfo",
    family: "ONIE",
    magic: &[(0, b"TlvInfo\0\x01")],
    source: "U-Boot include/tlv_eeprom.h, cmd/tlv_eeprom.c",
    find: Find::Anywhere(find_tlv_info),
};

const HEADER_LEN: u64 = 11;
/// All that the tool reads and writes.
const LEN_MAX: u64 = 2048;

fn find_tlv_info(bytes: &[u8]) -> Option<Extent> {
    let end = HEADER_LEN.checked_add(bytes.u16_be(9)?.into())?;
    // The last entry is the checksum, over all before its value.
    let crc_at = end.checked_sub(4);
    let good = crc_at.and_then(|at| Some(bytes.u32_be(at)? == CRC32.checksum(bytes.span(0, at)?)));
    Some(Extent::new(LEN_MAX, checked(good.filter(|_| end <= LEN_MAX))))
}
