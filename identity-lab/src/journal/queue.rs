// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events that wait for a journal which cannot be reached: a file of this host, one JSON object a line, on the disk before the
//! program goes on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use identity_ui::output::say;
use identity_ui::{Exit, Result};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::event::Event;
use crate::place::{LAB_TOML, Place, cannot};
use crate::replace;

/// The open queue, which no other program reads or writes until it is dropped. Labs of one name have one file.
pub struct Queue {
    path: PathBuf,
    file: File,
    /// The lab's directory.
    lab: PathBuf,
    /// Bytes of whole lines. What comes behind them was never on the disk for certain.
    len: u64,
    /// Whether the last of them has no end.
    is_open_ended: bool,
    /// What waits, in its order.
    pub events: Vec<Event>,
    /// Lines of other labs.
    others: Vec<u8>,
}

/// A line: an event, and the lab whose journal it waits for.
#[derive(Serialize, Deserialize)]
struct Waiting {
    lab: Option<PathBuf>,
    #[serde(flatten)]
    event: Event,
}

impl Queue {
    /// Opens a queue, which may not be there yet, and waits for others that have it. An event is this lab's where the line says so,
    /// or names no lab, or one that is not there any more.
    ///
    /// # Errors
    /// Exit 4 with the line that is no event; 7 if the disk fails.
    pub fn open(path: &Path, lab: &Path) -> Result<Self> {
        Self::read(path, lab, true)
    }

    /// Opens the queue of another name: only what says that it is this lab's, is.
    ///
    /// # Errors
    /// As [`Queue::open`].
    pub fn open_stray(path: &Path, lab: &Path) -> Result<Self> {
        Self::read(path, lab, false)
    }

