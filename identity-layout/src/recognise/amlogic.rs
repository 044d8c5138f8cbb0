// SPDX-License-Identifier: MIT OR Apache-2.0
//! Amlogic: BL2 behind the header "@AML". What follows it (the FIP) is encrypted and has no open header.

use super::{Extent, Find, Format, plausible};
use crate::bytes::{Bytes, SECTOR};

/// BL2, which the boot ROM loads.
pub const AML: Format = Format {
    name: "BL2 (@AML)",
    family: "Amlogic",
    magic: &[(HEADER_OFFSET, b"@AML")],
    source: "U-Boot tools/amlimage.c",
    find: Find::Anywhere(find_aml),
};

/// The header follows a nonce of 16 bytes.
const HEADER_OFFSET: u64 = 0x10;
const HEADER_LEN: u8 = 0x40;

fn find_aml(bytes: &[u8]) -> Option<Extent> {
    let header_len = bytes.byte(HEADER_OFFSET.checked_add(8)?)?;
    let major = bytes.byte(HEADER_OFFSET.checked_add(10)?)?;
    (header_len == HEADER_LEN && major == 1).then_some(())?;
    let total = bytes.u32_le(HEADER_OFFSET.checked_add(4)?)?;
    Some(match plausible(total.into()) {
        Some(total) => {
            Extent::new(total.checked_add(HEADER_OFFSET)?, "the FIP behind it has no readable length")
        }
        None => Extent::new(SECTOR, format!("its length field is {total:#x}")),
    })
}
