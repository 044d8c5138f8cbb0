// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs, one file each.

mod add;
mod card;
mod check;
mod completions;
mod export;
mod import;
mod init;
mod label;
mod list;
mod man;
mod netboot;
mod remove;
mod rename;
mod root;
mod scan;
mod serve;
mod show;
mod sort;
mod stamp;
mod where_is;

use identity_core::text;
use identity_ui::output::say;
use identity_ui::{Exit, Failure, Result};

use crate::args::{Cli, RootVerb, Verb};
use crate::boards::{Board, is_address};
use crate::hostlist;
use crate::lab::{self, BOARDS_CSV, Lab};
use crate::netboot::overlays::overlay_of;

/// Runs a verb.
///
/// # Errors
/// What stopped it, with its exit code.
pub fn run(cli: Cli) -> Result<Exit> {
    match &cli.verb {
        Verb::Init(args) => return init::run(args),
        Verb::Completions { shell } => return completions::run(*shell),
        Verb::Man { dir } => return man::run(dir.as_deref()),
        _ => (),
    }
    let dir = lab::find(cli.lab.as_deref())?;
    match &cli.verb {
        Verb::Init(_) | Verb::Completions { .. } | Verb::Man { .. } => Ok(Exit::Usage),
        Verb::Add(args) => add::run(&dir, args),
        Verb::Import(args) => import::run(&dir, args),
        Verb::List(args) => list::run(&dir, args),
        Verb::Rename(args) => rename::run(&dir, args),
        Verb::Remove(args) => remove::run(&dir, args),
        Verb::Sort => sort::run(&dir),
        Verb::Stamp(args) => stamp::run(&dir, args),
        Verb::Show(args) => show::run(&dir, args),
        Verb::Where(args) => where_is::run(&dir, args),
        Verb::Scan(args) => scan::run(&dir, args),
        Verb::Check(args) => check::run(&dir, args),
        Verb::Label(args) => label::run(&dir, args),
        Verb::Export(args) => export::run(&dir, args),
        Verb::Card(args) => card::run(&dir, args),
        Verb::Netboot(args) => netboot::run(&dir, args),
        Verb::Root(args) => match &args.verb {
            RootVerb::Build(args) => root::build(&dir, args),
        },
        Verb::Serve(args) => serve::run(&dir, args),
    }
}

/// The boards of these names, each once, in this order.
///
/// # Errors
/// Exit 2 for a name that is none, or no board's.
fn selected<'l>(lab: &'l Lab, names: &[String]) -> Result<Vec<&'l Board>> {
    let mut boards: Vec<&Board> = Vec::new();
    for list in names {
        for name in hostlist::expand(list).map_err(Failure::usage)? {
            let board = lab.boards.find(&name).ok_or_else(|| {
                Failure::usage(format!("there is no board {name}; `identity-lab list` shows which there are"))
            })?;
            if !boards.contains(&board) {
                boards.push(board);
            }
        }
    }
    Ok(boards)
}

/// Whether a board may be called so.
///
/// # Errors
/// Exit 2 for a name that DNS does not take, or resolvers take for something else.
fn check_name(name: &str) -> Result<()> {
    text::check_hostname(name.as_bytes())
        .map_err(|error| Failure::usage(format!("hostname \"{name}\" {error}")))?;
    if is_address(name) {
        return Err(Failure::usage(format!(
            "hostname \"{name}\": resolvers take it for an address, or for each host itself; use another name"
        )));
    }
    Ok(())
}

/// Says that files of another board, which had the name before, are this one's now.
fn say_overlay(lab: &Lab, hostname: &str) {
    let overlay = overlay_of(&lab.dir, hostname);
    if overlay.exists() {
        say(&format!("{} is there already: its files are those of {hostname}", overlay.display()));
    }
}

/// Says that a list is sorted that was not, or, `is_dry`, that it would be.
fn say_sorted(lab: &Lab, is_dry: bool) {
    if !lab.boards.is_sorted() {
        let done = if is_dry {
            "is not sorted by hostname; it would be"
        } else {
            "was not sorted by hostname; it is now"
        };
        say(&format!("{} {done}", lab.dir.join(BOARDS_CSV).display()));
    }
}

/// Rows under one another, each column as wide as its widest cell.
fn tabular<const COLUMNS: usize>(rows: Vec<[String; COLUMNS]>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
