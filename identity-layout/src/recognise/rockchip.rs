// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rockchip: ID blocks of both kinds, vendor storage, and the parameter file of old images.

use super::{Extent, Find, Format, plausible};
use crate::bytes::{Bytes, SECTOR};

const FAMILY: &str = "Rockchip";

/// TPL and SPL behind an encrypted header, up to RK3399.
pub const IDBLOCK_V1: Format = Format {
    name: "TPL and SPL (ID block)",
    family: FAMILY,
    magic: &[(0, &[0x3b, 0x8c, 0xdc, 0xfc])],
    source: "U-Boot tools/rkcommon.c header0_info",
    find: Find::Anywhere(find_idblock_v1),
};

/// TPL and SPL behind the plain header, RK3506, RK356x, RK3588 and later.
pub const IDBLOCK_V2: Format = Format {
    name: "TPL and SPL (RKNS)",
    family: FAMILY,
    magic: &[(0, b"RKNS")],
    source: "U-Boot tools/rkcommon.c header0_info_v2",
    find: Find::Anywhere(find_idblock_v2),
};

/// One of the four copies in which a board's serial number and MAC addresses are kept.
pub const VENDOR_STORAGE: Format = Format {
    name: "vendor storage",
    family: FAMILY,
    magic: &[(0, b"DVKR")],
    source: "Rockchip kernel drivers/soc/rockchip/sdmmc_vendor_storage.c",
    find: Find::Anywhere(find_vendor_storage),
};

/// Partitions as a text, of cards without a partition table.
pub const PARAMETER: Format = Format {
    name: "parameter file",
    family: FAMILY,
    magic: &[(0, b"PARM")],
    source: "linux-rockchip list, December 2014: text with length before and checksum behind; magic from memory",
    find: Find::Anywhere(find_parameter),
};

/// The key of U-Boot `tools/rkcommon.c`; every board has the same.
const RC4_KEY: [u8; 16] = [124, 78, 3, 4, 85, 5, 9, 7, 45, 44, 123, 56, 23, 13, 23, 17];
const KEYSTREAM: [u8; 512] = rc4();

/// RC4's first 512 bytes under the key.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)] // The compiler runs it.
const fn rc4() -> [u8; 512] {
    let mut state = [0; 256];
    let mut index = 0;
    while index < 256 {
        state[index] = index as u8;
        index += 1;
    }
    let (mut i, mut j) = (0, 0_u8);
    while i < 256 {
        j = j.wrapping_add(state[i]).wrapping_add(RC4_KEY[i % 16]);
        (state[i], state[j as usize]) = (state[j as usize], state[i]);
        i += 1;
    }
    let mut stream = [0; 512];
    let (mut at, mut i, mut j) = (0, 0_u8, 0_u8);
    while at < 512 {
        i = i.wrapping_add(1);
        j = j.wrapping_add(state[i as usize]);
        (state[i as usize], state[j as usize]) = (state[j as usize], state[i as usize]);
        stream[at] = state[state[i as usize].wrapping_add(state[j as usize]) as usize];
        at += 1;
    }
    stream
}

const HEADER_SECTORS: u64 = 4;

fn find_idblock_v1(bytes: &[u8]) -> Option<Extent> {
    let sector = bytes.span(0, SECTOR)?;
    let header: Vec<u8> = sector.iter().zip(KEYSTREAM).map(|(byte, key)| byte ^ key).collect();
    let (plain, start) = (header.u32_le(8)?, u64::from(header.u16_le(12)?));
    let (init, boot) = (u64::from(header.u16_le(506)?), u64::from(header.u16_le(508)?));
    (plain <= 1 && (1..=64).contains(&start) && init > 0).then_some(())?;
    let sectors = start.checked_add(init.max(boot))?;
    Some(Extent::new(sectors.checked_mul(SECTOR)?, format!("loader of {init} sectors")))
}

const IMAGES_OFFSET: u64 = 120;
const IMAGE_LEN: u64 = 88;
/// Where the header's hash is, in words.
const HASH_WORDS: u32 = 384;

fn find_idblock_v2(bytes: &[u8]) -> Option<Extent> {
    let word = bytes.u32_le(8)?;
    let count = u64::from(word >> 16);
    (word & 0xffff == HASH_WORDS && (1..=4).contains(&count)).then_some(())?;
    let mut end = HEADER_SECTORS;
    for number in 0..count {
        let word = bytes.u32_le(IMAGES_OFFSET.checked_add(number.checked_mul(IMAGE_LEN)?)?)?;
        end = u64::from(word >> 16).checked_add(u64::from(word & 0xffff))?.max(end);
    }
    Some(Extent::new(end.checked_mul(SECTOR)?, format!("{count} images")))
}

const VENDOR_LEN: u64 = 128 * SECTOR;
const VENDOR_ITEMS_MAX: u16 = 126;

fn find_vendor_storage(bytes: &[u8]) -> Option<Extent> {
    (bytes.u16_le(10)? <= VENDOR_ITEMS_MAX).then_some(())?;
    // The version stands at the end once more: a copy whose writing was interrupted has two.
    let last = bytes.u32_le(VENDOR_LEN.checked_sub(4)?);
    let whole = last.is_none_or(|last| bytes.u32_le(4) == Some(last));
    Some(Extent::new(VENDOR_LEN, if whole { "" } else { "written only in part" }))
}

const PARAMETER_LEN_MAX: u64 = 64 << 10;

fn find_parameter(bytes: &[u8]) -> Option<Extent> {
    let len = plausible(bytes.u32_le(4)?.into()).filter(|&len| len <= PARAMETER_LEN_MAX)?;
    let text = bytes.span(8, len)?;
    let printable = text.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    printable.then_some(())?;
    Some(Extent::new(len.checked_add(12)?, ""))
}
