// SPDX-License-Identifier: MIT OR Apache-2.0
//! LBA 0: an MBR, or a file system in its place.

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Kind, Partition, PartitionTable, Scheme, TableProblem, nested};
use crate::bytes::{Bytes, SECTOR};
use crate::gap::Gap;

/// One entry of an MBR.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct MbrEntry {
    flag: u8,
    start_chs: [u8; 3],
    pub(super) kind: u8,
    end_chs: [u8; 3],
    pub(super) start_lba: U32,
    pub(super) sectors: U32,
}

const MBR_ENTRIES_OFFSET: u64 = 446;
const MBR_SIGNATURE_OFFSET: u64 = 510;
const MBR_SIGNATURE: [u8; 2] = [0x55, 0xaa];
const MBR_PROTECTIVE: u8 = 0xee;

/// Whether LBA 0 has an entry of type 0xEE, which lets readers look for a GPT.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protective {
    None,
    /// One that does not start at LBA 1: Linux does not take the GPT then.
    Elsewhere,
    /// One that starts at LBA 1.
    AtHeader,
}

/// The four entries of LBA 0 or of an extended boot record, if the sector has the signature.
pub(super) fn entries(sector: &[u8]) -> Option<[MbrEntry; 4]> {
    if !sector.has(MBR_SIGNATURE_OFFSET, &MBR_SIGNATURE) {
        return None;
    }
    sector.object(MBR_ENTRIES_OFFSET)
}

/// Reads LBA 0, and the tables inside its partitions; says whether it has a protective entry.
pub(super) fn read(gap: &Gap<'_>, table: &mut PartitionTable) -> Protective {
    let bytes = gap.bytes();
    let Some(lba0) = bytes.span(0, SECTOR) else {
        table.problems.push(TableProblem::TooShort);
        return Protective::None;
    };
    let Some(entries) = entries(lba0) else {
        table.problems.push(match find_superfloppy(bytes) {
            Some(filesystem) => TableProblem::Superfloppy { filesystem },
            None => TableProblem::NoSignature,
        });
        return Protective::None;
    };
    let is_protective = |entry: &&MbrEntry| entry.kind == MBR_PROTECTIVE;
    let protective = match entries.iter().filter(is_protective).map(|entry| entry.start_lba.get()).collect() {
        starts if Vec::is_empty(&starts) => Protective::None,
        starts if starts.contains(&1) => Protective::AtHeader,
        _ => Protective::Elsewhere,
    };
    // libblkid sees no table where it recognises a FAT, whatever the entries say.
    if let Some(filesystem) = find_superfloppy(bytes) {
        table.problems.push(TableProblem::Superfloppy { filesystem });
    } else if protective == Protective::None
        && let Some((number, entry)) =
            (1..).zip(&entries).find(|(_, entry)| !matches!(entry.flag, 0x00 | 0x80))
    {
        table.problems.push(TableProblem::BootFlag { number, found: entry.flag });
        return protective;
    }
    let used = |entry: &MbrEntry| match protective {
        Protective::None => entry.sectors.get() != 0,
        // Beside a GPT an entry without a type is nobody's.
        _ => entry.sectors.get() != 0 && entry.kind != MBR_PROTECTIVE && entry.kind != 0,
    };
    let primary = (1..).zip(&entries).filter(|(_, entry)| used(entry)).map(|(number, entry)| Partition {
        number,
        start_lba: entry.start_lba.get().into(),
        sectors: entry.sectors.get().into(),
        kind: Kind::Mbr(entry.kind),
        container: None,
        name: None,
    });
    let primary: Vec<_> = primary.collect();
    let is_mbr_empty = primary.is_empty();
    table.scheme = match (protective != Protective::None, is_mbr_empty) {
        (true, true) => Scheme::Gpt,
        (true, false) => Scheme::Hybrid,
        // Without a partition as `sfdisk` and `parted mklabel` leave it.
        (false, _) => Scheme::Mbr,
    };
    nested::read(gap, &primary, table);
    table.partitions.extend(primary);
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
    // A card with an MBR may have a leftover of ext at LBA 2, so only without the signature or without an entry.
    let has_table =
        bytes.has(MBR_SIGNATURE_OFFSET, &MBR_SIGNATURE) && !bytes.has(MBR_ENTRIES_OFFSET, &[0; 64]);
    let ext = bytes.has(EXT_MAGIC_OFFSET, &[0x53, 0xef]) && !has_table;
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
