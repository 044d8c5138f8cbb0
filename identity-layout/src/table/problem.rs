// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong with a partition table.

use std::fmt;

use crate::whole_device::{Signature, WholeDevice};

use super::Kind;

/// The way out where a person has to look.
const VERIFY: &str = "`sgdisk -v DEVICE` says what is wrong";
/// The way out where the backup has to be moved.
const TO_END: &str = "`sgdisk -e DEVICE` moves the backup to the end and mends the header";

/// A partition in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Whether the GPT has it, rather than the MBR.
    pub gpt: bool,
    /// Number of the partition in that table, from 1.
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
    NoSignature {
        /// Whether it holds nothing but zeros, or but 0xFF.
        is_blank: bool,
        /// Length of the device.
        sectors: u64,
    },
    /// LBA 0 holds our mark: an image is being written, or was not written to its end.
    UnfinishedFlash,
    /// 55 AA, and an entry whose boot flag no table has: code, not a table.
    BootFlag {
        /// Number of the entry, from 1.
        number: u32,
        /// Its flag, neither 0x00 nor 0x80.
        found: u8,
    },
    /// Somebody uses the whole device, whatever a table in LBA 0 says.
    WholeDevice(WholeDevice),
    /// An ISO 9660 image, whose first 32 KiB belong to boot loaders and whose partitions may start at LBA 0.
    Iso9660,
    /// A protective MBR without a GPT header at LBA 1.
    GptMissing,
    /// A GPT header at LBA 1 without an entry of type 0xEE: nobody takes it for a table.
    GptUnprotected,
    /// The entry of type 0xEE does not start at LBA 1.
    ProtectiveStart,
    /// The GPT is of a later revision than parted takes.
    GptRevision {
        /// Revision found; 0x00010000 is the current one.
        found: u32,
    },
    /// The first usable LBA lies behind the last one.
    GptUsableOrder {
        /// First usable LBA by the header.
        first: u64,
        /// Last usable LBA by the header.
        last: u64,
    },
    /// The usable LBAs reach beyond the end of the device: the GPT is of a larger one.
    GptUsableBeyond {
        /// Last usable LBA by the header.
        last: u64,
        /// Length of the device.
        sectors: u64,
        /// A partition that leaves no room for a backup at the device's end.
        too_long: Option<Named>,
    },
    /// The first usable LBA lies in the GPT itself.
    GptFirstUsable {
        /// First usable LBA by the header.
        first: u64,
    },
    /// The backup is said to be where it cannot be.
    GptBackupLba {
        /// The LBA that the header says.
        stored: u64,
        /// A partition that leaves no room for a backup at the device's end.
        too_long: Option<Named>,
    },
    /// A number of GPT entries that not every reader takes.
    GptEntryCount {
        /// Number of entries by the header.
        found: u32,
    },
    /// A backup that does not belong to the GPT at LBA 1, or without any.
    GptStaleBackup {
        /// LBA of the backup's header.
        lba: u64,
    },
    /// The backup is not in the last sector.
    GptBackupNotAtEnd {
        /// LBA of the backup's header.
        lba: u64,
    },
    /// Another table than MBR and GPT.
    OtherLabel {
        /// Name of the other table's type.
        label: &'static str,
        /// By what it is recognised.
        signature: Signature,
    },
    /// A sector that a table needs cannot be read.
    Unreadable {
        /// LBA of the sector.
        lba: u64,
    },
    /// The table inside an MBR partition was not read, because the sector was not there to be read.
    NotLookedAt {
        /// Number of the partition, from 1.
        number: u32,
        /// Type of the partition.
        kind: Kind,
        /// Where its table is.
        lba: u64,
    },
    /// A chain of extended boot records that comes back to one.
    ChainLoop {
        /// The extended partition's number.
        number: u32,
        /// Where the chain comes back to.
        lba: u64,
    },
    /// A chain of extended boot records longer than any that is read.
    ChainTooLong {
        /// The extended partition's number.
        number: u32,
    },
    /// A table inside an MBR partition names a sector behind LBA 2^32: some readers take the remainder.
    Wraps {
        /// Number of the partition, from 1.
        number: u32,
        /// The LBA that it names, modulo 2^32.
        start_lba: u64,
    },
    /// A table inside an MBR partition names a sector in front of that partition.
    InFront {
        /// Number of the partition, from 1.
        number: u32,
        /// LBA that the inner table names.
        start_lba: u64,
    },
    /// The GPT header's length is impossible.
    GptHeaderLen {
        /// Length found, in bytes.
        found: u32,
    },
    /// The GPT header's checksum differs.
    GptHeaderCrc {
        /// The checksum that the header holds.
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
        /// LBA of the first sector of the entries.
        start_lba: u64,
        /// Length of the entries in sectors.
        sectors: u64,
    },
    /// The GPT entries' checksum differs.
    GptEntriesCrc {
        /// The checksum that the header holds.
        stored: u32,
        /// As it should be.
        computed: u32,
    },
    /// A GPT partition ends before it starts.
    Reversed {
        /// The partition that the problem is about.
        partition: Named,
    },
    /// A GPT partition covers the GPT itself.
    OverGpt {
        /// The partition that the problem is about.
        partition: Named,
    },
    /// Two partitions of one table share a sector.
    Overlap {
        /// One of the two partitions.
        one: Named,
        /// The other of the two partitions.
        other: Named,
    },
    /// A partition reaches beyond the end of the device.
    Beyond {
        /// The partition that the problem is about.
        partition: Named,
        /// First sector behind it.
        end_lba: u64,
    },
}

