// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables inside MBR partitions: chains of extended boot records, and the sub-tables that Linux reads in some types.
//!
//! Sources: Linux 6.1 `block/partitions/msdos.c` and the structures that it declares; util-linux 2.38
//! `libblkid/src/partitions/{dos,bsd,minix,solaris_x86,unixware}.c`.

use super::mbr::{MbrEntry, entries};
use super::{Kind, Partition, PartitionTable, TableProblem};
use crate::bytes::Bytes;
use crate::gap::{Gap, Look};

/// Longer chains are a problem; Linux stops at 256 partitions.
const CHAIN_MAX: usize = 256;

/// Reads the tables in these partitions of LBA 0.
pub(super) fn read(gap: &Gap<'_>, primary: &[Partition], table: &mut PartitionTable) {
    let mut nested = Nested { gap, primary, table, next_number: 5 };
    for container in primary {
        if let Kind::Mbr(kind) = container.kind
            && is_extended(kind)
        {
            nested.read_chain(container);
        }
    }
    for container in primary {
        let Kind::Mbr(kind) = container.kind else { continue };
        match kind {
            0x81 => nested.read_minix(container),
            0xa5 | 0xa6 | 0xa9 => nested.read_bsd(container, kind),
            0x63 => nested.read_unixware(container),
            0x82 | 0xbf => nested.read_solaris(container),
            _ => {}
        }
    }
}

fn is_extended(kind: u8) -> bool {
    matches!(kind, 0x05 | 0x0f | 0x85)
}

struct Nested<'a, 'b> {
    gap: &'b Gap<'a>,
    primary: &'b [Partition],
    table: &'b mut PartitionTable,
    next_number: u32,
}

