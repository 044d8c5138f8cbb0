// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab add`.

use std::collections::BTreeSet;
use std::path::Path;

use identity_core::Uuid;
use identity_ui::output::{json, print};
use identity_ui::{Exit, Failure, Result};

use super::{check_name, say_overlay, say_sorted};
use crate::args::{AddArgs, Format};
use crate::boards::{Boards, NewBoard};
use crate::lab::{BOARDS_CSV, Lab};
use crate::row::Row;
use crate::{hostlist, replace};

/// Runs the verb.
///
/// # Errors
/// Exit 2 for a name that is none; 6 if a board is there already. Then nothing is written.
pub fn run(dir: &Path, args: &AddArgs) -> Result<Exit> {
    let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let _lock = replace::lock(here)?;
    let lab = Lab::read(dir)?;
    let profile = args.profile.as_ref().or(lab.settings.default_profile.as_ref()).ok_or_else(|| {
        Failure::usage(
            "a board needs a profile: give --profile NAME, or set it in lab.toml, [defaults] profile",
        )
    })?;
    if lab.profile(profile).is_none() {
        return Err(Failure::refused(lab.no_profile_yet(profile)));
    }
    let mut new = Vec::new();
    for list in &args.names {
        for name in hostlist::expand(list).map_err(Failure::usage)? {
            new.push(board(name, profile, args)?);
        }
    }
    let path = dir.join(BOARDS_CSV);
    let text = lab.boards.with(&new)?;
    say_sorted(&lab, args.dry_run);
    if !args.dry_run {
        replace::sweep(here);
        replace::replace(&path, text.as_bytes())?;
    }
    let after = Boards::parse(&path, text)?;
    let names: BTreeSet<_> = new.iter().filter_map(|board| board.cells.get("hostname")).collect();
    let added: Vec<_> = after.all.iter().filter(|board| names.contains(&board.hostname)).collect();
    for board in &added {
        say_overlay(&lab, &board.hostname);
    }
    // Each run makes other UUIDs: one that nobody gets is not shown.
    let rows = added.iter().map(|board| (board, Row::of(board)));
    print(&match args.format {
        Format::Json => json(&rows.map(|(board, row)| row.json(board, args.dry_run)).collect::<Vec<_>>()),
        Format::Text => {
            let verb = if args.dry_run { "would add" } else { "added" };
            rows.map(|(board, row)| row.line(verb, board, args.dry_run)).collect()
        }
    })?;
    Ok(Exit::Done)
}

fn board(name: String, profile: &str, args: &AddArgs) -> Result<NewBoard> {
    check_name(&name)?;
    let mut new = NewBoard::default();
    let mut set = |column: &str, value: &str| new.cells.insert(column.to_owned(), value.to_owned());
    set("hostname", &name);
    set("profile", profile);
    set("uuid", &Uuid::new_v4().to_string());
    for (column, value) in [("location", &args.location), ("tags", &args.tags)] {
        if let Some(value) = value {
            set(column, value);
        }
    }
    Ok(new)
}
