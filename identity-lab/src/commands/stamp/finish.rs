// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a batch has come to, and what is known of the cards in its readers.

use std::sync::atomic::Ordering;

use identity_host::device::info::DeviceInfo;
use identity_host::scan::Scan;
use identity_ui::output::say;
use identity_ui::{Exit, Result};

use super::Session;
use super::reader::ReaderState;
use crate::batch::Progress;
use crate::claims;
use crate::hostlist;
use crate::journal::{Event, Kind};
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

    /// Notes that a card has the identity of a board whose card is in another reader.
    ///
    /// # Errors
    /// As [`crate::journal::Journal::note`].
    pub fn note_double(&self, scan: &Scan, info: &DeviceInfo) -> Result<()> {
        self.journal.note(&[Event::of_card(Kind::Doubled, scan, info)])
    }

    /// Notes that a board's card was seen, and is whole.
    ///
    /// # Errors
    /// As [`crate::journal::Journal::note`].
    pub fn note_seen(&self, number: usize, scan: &Scan, info: &DeviceInfo) -> Result<()> {
        // Of a batch that was cut off, nobody has noted it; by --again, a person says that it is the only one.
        let is_new = self.args.again || self.known[number].done.as_ref().is_some_and(claims::may_have);
        let kind = if is_new { Kind::Stamped } else { Kind::Scanned };
        let others = self.args.again.then(|| {
            let Event { uuid, hostname, profile, .. } = Event::of_card(kind, scan, info);
            Event { uuid, hostname, profile, ..Event::new(Kind::Replaced) }
        });
        let seen = Event::of_card(kind, scan, info);
        self.journal.note(&others.into_iter().chain([seen]).collect::<Vec<_>>())?;
        self.claims.settle(self.batch.board(number));
        Ok(())
    }
}
