// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables: a header with the columns of `boards.csv`, or with usual names of them. Also what `identity read --format csv` prints.

use std::collections::BTreeMap;

use identity_ui::Result;

use super::{Fault, Found, Incoming, Input, column};
use crate::boards::{content, lines, short};
use crate::cells::{self, Cell, Separator};

/// The first columns of `identity read --format csv`, of which the state decides.
const CARDS: [&str; 3] = ["target", "state", "uuid"];
/// Its columns that say nothing of a board.
const OF_CARDS: [&str; 3] = ["target", "state", "generation"];
/// The states in which a card has an identity.
pub(super) const USABLE: [&str; 2] = ["valid", "degraded"];

/// Whether a line is a header: one of its columns can tell a board.
pub fn is_header(line: &str) -> bool {
    let cells = cells::split(line, Separator::of(line)).unwrap_or_default();
    let known =
        |cell: &Cell| column(&cell.text).is_some_and(|name| ["hostname", "uuid"].contains(&&name[..]));
    cells.iter().any(known)
}

/// The boards of a table; what cannot be read of a line is a fault with line, column and the column's name.
///
/// # Errors
/// Exit 4 with the column of the header that cannot be read.
pub fn read(input: &Input<'_>) -> Result<Found> {
    let mut lines = lines(input.text).map(|(_, raw)| (raw.start, content(&input.text[raw])));
    let (start, first) = lines.next().unwrap_or_default();
    let separator = Separator::of(first);
    let header = header(input, start, first, separator)?;
    let are_cards = CARDS
        .iter()
        .enumerate()
        .all(|(index, name)| header.get(index).is_some_and(|(called, _)| called == name));
    let mut found = Found { are_cards, ..Found::default() };
    for (start, line) in lines {
        let at = |column: usize| start + cells::byte_at(line, column);
        let name = |index: usize| header.get(index).map_or("", |(called, _)| called.as_str());
        let unreadable = |index: usize, column: usize, what: &str| {
            let name =
                if name(index).is_empty() { String::new() } else { format!("{}: ", short(name(index))) };
            Fault::unreadable(input.place(at(column)), format!("{name}{what}"))
        };
        let cells = match cells::split(line, separator) {
            Ok(cells) => cells,
            Err(fault) => {
                found.faults.push(unreadable(fault.cell, fault.column, fault.what));
                continue;
            }
        };
        if cells.iter().all(|cell| cell.text.trim().is_empty()) {
            continue;
        }
        if cells.len() != header.len() {
            let column = cells.get(header.len()).or(cells.last()).map_or(1, |cell| cell.column);
            let what = format!("the line has {} cells, and the header {}", cells.len(), header.len());
            found.faults.push(unreadable(header.len(), column, &what));
            continue;
        }
        if let [target, state, ..] = &cells[..]
            && are_cards
            && !USABLE.contains(&state.text.trim())
        {
            found.left_out.push((start, no_identity(&target.text, &state.text)));
            continue;
        }
        let mut board = Incoming::at(start);
        for ((called, column), cell) in header.iter().zip(&cells) {
            if !are_cards || !OF_CARDS.contains(&&called[..]) {
                board.set(input, column, called, &cell.text, start + cell.byte);
            }
        }
        let has = |column: &str| board.text(column).is_some() || board.is_wrong(column);
        if !are_cards && !has("hostname") && !has("uuid") {
            let index = header.iter().position(|(_, column)| column == "hostname").unwrap_or(header.len());
            let column = cells.get(index).map_or(1, |cell| cell.column);
            found.faults.push(unreadable(index, column, "a board needs one"));
            continue;
        }
        found.boards.push(board);
    }
    Ok(found)
}

/// That a card has no identity to be taken.
pub(super) fn no_identity(card: &str, state: &str) -> String {
    format!("the card in {} has no identity that can be used: its state is {}", short(card), short(state))
}

