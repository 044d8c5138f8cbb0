// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who writes which board's card. Two batches of one lab run at once, also on two hosts: a board is claimed before its card is
//! written, and whoever has claimed it looks once more whether it has its card already. A claim is noted, here and in the journal:
//! of a batch that was cut off, a card may have the identity, and no other card gets it before a person says so.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use identity_core::State;
use identity_host::device::info::DeviceInfo;
use identity_ui::output::say;
use identity_ui::{Exit, Result, lines};

use crate::boards::Board;
use crate::journal::{Claimed, Database, Event, Journal, Kind};
use crate::replace;
use crate::scan::{Held, difference};
use crate::state;

/// In this host's own memory alone: a card is written from now on, and what came of it is noted later.
const BEGUN: &str = "begun";
/// Likewise: of the note whose id is in `fields`, nothing came; the card is as it was.
const WITHDRAWN: &str = "withdrawn";

/// Of a board whose card another program of this host writes.
pub const BUSY: &str = "another identity-lab of this host writes its card now";

/// The claims of one batch.
pub struct Claims {
    journal: Journal,
    /// The directory of this host's own claims, if it has a place for state.
    here: Option<PathBuf>,
    /// Whether boards get an image, too.
    flashes: bool,
}

/// What was known of a board when the batch began.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The event that says that it has its card.
    pub done: Option<Event>,
    /// The claim of another program.
    claimed: Option<Claimed>,
    /// That two cards had its identity at once, unless it is settled which is its card.
    pub double: Option<Event>,
    /// Whether another program of this host writes its card now.
    pub is_busy: bool,
}

/// The right to write a board's card.
#[derive(Debug)]
pub struct Claim {
    _here: Lock,
    /// Its id in the journal, if that could be reached.
    id: Option<String>,
    /// Of the note on this host that the card was begun.
    begun: Event,
}

/// What a claim has come to.
#[derive(Debug)]
pub enum Outcome {
    /// Its card may be written.
    Ours(Box<Claim>),
    /// It has its card: the event that says so.
    Done(Box<Event>),
    /// Its card is being written, or was begun: by whom, and what to do.
    Elsewhere(String),
}

impl Claims {
    /// Of a batch of this lab.
    pub fn new(journal: Journal, lab: &str, flashes: bool) -> Self {
        Self { journal, here: state::file(lab, "claims"), flashes }
    }

    /// What is known of these boards, each in its place. What cannot be read of this host's own memory is said.
    ///
    /// # Errors
    /// Of the journal that cannot be reached, unless `alone`: other hosts may have given cards to these boards.
    pub fn known(&self, boards: &[&Board], alone: bool) -> Result<Vec<Known>> {
        self.journal.say_torn();
        let here = self.journal.given_here();
        let mut database = match self.journal.open() {
            Err(failure) if alone && failure.exit() != Exit::Corrupt => {
                say(&failure.and("what other hosts have done is not known").to_string());
                None
            }
            Err(failure) if failure.exit() != Exit::Corrupt => {
                return Err(failure.and(
                    "what other hosts have done is not known: if none gives cards to these boards, go on with --alone",
                ));
            }
            database => database?,
        };
        let mut known = Vec::new();
        for board in boards {
            let uuid = board.uuid.to_string();
            let claimed = database.as_mut().and_then(|database| database.claimed(&uuid).ok().flatten());
            let done = self.done(database.as_mut(), &here, &uuid);
            let is_busy = done.as_ref().is_some_and(may_have) && self.is_busy(&uuid);
            let double = database.as_mut().and_then(|database| database.double(&uuid).ok().flatten());
            known.push(Known { done, claimed, double, is_busy });
        }
        Ok(known)
    }

    /// Whether a program of this host writes this board's card.
    pub fn is_busy(&self, uuid: &str) -> bool {
        self.here.as_ref().is_some_and(|here| matches!(Lock::take(&here.join(uuid)), Ok(None)))
    }