/// What mends a GPT of a larger device; `sgdisk` refuses where a partition does not fit this one.
struct ToEnd(Option<Named>);

impl fmt::Display for ToEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str(TO_END),
            Some(partition) => {
                write!(f, "{partition} does not fit this device, which is too small: use a larger one")
            }
        }
    }
}

/// What clears a signature. `wipefs` does not list all of them, and of others only by force.
struct Clear(Signature);

impl fmt::Display for Clear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Signature { offset, len } = self.0;
        write!(
            f,
            "`dd if=/dev/zero of=DEVICE bs=1 seek={offset} count={len} conv=notrunc` clears its signature"
        )
    }
}

impl TableProblem {
    /// Whether no slot may be chosen by this table. Harmless is a partition that is cut off at the device's end or has the
    /// GPT in it, for what lies before the first partition does not depend on it, and a GPT that nobody reads.
    ///
    /// A table inside a partition that was not there to be read, in an image that comes through a pipe, is harmless only for
    /// the types that are common on cards, extended and Linux swap.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Beyond { .. }
            | Self::OverGpt { .. }
            | Self::GptUnprotected
            | Self::GptStaleBackup { .. }
            | Self::GptBackupNotAtEnd { .. } => false,
            Self::NotLookedAt { kind, .. } => !matches!(kind, Kind::Mbr(0x05 | 0x0f | 0x82 | 0x85)),
            _ => true,
        }
    }

    /// Whether there simply is no table, rather than a broken one or something else in its place.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::TooShort | Self::NoSignature { .. } | Self::UnfinishedFlash)
    }
}

