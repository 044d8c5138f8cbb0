// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first sectors of a card, each read once, and whose they are: what every plan starts from.

use std::cell::OnceCell;
use std::io;
use std::ops::Range;

use identity_core::sector::MAGIC;
use identity_core::{SECTOR_LEN, StoredCopy};
use identity_layout::gap::Look;
use identity_layout::slot_rules::{self, SlotBusy, SlotVerdict};
use identity_layout::table::{self, PartitionTable, TableProblem};
use identity_layout::{Gap, Inspection, Map, WholeDevice};

use crate::device::{Card, Sector};

/// A card up to its first partition, what else its partition tables consist of, and the map of both.
pub struct FirstSectors {
    inspection: Inspection,
    table: PartitionTable,
    /// Where the gap ends.
    end_lba: u64,
    /// Drawn when it is asked for: a plain reader asks for the table alone.
    map: OnceCell<Map>,
}

impl FirstSectors {
    /// Reads what the map of a card needs.
    ///
    /// # Errors
    /// If not even LBA 0 can be read; any other unreadable sector counts as data.
    pub fn read(card: &dyn Card) -> io::Result<Self> {
        Self::complete(Inspection::new(card.sectors()), card)
    }

    /// The same of a card that will begin with `head`, for example with an image: what is behind is read from `card`.
    ///
    /// # Errors
    /// As with [`FirstSectors::read`], if `head` is empty.
    pub fn with_head(head: Vec<u8>, card: &dyn Card) -> io::Result<Self> {
        Self::complete(Inspection::with_head(head, card.sectors()), card)
    }

    fn complete(mut inspection: Inspection, card: &dyn Card) -> io::Result<Self> {
        while let Some(range) = inspection.next() {
            read(card, range, &mut inspection)?;
        }
        let table = table::read(&inspection.gap());
        let end_lba = table.gap_end_lba(inspection.gap().device_sectors());
        Ok(Self { inspection, table, end_lba, map: OnceCell::new() })
    }

    /// The bytes from LBA 0 on, when everything has been asked.
    pub fn into_head(self) -> Vec<u8> {
        self.inspection.into_head()
    }

    /// Who owns each sector.
    pub fn map(&self) -> &Map {
        self.map.get_or_init(|| identity_layout::map(&self.gap()))
    }

    /// What the card's partition tables say, all of them.
    pub fn table(&self) -> &PartitionTable {
        &self.table
    }

    /// First sector of the first partition of any table.
    pub fn first_partition_lba(&self) -> Option<u64> {
        self.table.first_partition_lba()
    }

    /// Who uses the whole device, whatever a table says.
    pub fn whole_device(&self) -> Option<WholeDevice> {
        self.table.problems.iter().find_map(|problem| match problem {
            TableProblem::WholeDevice(user) => Some(*user),
            _ => None,
        })
    }

    /// Whether a sector lies behind the start of the first partition.
    pub fn is_in_partition(&self, lba: u32) -> bool {
        self.first_partition_lba().is_some_and(|first| u64::from(lba) >= first)
    }

    /// The sector at `lba`, if it is one of those that were read; `Err` if it cannot be read.
    pub fn sector(&self, lba: u64) -> Option<Result<&Sector, ()>> {
        match self.gap().look(lba) {
            Look::Known(sector) => Some(Ok(sector)),
            Look::Unreadable => Some(Err(())),
            Look::Unknown | Look::Beyond => None,
        }
    }

    /// Valid copies before the first partition, slots or not, by LBA.
    pub fn copies(&self) -> Vec<u32> {
        let is_copy = |lba: &u32| {
            if self.gap().is_zero(u64::from(*lba)) {
                return false;
            }
            let sector = self.sector(u64::from(*lba)).and_then(Result::ok);
            sector.is_some_and(|sector| sector.starts_with(&MAGIC) && StoredCopy::parse(sector, *lba).is_ok())
        };
        (0..u32::try_from(self.end_lba).unwrap_or(u32::MAX)).filter(is_copy).collect()
    }

