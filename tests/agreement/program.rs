// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real program: the verbs that read, in every format, on image files.

use std::collections::HashMap;

use identity_fixtures::odd::Entry;
use identity_tests::cli::{Identity, Outcome};
use identity_tests::corpus::{Answer, Files, Knows, Reader};
use serde_json::Value;

use crate::contract::is_named;

/// `identity WORDS... CARD`, with the card's hint and its faults.
pub fn ask(files: &Files, card: &Entry, words: &str) -> Outcome {
    let hint = card.hint.map(|lba| format!("--at={lba}"));
    with_faults(Identity::new(words).args(hint).arg(files.path(card)), card).run()
}

/// The same command, where the sectors that cannot be read fail.
pub fn with_faults(command: Identity, card: &Entry) -> Identity {
    if card.unreadable.is_empty() {
        return command;
    }
    let lbas: Vec<_> = card.unreadable.iter().map(u32::to_string).collect();
    command.fault("FAULT_READ", lbas.join(","))
}

/// Of `read`, and of what rests on it.
pub fn exit_of_read(state: &str) -> i32 {
    match state {
        "valid" | "degraded" => 0,
        "blank" => 3,
        "corrupt" | "newer" => 4,
        "unreadable" => 7,
        _ => 5,
    }
}

/// `verify` has more to say than the search.
fn exit_of_verify(state: &str, card: &Entry) -> i32 {
    let is_odd = !card.expected.in_partition.is_empty() || card.expected.unfinished.is_some();
    match state {
        "degraded" => 5,
        "valid" if is_odd => 5,
        state => exit_of_read(state),
    }
}

/// The same with a GPT as with an MBR; readers that take the same answer only in other words are not asked of it.
pub fn is_double(card: &Entry) -> bool {
    let is_gap = card.name.starts_with("left-") || card.name.starts_with("ghost-");
    is_gap && card.name.ends_with(if card.name.contains("2048") { "-mbr" } else { "-gpt" })
}

pub fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| number.try_into().ok())
}

/// What a document says.
pub fn answer(document: &Value) -> Answer {
    Answer {
        state: text(&document["state"]),
        uuid: Some(text(&document["uuid"])),
        generation: Some(number(&document["generation"])),
        copies: None,
    }
}

/// What `verify` and others call a copy that is valid beside the one that decides.
fn condition(label: &str) -> &str {
    if matches!(label, "other" | "another" | "older") { "valid" } else { label }
}

fn is_worth_naming(condition: &str) -> bool {
    !["blank", "foreign", "absent"].contains(&condition)
}

/// Asks about each card that the reader is to be asked of.
pub fn each(name: &'static str, mut ask: impl FnMut(&mut Reader, &Files, &Entry, &str)) {
    let files = Files::new();
    let mut reader = Reader::new(name, Knows::Nothing);
    for card in &files.cards {
        if let Some(state) = reader.state(card).map(str::to_owned) {
            ask(&mut reader, &files, card, &state);
        }
    }
    reader.agrees();
}

pub fn exits(reader: &mut Reader, card: &Entry, outcome: &Outcome, code: i32) {
    reader.check(card, outcome.code == Some(code), || {
        format!("exit {:?}, not {code}: {}", outcome.code, outcome.stderr.trim())
    });
}

#[test]
fn read_in_json_agrees() {
    each("read --format json", |reader, files, card, state| {
        let outcome = ask(files, card, "read --format json");
        exits(reader, card, &outcome, exit_of_read(state));
        let document = outcome.json();
        reader.says(card, &answer(&document));
        unfinished_is_said(reader, card, &outcome);
        reader.check(card, text(&document["unfinished"]) == card.expected.unfinished, || {
            format!("unfinished: {}", document["unfinished"])
        });
        // The copies that make up the identity: some of those that there are.
        for copy in document["copies"].as_array().expect("a list") {
            let (lba, label) = (number(&copy["lba"]).expect("an LBA"), text(&copy["state"]).expect("text"));
            let seen = card.expected.copies.iter().find(|seen| seen.lba == lba);
            let same = seen.map_or(!is_worth_naming(&label), |seen| seen.condition == condition(&label));
            reader.check(card, same, || format!("LBA {lba} is {label}"));
        }
    });
}

#[test]
fn read_in_words_agrees() {
    each("read", |reader, files, card, state| {
        let outcome = ask(files, card, "read");
        exits(reader, card, &outcome, exit_of_read(state));
        let said = words(&outcome.stdout);
        let uuid = said.get("uuid").cloned();
        // Where there is nothing to show, standard error alone says the state.
        let state = said.get("state").cloned().unwrap_or_else(|| state.to_owned());
        let quiet = state == "valid" && card.expected.unfinished.is_none();
        reader.check(card, quiet == outcome.stderr.trim().is_empty(), || {
            format!("standard error: {:?}", outcome.stderr)
        });
        unfinished_is_said(reader, card, &outcome);
        reader.says(card, &Answer { state: Some(state), uuid: Some(uuid), ..Answer::default() });
    });
}

