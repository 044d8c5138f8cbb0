// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boards from files of other programs: a text becomes a list of boards, and the list is compared with the lab's. Nothing is
//! written here.
//!
//! ```text
//! format (which is it?) ──▶ csv, dnsmasq, ansible, cards ──▶ Found ──▶ merge (with boards.csv) ──▶ its new text
//!                                        json (with positions) ──┘
//! fault (what stands in the way: each has its place, and all are told at once)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::boards;
use crate::boards::is_address;
use crate::place::Place;

pub mod ansible;
pub mod cards;
pub mod csv;
pub mod dnsmasq;
mod fault;
mod format;
mod json;
mod merge;

pub use fault::{Fault, failure};
pub use format::Format;
pub use merge::{ChangedCell, Merged, Settings, Updated, merge};

/// The name under which a file's machine-id is kept, to be compared: `boards.csv` has no such column.
const MACHINE_ID: &str = "machine_id";

/// A text that is imported, and what messages call it.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The file as messages name it.
    path: &'a Path,
    /// Its text, or what another program has made of it.
    text: &'a str,
    /// The file's own text, where `text` is what another program has made of it.
    original: Option<&'a str>,
    /// Where the lines begin of the text that messages speak of; places are asked for by the thousand.
    lines: Vec<usize>,
}

impl<'a> Input<'a> {
    /// The text of a file.
    pub fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, original: None, lines: line_starts(text) }
    }

    /// What another program has made of a file; places are those in the file.
    pub fn made_of(path: &'a Path, original: &'a str, text: &'a str) -> Self {
        Self { path, text, original: Some(original), lines: line_starts(original) }
    }

    /// Where a byte of the text stands.
    pub fn place(&self, at: usize) -> Place {
        let (text, at) = match self.original {
            None => (self.text, at),
            Some(original) => (original, self.in_original(original, at).unwrap_or(0)),
        };
        let line = self.lines.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or(0);
        let column = text.get(start..at).map_or(1, |before| before.chars().count() + 1);
        Place::column(self.path, line.max(1), column)
    }

    /// The byte of the original where the word stands that is a string at a byte of the text.
    fn in_original(&self, original: &str, at: usize) -> Option<usize> {
        let word = json::string_at(self.text.get(at..)?)?;
        let is_part = |char: char| char.is_alphanumeric() || "_-.".contains(char);
        let is_whole = |(start, word): &(usize, &str)| {
            !original[..*start].ends_with(is_part) && !original[start + word.len()..].starts_with(is_part)
        };
        original.match_indices(&word).find(is_whole).map(|(start, _)| start)
    }
}

/// The byte where each line begins.
fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// A value of a board in the form in which `boards.csv` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The text of the cell.
    pub text: String,
    /// What the file calls the column.
    pub called: String,
    /// The byte of the text where it stands.
    pub at: usize,
}

/// A board as a file has it: only what the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// Values by the column of `boards.csv`, none of them empty.
    pub values: BTreeMap<String, Value>,
    /// The byte of the text where the board begins.
    pub at: usize,
    /// What is wrong with it, with the column where that is known.
    wrong: Vec<(Option<String>, Fault)>,
}

impl Incoming {
    /// A board that begins at a byte of the text.
    fn at(at: usize) -> Self {
        Self { at, ..Self::default() }
    }

    /// Takes a value; an empty one says nothing. What `boards.csv` does not take is a fault.
    fn set(&mut self, input: &Input<'_>, column: &str, called: &str, text: &str, at: usize) {
        if text.trim().is_empty() {
            return;
        }
        let unreadable =
            |what: String| Fault::unreadable(input.place(at), format!("{}: {what}", boards::short(called)));
        match boards::plain(column, text) {
            Err(what) => self.fault(column, unreadable(what)),
            Ok(text) if column == "hostname" && is_address(&text) => self.fault(
                column,
                unreadable(format!(
                    "resolvers take {text} for an address, or for each host itself; a board needs another name"
                )),
            ),
            Ok(text) => {
                self.values.insert(column.to_owned(), Value { text, called: called.to_owned(), at });
            }
        }
    }

    /// Takes a value of JSON, if it is a text.
    fn set_text(
        &mut self,
        input: &Input<'_>,
        column: &str,
        called: &str,
        text: Result<Option<String>, Fault>,
        at: usize,
    ) {
        match text {
            Ok(Some(text)) => self.set(input, column, called, &text, at),
            Ok(None) => (),
            Err(fault) => self.fault(column, fault),
        }
    }

    /// Notes what is wrong with its value of a column.
    fn fault(&mut self, column: &str, fault: Fault) {
        self.wrong.push((Some(column.to_owned()), fault));
    }

    /// Whether its value of a column was read, and cannot be taken.
    fn is_wrong(&self, column: &str) -> bool {
        self.wrong.iter().any(|(wrong, _)| wrong.as_deref() == Some(column))
    }

