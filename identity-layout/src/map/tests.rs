// SPDX-License-Identifier: MIT OR Apache-2.0
//! The map of every card in the fixtures, and of random ones.

use super::*;
use crate::slot_rules::check_slot;
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
    let rows: HashSet<_> = families::FAMILIES.iter().map(|family| family.name).collect();
    assert_eq!(rows.len(), families::FAMILIES.len());
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
        let row = families::FAMILIES.iter().find(|family| family.name == card.family).unwrap();
        let found = map.families.iter().any(|family| family.name == row.name);
        let expected = !row.signs.is_empty() && !exempt.contains(&card.name);
        assert_eq!(found, expected, "{}", card.name);
    }
}

#[test]
fn places_and_claims_are_in_order_and_have_sources() {
    for family in families::FAMILIES {
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

#[test]
fn a_copy_at_another_lba_than_its_own_is_data() {
    use identity_core::field::kind;
    use identity_core::{Draft, Uuid};
    let mut draft = Draft::new(Uuid::from_u128(7)).unwrap();
    draft.set_text(kind::PROFILE, "panda").unwrap();
    let piece = draft.finish().unwrap().encode(52, 6607);
    let mut card = Card::new(8256);
    card.mbr(1, 0x0c, 8192, 64).put(300, &piece).put(2600, &loader::uimage(600 * 512)).put(2703, &piece);
    // Beside data 0xFF is padding.
    card.put(301, &[0xff; 512]);
    let map = map_of(&card);
    let owner = |lba| map.owner_of(lba).map(|region| (region.owner.basis, &*region.owner.detail));
    assert_eq!(owner(300), Some((Basis::Data, "a copy that was written for LBA 52")));
    assert_eq!(owner(301).map(|(basis, _)| basis), Some(Basis::Data));
    assert_eq!(owner(302), None);
    assert_eq!(
        owner(2703).map(|(basis, _)| basis),
        Some(Basis::Content),
        "inside an image it is the image's"
    );
}

/// Each sector begins what looks like an environment of 1 MiB without its checksum, until the search gives up; the real one
/// behind counts all the same.
#[test]
fn what_a_search_did_not_reach_is_somebodys() {
    let mut card = Card::new(8256);
    card.mbr(1, 0x0c, 8192, 64);
    for lba in 100..3000 {
        card.put(lba, b"\0\0\0\0a=b\0\0").put_at(lba * 512 + 9, &[0x55; 503]);
    }
    card.put(6600, &loader::env(0x2000, false));
    let gap = Gap::new(card.bytes(), card.sectors());
    let map = map(&gap);
    for lba in [6607, 6959] {
        assert!(check_slot(&map, &gap, lba).is_err(), "{lba}");
    }
    let reason = check_slot(&map, &gap, 6959).unwrap_err().to_string();
    assert!(reason.contains("not searched"), "{reason}");
    assert_eq!(check_slot(&map, &gap, 52), Ok(()));
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
