// SPDX-License-Identifier: MIT OR Apache-2.0
//! U-Boot and the odd cards of `fixtures/cards/cards.json`: in its sandbox, where each card is an MMC device of its own.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use identity_fixtures::odd::{BOARD_SERIAL, Entry};
use identity_tests::board::{artifact, sandbox_tree};
use identity_tests::corpus::{Answer, Files, Knows, Reader};

/// Devices that the sandbox has room for before it has relocated itself.
const DEVICES_MAX: usize = 12;

/// What the sandbox prints for `identity VERB mmc N`, for each of these cards.
fn ask(verb: &str, files: &Files, cards: &[&Entry]) -> Vec<String> {
    cards.chunks(DEVICES_MAX).flat_map(|cards| ask_some(verb, files, cards)).collect()
}

fn ask_some(verb: &str, files: &Files, cards: &[&Entry]) -> Vec<String> {
    let build = artifact("IDENTITY_TEST_UBOOT_2025_01_SANDBOX");
    let mut commands = format!("setenv serial# {BOARD_SERIAL}; ");
    for number in 0..cards.len() {
        let _ = write!(commands, "echo ask {number}; identity {verb} mmc {number} && echo usable; ");
    }
    let paths: Vec<_> = cards.iter().map(|card| files.path(card)).collect();
    let paths: Vec<_> = paths.iter().map(PathBuf::as_path).collect();
    let output = Command::new(build.join("u-boot"))
        .arg("-d")
        .arg(sandbox_tree(&build, files.dir(), &paths))
        .args(["-c", &commands])
        .current_dir(files.dir())
        .output()
        .expect("the sandbox starts");
    let said = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    let answers: Vec<_> = said.split("\nask ").skip(1).map(str::to_owned).collect();
    assert_eq!(answers.len(), cards.len(), "{said}");
    answers
}

/// What follows this word in the line that starts with it.
fn value(said: &str, name: &str) -> Option<String> {
    let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|rest| rest.trim().to_owned())
}

#[test]
fn u_boot_finds_on_odd_cards_what_every_reader_finds() {
    let files = Files::new();
    let mut reader = Reader::new("uboot", Knows::Board);
    let cards: Vec<_> = files.cards.iter().filter(|card| reader.state(card).is_some()).collect();
    for (card, said) in cards.iter().zip(ask("read", &files, &cards)) {
        let usable = reader.is_usable(card);
        reader.check(card, said.contains("\nusable") == usable, || format!("usable: {}", !usable));
        // Of what is in doubt it shows no identity; of what is elsewhere it does.
        let generation = value(&said, "generation").and_then(|number| number.parse().ok());
        reader.says(
            card,
            &Answer {
                state: value(&said, "state"),
                uuid: usable.then(|| value(&said, "uuid")),
                generation: usable.then_some(generation),
                copies: None,
            },
        );
    }
    for (card, said) in cards.iter().zip(ask("verify", &files, &cards)) {
        let valid = reader.state(card) == Some("valid");
        reader.check(card, said.contains("\nusable") == valid, || format!("verified: {}", !valid));
        let copies = said.lines().filter_map(|line| {
            let mut words = line.strip_prefix("LBA ")?.split([' ', ',']).filter(|word| !word.is_empty());
            let (lba, condition) = (words.next()?.parse().ok()?, words.next()?);
            ["valid", "corrupt", "newer", "unreadable"]
                .contains(&condition)
                .then(|| (lba, condition.to_owned()))
        });
        let copies = Some(copies.collect());
        reader.says(card, &Answer { state: value(&said, "state"), copies, ..Answer::default() });
    }
    reader.agrees();
}