    /// The text of a value.
    fn text(&self, column: &str) -> Option<&str> {
        self.values.get(column).map(|value| value.text.as_str())
    }
}

/// What a file has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The boards in the order of the file.
    pub boards: Vec<Incoming>,
    /// What could be a board and is none: the byte where it stands, and why.
    pub left_out: Vec<(usize, String)>,
    /// What the boards have besides, and `boards.csv` has no column for.
    pub ignored: BTreeSet<String>,
    /// Whether a board is a card, which need not have a hostname.
    pub are_cards: bool,
    /// What is wrong where no board could be made of it.
    pub faults: Vec<Fault>,
}

impl Found {
    /// Everything that is wrong, in the order of the file.
    pub fn all_faults(&self) -> Vec<Fault> {
        let of_boards = self.boards.iter().flat_map(|board| board.wrong.iter().map(|(_, fault)| fault));
        let mut all: Vec<_> = self.faults.iter().chain(of_boards).cloned().collect();
        fault::sort(&mut all);
        all
    }

    /// For tests: the file, or the first thing that is wrong.
    #[cfg(test)]
    fn whole(self) -> identity_ui::Result<Self> {
        match self.all_faults().into_iter().next() {
            Some(fault) => Err(failure(vec![fault], "")),
            None => Ok(self),
        }
    }
}

/// What other programs and people call a column of `boards.csv`, with `_` for a space or `-`, in any case.
const USUAL_NAMES: [(&str, &[&str]); 6] = [
    ("hostname", &["host", "name", "host_name"]),
    ("mac0", &["mac", "mac_address", "macaddress", "mac_addr", "hwaddr", "ethaddr", "ethernet_address"]),
    ("ip", &["ip_address", "ipaddress", "ip_addr", "ipv4", "ipv4_address"]),
    ("serial", &["serial_number", "serialnumber"]),
    ("note", &["notes"]),
    ("tags", &["tag"]),
];

/// The column of `boards.csv` that a name means, be it a usual name of other programs; `None` if it means none.
fn column(name: &str) -> Option<String> {
    let name = name.trim();
    if boards::is_known(name) || name == MACHINE_ID {
        return Some(name.to_owned());
    }
    let plain = name.to_ascii_lowercase().replace([' ', '-'], "_");
    if let Some((column, _)) = USUAL_NAMES.iter().find(|(_, names)| names.contains(&plain.as_str())) {
        return Some((*column).to_owned());
    }
    let index = plain.strip_prefix("eth").and_then(|rest| rest.strip_suffix("addr"));
    let column = index.map(|index| format!("mac{index}"));
    column.or(Some(plain)).filter(|column| boards::is_known(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_mean_a_column() {
        for (name, known) in [
            ("Host Name", "hostname"),
            ("NAME", "hostname"),
            ("MAC", "mac0"),
            ("eth2addr", "mac2"),
            ("mac3", "mac3"),
            ("UUID", "uuid"),
            ("IP-Address", "ip"),
            ("var.console", "var.console"),
            (" profile ", "profile"),
        ] {
            assert_eq!(column(name).as_deref(), Some(known), "{name}");
        }
        for name in ["colour", "eth01addr", "mac256", "machine", ""] {
            assert_eq!(column(name), None, "{name}");
        }
    }

    #[test]
    fn a_value_is_taken_in_one_form_or_refused_with_its_place() {
        let input = Input::new(Path::new("x"), "a\nb c");
        let mut board = Incoming::default();
        board.set(&input, "mac0", "MAC", " 0200.5E10.0001", 4);
        board.set(&input, "uuid", "uuid", "{9E3C1D40-5A37-4C8E-9F0B-6D2A81E4C7F5}", 4);
        board.set(&input, "ip", "ip", " ", 4);
        assert_eq!(board.wrong, []);
        assert_eq!(board.text("mac0"), Some("02:00:5e:10:00:01"));
        assert_eq!(board.text("uuid"), Some("9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5"));
        assert_eq!(board.text("ip"), None);
        for (column, text, what) in [
            ("hostname", "a_b", "x:2:3: N: \"a_b\" may not"),
            ("hostname", "10.0.0.1", "x:2:3: N: resolvers take 10.0.0.1"),
            ("mac0", "ff:ff:ff:ff:ff:ff", "x:2:3: N: \"ff:ff:ff:ff:ff:ff\" is a multicast"),
            ("mac0", "00-00-00-00-00-00", "is all zero"),
            ("note", "=1+1", "a cell may not begin with"),
            ("location", "a\nb", "a control character"),
            ("var.A", "b", "a variable's key"),
        ] {
            board.set(&input, column, "N", text, 4);
            assert!(board.is_wrong(column), "{text}");
            let (_, fault) = board.wrong.pop().expect("a fault");
            assert!(fault.text.contains(what), "{fault:?}");
        }
    }
}