impl<'a> Nested<'a, '_> {
    /// A sector of a container; where it is not known, that is a problem.
    fn sector(&mut self, lba: u64, container: &Partition) -> Option<&'a [u8]> {
        if let Some(sector) = self.table.sector(self.gap, lba) {
            return Some(sector);
        }
        match self.gap.look(lba) {
            Look::Unreadable => self.table.problems.push(TableProblem::Unreadable { lba }),
            Look::Unknown => {
                self.table.problems.push(TableProblem::NotLookedAt {
                    number: container.number,
                    kind: container.kind,
                    lba,
                });
            }
            Look::Known(_) | Look::Beyond => {}
        }
        None
    }

    fn read_chain(&mut self, container: &Partition) {
        let mut seen = Vec::new();
        let mut lba = container.start_lba;
        while !seen.contains(&lba) {
            if seen.len() >= CHAIN_MAX {
                self.table.problems.push(TableProblem::ChainTooLong { number: container.number });
                return;
            }
            seen.push(lba);
            let Some(entries) = self.sector(lba, container).and_then(entries) else { return };
            let used = |entry: &&MbrEntry| entry.sectors.get() != 0;
            for entry in entries.iter().filter(used).filter(|entry| !is_extended(entry.kind)) {
                let start_lba = self.sum(lba, entry.start_lba.get(), container);
                self.push(container, start_lba, entry.sectors.get(), entry.kind);
            }
            let Some(link) = entries.iter().filter(used).find(|entry| is_extended(entry.kind)) else {
                return;
            };
            lba = self.sum(container.start_lba, link.start_lba.get(), container);
        }
        self.table.problems.push(TableProblem::ChainLoop { number: container.number, lba });
    }

    /// The sum as a reader with 32 bits sees it; that it differs from the true one is a problem.
    fn sum(&mut self, base: u64, offset: u32, container: &Partition) -> u64 {
        let sum = base.saturating_add(offset.into());
        let wrapped = sum & u64::from(u32::MAX);
        if wrapped != sum {
            let problem = TableProblem::Wraps { number: container.number, start_lba: wrapped };
            self.table.problems.push(problem);
        }
        wrapped
    }

    fn push(&mut self, container: &Partition, start_lba: u64, sectors: u32, kind: u8) {
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        let is_in = |partition: &Partition| (partition.start_lba..partition.end_lba()).contains(&start_lba);
        if start_lba < container.start_lba && !self.primary.iter().any(is_in) {
            self.table.problems.push(TableProblem::InFront { number: container.number, start_lba });
        }
        self.table.partitions.push(Partition {
            number,
            start_lba,
            sectors: sectors.into(),
            kind: Kind::Mbr(kind),
            container: Some(container.number),
            name: None,
        });
    }

    /// A second MBR, whose entries count from the start of the device.
    fn read_minix(&mut self, container: &Partition) {
        const MINIX: u8 = 0x81;
        let Some(entries) = self.sector(container.start_lba, container).and_then(entries) else { return };
        if entries.first().is_none_or(|entry| entry.kind != MINIX) {
            return;
        }
        for entry in entries.iter().filter(|entry| entry.kind == MINIX && entry.sectors.get() != 0) {
            self.push(container, entry.start_lba.get().into(), entry.sectors.get(), entry.kind);
        }
    }

    fn read_bsd(&mut self, container: &Partition, kind: u8) {
        const FREEBSD: u8 = 0xa5;
        const COUNT_OFFSET: u64 = 138;
        const ENTRIES_OFFSET: u64 = 148;
        const ENTRY_LEN: u64 = 16;
        const ENTRIES_MAX: u64 = 16;
        let Some(label) = self.sector(container.start_lba.saturating_add(1), container) else { return };
        if !label.has(0, &BSD_MAGIC) {
            return;
        }
        let count = u64::from(label.u16_le(COUNT_OFFSET).unwrap_or(0)).min(ENTRIES_MAX);
        let whole = label.u32_le(ENTRIES_OFFSET.saturating_add(2 * ENTRY_LEN + 4));
        // FreeBSD counts from the container where the entry for all of it says 0.
        let base = if kind == FREEBSD && whole == Some(0) { container.start_lba } else { 0 };
        for number in 0..count {
            let at = ENTRIES_OFFSET.saturating_add(number.saturating_mul(ENTRY_LEN));
            let entry =
                (label.u32_le(at), label.u32_le(at.saturating_add(4)), label.byte(at.saturating_add(12)));
            if let (Some(sectors @ 1..), Some(offset), Some(1..)) = entry {
                let start_lba = self.sum(base, offset, container);
                self.push(container, start_lba, sectors, kind);
            }
        }
    }

    fn read_unixware(&mut self, container: &Partition) {
        const LABEL: u64 = 29;
        const SLICES_OFFSET: u64 = 180;
        let Some(label) = self.sector(container.start_lba.saturating_add(LABEL), container) else { return };
        if !label.has(4, &0xca5e_600d_u32.to_le_bytes()) || !label.has(120, &VTOC_SANE) {
            return;
        }
        // Slice 0 is the whole device.
        self.read_slices(container, label, SLICES_OFFSET, 1..16, 0, |entry| entry.label != 0);
    }

    fn read_solaris(&mut self, container: &Partition) {
        const SLICES_OFFSET: u64 = 72;
        let Some(label) = self.sector(container.start_lba.saturating_add(1), container) else { return };
        if !label.has(12, &VTOC_SANE) || label.u32_le(16) != Some(1) {
            return;
        }
        let count = if label.u16_le(30).is_some_and(|count| count > 8) { 16 } else { 8 };
        self.read_slices(container, label, SLICES_OFFSET, 0..count, container.start_lba, |_| true);
    }

    fn read_slices(
        &mut self,
        container: &Partition,
        label: &[u8],
        offset: u64,
        numbers: std::ops::Range<u64>,
        base: u64,
        is_used: fn(&Slice) -> bool,
    ) {
        const SLICE_LEN: u64 = 12;
        let Kind::Mbr(kind) = container.kind else { return };
        for number in numbers {
            let at = offset.saturating_add(number.saturating_mul(SLICE_LEN));
            let slice =
                (label.u16_le(at), label.u32_le(at.saturating_add(4)), label.u32_le(at.saturating_add(8)));
            if let (Some(tag), Some(start), Some(sectors @ 1..)) = slice
                && is_used(&Slice { label: tag })
            {
                let start_lba = self.sum(base, start, container);
                self.push(container, start_lba, sectors, kind);
            }
        }
    }
}

/// One slice of a System V table of contents.
struct Slice {
    label: u16,
}

pub(super) const BSD_MAGIC: [u8; 4] = 0x8256_4557_u32.to_le_bytes();
const VTOC_SANE: [u8; 4] = 0x600d_deee_u32.to_le_bytes();
