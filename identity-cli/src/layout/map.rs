// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who owns each sector before the first partition.

use identity_core::copy::NotACopy;
use identity_core::sector::MAGIC;
use identity_core::{Copy, SECTOR_LEN};

use super::bytes::Bytes;
use super::family::{self, Family, Span};
use super::gap::Gap;
use super::recognise::{self, Budget, Format};
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
    /// Not blank, and not known.
    Data,
    /// Blank or not: a family that was recognised has something there, or will have.
    Claim,
}

impl Basis {
    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Content => "content",
            Self::Copy(_) => "copy",
            Self::Data => "data",
            Self::Claim => "claim",
        }
    }
}

/// What a sector with our magic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyState {
    /// A valid copy.
    Valid,
    /// Damaged, or copied from elsewhere.
    Corrupt,
    /// Intact, of a later version.
    Newer,
}

impl CopyState {
    /// Name in JSON.
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
    /// What it is.
    pub what: &'static str,
    /// One more line; may be empty.
    pub detail: String,
}

/// Sectors with one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// First sector.
    pub start_lba: u64,
    /// Number of sectors, at least one.
    pub sectors: u64,
    /// Whose.
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

/// A format, and where a sign of it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The sector.
    pub lba: u64,
    /// The format.
    pub format: &'static Format,
}

