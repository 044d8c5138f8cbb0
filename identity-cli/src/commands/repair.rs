// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity repair`.

use identity_core::State;
use identity_host::device::Target;
use identity_host::device::safety::InUse;
use identity_host::document::{Document, Planned};
use identity_host::error::Error;
use identity_host::record::CardKey;
use identity_host::repair::{self, Keep, Prepared, Request};
use identity_host::surroundings::Surroundings;
use identity_host::update;
use identity_ui::confirm::Terminal;
use identity_ui::output::{json, print, say};
use identity_ui::{Exit, Result, confirm, shell, wording};

use super::writing::Undo;
use super::{warn, warn_unfinished, warn_unreadable, writing};
use crate::args::{Format, RepairArgs};
use crate::render::text;

/// Repairs the identity, and prints it.
///
/// # Errors
/// What stopped it, with its exit code.
pub fn run(args: &RepairArgs) -> Result<Exit> {
    let mut target = writing::open(&args.target, args.safety, InUse::Refuse, args.dry_run)?;
    let surroundings = Surroundings::of_target(&target);
    let mut prepared = prepare(args, &target, &surroundings)?;
    let plan = &prepared.plan;
    if args.dry_run {
        let document = Document::of_scan(&prepared.card.scan, prepared.card.mark().as_ref(), 1);
        print(&match (args.format, prepared.is_whole()) {
            (Format::Json, _) => json(&Planned::new(document, plan)),
            (Format::Text, false) => text::plan(plan),
            (Format::Text, true) => format!("nothing to repair: {}\n", shell::path(&args.target)),
        })?;
        return Ok(Exit::Done);
    }
    writing::consent(plan, &args.target, args.force)?;
    writing::show_foreign(&prepared.card, plan);
    writing::keep(&prepared.retired(&CardKey::of_target(&target)), &args.target, Undo::Replace, args.at)?;
    let write = |prepared: &Prepared, target: &mut Target| {
        let (plan, identity) = (&prepared.plan, &prepared.identity);
        update::write(plan, identity, target, &args.target, args.at, surroundings.clone())
    };
    let was_whole = prepared.is_whole();
    let after = match write(&prepared, &mut target) {
        Err(Error::Step { lba, problem, .. }) if prepared.is_lost(lba) => {
            let failed = wording::step(&args.target, lba, &problem);
            say(&format!("{failed}; the second copy goes to another slot"));
            // Whatever a person was to agree to, is agreed to.
            let keep = args.keep.or_else(|| prepared.card.scan.lone_copy().map(Keep::Lba));
            let request = Request { keep, avoid: Some(lba), ..request(args) };
            prepared = repair::prepare(&request, &target, &args.target, surroundings.clone())?;
            write(&prepared, &mut target)?
        }
        after => after?,
    };
    let after = prepared.card.after(after);
    if !was_whole {
        writing::forget_pending(&after, &CardKey::of_target(&target));
    }
    let document = Document::of_scan(&after, None, 1);
    print(&match args.format {
        Format::Json => json(&document),
        Format::Text => {
            let done = if was_whole { "nothing to repair" } else { "repaired" };
            format!("{done}: {}\n{}", shell::path(&args.target), text::identity(&document))
        }
    })?;
    if prepared.is_replacement {
        warn_unreadable(&after, &args.target);
    }
    warn(&after, &args.target);
    drop(target);
    warn_unfinished(prepared.card.mark().as_ref(), &args.target);
    Ok(if after.state() == State::Valid { Exit::Done } else { Exit::of_verified(after.state()) })
}

fn request(args: &RepairArgs) -> Request {
    Request { hint_lba: args.at, keep: args.keep, avoid: None, force: args.force }
}

/// Prepares; a person on a terminal is asked before a lone copy is completed.
fn prepare(args: &RepairArgs, target: &Target, surroundings: &Surroundings) -> Result<Prepared> {
    let request = request(args);
    match repair::prepare(&request, target, &args.target, surroundings.clone()) {
        Err(doubt @ Error::LoneCopy { lba, .. }) if confirm::can_ask() && !args.dry_run => {
            writing::ask(Terminal::StandardInput, &doubt)?;
            let request = Request { keep: Some(Keep::Lba(lba)), ..request };
            Ok(repair::prepare(&request, target, &args.target, surroundings.clone())?)
        }
        prepared => Ok(prepared?),
    }
}
