// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file has up to 500 lines, or a reason in `CONTRIBUTING.md`.

use std::collections::BTreeMap;
use std::fs;

use identity_tests::workspace;

use crate::files;

const LINES_MAX: usize = 500;
const HEAD: &str = "| longer file | reason |\n|---|---|\n";

/// The files that have a reason, each with it.
fn reasons() -> BTreeMap<String, String> {
    let text = fs::read_to_string(workspace().join("CONTRIBUTING.md")).expect("a document");
    let (_, table) = text.split_once(HEAD).expect("a table of longer files");
    let row = |row: &str| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [file, reason] = cells[..] else { panic!("two cells: {row}") };
        (file.trim_matches('`').to_owned(), reason.to_owned())
    };
    table.lines().take_while(|line| line.starts_with('|')).map(row).collect()
}

#[test]
fn a_longer_file_has_a_reason_and_a_reason_has_a_longer_file() {
    let reasons = reasons();
    let lines = |file: &str| {
        let text = fs::read_to_string(workspace().join(file));
        text.unwrap_or_else(|error| panic!("CONTRIBUTING.md gives a reason for {file}: {error}"))
            .lines()
            .count()
    };
    for file in files(&[".rs"]) {
        let file = file.to_string_lossy();
        let lines = lines(&file);
        assert!(
            lines <= LINES_MAX || reasons.contains_key(&*file),
            "{file} has {lines} lines, and no reason"
        );
    }
    for (file, reason) in &reasons {
        assert!(lines(file) > LINES_MAX, "{file} needs no reason any more");
        assert!(reason.split_whitespace().count() > 3, "{file}: `{reason}` is no reason");
    }
}
