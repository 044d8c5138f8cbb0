// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity stamp`.

use std::collections::BTreeSet;
use std::path::Path;

use identity_core::Identity;
use identity_core::field::kind;
use identity_host::device::Target;
use identity_host::device::safety::InUse;
use identity_host::document::Document;
use identity_host::error::Error;
use identity_host::new_image::NewImage;
use identity_host::plan::Plan;
use identity_host::record::{CardKey, Given, Kept};
use identity_host::scan::Scan;
use identity_host::stamp::{self, Effect, Prepared, Request, Values};
use identity_host::surroundings::Surroundings;
use identity_host::{record, update};
use identity_ui::output::{json, print, say};
use identity_ui::{Exit, Failure, Result, shell, wording};

use super::writing::{self, Undo};
use super::{warn, warn_unreadable};
use crate::args::{Format, StampArgs};
use crate::render::text;

/// Stamps the card or the new image, and prints the identity.
///
/// # Errors
/// What stopped it, with its exit code.
pub fn run(args: StampArgs) -> Result<Exit> {
    let kept = args.restore.as_deref().map(record::read_kept).transpose()?;
    let request = request(&args, kept.as_ref().map(|kept| kept.identity.clone()))?;
    // Before anything is opened or made: the values themselves.
    let fresh = request.new_identity()?;
    let new_image = match args.create {
        Some(size) => Some(NewImage::make(&args.target, size)?),
        None => None,
    };
    let path = new_image.as_ref().map_or_else(|| args.target.clone(), NewImage::path);
    let mut target = writing::open(&path, args.safety, InUse::Refuse, args.dry_run)?;
    let surroundings = Surroundings::of_target(&target);
    let prepared = stamp::prepare(&request, fresh, &target, &args.target, surroundings.clone())
        .map_err(|error| refused(error, &args, kept.as_ref()))?;
    let (identity, plan) = (&prepared.identity, &prepared.plan);
    if let Some(reason) = prepared.unbound {
        say(&format!("{}: not bound: {reason}", shell::path(&args.target)));
    }
    if args.dry_run {
        return writing::show_plan(Document::of_planned(identity, plan), plan, args.format);
    }
    writing::consent(plan, &args.target, args.force)?;
    if prepared.effect != Effect::Update && (args.uuid.is_some() || kept.is_some()) {
        writing::consent_to_double(identity.uuid(), &target, &args.target, args.force)?;
    }
    let _claim = match &kept {
        Some(kept) => {
            let directory = record::directory()?;
            let seen = Given::read_or_force(&directory, kept.identity.uuid(), args.force)?;
            let mark = prepared.card.mark();
            writing::consent_to_card(kept, seen.as_ref(), mark.as_ref(), &target, &args.target, args.force)?;
            Some(kept.claim(&directory, &CardKey::of_target(&target), &args.target, seen.as_ref())?)
        }
        None => None,
    };
    writing::show_foreign(&prepared.card, plan);
    let hint_lba = args.at.first().copied();
    writing::keep(&prepared.retired(&CardKey::of_target(&target)), &args.target, Undo::Replace, hint_lba)?;
    let after = update::write(plan, identity, &mut target, &args.target, hint_lba, surroundings)
        .map_err(|error| half_done(error, &prepared, &target, &args.target))?;
    let after = prepared.card.after(after);
    let mut key = CardKey::of_target(&target);
    let first_card = kept.as_ref().map(|kept| FirstCard::of(kept, &target));
    drop(target);
    if let Some(new_image) = new_image {
        new_image.keep(&args.target)?;
        key.path = args.target.canonicalize().unwrap_or_else(|_| args.target.clone());
    }
    if let (Some(kept), Some(first_card)) = (&kept, first_card) {
        finish_restore(kept, &key, first_card)?;
    }
    writing::forget_pending(&after, &key);
    report(&args, &after, plan)?;
    writing::say_hidden(&args.at, &after, &args.target);
    if let Some(kept) = kept.as_ref().filter(|_| !args.bind) {
        say_unbound(&kept.identity, &args.target);
    }
    if prepared.effect == Effect::Replacement {
        warn_unreadable(&after, &args.target);
    }
    warn(&after, &args.target);
    Ok(Exit::Done)
}

