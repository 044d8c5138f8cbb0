// SPDX-License-Identifier: MIT OR Apache-2.0
//! Canaan Kendryte K230: every image that its boot ROM and SPL load has the same header.

use super::{Extent, Find, Format, plausible};
use crate::bytes::Bytes;

/// SPL, U-Boot, and RT-Smart.
pub const K230: Format = Format {
    name: "K230 image",
    family: "Canaan K230",
    magic: &[(0, b"K230")],
    source: "k230_sdk tools/firmware_gen.py: magic, length, kind of encryption, hash; header of 528 bytes",
    find: Find::Anywhere(find_k230),
};

const HEADER_LEN: u64 = 528;
/// Highest number of an encryption: 0 none, 1 SM4, 2 AES.
const ENCRYPTION_MAX: u32 = 2;

fn find_k230(bytes: &[u8]) -> Option<Extent> {
    (bytes.u32_le(8)? <= ENCRYPTION_MAX).then_some(())?;
    let len = plausible(bytes.u32_le(4)?.into())?;
    Some(Extent::new(len.checked_add(HEADER_LEN)?, ""))
}
