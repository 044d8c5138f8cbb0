// SPDX-License-Identifier: MIT OR Apache-2.0
//! NXP QorIQ and Layerscape: what the pre-boot loader (PBL) or, on P1 and P2, the eSDHC boot ROM reads.

use crc::{CRC_32_MPEG_2, Crc};

use super::{Extent, Find, Format, checked, plausible};
use crate::bytes::{Bytes, SECTOR};

const FAMILY: &str = "NXP Layerscape";
const FAMILY_POWER: &str = "NXP QorIQ";

/// RCW and PBI of Layerscape parts with the first kind of PBL.
pub const PBL: Format = Format {
    name: "RCW and PBI",
    family: FAMILY,
    magic: &[(0, &[0xaa, 0x55, 0xaa, 0x55, 0x01, 0xee, 0x01, 0x00])],
    source: "U-Boot tools/pblimage.c, doc/README.pblimage; nxp-qoriq/rcw rcw.py",
    find: Find::Anywhere(find_pbl),
};

/// The same of Power parts.
pub const PBL_POWER: Format = Format {
    name: "RCW and PBI (Power)",
    family: FAMILY_POWER,
    magic: &[(0, &[0xaa, 0x55, 0xaa, 0x55, 0x01, 0x0e, 0x01, 0x00])],
    source: PBL.source,
    find: Find::Anywhere(find_pbl),
};

/// RCW and PBI of LS1088, LS2088 and LX2160: little-endian, with other commands.
pub const PBL_CHASSIS_3: Format = Format {
    name: "RCW and PBI (chassis 3)",
    family: FAMILY,
    magic: &[
        (0, &[0x55, 0xaa, 0x55, 0xaa, 0x00, 0x00, 0x10, 0x80]),
        (0, &[0x55, 0xaa, 0x55, 0xaa, 0x00, 0x00, 0x11, 0x80]),
    ],
    source: "nxp-qoriq/rcw rcw.py, pbiformat 2",
    find: Find::Anywhere(find_pbl_chassis_3),
};

/// What LBA 0 of a P1 or P2 card says of the boot image.
pub const ESDHC_BOOT: Format = Format {
    name: "U-Boot (eSDHC boot)",
    family: FAMILY_POWER,
    magic: &[(0x40, b"BOOT")],
    source: "U-Boot board/nxp/common/sdhc_boot.c (length at 0x48, address at 0x50); BOOT from memory",
    find: Find::Lba0(find_esdhc_boot),
};

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_MPEG_2);
/// More than any PBI that the boot ROM takes.
const PBL_LEN_MAX: u64 = 1 << 20;

/// Walks the commands: each has its number of bytes in its first byte, and the last one is not marked as continued.
fn find_pbl(bytes: &[u8]) -> Option<Extent> {
    let mut at = 4_u64;
    while at < PBL_LEN_MAX {
        let command = bytes.byte(at)?;
        at = at.checked_add(4)?;
        if command & 1 == 0 {
            let good = bytes.u32_be(at)? == CRC.checksum(bytes.span(0, at)?);
            return Some(Extent::new(at.checked_add(4)?, checked(Some(good))));
        }
        let count = match (command >> 1) & 0x3f {
            0 => 64,
            count => u64::from(count).checked_next_multiple_of(4)?,
        };
        at = at.checked_add(count)?;
    }
    None
}

/// Preamble, load command, 128 bytes of RCW and their checksum.
const CHASSIS_3_PBI_OFFSET: u64 = 4 + 4 + 128 + 4;
/// Where this PBL lies on a card; block copies count from the card's start.
const PBL_OFFSET: u64 = 8 * SECTOR;

fn find_pbl_chassis_3(bytes: &[u8]) -> Option<Extent> {
    let mut at = CHASSIS_3_PBI_OFFSET;
    let mut copies_end = 0;
    while at < PBL_LEN_MAX {
        let word = bytes.u32_le(at)?;
        let (operation, sub) = (word >> 24, (word >> 16) & 0xff);
        let operands = match (operation, sub) {
            (0x80, 0x00) => {
                let source = u64::from(bytes.u32_le(at.checked_add(4)?)?);
                let len = u64::from(bytes.u32_le(at.checked_add(12)?)?);
                let end = source.checked_add(len)?.checked_sub(PBL_OFFSET).and_then(plausible);
                copies_end = end.unwrap_or(0).max(copies_end);
                3
            }
            (0x80, 0x8f | 0xff) => {
                let end = at.checked_add(8)?.max(copies_end);
                return Some(Extent::new(end, "with what its block copies load"));
            }
            (0x80, 0x14) => 2,
            (0x80, 0x80 | 0x81) => 3,
            (0x80, _) => 0,
            (operation, _) if operation & 0xc0 == 0x00 => 1,
            // An alternate write of 1, 2, 4, 8, 16 … bytes.
            (operation, _) if operation & 0xc0 == 0x80 => {
                let bytes = 1_u64.checked_shl(((operation >> 2) & 0xf).checked_sub(1)?)?;
                bytes.div_ceil(4)
            }
            _ => return None,
        };
        at = at.checked_add(4)?.checked_add(operands.checked_mul(4)?)?;
    }
    None
}

fn find_esdhc_boot(bytes: &[u8]) -> Vec<Extent> {
    let image = || {
        let (len, at) = (plausible(bytes.u32_be(0x48)?.into())?, plausible(bytes.u32_be(0x50)?.into())?);
        (at % SECTOR == 0).then(|| Extent { at, len, detail: "its environment follows it".into() })
    };
    image().into_iter().collect()
}