    fn read(path: &Path, lab: &Path, is_own: bool) -> Result<Self> {
        let failed = |error: &io::Error| replace::failure("open", path, error);
        // Another program that has it is waited for.
        let file = replace::locked(path, true).map_err(|error| failed(&error))?;
        let mut file = file.ok_or_else(|| failed(&io::ErrorKind::WouldBlock.into()))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|error| failed(&error))?;
        let lab = fs::canonicalize(lab).unwrap_or_else(|_| lab.to_owned());
        let (mut len, mut is_open_ended) = (0, false);
        let (mut events, mut others) = (Vec::new(), Vec::new());
        for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let waiting: Waiting = match serde_json::from_slice(line) {
                Ok(waiting) => waiting,
                Err(_) if !line.ends_with(b"\n") => {
                    say(&format!(
                        "{}: the last line is cut off, and says nothing",
                        Place::line(path, index + 1)
                    ));
                    break;
                }
                Err(error) => {
                    return Err(Place::line(path, index + 1).unreadable(format!(
                        "this is no event: {error}; move the line elsewhere, or install a newer identity-lab"
                    )));
                }
            };
            let is_other = match &waiting.lab {
                Some(of) => *of != lab && (!is_own || of.join(LAB_TOML).exists()),
                None => !is_own,
            };
            if is_other {
                others.extend_from_slice(line);
            } else {
                events.push(waiting.event);
            }
            len += line.len() as u64;
            is_open_ended = !line.ends_with(b"\n");
        }
        Ok(Self { path: path.to_owned(), file, lab, len, is_open_ended, events, others })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Brings more events to the disk.
    ///
    /// # Errors
    /// Exit 7 if the disk fails or is full.
    pub fn append(&mut self, events: &[Event]) -> Result<()> {
        let mut write = || -> io::Result<u64> {
            self.file.set_len(self.len)?;
            self.file.seek(SeekFrom::Start(self.len))?;
            let mut lines = if self.is_open_ended { vec![b'\n'] } else { Vec::new() };
            for event in events {
                let waiting = Waiting { lab: Some(self.lab.clone()), event: event.clone() };
                serde_json::to_writer(&mut lines, &waiting)?;
                lines.push(b'\n');
            }
            self.file.write_all(&lines)?;
            self.file.sync_all()?;
            replace::sync_directory(replace::parent(&self.path))?;
            Ok(lines.len() as u64)
        };
        let written = write().map_err(|error| cannot("write", &self.path, &error, Exit::Device))?;
        self.len += written;
        self.is_open_ended = false;
        self.events.extend_from_slice(events);
        Ok(())
    }

    /// Takes this lab's events out: everything is in the journal.
    ///
    /// # Errors
    /// Exit 7 if the disk fails. What stays is known by its id to be there already.
    pub fn clear(&mut self) -> Result<()> {
        if self.events.is_empty() {
            return Ok(());
        }
        self.events.clear();
        if !self.others.is_empty() {
            return replace::replace(&self.path, &self.others);
        }
        let done = self.file.set_len(0).and_then(|()| self.file.sync_all());
        done.map_err(|error| cannot("write", &self.path, &error, Exit::Device))?;
        self.len = 0;
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

/// The events in such a file, and the numbers of the lines that are none.
pub fn read_lines(path: &Path) -> (Vec<Event>, Vec<usize>) {
    let text = fs::read(path).unwrap_or_default();
    let (mut events, mut torn) = (Vec::new(), Vec::new());
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(event) => events.push(event),
            Err(_) => torn.push(index + 1),
        }
    }
    (events, torn)
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
        let mut queue = Queue::open(&path, dir.path()).unwrap();
        queue.append(&events[..2]).unwrap();
        queue.append(&events[2..5]).unwrap();
        drop(queue);
        // As a power cut leaves it.
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(b"{\"id\":\"0199").unwrap();
        let mut queue = Queue::open(&path, dir.path()).unwrap();
        assert_eq!(queue.events, events[..5]);
        queue.append(&events[5..]).unwrap();
        drop(queue);
        let mut queue = Queue::open(&path, dir.path()).unwrap();
        assert_eq!(queue.events, events);
        queue.clear().unwrap();
        drop(queue);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    /// An editor saves the last line without its end; a lab of the same name is another lab as long as it is there.
    #[test]
    fn each_lab_has_its_own_events_in_one_queue() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("desk.queue");
        let labs = ["one", "two"].map(|name| dir.path().join(name));
        for lab in &labs {
            std::fs::create_dir(lab).unwrap();
            std::fs::write(lab.join(LAB_TOML), "").unwrap();
        }
        let events: Vec<_> = Kind::ALL.into_iter().map(Event::new).collect();
        Queue::open(&path, &labs[0]).unwrap().append(&events[..2]).unwrap();
        Queue::open(&path, &labs[1]).unwrap().append(&events[2..4]).unwrap();
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 1]).unwrap();
        let mut queue = Queue::open(&path, &labs[0]).unwrap();
        assert_eq!(queue.events, events[..2]);
        queue.clear().unwrap();
        drop(queue);
        let mut queue = Queue::open(&path, &labs[1]).unwrap();
        assert_eq!(queue.events, events[2..4]);
        queue.append(&events[4..]).unwrap();
        drop(queue);
        std::fs::rename(&labs[1], dir.path().join("moved")).unwrap();
        assert_eq!(Queue::open(&path, &labs[0]).unwrap().events, events[2..]);
    }

    #[test]
    fn lines_are_added_behind_a_torn_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("desk.given");
        let events: Vec<_> = Kind::ALL.into_iter().map(Event::new).collect();
        add_lines(&path, &events[..2]).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"id\":\"01").unwrap();
        add_lines(&path, &events[2..]).unwrap();
        assert_eq!(read_lines(&path), (events, vec![3]));
        assert_eq!(read_lines(&dir.path().join("none")), (vec![], vec![]));
    }

    #[test]
    fn a_line_that_is_no_event_is_named_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("desk.queue");
        std::fs::write(&path, "{}\n").unwrap();
        let error = Queue::open(&path, dir.path()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("desk.queue:1: this is no event"), "{error}");
        assert_eq!(error.exit(), Exit::Corrupt);
        assert_eq!(std::fs::read(&path).unwrap(), b"{}\n");
    }
}
