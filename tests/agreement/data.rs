// SPDX-License-Identifier: MIT OR Apache-2.0
//! The data themselves.

use std::collections::BTreeSet;

use identity_core::slot::READING_ORDER;
use identity_core::{State, StoredCopy};
use identity_fixtures::odd::{self, Entry, Step};
use identity_layout::mark::Mark;
use identity_layout::{Gap, table};
use identity_tests::corpus::{committed, text};

#[test]
fn committed_is_what_the_generator_makes() {
    let made = odd::index(&odd::all());
    assert!(
        text() == made,
        "fixtures/cards/cards.json differs: run `cargo run -p identity-fixtures --bin make-cards`"
    );
    assert_eq!(committed().cards, odd::all(), "what is read back is what was written");
}

#[test]
fn names_are_told_apart_and_states_are_states() {
    let index = committed();
    let names: BTreeSet<_> = index.cards.iter().map(|card| card.name.as_str()).collect();
    assert_eq!(names.len(), index.cards.len());
    let is_state = |name: &str| State::ALL.iter().any(|state| state.name() == name);
    for card in &index.cards {
        let expected = &card.expected;
        let excepted = card.except.values().filter_map(|exception| exception.state.as_ref());
        let judged = expected.in_this_card.iter().chain(&expected.on_this_board);
        for state in excepted.chain(judged).chain([&expected.state]) {
            assert!(is_state(state), "{}: {state}", card.name);
        }
        for (reader, exception) in &card.except {
            assert!(index.readers.contains_key(reader), "{}: nobody knows {reader}", card.name);
            assert!(!exception.because.is_empty(), "{}: no reason for {reader}", card.name);
        }
    }
    let found: BTreeSet<_> = index
        .cards
        .iter()
        .flat_map(|card| {
            let judged = card.expected.in_this_card.iter().chain(&card.expected.on_this_board);
            judged.chain([&card.expected.state]).cloned().collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(found.len(), State::ALL.len(), "every state is there: {found:?}");
}

/// Every slot has a card whose answer changes if that slot is not looked at.
#[test]
fn no_slot_can_be_left_out() {
    for slot in READING_ORDER {
        let decides = |card: &Entry| card.expected.copies.iter().any(|seen| seen.lba == slot.lba);
        assert!(committed().cards.iter().any(decides), "LBA {}", slot.lba);
    }
}

#[test]
fn copies_in_partitions_and_outside_the_slots_are_what_the_tables_make_of_them() {
    for card in committed().cards {
        let image = card.image();
        let partition_lba = table::read(&Gap::new(&image, card.sectors as u64)).first_partition_lba();
        let is_valid = |lba: u32| {
            let sector = image.get(lba as usize * 512..).and_then(|bytes| bytes.first_chunk());
            sector.is_some_and(|sector| StoredCopy::parse(sector, lba).is_ok())
        };
        let can_be_read = |lba: &u32| !card.unreadable.contains(lba);
        let looked_at = card.expected.copies.iter().map(|seen| seen.lba).filter(can_be_read);
        let mut behind: Vec<_> = looked_at
            .filter(|&lba| is_valid(lba) && partition_lba.is_some_and(|start| u64::from(lba) >= start))
            .collect();
        behind.sort_unstable();
        assert_eq!(card.expected.in_partition, behind, "{}", card.name);
        let gap = partition_lba.unwrap_or(u64::MAX).min(card.sectors as u64) as u32;
        let seen = |lba: &u32| {
            card.expected.copies.iter().any(|seen| seen.lba == *lba) || card.unreadable.contains(lba)
        };
        let outside: Vec<_> = (0..gap).filter(|lba| !seen(lba) && is_valid(*lba)).collect();
        assert_eq!(card.expected.outside, outside, "{}", card.name);
    }
}

#[test]
fn the_mark_is_the_layout_s() {
    let mut marked = 0;
    for card in committed().cards {
        let image = card.image();
        let mark = Mark::parse(image.first_chunk().expect("LBA 0"));
        assert_eq!(mark.as_ref().map(Mark::image), card.expected.unfinished.as_deref(), "{}", card.name);
        for step in &card.made {
            if let Step::Mark { number, .. } = step {
                let read = mark.as_ref().and_then(Mark::number).map(|number| format!("{number:032x}"));
                assert_eq!(read.as_ref(), Some(number), "{}", card.name);
                marked += 1;
            }
        }
    }
    assert!(marked > 0);
}
