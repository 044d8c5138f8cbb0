// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab remove`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use identity_core::Uuid;
use identity_ui::confirm::{self, Reply};
use identity_ui::lines::escaped;
use identity_ui::output::{json, print, say};
use identity_ui::{Exit, Failure, Result};
use serde::Serialize;

use super::say_sorted;
use super::show::find;
use crate::args::{Format, RemoveArgs};
use crate::boards::Board;
use crate::carriers::{carriers, erasure, named};
use crate::claims::{BUSY, Claims};
use crate::hostlist;
use crate::journal::{CardSeen, Database, Event, Kind};
use crate::lab::{BOARDS_CSV, Lab};
use crate::netboot::overlays::overlay_of;
use crate::replace;
use crate::row::Row;

#[derive(Serialize)]
struct Removed {
    #[serde(flatten)]
    row: Row,
    /// Files of the board, which stay.
    overlay: Option<PathBuf>,
    /// Cards that have its identity; null where the journal cannot be read.
    cards: Option<Vec<CardSeen>>,
}

/// Runs the verb.
///
/// # Errors
/// Exit 2 for a board that is not there; 6 without a yes, or while a card of the board is written; 7 where it can be noted nowhere.
/// Then nothing is removed.
pub fn run(dir: &Path, args: &RemoveArgs) -> Result<Exit> {
    let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let _lock = replace::lock(here)?;
    let lab = Lab::read(dir)?;
    let mut journal = lab.journal().open();
    if args.lost
        && let Some(lost) = without_a_board(&lab, &mut journal, &args.names)?
    {
        return note_lost(&lab, lost, args);
    }
    let boards = named_boards(&lab, &mut journal, &args.names)?;
    let claims = Claims::new(lab.journal(), &lab.settings.name, false);
    if let Some(board) = boards.iter().find(|board| claims.is_busy(&board.uuid.to_string())) {
        return Err(Failure::refused(format!("{}: {BUSY}; nothing was removed", board.hostname)));
    }
    let shown = boards.iter().map(|board| shown(&lab, &mut journal, board)).collect::<Result<Vec<_>>>()?;
    if let Err(failure) = journal {
        say(&failure.and("which cards have the identity is not known").to_string());
    }
    if !args.dry_run {
        ask(&shown, args)?;
        // What is noted, and not removed after all, does no harm: the same command goes on.
        lab.journal()
            .note(&events(&lab, &boards, args.lost))
            .map_err(|failure| failure.and("nothing was removed"))?;
        replace::sweep(here);
        replace::replace(&dir.join(BOARDS_CSV), lab.boards.without(&boards).as_bytes())?;
    }
    say_sorted(&lab, args.dry_run);
    print(&match args.format {
        Format::Json => json(&shown),
        Format::Text => {
            let verb = if args.dry_run { "would remove " } else { "removed " };
            shown.iter().map(|board| lines(verb, board, args.lost)).collect()
        }
    })?;
    Ok(Exit::Done)
}

/// The boards of these names, each once; a name that two lines have is nobody's.
fn named_boards<'l>(
    lab: &'l Lab,
    journal: &mut Result<Option<Database>>,
    names: &[String],
) -> Result<Vec<&'l Board>> {
    let mut boards: Vec<&Board> = Vec::new();
    for list in names {
        for name in hostlist::expand(list).map_err(Failure::usage)? {
            // Git keeps both lines of a board that was renamed here and changed there, and those of two boards that two people
            // gave one name: one of them may go.
            let uuid = Uuid::try_parse(&name).ok();
            let is_named = |board: &&Board| board.hostname == name || Some(board.uuid) == uuid;
            let mut of_name = lab.boards.all.iter().filter(is_named);
            let board = match (of_name.next(), of_name.next()) {
                (Some(board), None) => board,
                _ => find(lab, journal, &name)?,
            };
            if !boards.contains(&board) {
                boards.push(board);
            }
        }
    }
    Ok(boards)
}

fn shown(lab: &Lab, journal: &mut Result<Option<Database>>, board: &Board) -> Result<Removed> {
    let cards = match journal {
        Ok(Some(database)) => Some(carriers(database, &board.uuid.to_string())?),
        Ok(None) => Some(Vec::new()),
        Err(_) => None,
    };
    let overlay = Some(overlay_of(&lab.dir, &board.hostname)).filter(|path| path.exists());
    Ok(Removed { row: Row::of(board), overlay, cards })
}

