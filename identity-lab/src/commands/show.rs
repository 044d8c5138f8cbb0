// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab show`.

use std::path::Path;

use identity_ui::output::{json, print};
use identity_ui::{Exit, Failure, Result, lines, shell};
use serde::Serialize;

use crate::args::{Format, ShowArgs};
use crate::boards::Board;
use crate::journal::{Database, Event, Kind};
use crate::lab::Lab;
use crate::row::Row;

/// Events that are shown, at most.
const EVENTS: i64 = 10;

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    row: Row,
    events: Vec<Event>,
}

/// Runs the verb.
///
/// # Errors
/// Exit 2 for a board that is not there; 4 if a file of the lab cannot be read; 7 if the journal cannot be reached, when the
/// rest is printed.
pub fn run(dir: &Path, args: &ShowArgs) -> Result<Exit> {
    let lab = Lab::read(dir)?;
    let mut journal = lab.journal().open();
    let board = find(&lab, &mut journal, &args.board)?;
    let events = match &mut journal {
        Ok(Some(database)) => database.events_of(&board.uuid.to_string(), &Kind::ALL, EVENTS)?,
        _ => Vec::new(),
    };
    let shown = Shown { row: Row::of(board), events };
    print(&match args.format {
        Format::Json => json(&shown),
        Format::Text => text(&shown),
    })?;
    journal.map(|_| Exit::Done)
}

/// The board of a hostname, UUID or serial number; else the one whose identity a card had when it was seen last.
///
/// # Errors
/// Exit 2 if there is none; 6 if there are two.
pub fn find<'a>(lab: &'a Lab, journal: &mut Result<Option<Database>>, name: &str) -> Result<&'a Board> {
    if let Some(board) = lab.boards.find(name) {
        let is_named = |other: &&Board| {
            other.line != board.line && (other.hostname == board.hostname || other.uuid == board.uuid)
        };
        return match lab.boards.all.iter().find(is_named) {
            Some(other) => {
                let (what, way_out) = match (other.hostname == board.hostname, other.uuid == board.uuid) {
                    (true, true) => ("are one and the same", "delete one of the lines".to_owned()),
                    (true, false) => ("have one hostname", taken_out(&other.uuid.to_string())),
                    _ => ("have one UUID", taken_out(&other.hostname)),
                };
                Err(other
                    .place("hostname")
                    .refused(format!("this board and that in line {} {what}; {way_out}", board.line)))
            }
            None => Ok(board),
        };
    }
    let uuid = match journal {
        Ok(Some(database)) => database.card(&name.to_ascii_lowercase())?.and_then(|card| card.uuid),
        _ => None,
    };
    uuid.and_then(|uuid| lab.boards.find(&uuid)).ok_or_else(|| {
        Failure::usage(format!("there is no board {name}; `identity-lab list` shows which there are"))
    })
}

/// What takes a line out of the list that shares something with another one.
fn taken_out(name: &str) -> String {
    format!(
        "`identity-lab remove {}` takes this one out, `identity-lab check` shows what they share",
        shell::value(name)
    )
}

fn text(shown: &Shown) -> String {
    let Shown { row, events } = shown;
    let mut text = lines::Lines::default();
    text.add("hostname", &row.hostname);
    text.add("profile", &row.profile);
    text.add("uuid", &row.uuid);
    text.add_some("serial", row.serial.as_ref());
    for mac in &row.macs {
        text.add("mac", mac);
    }
    text.add("machine-id", &row.machine_id);
    text.add_some("ip", row.ip.as_ref());
    text.add_some("location", row.location.as_ref());
    if !row.tags.is_empty() {
        text.add("tags", lines::escaped(&row.tags.join(" ")));
    }
    text.add_some("note", row.note.as_ref());
    for (key, value) in &row.variables {
        text.add(format!("var.{key}"), lines::escaped(value));
    }
    for (name, cell) in &row.others {
        text.add(name, lines::escaped(cell));
    }
    text.add("line", row.line.to_string());
    for event in events {
        text.add(&event.kind, line(event));
    }
    text.text()
}

/// An event in one line.
pub fn line(event: &Event) -> String {
    let mut words = vec![event.at.clone()];
    words.extend(event.ip.clone());
    words.extend(event.former_name().map(|name| format!("was {}", lines::escaped(&name))));
    words.extend(event.generation.map(|generation| format!("generation {generation}")));
    words.extend(event.state.clone().filter(|state| state != "valid"));
    words.extend(event.card.as_ref().map(|card| format!("card {card}")));
    words.extend(event.reader.as_ref().map(|reader| format!("in {}", lines::escaped(reader))));
    words.push(format!("on {} by {}", lines::escaped(&event.host), lines::escaped(&event.person)));
    words.join(", ")
}
