// SPDX-License-Identifier: MIT OR Apache-2.0
//! Readers on a Linux board, with the card in its native slot: `list`, `read` where bindings count, and `linux/apply`.

use std::collections::HashMap;

use identity_fixtures::odd::{BOARD_SERIAL, CID, Entry};
use identity_tests::block::Loop;
use identity_tests::corpus::{Answer, Files, Knows, Reader};
use identity_tests::machine::Machine;

use crate::program::{answer, exit_of_read, text, with_faults};

/// Each card in a native slot of one board.
struct Board {
    files: Files,
    loops: Vec<Loop>,
}

impl Board {
    fn new() -> Option<Self> {
        let files = Files::new();
        let loops = files.cards.iter().map(|card| Loop::attach_whole(&files.path(card), &[]));
        let loops = loops.collect::<Option<Vec<_>>>()?;
        Some(Self { files, loops })
    }

    /// The cards that `reader` is to be asked of, in as many boards as are needed: a fault is every card's.
    fn asked<'b>(&'b self, reader: &Reader) -> Vec<Vec<(&'b Entry, &'b Loop)>> {
        let cards = self.files.cards.iter().zip(&self.loops);
        let asked = cards.filter(|(card, _)| reader.state(card).is_some());
        let (readable, faulty): (Vec<_>, Vec<_>) = asked.partition(|(card, _)| card.unreadable.is_empty());
        std::iter::once(readable).chain(faulty.into_iter().map(|one| vec![one])).collect()
    }

    fn machine(cards: &[(&Entry, &Loop)]) -> Machine {
        let machine =
            Machine::new().tree("chosen/identity/board-serial", format!("{BOARD_SERIAL}\0").as_bytes());
        cards.iter().enumerate().fold(machine, |machine, (number, (card, device))| {
            let size = card.sectors.to_string();
            machine.card(&format!("mmcblk{number}"), device, &[("size", &size), ("device/cid", CID)])
        })
    }
}

#[test]
fn readers_on_a_board_agree() {
    let Some(board) = Board::new() else { return };
    list(&board);
    apply(&board);
    read(&board);
}

fn list(board: &Board) {
    let mut reader = Reader::new("list", Knows::CardAndBoard);
    for cards in board.asked(&reader) {
        let outcome = with_faults(Board::machine(&cards).identity("list --format json"), cards[0].0).run();
        let document = outcome.json();
        let rows = document["cards"].as_array().expect("a list");
        let row = |name: &str| rows.iter().find(|row| row["device"] == name).cloned().unwrap_or_default();
        for (number, (card, _)) in cards.iter().enumerate() {
            let row = row(&format!("/dev/mmcblk{number}"));
            reader.says(
                card,
                &Answer { state: text(&row["state"]), uuid: Some(text(&row["uuid"])), ..Answer::default() },
            );
        }
    }
    reader.agrees();
}

fn apply(board: &Board) {
    let mut reader = Reader::new("linux", Knows::CardAndBoard);
    for cards in board.asked(&reader) {
        let names: Vec<_> = (0..cards.len()).map(|number| format!("mmcblk{number}")).collect();
        let outcome = with_faults(Board::machine(&cards).apply_each(&names), cards[0].0).run();
        let mut runs = outcome.stdout.split("card=").skip(1);
        for (card, _) in &cards {
            let run = runs.next().unwrap_or_default();
            let values: HashMap<_, _> = run.lines().filter_map(|line| line.split_once('=')).collect();
            let value = |name| values.get(name).map(|value| (*value).to_owned());
            let (state, usable) = (reader.state(card).unwrap_or_default().to_owned(), reader.is_usable(card));
            let code = exit_of_read(&state).to_string();
            reader.check(card, value("status").as_ref() == Some(&code), || {
                format!("status {:?}, not {code}: {run}", value("status"))
            });
            let taken = value("IDENTITY_UUID");
            reader.check(card, taken.is_some() == usable, || format!("it has taken {taken:?}: {run}"));
            let found = Answer { state: value("IDENTITY_STATE"), uuid: Some(taken), ..Answer::default() };
            reader.says(card, &if usable { found } else { Answer::default() });
        }
    }
    reader.agrees();
}

/// The cards that bindings say something of.
fn read(board: &Board) {
    let mut reader = Reader::new("read in a native slot", Knows::CardAndBoard);
    let cards = board.files.cards.iter().zip(&board.loops);
    for (card, device) in cards.filter(|(card, _)| card.name.starts_with("bound")) {
        for verb in ["read", "verify"] {
            let words = format!("{verb} --format json /dev/mmcblk0");
            let outcome = Board::machine(&[(card, device)]).identity(words).run();
            reader.says(card, &answer(&outcome.json()));
        }
    }
    reader.agrees_on(14);
}
