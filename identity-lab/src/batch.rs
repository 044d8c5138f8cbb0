// SPDX-License-Identifier: MIT OR Apache-2.0
//! A batch of boards that get their cards one after another: who is next, and whose card this is. It writes nothing.

use identity_core::{State, Uuid};
use identity_host::scan::Scan;

use crate::boards::Board;
use crate::journal::event::fields;
use crate::scan::{Held, difference};

/// Where a board of the batch stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It has no card yet.
    Open,
    /// Its card is being written.
    Working,
    /// A card may have its identity that was not written to the end: only that card is its card here.
    Doubtful,
    /// Its card is being written by another program, perhaps on another host.
    Elsewhere,
    /// It has its card.
    Done,
}

/// The boards of a batch, in its order.
pub struct Batch<'a> {
    boards: Vec<(&'a Board, Progress)>,
    /// Every board of the lab, to name what a card has.
    all: &'a [Board],
}

/// What is to be done with a card.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This board of the batch gets it, by its number in the batch.
    Stamp(usize),
    /// It is the card of this board, as the list says; nothing is left to do.
    Whole(usize),
    /// It stays as it is: a sentence about what it has, and what to do.
    Refused(String),
    /// Every board has its card, or is getting it.
    NobodyLeft,
}

impl<'a> Batch<'a> {
    /// Of these boards, of a lab that has all of `all`.
    pub fn new(boards: Vec<&'a Board>, all: &'a [Board]) -> Self {
        Self { boards: boards.into_iter().map(|board| (board, Progress::Open)).collect(), all }
    }

    /// How many boards it has.
    pub fn len(&self) -> usize {
        self.boards.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.boards.is_empty()
    }

    /// A board by its number in the batch.
    pub fn board(&self, number: usize) -> &'a Board {
        self.boards[number].0
    }

    /// Notes where a board stands.
    pub fn set(&mut self, number: usize, progress: Progress) {
        self.boards[number].1 = progress;
    }

    /// The boards that do not have their card yet, whoever is working on it.
    pub fn left(&self) -> Vec<&'a Board> {
        let left = self.boards.iter().filter(|(_, progress)| *progress != Progress::Done);
        left.map(|(board, _)| *board).collect()
    }

    /// The boards that nobody has a card for.
    pub fn open(&self) -> Vec<&'a Board> {
        let open = self.boards.iter().filter(|(_, progress)| *progress == Progress::Open);
        open.map(|(board, _)| *board).collect()
    }

    /// Whether no board waits for a card here.
    pub fn is_over(&self) -> bool {
        self.boards.iter().all(|(_, progress)| {
            matches!(progress, Progress::Doubtful | Progress::Elsewhere | Progress::Done)
        })
    }

    /// The numbers of the boards that may have a card, for all that is known here.
    pub fn in_doubt(&self) -> Vec<usize> {
        let is_in_doubt =
            |number: &usize| matches!(self.boards[*number].1, Progress::Doubtful | Progress::Elsewhere);
        (0..self.boards.len()).filter(is_in_doubt).collect()
    }

    /// The number of the next board without a card, but for `others`, if there is one.
    pub fn next(&self, others: &[usize]) -> Option<usize> {
        let mut open = (0..self.boards.len()).filter(|number| self.boards[*number].1 == Progress::Open);
        let first = open.clone().next();
        open.find(|number| !others.contains(number)).or(first)
    }

    /// Whether this board has no card yet, and nobody writes one.
    pub fn is_open(&self, number: usize) -> bool {
        self.boards[number].1 == Progress::Open
    }

    /// The first board whose card may have been written, and is awaited.
    pub fn doubtful(&self) -> Option<usize> {
        self.boards.iter().position(|(_, progress)| *progress == Progress::Doubtful)
    }

    /// What is to be done with a card in the state that a scan has found. `device` is its reader as a command names it, `next` the
    /// board that a blank one is for. `flashes` says whether boards get an image, too: then an identity alone is not all of it.
    pub fn judge(
        &self,
        scan: &Scan,
        device: &str,
        wording: Option<String>,
        next: Option<usize>,
        flashes: bool,
    ) -> Verdict {
        let next = || next.map_or(Verdict::NobodyLeft, Verdict::Stamp);
        match (scan.state(), scan.identity()) {
            (State::Blank, _) => next(),
            (State::Valid | State::Degraded, Some(identity)) => match self.number_of(identity.uuid()) {
                Some(number) => {
                    let held = fields(identity);
                    let held = Held {
                        profile: Some(identity.profile()),
                        hostname: identity.hostname(),
                        fields: held.as_deref(),
                    };
                    let (board, progress) = &self.boards[number];
                    // A loader that was copied takes a copy along; only where a card was not written to the end, one alone is its.
                    if scan.lone_copy().is_some() && *progress != Progress::Doubtful {
                        return Verdict::Refused(wording.unwrap_or_default());
                    }
                    let is_whole = scan.state() == State::Valid && difference(board, held).is_none();
                    match progress {
                        Progress::Working | Progress::Elsewhere => Verdict::Refused(format!(
                            "has the identity of {}, whose card is written in another reader now: one of them is a copy",
                            board.hostname
                        )),
                        Progress::Done if is_whole => Verdict::Whole(number),
                        _ if is_whole && !flashes => Verdict::Whole(number),
                        _ => Verdict::Stamp(number),
                    }
                }
                None => Verdict::Refused(self.stranger(identity.uuid(), identity.hostname(), device)),
            },
            _ => Verdict::Refused(wording.unwrap_or_else(|| format!("is {}", scan.state().name()))),
        }
    }

    fn number_of(&self, uuid: Uuid) -> Option<usize> {
        self.boards.iter().position(|(board, _)| board.uuid == uuid)
    }

    fn stranger(&self, uuid: Uuid, hostname: Option<&str>, device: &str) -> String {
        match self.all.iter().find(|board| board.uuid == uuid) {
            Some(board) => format!("has the identity of {}, which is not of this batch", board.hostname),
            None => format!(
                "has the identity {uuid} ({}) of no board of this lab; if nobody needs it, `identity erase {device}` takes it from the card",
                hostname.unwrap_or("without a hostname")
            ),
        }
    }
}
