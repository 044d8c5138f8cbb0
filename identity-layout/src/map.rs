// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who owns each sector before the first partition.

use identity_core::copy::NotACopy;
use identity_core::sector::MAGIC;
use identity_core::{SECTOR_LEN, StoredCopy};

use super::bytes::Bytes;
use super::families::{self, Family, Span};
use super::gap::{Gap, Look};
use super::mark::Mark;
use super::recognise::uboot_env::{OTHER_COPY, UNJUDGED};
use super::recognise::{self, Budget, Sighting};
use super::table::{self, PartitionTable, Scheme};

/// Why sectors belong to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Part of a partition table.
    Table,
    /// Recognised by its content.
    Content,
    /// A copy of an identity: ours.
    Copy(CopyState),
    /// The mark of an unfinished flash in LBA 0: ours.
    Mark,
    /// Not blank, and not known.
    Data,
    /// Blank or not: a family that was recognised has something there, or will have.
    Claim,
}

impl Basis {
    /// The name that JSON has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Content => "content",
            Self::Copy(_) => "copy",
            Self::Mark => "mark",
            Self::Data => "data",
            Self::Claim => "claim",
        }
    }
}

/// What a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyState {
    /// A copy that passes every check.
    Valid,
    /// Our magic, but a check fails.
    Corrupt,
    /// Intact, of a later version.
    Newer,
}

impl CopyState {
    /// The name that JSON has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Corrupt => "corrupt",
            Self::Newer => "newer",
        }
    }
}

/// Whose sectors they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// How that is known.
    pub basis: Basis,
    /// Whose: "Allwinner", "U-Boot", "MBR"; empty if not known.
    pub family: &'static str,
    /// What the sectors hold, in words.
    pub what: &'static str,
    /// One more line; may be empty.
    pub detail: String,
}

/// Sectors with one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// LBA of its first sector.
    pub start_lba: u64,
    /// Number of sectors, at least one.
    pub sectors: u64,
    /// Who owns the sectors, and how that is known.
    pub owner: Owner,
}

impl Region {
    /// First sector behind it.
    pub fn end_lba(&self) -> u64 {
        self.start_lba.saturating_add(self.sectors)
    }

    /// Last sector of it.
    pub fn last_lba(&self) -> u64 {
        self.end_lba().saturating_sub(1)
    }

    /// Whether the sector is in it.
    pub fn contains(&self, lba: u64) -> bool {
        (self.start_lba..self.end_lba()).contains(&lba)
    }

    fn new(start_lba: u64, end_lba: u64, owner: Owner) -> Option<Self> {
        let sectors = end_lba.checked_sub(start_lba).filter(|&sectors| sectors > 0)?;
        Some(Self { start_lba, sectors, owner })
    }
}

/// Everything before the first partition.
#[derive(Clone, Debug)]
pub struct Map {
    /// The partition table, with its problems.
    pub table: PartitionTable,
    /// Sectors with an owner, by start. Only claims overlap others.
    pub regions: Vec<Region>,
    /// Families that were recognised.
    pub families: Vec<&'static Family>,
    /// Where the gap ends: at the first partition, or where reading stopped.
    pub end_lba: u64,
    /// Images as long as their headers say, also where a copy of ours lies in one.
    images: Vec<Region>,
}

/// Finds the owner of every sector before the first partition.
pub fn map(gap: &Gap) -> Map {
    let table = table::read(gap);
    let end_lba = table.first_partition_lba().unwrap_or(u64::MAX).min(gap.sectors());

    let tables = find_tables(&table, end_lba);
    let (copies, misplaced) = find_copies(gap, end_lba);
    let (images, sightings) = find_images(gap, end_lba);
    let families = families::recognised(&sightings);
    let claims: Vec<_> = families
        .iter()
        .flat_map(|family| family.claims.iter().map(|span| claim(family, span, end_lba)))
        .collect();

    let mut regions = tables;
    cover(&mut regions, find_mark(gap, end_lba).into_iter().collect());
    cover(&mut regions, copies);
    cover(&mut regions, images.clone());
    cover(&mut regions, misplaced);
    cover(&mut regions, find_unreadable(gap, end_lba));
    let data = find_data(gap, end_lba, &regions);
    cover(&mut regions, data);
    regions.extend(claims.into_iter().flatten());
    regions.sort_by_key(|region| (region.start_lba, region.owner.basis == Basis::Claim));
    Map { table, regions, families, end_lba, images }
}

