// SPDX-License-Identifier: MIT OR Apache-2.0
//! LBA 0: an MBR, or a file system in its place.

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Kind, Partition, PartitionTable, Scheme, TableProblem};
use crate::bytes::{Bytes, SECTOR};

/// One entry of an MBR.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct MbrEntry {
    flag: u8,
    start_chs: [u8; 3],
    kind: u8,
    end_chs: [u8; 3],
    start_lba: U32,
    sectors: U32,
}

const MBR_ENTRIES_OFFSET: u64 = 446;
const MBR_SIGNATURE_OFFSET: u64 = 510;
const MBR_SIGNATURE: [u8; 2] = [0x55, 0xaa];
const MBR_PROTECTIVE: u8 = 0xee;

/// Reads LBA 0; says whether it has a protective entry.
pub(super) fn read(bytes: &[u8], table: &mut PartitionTable) -> bool {
    let Some(lba0) = bytes.span(0, SECTOR) else {
        table.problems.push(TableProblem::TooShort);
        return false;
    };
    if !lba0.has(MBR_SIGNATURE_OFFSET, &MBR_SIGNATURE) {
        table.problems.push(match find_superfloppy(bytes) {
            Some(filesystem) => TableProblem::Superfloppy { filesystem },
            None => TableProblem::NoSignature,
        });
        return false;
    }
    let Some(entries) = lba0.object::<[MbrEntry; 4]>(MBR_ENTRIES_OFFSET) else { return false };
    let bad_flag = (1..).zip(&entries).find(|(_, entry)| !matches!(entry.flag, 0x00 | 0x80));
    let protective = entries.iter().any(|entry| entry.kind == MBR_PROTECTIVE);
    let used = entries.iter().any(|entry| entry.sectors.get() != 0);
    if let Some(filesystem) = find_superfloppy(bytes)
        && (bad_flag.is_some() || !used)
    {
        table.problems.push(TableProblem::Superfloppy { filesystem });
        return false;
    }
    if let Some((number, entry)) = bad_flag {
        table.problems.push(TableProblem::BootFlag { number, found: entry.flag });
        return false;
    }
    for (number, entry) in (1..).zip(&entries) {
        if entry.sectors.get() != 0 && entry.kind != MBR_PROTECTIVE {
            table.partitions.push(Partition {
                number,
                start_lba: entry.start_lba.get().into(),
                sectors: entry.sectors.get().into(),
                kind: Kind::Mbr(entry.kind),
                name: None,
            });
        }
    }
    table.scheme = match (protective, table.partitions.is_empty()) {
        (true, true) => Scheme::Gpt,
        (true, false) => Scheme::Hybrid,
        (false, false) => Scheme::Mbr,
        (false, true) => {
            table.problems.push(TableProblem::NoEntries);
            Scheme::None
        }
    };
    protective
}

/// A file system that fills the card from LBA 0 on, by its boot sector or, for ext, by its superblock.
fn find_superfloppy(bytes: &[u8]) -> Option<&'static str> {
    const EXT_MAGIC_OFFSET: u64 = 1024 + 0x38;
    if bytes.has(3, b"NTFS    ") {
        return Some("NTFS");
    }
    if bytes.has(3, b"EXFAT   ") {
        return Some("exFAT");
    }
    if is_fat(bytes) {
        return Some("FAT");
    }
    // A card with an MBR may have a leftover of ext at LBA 2, so only without the signature.
    let ext = bytes.has(EXT_MAGIC_OFFSET, &[0x53, 0xef]) && !bytes.has(MBR_SIGNATURE_OFFSET, &MBR_SIGNATURE);
    ext.then_some("ext2/3/4")
}

/// Whether LBA 0 has the parameter block of a FAT file system. Source: Microsoft's FAT specification, section 3.
fn is_fat(bytes: &[u8]) -> bool {
    let jump = bytes.has(0, &[0xe9]) || (bytes.has(0, &[0xeb]) && bytes.has(2, &[0x90]));
    let sector_len = bytes.u16_le(11).is_some_and(|len| matches!(len, 512 | 1024 | 2048 | 4096));
    let cluster = bytes.byte(13).is_some_and(u8::is_power_of_two);
    let reserved = bytes.u16_le(14).is_some_and(|sectors| sectors > 0);
    let fats = bytes.byte(16).is_some_and(|fats| matches!(fats, 1 | 2));
    let media = bytes.byte(21).is_some_and(|media| media == 0xf0 || media >= 0xf8);
    jump && sector_len && cluster && reserved && fats && media
}
