// SPDX-License-Identifier: MIT OR Apache-2.0
//! The primary GPT, held to the rules of all its readers, and where its backups lie.

use uuid::Uuid;
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::mbr::Protective;
use super::{GptInfo, Kind, Named, Partition, PartitionTable, TableProblem};
use crate::bytes::{Bytes, CRC32, sectors};
use crate::gap::{Gap, Look};

/// The GPT header, UEFI specification 2.10, section 5.3.2.
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
/// libblkid and Linux take no other length.
const GPT_ENTRY_LEN: u32 = 128;
const GPT_ENTRY_LEN_SHOWN_MAX: u32 = 4096;
/// parted takes no more entries.
const GPT_ENTRIES_MAX: u32 = 8192;
/// parted takes no smaller first usable LBA: a header and at least one sector of entries lie before it.
const GPT_FIRST_USABLE_MIN: u64 = 3;
/// parted takes no later revision than 1.2.
const GPT_REVISION_MAX: u32 = 0x0001_0002;
const _: () = assert!(size_of::<GptHeader>() == 92 && size_of::<GptEntry>() == 128);

/// Reads the primary GPT and finds its backups.
pub(super) fn read(gap: &Gap<'_>, protective: Protective, table: &mut PartitionTable) {
    let sector = match gap.look(GPT_HEADER_LBA) {
        Look::Known(sector) => Some(sector),
        Look::Unreadable if protective != Protective::None => {
            table.problems.push(TableProblem::Unreadable { lba: GPT_HEADER_LBA });
            None
        }
        Look::Unreadable | Look::Unknown | Look::Beyond => None,
    };
    let header = sector.filter(|sector| sector.has(0, GPT_SIGNATURE));
    let header = header.and_then(|sector| Some((sector, sector.object::<GptHeader>(0)?)));
    match (protective, header) {
        (Protective::None, None) => find_backup(gap, table, gap.device_sectors().checked_sub(1)),
        (Protective::None, Some((sector, header))) => {
            table.problems.push(TableProblem::GptUnprotected);
            let mut info = info(&header, GPT_HEADER_LBA);
            info.header_crc_ok = check_header_crc(sector, &header).is_ok();
            table.unprotected = Some(info);
            find_backup(gap, table, gap.device_sectors().checked_sub(1));
        }
        (_, None) => {
            table.problems.push(TableProblem::GptMissing);
            find_backup(gap, table, gap.device_sectors().checked_sub(1));
        }
        (_, Some((sector, header))) => {
            if protective == Protective::Elsewhere {
                table.problems.push(TableProblem::ProtectiveStart);
            }
            let info = read_primary(gap, sector, &header, table);
            let (alternate, last) = (info.backup_lba, gap.device_sectors().checked_sub(1));
            table.gpt = Some(info);
            find_backup(gap, table, Some(alternate).filter(|&lba| lba > GPT_HEADER_LBA));
            find_backup(gap, table, last.filter(|&lba| lba != alternate && lba > GPT_HEADER_LBA));
        }
    }
}

fn info(header: &GptHeader, header_lba: u64) -> GptInfo {
    let (entry_count, entry_len) = (header.entry_count.get(), header.entry_len.get());
    GptInfo {
        header_lba,
        entries_lba: header.entries_lba.get(),
        entries_sectors: sectors(u64::from(entry_count).saturating_mul(entry_len.into())),
        entry_count,
        entry_len,
        first_usable_lba: header.first_usable_lba.get(),
        last_usable_lba: header.last_usable_lba.get(),
        backup_lba: header.backup_lba.get(),
        disk_id: Uuid::from_bytes_le(header.disk_id),
        header_crc_ok: false,
        entries_crc: header.entries_crc.get(),
        entries_crc_ok: None,
    }
}

