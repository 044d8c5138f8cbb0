// SPDX-License-Identifier: MIT OR Apache-2.0
//! Partition tables: MBR, GPT and both at once (hybrid), and everything that is wrong with them.
//!
//! A table counts as its readers see it: Linux, libblkid, libfdisk and parted. Where they would not agree, the table has a
//! fatal problem, and no slot is chosen by it.
//!
//! Sources: UEFI specification 2.10, chapter 5; Linux 6.1 `block/partitions/`; U-Boot `disk/part_{dos,efi}.c`; util-linux
//! 2.38 `libblkid/src/partitions/`, `libfdisk/src/{gpt,dos}.c`; parted 3.5 `libparted/labels/`.

mod gpt;
mod labels;
mod mbr;
mod nested;
mod problem;

use std::fmt;
use std::ops::Range;

use identity_core::SECTOR_LEN;
use uuid::Uuid;

use super::bytes::Bytes;
use super::gap::{GAP_SECTORS_MAX, Gap, Look};
use super::whole_device;

pub use problem::{Named, TableProblem};

/// Which tables a card has, by what its first sector says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Neither an MBR nor a GPT that counts.
    None,
    /// An MBR without a GPT that counts.
    Mbr,
    /// A GPT behind a protective MBR.
    Gpt,
    /// A GPT, and an MBR that has more entries than the protective one.
    Hybrid,
}

impl Scheme {
    /// The name that JSON has for it.
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
    /// LBA of its first sector.
    pub start_lba: u64,
    /// Its length in sectors.
    pub sectors: u64,
    /// What it is for; says which table the entry is in, too.
    pub kind: Kind,
    /// The MBR partition that holds it, for a logical partition or one of a sub-table.
    pub container: Option<u32>,
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

/// What a GPT header says.
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
    /// GUID of the disk in the GPT header.
    pub disk_id: Uuid,
    /// Whether the header's checksum is right.
    pub header_crc_ok: bool,
    /// The entries' checksum as the header has it.
    pub entries_crc: u32,
    /// Whether the entries' checksum is right; `None` when they lie outside what was read.
    pub entries_crc_ok: Option<bool>,
}

/// Of the primary volume descriptor, at sector 16 of 2048 bytes.
const ISO9660_OFFSET: u64 = 16 * 2048 + 1;

/// All that the tables of a card say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionTable {
    /// Which tables there are.
    pub scheme: Scheme,
    /// Partitions of all tables, by start; the protective entry is none.
    pub partitions: Vec<Partition>,
    /// The GPT header, when LBA 1 holds one that can be read at all, and LBA 0 has a protective entry.
    pub gpt: Option<GptInfo>,
    /// Backup headers: where they and their entries lie. Their partitions count for nothing.
    pub backups: Vec<GptInfo>,
    /// A GPT header at LBA 1 without a protective entry: nobody's table, and somebody's data.
    pub unprotected: Option<GptInfo>,
    /// What is wrong, the most telling first.
    pub problems: Vec<TableProblem>,
    /// Sectors beside the first ones that were looked at, or would have been, had they been read.
    wanted: Vec<Range<u64>>,
}

/// Where all tools begin the first partition of a table that has none yet.
pub const FIRST_PARTITION_USUAL_LBA: u64 = 2048;

impl PartitionTable {
    fn new() -> Self {
        Self {
            scheme: Scheme::None,
            partitions: Vec::new(),
            gpt: None,
            backups: Vec::new(),
            unprotected: None,
            problems: Vec::new(),
            wanted: Vec::new(),
        }
    }

    /// Whether there is a table, and it has no partition yet.
    pub fn is_empty(&self) -> bool {
        self.scheme != Scheme::None && self.partitions.is_empty()
    }

