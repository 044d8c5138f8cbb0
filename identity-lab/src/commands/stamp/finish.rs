// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a batch has come to, and which cards are in its readers.

use std::sync::atomic::Ordering;

use identity_ui::output::say;
use identity_ui::{Exit, Result};

use super::Session;
use super::reader::ReaderState;
use crate::batch::Progress;
use crate::hostlist;
use crate::readers::medium;

impl Session<'_> {
    /// Says what is done and what is left.
    ///
    /// # Errors
    /// None so far; the exit code is 5 where boards are left, and 130 after a signal.
    pub fn finish(&mut self) -> Result<Exit> {
        for number in self.batch.in_doubt() {
            if self.claims.done_since(self.batch.board(number), &self.known[number]).is_some() {
                self.batch.set(number, Progress::Done);
            }
        }
        let left = self.batch.left();
        let total = self.batch.len();
        if left.is_empty() {
            say(&format!(
                "{} done",
                if total == 1 { "the board is".to_owned() } else { format!("all {total} boards are") }
            ));
            return Ok(Exit::Done);
        }
        let names: Vec<_> = left.iter().map(|board| board.hostname.as_str()).collect();
        say(&format!(
            "{} of {total} boards are done, {} left: {}; the same command goes on",
            total - left.len(),
            left.len(),
            hostlist::some(&names)
        ));
        Ok(if self.ended.load(Ordering::Relaxed) { Exit::Interrupted } else { Exit::Doubtful })
    }

    /// Whether a board's card is in another reader, where it was found or written.
    pub fn is_elsewhere(&self, number: usize, index: usize) -> bool {
        let mut others = self.readers.iter().enumerate().filter(|(other, _)| *other != index);
        others.any(|(_, other)| {
            matches!(&other.state, ReaderState::Spent(before) if *before == medium(&other.path))
                && other.holds == Some(number)
        })
    }
}
