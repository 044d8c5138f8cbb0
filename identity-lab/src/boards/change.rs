// SPDX-License-Identifier: MIT OR Apache-2.0
//! The text of the file with boards added or changed. Lines, and cells of a line, that are not changed keep their bytes.

use std::collections::{BTreeMap, BTreeSet};

use identity_ui::Result;

use super::{Board, Boards, MARK, content};
use crate::cells;
use crate::place::Place;

/// A board that is added.
#[derive(Clone, Debug, Default)]
pub struct NewBoard {
    /// Cells by the names of their columns; the others stay empty.
    pub cells: BTreeMap<String, String>,
}

/// Other cells of a board that is there already.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The new texts by the names of their columns; the other cells stay as they are.
    pub cells: BTreeMap<String, String>,
}

impl Boards {
    /// The text with more boards in it, sorted: lines that are there keep their bytes.
    ///
    /// # Errors
    /// Exit 6 if a hostname is there already or the file lacks a column; 4 if a cell breaks its rule. `None` of them is added
    /// then.
    pub fn with(&self, new: &[NewBoard]) -> Result<String> {
        // Of what is there already, the lines are those of the file.
        self.check_clashes()?;
        let text = self.changed(new, &BTreeMap::new())?;
        let present: BTreeMap<_, _> = self.all.iter().map(|board| (board.hostname.as_str(), board)).collect();
        let names = new.iter().filter_map(|board| board.cells.get("hostname"));
        if let Some((name, board)) = names.filter_map(|name| Some((name, present.get(name.as_str())?))).next()
        {
            return Err(board
                .place("hostname")
                .refused(format!("{name} is there already; nothing was added")));
        }
        Self::parse(&self.source.0.path, text.clone())?.check_clashes()?;
        Ok(text)
    }

    /// The text with more boards in it and with changes to those that are there, by hostname; sorted. Clashes are not looked for.
    ///
    /// # Errors
    /// Exit 6 if the file lacks a column.
    pub fn changed(&self, new: &[NewBoard], changes: &BTreeMap<String, Change>) -> Result<String> {
        let cells = new.iter().map(|board| &board.cells).chain(changes.values().map(|change| &change.cells));
        for column in cells.flat_map(BTreeMap::keys) {
            if !self.source.0.header.contains(column) {
                return Err(Place::line(&self.source.0.path, 1)
                    .refused(format!("the file has no column `{column}`; add it to the header first")));
            }
        }
        let line = |board: &NewBoard| {
            let cell = |name: &String| cells::quoted(board.cells.get(name).map_or("", String::as_str));
            let cells: Vec<_> = self.source.0.header.iter().map(cell).collect();
            cells.join(&self.source.0.separator.char().to_string()) + self.line_end()
        };
        let mut lines = Vec::new();
        for board in &self.all {
            lines.push(match changes.get(&board.hostname) {
                Some(change) => {
                    let hostname = change.cells.get("hostname").unwrap_or(&board.hostname);
                    (hostname.clone(), self.replaced(board, change)?)
                }
                None => (board.hostname.clone(), self.raw(board)),
            });
        }
        lines.extend(
            new.iter().map(|board| (board.cells.get("hostname").cloned().unwrap_or_default(), line(board))),
        );
        Ok(self.text_of(lines))
    }

    /// The text without these boards, sorted.
    pub fn without(&self, boards: &[&Board]) -> String {
        let lines: BTreeSet<_> = boards.iter().map(|board| board.line).collect();
        let left = self.all.iter().filter(|board| !lines.contains(&board.line));
        self.text_of(left.map(|board| (board.hostname.clone(), self.raw(board))).collect())
    }

    /// The text with the same header and these lines, each with its hostname.
    fn text_of(&self, mut lines: Vec<(String, String)>) -> String {
        // A file that is in order keeps it, and so do equal names, which others refuse.
        lines.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut text = if self.source.0.has_mark { MARK.to_string() } else { String::new() };
        text += &self.source.0.text[..self.source.0.body_start];
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.extend(lines.into_iter().map(|(_, line)| line));
        text
    }

    /// The same list with more columns at the end of its header. Only for a list without boards: a line has a cell for each
    /// column.
    ///
    /// # Errors
    /// Exit 4 if a column may not have this name.
    pub fn with_columns(&self, names: &[String]) -> Result<Self> {
        let line = &self.source.0.text[..self.source.0.body_start];
        let (head, end) = line.split_at(content(line).len());
        let separator = self.source.0.separator.char();
        let names: String = names.iter().map(|name| format!("{separator}{}", cells::quoted(name))).collect();
        let end = if end.is_empty() { "\n" } else { end };
        Self::parse(&self.source.0.path, format!("{head}{names}{end}"))
    }

    /// The bytes of a board's line, with an end.
    fn raw(&self, board: &Board) -> String {
        let raw = &self.source.0.text[board.raw.clone()];
        if raw.ends_with('\n') { raw.to_owned() } else { format!("{raw}{}", self.line_end()) }
    }

    /// How the header's line ends: so do all that are written.
    fn line_end(&self) -> &'static str {
        if self.source.0.text[..self.source.0.body_start].ends_with("\r\n") { "\r\n" } else { "\n" }
    }

    fn replaced(&self, board: &Board, change: &Change) -> Result<String> {
        let raw = self.raw(board);
        let (line, end) = raw.split_at(content(&raw).len());
        let index = |name: &String| self.source.0.header.iter().position(|column| column == name);
        let texts = change.cells.iter().filter_map(|(name, text)| Some((index(name)?, text.clone())));
        // The line was read before, so it can be.
        let line = cells::replaced(line, self.source.0.separator, &texts.collect()).map_err(|fault| {
            Place::column(&self.source.0.path, board.line, fault.column).unreadable(fault.what)
        })?;
        Ok(line + end)
    }
}
