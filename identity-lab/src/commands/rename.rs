// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab rename`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use identity_ui::output::{json, print, say};
use identity_ui::{Exit, Failure, Result};
use serde::Serialize;

use super::show::find;
use super::{check_name, say_overlay, say_sorted};
use crate::args::{Format, RenameArgs};
use crate::boards::{Board, Boards, Change};
use crate::carriers::{carriers, named};
use crate::journal::{CardSeen, Event};
use crate::lab::{BOARDS_CSV, Lab};
use crate::netboot::overlays::overlay_of;
use crate::replace;
use crate::row::Row;

#[derive(Serialize)]
struct Renamed {
    #[serde(flatten)]
    row: Row,
    before: String,
    /// Whether files of the board were laid under its new name.
    overlay: bool,
    /// Cards that still have the old name; null where the journal cannot be read.
    cards: Option<Vec<CardSeen>>,
}

/// Runs the verb.
///
/// # Errors
/// Exit 2 for a board that is not there, or a name that is none; 6 if another board, or files of one, have the name. Then nothing
/// is changed.
pub fn run(dir: &Path, args: &RenameArgs) -> Result<Exit> {
    let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    check_name(&args.new)?;
    let _lock = replace::lock(here)?;
    let lab = Lab::read(dir)?;
    let mut journal = lab.journal().open();
    let board = find(&lab, &mut journal, &args.board)?;
    if board.hostname == args.new {
        return Err(Failure::usage(format!("{} is its name already", args.new)));
    }
    lab.boards.check_clashes()?;
    let has_name =
        |other: &&Board| other.line != board.line && other.hostname.eq_ignore_ascii_case(&args.new);
    if let Some(other) = lab.boards.all.iter().find(has_name) {
        let what = format!("hostname: {} is another board's name; nothing was renamed", other.hostname);
        return Err(other.place("hostname").refused(what));
    }
    let cells = [("hostname".to_owned(), args.new.clone())].into();
    let changes = BTreeMap::from([(board.hostname.clone(), Change { cells })]);
    let path = dir.join(BOARDS_CSV);
    let text = lab.boards.changed(&[], &changes)?;
    let after = Boards::parse(&path, text.clone())?;
    after.check_clashes()?;

    let [old, new] = [&board.hostname, &args.new].map(|name| overlay_of(&lab.dir, name));
    let overlay = old.exists();
    // A file system that does not tell upper case from lower case has one directory for both names.
    if overlay && new.exists() && !board.hostname.eq_ignore_ascii_case(&args.new) {
        return Err(Failure::refused(format!(
            "{} and {} are both there; remove one of them, so that it is clear which files are the board's",
            old.display(),
            new.display()
        )));
    }
    let cards = match &mut journal {
        Ok(Some(database)) => Some(carriers(database, &board.uuid.to_string())?),
        Ok(None) => Some(Vec::new()),
        Err(_) => None,
    };
    if !args.dry_run {
        // Files first: the same command goes on where it was cut off.
        if overlay {
            fs::rename(&old, &new).map_err(|error| replace::failure("rename", &old, &error))?;
        }
        replace::sweep(here);
        replace::replace(&path, text.as_bytes())?;
    }
    if !overlay {
        say_overlay(&lab, &args.new);
    }
    say_sorted(&lab, args.dry_run);
    let row = after.all.iter().find(|board| board.hostname == args.new).map(Row::of);
    let row = row.ok_or_else(|| Failure::usage(format!("there is no board {}", args.new)))?;
    let shown = Renamed { row, before: board.hostname.clone(), overlay, cards };
    print(&match args.format {
        Format::Json => json(&shown),
        Format::Text => lines(&shown, args.dry_run),
    })?;
    if let Err(failure) = journal {
        say(&failure.and("which cards have the old name is not known").to_string());
    }
    if !args.dry_run {
        lab.journal().note(&[Event::renamed(board, &args.new)])?;
    }
    Ok(Exit::Done)
}

fn lines(shown: &Renamed, is_dry: bool) -> String {
    let Renamed { row, before, overlay, cards } = shown;
    let verb = if is_dry { "would rename" } else { "renamed" };
    let mut text = format!("{verb} {before} to {}  {}\n", row.hostname, row.uuid);
    if *overlay {
        text += &format!("overlays/board/{before} is overlays/board/{} then\n", row.hostname);
    }
    for card in cards.iter().flatten() {
        let name = &row.hostname;
        text += &format!(
            "{} has the old name: `identity-lab stamp {name}` with it in a reader writes the new one\n",
            named(card)
        );
    }
    text
}