/// The sentence; of another identity in the way of one from a file, what puts that in its place.
fn refused(error: Error, args: &StampArgs, kept: Option<&Kept>) -> Failure {
    if let (Error::IdentityPresent { scan, .. }, Some(file)) = (&error, &args.restore)
        && let Some(identity) = scan.latest()
    {
        let (shown, file) = (shell::path(&args.target), shell::path(file));
        if kept.is_some_and(|kept| kept.identity.uuid() == identity.uuid()) {
            let way_out = match scan.lone_copy() {
                Some(_) => format!(
                    "already, in one copy: complete it with `identity repair --keep {} {}`",
                    identity.uuid(),
                    wording::card(scan, &args.target)
                ),
                None => format!("already; `identity verify {shown}` shows whether it is whole"),
            };
            return Failure::refused(format!("{shown} has the identity in {file} {way_out}"));
        }
        return Failure::refused(format!(
            "{shown} has the identity {} ({}); give --force to put that in {file} in its place; a record of the other is kept",
            identity.uuid(),
            identity.profile()
        ));
    }
    error.into()
}

/// Of a new identity whose first copy is there: what completes it. The same command would make another one.
fn half_done(error: Error, prepared: &Prepared, target: &Target, path: &Path) -> Failure {
    let uuid = prepared.identity.uuid();
    match &error {
        Error::Step { lba, problem, .. } if prepared.effect != Effect::Update => {
            let scan = Scan::read(target, None);
            if scan.latest().is_none_or(|identity| identity.uuid() != uuid) {
                return error.into();
            }
            let shown = shell::path(path);
            Failure::new(
                Exit::of_error(&error),
                format!(
                    "{}; the identity {uuid} is there in one copy: complete it with `identity repair --keep {uuid} {shown}`, or \
                     replace the card",
                    wording::step(path, *lba, problem)
                ),
            )
        }
        _ => error.into(),
    }
}

/// Says of an identity that was bound that it is not bound any more: another card would else be taken for a copy.
fn say_unbound(identity: &Identity, path: &Path) {
    let fields = identity.fields();
    if fields.card().is_some() || fields.text(kind::BOARD).is_some() {
        let shown = shell::path(path);
        say(&format!(
            "the identity was bound, and is not given back so; bind it to this card, or this board, with `identity bind {shown}`"
        ));
    }
}

/// When the identity is on the card for certain, and the card has its name: it is noted who has it, and the record of an
/// unfinished flash goes.
fn finish_restore(kept: &Kept, key: &CardKey, first_card: FirstCard) -> Result<()> {
    kept.is_given(&record::directory()?, key)?;
    match first_card {
        FirstCard::This => (),
        FirstCard::Unknown => say(writing::PERHAPS_FORMER_CARD),
        FirstCard::Another => say(writing::FORMER_CARD),
    }
    Ok(())
}

/// Which card had the identity that is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstCard {
    /// The target itself had it.
    This,
    /// The target, or another card in the same reader; or none yet, for nothing says which.
    Unknown,
    /// Another card than the target.
    Another,
}

impl FirstCard {
    fn of(kept: &Kept, target: &Target) -> Self {
        let key = CardKey::of_target(target);
        match &kept.card {
            None if kept.was_on_card => Self::Another,
            None => Self::Unknown,
            Some(card) if !card.may_be(&key) => Self::Another,
            // Through one reader twenty cards have one path and one size.
            Some(card) if target.is_block_device() && card.cid.as_ref().or(key.cid.as_ref()).is_none() => {
                Self::Unknown
            }
            Some(card) if card.cid.is_some() != key.cid.is_some() => Self::Unknown,
            Some(_) => Self::This,
        }
    }
}

/// What the command line asks for.
///
/// # Errors
/// Exit 2 if something is asked for twice.
pub fn request(args: &StampArgs, restore: Option<Identity>) -> Result<Request> {
    check_no_duplicates(args)?;
    Ok(Request {
        values: Values {
            profile: args.profile.clone(),
            hostname: args.hostname.clone(),
            serial: args.serial.clone(),
            macs: args.mac.clone(),
            variables: args.set.clone(),
            unset: args.unset.clone(),
        },
        uuid: args.uuid,
        restore,
        at: args.at.clone(),
        bind: args.bind,
        force: args.force,
    })
}

fn report(args: &StampArgs, after: &Scan, plan: &Plan) -> Result<()> {
    let document = Document::of_scan(after, None, 1);
    print(&match args.format {
        Format::Json => json(&document),
        Format::Text => {
            format!(
                "stamped {}\n{}{}",
                shell::path(&args.target),
                text::identity(&document),
                text::slots(plan)
            )
        }
    })
}

fn check_no_duplicates(args: &StampArgs) -> Result<()> {
    let mut seen = BTreeSet::new();
    let keys = args.set.iter().map(|(key, _)| format!("--set {key}="));
    let macs = args.mac.iter().map(|(index, _)| format!("--mac {index}="));
    for name in keys.chain(macs) {
        if !seen.insert(name.clone()) {
            return Err(Failure::usage(format!("{name} is given twice; give it once")));
        }
    }
    Ok(())
}
