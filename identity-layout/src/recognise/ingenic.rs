// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ingenic JZ4780 (Creator CI20): SPL at LBA 1.

use super::{Extent, Find, Format};
use crate::bytes::SECTOR;

/// SPL, with U-Boot behind it.
pub const SPL: Format = Format {
    name: "SPL (MSPL)",
    family: "Ingenic",
    // A word, so its letters stand backwards on the card.
    magic: &[(SECTOR, b"LPSM")],
    source: "U-Boot arch/mips/mach-jz47xx/start.S; board/imgtec/ci20/README (seek=1, U-Boot from 14 KiB on)",
    find: Find::Lba0(find_spl),
};

/// All that the boot ROM loads.
const SPL_LEN: u64 = 14 << 10;

fn find_spl(_: &[u8]) -> Vec<Extent> {
    vec![Extent { at: SECTOR, len: SPL_LEN.saturating_sub(SECTOR), detail: String::new() }]
}
