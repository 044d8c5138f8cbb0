// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loaders of every family of boards stay as they are, to the last bit, through the whole life of an identity.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{iter, thread};

use identity_core::slot::READING_ORDER;
use identity_fixtures::family::{CARDS, FamilyCard};
use identity_tests::cli::Outcome;
use identity_tests::image::Image;
use identity_tests::untouched::{Watched, check_choice};

/// Tries all cards of a kind, some at a time, and names those that fail.
fn every_card(wanted: fn(&FamilyCard) -> bool, check: fn(&FamilyCard)) {
    const WORKERS: usize = 4;
    let (next, tried) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let cards =
            iter::from_fn(|| CARDS.get(next.fetch_add(1, Ordering::Relaxed))).filter(|card| wanted(card));
        let fails = |card: &&FamilyCard| {
            tried.fetch_add(1, Ordering::Relaxed);
            catch_unwind(|| check(card)).is_err()
        };
        cards.filter(fails).map(|card| card.name).collect::<Vec<_>>()
    };
    let failed: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("it catches panics")).collect()
    });
    assert!(failed.is_empty(), "see above; these cards: {failed:#?}");
    assert!(tried.into_inner() > 0, "no such card");
}

fn has_room(card: &FamilyCard) -> bool {
    card.free.len() >= 2
}

#[test]
fn nothing_outside_two_free_slots_ever_changes() {
    every_card(has_room, |card| {
        let image = Image::of((card.build)().bytes());
        let watched = Watched::stamp(&image);
        check_choice(watched.slots(), card.free);
        watched.update().repair().erase();
    });
}

/// Why a slot is not taken: its line, or the one sentence that holds for all.
fn reason_against(lba: u32, refused: &Outcome) -> String {
    if let Some(reason) = refused.stderr.split_once(": no slot is free: ") {
        return reason.1.to_owned();
    }
    let lines = refused.stderr.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.into_iter().find(|words| words.starts_with(&["LBA", &lba.to_string()]));
    line.unwrap_or_else(|| panic!("nothing about LBA {lba}: {refused:?}"))[2..].join(" ")
}

#[test]
fn a_card_without_two_free_slots_is_refused_with_the_reason_for_each() {
    every_card(
        |card| !has_room(card),
        |card| {
            let image = Image::of((card.build)().bytes());
            let refused = image.unchanged("stamp --profile panda").exits(6);
            for slot in READING_ORDER {
                let reason = reason_against(slot.lba, &refused);
                assert!(!reason.is_empty(), "{}: LBA {}: {refused:?}", card.name, slot.lba);
                assert_eq!(
                    reason == "free",
                    card.free.contains(&slot.lba),
                    "{}: LBA {}",
                    card.name,
                    slot.lba
                );
            }
        },
    );
}
