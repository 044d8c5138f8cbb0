// SPDX-License-Identifier: MIT OR Apache-2.0
//! Marvell: kwbimage (Kirkwood to Armada 38x) and the image of Armada 7K and 8K.

use super::{Extent, Find, Format, checked, plausible, sum_words};
use crate::bytes::{Bytes, SECTOR};

/// Header, binary headers (SPL) and payload (U-Boot).
pub const KWB: Format = Format {
    name: "kwbimage",
    family: "Marvell Armada",
    // Boot from SD or MMC.
    magic: &[(0, &[0xae])],
    source: "U-Boot tools/kwbimage.h, tools/kwbimage.c",
    find: Find::Anywhere(find_kwb),
};

/// BLE, SCP firmware, TF-A and U-Boot.
pub const ARMADA_8K: Format = Format {
    name: "flash image",
    family: "Marvell Armada 7K/8K",
    magic: &[(0, &[0x02, 0xb0, 0x05, 0xb1])],
    source: "U-Boot cmd/mvebu/bubt.c",
    find: Find::Anywhere(find_armada_8k),
};

const VERSION_OFFSET: u64 = 8;
const SUM_OFFSET: u64 = 0x1f;

/// Length of the headers, and of what the 8-bit checksum is over.
fn header_len(bytes: &[u8]) -> Option<(u64, u64)> {
    match bytes.byte(VERSION_OFFSET)? {
        0 => {
            let (extensions, binaries) = (u64::from(bytes.byte(0x1e)?), u64::from(bytes.byte(0x1d)?));
            let len = 32_u64
                .checked_add(extensions.checked_mul(480)?)?
                .checked_add(extensions.saturating_sub(1).checked_mul(32)?)?
                .checked_add(binaries.checked_mul(2048)?)?;
            Some((len, 32))
        }
        1 => {
            let len = (u64::from(bytes.byte(9)?) << 16) | u64::from(bytes.u16_le(10)?);
            (len >= 32).then_some((len, len))
        }
        _ => None,
    }
}

fn find_kwb(bytes: &[u8]) -> Option<Extent> {
    let (header_len, summed_len) = header_len(bytes)?;
    let (block_len, source) = (u64::from(bytes.u32_le(4)?), u64::from(bytes.u32_le(0x0c)?));
    (block_len > 4 && block_len % 4 == 0).then_some(())?;
    let stored = bytes.byte(SUM_OFFSET)?;
    let sum = bytes.span(0, summed_len)?.iter().fold(0_u8, |sum, &byte| sum.wrapping_add(byte));
    (sum.wrapping_sub(stored) == stored).then_some(())?;

    // Where the payload is stands in bytes or, as mkimage wrote it until 2023, in sectors: its checksum decides, and
    // without one the longer image.
    let mut found: Option<(u64, Option<bool>)> = None;
    for source in [source, source.checked_mul(SECTOR)?] {
        let Some(len) = plausible(source.checked_add(block_len)?) else { continue };
        if source < header_len || source % 4 != 0 {
            continue;
        }
        let data = bytes.span(source, block_len.checked_sub(4)?);
        let good = data.zip(bytes.u32_le(len.checked_sub(4)?)).map(|(data, sum)| sum_words(data) == sum);
        if good == Some(true) {
            return Some(Extent::new(len, checked(good)));
        }
        found = Some((len, good));
    }
    found.map(|(len, good)| Extent::new(len, checked(good)))
}

fn find_armada_8k(bytes: &[u8]) -> Option<Extent> {
    let (prolog_len, stored) = (u64::from(bytes.u32_le(4)?), bytes.u32_le(8)?);
    let image_len = u64::from(bytes.u32_le(12)?);
    let sum = sum_words(bytes.span(0, prolog_len)?).wrapping_sub(stored);
    (prolog_len >= 64 && sum == stored).then_some(())?;
    let good =
        bytes.span(prolog_len, image_len).zip(bytes.u32_le(16)).map(|(image, sum)| sum_words(image) == sum);
    Some(Extent::new(plausible(prolog_len.checked_add(image_len)?)?, checked(good)))
}