    /// All slots with their verdicts, in reading order.
    pub fn verdicts(&self) -> Vec<SlotVerdict> {
        slot_rules::verdicts(|lba| self.check(lba))
    }

    /// Whether a copy may be put at `lba` by all rules.
    pub fn check(&self, lba: u32) -> Result<(), SlotBusy> {
        slot_rules::check_slot(self.map(), &self.gap(), lba)
    }

    /// Whether a copy may be put back at `lba`, where a valid copy says that the other one belongs. A damaged copy does not
    /// stand in the way there; with `force` nor does other data. A sector that cannot be read is given up.
    pub fn check_own(&self, lba: u32, force: bool) -> Result<(), SlotBusy> {
        if !force {
            return self.check(lba);
        }
        let blanked = self.inspection.with_blank(lba.into());
        slot_rules::check_slot(&identity_layout::map(&blanked.gap()), &blanked.gap(), lba)
    }

    /// Whether a copy may be put at `lba`, which a person has named.
    ///
    /// # Errors
    /// Why not, and whether force would do it.
    pub fn check_at(&self, lba: u32, force: bool) -> Result<(), (SlotBusy, bool)> {
        slot_rules::check_named(self.map(), &self.gap(), lba, force)
    }

    fn gap(&self) -> Gap<'_> {
        self.inspection.gap()
    }
}

/// The partition tables of a card of which nothing else is asked; `None` where LBA 0 cannot be read.
pub fn table(card: &dyn Card) -> Option<PartitionTable> {
    let mut inspection = Inspection::new(card.sectors());
    while let Some(range) = inspection.next_of_table() {
        read(card, range, &mut inspection).ok()?;
    }
    Some(table::read(&inspection.gap()))
}

/// Bytes that are read at once where the head goes on.
const PIECE: usize = 128 << 10;

/// Makes a short head longer by `len` bytes. Most of a card's first sectors are zeros: memory that is zero as it comes is not
/// touched for them.
fn read_on(card: &dyn Card, len: usize, inspection: &mut Inspection) -> io::Result<()> {
    let known = inspection.head();
    let mut head = vec![0; known.len().checked_add(len).ok_or(io::ErrorKind::OutOfMemory)?];
    let (front, rest) = head.split_at_mut(known.len());
    front.copy_from_slice(known);
    let mut zeros = inspection.zeros().to_vec();
    let mut piece = vec![0; PIECE.min(len)];
    for (place, lba) in rest.chunks_mut(PIECE).zip((inspection.head_sectors()..).step_by(PIECE / SECTOR_LEN))
    {
        let piece = &mut piece[..place.len()];
        card.read(lba, piece)?;
        for (place, sector) in place.chunks_exact_mut(SECTOR_LEN).zip(piece.chunks_exact(SECTOR_LEN)) {
            let is_zero = *sector == [0; SECTOR_LEN];
            if !is_zero {
                place.copy_from_slice(sector);
            }
            zeros.push(is_zero);
        }
    }
    inspection.give_head(head, zeros);
    Ok(())
}

/// Reads what the inspection asks for, at once or, where that fails, sector by sector.
fn read(card: &dyn Card, range: Range<u64>, inspection: &mut Inspection) -> io::Result<()> {
    let len = usize::try_from(range.end - range.start).ok().and_then(|count| count.checked_mul(SECTOR_LEN));
    let len = len.ok_or(io::ErrorKind::OutOfMemory)?;
    let continues = range.start == inspection.head_sectors() && inspection.head().len() < len;
    if continues && read_on(card, len, inspection).is_ok() {
        return Ok(());
    }
    let mut bytes = vec![0; len];
    if card.read(range.start, &mut bytes).is_ok() {
        inspection.give(range.start, bytes);
        return Ok(());
    }
    for (lba, sector) in range.zip(bytes.chunks_exact_mut(SECTOR_LEN)) {
        match card.read(lba, sector) {
            Err(error) if lba == 0 => return Err(error),
            Err(_) => inspection.give_unreadable(lba..lba + 1),
            Ok(()) => inspection.give(lba, sector.to_vec()),
        }
    }
    Ok(())
}
