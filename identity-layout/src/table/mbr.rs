// SPDX-License-Identifier: MIT OR Apache-2.0
//! LBA 0: an MBR.

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Kind, Partition, PartitionTable, Scheme, TableProblem};
use crate::bytes::{Bytes, SECTOR};
use crate::gap::Gap;
use crate::mark::Mark;

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

/// Reads LBA 0: whether it has a protective entry, and its partitions.
pub(super) fn read(gap: &Gap<'_>, table: &mut PartitionTable) -> (Protective, Vec<Partition>) {
    let bytes = gap.bytes();
    let Some(lba0) = bytes.span(0, SECTOR) else {
        table.problems.push(TableProblem::TooShort);
        return (Protective::None, Vec::new());
    };
    let Some(entries) = entries(lba0) else {
        let is_marked = lba0.first_chunk().is_some_and(|lba0| Mark::parse(lba0).is_some());
        table.problems.push(if is_marked {
            TableProblem::UnfinishedFlash
        } else {
            let is_all = |byte: u8| lba0.iter().all(|&other| other == byte);
            TableProblem::NoSignature { is_blank: is_all(0) || is_all(0xff), sectors: gap.sectors() }
        });
        return (Protective::None, Vec::new());
    };
    let is_protective = |entry: &&MbrEntry| entry.kind == MBR_PROTECTIVE;
    let protective = match entries.iter().filter(is_protective).map(|entry| entry.start_lba.get()).collect() {
        starts if Vec::is_empty(&starts) => Protective::None,
        starts if starts.contains(&1) => Protective::AtHeader,
        _ => Protective::Elsewhere,
    };
    if protective == Protective::None
        && let Some((number, entry)) =
            (1..).zip(&entries).find(|(_, entry)| !matches!(entry.flag, 0x00 | 0x80))
    {
        table.problems.push(TableProblem::BootFlag { number, found: entry.flag });
        return (protective, Vec::new());
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
    (protective, primary)
}
