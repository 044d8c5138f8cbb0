// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first sectors of a card with everything known about them: what every plan starts from.

use std::io;
use std::ops::Range;

use identity_core::Copy;

use crate::device::{Card, SECTOR_LEN};
use crate::plan::{self, Place};
use identity_layout::table::{self, TableProblem};
use identity_layout::{self as layout, GAP_SECTORS_MAX, Gap, Inspection, Map, SlotBusy};

/// Sectors of an image that are read at first: enough for a table with its entries where known tools put them.
const TABLE_SECTORS: u64 = 4096;

/// The first sectors of a card, and their map.
pub struct Ground {
    inspection: Inspection,
    sectors: u64,
    map: Map,
}

impl Ground {
    /// Reads a card up to its first partition.
    ///
    /// # Errors
    /// If not even LBA 0 can be read; any other unreadable sector counts as data.
    pub fn of(card: &dyn Card) -> io::Result<Self> {
        let mut inspection = Inspection::new(card.sectors());
        while let Some(range) = inspection.next() {
            read(card, range, &mut inspection)?;
        }
        Ok(Self::of_inspection(inspection, card.sectors()))
    }

    /// Of the first bytes of a card that is still to be written: at least as many sectors as
    /// [`Ground::gap_sectors`] says.
    pub fn of_bytes(bytes: Vec<u8>, sectors: u64) -> Self {
        Self::of_inspection(Inspection::with_head(bytes, sectors), sectors)
    }

    fn of_inspection(inspection: Inspection, sectors: u64) -> Self {
        let map = layout::map(&inspection.gap());
        Self { inspection, sectors, map }
    }

    /// The bytes, when everything has been asked.
    pub fn into_bytes(self) -> Vec<u8> {
        self.inspection.into_head()
    }

    /// How many sectors have to be known of a card of `sectors` that starts with these bytes, 2 MiB of them.
    pub fn gap_sectors(bytes: &[u8], sectors: u64) -> u64 {
        let first_partition_lba = table::read(&Gap::new(bytes, sectors)).first_partition_lba();
        first_partition_lba.unwrap_or(u64::MAX).clamp(TABLE_SECTORS, GAP_SECTORS_MAX).min(sectors)
    }

    /// Who owns each sector.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// A valid copy, wherever it is: readers look only at slots, but a person may have put it elsewhere.
    pub fn copy_anywhere(&self) -> Option<u32> {
        let (sectors, _) = self.inspection.head().as_chunks::<SECTOR_LEN>();
        let before_partitions = u32::try_from(self.map.end_lba).unwrap_or(u32::MAX);
        (0..before_partitions)
            .zip(sectors)
            .find(|(lba, sector)| Copy::parse(sector, *lba).is_ok())
            .map(|(lba, _)| lba)
    }

    /// All slots with their verdicts.
    pub fn places(&self) -> Vec<Place> {
        plan::places(|lba| self.check(lba))
    }

    /// Whether a copy may be put at `lba` by all rules.
    pub fn check(&self, lba: u32) -> Result<(), String> {
        self.check_not_cut_off()?;
        layout::check_slot(&self.map, &self.gap(), lba).map_err(|busy| busy.to_string())
    }

    /// Whether a copy may be put back at `lba`, where a valid copy says that the other one belongs: what stands there
    /// now does not count, if it is nothing larger than that sector.
    pub fn check_own(&self, lba: u32) -> Result<(), String> {
        self.check_not_cut_off()?;
        let blank = self.inspection.with_blank(lba.into());
        let gap = blank.gap();
        layout::check_slot(&layout::map(&gap), &gap, lba).map_err(|busy| busy.to_string())
    }

    /// A card that ends before its first partition is the beginning of one: a download cut off, the wrong file.
    fn check_not_cut_off(&self) -> Result<(), String> {
        match self.map.table.first_partition_lba() {
            Some(first) if first >= self.sectors => Err(format!(
                "it is cut off: it has {} sectors, and its first partition starts at LBA {first}",
                self.sectors
            )),
            _ => Ok(()),
        }
    }

    /// Whether a copy may be put at `lba`, which a person named: that person may know better than the rules what
    /// belongs to whom, but not what lies in a partition or a partition table, or where a boot ROM takes what it finds
    /// for its loader; and data goes only by force.
    pub fn check_at(&self, lba: u32, force: bool) -> Result<(), String> {
        let refuse = |busy: &SlotBusy| Err(busy.to_string());
        let by_force = |reason: String| {
            if force { Ok(()) } else { Err(format!("{reason}; --force writes there all the same")) }
        };
        if let Some(problem) = self.map.table.fatal_problem().filter(|problem| !is_absent(problem)) {
            by_force(problem.to_string())?;
        }
        match layout::check_place(&self.map, &self.gap(), lba) {
            Err(
                busy @ (SlotBusy::NotInGap { .. }
                | SlotBusy::Gpt
                | SlotBusy::NotRead
                | SlotBusy::Parsed { .. }),
            ) => refuse(&busy),
            Err(busy @ (SlotBusy::Inside(_) | SlotBusy::NotBlank(_))) => by_force(busy.to_string()),
            _ => Ok(()),
        }
    }

    fn gap(&self) -> Gap<'_> {
        self.inspection.gap()
    }
}

/// Whether there simply is no table, rather than a broken one or something else in its place.
fn is_absent(problem: &TableProblem) -> bool {
    matches!(problem, TableProblem::TooShort | TableProblem::NoSignature)
}

/// Reads what an inspection asks for, at once or, where that fails, one by one.
fn read(card: &dyn Card, range: Range<u64>, inspection: &mut Inspection) -> io::Result<()> {
    let len = usize::try_from(range.end - range.start).ok().and_then(|count| count.checked_mul(SECTOR_LEN));
    let mut bytes = vec![0; len.ok_or(io::ErrorKind::OutOfMemory)?];
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
