// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lab's list of boards: what is accepted keeps its lines when a board is added, and each export of it is made.
#![no_main]

use std::path::Path;

use identity_lab::boards::{Board, Boards, NewBoard};
use libfuzzer_sys::fuzz_target;

/// A hostname that no input has by chance; an input that has it is refused.
const NAME: &str = "fuzz-0b9ad1c6";
const UUID: &str = "0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02";

fuzz_target!(|text: &str| {
    let path = Path::new("boards.csv");
    let Ok(boards) = Boards::parse(path, text.to_owned()) else { return };
    let body = text.trim_start_matches('\u{feff}').split_inclusive('\n').skip(1);
    let lines: Vec<_> = body.filter(|line| !line.trim_end_matches(['\r', '\n']).is_empty()).collect();
    assert_eq!(boards.all.len(), lines.len(), "a board a line");
    for board in &boards.all {
        assert!(!board.uuid.is_nil() && !board.hostname.is_empty() && !board.profile.is_empty());
        assert_eq!(boards.find(&board.uuid.to_string()).map(|found| found.uuid), Some(board.uuid));
    }
    let cells = [("hostname", NAME), ("profile", "panda"), ("uuid", UUID)];
    let new = NewBoard { cells: cells.map(|(name, cell)| (name.to_owned(), cell.to_owned())).into() };
    let Ok(after) = boards.with(&[new]) else { return };
    for line in lines {
        assert!(after.contains(line.trim_end_matches('\n')), "a line keeps its bytes");
    }
    let after = Boards::parse(path, after).expect("what is written is read");
    assert!(after.is_sorted() && after.check_clashes().is_ok());
    assert_eq!(after.all.len(), boards.all.len() + 1);
    for board in &boards.all {
        let found = after.find(&board.hostname).expect("it is still there");
        let cells = |of: &Board| of.columns().iter().map(|name| of.cell(name)).collect::<Vec<_>>();
        assert_eq!((cells(found), &found.macs, found.ip), (cells(board), &board.macs, board.ip));
    }
});
