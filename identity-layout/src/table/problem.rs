// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong with a partition table.

use std::fmt;

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

    /// Whether there simply is no table, rather than a broken one or something else in its place.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::TooShort | Self::NoSignature | Self::NoEntries)
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