impl Map {
    /// Whose a sector is; what is there goes before what is claimed.
    pub fn owner_of(&self, lba: u64) -> Option<&Region> {
        let at = || self.regions.iter().filter(|region| region.contains(lba));
        at().find(|region| region.owner.basis != Basis::Claim).or_else(|| at().next())
    }

    /// The claim that covers a sector.
    pub fn claim_on(&self, lba: u64) -> Option<&Region> {
        self.regions.iter().find(|region| region.owner.basis == Basis::Claim && region.contains(lba))
    }

    /// The image whose header covers a sector.
    pub fn image_at(&self, lba: u64) -> Option<&Region> {
        self.images.iter().find(|region| region.contains(lba))
    }

    /// Sectors that nobody has: first sector, and first one behind.
    pub fn free_runs(&self) -> Vec<(u64, u64)> {
        let mut runs = Vec::new();
        let mut next = 0;
        for region in &self.regions {
            if region.start_lba > next {
                runs.push((next, region.start_lba.min(self.end_lba)));
            }
            next = next.max(region.end_lba());
        }
        runs.push((next, self.end_lba));
        runs.retain(|(start, end)| start < end);
        runs
    }
}

fn find_tables(table: &PartitionTable, end_lba: u64) -> Vec<Region> {
    let region = |start: u64, sectors: u64, family, what, detail: String| {
        let end = start.saturating_add(sectors).min(end_lba);
        Region::new(start, end, Owner { basis: Basis::Table, family, what, detail })
    };
    let partitions = |gpt| table.partitions.iter().filter(|partition| partition.is_gpt() == gpt).count();
    let count = |count: usize| format!("{count} partition{}", if count == 1 { "" } else { "s" });
    let mut regions = Vec::new();
    match table.scheme {
        Scheme::None => {}
        Scheme::Gpt => regions.push(region(0, 1, "GPT", "protective MBR", String::new())),
        Scheme::Mbr => regions.push(region(0, 1, "MBR", "partition table", count(partitions(false)))),
        Scheme::Hybrid => regions.push(region(0, 1, "MBR", "hybrid MBR", count(partitions(false)))),
    }
    for backup in &table.backups {
        if table.gpt.is_some() {
            regions.push(region(backup.header_lba, 1, "GPT", "backup header", String::new()));
            if backup.header_crc_ok {
                let (start, sectors) = (backup.entries_lba, backup.entries_sectors);
                regions.push(region(start, sectors, "GPT", "backup entries", String::new()));
            }
        }
    }
    if let Some(gpt) = &table.unprotected {
        let mut data = |start: u64, sectors: u64| {
            let owner =
                Owner { basis: Basis::Data, family: "", what: UNPROTECTED, detail: UNPROTECTED.to_owned() };
            regions.push(Region::new(start, start.saturating_add(sectors).min(end_lba), owner));
        };
        data(gpt.header_lba, 1);
        if gpt.header_crc_ok {
            data(gpt.entries_lba, gpt.entries_sectors);
        }
    }
    if let Some(gpt) = &table.gpt {
        regions.push(region(gpt.header_lba, 1, "GPT", "header", String::new()));
        regions.push(region(
            gpt.entries_lba,
            gpt.entries_sectors,
            "GPT",
            "partition entries",
            count(partitions(true)),
        ));
    }
    let mut found: Vec<Region> = Vec::new();
    for region in regions.into_iter().flatten() {
        // A broken header may put the entries anywhere.
        cover(&mut found, vec![region]);
    }
    found
}

fn find_mark(gap: &Gap, end_lba: u64) -> Option<Region> {
    let mark = Mark::parse(gap.sector(0)?)?;
    let (basis, detail) = (Basis::Mark, mark.image().to_owned());
    let owner = Owner { basis, family: "identity", what: "mark of an unfinished flash", detail };
    Region::new(0, end_lba.min(1), owner)
}