/// Each column as the file calls it, and as `boards.csv` does.
fn header(
    input: &Input<'_>,
    start: usize,
    line: &str,
    separator: Separator,
) -> Result<Vec<(String, String)>> {
    let unreadable =
        |column: usize, what: &str| Err(input.place(start + cells::byte_at(line, column)).unreadable(what));
    let cells = match cells::split(line, separator) {
        Ok(cells) => cells,
        Err(fault) => return unreadable(fault.column, fault.what),
    };
    let texts: Vec<_> = cells.iter().map(|cell| cell.text.trim()).collect();
    let mut seen = BTreeMap::new();
    let mut names = Vec::new();
    for (cell, text) in cells.iter().zip(&texts) {
        if text.is_empty() {
            return unreadable(cell.column, "a column without a name; the first line has the names");
        }
        // The exact name goes before others that mean the same.
        let known = column(text).filter(|known| known == text || !texts.contains(&known.as_str()));
        let name = known.unwrap_or_else(|| (*text).to_owned());
        if let Some(other) = seen.insert(name.clone(), *text) {
            let what =
                format!("`{}` and `{}` are the same column, {}", short(other), short(text), short(&name));
            return unreadable(cell.column, &format!("{what}; call one of them otherwise"));
        }
        names.push(((*text).to_owned(), name));
    }
    if !names.iter().any(|(_, column)| ["hostname", "uuid"].contains(&&column[..])) {
        return unreadable(
            1,
            "there is no column `hostname`; the first line has the names, separated by commas or by semicolons",
        );
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<Found> {
        super::read(&Input::new(Path::new("x"), text))?.whole()
    }

    #[test]
    fn usual_names_separators_and_empty_lines_are_taken() {
        for text in [
            "Name,MAC,colour\na,02-00-00-00-00-01,\"x;y\"\n",
            "Name;MAC;colour\r\n;;\r\n\r\na ;0200.0000.0001;\"x;y\"\r\n",
        ] {
            let found = read(text).unwrap();
            let [board] = &found.boards[..] else { panic!("{found:?}") };
            let values: Vec<_> =
                board.values.iter().map(|(name, value)| (&name[..], &value.text[..])).collect();
            assert_eq!(
                values,
                [("colour", "x;y"), ("hostname", "a"), ("mac0", "02:00:00:00:00:01")],
                "{text}"
            );
            assert_eq!(board.values["mac0"].called, "MAC");
            assert!(text[board.values["mac0"].at..].starts_with("02"), "{text}");
        }
        // The exact name is the hostname, and the other one any column.
        let found = read("hostname,name\na,b\n").unwrap();
        assert_eq!((found.boards[0].text("hostname"), found.boards[0].text("name")), (Some("a"), Some("b")));
    }

    #[test]
    fn what_cannot_be_read_has_its_place_and_column() {
        for (text, said) in [
            ("", "x:1:1: a column without a name"),
            ("mac,ip\n", "x:1:1: there is no column `hostname`"),
            ("host,mac,ethaddr\n", "x:1:10: `mac` and `ethaddr` are the same column, mac0"),
            ("hostname,hostname\n", "x:1:10: `hostname` and `hostname`"),
            ("hostname,mac\na\n", "x:2:1: the line has 1 cells, and the header 2"),
            ("hostname,mac\na,b,c\n", "x:2:5: the line has 3 cells, and the header 2"),
            ("hostname,mac\n\u{fc}a,\n", "x:2:1: hostname: "),
            ("hostname,mac\n,02:00:00:00:00:01\n", "x:2:1: hostname: a board needs one"),
            ("note,host\n\u{fc},a_b\n", "x:2:3: host: \"a_b\" may not"),
            ("host,mac\na,\"02\n", "x:2:3: mac: this quote is not closed"),
            ("host,mac\na,03:00:00:00:00:01\n", "x:2:3: mac: \"03:00:00:00:00:01\" is a multicast"),
            ("host,note\na,=1\n", "x:2:3: note: a cell may not begin"),
        ] {
            let failure = read(text).expect_err(text).to_string();
            assert!(failure.starts_with(said), "{failure}");
        }
    }

    #[test]
    fn of_cards_those_with_an_identity_are_taken() {
        let head = "target,state,uuid,profile,hostname,serial,generation,machine_id,mac0";
        let uuid = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";
        let found = read(&format!("{head}\nx.img,valid,{uuid},p,,,1,,\ny.img,blank,,,,,,,\n")).unwrap();
        assert!(found.are_cards);
        let names: Vec<_> = found.boards[0].values.keys().collect();
        assert_eq!(names, ["profile", "uuid"]);
        assert_eq!(found.left_out.len(), 1);
        assert!(found.left_out[0].1.contains("y.img") && found.left_out[0].1.ends_with("blank"), "{found:?}");
    }
}
