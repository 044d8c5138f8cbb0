// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs that write: what they say they have found, in a dry run.

use identity_core::StoredCopy;
use identity_fixtures::odd::{Entry, uuid_of};
use identity_tests::cli::Outcome;
use identity_tests::corpus::{Answer, Reader};
use identity_tests::image::Image;
use serde_json::Value;

use crate::program::{answer, ask, each, exits, is_double, text};

/// Asks about each card but those that differ from another only in the kind of their table.
fn each_once(name: &'static str, mut ask: impl FnMut(&mut Reader, &Card<'_>)) {
    each(name, |reader, files, card, state| {
        if !is_double(card) && card.expected.outside.is_empty() {
            let run = |words: &str| crate::program::ask(files, card, words);
            ask(reader, &Card { card, state, run: &run });
        }
    });
}

struct Card<'c> {
    card: &'c Entry,
    state: &'c str,
    run: &'c dyn Fn(&str) -> Outcome,
}

impl Card<'_> {
    fn is_usable(&self) -> bool {
        matches!(self.state, "valid" | "degraded")
    }

    fn uuid(&self) -> &str {
        self.card.expected.uuid.as_deref().unwrap_or("no UUID")
    }

    /// That it refused, and named the identity that it found.
    fn refused(&self, reader: &mut Reader, outcome: &Outcome) {
        reader.check(self.card, outcome.stderr.contains(self.uuid()), || {
            format!("{} is not named: {}", self.uuid(), outcome.stderr)
        });
    }
}

/// Whether there is a copy that this program cannot read: no verb goes on without --force, and in a partition none at all.
fn has_newer(card: &Entry) -> bool {
    card.expected.copies.iter().any(|seen| seen.condition == "newer")
}

#[test]
fn erase_finds_the_same() {
    each("erase --dry-run", |reader, files, card, state| {
        if !card.expected.outside.is_empty() || is_double(card) {
            return;
        }
        let outcome = ask(files, card, "erase --force --dry-run --format json");
        let code = match state {
            // There is a mark to take the number out of.
            "blank" if card.expected.unfinished.is_some() => 0,
            "blank" => 3,
            _ if card.name == "newer-in-the-partition" => 4,
            _ => 0,
        };
        exits(reader, card, &outcome, code);
        if outcome.code != Some(0) {
            return reader.says(card, &Answer::default());
        }
        let document = outcome.json();
        reader.says(card, &answer(&document));
        // Whatever readers take for a copy goes.
        let steps = document["steps"].as_array().expect("a list");
        for seen in card.expected.copies.iter().filter(|seen| seen.condition == "valid") {
            let goes = steps.iter().any(|step| step["lba"] == seen.lba);
            reader.check(card, goes, || format!("LBA {} stays: {steps:?}", seen.lba));
        }
    });
}

#[test]
fn repair_finds_the_same() {
    each_once("repair --dry-run", |reader, asked| {
        let outcome = (asked.run)("repair --dry-run --format json");
        let code = match asked.state {
            _ if has_newer(asked.card) => 4,
            "valid" | "degraded" => 0,
            "blank" => 3,
            "corrupt" | "newer" => 4,
            "unreadable" => 7,
            _ => 5,
        };
        // Or it does not without being asked to, or there is no place for the second copy.
        let no_place = asked.is_usable() && outcome.code == Some(6);
        if !no_place {
            exits(reader, asked.card, &outcome, code);
        }
        let said = if outcome.code == Some(0) { answer(&outcome.json()) } else { Answer::default() };
        reader.says(asked.card, &said);
    });
}

