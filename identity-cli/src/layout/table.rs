// SPDX-License-Identifier: MIT OR Apache-2.0
//! Partition tables: MBR, GPT and both at once (hybrid), and everything that is wrong with them.
//!
//! Sources: UEFI specification 2.10, chapter 5; what Linux (`block/partitions/{msdos,efi}.c`) and U-Boot
//! (`disk/part_{dos,efi}.c`) take for a table.

use std::fmt;

use uuid::Uuid;
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::bytes::{Bytes, CRC32, SECTOR, sectors};

/// Which tables a card has, by what its first sector says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// None.
    None,
    /// An MBR alone.
    Mbr,
    /// A GPT behind a protective MBR.
    Gpt,
    /// A GPT, and an MBR that has more entries than the protective one.
    Hybrid,
}

impl Scheme {
    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Mbr => "mbr",
            Self::Gpt => "gpt",
            Self::Hybrid => "hybrid",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no partition table",
            Self::Mbr => "MBR",
            Self::Gpt => "GPT",
            Self::Hybrid => "hybrid GPT and MBR",
        })
    }
}

/// What a table says that a partition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Type byte of an MBR entry.
    Mbr(u8),
    /// Type GUID of a GPT entry.
    Gpt(Uuid),
}

/// MBR types that are named in messages. Sources: util-linux `include/pt-mbr-partnames.h`; 0x53 is the i.MX23/28
/// ROM's (U-Boot `doc/board/nxp/mx28evk.rst`), 0xA2 the SoCFPGA ROM's, 0xDA Linaro's for loaders.
const MBR_NAMES: [(u8, &str); 15] = [
    (0x05, "extended"),
    (0x06, "FAT16"),
    (0x07, "NTFS or exFAT"),
    (0x0b, "FAT32"),
    (0x0c, "FAT32 LBA"),
    (0x0e, "FAT16 LBA"),
    (0x0f, "extended LBA"),
    (0x53, "i.MX23/28 boot stream"),
    (0x82, "Linux swap"),
    (0x83, "Linux"),
    (0x85, "Linux extended"),
    (0x8e, "Linux LVM"),
    (0xa2, "SoCFPGA boot loader"),
    (0xda, "non-filesystem data"),
    (0xef, "EFI system"),
];

/// GPT types that are named in messages. Sources: UEFI specification, UAPI discoverable partitions specification;
/// the StarFive, SiFive and BIOS boot types from U-Boot `doc/board/{starfive,sifive}` and `include/part_efi.h`.
const GPT_NAMES: [(Uuid, &str); 9] = [
    (Uuid::from_u128(0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b), "EFI system"),
    (Uuid::from_u128(0x0fc63daf_8483_4772_8e79_3d69d8477de4), "Linux"),
    (Uuid::from_u128(0x0657fd6d_a4ab_43c4_84e5_0933c84b4f4f), "Linux swap"),
    (Uuid::from_u128(0xebd0a0a2_b9e5_4433_87c0_68b6b72699c7), "basic data"),
    (Uuid::from_u128(0x21686148_6449_6e6f_744e_656564454649), "BIOS boot"),
    (Uuid::from_u128(0x5b193300_fc78_40cd_8002_e86c45580b47), "SiFive SPL, StarFive U-Boot"),
    (Uuid::from_u128(0x2e54b353_1271_4842_806f_e436d6af6985), "SiFive U-Boot, StarFive SPL"),
    (Uuid::from_u128(0xb921b045_1df0_41c3_af44_4c6f280d3fae), "Linux root arm64"),
    (Uuid::from_u128(0x69dad710_2ce4_4e3c_b16c_21a1d49abed3), "Linux root arm"),
];

impl Kind {
    /// The type's name, where it is a well-known one.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Self::Mbr(kind) => MBR_NAMES.iter().find(|(known, _)| known == kind).map(|(_, name)| *name),
            Self::Gpt(kind) => GPT_NAMES.iter().find(|(known, _)| known == kind).map(|(_, name)| *name),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self) {
            (Some(name), _) => f.write_str(name),
            (None, Self::Mbr(kind)) => write!(f, "type 0x{kind:02x}"),
            (None, Self::Gpt(kind)) => write!(f, "type {kind}"),
        }
    }
}

/// One partition as its table states it; it may be nonsense, then [`PartitionTable::problems`] says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// 1 for the first entry of its table.
    pub number: u32,
    /// First sector.
    pub start_lba: u64,
    /// Length.
    pub sectors: u64,
    /// What it is for; says which table the entry is in, too.
    pub kind: Kind,
    /// GPT name, without control characters.
    pub name: Option<String>,
}

