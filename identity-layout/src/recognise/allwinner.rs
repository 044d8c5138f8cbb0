// SPDX-License-Identifier: MIT OR Apache-2.0
//! Allwinner: eGON (SPL, boot0), TOC0 (the same, signed) and TOC1 (the vendor's boot package).

use super::{Extent, Find, Format, checked, plausible, sum_words};
use crate::bytes::{Bytes, SECTOR};

const FAMILY: &str = "Allwinner";

/// SPL of U-Boot, or the vendor's boot0.
pub const EGON: Format = Format {
    name: "SPL (eGON.BT0)",
    family: FAMILY,
    magic: &[(4, b"eGON.BT0"), (4, b"eGON.BT1")],
    source: "U-Boot include/sunxi_image.h, tools/sunxi_egon.c",
    find: Find::Anywhere(find_egon),
};

/// SPL for parts with secure boot.
pub const TOC0: Format = Format {
    name: "SPL (TOC0)",
    family: FAMILY,
    magic: &[(0, b"TOC0.GLH")],
    source: "U-Boot include/sunxi_image.h, tools/sunxi_toc0.c",
    find: Find::Anywhere(find_toc0),
};

/// The vendor's package of U-Boot, OpenSBI or ATF, and device trees.
pub const TOC1: Format = Format {
    name: "boot package (TOC1)",
    family: FAMILY,
    magic: &[(0, b"sunxi-package")],
    source: "imgeditor sunxi_package.c: head of 64 bytes, magic 89119800 as in TOC0, length at 0x24, \"MIE;\" at 0x3c",
    find: Find::Anywhere(find_toc1),
};

/// Stands in the checksum's place while the sum is made.
const STAMP: u32 = 0x5f0a_6c39;
const TOC_MAGIC: u32 = 0x8911_9800;

/// Whether the sum of all words is what is stored at `sum_at`.
fn is_sum_right(image: &[u8], len: u64, sum_at: u64) -> Option<bool> {
    let stored = image.u32_le(sum_at)?;
    let sum = sum_words(image.span(0, len)?).wrapping_sub(stored).wrapping_add(STAMP);
    Some(sum == stored)
}

/// The image with this length field, if it can be: a multiple of 4, so that there is a sum.
fn image(image: &[u8], len: u32, sum_at: u64) -> Extent {
    match plausible(len.into()).filter(|len| len % 4 == 0) {
        Some(len) => Extent::new(len, checked(is_sum_right(image, len, sum_at))),
        None => Extent::new(SECTOR, format!("its length field is {len:#x}")),
    }
}

fn find_egon(bytes: &[u8]) -> Option<Extent> {
    Some(image(bytes, bytes.u32_le(0x10)?, 0x0c))
}

fn find_toc0(bytes: &[u8]) -> Option<Extent> {
    (bytes.u32_le(8)? == TOC_MAGIC).then_some(())?;
    Some(image(bytes, bytes.u32_le(0x1c)?, 0x0c))
}

fn find_toc1(bytes: &[u8]) -> Option<Extent> {
    (bytes.u32_le(0x10)? == TOC_MAGIC && bytes.has(0x3c, b"MIE;")).then_some(())?;
    Some(image(bytes, bytes.u32_le(0x24)?, 0x14))
}