/// What is noted of boards that are removed; nothing of one whose identity another line has.
fn events(lab: &Lab, boards: &[&Board], are_lost: bool) -> Vec<Event> {
    let left: HashSet<_> =
        lab.boards.all.iter().filter(|board| !boards.contains(board)).map(|board| board.uuid).collect();
    let mut events = Vec::new();
    for board in boards.iter().filter(|board| !left.contains(&board.uuid)) {
        if are_lost {
            events.push(Event::of_board(Kind::Replaced, board));
        }
        events.push(Event::of_board(Kind::Removed, board));
    }
    events
}

/// Asks a person.
fn ask(shown: &[Removed], args: &RemoveArgs) -> Result<()> {
    if args.yes {
        return Ok(());
    }
    if !confirm::can_ask() {
        return Err(Failure::refused(
            "there is nobody to ask at a terminal; --yes removes without a question",
        ));
    }
    let facts: String = shown.iter().map(|board| lines("", board, args.lost)).collect();
    let what = if shown.len() == 1 { "this board" } else { "these boards" };
    match confirm::ask_line(&format!("{facts}Remove {what} from the list? [y/N] "), &|| false)? {
        Reply::Line(line) if ["y", "yes"].contains(&line.as_str()) => Ok(()),
        _ => Err(Failure::refused("nothing was removed")),
    }
}

fn lines(verb: &str, board: &Removed, is_lost: bool) -> String {
    let Removed { row, overlay, cards } = board;
    let mut text = format!("{verb}{}  {}\n", row.hostname, row.uuid);
    for card in cards.iter().flatten() {
        let what = if is_lost {
            "counts as lost".to_owned()
        } else {
            format!("has its identity: {}", erasure(card))
        };
        text += &format!("  {} {what}\n", named(card));
    }
    if let Some(overlay) = overlay {
        text += &format!("  {} stays: a board that gets the name gets these files\n", overlay.display());
    }
    text
}

/// What these names mean if none is that of a board: boards that were removed before, and identities of cards that no board has.
fn without_a_board(
    lab: &Lab,
    journal: &mut Result<Option<Database>>,
    names: &[String],
) -> Result<Option<Vec<Event>>> {
    let Ok(Some(database)) = journal else { return Ok(None) };
    let mut lost = Vec::new();
    let removed = database.removed()?;
    for list in names {
        for name in hostlist::expand(list).map_err(Failure::usage)? {
            if lab.boards.find(&name).is_some() {
                return Ok(None);
            }
            let uuid = Uuid::try_parse(&name).map(|uuid| uuid.to_string()).ok();
            let is_it = |event: &&Event| {
                event.hostname.as_ref() == Some(&name) || uuid.is_some() && event.uuid == uuid
            };
            let before = lost.len();
            lost.extend(removed.values().filter(is_it).cloned());
            if lost.len() == before {
                let Some(card) =
                    uuid.map(|uuid| database.cards_of(&uuid)).transpose()?.and_then(|mut cards| cards.pop())
                else {
                    return Ok(None);
                };
                let CardSeen { uuid, hostname, profile, .. } = card;
                lost.push(Event { uuid, hostname, profile, ..Event::default() });
            }
        }
    }
    Ok(Some(lost))
}

/// Notes that the cards with these identities are lost, or another lab's.
fn note_lost(lab: &Lab, lost: Vec<Event>, args: &RemoveArgs) -> Result<Exit> {
    let replaced = |Event { uuid, hostname, profile, .. }: Event| Event {
        uuid,
        hostname,
        profile,
        ..Event::new(Kind::Replaced)
    };
    let events: Vec<_> = lost.into_iter().map(replaced).collect();
    if !args.dry_run {
        lab.journal().note(&events)?;
    }
    print(&match args.format {
        Format::Json => json(&events),
        Format::Text => {
            let line = |event: &Event| {
                let texts = [&event.hostname, &event.uuid];
                let [name, uuid] = texts.map(|text| escaped(text.as_deref().unwrap_or("-")));
                format!("{name}  {uuid}: its cards count as lost\n")
            };
            events.iter().map(line).collect()
        }
    })?;
    Ok(Exit::Done)
}
