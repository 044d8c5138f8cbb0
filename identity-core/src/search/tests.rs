// SPDX-License-Identifier: MIT OR Apache-2.0
//! The search on cards of a few sectors, and against the text of docs/FORMAT.md.

use super::*;
use crate::field::kind;
use crate::identity::{Draft, Identity};
use crate::sector::SECTOR_LEN;
use crate::slot::READING_ORDER;
use proptest::prelude::*;
use std::collections::HashMap;
use std::vec::Vec;
use uuid::Uuid;

type Card = HashMap<u32, [u8; SECTOR_LEN]>;

fn identity(uuid: u128, generation: u32) -> Identity {
    let mut draft = Draft::new(Uuid::from_u128(uuid)).unwrap();
    draft.set_text(kind::PROFILE, "panda").unwrap();
    draft.set_generation(generation);
    draft.finish().unwrap()
}

fn stamped(identity: &Identity, a: u32, b: u32) -> Card {
    HashMap::from([(a, identity.encode(a, b)), (b, identity.encode(b, a))])
}

fn run(card: &Card, hint: Option<u32>) -> (State, Vec<u32>) {
    let mut search = Search::new(hint);
    while let Some(lba) = search.next() {
        let sector = card.get(&lba).copied().unwrap_or([0; SECTOR_LEN]);
        search.give(lba, Reading::Sector(StoredCopy::parse(&sector, lba))).unwrap();
    }
    (search.state(), search.seen().iter().map(|seen| seen.lba).collect())
}

fn damaged(card: &Card, lba: u32) -> Card {
    let mut card = card.clone();
    card.get_mut(&lba).unwrap()[60] ^= 1;
    card
}

#[test]
fn all_slots_are_looked_at() {
    let card = stamped(&identity(1, 1), 52, 6607);
    assert_eq!(run(&card, None), (State::Valid, READING_ORDER.map(|slot| slot.lba).to_vec()));
    let (state, seen) = run(&card, Some(6607));
    assert_eq!((state, seen.len(), seen[..2].to_vec()), (State::Valid, COUNT, std::vec![6607, 52]));
    let (state, seen) = run(&card, Some(300));
    assert_eq!((state, seen.len(), seen[..2].to_vec()), (State::Valid, COUNT + 1, std::vec![300, 52]));
}

#[test]
fn blank_card() {
    let (state, seen) = run(&Card::new(), None);
    assert_eq!((state, seen.len()), (State::Blank, COUNT));
}

#[test]
fn a_damaged_or_missing_copy_degrades() {
    let card = stamped(&identity(1, 1), 52, 6607);
    for lba in [52, 6607] {
        assert_eq!(run(&damaged(&card, lba), None).0, State::Degraded, "damaged {lba}");
        let mut missing = card.clone();
        missing.remove(&lba);
        assert_eq!(run(&missing, None).0, State::Degraded, "missing {lba}");
    }
}

#[test]
fn both_damaged() {
    let card = damaged(&damaged(&stamped(&identity(1, 1), 52, 6607), 52), 6607);
    assert_eq!(run(&card, None), (State::Corrupt, READING_ORDER.map(|slot| slot.lba).to_vec()));
}

#[test]
fn two_identities_are_a_conflict() {
    let mut card = stamped(&identity(1, 1), 52, 6607);
    card.insert(6607, identity(2, 1).encode(6607, 52));
    assert_eq!(run(&card, None).0, State::Conflict);
    let mut card = stamped(&identity(1, 1), 52, 6607);
    card.insert(7, identity(2, 1).encode(7, 5));
    assert_eq!(run(&card, None).0, State::Conflict);
}

#[test]
fn an_older_copy_degrades_whichever_it_is() {
    for (first, second) in [(1, 2), (2, 1)] {
        let card = HashMap::from([
            (52, identity(1, first).encode(52, 6607)),
            (6607, identity(1, second).encode(6607, 52)),
        ]);
        assert_eq!(run(&card, None).0, State::Degraded);
    }
}

#[test]
fn a_third_copy_degrades() {
    let mut card = stamped(&identity(1, 1), 52, 6607);
    card.insert(5, identity(1, 1).encode(5, 52));
    assert_eq!(run(&card, None).0, State::Degraded);
}

