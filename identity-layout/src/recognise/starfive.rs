// SPDX-License-Identifier: MIT OR Apache-2.0
//! StarFive JH7110: SPL; normally in a GPT partition.

use super::{Extent, Find, Format, checked, plausible};
use crate::bytes::{Bytes, CRC32};

/// U-Boot's SPL for the JH7110's boot ROM.
pub const SPL: Format = Format {
    name: "SPL (JH7110)",
    family: "StarFive",
    magic: &[(0, &[0x40, 0x02, 0x00, 0x00])],
    source: "U-Boot tools/sfspl.c",
    find: Find::Anywhere(find_spl),
};

const VERSION: u32 = 0x0101_0101;
const HEADER_LEN: u32 = 0x400;

fn find_spl(bytes: &[u8]) -> Option<Extent> {
    (bytes.u32_le(0x284)? == VERSION && bytes.u32_le(0x28c)? == HEADER_LEN).then_some(())?;
    let (len, stored) = (u64::from(bytes.u32_le(0x288)?), bytes.u32_le(0x290)?);
    let good = bytes.span(HEADER_LEN.into(), len).map(|data| CRC32.checksum(data) == stored);
    Some(Extent::new(plausible(len.checked_add(HEADER_LEN.into())?)?, checked(good)))
}