    /// A sector, noted as wanted; `None` when it is not known.
    fn sector<'a>(&mut self, gap: &Gap<'a>, lba: u64) -> Option<&'a [u8; SECTOR_LEN]> {
        self.wanted.push(lba..lba.saturating_add(1));
        match gap.look(lba) {
            Look::Known(sector) => Some(sector),
            Look::Unreadable | Look::Unknown | Look::Beyond => None,
        }
    }

    /// Start of the first partition in any of the tables, whatever its type.
    pub fn first_partition_lba(&self) -> Option<u64> {
        self.partitions.iter().map(|partition| partition.start_lba).min()
    }

    /// How far a card of `device_sectors` has to be known: to the first partition of any table, to [`GAP_SECTORS_MAX`], or to the
    /// end of the device.
    pub fn gap_end_lba(&self, device_sectors: u64) -> u64 {
        self.first_partition_lba().unwrap_or(u64::MAX).min(GAP_SECTORS_MAX).min(device_sectors)
    }

    /// The first problem for which no slot may be chosen by this table.
    pub fn fatal_problem(&self) -> Option<&TableProblem> {
        self.problems.iter().find(|problem| problem.is_fatal())
    }
}

/// Sectors that have to be known to read the tables of a card, beside its first 64: a GPT's entries wherever the header
/// says that they lie, its backup header, extended boot records, sub-tables.
pub fn probes(gap: &Gap<'_>) -> Vec<Range<u64>> {
    read(gap).wanted
}

/// Reads the tables of a card.
///
/// The entries of a GPT may lie anywhere; when they were not read, [`TableProblem::GptEntriesOutside`] says where.
pub fn read(gap: &Gap<'_>) -> PartitionTable {
    let mut table = PartitionTable::new();
    let (protective, primary) = mbr::read(gap, &mut table);
    nested::read(gap, &primary, &mut table);
    table.partitions.extend(primary);
    gpt::read(gap, protective, &mut table);
    if let Some((label, signature)) = labels::find(gap, &table) {
        if signature.lba() == 0 {
            // LBA 0 is that table's, and no broken MBR.
            let is_of_mbr = |problem: &TableProblem| {
                matches!(problem, TableProblem::NoSignature { .. } | TableProblem::BootFlag { .. })
            };
            table.problems.retain(|problem| !is_of_mbr(problem));
        }
        table.problems.insert(0, TableProblem::OtherLabel { label, signature });
    }
    if gap.bytes().has(ISO9660_OFFSET, b"CD001") {
        table.problems.insert(0, TableProblem::Iso9660);
    }
    table.partitions.sort_by_key(|partition| partition.start_lba);
    check_partitions(&mut table, gap.device_sectors());
    let covered: Vec<_> =
        table.partitions.iter().map(|partition| partition.start_lba..partition.end_lba()).collect();
    if let Some(user) = whole_device::find(gap, &covered) {
        // What LBA 0 then lacks as a table is no fault.
        let is_of_lba0 =
            |problem: &TableProblem| problem.is_absence() || matches!(problem, TableProblem::BootFlag { .. });
        table.problems.retain(|problem| !is_of_lba0(problem));
        table.problems.insert(0, TableProblem::WholeDevice(user));
    }
    table
}

/// What only the partitions together, or with the device, show. They are sorted by start.
fn check_partitions(table: &mut PartitionTable, device_sectors: u64) {
    let mut problems = Vec::new();
    for gpt in [false, true] {
        let mut before: Option<&Partition> = None;
        // An entry without a type is a partition for libfdisk alone, and one in a container lies over it.
        let is_typeless = |partition: &Partition| partition.kind == Kind::Gpt(Uuid::nil());
        let outer = |partition: &&Partition| {
            partition.is_gpt() == gpt && partition.container.is_none() && !is_typeless(partition)
        };
        for partition in table.partitions.iter().filter(outer) {
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
    let ends_too_late = |partition: &&Partition| {
        partition.is_gpt() && partition.end_lba().saturating_add(GPT_BACKUP_SECTORS) > device_sectors
    };
    let too_long_one = table.partitions.iter().find(ends_too_late).map(Partition::name_in_text);
    for problem in &mut table.problems {
        if let TableProblem::GptUsableBeyond { too_long, .. } | TableProblem::GptBackupLba { too_long, .. } =
            problem
        {
            *too_long = too_long_one;
        }
    }
    table.problems.append(&mut problems);
}

/// Sectors of a backup: 128 entries of 128 bytes and the header.
const GPT_BACKUP_SECTORS: u64 = 33;

#[cfg(test)]
mod tests;