impl Partition {
    /// First sector behind it.
    pub fn end_lba(&self) -> u64 {
        self.start_lba.saturating_add(self.sectors)
    }

    /// Whether the entry is in the GPT.
    pub fn is_gpt(&self) -> bool {
        matches!(self.kind, Kind::Gpt(_))
    }

    fn name_in_text(&self) -> Named {
        Named { gpt: self.is_gpt(), number: self.number }
    }
}

/// What the primary GPT header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GptInfo {
    /// Where the header is.
    pub header_lba: u64,
    /// First sector of the entry array; not always 2.
    pub entries_lba: u64,
    /// Length of the entry array in sectors.
    pub entries_sectors: u64,
    /// Number of entries, used or not.
    pub entry_count: u32,
    /// Length of one entry in bytes.
    pub entry_len: u32,
    /// First sector that partitions may use.
    pub first_usable_lba: u64,
    /// Last sector that partitions may use.
    pub last_usable_lba: u64,
    /// Where the backup header is.
    pub backup_lba: u64,
    /// The disk's GUID.
    pub disk_id: Uuid,
    /// Whether the header's checksum is right.
    pub header_crc_ok: bool,
    /// Whether the entries' checksum is right; `None` when they lie outside what was read.
    pub entries_crc_ok: Option<bool>,
}

/// A partition in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Whether the GPT has it, rather than the MBR.
    pub gpt: bool,
    /// Its number there.
    pub number: u32,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} partition {}", if self.gpt { "GPT" } else { "MBR" }, self.number)
    }
}

/// What is wrong with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableProblem {
    /// Less than one sector.
    TooShort,
    /// LBA 0 does not end in 55 AA.
    NoSignature,
    /// 55 AA, and no partition.
    NoEntries,
    /// 55 AA, and an entry whose boot flag no table has: code, not a table.
    BootFlag {
        /// The entry.
        number: u32,
        /// Its flag, neither 0x00 nor 0x80.
        found: u8,
    },
    /// A file system from LBA 0 on, without a partition table.
    Superfloppy {
        /// Which.
        filesystem: &'static str,
    },
    /// An ISO 9660 image, whose first 32 KiB belong to boot loaders and whose partitions may start at LBA 0.
    Iso9660,
    /// A protective MBR without a GPT header at LBA 1.
    GptMissing,
    /// A GPT header at LBA 1 without a protective MBR: which of the two holds is for a person to say.
    GptUnprotected,
    /// The GPT header's length is impossible.
    GptHeaderLen {
        /// Length found, in bytes.
        found: u32,
    },
    /// The GPT header's checksum differs.
    GptHeaderCrc {
        /// As stored.
        stored: u32,
        /// As it should be.
        computed: u32,
    },
    /// The GPT header was written for another place.
    GptHeaderLba {
        /// The LBA that it says it is at.
        stored: u64,
    },
    /// The length of a GPT entry is impossible.
    GptEntryLen {
        /// Length found, in bytes.
        found: u32,
    },
    /// The GPT entries lie outside what was read, or where no entries can be.
    GptEntriesOutside {
        /// First sector.
        start_lba: u64,
        /// Length.
        sectors: u64,
    },
    /// The GPT entries' checksum differs.
    GptEntriesCrc {
        /// As stored.
        stored: u32,
        /// As it should be.
        computed: u32,
    },
    /// A GPT partition ends before it starts.
    Reversed {
        /// Which.
        partition: Named,
    },
    /// A GPT partition covers the GPT itself.
    OverGpt {
        /// Which.
        partition: Named,
    },
    /// Two partitions of one table share a sector.
    Overlap {
        /// One.
        one: Named,
        /// The other.
        other: Named,
    },
    /// A partition reaches beyond the end of the device.
    Beyond {
        /// Which.
        partition: Named,
        /// First sector behind it.
        end_lba: u64,
    },
}

impl TableProblem {
    /// Whether no slot may be chosen by this table. Only a partition that is cut off at the device's end is
    /// harmless: what lies before the first partition does not depend on it.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Beyond { .. })
    }
}

