// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab where`.

use std::path::Path;

use identity_ui::output::{json, print};
use identity_ui::{Exit, Result, lines};
use serde::Serialize;

use super::show::{find, line};
use crate::args::{Format, ShowArgs};
use crate::boards::Boards;
use crate::journal::{Event, Kind};
use crate::lab::{BOARDS_CSV, LAB_TOML, Lab, Settings};

#[derive(Serialize)]
struct Found {
    hostname: String,
    location: Option<String>,
    /// Whether the journal could be read: else nothing is known of card and network.
    known: bool,
    card: Option<Event>,
    seen: Option<Event>,
}

/// Runs the verb.
///
/// # Errors
/// As `show`.
pub fn run(dir: &Path, args: &ShowArgs) -> Result<Exit> {
    let settings = Settings::read(&dir.join(LAB_TOML))?;
    let mut journal = settings.journal().open();
    // Of a million boards, the one that is asked for is found without the others.
    let alone = Boards::look_up(&dir.join(BOARDS_CSV), &args.board);
    let lab = if alone.is_none() { Some(Lab::read(dir)?) } else { None };
    let board = match (&alone, &lab) {
        (Some(alone), _) => &alone.all[0],
        (None, Some(lab)) => find(lab, &mut journal, &args.board)?,
        (None, None) => return Ok(Exit::Usage),
    };
    let uuid = board.uuid.to_string();
    let is_known = journal.is_ok();
    let mut last = |kinds: &[Kind]| match &mut journal {
        Ok(Some(database)) => database.events_of(&uuid, kinds, 1).map(|mut events| events.pop()),
        _ => Ok(None),
    };
    let found = Found {
        hostname: board.hostname.clone(),
        location: board.location.clone(),
        known: is_known,
        card: last(&Kind::OF_CARDS)?,
        seen: last(&[Kind::Seen])?,
    };
    print(&match args.format {
        Format::Json => json(&found),
        Format::Text => text(&found),
    })?;
    journal.map(|_| Exit::Done)
}

fn text(found: &Found) -> String {
    let mut text = lines::Lines::default();
    // It may have been asked for by an address.
    text.add("hostname", &found.hostname);
    text.add("location", found.location.as_deref().map_or("not noted".to_owned(), lines::escaped));
    let never =
        |what: &str| if found.known { what } else { "not known: the journal cannot be read" }.to_owned();
    let none = || never("never scanned");
    text.add(
        "card",
        found.card.as_ref().map_or_else(none, |event| format!("{} {}", event.kind, line(event))),
    );
    let none = || never("never; `identity-lab scan --leases FILE` notes it");
    text.add("network", found.seen.as_ref().map_or_else(none, |event| format!("seen {}", line(event))));
    text.text()
}