fn read_primary(gap: &Gap<'_>, sector: &[u8], header: &GptHeader, table: &mut PartitionTable) -> GptInfo {
    let mut info = info(header, GPT_HEADER_LBA);
    match check_header_crc(sector, header) {
        Ok(()) => info.header_crc_ok = true,
        Err(problem) => table.problems.push(problem),
    }
    if header.own_lba.get() != GPT_HEADER_LBA {
        table.problems.push(TableProblem::GptHeaderLba { stored: header.own_lba.get() });
    }
    if header.revision.get() > GPT_REVISION_MAX {
        table.problems.push(TableProblem::GptRevision { found: header.revision.get() });
    }
    check_places(gap, &info, table);
    if info.entry_len != GPT_ENTRY_LEN {
        table.problems.push(TableProblem::GptEntryLen { found: info.entry_len });
    }
    if info.entry_count == 0 || info.entry_count > GPT_ENTRIES_MAX {
        table.problems.push(TableProblem::GptEntryCount { found: info.entry_count });
    }
    // libfdisk and parted read longer ones, so their partitions are shown with the problem.
    if !(GPT_ENTRY_LEN..=GPT_ENTRY_LEN_SHOWN_MAX).contains(&info.entry_len) {
        return info;
    }
    let entries_len = u64::from(info.entry_count).saturating_mul(info.entry_len.into());
    match find_entries(gap, &info, entries_len, table) {
        Some(entries) => {
            let (stored, computed) = (info.entries_crc, CRC32.checksum(entries));
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
    info
}

/// What the header says of places on the device. Each rule is one of a reader's: kernel `is_gpt_valid()`, libblkid
/// `get_gpt_header()`, libfdisk `gpt_check_lba_sanity()`, parted `_header_is_valid()`.
fn check_places(gap: &Gap<'_>, info: &GptInfo, table: &mut PartitionTable) {
    let (first, last) = (info.first_usable_lba, info.last_usable_lba);
    if first > last {
        table.problems.push(TableProblem::GptUsableOrder { first, last });
    }
    if first >= gap.device_sectors() || last >= gap.device_sectors() {
        let (last, sectors) = (first.max(last), gap.device_sectors());
        table.problems.push(TableProblem::GptUsableBeyond { last, sectors, too_long: None });
    }
    if first < GPT_FIRST_USABLE_MIN {
        table.problems.push(TableProblem::GptFirstUsable { first });
    }
    if info.backup_lba == GPT_HEADER_LBA || info.backup_lba >= gap.device_sectors() {
        table.problems.push(TableProblem::GptBackupLba { stored: info.backup_lba, too_long: None });
    }
}

/// Finds a backup header at `lba` and where its entries lie; it is named, and its partitions count for nothing.
fn find_backup(gap: &Gap<'_>, table: &mut PartitionTable, lba: Option<u64>) {
    let Some(lba) = lba else { return };
    let Some(sector) = table.sector(gap, lba) else {
        if table.gpt.is_some() && matches!(gap.look(lba), Look::Unreadable) {
            table.problems.push(TableProblem::Unreadable { lba });
        }
        return;
    };
    let header = if sector.has(0, GPT_SIGNATURE) { sector.object::<GptHeader>(0) } else { None };
    let Some(header) = header else { return };
    let mut backup = info(&header, lba);
    backup.header_crc_ok = check_header_crc(sector, &header).is_ok();
    match &table.gpt {
        None => table.problems.push(TableProblem::GptStaleBackup { lba }),
        Some(primary) if primary.disk_id != backup.disk_id || primary.entries_crc != backup.entries_crc => {
            table.problems.push(TableProblem::GptStaleBackup { lba });
        }
        Some(_) if lba.saturating_add(1) < gap.device_sectors() => {
            table.problems.push(TableProblem::GptBackupNotAtEnd { lba });
        }
        Some(_) => {}
    }
    table.backups.push(backup);
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
fn find_entries<'a>(
    gap: &Gap<'a>,
    info: &GptInfo,
    entries_len: u64,
    table: &mut PartitionTable,
) -> Option<&'a [u8]> {
    let end = info.entries_lba.checked_add(info.entries_sectors)?;
    if info.entries_lba <= info.header_lba || end > gap.device_sectors() {
        return None;
    }
    table.wanted.push(info.entries_lba..end);
    let is_unreadable = |lba| matches!(gap.look(lba), Look::Unreadable);
    let sectors = gap.span(info.entries_lba, info.entries_sectors)?;
    if let Some(lba) = (info.entries_lba..end).find(|lba| is_unreadable(*lba)) {
        table.problems.push(TableProblem::Unreadable { lba });
    }
    sectors.span(0, entries_len)
}

fn read_entries(entries: &[u8], info: &GptInfo, table: &mut PartitionTable) {
    let Ok(entry_len) = usize::try_from(info.entry_len) else { return };
    for (number, entry) in (1..).zip(entries.chunks_exact(entry_len)) {
        let Some(entry) = entry.object::<GptEntry>(0) else { continue };
        let (first, last) = (entry.first_lba.get(), entry.last_lba.get());
        // libfdisk lists an entry without a type that starts somewhere.
        if entry.kind == [0; 16] && (last < first || first == 0) {
            continue;
        }
        if last < first {
            let partition = Named { gpt: true, number };
            table.problems.push(TableProblem::Reversed { partition });
        }
        table.partitions.push(Partition {
            number,
            start_lba: first,
            sectors: last.checked_sub(first).map_or(0, |sectors| sectors.saturating_add(1)),
            kind: Kind::Gpt(Uuid::from_bytes_le(entry.kind)),
            container: None,
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
