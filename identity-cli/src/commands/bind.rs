// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity bind`: an update that notes, or forgets, on which card and board the identity is.

use std::path::Path;

use identity_core::field::kind;
use identity_core::{Identity, State};

use super::write::read_ground;
use super::{explain, stamp, update};
use crate::args::{BindArgs, Format, InUse, SafetyArgs};
use crate::device::{Access, Card, Here, Target};
use crate::error::{Error, Exit, Result};
use crate::find;
use crate::plan::{self, Plan};
use crate::render::{self, text};
use crate::survey::Survey;
use crate::view::{Planned, View};

/// Runs the verb.
///
/// # Errors
/// What stopped it, with its exit code.
pub fn run(args: &BindArgs) -> Result<Exit> {
    let path = find::target(args.target.as_deref())?;
    // Only a board's own slot tells a card's CID, and the board mostly runs from that card.
    let in_use = if args.mounted { InUse::Write } else { InUse::Offer };
    let safety = SafetyArgs { in_use, ..args.safety };
    let access = if args.dry_run { Access::Plan(safety) } else { Access::Write(safety) };
    let mut target = Target::open(&path, access)?;
    let (survey, identity, plan) = prepare(args, &target, &path)?;
    let Some(plan) = plan else {
        let view = View::of(&survey);
        let said = if args.unbind { "not bound" } else { "bound already" };
        return show(
            args,
            &view,
            &format!("{said}, nothing was written: {}\n{}", path.display(), text::identity(&view)),
        );
    };
    if args.dry_run {
        let view = View::of_planned(&identity, &plan);
        let shown = text::identity(&view) + &text::plan(&plan);
        render::print(&match args.format {
            Format::Json => render::json(&Planned::of(view, Some(&plan))),
            Format::Text => shown,
        })?;
        return Ok(Exit::Done);
    }
    let after = update::write(&plan, &identity, &mut target, &path, args.at)?;
    let view = View::of(&after);
    let done = if args.unbind { "unbound" } else { "bound" };
    show(args, &view, &format!("{done} {}\n{}", path.display(), text::identity(&view)))
}

/// What there is, the identity as it will be, and what to write to this card, if anything. `path` is for messages.
///
/// # Errors
/// Whatever speaks against it, with the exit code.
pub fn prepare(args: &BindArgs, card: &dyn Card, path: &Path) -> Result<(Survey, Identity, Option<Plan>)> {
    let survey = super::survey(card, path, args.at)?;
    let latest = check(args, &survey, path)?;
    let identity = bound(args, latest, survey.here()).map_err(|error| error.about(path))?;
    if identity.fields() == latest.fields() && survey.state() == State::Valid {
        return Ok((survey, identity, None));
    }
    let ground = read_ground(card, path)?;
    let plan = plan::write(&identity, &plan::choose(&ground.places(), &survey)?, &survey);
    Ok((survey, identity, Some(plan)))
}

fn show(args: &BindArgs, view: &View, shown: &str) -> Result<Exit> {
    render::print(&match args.format {
        Format::Json => render::json(view),
        Format::Text => shown.to_owned(),
    })?;
    Ok(Exit::Done)
}

/// The identity to bind: one in use, or by force one that belongs elsewhere.
fn check<'a>(args: &BindArgs, survey: &'a Survey, path: &Path) -> Result<&'a Identity> {
    match (survey.state(), survey.latest()) {
        (State::Valid | State::Degraded, Some(latest)) => Ok(latest),
        (State::Cloned | State::Moved, Some(latest)) if args.force => Ok(latest),
        (state, _) => {
            let message = explain(survey, path).unwrap_or_default();
            let hint = match state {
                State::Cloned => {
                    "; if the other card is gone for good, `identity bind --force` binds it to this one"
                }
                _ => "",
            };
            Err(Error::state(Exit::of_verified(state), format!("{message}{hint}")))
        }
    }
}

/// The next generation, bound as the command line says.
fn bound(args: &BindArgs, latest: &Identity, here: &Here) -> Result<Identity> {
    let refused = |error: identity_core::identity::DraftError| Error::refused(error.to_string());
    let mut draft = latest.next().map_err(refused)?;
    let both = !args.card && args.cid.is_none() && args.board.is_none();
    if args.unbind {
        let (card, board) = (args.card || both, args.board.is_some() || both);
        draft.remove(|kind, _| (card && kind == kind::CARD) || (board && kind == kind::BOARD));
        return draft.finish().map_err(stamp::invalid);
    }
    if args.card || args.cid.is_some() || both {
        let cid = args.cid.map_or(here.card, Ok).map_err(|reason| {
            Error::refused(format!(
                "the card's CID is {reason}; bind it in a native slot, or give --cid HEX as Linux has it in \
                 /sys/block/mmcblkN/device/cid where the card is in one"
            ))
        })?;
        draft.set_card(*cid.bytes()).map_err(stamp::invalid)?;
    }
    if let Some(given) = &args.board {
        let serial = given.as_deref().or(here.board(latest)).ok_or_else(|| {
            Error::refused(
                "no serial number of the board that this card belongs to is known here; bind it on the board, or give \
                 --board=SERIAL",
            )
        })?;
        draft.set_text(kind::BOARD, serial).map_err(stamp::invalid)?;
    }
    draft.finish().map_err(stamp::invalid)
}