impl fmt::Display for TableProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => f.write_str("shorter than one sector"),
            Self::NoSignature => f.write_str("no partition table: LBA 0 does not end in 55 AA"),
            Self::NoEntries => f.write_str("a partition table without a partition"),
            Self::BootFlag { number, found } => write!(
                f,
                "no partition table: LBA 0 ends in 55 AA, but entry {number} has the boot flag 0x{found:02x}"
            ),
            Self::Superfloppy { filesystem } => {
                write!(f, "no partition table: a {filesystem} file system starts at LBA 0")
            }
            Self::Iso9660 => f.write_str("an ISO 9660 image, whose first 64 sectors belong to boot loaders"),
            Self::GptMissing => f.write_str("a protective MBR, but no GPT header at LBA 1"),
            Self::GptUnprotected => f.write_str("a GPT header at LBA 1, but no protective MBR"),
            Self::GptHeaderLen { found } => write!(f, "the GPT header's length is {found} bytes"),
            Self::GptHeaderCrc { stored, computed } => {
                write!(f, "the GPT header's checksum is {stored:08x}, its content's {computed:08x}")
            }
            Self::GptHeaderLba { stored } => write!(f, "the GPT header at LBA 1 says it is at LBA {stored}"),
            Self::GptEntryLen { found } => write!(f, "the length of a GPT entry is {found} bytes"),
            Self::GptEntriesOutside { start_lba, sectors } => write!(
                f,
                "the GPT entries, {sectors} sectors from LBA {start_lba}, lie outside what was read"
            ),
            Self::GptEntriesCrc { stored, computed } => {
                write!(f, "the GPT entries' checksum is {stored:08x}, their content's {computed:08x}")
            }
            Self::Reversed { partition } => write!(f, "{partition} ends before it starts"),
            Self::OverGpt { partition } => write!(f, "{partition} covers the GPT itself"),
            Self::Overlap { one, other } => write!(f, "{one} and {other} overlap"),
            Self::Beyond { partition, end_lba } => {
                write!(f, "{partition} ends at LBA {end_lba}, beyond the end of the device")
            }
        }
    }
}

/// All that the tables of a card say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionTable {
    /// Which tables there are.
    pub scheme: Scheme,
    /// Partitions of all tables, by start; the protective entry is none.
    pub partitions: Vec<Partition>,
    /// The GPT header, when LBA 1 holds one that can be read at all.
    pub gpt: Option<GptInfo>,
    /// What is wrong, the most telling first.
    pub problems: Vec<TableProblem>,
}

impl PartitionTable {
    /// Start of the first partition in any of the tables, whatever its type.
    pub fn first_partition_lba(&self) -> Option<u64> {
        self.partitions.iter().map(|partition| partition.start_lba).min()
    }

    /// The first problem for which no slot may be chosen by this table.
    pub fn fatal_problem(&self) -> Option<&TableProblem> {
        self.problems.iter().find(|problem| problem.is_fatal())
    }
}

/// Reads the tables of a card whose first sectors are `bytes`.
///
/// The entries of a GPT may lie anywhere; when they lie behind `bytes`, [`TableProblem::GptEntriesOutside`] says
/// where, and the caller can come back with more.
pub fn read(bytes: &[u8], device_sectors: u64) -> PartitionTable {
    let mut table =
        PartitionTable { scheme: Scheme::None, partitions: Vec::new(), gpt: None, problems: Vec::new() };
    let protective = read_mbr(bytes, &mut table);
    read_gpt(bytes, protective, device_sectors, &mut table);
    if bytes.has(ISO9660_OFFSET, b"CD001") {
        table.problems.insert(0, TableProblem::Iso9660);
    }
    table.partitions.sort_by_key(|partition| partition.start_lba);
    check_partitions(&mut table, device_sectors);
    table
}

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
/// Of the primary volume descriptor, at sector 16 of 2048 bytes.
const ISO9660_OFFSET: u64 = 16 * 2048 + 1;

