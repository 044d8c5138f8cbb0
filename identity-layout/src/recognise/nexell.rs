// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nexell S5P4418 and S5P6818: images behind the 512-byte NSIH.

use super::{Extent, Find, Format, plausible};
use crate::bytes::{Bytes, SECTOR};

/// Second boot stage or U-Boot.
pub const NSIH: Format = Format {
    name: "loader (NSIH)",
    family: "Nexell",
    magic: &[(0x1fc, b"NSIH")],
    source: "U-Boot arch/arm/mach-nexell/include/mach/boot0.h",
    find: Find::Anywhere(find_nsih),
};

fn find_nsih(bytes: &[u8]) -> Option<Extent> {
    let (len, load) = (u64::from(bytes.u32_le(0x50)?), bytes.u32_le(0x58)?);
    // Loaded to a word in memory, with its length; else only the header is taken for one.
    (load % 4 == 0).then_some(())?;
    Some(Extent::new(plausible(len)?.checked_add(SECTOR)?, ""))
}