    /// Claims a board, and notes that the card in this reader is begun. With `again` it gets a card although it had one, or one
    /// was begun before this batch.
    ///
    /// # Errors
    /// Exit 4 or 7 if what is done could not be noted: then nothing is to be written.
    pub fn take(&self, board: &Board, known: &Known, again: bool, info: &DeviceInfo) -> Result<Outcome> {
        let uuid = board.uuid.to_string();
        self.journal.check()?;
        let Some(lock) = Lock::take(&state::made(self.here.as_deref())?.join(&uuid))? else {
            return Ok(Outcome::Elsewhere(BUSY.into()));
        };
        // That it cannot be reached is said when the card is noted; this host's own claims hold.
        let mut database = self.journal.open_or_make().ok();
        let mine = Claimed::new(&uuid);
        if let Some(database) = &mut database {
            let is_over = |other: &Claimed| again && known.claimed.as_ref() == Some(other);
            if let Some(other) = database.claim(&mine, &is_over)? {
                return Ok(Outcome::Elsewhere(format!(
                    "{} began to write its card on {} at {}; if that was cut off, put that card in, or erase or destroy it and \
                     write another one with `identity-lab stamp --again {}`",
                    other.person, other.host, other.at, board.hostname
                )));
            }
        }
        let begun =
            Event { kind: BEGUN.to_owned(), ..Event::written(Kind::Stamped, &board.identity()?, info) };
        let mut claim = Claim { _here: lock, id: database.as_ref().map(|_| mine.id), begun };
        let done = self.done(database.as_mut(), &self.journal.given_here(), &uuid);
        if let Some(done) = done.filter(|done| known.done.as_ref() != Some(done)) {
            self.release(&mut claim);
            return Ok(Outcome::Done(Box::new(done)));
        }
        if let Err(failure) = self.journal.note_here(std::slice::from_ref(&claim.begun)) {
            self.release(&mut claim);
            return Err(failure);
        }
        Ok(Outcome::Ours(Box::new(claim)))
    }

    /// Whether a board has got its card since the batch began.
    pub fn done_since(&self, board: &Board, known: &Known) -> Option<Event> {
        let mut database = self.journal.open().ok().flatten();
        let done = self.done(database.as_mut(), &self.journal.given_here(), &board.uuid.to_string());
        done.filter(|done| known.done.as_ref() != Some(done) && !may_have(done))
    }

    /// Gives a claim back, when what came of it is noted.
    pub fn release(&self, claim: &mut Claim) {
        if let (Some(id), Ok(Some(mut database))) = (claim.id.take(), self.journal.open()) {
            // One that stays asks for a person's word, no more.
            let _ = database.release(&id);
        }
    }

    /// Ends what was claimed by a batch that was cut off: its card was seen, and is whole.
    pub fn settle(&self, board: &Board) {
        if let Ok(Some(mut database)) = self.journal.open() {
            // One that stays asks for a person's word, no more.
            let _ = database.release_all(&board.uuid.to_string());
        }
    }

    /// Gives a claim back: nothing was written to the card.
    pub fn withdraw(&self, claim: &mut Claim) {
        let fields = Some(claim.begun.id.clone());
        let uuid = claim.begun.uuid.clone();
        let withdrawn = Event { kind: WITHDRAWN.to_owned(), uuid, fields, ..Event::new(Kind::Stamped) };
        // Without this note, too, a person is asked for.
        let _ = self.journal.note_here(&[withdrawn]);
        self.release(claim);
    }

