// SPDX-License-Identifier: MIT OR Apache-2.0
//! The odd cards of `fixtures/cards/cards.json`, and what readers say of them held against what is expected there.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use identity_fixtures::odd::{Entry, Index};
use tempfile::TempDir;

use crate::image::write_sparse;
use crate::workspace;

/// What is committed, not what the generator makes.
///
/// # Panics
/// If it is not there, or no such data.
pub fn committed() -> Index {
    serde_json::from_str(&text()).expect("cards.json is what odd.rs describes")
}

/// The committed file.
///
/// # Panics
/// If it is not there.
pub fn text() -> String {
    fs::read_to_string(workspace().join("fixtures/cards/cards.json")).expect("fixtures/cards/cards.json")
}

/// All cards as image files in a directory.
#[derive(Debug)]
pub struct Files {
    dir: TempDir,
    /// What is in them.
    pub cards: Vec<Entry>,
}

impl Default for Files {
    fn default() -> Self {
        Self::new()
    }
}

impl Files {
    /// Writes them.
    pub fn new() -> Self {
        let files =
            Self { dir: tempfile::tempdir().expect("a temporary directory"), cards: committed().cards };
        for card in &files.cards {
            write_sparse(&files.path(card), &card.image());
        }
        files
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The image of this card.
    pub fn path(&self, card: &Entry) -> PathBuf {
        self.dir.path().join(format!("{}.img", card.name))
    }
}

/// What a reader knows of the place where it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knows {
    /// A file, or a card in a USB reader.
    Nothing,
    /// The board, and not the card.
    Board,
    /// The card in a native slot of the board.
    CardAndBoard,
}

/// What a reader says of a card; `None` for what it does not say at all.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The state.
    pub state: Option<String>,
    /// The UUID, or that there is none.
    pub uuid: Option<Option<String>>,
    /// The generation, or that there is none.
    pub generation: Option<Option<u32>>,
    /// Sectors looked at that are neither blank nor foreign nor absent, in that order.
    pub copies: Option<Vec<(u32, String)>>,
}

/// What one reader has said of all cards.
#[derive(Debug)]
pub struct Reader {
    name: &'static str,
    knows: Knows,
    asked: usize,
    wrong: String,
}

impl Reader {
    /// A reader by its name in `except`.
    pub fn new(name: &'static str, knows: Knows) -> Self {
        Self { name, knows, asked: 0, wrong: String::new() }
    }

    /// The state that it must say; `None` if it is not to be asked.
    pub fn state<'c>(&self, card: &'c Entry) -> Option<&'c str> {
        if let Some(exception) = card.except.get(self.name) {
            return exception.state.as_deref();
        }
        let expected = &card.expected;
        let (in_this_card, on_this_board) = (expected.in_this_card.as_ref(), expected.on_this_board.as_ref());
        let judged = match self.knows {
            Knows::Nothing => None,
            Knows::Board => on_this_board,
            Knows::CardAndBoard => in_this_card.or(on_this_board),
        };
        Some(judged.unwrap_or(&expected.state))
    }

    /// Whether a board may use the identity in the state that the reader must say.
    pub fn is_usable(&self, card: &Entry) -> bool {
        matches!(self.state(card), Some("valid" | "degraded"))
    }

    /// Holds an answer against what is expected.
    pub fn says(&mut self, card: &Entry, answer: &Answer) {
        self.asked += 1;
        let expected = &card.expected;
        let copies: Vec<_> = expected.copies.iter().map(|seen| (seen.lba, seen.condition.clone())).collect();
        self.compare(card, "state", answer.state.as_deref(), self.state(card).unwrap_or("(not asked)"));
        self.compare(card, "UUID", answer.uuid.as_ref(), &expected.uuid);
        self.compare(card, "generation", answer.generation.as_ref(), &expected.generation);
        self.compare(card, "copies", answer.copies.as_ref(), &copies);
    }

    fn compare<T: PartialEq + std::fmt::Debug + ?Sized>(
        &mut self,
        card: &Entry,
        what: &str,
        said: Option<&T>,
        expected: &T,
    ) {
        if let Some(said) = said.filter(|said| *said != expected) {
            self.is_wrong(card, &format!("{what} {said:?}, not {expected:?}"));
        }
    }

    /// Something else that is wrong.
    pub fn is_wrong(&mut self, card: &Entry, what: &str) {
        let _ = writeln!(self.wrong, "  {}: {what} ({})", card.name, card.about);
    }

    /// Whether a condition holds, or what is wrong.
    pub fn check(&mut self, card: &Entry, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.is_wrong(card, &what());
        }
    }

    /// The verdict.
    ///
    /// # Panics
    /// With every card on which it is wrong.
    #[track_caller]
    pub fn agrees(self) {
        self.agrees_on(40);
    }

    /// The verdict of a reader that has been asked as often as that.
    ///
    /// # Panics
    /// With every card on which it is wrong.
    #[track_caller]
    pub fn agrees_on(self, times: usize) {
        let wrong = self.wrong.lines().count();
        assert!(wrong == 0, "{} disagrees on {wrong} points:\n{}", self.name, self.wrong);
        assert!(self.asked >= times, "{} has been asked {} times only", self.name, self.asked);
    }
}