/// Reads LBA 0; says whether it has a protective entry.
fn read_mbr(bytes: &[u8], table: &mut PartitionTable) -> bool {
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

const GPT_SIGNATURE: &[u8; 8] = b"EFI PART";
const GPT_HEADER_LBA: u64 = 1;
const GPT_HEADER_LEN_MIN: u32 = 92;
const GPT_ENTRY_LEN_MIN: u32 = 128;
const _: () = assert!(size_of::<GptHeader>() == 92 && size_of::<GptEntry>() == 128);

fn read_gpt(bytes: &[u8], protective: bool, device_sectors: u64, table: &mut PartitionTable) {
    let sector = bytes.sector(GPT_HEADER_LBA).filter(|sector| sector.has(0, GPT_SIGNATURE));
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
        match find_entries(bytes, &info, entries_len, device_sectors) {
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
fn find_entries<'a>(
    bytes: &'a [u8],
    info: &GptInfo,
    entries_len: u64,
    device_sectors: u64,
) -> Option<&'a [u8]> {
    let end = info.entries_lba.checked_add(info.entries_sectors)?;
    let possible = info.entries_lba > info.header_lba && end <= device_sectors;
    possible.then(|| bytes.span(info.entries_lba.checked_mul(SECTOR)?, entries_len)).flatten()
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
fn read_name(units: &[[u8; 2]]) -> Option<String> {
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
    let name: String = char::decode_utf16(units)
        .map(|char| char.ok().filter(|char| !char.is_control()).unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    (!name.is_empty()).then_some(name)
}

/// What only the partitions together, or with the device, show. They are sorted by start.
fn check_partitions(table: &mut PartitionTable, device_sectors: u64) {
    let mut problems = Vec::new();
    for gpt in [false, true] {
        let mut before: Option<&Partition> = None;
        for partition in table.partitions.iter().filter(|partition| partition.is_gpt() == gpt) {
            if let Some(before) = before.filter(|before| before.end_lba() > partition.start_lba) {
                problems.push(TableProblem::Overlap {
                    one: before.name_in_text(),
                    other: partition.name_in_text(),
                });
            }
            if before.is_none_or(|before| before.end_lba() < partition.end_lba()) {
                before = Some(partition);
            }
        }
    }
    for partition in &table.partitions {
        if partition.end_lba() > device_sectors {
            problems.push(TableProblem::Beyond {
                partition: partition.name_in_text(),
                end_lba: partition.end_lba(),
            });
        }
        if let Some(gpt) = table.gpt.as_ref().filter(|_| partition.is_gpt()) {
            let entries_end = gpt.entries_lba.saturating_add(gpt.entries_sectors);
            let over_header = partition.start_lba <= gpt.header_lba;
            let over_entries = partition.start_lba < entries_end && partition.end_lba() > gpt.entries_lba;
            if over_header || over_entries {
                problems.push(TableProblem::OverGpt { partition: partition.name_in_text() });
            }
        }
    }
    table.problems.append(&mut problems);
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity_fixtures::Card;
    use identity_fixtures::card::LINUX;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn read_card(card: &Card) -> PartitionTable {
        read(card.bytes(), card.sectors())
    }

    fn gpt_card() -> Card {
        let mut card = Card::new(16384);
        card.gpt(2, &[(LINUX, 8192, 12287, "boot"), (LINUX, 12288, 16000, "root")]);
        card
    }

    /// Changes the GPT header and makes its checksum right again.
    fn patch_header(card: &mut Card, at: usize, bytes: &[u8]) {
        card.put_at(512 + at, bytes).put_at(512 + 16, &[0; 4]);
        let len = card.bytes().u32_le(512 + 12).unwrap();
        let crc = CRC32.checksum(card.bytes().span(512, len.into()).unwrap());
        card.put_at(512 + 16, &crc.to_le_bytes());
    }

    #[test]
    fn nothing() {
        assert_eq!(read(&[], 0).problems, [TableProblem::TooShort]);
        assert_eq!(read(&[0; 511], 1).problems, [TableProblem::TooShort]);
        let blank = read(&[0; 4096], 8);
        assert_eq!((blank.scheme, blank.problems), (Scheme::None, vec![TableProblem::NoSignature]));
        let mut card = Card::new(8);
        card.put_at(510, &[0x55, 0xaa]);
        let empty = read_card(&card);
        assert_eq!((empty.scheme, empty.problems), (Scheme::None, vec![TableProblem::NoEntries]));
    }

    #[test]
    fn mbr() {
        let mut card = Card::new(16384);
        card.mbr(1, 0x0c, 8192, 2048).mbr(2, 0x83, 10240, 2048).mbr(4, 0xda, 2048, 2048);
        let table = read_card(&card);
        assert_eq!((table.scheme, table.first_partition_lba()), (Scheme::Mbr, Some(2048)));
        assert_eq!(table.problems, []);
        let numbers: Vec<_> = table.partitions.iter().map(|partition| partition.number).collect();
        assert_eq!(numbers, [4, 1, 2]);
        assert_eq!(table.partitions[0].kind.to_string(), "non-filesystem data");

        card.mbr(3, 0x05, 12000, 4384).mbr(1, 0x83, 9000, 2048);
        let overlap = TableProblem::Overlap {
            one: Named { gpt: false, number: 1 },
            other: Named { gpt: false, number: 2 },
        };
        assert!(read_card(&card).problems.contains(&overlap));
        assert_eq!(overlap.to_string(), "MBR partition 1 and MBR partition 2 overlap");
    }

    #[test]
    fn cut_off_is_harmless() {
        let mut card = Card::new(4096);
        card.mbr(1, 0x0c, 2048, 4096);
        let table = read_card(&card);
        assert_eq!(
            table.problems,
            [TableProblem::Beyond { partition: Named { gpt: false, number: 1 }, end_lba: 6144 }]
        );
        assert_eq!(table.fatal_problem(), None);
    }

    #[test]
    fn code_is_no_table() {
        let mut card = Card::new(64);
        card.mbr(1, 0x0c, 2048, 4096).put_at(446 + 16, &[0x33]);
        assert_eq!(read_card(&card).problems, [TableProblem::BootFlag { number: 2, found: 0x33 }]);
    }

    #[test]
    fn superfloppies() {
        let fat = [0xeb, 0x3c, 0x90, b'm', b'k', b'f', b's', b'.', b'f', b'a', b't', 0, 2, 4, 4, 0, 2];
        let mut card = Card::new(128);
        card.put(0, &fat).put_at(21, &[0xf8]).put_at(510, &[0x55, 0xaa]);
        assert_eq!(read_card(&card).problems, [TableProblem::Superfloppy { filesystem: "FAT" }]);
        // GRUB's boot.img has the same jump, no parameter block and a table.
        card.put(0, &[0; 64]).put(0, &[0xeb, 0x63, 0x90]).mbr(1, 0x83, 64, 64);
        assert_eq!(read_card(&card).scheme, Scheme::Mbr);

        let mut card = Card::new(128);
        card.put_at(1024 + 0x38, &[0x53, 0xef]);
        assert_eq!(read_card(&card).problems, [TableProblem::Superfloppy { filesystem: "ext2/3/4" }]);
        card.mbr(1, 0x83, 64, 64);
        assert_eq!(read_card(&card).problems, []);
        card.put_at(32769, b"CD001");
        assert_eq!(read_card(&card).problems, [TableProblem::Iso9660]);
    }

    #[test]
    fn gpt() {
        let table = read_card(&gpt_card());
        assert_eq!((table.scheme, &table.problems[..]), (Scheme::Gpt, &[][..]));
        assert_eq!(table.first_partition_lba(), Some(8192));
        let gpt = table.gpt.unwrap();
        assert_eq!((gpt.entries_lba, gpt.entries_sectors), (2, 32));
        assert_eq!((gpt.header_crc_ok, gpt.entries_crc_ok), (true, Some(true)));
        assert_eq!(gpt.disk_id.to_string(), "87a3c1f0-5c5e-4a52-9a3e-6b8e7d9c0f21");
        let boot = &table.partitions[0];
        assert_eq!((boot.number, boot.sectors, boot.name.as_deref()), (1, 4096, Some("boot")));
        assert_eq!(boot.kind.to_string(), "Linux");
    }

    #[test]
    fn moved_entries() {
        let mut card = Card::new(16384);
        card.gpt(2016, &[(LINUX, 8192, 12287, "boot")]);
        let table = read_card(&card);
        assert_eq!((table.problems, table.gpt.unwrap().entries_lba), (vec![], 2016));
        // Not read far enough: where to read on is known.
        let table = read(&card.bytes()[..2016 * 512], card.sectors());
        assert_eq!(table.problems, [TableProblem::GptEntriesOutside { start_lba: 2016, sectors: 32 }]);
        assert_eq!(table.gpt.unwrap().entries_crc_ok, None);
    }

    #[test]
    fn hybrid() {
        let mut card = gpt_card();
        card.mbr(2, 0x0c, 4096, 1024);
        let table = read_card(&card);
        assert_eq!((table.scheme, table.first_partition_lba()), (Scheme::Hybrid, Some(4096)));
        assert_eq!((table.partitions.len(), table.problems), (3, vec![]));
    }

    #[test]
    fn broken_gpt() {
        let mut card = gpt_card();
        card.bytes_mut()[512 + 40] ^= 1;
        assert!(matches!(read_card(&card).problems[..], [TableProblem::GptHeaderCrc { .. }]));

        let mut card = gpt_card();
        card.bytes_mut()[1024 + 127] ^= 1;
        let table = read_card(&card);
        assert!(matches!(table.problems[..], [TableProblem::GptEntriesCrc { .. }]));
        assert_eq!(table.first_partition_lba(), Some(8192));

        let mut card = gpt_card();
        card.put(1, &[0; 8]);
        assert_eq!(read_card(&card).problems, [TableProblem::GptMissing]);

        let mut card = gpt_card();
        card.mbr(1, 0x83, 9000, 100);
        let table = read_card(&card);
        assert_eq!((table.scheme, table.first_partition_lba()), (Scheme::Mbr, Some(8192)));
        assert_eq!(table.problems, [TableProblem::GptUnprotected]);

        let header = |at: usize, bytes: &[u8]| {
            let mut card = gpt_card();
            patch_header(&mut card, at, bytes);
            read_card(&card).problems
        };
        assert_eq!(header(24, &[2]), [TableProblem::GptHeaderLba { stored: 2 }]);
        assert_eq!(header(84, &[0, 0, 0, 0]), [TableProblem::GptEntryLen { found: 0 }]);
        assert_eq!(header(84, &[0xff; 4]), [TableProblem::GptEntryLen { found: u32::MAX }]);
        for entries_lba in [0, 1, 16384, u64::MAX] {
            assert_eq!(
                header(72, &entries_lba.to_le_bytes()),
                [TableProblem::GptEntriesOutside { start_lba: entries_lba, sectors: 32 }]
            );
        }
        assert!(matches!(header(80, &[0xff; 4])[..], [TableProblem::GptEntriesOutside { .. }]));

        for len in [0, 91, 513, u32::MAX] {
            let mut card = gpt_card();
            card.put_at(512 + 12, &len.to_le_bytes());
            assert_eq!(read_card(&card).problems, [TableProblem::GptHeaderLen { found: len }]);
        }
    }

    #[test]
    fn longer_gpt_header() {
        let mut card = gpt_card();
        patch_header(&mut card, 12, &512_u32.to_le_bytes());
        // The length counts only once it is written, so make the checksum twice.
        patch_header(&mut card, 12, &512_u32.to_le_bytes());
        assert_eq!(read_card(&card).problems, []);
    }

    #[test]
    fn gpt_partitions_over_the_gpt() {
        let partition = |number| Named { gpt: true, number };
        let mut card = Card::new(4096);
        card.gpt(2, &[(LINUX, 33, 2000, ""), (LINUX, 2100, 2000, "")]);
        assert_eq!(
            read_card(&card).problems,
            [
                TableProblem::Reversed { partition: partition(2) },
                TableProblem::OverGpt { partition: partition(1) }
            ]
        );
        card.gpt(2, &[(LINUX, 34, u64::MAX, ""), (LINUX, 0, 1, ""), (LINUX, 40, 50, "")]);
        assert_eq!(
            read_card(&card).problems,
            [
                TableProblem::Overlap { one: partition(1), other: partition(3) },
                TableProblem::OverGpt { partition: partition(2) },
                TableProblem::Beyond { partition: partition(1), end_lba: u64::MAX },
            ]
        );
    }

    #[test]
    fn names_cannot_disturb_a_terminal() {
        let units = ['a', '\u{1b}', 'ü', '\0', 'b'].map(|char| (u32::from(char) as u16).to_le_bytes());
        assert_eq!(read_name(&units).as_deref(), Some("a\u{fffd}ü"));
        assert_eq!(read_name(&[[0x00, 0xd8]]).as_deref(), Some("\u{fffd}"));
        assert_eq!(read_name(&[[0, 0]]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            mbr in vec(any::<u8>(), 64),
            header in vec(any::<u8>(), 92),
            entries in vec(any::<u8>(), 0..2048),
            plain: bool,
            device_sectors: u64,
        ) {
            let mut card = Card::new(8);
            card.put_at(446, &mbr).put_at(510, &[0x55, 0xaa]).put(1, &header).put(1, GPT_SIGNATURE);
            card.put(2, &entries);
            if plain {
                card.put_at(446, &[0, 0, 0, 0, 0xee]).put_at(512 + 72, &2_u64.to_le_bytes());
                card.put_at(512 + 80, &16_u32.to_le_bytes()).put_at(512 + 84, &128_u32.to_le_bytes());
            }
            let table = read(card.bytes(), device_sectors);
            let _ = table.first_partition_lba();
        }
    }
}
