// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRUB for BIOS: core.img, by the list of blocks that boot.img and diskboot.img hold; and the single sectors of
//! other tools that GRUB steps around.

use super::{Extent, Find, Format};
use crate::bytes::{Bytes, SECTOR};

/// The core image. Its list of blocks covers the Reed-Solomon redundancy, too.
pub const CORE: Format = Format {
    name: "core.img",
    family: "GRUB",
    // boot.img starts with a jump over the parameter block; where the name stands differs between versions.
    magic: &[(0, &[0xeb, 0x63, 0x90])],
    source: "GRUB util/setup.c, grub-core/boot/i386/pc/{boot,diskboot}.S, include/grub/i386/pc/boot.h",
    find: Find::Lba0(find_core),
};

/// Sectors with which other programs mark a disk.
pub const OTHER_TOOLS: Format = Format {
    name: "marker sector",
    family: "PC software",
    magic: &[],
    source: "GRUB grub-core/partmap/msdos.c embed_signatures",
    find: Find::Lba0(find_other_tools),
};

const KERNEL_SECTOR_OFFSET: u64 = 0x5c;
/// The first entry of the list is the last twelve bytes; the list grows downwards.
const BLOCK_LIST_OFFSET: u64 = 0x200 - BLOCK_LEN;
const BLOCK_LEN: u64 = 12;
const BLOCKS_MAX: u64 = 32;

fn find_core(bytes: &[u8]) -> Vec<Extent> {
    find_blocks(bytes).unwrap_or_default()
}

fn find_blocks(bytes: &[u8]) -> Option<Vec<Extent>> {
    let boot = bytes.span(0, SECTOR)?;
    boot.windows(4).any(|window| window == b"GRUB").then_some(())?;
    let kernel_lba = boot.u64_le(KERNEL_SECTOR_OFFSET)?;
    let diskboot = bytes.span(kernel_lba.checked_mul(SECTOR)?, SECTOR)?;
    diskboot.windows(7).any(|window| window == b"loading").then_some(())?;

    let mut runs = vec![(kernel_lba, 1)];
    for number in 0..BLOCKS_MAX {
        let block =
            diskboot.span(BLOCK_LIST_OFFSET.checked_sub(number.checked_mul(BLOCK_LEN)?)?, BLOCK_LEN)?;
        let (start, count) = (block.u64_le(0)?, u64::from(block.u16_le(8)?));
        if count == 0 {
            break;
        }
        match runs.last_mut() {
            Some((last, sectors)) if last.checked_add(*sectors)? == start => {
                *sectors = sectors.checked_add(count)?;
            }
            _ => runs.push((start, count)),
        }
    }
    runs.into_iter()
        .map(|(start, count)| {
            let (at, len) = (start.checked_mul(SECTOR)?, count.checked_mul(SECTOR)?);
            Some(Extent { at, len, detail: String::new() })
        })
        .collect()
}

/// Where these sectors are found: before the first partition of a disk with cylinders.
const MARKER_LBA_MAX: u64 = 62;
const MARKERS: [(&[u8], &str); 5] = [
    (&[0xd4, 0x41, 0xa0, 0xf5, 0x03, 0x00, 0x03, 0x00], "FlexNet"),
    (&[0xd8, 0x41, 0xa0, 0xf5, 0x02, 0x00, 0x02, 0x00], "FlexNet"),
    (b"ZISD", "Zenix recovery"),
    (b"ycgl", "HighPoint RAID"),
    (b"GREGRegDone.Tag\0", "Acer registration"),
];

fn find_other_tools(bytes: &[u8]) -> Vec<Extent> {
    let mut found = Vec::new();
    for at in (1..=MARKER_LBA_MAX).filter_map(|lba| lba.checked_mul(SECTOR)) {
        if let Some((_, name)) = MARKERS.iter().find(|(marker, _)| bytes.has(at, marker)) {
            found.push(Extent { at, len: SECTOR, detail: (*name).into() });
        }
    }
    found
}