/// Sectors that the device could not read: nobody knows whose they are.
fn find_unreadable(gap: &Gap, end_lba: u64) -> Vec<Region> {
    let mut unreadable: Vec<Region> = Vec::new();
    for lba in (0..end_lba).filter(|&lba| matches!(gap.look(lba), Look::Unreadable)) {
        match unreadable.last_mut().filter(|last| last.end_lba() == lba) {
            Some(last) => last.sectors = last.sectors.saturating_add(1),
            None => {
                let owner = Owner { basis: Basis::Data, family: "", what: UNREADABLE, detail: String::new() };
                unreadable.extend(Region::new(lba, lba.saturating_add(1), owner));
            }
        }
    }
    unreadable
}

/// Copies, and copies that were written for another LBA: somebody's data.
fn find_copies(gap: &Gap, end_lba: u64) -> (Vec<Region>, Vec<Region>) {
    let (mut copies, mut misplaced) = (Vec::new(), Vec::new());
    for lba in 0..end_lba {
        if gap.is_zero(lba) {
            continue;
        }
        let Some(sector) = gap.sector(lba).filter(|sector| sector.has(0, &MAGIC)) else { continue };
        let Ok(own) = u32::try_from(lba) else { break };
        let (state, detail) = match StoredCopy::parse(sector, own) {
            Ok(copy) => (CopyState::Valid, copy.uuid().to_string()),
            Err(NotACopy::Corrupt(defect)) => (CopyState::Corrupt, defect.to_string()),
            Err(NotACopy::Newer(newer)) => (CopyState::Newer, newer.to_string()),
            Err(NotACopy::Misplaced { own_lba }) => {
                let detail = format!("a copy that was written for LBA {own_lba}");
                let owner = Owner { basis: Basis::Data, family: "", what: MISPLACED, detail };
                misplaced.extend(Region::new(lba, lba.saturating_add(1), owner));
                continue;
            }
            Err(NotACopy::Blank | NotACopy::Foreign) => continue,
        };
        let owner = Owner { basis: Basis::Copy(state), family: "identity", what: "copy", detail };
        copies.extend(Region::new(lba, lba.saturating_add(1), owner));
    }
    (copies, misplaced)
}

/// Images by their headers, none inside another; and every sign that was seen, also of those inside.
fn find_images(gap: &Gap, end_lba: u64) -> (Vec<Region>, Vec<Sighting>) {
    let mut budget = Budget::FULL;
    let (mut images, mut sightings) = (Vec::new(), Vec::new());
    let mut add = |lba: u64, format: &'static recognise::Format, extent: recognise::Extent| {
        let (first, sectors) = extent.in_sectors();
        let start_lba = lba.saturating_add(first);
        let basis = Basis::Content;
        let owner = if extent.detail == UNJUDGED {
            Owner { basis, family: "", what: UNJUDGED, detail: String::new() }
        } else {
            if extent.detail != OTHER_COPY {
                sightings.push(Sighting { lba: start_lba, format });
            }
            Owner { basis, family: format.family, what: format.name, detail: extent.detail }
        };
        images.extend(Region::new(start_lba, start_lba.saturating_add(sectors).min(end_lba), owner));
    };
    for &format in recognise::ALL {
        for extent in format.look_everywhere(gap, end_lba, &mut budget) {
            add(0, format, extent);
        }
    }
    for lba in (0..end_lba).filter(|&lba| gap.sector(lba).is_some() && !gap.is_zero(lba)) {
        for &format in recognise::ALL {
            for extent in format.look(gap.from(lba), lba) {
                add(lba, format, extent);
            }
        }
    }
    images.sort_by_key(|image| (image.start_lba, std::cmp::Reverse(image.sectors)));
    (without_overlap(images), sightings)
}

/// What lies inside another goes; where two overlap, the later header is right about its own sectors.
fn without_overlap(images: Vec<Region>) -> Vec<Region> {
    let mut kept: Vec<Region> = Vec::new();
    for image in images {
        if let Some(before) = kept.last_mut() {
            if image.end_lba() <= before.end_lba() {
                continue;
            }
            before.sectors = before.sectors.min(image.start_lba.saturating_sub(before.start_lba));
        }
        kept.push(image);
    }
    kept.retain(|image| image.sectors > 0);
    kept
}

fn claim(family: &Family, span: &Span, end_lba: u64) -> Option<Region> {
    let end = span.last_lba.saturating_add(1).min(end_lba);
    let owner = Owner { basis: Basis::Claim, family: family.name, what: span.what, detail: String::new() };
    Region::new(span.first_lba, end, owner)
}

