// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs, one file each.

#[cfg(feature = "stamp")]
pub mod bind;
#[cfg(feature = "flash")]
mod completions;
mod derive;
#[cfg(feature = "stamp")]
pub mod erase;
#[cfg(feature = "flash")]
mod flash;
#[cfg(feature = "flash")]
mod lab;
mod list;
#[cfg(feature = "flash")]
mod man;
#[cfg(feature = "stamp")]
mod map;
mod read;
#[cfg(feature = "stamp")]
pub mod repair;
#[cfg(feature = "stamp")]
pub mod stamp;
mod verify;
#[cfg(feature = "stamp")]
mod writing;

use std::path::Path;

use identity_core::State;
use identity_core::search::Condition;
use identity_host::device::{Card, Sector, Target, is_being_written};
use identity_host::scan::Scan;
#[cfg(feature = "stamp")]
use identity_host::size_limit;
use identity_layout::mark::Mark;
use identity_layout::slot_rules::SlotVerdict;
use identity_ui::lines::escaped;
use identity_ui::output::say;
use identity_ui::wording::NotReady;
use identity_ui::{Exit, Result, shell, wording};

#[cfg(feature = "stamp")]
use crate::args::WriteVerb;
use crate::args::{Cli, Verb};

/// Runs the verb of this command line.
///
/// # Errors
/// What stopped it, with its exit code.
pub fn run(cli: Cli) -> Result<Exit> {
    match cli.verb {
        Verb::Read(args) => read::run(&args.0),
        Verb::Verify(args) => verify::run(&args.0),
        Verb::List(args) => list::run(&args.0),
        Verb::Derive(args) => derive::run(&args.0),
        #[cfg(feature = "stamp")]
        Verb::Write(verb) => {
            size_limit::fail_beyond()?;
            run_writing(verb)
        }
    }
}

#[cfg(feature = "stamp")]
fn run_writing(verb: WriteVerb) -> Result<Exit> {
    match verb {
        WriteVerb::Stamp(args) => stamp::run(args.0),
        WriteVerb::Bind(args) => bind::run(&args.0),
        WriteVerb::Repair(args) => repair::run(&args.0),
        WriteVerb::Erase(args) => erase::run(&args.0),
        WriteVerb::Map(args) => map::run(&args.0),
        #[cfg(feature = "flash")]
        WriteVerb::Flash(args) => flash::run(&args.0),
        #[cfg(feature = "flash")]
        WriteVerb::Completions { shell } => completions::run(shell),
        #[cfg(feature = "flash")]
        WriteVerb::Man { dir } => man::run(dir.as_deref()),
        #[cfg(feature = "flash")]
        WriteVerb::Lab { .. } => lab::run(),
    }
}

/// Says on standard error what is doubtful.
fn warn(scan: &Scan, path: &Path) {
    if let Some(text) = wording::state(scan, path) {
        say(&text);
    }
}

/// Says on standard error where an identity that was replaced may still be.
#[cfg(feature = "stamp")]
fn warn_unreadable(scan: &Scan, path: &Path) {
    for lba in scan.lbas(Condition::Unreadable) {
        let shown = shell::path(path);
        say(&format!(
            "{shown}: LBA {lba} cannot be read; if it holds a copy of what was replaced, that may be readable again later: look \
             with `identity verify {shown}` in another card reader"
        ));
    }
}

/// The same of a card whose LBA 0 is known, and of whose slots perhaps more: a stamp that would be refused is not advised.
fn warn_with(scan: &Scan, path: &Path, target: &Target, lba0: Option<&Sector>, verdicts: &[SlotVerdict]) {
    let is_too_short = scan.sectors().iter().all(|sector| sector.condition == Condition::Absent);
    let is_free = |slot: &&SlotVerdict| slot.verdict.is_ok();
    let part_of = target.info().and_then(|info| info.part_of.as_ref());
    let why = match (part_of, lba0) {
        _ if scan.state() != State::Blank || is_too_short => None,
        (Some((file, offset)), _) => Some(NotReady::Part(file, *offset)),
        (None, Some(lba0)) if Mark::parse(lba0).is_some() => Some(NotReady::Unfinished),
        _ if verdicts.iter().any(|slot| !slot.is_free()) => {
            (verdicts.iter().filter(is_free).count() < 2).then_some(NotReady::NoSlots(verdicts))
        }
        (None, Some([.., 0x55, 0xaa])) | (None, None) => None,
        (None, Some(lba0)) if lba0.iter().all(|&byte| byte == 0) => Some(NotReady::NoTable(target.sectors())),
        (None, Some(_)) => verdicts.is_empty().then_some(NotReady::Unknown),
    };
    match why {
        Some(why) => say(&wording::blank_and_not_ready(scan, path, &why)),
        None => warn(scan, path),
    }
}

/// Says on standard error which copies lie in a partition.
fn warn_in_partition(scan: &Scan, lbas: &[u32], path: &Path) {
    let (shown, card) = (shell::path(path), wording::card(scan, path));
    // Else what is said of the state comes first.
    let is_kept = match scan.state() {
        State::Valid => true,
        State::Degraded => scan.lone_copy().is_none() && scan.lbas(Condition::Newer).next().is_none(),
        _ => false,
    };
    for lba in lbas {
        let way_out =
            if is_kept { format!("; move it with `identity repair --force {card}`") } else { String::new() };
        say(&format!(
            "{shown}: the copy at LBA {lba} lies in a partition, whose file system will overwrite it{way_out}"
        ));
    }
}

/// Says on standard error that a flash was not finished.
fn warn_unfinished(mark: Option<&Mark>, path: &Path) {
    if let Some(mark) = mark {
        say(&unfinished(mark, path));
    }
}

fn unfinished(mark: &Mark, path: &Path) -> String {
    let (shown, image) = (shell::path(path), escaped(mark.image()));
    if is_being_written(path) {
        return format!("{shown} is being written at this moment: a flash of {image}, by another program");
    }
    format!("{shown} holds an unfinished flash of {image}; finish it with `identity flash IMAGE {shown}`")
}

/// Says which of these cards have one identity: one is a copy, and only bindings tell which. Returns whether there are any.
fn say_doubles<'a>(cards: &[(&'a Path, Option<&'a str>)]) -> bool {
    let mut known: Vec<&str> = Vec::new();
    for (number, (path, uuid)) in cards.iter().enumerate() {
        let Some(uuid) = uuid.filter(|uuid| !known.contains(uuid)) else { continue };
        let is_same = |(other, of): &&(&Path, Option<&str>)| other != path && *of == Some(uuid);
        let others: Vec<_> =
            cards.iter().skip(number).filter(is_same).map(|(other, _)| shell::path(other)).collect();
        if others.is_empty() {
            continue;
        }
        known.push(uuid);
        say(&format!(
            "{} and {} have the same identity {uuid}; give one of them its own: `identity stamp --force --profile NAME DEVICE`",
            shell::path(path),
            others.join(" and ")
        ));
    }
    !known.is_empty()
}
