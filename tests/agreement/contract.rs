// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the search does not say, and what the verbs that write make of it.

use std::fs;

use identity_fixtures::odd::{Entry, uuid_of};
use identity_tests::cli::{Identity, Outcome};
use identity_tests::corpus::Files;

use crate::program::{ask, with_faults};

/// Whether this LBA is said.
pub fn is_named(outcome: &Outcome, lba: u32) -> bool {
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    said.split(|char: char| !char.is_ascii_digit()).any(|number| number == lba.to_string())
}

#[test]
fn a_copy_outside_the_slots_is_named_and_nothing_is_written() {
    let files = Files::new();
    for card in outside(&files) {
        let unhinted = Entry { hint: None, ..card.clone() };
        for verb in ["verify", "map"] {
            let outcome = ask(&files, &unhinted, verb);
            assert!(names_one(&outcome, card), "{}: {verb}: {outcome:?}", card.name);
        }
        let uuid = card.expected.uuid.clone().unwrap_or_else(|| uuid_of("a"));
        for words in ["stamp --profile other", &format!("stamp --uuid {uuid} --profile x"), "erase", "repair"]
        {
            let refused = is_refused(&files, card, words);
            assert!(refused.is_ok(), "{}: {words}: {refused:?}", card.name);
        }
    }
}

fn outside(files: &Files) -> Vec<&Entry> {
    let cards: Vec<_> = files.cards.iter().filter(|card| !card.expected.outside.is_empty()).collect();
    assert!(cards.len() >= 3);
    cards
}

fn names_one(outcome: &Outcome, card: &Entry) -> bool {
    card.expected.outside.iter().any(|&lba| is_named(outcome, lba))
}

/// That it refuses, names a copy, and changes nothing.
fn is_refused(files: &Files, card: &Entry, words: &str) -> Result<(), Outcome> {
    let path = files.path(card);
    let before = fs::read(&path).expect("own file");
    let hint = card.hint.map(|lba| format!("--at={lba}"));
    let mut command = Identity::new(words).args(hint).arg(&path);
    command.command().env("XDG_STATE_HOME", files.dir().join("state"));
    let outcome = command.run();
    let same = fs::read(&path).expect("own file") == before;
    if same && outcome.code == Some(6) && names_one(&outcome, card) { Ok(()) } else { Err(outcome) }
}

#[test]
fn a_newer_copy_is_not_written_over_whatever_else_there_is() {
    let files = Files::new();
    let state = files.dir().join("state");
    let is_newer = |card: &&Entry| card.expected.copies.iter().any(|seen| seen.condition == "newer");
    for card in files.cards.iter().filter(is_newer) {
        let before = fs::read(files.path(card)).expect("own file");
        let newer = card.expected.copies.iter().filter(|seen| seen.condition == "newer");
        let newer: Vec<_> = newer.map(|seen| seen.lba).collect();
        let in_gap = card.name != "newer-in-the-partition";
        let uuid = card.expected.uuid.clone().unwrap_or_else(|| uuid_of("a"));
        for words in ["stamp --profile other", "erase", "repair", &format!("stamp --uuid {uuid} --profile x")]
        {
            // A replacement of what can be read is refused as that.
            let replaces = words == "stamp --profile other" && card.expected.state != "newer";
            if replaces || !in_gap {
                continue;
            }
            let mut command = with_faults(Identity::new(words).arg(files.path(card)), card);
            command.command().env("XDG_STATE_HOME", &state);
            let outcome = command.run();
            assert_eq!(outcome.code, Some(4), "{}: {words}: {outcome:?}", card.name);
            assert!(newer.iter().any(|&lba| is_named(&outcome, lba)), "{}: {words}: {outcome:?}", card.name);
            assert!(fs::read(files.path(card)).expect("own file") == before, "{}: {words}", card.name);
        }
    }
}
#[test]
fn an_image_is_not_written_over_a_copy_outside_the_slots() {
    let files = Files::new();
    let image = identity_fixtures::Card::new(2048).mbr(1, 0x0c, 2000, 48).bytes().to_vec();
    let path = files.dir().join("flash.image");
    fs::write(&path, image).expect("own directory");
    for card in outside(&files) {
        let refused = is_refused(&files, card, &format!("flash --yes {}", path.display()));
        assert!(refused.is_ok(), "{}: {refused:?}", card.name);
    }
}