/// Everything before the first partition.
#[derive(Clone, Debug)]
pub struct Map {
    /// The partition table.
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

/// Draws the map.
pub fn map(gap: &Gap) -> Map {
    let table = table::read(gap.bytes(), gap.device_sectors());
    let end_lba = table.first_partition_lba().unwrap_or(u64::MAX).min(gap.sectors());

    let tables = find_tables(&table, end_lba);
    let copies = find_copies(gap, end_lba);
    let (images, sightings) = find_images(gap, end_lba);
    let families = family::recognised(&sightings);
    let claims: Vec<_> = families
        .iter()
        .flat_map(|family| family.claims.iter().map(|span| claim(family, span, end_lba)))
        .collect();

    let mut regions = tables;
    cover(&mut regions, copies);
    cover(&mut regions, images.clone());
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

fn find_copies(gap: &Gap, end_lba: u64) -> Vec<Region> {
    let mut copies = Vec::new();
    for lba in 0..end_lba {
        let Some(sector) = gap.sector(lba).filter(|sector| sector.has(0, &MAGIC)) else { continue };
        let Ok(own) = u32::try_from(lba) else { break };
        let (state, detail) = match Copy::parse(sector, own) {
            Ok(copy) => (CopyState::Valid, copy.uuid().to_string()),
            Err(NotACopy::Corrupt(defect)) => (CopyState::Corrupt, defect.to_string()),
            Err(NotACopy::Newer(newer)) => (CopyState::Newer, newer.to_string()),
            Err(NotACopy::Blank | NotACopy::Foreign) => continue,
        };
        let owner = Owner { basis: Basis::Copy(state), family: "identity", what: "copy", detail };
        copies.extend(Region::new(lba, lba.saturating_add(1), owner));
    }
    copies
}

/// Images by their headers, none inside another; and every sign that was seen, also of those inside.
fn find_images(gap: &Gap, end_lba: u64) -> (Vec<Region>, Vec<Sighting>) {
    let mut budget = Budget::FULL;
    let (mut images, mut sightings) = (Vec::new(), Vec::new());
    for lba in 0..end_lba {
        if gap.sector(lba).is_none_or(is_zero) {
            continue;
        }
        for format in recognise::ALL {
            for extent in format.look(gap.from(lba), lba, &mut budget) {
                let (first, sectors) = extent.in_sectors();
                let start_lba = lba.saturating_add(first);
                sightings.push(Sighting { lba: start_lba, format });
                let owner = Owner {
                    basis: Basis::Content,
                    family: format.family,
                    what: format.name,
                    detail: extent.detail,
                };
                images.extend(Region::new(start_lba, start_lba.saturating_add(sectors).min(end_lba), owner));
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
            Some(region) if region.contains(lba) => {
                (region.owner.basis == Basis::Table).then_some(Fill::Zero)
            }
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
                let detail = if is_padding { String::new() } else { family::hint(*start) };
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
mod tests {
    use super::*;
    use crate::layout::slots::check_slot;
    use identity_core::slot::READING_ORDER;
    use identity_fixtures::Card;
    use identity_fixtures::card::LINUX;
    use identity_fixtures::family::{CARDS, FamilyCard};
    use identity_fixtures::loader;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::HashSet;
    use std::sync::LazyLock;

    /// A card's map and its free slots.
    struct Seen {
        card: &'static FamilyCard,
        map: Map,
        free: Vec<u32>,
    }

    /// All cards, drawn once for all tests.
    static SEEN: LazyLock<Vec<Seen>> = LazyLock::new(|| {
        let see = |card: &'static FamilyCard| {
            let image = (card.build)();
            let gap = Gap::new(image.bytes(), image.sectors());
            let map = map(&gap);
            let mut free: Vec<_> = READING_ORDER.iter().map(|slot| slot.lba).collect();
            free.sort_unstable();
            free.retain(|&lba| check_slot(&map, &gap, lba).is_ok());
            Seen { card, map, free }
        };
        CARDS.iter().map(see).collect()
    });

    fn map_of(card: &Card) -> Map {
        map(&Gap::new(card.bytes(), card.sectors()))
    }

    #[test]
    fn every_family_has_a_card() {
        let rows: HashSet<_> = family::FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(rows.len(), family::FAMILIES.len());
        let cards: HashSet<_> = CARDS.iter().map(|card| card.family).collect();
        assert_eq!(rows.symmetric_difference(&cards).collect::<Vec<_>>(), Vec::<&&str>::new());
    }

    #[test]
    fn every_card_is_seen_as_it_was_built() {
        for Seen { card, map, free } in SEEN.iter() {
            let regions = map
                .regions
                .iter()
                .filter(|region| !matches!(region.owner.basis, Basis::Table | Basis::Claim))
                .map(|region| (region.start_lba, region.sectors, region.owner.what));
            assert_eq!(regions.collect::<Vec<_>>(), card.regions, "{}", card.name);
            assert_eq!(free, card.free, "{}", card.name);
            let broken = map.table.fatal_problem().is_some();
            assert_eq!(broken, map.table.scheme == Scheme::None, "{}", card.name);
        }
    }

    #[test]
    fn checksums_are_right_where_there_are_any() {
        for Seen { card, map, .. } in SEEN.iter() {
            for region in &map.regions {
                assert!(!region.owner.detail.contains("wrong"), "{}: {region:?}", card.name);
            }
        }
    }

    #[test]
    fn families_are_recognised_by_their_signs() {
        let exempt = ["PandaBoard, loaders in files", "GRUB, in a BIOS boot partition"];
        for Seen { card, map, .. } in SEEN.iter() {
            let row = family::FAMILIES.iter().find(|family| family.name == card.family).unwrap();
            let found = map.families.iter().any(|family| family.name == row.name);
            let expected = !row.signs.is_empty() && !exempt.contains(&card.name);
            assert_eq!(found, expected, "{}", card.name);
        }
    }

    #[test]
    fn places_and_claims_are_in_order_and_have_sources() {
        for family in family::FAMILIES {
            for span in family.claims.iter().chain(family.places) {
                assert!(span.first_lba <= span.last_lba, "{}", family.name);
                assert!(!span.what.is_empty() && !span.source.is_empty(), "{}", family.name);
            }
        }
    }

    #[test]
    fn regions_do_not_overlap_and_free_runs_fill_the_rest() {
        for Seen { card, map, .. } in SEEN.iter() {
            let mut end = 0;
            for region in map.regions.iter().filter(|region| region.owner.basis != Basis::Claim) {
                assert!(region.start_lba >= end, "{}: {region:?}", card.name);
                end = region.end_lba();
            }
            assert!(end <= map.end_lba, "{}", card.name);
            let runs = map.free_runs();
            for lba in 0..map.end_lba {
                let free = runs.iter().any(|(start, end)| (*start..*end).contains(&lba));
                assert_eq!(free, map.owner_of(lba).is_none(), "{}: {lba}", card.name);
            }
        }
    }

    #[test]
    fn unknown_data_is_named_by_its_place() {
        let odroid = SEEN.iter().find(|seen| seen.card.name == "Odroid XU4").unwrap();
        let hint = &odroid.map.owner_of(1).unwrap().owner.detail;
        assert!(hint.starts_with("could be "), "{hint}");
    }

    #[test]
    fn what_overlaps_is_cut_at_the_later_header() {
        let mut card = Card::new(8256);
        card.mbr(1, 0x0c, 8192, 64).put(64, &loader::idblock_v1(1204)).put(512, &loader::uimage(2000 * 512));
        let map = map_of(&card);
        let regions: Vec<_> = map
            .regions
            .iter()
            .filter(|region| region.owner.basis == Basis::Content)
            .map(|region| (region.start_lba, region.sectors))
            .collect();
        assert_eq!(regions, [(64, 448), (512, 2000)]);
    }

    #[test]
    fn what_reaches_into_the_partition_ends_there() {
        let mut card = Card::new(8256);
        card.mbr(1, 0x0c, 2048, 64).put(1000, &loader::uimage(2000 * 512));
        let map = map_of(&card);
        assert_eq!(map.owner_of(1000).map(Region::end_lba), Some(2048));
    }

    #[test]
    fn copies_are_ours_wherever_they_are() {
        use identity_core::field::kind;
        use identity_core::{Draft, Uuid};
        let mut draft = Draft::new(Uuid::from_u128(7)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        let identity = draft.finish().unwrap();
        let mut card = Card::new(8256);
        let mut corrupt = identity.encode(300, 52);
        corrupt[100] ^= 1;
        card.mbr(1, 0x0c, 8192, 64).put(52, &identity.encode(52, 300)).put(300, &corrupt);
        let map = map_of(&card);
        let basis = |lba| map.owner_of(lba).map(|region| region.owner.basis);
        assert_eq!(basis(52), Some(Basis::Copy(CopyState::Valid)));
        assert_eq!(basis(300), Some(Basis::Copy(CopyState::Corrupt)));
        assert_eq!(basis(301), None);
    }

    /// Where images lie, one behind the other, in the order of a shuffled list.
    fn placements() -> impl Strategy<Value = Vec<(usize, u64)>> {
        vec((0..loader::images().len(), 0_u64..400), 1..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_slot_is_free_in_what_was_built(placements in placements(), gpt: bool, first_lba in 64_u32..9000) {
            let mut card = Card::new(first_lba as usize + 256);
            if gpt {
                card.gpt(2, &[(LINUX, first_lba.into(), u64::from(first_lba) + 100, "root")]);
            } else {
                card.mbr(1, 0x0c, first_lba, 100);
            }
            let images = loader::images();
            let mut built = Vec::new();
            let mut next = 34;
            for (number, distance) in placements {
                let image = &images[number];
                let (start, end) = (next + distance, next + distance + image.len().div_ceil(512) as u64);
                if end > u64::from(first_lba) {
                    break;
                }
                card.put(start as usize, image);
                built.push((start, end));
                next = end;
            }
            let gap = Gap::new(card.bytes(), card.sectors());
            let map = map(&gap);
            for (start, end) in built {
                for lba in start..end {
                    prop_assert!(map.owner_of(lba).is_some(), "{lba} of {start}..{end}");
                    prop_assert!(check_slot(&map, &gap, lba as u32).is_err(), "{lba} of {start}..{end}");
                }
            }
        }

        #[test]
        fn arbitrary_cards_never_panic(
            things in vec((0_usize..4096, vec(any::<u8>(), 1..600)), 0..12),
            sectors in 0_usize..4096,
            device_sectors: u64,
            table: bool,
        ) {
            let mut card = Card::new(4200);
            for (lba, bytes) in things {
                card.put(lba, &bytes);
            }
            if table {
                card.mbr(1, 0x0c, 4000, 100).mbr(2, 0, 0, 0).mbr(3, 0, 0, 0).mbr(4, 0, 0, 0);
            }
            let gap = Gap::new(&card.bytes()[..sectors * 512], device_sectors);
            let map = map(&gap);
            for slot in READING_ORDER {
                if check_slot(&map, &gap, slot.lba).is_ok() {
                    prop_assert!(is_blank(gap.sector(slot.lba.into()).unwrap()));
                }
            }
        }
    }
}
