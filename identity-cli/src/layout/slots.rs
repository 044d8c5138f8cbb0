// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a copy may be written to a sector: six rules, each with its reason.

use std::fmt;

use super::family;
use super::gap::Gap;
use super::map::{Basis, Map, Region, is_blank, is_zero};
use super::table::TableProblem;

/// Why a sector may not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotBusy {
    /// The card has no partition table, or a broken one.
    Table(Option<TableProblem>),
    /// In a partition, or behind the start of one.
    NotInGap {
        /// Where the first partition starts.
        first_partition_lba: u64,
    },
    /// Where a GPT has, or usually has, its header and entries.
    Gpt,
    /// Behind what was read of the card, or behind its end.
    NotRead,
    /// A boot ROM looks at this sector for its image.
    Parsed {
        /// Which.
        by: &'static str,
    },
    /// In an image or an environment.
    Inside(Region),
    /// A family that was recognised uses the sector, even while it is blank.
    Claimed(Region),
    /// Not blank and not ours.
    NotBlank(Option<Region>),
    /// One of the two sectors before or behind is not blank and not ours: this may be a gap in an image.
    Neighbour {
        /// Which.
        lba: u64,
        /// What it is, where that is known.
        region: Option<Region>,
    },
}

impl fmt::Display for SlotBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(Some(problem)) => problem.fmt(f),
            Self::Table(None) => f.write_str("no partition table"),
            Self::NotInGap { first_partition_lba } => {
                write!(f, "not before the first partition, which starts at LBA {first_partition_lba}")
            }
            Self::Gpt => f.write_str("belongs to the GPT"),
            Self::NotRead => f.write_str("behind the end of what can be read"),
            Self::Parsed { by } => write!(f, "{by} looks for its loader there"),
            Self::Inside(region) => write!(f, "inside {}", Words(region)),
            Self::Claimed(region) => write!(f, "reserved for {}", Words(region)),
            Self::NotBlank(None) => f.write_str("not blank"),
            Self::NotBlank(Some(region)) => write!(f, "not blank: {}", Words(region)),
            Self::Neighbour { lba, region: None } => write!(f, "next to LBA {lba}, which is not blank"),
            Self::Neighbour { lba, region: Some(region) } => {
                write!(f, "next to LBA {lba}, which is not blank: {}", Words(region))
            }
        }
    }
}

/// A region in a sentence.
struct Words<'a>(&'a Region);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (owner, start, last) = (&self.0.owner, self.0.start_lba, self.0.last_lba());
        if !owner.family.is_empty() {
            write!(f, "{} ", owner.family)?;
        }
        write!(f, "{}, LBA {start}", owner.what)?;
        if last > start { write!(f, "–{last}") } else { Ok(()) }
    }
}

/// Whether a copy may be written to `lba`: all rules.
///
/// # Errors
/// The first rule that forbids it.
pub fn check_slot(map: &Map, gap: &Gap, lba: u32) -> Result<(), SlotBusy> {
    check_table(map)?;
    check_place(map, gap, lba)
}

/// Whether the card has a table by which the gap is known at all.
///
/// # Errors
/// [`SlotBusy::Table`].
pub fn check_table(map: &Map) -> Result<(), SlotBusy> {
    if let Some(problem) = map.table.fatal_problem() {
        return Err(SlotBusy::Table(Some(*problem)));
    }
    match map.table.scheme {
        super::table::Scheme::None => Err(SlotBusy::Table(None)),
        _ => Ok(()),
    }
}

/// Whether a copy may be written to `lba`, as far as that does not depend on there being a table.
///
/// # Errors
/// The first rule that forbids it.
pub fn check_place(map: &Map, gap: &Gap, lba: u32) -> Result<(), SlotBusy> {
    let lba = u64::from(lba);
    check_below_partitions(map, lba)?;
    if lba >= map.end_lba || lba >= gap.device_sectors() {
        return Err(SlotBusy::NotRead);
    }
    if let Some(by) = family::parsed_by(lba) {
        return Err(SlotBusy::Parsed { by });
    }
    if let Some(image) = map.image_at(lba) {
        return Err(SlotBusy::Inside(image.clone()));
    }
    match map.owner_of(lba) {
        Some(region) if region.owner.basis == Basis::Table => return Err(SlotBusy::Gpt),
        Some(region) if region.owner.basis == Basis::Data => {
            return Err(SlotBusy::NotBlank(Some(region.clone())));
        }
        _ => {}
    }
    if let Some(claim) = map.claim_on(lba) {
        return Err(SlotBusy::Claimed(claim.clone()));
    }
    check_neighbours(map, gap, lba)
}

/// Sectors that sgdisk and others use for the entries of a GPT unless told otherwise.
const GPT_USUAL: std::ops::RangeInclusive<u64> = 1..=33;

fn check_below_partitions(map: &Map, lba: u64) -> Result<(), SlotBusy> {
    if let Some(first_partition_lba) = map.table.first_partition_lba().filter(|&first| lba >= first) {
        return Err(SlotBusy::NotInGap { first_partition_lba });
    }
    match &map.table.gpt {
        Some(gpt) if GPT_USUAL.contains(&lba) || lba > gpt.last_usable_lba => Err(SlotBusy::Gpt),
        _ => Ok(()),
    }
}

/// How far blank sectors must reach on both sides.
const NEIGHBOURS: u64 = 2;

fn check_neighbours(map: &Map, gap: &Gap, lba: u64) -> Result<(), SlotBusy> {
    let before = (1..=NEIGHBOURS).filter_map(|distance| lba.checked_sub(distance)).filter(|&lba| lba != 0);
    let behind = (1..=NEIGHBOURS).filter_map(|distance| lba.checked_add(distance));
    for lba in before.chain(behind) {
        let region = map.owner_of(lba);
        let blank = match (gap.sector(lba), region.map(|region| region.owner.basis)) {
            (Some(_), Some(Basis::Copy(_))) => true,
            // 0xFF is blank only where nothing is.
            (Some(sector), None) if lba < map.end_lba => is_blank(sector),
            (Some(sector), _) => is_zero(sector),
            (None, _) => false,
        };
        if !blank {
            return Err(SlotBusy::Neighbour { lba, region: region.cloned() });
        }
    }
    Ok(())
}
