// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity bind`.

use std::path::Path;

use identity_core::State;
use identity_host::bind::{self, Request};
use identity_host::default_card;
use identity_host::device::safety::{InUse, TargetProblem};
use identity_host::document::Document;
use identity_host::error::Error;
use identity_host::record::{CardKey, Record};
use identity_host::surroundings::Surroundings;
use identity_host::update;
use identity_ui::output::{json, print};
use identity_ui::{Exit, Failure, Result, shell, wording};

use super::warn;
use super::writing::{self, Undo};
use crate::args::{BindArgs, Format};
use crate::render::text;

/// Binds or unbinds the identity, and prints it.
///
/// # Errors
/// What stopped it, with its exit code.
pub fn run(args: &BindArgs) -> Result<Exit> {
    let path = default_card::target(args.target.as_deref())?;
    if args.if_unbound && !args.dry_run && is_bound_as_asked(args, &path)? {
        return Ok(Exit::Done);
    }
    // Only a board's own slot tells a card's CID, and the board mostly runs from that card.
    let in_use = if args.mounted { InUse::Write } else { InUse::Refuse };
    let mut target = writing::open(&path, args.safety, in_use, args.dry_run).map_err(offer)?;
    let surroundings = Surroundings::of_target(&target);
    let prepared = bind::prepare(&request(args), &target, &path, surroundings.clone())
        .map_err(|error| refused(error, &path))?;
    let (identity, plan) = (&prepared.identity, &prepared.plan);
    if plan.steps.is_empty() {
        let document = Document::of_scan(&prepared.card.scan, None, 1);
        let not_bound = || format!("not bound; nothing was written: {}", shell::path(&path));
        return show(args, &document, &if args.unbind { not_bound() } else { said_bound(&path) });
    }
    if args.dry_run {
        return writing::show_plan(Document::of_planned(identity, plan), plan, args.format);
    }
    writing::consent(plan, &path, args.force)?;
    let key = CardKey::of_target(&target);
    let records = Record::going(&prepared.card.scan, &key, identity.uuid());
    writing::keep(&records, &path, Undo::Replace, args.at)?;
    let after = update::write(plan, identity, &mut target, &path, args.at, surroundings)?;
    let after = prepared.card.after(after);
    writing::forget_pending(&after, &key);
    let done = if args.unbind { "unbound" } else { "bound" };
    let exit = show(args, &Document::of_scan(&after, None, 1), &format!("{done} {}", shell::path(&path)))?;
    warn(&after, &path);
    Ok(exit)
}

/// Whether nothing is to be done, without opening the card for writing at every start of a board.
fn is_bound_as_asked(args: &BindArgs, path: &Path) -> Result<bool> {
    let found = default_card::look(Some(path), args.at)?;
    if !bind::is_done(&request(args), &found.scan) {
        return Ok(false);
    }
    show(args, &Document::of_scan(&found.scan, None, 1), &said_bound(path)).map(|_| true)
}

fn said_bound(path: &Path) -> String {
    format!("bound already; nothing was written: {}", shell::path(path))
}

/// What the command line asks for.
pub fn request(args: &BindArgs) -> Request {
    Request {
        card: args.card,
        cid: args.cid,
        board: args.board.clone(),
        unbind: args.unbind,
        force: args.force,
        if_unbound: args.if_unbound,
        in_use: args.mounted,
        hint_lba: args.at,
    }
}

fn show(args: &BindArgs, document: &Document, line: &str) -> Result<Exit> {
    print(&match args.format {
        Format::Json => json(document),
        Format::Text => format!("{line}\n{}", text::identity(document)),
    })?;
    Ok(Exit::Done)
}

/// Of a card in use, the option that writes all the same.
fn offer(error: Error) -> Failure {
    let is_in_use = matches!(
        error,
        Error::Target {
            problem: TargetProblem::Mounted { .. }
                | TargetProblem::SystemDisk { .. }
                | TargetProblem::Swap(_)
                | TargetProblem::Held { .. },
            ..
        }
    );
    let failure = Failure::from(error);
    if is_in_use {
        return failure.and("or give --mounted, which writes only the two copies, before every partition");
    }
    failure
}

/// The sentence, with what force would do.
fn refused(error: Error, path: &Path) -> Failure {
    let card = match &error {
        Error::State { scan, .. } if scan.state() == State::Cloned => wording::card(scan, path),
        _ => return error.into(),
    };
    Failure::from(error).and(&format!(
        "if the other card will never be used again, bind the identity to this one: `identity bind --force {card}`"
    ))
}