#[test]
fn a_new_stamp_finds_the_same() {
    each_once("stamp --dry-run", |reader, asked| {
        let outcome = (asked.run)("stamp --profile other --dry-run --format json");
        match asked.state {
            // Or there is no place for a pair.
            "blank" if outcome.code == Some(6) => (),
            "blank" => exits(reader, asked.card, &outcome, 0),
            _ if has_newer(asked.card) => exits(reader, asked.card, &outcome, 4),
            "unreadable" => exits(reader, asked.card, &outcome, 7),
            "corrupt" => exits(reader, asked.card, &outcome, 6),
            _ => {
                exits(reader, asked.card, &outcome, 6);
                asked.refused(reader, &outcome);
            }
        }
        reader.says(asked.card, &Answer::default());
    });
}

#[test]
fn an_update_finds_the_same() {
    each_once("stamp --uuid --dry-run", |reader, asked| {
        let uuid = asked.card.expected.uuid.clone().unwrap_or_else(|| uuid_of("a"));
        let outcome =
            (asked.run)(&format!("stamp --uuid {uuid} --hostname new --force --dry-run --format json"));
        let document = || -> Value { outcome.json() };
        let mut said = Answer::default();
        if asked.is_usable() && outcome.code == Some(0) {
            said.uuid = Some(text(&document()["uuid"]));
            let next = latest(asked.card).and_then(|generation| generation.checked_add(1));
            let written = document()["generation"].as_u64();
            reader.check(asked.card, written == next.map(u64::from), || {
                format!("generation {written:?}, not {next:?}")
            });
        } else if asked.is_usable() {
            exits(reader, asked.card, &outcome, if has_newer(asked.card) { 4 } else { 6 });
        }
        reader.says(asked.card, &said);
    });
}

/// The highest generation of the identity that counts.
fn latest(card: &Entry) -> Option<u32> {
    let image = card.image();
    let valid = card.expected.copies.iter().filter(|seen| seen.condition == "valid");
    let copies = valid.filter_map(|seen| {
        let sector = image.get(seen.lba as usize * 512..)?.first_chunk()?;
        StoredCopy::parse(sector, seen.lba).ok().map(|copy| (copy.uuid().to_string(), copy.generation()))
    });
    let own = copies.filter(|(uuid, _)| Some(uuid) == card.expected.uuid.as_ref());
    own.map(|(_, generation)| generation).max()
}

#[test]
fn flash_finds_the_same() {
    let image = Image::of(identity_fixtures::Card::new(2048).mbr(1, 0x0c, 2000, 48).bytes());
    let state = image.dir().join("state");
    each("flash --dry-run", |reader, files, card, found| {
        if is_double(card) || card.sectors < 2048 || !card.expected.outside.is_empty() {
            return;
        }
        let hint = card.hint.map(|lba| format!("--at={lba}"));
        let command = identity_tests::cli::Identity::new("flash --yes --dry-run --format json").args(hint);
        let mut command = command.arg(image.path()).arg(files.path(card));
        command.command().env("XDG_STATE_HOME", &state);
        let outcome = crate::program::with_faults(command, card).run();
        let usable = matches!(found, "valid" | "degraded");
        let mut said = Answer::default();
        match found {
            _ if has_newer(card) => exits(reader, card, &outcome, 4),
            _ if outcome.code == Some(0) => {
                let document: Value = outcome.json();
                let action = text(&document["action"]);
                let expected = if usable { "keep" } else { "none" };
                reader.check(card, action.as_deref() == Some(expected), || format!("action {action:?}"));
                said.uuid = Some(text(&document["identity"]["uuid"]));
                let in_doubt = !usable && found != "blank";
                reader.check(card, !in_doubt, || "it goes on".into());
            }
            "unreadable" => exits(reader, card, &outcome, 7),
            _ => {
                exits(reader, card, &outcome, 6);
                // It has been written as often as can be counted.
                let is_at_the_end = latest(card) == Some(u32::MAX);
                reader.check(card, !usable || is_at_the_end, || format!("refused: {}", outcome.stderr));
                let named = card.expected.uuid.as_ref().is_none_or(|uuid| outcome.stderr.contains(uuid));
                reader.check(card, usable || named, || format!("not named: {}", outcome.stderr));
            }
        }
        reader.says(card, &said);
    });
}
