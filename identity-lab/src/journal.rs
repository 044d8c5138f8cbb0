// SPDX-License-Identifier: MIT OR Apache-2.0
//! The journal: what was done to cards, and who was seen. A database of events, and a queue on this host while it cannot be
//! reached; nothing is lost, and nothing is there twice.

use std::fs;
use std::path::{Path, PathBuf};

use identity_ui::output::say;
use identity_ui::{Exit, Failure, Result, shell};

use crate::place::Place;
use crate::state;

mod database;
pub mod event;
mod place;
mod queue;
mod schema;

pub use database::Database;
pub use event::{CardSeen, Claimed, Event, Kind};
pub use place::JournalPlace;
use queue::Queue;

/// A lab's journal.
#[derive(Clone, Debug)]
pub struct Journal {
    place: JournalPlace,
    /// The lab's directory.
    lab: PathBuf,
    /// Where events wait on this host, if it has such a place.
    queue: Option<PathBuf>,
    /// What this host has given to cards, for a batch that goes on without the journal.
    given: Option<PathBuf>,
}

impl Journal {
    /// Of the lab with this name, in this directory.
    pub fn new(name: &str, lab: &Path, place: &JournalPlace) -> Self {
        Self {
            place: place.clone(),
            lab: lab.to_owned(),
            queue: state::file(name, "queue"),
            given: state::file(name, "given"),
        }
    }

    /// Notes events: in the database, with those that have waited; else in the queue, and says so.
    ///
    /// # Errors
    /// Exit 4 for a queue that cannot be read, when the database has them; 4 or 7 if neither works: then they are noted nowhere.
    pub fn note(&self, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let is_given = |event: &&Event| Kind::is_in(&event.kind, &Kind::GIVEN);
        let given: Vec<_> = events.iter().filter(is_given).cloned().collect();
        // Whatever fails, the rest is tried.
        let here = if given.is_empty() { Ok(()) } else { self.note_here(&given) };
        let queue = state::made(self.queue.as_deref()).and_then(|path| Queue::open(path, &self.lab));
        let mut queue = match queue {
            Ok(queue) => queue,
            Err(failure) => return insert(self.database(true)?, events).and(Err(failure)),
        };
        let noted =
            self.database(true).and_then(|database| insert(database, &[&queue.events[..], events].concat()));
        match noted {
            Ok(()) => clear(&mut queue)?,
            Err(failure) => {
                queue.append(events)?;
                say_waiting(&failure, &queue);
            }
        }
        here
    }

    /// Notes events in this host's own memory of cards alone, on the disk before it returns.
    ///
    /// # Errors
    /// Exit 7 if there is no place for it, or the disk fails or is full.
    pub fn note_here(&self, events: &[Event]) -> Result<()> {
        queue::add_lines(state::made(self.given.as_deref())?, events)
    }

    /// Whether what is done to a card could be noted.
    ///
    /// # Errors
    /// Exit 4 for a queue that cannot be read; 7 if there is no place for one.
    pub fn check(&self) -> Result<()> {
        Queue::open(state::made(self.queue.as_deref())?, &self.lab).map(|_| ())
    }

    /// What waits under another name that this lab had, if that can go into the database.
    fn take_strays(&self) -> Result<()> {
        let Some(own) = &self.queue else { return Ok(()) };
        for path in beside(own, "queue").iter().filter(|path| *path != own) {
            let mut queue = Queue::open_stray(path, &self.lab)?;
            if !queue.events.is_empty() {
                insert(self.database(true)?, &queue.events)?;
                clear(&mut queue)?;
            }
        }
        Ok(())
    }

    /// The database for reading, with what has waited in it; `None` where nothing was ever noted.
    ///
    /// # Errors
    /// Exit 4 for a queue that cannot be read; 7 if the database cannot be reached.
    pub fn open(&self) -> Result<Option<Database>> {
        // What is another lab's is no reason not to read this one's.
        let _ = self.take_strays();
        let Some(path) = self.queue.as_deref().filter(|path| path.exists()) else {
            return self.database(false);
        };
        let mut queue = Queue::open(path, &self.lab)?;
        if queue.events.is_empty() {
            return self.database(false);
        }
        let database = self.database(true)?;
        match insert(database, &queue.events) {
            Ok(()) => clear(&mut queue)?,
            // Whoever may only read it is told what it knows.
            Err(failure) => say_waiting(&failure, &queue),
        }
        self.database(false)
    }

    /// The same, also where nothing was ever noted: the database is made then.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_or_make(&self) -> Result<Database> {
        match self.open()? {
            Some(database) => Ok(database),
            None => {
                self.database(true)?.ok_or_else(|| Failure::new(Exit::Device, "the journal cannot be made"))
            }
        }
    }

    /// What this host has done to cards, whether the journal knows of it or not.
    pub fn given_here(&self) -> Vec<Event> {
        // Of every lab: whoever renames one has given its cards already.
        let files = self.given.as_deref().map_or_else(Vec::new, |path| beside(path, "given"));
        files.iter().flat_map(|path| queue::read_lines(path).0).collect()
    }

    /// Says which lines of that cannot be read.
    pub fn say_torn(&self) {
        let Some(path) = &self.given else { return };
        for line in queue::read_lines(path).1 {
            let place = Place::line(path, line);
            say(&format!("{place}: this is no event, so what this host did then is not known"));
        }
    }

    fn database(&self, make: bool) -> Result<Option<Database>> {
        Database::open(&self.place, make)
    }
}

/// The files of this host with this end, those of other labs too, by name.
fn beside(own: &Path, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(crate::replace::parent(own)).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|own| own == end));
    files.sort();
    files
}

fn insert(database: Option<Database>, events: &[Event]) -> Result<()> {
    database.map_or(Ok(()), |mut database| database.insert(events))
}

/// Says why events are not in the journal, and where they wait.
fn say_waiting(failure: &Failure, queue: &Queue) {
    say(&format!(
        "{failure}; {} in {} until the journal can be reached",
        counted(queue.events.len(), "event waits", "events wait"),
        shell::path(queue.path())
    ));
}

fn clear(queue: &mut Queue) -> Result<()> {
    if !queue.events.is_empty() {
        say(&format!(
            "{} in the journal now",
            counted(queue.events.len(), "event that waited is", "events that waited are")
        ));
    }
    queue.clear()
}

fn counted(count: usize, one: &str, several: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {several}") }
}
