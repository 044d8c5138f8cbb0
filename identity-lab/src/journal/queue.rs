// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events that wait for a journal which cannot be reached: a file of this host, one JSON object a line, on the disk before the
//! program goes on.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use identity_ui::{Exit, Result};
use rustix::fs::{FlockOperation, flock};

use super::event::Event;
use crate::place::{Place, cannot};
use crate::replace;

/// The open queue, which no other program reads or writes until it is dropped.
pub struct Queue {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines. What comes behind them was never on the disk for certain.
    len: u64,
    /// What waits, in its order.
    pub events: Vec<Event>,
}

impl Queue {
    /// Opens a queue, which may not be there yet, and waits for others that have it.
    ///
    /// # Errors
    /// Exit 4 with the line that is no event; 7 if the disk fails.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error: &io::Error| replace::failure("open", path, error);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = file.map_err(|error| failed(&error))?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(&error.into()))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|error| failed(&error))?;
        let len = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut events = Vec::new();
        for (index, line) in text[..len].split_inclusive(|byte| *byte == b'\n').enumerate() {
            let event = serde_json::from_slice(line).map_err(|error| {
                Place::line(path, index + 1).unreadable(format!(
                    "this is no event: {error}; move the line elsewhere, or install a newer identity-lab"
                ))
            })?;
            events.push(event);
        }
        Ok(Self { path: path.to_owned(), file, len: len as u64, events })
    }

    /// Brings more events to the disk.
    ///
    /// # Errors
    /// Exit 7 if the disk fails or is full.
    pub fn append(&mut self, events: &[Event]) -> Result<()> {
        let write = |file: &mut File| -> io::Result<u64> {
            file.set_len(self.len)?;
            file.seek(SeekFrom::Start(self.len))?;
            let mut lines = Vec::new();
            for event in events {
                serde_json::to_writer(&mut lines, event)?;
                lines.push(b'\n');
            }
            file.write_all(&lines)?;
            file.sync_all()?;
            replace::sync_directory(replace::parent(&self.path))?;
            Ok(lines.len() as u64)
        };
        let written =
            write(&mut self.file).map_err(|error| cannot("write", &self.path, &error, Exit::Device))?;
        self.len += written;
        self.events.extend_from_slice(events);
        Ok(())
    }

    /// Empties it: everything is in the journal.
    ///
    /// # Errors
    /// Exit 7 if the disk fails. What stays is known by its id to be there already.
    pub fn clear(&mut self) -> Result<()> {
        if self.len > 0 {
            let done = self.file.set_len(0).and_then(|()| self.file.sync_all());
            done.map_err(|error| cannot("write", &self.path, &error, Exit::Device))?;
        }
        self.len = 0;
        self.events.clear();
        Ok(())
    }
}

/// Adds events to a file of lines that is never emptied, and brings them to the disk; a line that a power cut has torn is ended.
///
/// # Errors
/// Exit 7 if the disk fails or is full.
pub fn add_lines(path: &Path, events: &[Event]) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        let mut lines = Vec::new();
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            lines.push(b'\n');
        }
        for event in events {
            serde_json::to_writer(&mut lines, event)?;
            lines.push(b'\n');
        }
        file.write_all(&lines)?;
        file.sync_all()?;
        replace::sync_directory(replace::parent(path))
    };
    write().map_err(|error| cannot("write", path, &error, Exit::Device))
}

/// The events in such a file; what is none is passed over.
pub fn read_lines(path: &Path) -> Vec<Event> {
    let text = std::fs::read(path).unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::event::Kind;
    use super::*;

    #[test]
    fn events_wait_in_their_order_and_a_torn_line_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("desk.queue");
        let events: Vec<_> = Kind::ALL.into_iter().map(Event::new).collect();
        let mut queue = Queue::open(&path).unwrap();
        queue.append(&events[..2]).unwrap();
        queue.append(&events[2..5]).unwrap();
        drop(queue);
        // As a power cut leaves it.
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(b"{\"id\":\"0199").unwrap();
        let mut queue = Queue::open(&path).unwrap();
        assert_eq!(queue.events, events[..5]);
        queue.append(&events[5..]).unwrap();
        drop(queue);
        let mut queue = Queue::open(&path).unwrap();
        assert_eq!(queue.events, events);
        queue.clear().unwrap();
        drop(queue);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn lines_are_added_behind_a_torn_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("desk.given");
        let events: Vec<_> = Kind::ALL.into_iter().map(Event::new).collect();
        add_lines(&path, &events[..2]).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"id\":\"01").unwrap();
        add_lines(&path, &events[2..]).unwrap();
        assert_eq!(read_lines(&path), events);
        assert_eq!(read_lines(&dir.path().join("none")), []);
    }

    #[test]
    fn a_line_that_is_no_event_is_named_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("desk.queue");
        std::fs::write(&path, "{}\n").unwrap();
        let error = Queue::open(&path).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("desk.queue:1: this is no event"), "{error}");
        assert_eq!(error.exit(), Exit::Corrupt);
        assert_eq!(std::fs::read(&path).unwrap(), b"{}\n");
    }
}
