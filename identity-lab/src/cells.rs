// SPDX-License-Identifier: MIT OR Apache-2.0
//! One line of a CSV file as cells, each with its column. csv-core takes quotes apart; what it lets pass is refused here.

use std::cell::RefCell;
use std::collections::BTreeMap;

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};

/// A cell: its text without quotes, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The text without quotes.
    pub text: String,
    /// The column in characters, from 1.
    pub column: usize,
    /// The byte of the line.
    pub byte: usize,
}

/// What is wrong with a line, and the column where it is, in characters from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The index of the cell in the line.
    pub cell: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, as a sentence.
    pub what: &'static str,
}

/// What stands between cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Separator {
    /// As RFC 4180 has it.
    #[default]
    Comma,
    /// As spreadsheets write where a comma is in numbers.
    Semicolon,
}

impl Separator {
    /// That of a file with this header.
    pub fn of(header: &str) -> Self {
        if header.contains(';') && !header.contains(',') { Self::Semicolon } else { Self::Comma }
    }

    /// The character itself.
    pub fn char(self) -> char {
        match self {
            Self::Comma => ',',
            Self::Semicolon => ';',
        }
    }
}

const CONTROL: &str = "a control character, or a mark of byte order";

thread_local! {
    /// Made once, for it computes its tables; reset before each line. A clone of it reads nothing (csv-core 0.1.13).
    static COMMA: RefCell<Reader> = RefCell::new(Reader::new());
    static SEMICOLON: RefCell<Reader> = RefCell::new(ReaderBuilder::new().delimiter(b';').build());
}

/// The cells of a line without its end.
///
/// # Errors
/// The first fault: a quote where none may be, a quote that is not closed, a cell that a spreadsheet would take for a formula,
/// a control character.
pub fn split(line: &str, separator: Separator) -> Result<Vec<Cell>, Fault> {
    let reader = match separator {
        Separator::Comma => &COMMA,
        Separator::Semicolon => &SEMICOLON,
    };
    reader.with_borrow_mut(|reader| {
        reader.reset();
        split_with(reader, line)
    })
}

fn split_with(reader: &mut Reader, line: &str) -> Result<Vec<Cell>, Fault> {
    let mut cells = Vec::new();
    let (mut at, mut column) = (0, 1);
    let mut out = vec![0; line.len() + 1];
    if line.is_empty() {
        // The reader would not see a record.
        return Ok(vec![Cell { text: String::new(), column, byte: 0 }]);
    }
    if line.starts_with('\u{feff}') {
        // The reader would take it for a mark of byte order, and drop it.
        return Err(Fault { cell: 0, column: 1, what: CONTROL });
    }
    loop {
        let rest = &line[at..];
        let (mut read, mut written) = (0, 0);
        let is_last = loop {
            let (result, nin, nout) = reader.read_field(&rest.as_bytes()[read..], &mut out[written..]);
            (read, written) = (read + nin, written + nout);
            match result {
                // Asked again with nothing, it ends the cell.
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => (),
                ReadFieldResult::Field { record_end } => break record_end,
                ReadFieldResult::End => return Ok(cells),
            }
        };
        let raw = if is_last { &rest[..read] } else { &rest[..read - 1] };
        let text = String::from_utf8_lossy(&out[..written]).into_owned();
        check(raw, &text).map_err(|(offset, what)| Fault {
            cell: cells.len(),
            column: column + raw[..offset].chars().count(),
            what,
        })?;
        cells.push(Cell { text, column, byte: at });
        column += raw.chars().count() + 1;
        at += read;
        if is_last {
            return Ok(cells);
        }
    }
}

/// What is wrong with a cell, and the byte of the line where it is.
fn check(raw: &str, text: &str) -> Result<(), (usize, &'static str)> {
    match raw.strip_prefix('"') {
        Some(inner) => match single_quote(inner) {
            None => return Err((0, "this quote is not closed on its line")),
            Some(at) if at + 1 < inner.len() => {
                return Err((at + 2, "text behind a closing quote; a quote inside of quotes is doubled"));
            }
            Some(_) => (),
        },
        None => {
            if let Some(at) = raw.find('"') {
                return Err((
                    at,
                    "a quote inside of a cell; put the whole cell in quotes, and double this one",
                ));
            }
        }
    }
    if text.starts_with(['=', '+', '-', '@', '\t']) {
        return Err((0, "a cell may not begin with = + - @ or a tab: a spreadsheet takes it for a formula"));
    }
    match raw.find(|char: char| char.is_control() && char != '\t' || char == '\u{feff}') {
        Some(at) => Err((at, CONTROL)),
        None => Ok(()),
    }
}

/// Whether a cell may have this text.
///
/// # Errors
/// Why not, as a sentence.
pub fn check_text(text: &str) -> Result<(), &'static str> {
    check(&quoted(text), text).map_err(|(_, what)| what)
}

/// The first quote that has no second one beside it.
fn single_quote(inner: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = inner[at..].find('"') {
        if !inner[at + found + 1..].starts_with('"') {
            return Some(at + found);
        }
        at += found + 2;
    }
    None
}

