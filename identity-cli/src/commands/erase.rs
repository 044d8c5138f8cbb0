// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity erase`.

use identity_core::State;
use identity_core::search::Condition;
use identity_host::device::safety::InUse;
use identity_host::document::{Document, Planned};
use identity_host::erase;
use identity_host::error::Error;
use identity_host::record::{CardKey, Record};
use identity_host::scan::Scan;
use identity_host::surroundings::Surroundings;
use identity_ui::output::{json, print};
use identity_ui::{Exit, Failure, Result, confirm, shell, wording};
use serde::Serialize;

use super::writing::Undo;
use super::{warn, writing};
use crate::args::{EraseArgs, Format};
use crate::render::text;

#[derive(Serialize)]
struct Erased {
    erased: Document,
    state: &'static str,
    /// Files with what was erased, for `stamp --restore`.
    records: Vec<String>,
}

/// Erases the identity, and prints what it erased.
///
/// # Errors
/// What stopped it, with its exit code.
pub fn run(args: &EraseArgs) -> Result<Exit> {
    let mut target = writing::open(&args.target, args.safety, InUse::Refuse, args.dry_run)?;
    let surroundings = Surroundings::of_target(&target);
    let prepared = erase::prepare(&target, &args.target, args.at, args.force, surroundings)
        .map_err(|error| refused(error, args))?;
    let (card, plan) = (&prepared.card, &prepared.plan);
    let document = Document::of_scan(&card.scan, card.mark().as_ref(), 1);
    if args.dry_run {
        print(&match args.format {
            Format::Json => json(&Planned::new(document, plan)),
            Format::Text => text::plan(plan),
        })?;
        return Ok(Exit::Done);
    }
    if !args.force && confirm::can_ask() {
        let question = format!("Erase this from {}?", shell::path(&args.target));
        confirm::ask(&(text::identity(&document) + &text::steps(plan)), &question)?;
    } else {
        writing::consent(plan, &args.target, args.force)?;
    }
    // Where a damaged copy is left, the card will not be blank.
    let is_left = card.scan.in_partition(Condition::Corrupt).next().is_some();
    let undo = match card.mark() {
        Some(_) => Undo::Flash,
        // Nothing is stamped on it as it is.
        None if card.choose(&[], false, &args.target).is_err() => Undo::Flash,
        None if is_left => Undo::Replace,
        None => Undo::Stamp,
    };
    let records = Record::retired(&card.scan, &CardKey::of_target(&target));
    let kept = writing::keep(&records, &args.target, undo, args.at)?;
    let after = card.after(erase::run(plan, &mut target, &args.target, args.at)?);
    print(&match args.format {
        Format::Json => json(&Erased {
            erased: document,
            state: after.state().name(),
            records: kept.iter().flatten().map(|path| path.display().to_string()).collect(),
        }),
        Format::Text => {
            format!(
                "erased from {}, for your records:\n{}{}",
                shell::path(&args.target),
                text::identity(&document),
                stored_machine_id(&document)
            )
        }
    })?;
    if after.state() != State::Blank {
        warn(&after, &args.target);
        return Ok(Exit::of_verified(after.state()));
    }
    Ok(Exit::Done)
}

/// systemd stores what our U-Boot passes to it, and the system is not the card's gap.
fn stored_machine_id(document: &Document) -> &'static str {
    match document.machine_id {
        Some(_) => {
            "A system on the card that has stored the machine-id keeps it; for another one empty its /etc/machine-id.\n"
        }
        None => "",
    }
}

/// The sentence, with what force would do.
fn refused(error: Error, args: &EraseArgs) -> Failure {
    let can_clear =
        |scan: &Scan| scan.ours().any(|sector| !scan.is_in_partition(sector.lba) || sector.copy.is_some());
    let card = match &error {
        Error::State { scan, .. } if !args.force && can_clear(scan) => wording::card(scan, &args.target),
        _ => return error.into(),
    };
    Failure::from(error).and(&format!("or erase all of them with `identity erase --force {card}`"))
}