impl fmt::Display for TableProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => f.write_str("shorter than one sector"),
            Self::NoSignature { .. } => f.write_str("no partition table: LBA 0 does not end in 55 AA"),
            Self::UnfinishedFlash => f.write_str(
                "an unfinished flash: LBA 0 gets the image's partition table when it is finished",
            ),
            Self::BootFlag { number, found } => write!(
                f,
                "no partition table: LBA 0 ends in 55 AA, but entry {number} has the boot flag 0x{found:02x}"
            ),
            Self::WholeDevice(WholeDevice { name, signature }) => write!(
                f,
                "{name} uses the whole device: its superblock is at LBA {}; if nobody needs it any more, {}",
                signature.lba(),
                Clear(*signature)
            ),
            Self::Iso9660 => f.write_str("an ISO 9660 image, whose first 64 sectors belong to boot loaders"),
            Self::GptMissing => write!(f, "a protective MBR, but no GPT header at LBA 1; {VERIFY}"),
            Self::GptUnprotected => {
                f.write_str("a GPT header at LBA 1 without a protective entry (0xEE) in LBA 0; it counts as data, not as a table")
            }
            Self::ProtectiveStart => {
                write!(f, "the protective entry (0xEE) in LBA 0 does not start at LBA 1, and Linux ignores the GPT; {VERIFY}")
            }
            Self::GptRevision { found } => write!(f, "the GPT header has the unknown revision {found:08x}; {VERIFY}"),
            Self::GptUsableOrder { first, last } => write!(
                f,
                "the GPT header's first usable LBA {first} is behind its last usable LBA {last}; {VERIFY}"
            ),
            Self::GptUsableBeyond { last, sectors, too_long } => write!(
                f,
                "the GPT header is that of a larger device: usable up to LBA {last}, but there are {sectors} sectors; {}",
                ToEnd(*too_long)
            ),
            Self::GptFirstUsable { first } => write!(
                f,
                "the GPT header's first usable LBA is {first}, inside the GPT itself; {VERIFY}"
            ),
            Self::GptBackupLba { stored, too_long } => write!(
                f,
                "the GPT header says that its backup is at LBA {stored}, where none can be; {}",
                ToEnd(*too_long)
            ),
            Self::GptEntryCount { found } => write!(f, "the GPT header counts {found} entries; {VERIFY}"),
            Self::GptStaleBackup { lba } => {
                write!(f, "a stale GPT backup at LBA {lba}, of another table; it is ignored")
            }
            Self::GptBackupNotAtEnd { lba } => write!(
                f,
                "the GPT backup at LBA {lba} is not at the end of the device; {TO_END}"
            ),
            Self::OtherLabel { label, signature } => write!(
                f,
                "a partition table of type {label} in LBA {}, which some systems take instead of MBR or GPT; if nobody needs \
                 it any more, {}",
                signature.lba(),
                Clear(*signature)
            ),
            Self::Unreadable { lba } => write!(f, "LBA {lba} cannot be read; it belongs to the partition table"),
            Self::NotLookedAt { number, kind, lba } => write!(
                f,
                "the table inside MBR partition {number} ({kind}), in LBA {lba}, was not read"
            ),
            Self::ChainLoop { number, lba } => write!(
                f,
                "the extended boot records of MBR partition {number} come back to LBA {lba}; `sfdisk --verify DEVICE` says more"
            ),
            Self::ChainTooLong { number } => {
                write!(f, "MBR partition {number} has more extended boot records than any system reads")
            }
            Self::Wraps { number, start_lba } => write!(
                f,
                "the table inside MBR partition {number} names a sector behind LBA 2^32, which some systems take for \
                 LBA {start_lba}; `sfdisk --verify DEVICE` says more"
            ),
            Self::InFront { number, start_lba } => write!(
                f,
                "the table inside MBR partition {number} names LBA {start_lba}, in front of that partition"
            ),
            Self::GptHeaderLen { found } => write!(f, "the GPT header's length is {found} bytes; {VERIFY}"),
            Self::GptHeaderCrc { stored, computed } => write!(
                f,
                "the GPT header's checksum is {stored:08x}, but its content's is {computed:08x}; {VERIFY}"
            ),
            Self::GptHeaderLba { stored } => {
                write!(f, "the GPT header at LBA 1 says it is at LBA {stored}; {VERIFY}")
            }
            Self::GptEntryLen { found } => {
                write!(f, "the length of a GPT entry is {found} bytes, not 128; {VERIFY}")
            }
            Self::GptEntriesOutside { start_lba, sectors } => write!(
                f,
                "the GPT entries, {sectors} sectors from LBA {start_lba}, lie outside what was read"
            ),
            Self::GptEntriesCrc { stored, computed } => {
                write!(f, "the GPT entries' checksum is {stored:08x}, but their content's is {computed:08x}; {VERIFY}")
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