/// What a sector that nobody has holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    Zero,
    Ones,
    Other,
}

pub(super) fn is_zero(sector: &[u8; SECTOR_LEN]) -> bool {
    sector == &[0; SECTOR_LEN]
}

/// Zeroes, or what some cards erase to.
pub(super) fn is_blank(sector: &[u8; SECTOR_LEN]) -> bool {
    fill(sector) != Fill::Other
}

fn fill(sector: &[u8; SECTOR_LEN]) -> Fill {
    if is_zero(sector) {
        Fill::Zero
    } else if sector == &[0xff; SECTOR_LEN] {
        Fill::Ones
    } else {
        Fill::Other
    }
}

const UNPROTECTED: &str = "GPT without a protective entry in LBA 0";
const MISPLACED: &str = "piece of a card's image";
/// What [`Owner::what`] is of sectors that the device could not read.
pub const UNREADABLE: &str = "unreadable sector";
const DATA: &str = "unknown data";
const PADDING: &str = "padding (0xFF)";

/// Runs of data in the sectors without an owner.
///
/// Sectors of 0xFF are blank, some cards erase to that; but beside data, or between two images, they are taken for
/// padding, which binman writes.
fn find_data(gap: &Gap, end_lba: u64, regions: &[Region]) -> Vec<Region> {
    // Runs of equal fill, or of sectors that have an owner.
    let mut runs: Vec<(u64, u64, Option<Fill>)> = Vec::new();
    let mut owned = regions.iter().peekable();
    for lba in 0..end_lba {
        while owned.next_if(|region| region.end_lba() <= lba).is_some() {}
        let fill = match owned.peek() {
            Some(region) if region.contains(lba) => match region.owner.basis {
                Basis::Table => Some(Fill::Zero),
                Basis::Data if [MISPLACED, UNREADABLE].contains(&region.owner.what) => Some(Fill::Other),
                _ => None,
            },
            _ if gap.is_zero(lba) => Some(Fill::Zero),
            _ => gap.sector(lba).map(fill),
        };
        match runs.last_mut() {
            Some((_, end, of)) if *of == fill => *end = lba.saturating_add(1),
            _ => runs.push((lba, lba.saturating_add(1), fill)),
        }
    }
    let fill_of =
        |number: Option<usize>| number.and_then(|number| runs.get(number)).map(|(_, _, fill)| *fill);
    let mut data: Vec<Region> = Vec::new();
    for (number, (start, end, fill)) in runs.iter().enumerate() {
        let (before, behind) = (fill_of(number.checked_sub(1)), fill_of(number.checked_add(1)));
        let is_between = || {
            let beside_data = [before, behind].contains(&Some(Some(Fill::Other)));
            beside_data || (before == Some(None) && behind == Some(None))
        };
        let is_data = match fill {
            Some(Fill::Other) => true,
            Some(Fill::Ones) => is_between(),
            Some(Fill::Zero) | None => false,
        };
        if !is_data {
            continue;
        }
        let is_padding = *fill == Some(Fill::Ones);
        match data.last_mut().filter(|last| last.end_lba() == *start) {
            Some(last) => {
                last.sectors = end.saturating_sub(last.start_lba);
                if !is_padding {
                    last.owner.what = DATA;
                }
            }
            None => {
                let what = if is_padding { PADDING } else { DATA };
                let detail = if is_padding { String::new() } else { families::hint(*start) };
                data.extend(Region::new(
                    *start,
                    *end,
                    Owner { basis: Basis::Data, family: "", what, detail },
                ));
            }
        }
    }
    data
}

/// Adds `more` where no region is yet, and keeps all sorted.
fn cover(regions: &mut Vec<Region>, more: Vec<Region>) {
    let mut added = Vec::new();
    for region in more {
        let mut start = region.start_lba;
        for taken in regions.iter().filter(|taken| taken.end_lba() > region.start_lba) {
            if taken.start_lba >= region.end_lba() {
                break;
            }
            added.extend(Region::new(start, taken.start_lba, region.owner.clone()));
            start = start.max(taken.end_lba());
        }
        added.extend(Region::new(start, region.end_lba(), region.owner));
    }
    regions.append(&mut added);
    regions.sort_by_key(|region| region.start_lba);
}

#[cfg(test)]
mod tests;