fn unfinished_is_said(reader: &mut Reader, card: &Entry, outcome: &Outcome) {
    let said = outcome.stderr.contains("unfinished");
    reader.check(card, said == card.expected.unfinished.is_some(), || {
        format!("unfinished: {:?}", outcome.stderr)
    });
}

/// The second word of each line, by its first.
fn words(text: &str) -> HashMap<String, String> {
    let pairs = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    });
    pairs.collect()
}

#[test]
fn assignments_agree() {
    for (format, state_name, uuid_name) in [
        ("shell", "IDENTITY_STATE", "IDENTITY_UUID"),
        ("env", "IDENTITY_STATE", "IDENTITY_UUID"),
        ("uboot", "identity_state", "identity_uuid"),
    ] {
        each("read, assignments", |reader, files, card, state| {
            if is_double(card) {
                return;
            }
            let outcome = ask(files, card, &format!("read --format {format}"));
            exits(reader, card, &outcome, exit_of_read(state));
            let values: HashMap<_, _> =
                outcome.stdout.lines().filter_map(|line| line.split_once('=')).collect();
            let value = |name: &str| values.get(name).map(|value| value.trim_matches('\'').to_owned());
            let uuid = value(uuid_name).filter(|uuid| !uuid.is_empty());
            // What is in doubt is not assigned.
            let usable = reader.is_usable(card);
            reader.check(card, usable == uuid.is_some(), || format!("{format}: {uuid:?}"));
            let uuid = usable.then_some(uuid);
            reader.says(card, &Answer { state: value(state_name), uuid, ..Answer::default() });
        });
    }
}

#[test]
fn single_fields_agree() {
    each("read --field uuid", |reader, files, card, state| {
        if is_double(card) {
            return;
        }
        let outcome = ask(files, card, "read --field uuid");
        exits(reader, card, &outcome, exit_of_read(state));
        let usable = reader.is_usable(card);
        let uuid = Some(outcome.stdout.trim().to_owned()).filter(|uuid| !uuid.is_empty());
        reader.check(card, usable == uuid.is_some(), || format!("{uuid:?}"));
        reader.says(card, &Answer { uuid: usable.then_some(uuid), ..Answer::default() });
    });
}

#[test]
fn verify_in_json_agrees() {
    each("verify --format json", |reader, files, card, state| {
        let outcome = ask(files, card, "verify --format json");
        exits(reader, card, &outcome, exit_of_verify(state, card));
        let document = outcome.json();
        let slots = document["slots"].as_array().expect("a list").iter();
        let seen = slots
            .filter_map(|slot| Some((number(&slot["lba"])?, condition(slot["state"].as_str()?).to_owned())));
        let copies = Some(seen.filter(|(_, condition)| is_worth_naming(condition)).collect());
        reader.says(card, &Answer { copies, ..answer(&document) });
        let inside = document["in_partition"].as_array().into_iter().flatten().filter_map(number);
        let inside: Vec<_> = inside.collect();
        reader.check(
            card,
            document["in_partition"].is_array() && inside == card.expected.in_partition,
            || format!("in partitions: {inside:?}, not {:?}", card.expected.in_partition),
        );
        reader.check(card, text(&document["unfinished"]) == card.expected.unfinished, || {
            format!("unfinished: {}", document["unfinished"])
        });
    });
}

#[test]
fn verify_in_words_agrees() {
    each("verify", |reader, files, card, state| {
        if is_double(card) {
            return;
        }
        let outcome = ask(files, card, "verify");
        exits(reader, card, &outcome, exit_of_verify(state, card));
        let said = words(&outcome.stdout);
        let (_, slots) = outcome.stdout.split_once("slots in reading order:").unwrap_or_default();
        let copies = slots.lines().filter_map(|line| {
            let mut words = line.strip_prefix("LBA ")?.split([' ', ',', ':']).filter(|word| !word.is_empty());
            let lba = words.next()?.parse().ok()?;
            let condition = condition(words.find(|word| word.len() > 1)?);
            is_worth_naming(condition).then(|| (lba, condition.to_owned()))
        });
        reader.says(
            card,
            &Answer {
                state: said.get("state").cloned(),
                uuid: Some(said.get("uuid").cloned()),
                copies: Some(copies.collect()),
                ..Answer::default()
            },
        );
        for &lba in &card.expected.in_partition {
            let said = outcome.stderr.contains("partition") && is_named(&outcome, lba);
            reader.check(card, said, || format!("LBA {lba} in a partition: {}", outcome.stderr));
        }
        unfinished_is_said(reader, card, &outcome);
    });
}

#[test]
fn map_agrees() {
    each("map", |reader, files, card, _| {
        if is_double(card) {
            return;
        }
        let outcome = ask(files, card, "map --format json");
        exits(reader, card, &outcome, 0);
        reader.says(card, &Answer { state: text(&outcome.json()["state"]), ..Answer::default() });
        let outcome = ask(files, card, "map");
        exits(reader, card, &outcome, 0);
        let state =
            outcome.stdout.lines().find_map(|line| line.strip_prefix("identity: ")).unwrap_or("(no line)");
        reader.says(card, &Answer { state: Some(state.to_owned()), ..Answer::default() });
    });
}
