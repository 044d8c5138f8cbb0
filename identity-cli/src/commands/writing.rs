// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the verbs that write have in common: they keep what they destroy, ask before they clear a sector in a partition, and
//! show a plan instead of carrying it out.

use std::path::{Path, PathBuf};

use identity_core::slot::READING_ORDER;
use identity_core::{State, Uuid};
use identity_host::attached;
use identity_host::by_identity;
use identity_host::device::safety::{Allowed, InUse};
use identity_host::device::{Access, Card, Target};
use identity_host::document::{Document, Planned};
use identity_host::error::Error;
use identity_host::plan::Plan;
use identity_host::record::{self, CardKey, Given, Kept, Record};
use identity_host::scan::Scan;
use identity_host::whole_card::{WholeCard, check_consent};
use identity_layout::mark::Mark;
use identity_ui::confirm::Terminal;
use identity_ui::output::{json, print, print_for_certain, say};
use identity_ui::{Exit, Failure, Result, confirm, shell, wording};

use crate::args::{Format, SafetyArgs};
use crate::render::{hexdump, text};

/// Opens the target of a verb that writes, or only plans to.
///
/// # Errors
/// As [`by_identity::open`].
pub fn open(path: &Path, safety: SafetyArgs, in_use: InUse, dry_run: bool) -> Result<Target, Error> {
    let allowed = Allowed { fixed_disk: safety.allow_fixed_disk, in_use };
    by_identity::open(path, if dry_run { Access::Plan(allowed) } else { Access::Write(allowed) })
}

/// Shows what would be written. `document` is the identity as it would be.
///
/// # Errors
/// Exit 7 if it cannot be printed.
pub fn show_plan(document: Document, plan: &Plan, format: Format) -> Result<Exit> {
    print(&match format {
        Format::Json => json(&Planned::new(document, plan)),
        Format::Text => text::identity(&document) + &text::plan(plan),
    })?;
    Ok(Exit::Done)
}

/// Lets a person, or `force`, agree to clearing copies that lie in a partition.
///
/// # Errors
/// Exit 6 without either.
pub fn consent(plan: &Plan, path: &Path, force: bool) -> Result<()> {
    match check_consent(plan, path, force) {
        Ok(()) => Ok(()),
        Err(Error::CopiesInPartition { lbas, .. }) if confirm::can_ask() => {
            let places = lbas.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            let shown = shell::path(path);
            let facts = format!(
                "{shown}: LBA {places} in a partition: copies of an identity (the first partition starts earlier than when the card was stamped)\n"
            );
            confirm::ask(&facts, "Clear them?")
        }
        Err(error) => Err(error.into()),
    }
}

/// Lets a person, or `force`, agree to an identity that may be on another card: two cards would share it. `path` is the
/// target's name in messages, `seen` the host's note of who has got it.
///
/// # Errors
/// Exit 6 without either.
pub fn consent_to_card(
    kept: &Kept,
    seen: Option<&Given>,
    mark: Option<&Mark>,
    target: &Target,
    path: &Path,
    force: bool,
) -> Result<()> {
    let doubt = doubt(kept, seen, mark, target, path).filter(|_| !force);
    match (doubt, Terminal::find(false)) {
        (None, _) => Ok(()),
        (Some(doubt), Some(terminal)) => ask(terminal, &doubt),
        (Some(doubt), None) => Err(doubt.into()),
    }
}

/// Why another card may have the identity.
fn doubt(
    kept: &Kept,
    seen: Option<&Given>,
    mark: Option<&Mark>,
    target: &Target,
    path: &Path,
) -> Option<Error> {
    let key = CardKey::of_target(target);
    if let Some(card) = kept.card.clone().filter(|card| !card.may_be(&key)) {
        let (path, record) = (path.to_owned(), kept.file.clone());
        return Some(Error::OtherCard { path, record, card, sectors: target.sectors() });
    }
    if kept.is_of_another_flash(&key, mark) {
        let (path, record) = (path.to_owned(), kept.file.clone());
        return Some(Error::OtherFlash { path, record, uuid: kept.identity.uuid() });
    }
    let card = kept.given_to(seen, &key)?;
    Some(Error::GivenBefore { path: path.to_owned(), uuid: kept.identity.uuid(), card })
}

/// Lets a person, or `force`, agree to an identity that another card of this machine has.
///
/// # Errors
/// Exit 6 without either.
pub fn consent_to_double(uuid: Uuid, target: &Target, path: &Path, force: bool) -> Result<()> {
    if force {
        return Ok(());
    }
    let own = target.info().map(|info| &*info.name);
    let Some(other) = attached::card_with(uuid, own) else { return Ok(()) };
    let doubt = Error::HereToo { path: path.to_owned(), uuid, other };
    match Terminal::find(false) {
        Some(terminal) => ask(terminal, &doubt),
        None => Err(doubt.into()),
    }
}

/// Forgets what an unfinished flash has noted on this host: the identity is on the card for certain, whose mark has no number any
/// more.
pub fn forget_pending(after: &Scan, key: &CardKey) {
    let whole = after.identity().filter(|_| after.state() == State::Valid);
    if let (Some(identity), Ok(directory)) = (whole, record::directory())
        && let Err(error) = record::remove_pending(&directory, key, identity.uuid())
    {
        say(&wording::error(&error));
    }
}