    /// The event that says that an identity is on its card, unless that was erased or replaced since; or that its card was begun last, and
    /// nothing came of it that was noted.
    fn done(&self, database: Option<&mut Database>, here: &[Event], uuid: &str) -> Option<Event> {
        let noted = database.map_or_else(Vec::new, |database| {
            let mut events = database.events_of(uuid, &Kind::GIVEN, 8).unwrap_or_default();
            // However often it was seen since.
            events.extend(database.events_of(uuid, &Kind::READ, 1).unwrap_or_default());
            events
        });
        let mine = || here.iter().filter(|event| event.uuid.as_deref() == Some(uuid));
        let withdrawn: Vec<_> =
            mine().filter(|event| event.kind == WITHDRAWN).filter_map(|event| event.fields.clone()).collect();
        let is_standing = |event: &&Event| event.kind != WITHDRAWN && !withdrawn.contains(&event.id);
        let mut events: Vec<Event> = mine().filter(is_standing).cloned().chain(noted).collect();
        // It says nothing of a card of which it is known that it is the board's.
        events.retain(|event| !event.is_erased_somewhere());
        events.sort_by(|one, other| other.id.cmp(&one.id));
        let since: Vec<_> = events.into_iter().take_while(|event| !event.is_end()).collect();
        let flashed = since.iter().find(|event| event.kind == Kind::Flashed.name());
        let first = since.first()?;
        // That it was written says more than that it was seen; but what was seen whole is no longer in doubt.
        let given = since.iter().find(|event| !Kind::is_in(&event.kind, &Kind::READ));
        let given = given.filter(|given| !may_have(given) || may_have(first)).unwrap_or(first);
        // Of a board that is to get an image, too, it counts that it got one; what it has is what it got last.
        let is_flashed = self.flashes && !may_have(given) && flashed.is_some();
        let kind = if is_flashed { Kind::Flashed.name().to_owned() } else { given.kind.clone() };
        Some(Event { kind, ..given.clone() })
    }
}

/// Why a board's card is not what it should be by this event, if so, and what makes it so.
fn fault(board: &Board, event: &Event, flashes: bool) -> Option<String> {
    if may_have(event) {
        let what = if event.kind == BEGUN { "began to be written" } else { "was not written to the end" };
        return Some(format!(
            "its card {what}, and may have its identity: put that card in again, or erase or destroy it"
        ));
    }
    if let Some(what) = changed(board, event) {
        return Some(format!(
            "but the list has changed since ({what}): put that card in again, and it is written anew"
        ));
    }
    let is_without = flashes && event.kind != Kind::Flashed.name();
    is_without.then(|| "without an image: put that card in again, and it gets one".to_owned())
}

/// Whether a board's card is not what it should be by this event: it was begun, or not written to the end, the list has changed, or
/// it has no image.
pub fn is_doubtful(board: &Board, event: &Event, flashes: bool) -> bool {
    fault(board, event, flashes).is_some()
}

/// Whether an event says no more than that a card may have the identity.
pub fn may_have(event: &Event) -> bool {
    event.kind == BEGUN || event.state.as_deref().is_some_and(|state| state != State::Valid.name())
}

/// How the list differs from what a board's card got, if it does.
fn changed(board: &Board, event: &Event) -> Option<String> {
    let held = Held {
        profile: event.profile.as_deref(),
        hostname: event.hostname.as_deref(),
        fields: event.fields.as_deref(),
    };
    difference(board, held).map(|(_, what)| what)
}

/// That a board has its card, or may have it, and what takes it in all the same.
pub fn left_out(board: &Board, event: &Event, flashes: bool) -> String {
    let Event { kind, at, host, person, reader, .. } = event;
    let reader =
        reader.as_deref().map_or_else(String::new, |reader| format!(" in {}", lines::escaped(reader)));
    let when = format!("{at}{reader} on {host} by {person}");
    let hostname = &board.hostname;
    match fault(board, event, flashes) {
        Some(fault) if may_have(event) => {
            format!("{hostname}: {fault}; {when}; left out, --again writes another card")
        }
        Some(fault) => format!("{hostname}: {kind} {when}, {fault}; left out, --again writes another card"),
        None => format!("{hostname}: {kind} {when}; left out, --again takes it in"),
    }
}

/// A file that this program has locked: the lock goes with the program, the file with the claim.
#[derive(Debug)]
struct Lock {
    _held: File,
    path: PathBuf,
}

impl Lock {
    /// `None` if another program has it.
    fn take(path: &Path) -> Result<Option<Self>> {
        state::made(Some(path))?;
        let held = replace::locked(path, false).map_err(|error| replace::failure("claim", path, &error))?;
        Ok(held.map(|held| Self { _held: held, path: path.to_owned() }))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A file that stays is harmless: the lock goes with the handle.
        let _ = fs::remove_file(&self.path);
    }
}
