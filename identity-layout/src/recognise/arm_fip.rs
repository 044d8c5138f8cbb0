// SPDX-License-Identifier: MIT OR Apache-2.0
//! Trusted Firmware-A's firmware image package, the BL2 payload of many families.

use super::{Extent, Find, Format, plausible};
use crate::bytes::Bytes;

/// The package: a table of contents, then the images.
pub const FIP: Format = Format {
    name: "firmware image package (FIP)",
    family: "Trusted Firmware-A",
    magic: &[(0, &[0x01, 0x00, 0x64, 0xaa])],
    source: "TF-A include/tools_share/firmware_image_package.h",
    find: Find::Anywhere(find_fip),
};

const HEADER_LEN: u64 = 16;
const ENTRY_LEN: u64 = 40;
const ENTRIES_MAX: u64 = 64;

fn find_fip(bytes: &[u8]) -> Option<Extent> {
    let serial = bytes.u32_le(4)?;
    (serial != 0).then_some(())?;
    let mut end = 0;
    for number in 0..ENTRIES_MAX {
        let entry = bytes.span(HEADER_LEN.checked_add(number.checked_mul(ENTRY_LEN)?)?, ENTRY_LEN)?;
        let (at, len) = (entry.u64_le(16)?, entry.u64_le(24)?);
        end = plausible(at.checked_add(len)?)?.max(end);
        // The entry without a UUID is the last one.
        if entry.span(0, 16)?.iter().all(|&byte| byte == 0) {
            return (number > 0).then(|| Extent::new(end, format!("{number} images")));
        }
    }
    None
}