#[test]
fn a_copied_sector_is_no_identity() {
    let card = HashMap::from([(54, identity(1, 1).encode(52, 6607))]);
    assert_eq!(run(&card, None).0, State::Blank);
    let mut card = stamped(&identity(1, 1), 52, 6607);
    card.insert(54, identity(2, 1).encode(52, 6607));
    assert_eq!(run(&card, None).0, State::Valid);
    card.insert(6607, identity(1, 1).encode(52, 6607));
    assert_eq!(run(&card, None).0, State::Degraded);
}

#[test]
fn places_outside_the_slots_are_followed() {
    let card = stamped(&identity(1, 1), 52, 300);
    let (state, seen) = run(&card, None);
    assert_eq!((state, seen.last()), (State::Valid, Some(&300)));
    assert_eq!(run(&stamped(&identity(1, 1), 300, 301), None).0, State::Blank);
    assert_eq!(run(&stamped(&identity(1, 1), 300, 301), Some(301)).0, State::Valid);
}

#[test]
fn only_what_was_asked_for_is_taken() {
    let mut search = Search::new(None);
    assert_eq!(search.give(53, Reading::Absent), Err(()));
    assert_eq!(search.take(52, &Err(Condition::Valid)), Err(()));
    assert!(search.seen().is_empty());
}

#[test]
fn unreadable_and_absent() {
    let all = |reading: fn(u32) -> Reading<'static>| {
        let mut search = Search::new(None);
        while let Some(lba) = search.next() {
            search.give(lba, reading(lba)).unwrap();
        }
        search.state()
    };
    assert_eq!(all(|_| Reading::Absent), State::Blank);
    assert_eq!(all(|lba| if lba == 52 { Reading::Unreadable } else { Reading::Absent }), State::Unreadable);
}

/// Of any bytes, as C may hold them: what is asked for is no sector twice and not LBA 0, and ends.
fn asks_soundly(mut search: Search) {
    let mut known: Vec<_> = search.seen().iter().map(Seen::lba).collect();
    while let Some(lba) = search.next() {
        assert!(lba != 0 && !known.contains(&lba), "{lba}, after {known:?}");
        search.give(lba, Reading::Absent).unwrap();
        known.push(lba);
        assert!(known.len() <= 14, "{known:?}");
    }
}

/// What may be given for one sector: a copy, or a condition.
type Given = Result<Identity, Condition>;

/// docs/FORMAT.md, "Search and states": the order of looking.
fn next_by_format(hint: u32, seen: &[(u32, Given, u32)]) -> Option<u32> {
    const SLOTS: [u32; 10] = [52, 6607, 2703, 1711, 5, 54, 6959, 2927, 1777, 7];
    let peers = seen.iter().filter(|(_, given, _)| given.is_ok()).map(|(_, _, peer_lba)| *peer_lba);
    let mut all = std::iter::once(hint).chain(SLOTS).chain(peers);
    all.find(|lba| *lba != 0 && seen.iter().all(|(known, ..)| known != lba)).filter(|_| seen.len() < 14)
}

/// The same section's table, step by step.
fn state_by_format(seen: &[(u32, Given, u32)]) -> State {
    let has = |condition| seen.iter().any(|(_, given, _)| *given == Err(condition));
    let is_primary = |(_, given, _): &&(u32, Given, u32)| matches!(given, Ok(_) | Err(Condition::Newer));
    let Some(primary) = seen.iter().find(is_primary) else {
        return match (has(Condition::Corrupt), has(Condition::Unreadable)) {
            (true, _) => State::Corrupt,
            (_, true) => State::Unreadable,
            _ => State::Blank,
        };
    };
    let Ok(identity) = &primary.1 else { return State::Newer };
    let others = || seen.iter().filter(|(lba, ..)| *lba != primary.0);
    let valid = || others().filter_map(|(lba, given, peer)| Some((lba, given.as_ref().ok()?, peer)));
    let fields = |of: &Identity| of.fields().bytes().to_vec();
    let same_write = |other: &Identity| other.generation() == identity.generation();
    let conflicts = |other: &Identity| {
        other.uuid() != identity.uuid() || same_write(other) && fields(other) != fields(identity)
    };
    if valid().any(|(_, other, _)| conflicts(other)) {
        return State::Conflict;
    }
    let is_peer = |lba: &u32, other: &Identity, peer: &u32| {
        *lba == primary.2 && *peer == primary.0 && same_write(other)
    };
    let peer = valid().find(|(lba, other, peer)| is_peer(lba, other, peer)).map(|(lba, ..)| *lba);
    let disturbs = |(lba, given, _): &(u32, Given, u32)| {
        let is_copy = matches!(given, Ok(_) | Err(Condition::Corrupt | Condition::Newer));
        is_copy && Some(*lba) != peer
    };
    if peer.is_none() || others().any(disturbs) { State::Degraded } else { State::Valid }
}