/// A cell as it is written: in quotes where it needs them, whatever separates it from others.
pub fn quoted(text: &str) -> String {
    if text.contains([',', ';', '"']) || text.trim() != text {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The byte of a line at a column, in characters from 1.
pub fn byte_at(line: &str, column: usize) -> usize {
    line.char_indices().nth(column.saturating_sub(1)).map_or(line.len(), |(at, _)| at)
}

/// A line with other texts in some of its cells, by their index. All other cells keep their bytes.
///
/// # Errors
/// As [`split`].
pub fn replaced(line: &str, separator: Separator, texts: &BTreeMap<usize, String>) -> Result<String, Fault> {
    let cells = split(line, separator)?;
    let raw = |index: usize| {
        // The separator stands right before the next cell.
        let end = cells.get(index + 1).map_or(line.len(), |next| next.byte - 1);
        &line[cells[index].byte..end]
    };
    let cell = |index: usize| texts.get(&index).map_or_else(|| raw(index).to_owned(), |text| quoted(text));
    let all: Vec<_> = (0..cells.len()).map(cell).collect();
    Ok(all.join(&separator.char().to_string()))
}

#[cfg(test)]
mod tests {
    use super::{Cell, Fault, Separator, quoted, replaced};
    use proptest::prelude::*;

    fn split(line: &str) -> Result<Vec<Cell>, Fault> {
        super::split(line, Separator::Comma)
    }

    fn texts(line: &str) -> Vec<String> {
        split(line).unwrap().into_iter().map(|cell| cell.text).collect()
    }

    #[test]
    fn a_line_has_one_cell_more_than_commas() {
        assert_eq!(texts("a,b,c"), ["a", "b", "c"]);
        assert_eq!(texts("a,,"), ["a", "", ""]);
        assert_eq!(texts(","), ["", ""]);
        assert_eq!(texts(r#""a,b","c ""d""",e"#), ["a,b", "c \"d\"", "e"]);
        assert_eq!(texts(r#""a,""#), ["a,"]);
        assert_eq!(texts(r#""",x"#), ["", "x"]);
        assert_eq!(texts(r#"x,"","#), ["x", "", ""]);
    }

    #[test]
    fn semicolons_separate_where_the_header_has_no_comma() {
        for (header, separator) in [
            ("a;b", Separator::Semicolon),
            ("a,b", Separator::Comma),
            ("a", Separator::Comma),
            ("a,\"b;c\"", Separator::Comma),
        ] {
            assert_eq!(Separator::of(header), separator, "{header}");
        }
        let cells = super::split("a,b;\"c;d\";", Separator::Semicolon).unwrap();
        let cells: Vec<_> = cells.iter().map(|cell| (&cell.text[..], cell.column)).collect();
        assert_eq!(cells, [("a,b", 1), ("c;d", 5), ("", 11)]);
    }

    #[test]
    fn columns_count_characters() {
        let columns: Vec<_> = split("Grüße,\"ä\",b").unwrap().into_iter().map(|cell| cell.column).collect();
        assert_eq!(columns, [1, 7, 11]);
    }

    #[test]
    fn what_is_wrong_has_its_cell_and_column() {
        for (line, cell, column) in [
            ("a,b\"c", 1, 4),
            ("ä,\"b", 1, 3),
            ("ä,\"b,c", 1, 3),
            ("a,\"b\"c,d", 1, 6),
            ("a,=1", 1, 3),
            ("+a", 0, 1),
            ("a,\"-1\"", 1, 3),
            ("a,@b", 1, 3),
            ("a,\tb", 1, 3),
            ("a,b\u{7}", 1, 4),
            ("\u{feff}a", 0, 1),
        ] {
            let fault = split(line).expect_err(line);
            assert_eq!((fault.cell, fault.column), (cell, column), "{line}: {}", fault.what);
        }
    }

    #[test]
    fn what_is_not_replaced_keeps_its_bytes() {
        let line = "a ;\"b\"; \u{fc} ;\"c \"\"d\"\"\";";
        let with = |index: usize, text: &str| {
            replaced(line, Separator::Semicolon, &[(index, text.to_owned())].into()).unwrap()
        };
        assert_eq!(with(9, "x"), line);
        assert_eq!(with(0, "x,y"), "\"x,y\";\"b\"; \u{fc} ;\"c \"\"d\"\"\";");
        assert_eq!(with(2, ""), "a ;\"b\";;\"c \"\"d\"\"\";");
        assert_eq!(with(3, "x"), "a ;\"b\"; \u{fc} ;x;");
        assert_eq!(with(4, "x"), "a ;\"b\"; \u{fc} ;\"c \"\"d\"\"\";x");
    }

    proptest! {
        /// What is written is read again, whatever it is.
        #[test]
        fn cells_are_read_as_they_were_written(cells in prop::collection::vec("[a-z ,;\"ä][a-z ,;\"ä=]{0,5}|", 1..6)) {
            for separator in [Separator::Comma, Separator::Semicolon] {
                let quoted: Vec<_> = cells.iter().map(|cell| quoted(cell)).collect();
                let line = quoted.join(&separator.char().to_string());
                let read: Vec<_> = super::split(&line, separator).unwrap().into_iter().map(|cell| cell.text).collect();
                prop_assert_eq!(&read, &cells);
            }
        }

        /// Nothing panics, and what is accepted has as many cells as commas outside of quotes, and one more.
        #[test]
        fn any_line_is_read_or_refused(line in "[a,\"=\\-ä\t]{0,12}") {
            if let Ok(cells) = split(&line) {
                let mut is_quoted = false;
                let commas = line.chars().filter(|char| {
                    is_quoted ^= *char == '"';
                    *char == ',' && !is_quoted
                });
                prop_assert_eq!(cells.len(), commas.count() + 1);
            }
        }
    }
}
