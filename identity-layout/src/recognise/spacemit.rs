// SPDX-License-Identifier: MIT OR Apache-2.0
//! SpacemiT K1 and K3: bootinfo in LBA 0 says where the first stage (FSBL) is.

use super::{Extent, Find, Format, checked, plausible};
use crate::bytes::{Bytes, CRC32, SECTOR};

const FAMILY: &str = "SpacemiT";

/// In the boot area of LBA 0, and the two places of the FSBL that it names.
pub const BOOTINFO: Format = Format {
    name: "bootinfo",
    family: FAMILY,
    magic: &[(0, &[0xf0, 0x14, 0x07, 0xb0])],
    source: "SpacemiT U-Boot board/spacemit/k1-x/configs/bootinfo_sd.json",
    find: Find::Lba0(find_bootinfo),
};

/// The first stage; its header has no open description of its length.
pub const FSBL: Format = Format {
    name: "FSBL (AIHD)",
    family: FAMILY,
    magic: &[(0x100, b"AIHD")],
    source: "U-Boot list, 2026: \"Document the boot image layout shared by the SpacemiT K1 and K3\"",
    find: Find::Anywhere(find_fsbl),
};

const BOOTINFO_LEN: u64 = 80;
const BOOTINFO_CRC: u64 = 64;

fn find_bootinfo(bytes: &[u8]) -> Vec<Extent> {
    let good =
        bytes.span(0, BOOTINFO_CRC).map(|head| Some(CRC32.checksum(head)) == bytes.u32_le(BOOTINFO_CRC));
    let mut found = vec![Extent::new(BOOTINFO_LEN, checked(good))];
    let limit = bytes.u32_le(40).and_then(|len| plausible(len.into()));
    for (offset, name) in [(32, "FSBL"), (36, "second FSBL")] {
        let place = bytes.u32_le(offset).map(u64::from).filter(|at| at % SECTOR == 0).and_then(plausible);
        if let Some((at, len)) = place.zip(limit) {
            found.push(Extent { at, len, detail: format!("place of the {name}") });
        }
    }
    found
}

/// Keys, headers and signatures.
const FSBL_HEADER_LEN: u64 = 0x1000;

fn find_fsbl(bytes: &[u8]) -> Option<Extent> {
    bytes.span(0, FSBL_HEADER_LEN)?;
    Some(Extent::new(FSBL_HEADER_LEN, "header; the code behind it has no readable length"))
}