/// Sectors that searches of a test may meet: slots, and places that only a hint or a copy names.
const PLACES: [u32; 8] = [52, 6607, 5, 7, 1711, 300, 301, 302];

fn version(uuid: u128, generation: u32, profile: &str) -> Identity {
    let mut draft = Draft::new(Uuid::from_u128(uuid)).unwrap();
    draft.set_text(kind::PROFILE, profile).unwrap();
    draft.set_generation(generation);
    draft.finish().unwrap()
}

fn given() -> impl Strategy<Value = (Given, u32)> {
    use Condition::{Absent, Blank, Corrupt, Foreign, Newer, Unreadable};
    let none = proptest::sample::select(&[Absent, Blank, Foreign, Corrupt, Newer, Unreadable][..]);
    let profile = proptest::sample::select(&["panda", "panda", "panda", "bear"][..]);
    let copy = (1..3_u128, 1..3_u32, profile)
        .prop_map(|(uuid, generation, profile)| version(uuid, generation, profile));
    let peer = proptest::sample::select(&PLACES[..]);
    let given = prop_oneof![8 => Just(Err(Blank)), 2 => none.prop_map(Err), 2 => copy.prop_map(Ok)];
    (given, peer)
}

proptest! {
    #[test]
    fn a_search_begun_in_any_bytes_from_c_is_a_new_one(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, size_of::<Search>()),
        hint in 0..3_u32,
    ) {
        let mut search = Search::read_from_bytes(&bytes).unwrap();
        let hint = (hint != 0).then_some(hint);
        search.begin(hint);
        let new = Search::new(hint);
        prop_assert_eq!(search.as_bytes(), new.as_bytes());
    }

    #[test]
    fn of_any_bytes_from_c_it_asks_for_no_sector_twice(
        words in proptest::collection::vec(
            prop_oneof![proptest::num::u32::ANY, proptest::sample::select(&[0, 1, 4, 5, 52, 6607][..])],
            size_of::<Search>() / 4,
        ),
    ) {
        let bytes: Vec<_> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        asks_soundly(Search::read_from_bytes(&bytes).unwrap());
    }

    /// Whatever lies on a card: which sector is next, at every step, and what all of them say together.
    #[test]
    fn it_asks_and_says_what_the_document_does(
        card in proptest::collection::vec(given(), PLACES.len()),
        pair in proptest::option::of((0..PLACES.len(), 0..PLACES.len(), 1..3_u32, 1..3_u32, 0..4)),
        hint in proptest::sample::select(&[0, 0, 52, 300, 6607][..]),
    ) {
        let mut card = card;
        if let Some((one, other, generation, other_generation, chance)) = pair {
            card[one] = (Ok(version(1, generation, "panda")), PLACES[other]);
            card[other] = (Ok(version(1, other_generation, "panda")), if chance > 0 { PLACES[one] } else { 303 });
        }
        let mut search = Search::new(Some(hint));
        let mut seen = Vec::new();
        loop {
            let next = search.next();
            prop_assert_eq!(next, next_by_format(hint, &seen));
            let Some(lba) = next else { break };
            let place = PLACES.iter().position(|place| *place == lba);
            let (given, peer_lba) = place.map_or((Err(Condition::Blank), 0), |place| card[place].clone());
            // A copy cannot name its own sector.
            let peer_lba = if peer_lba == lba { 303 } else { peer_lba };
            let sector = given.as_ref().map(|identity| identity.encode(lba, peer_lba));
            let found = match &sector {
                Ok(sector) => Ok(StoredCopy::parse(sector, lba).unwrap()),
                Err(condition) => Err(**condition),
            };
            search.take(lba, &found).unwrap();
            seen.push((lba, given, peer_lba));
        }
        prop_assert_eq!(search.state(), state_by_format(&seen));
    }
}
