// SPDX-License-Identifier: MIT OR Apache-2.0
//! The journal: what was done to cards, and who was seen. A database of events, and a queue on this host while it cannot be
//! reached; nothing is lost, and nothing is there twice.

use std::path::PathBuf;

use identity_ui::output::say;
use identity_ui::{Result, shell};

use crate::state;

mod database;
pub mod event;
mod place;
mod queue;
mod schema;

pub use database::Database;
pub use event::{CardSeen, Event, Kind};
pub use place::JournalPlace;
use queue::Queue;

/// A lab's journal.
#[derive(Clone, Debug)]
pub struct Journal {
    place: JournalPlace,
    /// Where events wait on this host, if it has such a place.
    queue: Option<PathBuf>,
    /// What this host has given to cards, for a batch that goes on without the journal.
    given: Option<PathBuf>,
}

impl Journal {
    /// Of the lab with this name.
    pub fn new(lab: &str, place: &JournalPlace) -> Self {
        Self { place: place.clone(), queue: state::file(lab, "queue"), given: state::file(lab, "given") }
    }

    /// Notes events: in the database, with those that have waited; else in the queue, and says so.
    ///
    /// # Errors
    /// Exit 4 or 7 if neither works: then they are noted nowhere.
    pub fn note(&self, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let path = state::made(self.queue.as_deref())?;
        let to_cards = [Kind::Stamped, Kind::Flashed, Kind::Erased].map(Kind::name);
        let given: Vec<_> = events.iter().filter(|event| to_cards.contains(&&*event.kind)).cloned().collect();
        if let Some(file) = self.given.as_deref().filter(|_| !given.is_empty()) {
            queue::add_lines(file, &given)?;
        }
        let mut queue = Queue::open(path)?;
        let noted =
            self.database(true).and_then(|database| insert(database, &[&queue.events[..], events].concat()));
        let Err(failure) = noted else { return clear(&mut queue) };
        queue.append(events)?;
        say(&format!(
            "{failure}; {} in {} until the journal can be reached",
            counted(queue.events.len(), "event waits", "events wait"),
            shell::path(path)
        ));
        Ok(())
    }

    /// The database for reading, with what has waited in it; `None` where nothing was ever noted.
    ///
    /// # Errors
    /// Exit 4 for a queue that cannot be read; 7 if the database cannot be reached.
    pub fn open(&self) -> Result<Option<Database>> {
        let Some(path) = self.queue.as_deref().filter(|path| path.exists()) else {
            return self.database(false);
        };
        let mut queue = Queue::open(path)?;
        if queue.events.is_empty() {
            return self.database(false);
        }
        insert(self.database(true)?, &queue.events)?;
        clear(&mut queue)?;
        self.database(false)
    }

    /// What this host has done to cards, whether the journal knows of it or not.
    pub fn given_here(&self) -> Vec<Event> {
        self.given.as_deref().map_or_else(Vec::new, queue::read_lines)
    }

    fn database(&self, make: bool) -> Result<Option<Database>> {
        Database::open(&self.place, make)
    }
}

fn insert(database: Option<Database>, events: &[Event]) -> Result<()> {
    database.map_or(Ok(()), |mut database| database.insert(events))
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
