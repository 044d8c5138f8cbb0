// SPDX-License-Identifier: MIT OR Apache-2.0
//! The primary GPT.

use uuid::Uuid;
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{GptInfo, Kind, Named, Partition, PartitionTable, TableProblem};
use crate::bytes::{Bytes, CRC32, sectors};
use crate::gap::Gap;

/// The GPT header.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct GptHeader {
    signature: [u8; 8],
    revision: U32,
    len: U32,
    crc: U32,
    reserved: U32,
    own_lba: U64,
    backup_lba: U64,
    first_usable_lba: U64,
    last_usable_lba: U64,
    disk_id: [u8; 16],
    entries_lba: U64,
    entry_count: U32,
    entry_len: U32,
    entries_crc: U32,
}

/// One GPT entry; what an entry longer than 128 bytes has behind it is for nobody.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct GptEntry {
    kind: [u8; 16],
    id: [u8; 16],
    first_lba: U64,
    last_lba: U64,
    attributes: U64,
    name: [[u8; 2]; 36],
}

pub(super) const GPT_SIGNATURE: &[u8; 8] = b"EFI PART";
const GPT_HEADER_LBA: u64 = 1;
const GPT_HEADER_LEN_MIN: u32 = 92;
const GPT_ENTRY_LEN_MIN: u32 = 128;
const _: () = assert!(size_of::<GptHeader>() == 92 && size_of::<GptEntry>() == 128);

pub(super) fn read(gap: &Gap<'_>, protective: bool, table: &mut PartitionTable) {
    let sector = gap.sector(GPT_HEADER_LBA).filter(|sector| sector.has(0, GPT_SIGNATURE));
    let Some((sector, header)) = sector.and_then(|sector| Some((sector, sector.object::<GptHeader>(0)?)))
    else {
        if protective {
            table.problems.push(TableProblem::GptMissing);
        }
        return;
    };
    if !protective {
        table.problems.push(TableProblem::GptUnprotected);
    }

    let header_crc_ok = match check_header_crc(sector, &header) {
        Ok(()) => true,
        Err(problem) => {
            table.problems.push(problem);
            false
        }
    };
    if header.own_lba.get() != GPT_HEADER_LBA {
        table.problems.push(TableProblem::GptHeaderLba { stored: header.own_lba.get() });
    }
    let (entry_count, entry_len) = (header.entry_count.get(), header.entry_len.get());
    let entries_len = u64::from(entry_count).saturating_mul(entry_len.into());
    let mut info = GptInfo {
        header_lba: GPT_HEADER_LBA,
        entries_lba: header.entries_lba.get(),
        entries_sectors: sectors(entries_len),
        entry_count,
        entry_len,
        first_usable_lba: header.first_usable_lba.get(),
        last_usable_lba: header.last_usable_lba.get(),
        backup_lba: header.backup_lba.get(),
        disk_id: Uuid::from_bytes_le(header.disk_id),
        header_crc_ok,
        entries_crc_ok: None,
    };
    if entry_len < GPT_ENTRY_LEN_MIN || !entry_len.is_power_of_two() {
        table.problems.push(TableProblem::GptEntryLen { found: entry_len });
    } else {
        match find_entries(gap, &info, entries_len) {
            Some(entries) => {
                let (stored, computed) = (header.entries_crc.get(), CRC32.checksum(entries));
                info.entries_crc_ok = Some(stored == computed);
                if stored != computed {
                    table.problems.push(TableProblem::GptEntriesCrc { stored, computed });
                }
                read_entries(entries, &info, table);
            }
            None => table.problems.push(TableProblem::GptEntriesOutside {
                start_lba: info.entries_lba,
                sectors: info.entries_sectors,
            }),
        }
    }
    table.gpt = Some(info);
}

fn check_header_crc(sector: &[u8], header: &GptHeader) -> Result<(), TableProblem> {
    let found = header.len.get();
    let rest = found
        .checked_sub(GPT_HEADER_LEN_MIN)
        .and_then(|rest| sector.span(GPT_HEADER_LEN_MIN.into(), rest.into()))
        .ok_or(TableProblem::GptHeaderLen { found })?;
    let mut without_crc = *header;
    without_crc.crc = U32::ZERO;
    let mut digest = CRC32.digest();
    digest.update(without_crc.as_bytes());
    digest.update(rest);
    let (stored, computed) = (header.crc.get(), digest.finalize());
    if stored == computed { Ok(()) } else { Err(TableProblem::GptHeaderCrc { stored, computed }) }
}

/// The bytes of all entries, if they lie behind the header, on the device, and in what was read.
fn find_entries<'a>(gap: &Gap<'a>, info: &GptInfo, entries_len: u64) -> Option<&'a [u8]> {
    let end = info.entries_lba.checked_add(info.entries_sectors)?;
    let possible = info.entries_lba > info.header_lba && end <= gap.device_sectors();
    let sectors = possible.then(|| gap.span(info.entries_lba, info.entries_sectors)).flatten()?;
    sectors.span(0, entries_len)
}

fn read_entries(entries: &[u8], info: &GptInfo, table: &mut PartitionTable) {
    let Ok(entry_len) = usize::try_from(info.entry_len) else { return };
    for (number, entry) in (1..).zip(entries.chunks_exact(entry_len)) {
        let Some(entry) = entry.object::<GptEntry>(0).filter(|entry| entry.kind != [0; 16]) else { continue };
        let (first, last) = (entry.first_lba.get(), entry.last_lba.get());
        if last < first {
            let partition = Named { gpt: true, number };
            table.problems.push(TableProblem::Reversed { partition });
        }
        table.partitions.push(Partition {
            number,
            start_lba: first,
            sectors: last.checked_sub(first).map_or(0, |sectors| sectors.saturating_add(1)),
            kind: Kind::Gpt(Uuid::from_bytes_le(entry.kind)),
            name: read_name(&entry.name),
        });
    }
}

/// A name up to its end mark; anything that could disturb a terminal becomes the replacement character.
pub(super) fn read_name(units: &[[u8; 2]]) -> Option<String> {
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
    let name: String = char::decode_utf16(units)
        .map(|char| char.ok().filter(|char| !char.is_control()).unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    (!name.is_empty()).then_some(name)
}