/// Says that readers do not look where these copies are, unless they are told to.
pub fn say_hidden(at: &[u32], after: &Scan, path: &Path) {
    let is_slot = |lba: u32| READING_ORDER.iter().any(|slot| slot.lba == lba);
    // A copy in a slot names the other one.
    let mut copies = after.valid().map(|(lba, _, _)| lba).peekable();
    let is_hidden = copies.peek().is_some() && !copies.any(is_slot);
    if let Some(first) = at.first().filter(|_| is_hidden) {
        let shown = shell::path(path);
        say(&format!(
            "{shown}: readers look there only when they are told to: `identity read --at {first} {shown}`, U-Boot with \
             CONFIG_IDENTITY_LBA={first}"
        ));
    }
}

/// Lets a person at `terminal` agree to an identity that another card has, or may have.
///
/// # Errors
/// Exit 6 without a yes.
pub fn ask(terminal: Terminal, doubt: &Error) -> Result<()> {
    if let Error::LoneCopy { path, lba, .. } = doubt {
        let facts =
            format!("{}: LBA {lba} holds the only copy; it may come from another card\n", shell::path(path));
        return confirm::ask_on(terminal, &facts, "Does it belong to this card?");
    }
    confirm::ask_on(terminal, &format!("{}\n", wording::error(doubt)), "Give it this identity?")
}

/// Shows what is somebody's and is written over by force.
pub fn show_foreign(card: &WholeCard, plan: &Plan) {
    for lba in card.foreign(plan) {
        if let Some(Ok(sector)) = card.first_sectors.sector(lba.into()) {
            say(&format!("LBA {lba} is written over; it holds:\n{}", hexdump::sector(sector)));
        }
    }
}

/// To be said where an identity came from a file.
pub const FORMER_CARD: &str = "the card that had this identity before must not be used again, or two boards share it: erase \
                               that card, or destroy it";

/// The same where nothing says whether a card had it.
pub const PERHAPS_FORMER_CARD: &str = "if another card had this identity before, erase or destroy that card, or two boards \
                                       share one identity";

/// What a person runs to get back what is destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// The card will be blank: a stamp is enough.
    Stamp,
    /// The card will have another identity, which the undo replaces.
    Replace,
    /// The same, but not before the flash that is about to begin is done.
    ReplaceAfterFlash,
    /// Nothing is stamped on the card as it is, for example an unfinished one: a flash mends it, and gives the identity back.
    Flash,
}

impl Undo {
    /// The command, with the record's file.
    fn command(self, file: &str, card: &str) -> String {
        match self {
            Self::Stamp => format!("identity stamp --restore {file} {card}"),
            Self::Replace | Self::ReplaceAfterFlash => {
                format!("identity stamp --force --restore {file} {card}")
            }
            Self::Flash => format!("identity flash --restore {file} IMAGE {card}"),
        }
    }
}

/// Keeps what is going to be destroyed: each record in the state directory, else as a line on standard output; returns the
/// file of each, where there is one. `path` is for messages.
///
/// # Errors
/// Exit 7 if neither works; nothing may be written then.
pub fn keep(
    records: &[Record],
    path: &Path,
    undo: Undo,
    hint_lba: Option<u32>,
) -> Result<Vec<Option<PathBuf>>> {
    let place = hint_lba.filter(|_| matches!(undo, Undo::Replace | Undo::ReplaceAfterFlash));
    let card = wording::card_at(place, path);
    records.iter().map(|record| keep_one(record, &card, undo)).collect()
}

fn keep_one(record: &Record, card: &str, undo: Undo) -> Result<Option<PathBuf>> {
    match record::directory().and_then(|directory| record.write(&directory)) {
        Ok(file) => {
            let undo = record.identity.as_ref().map_or_else(String::new, |_| {
                let when = if undo == Undo::ReplaceAfterFlash { "when the flash is done, " } else { "" };
                format!("; {when}undo with `{}`", undo.command(&shell::path(&file), card))
            });
            let name = record
                .identity
                .as_ref()
                .map_or_else(String::new, |identity| format!(", {},", wording::named(identity)));
            say(&format!("a record of what is removed{name} is kept in {}{undo}", shell::path(&file)));
            Ok(Some(file))
        }
        Err(error) => {
            let reason = wording::error(&error);
            let nowhere = |why: String| {
                let why =
                    format!("no record of the identity can be kept ({reason}; {why}); nothing was written");
                Failure::new(Exit::Device, why)
            };
            let line = record.to_json().map_err(|error| nowhere(error.to_string()))?;
            let line = format!("{{\"event\":\"replacing\",\"record\":{line}}}\n");
            say(&format!(
                "no record can be kept on this host ({reason}): keep the line on standard output that begins with \
                 {{\"event\":\"replacing\" in a file, and `{}` takes it",
                undo.command("FILE", card)
            ));
            print_for_certain(&line).map_err(|failure| nowhere(failure.to_string()))?;
            Ok(None)
        }
    }
}
