// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity repair`.

use identity_core::State;

use super::write::read_ground;
use super::{explain, warn};
use crate::args::{Format, RepairArgs};
use crate::device::{Access, Card, Target};
use crate::error::{Error, Exit, Result};
use crate::execute;
use crate::plan::{self, Plan};
use crate::render::{self, text};
use crate::survey::Survey;
use crate::view::{Planned, View};

/// Runs the verb.
///
/// # Errors
/// What stopped it, with its exit code.
pub fn run(args: &RepairArgs) -> Result<Exit> {
    let access = if args.dry_run { Access::Plan(args.safety) } else { Access::Write(args.safety) };
    let mut target = Target::open(&args.target, access)?;
    let (survey, plan) = prepare(args, &target)?;
    if args.dry_run {
        render::print(&match (args.format, &plan) {
            (Format::Json, plan) => render::json(&Planned::of(View::of(&survey), plan.as_ref())),
            (Format::Text, Some(plan)) => text::plan(plan),
            (Format::Text, None) => format!("nothing to repair: {}\n", args.target.display()),
        })?;
        return Ok(Exit::Done);
    }
    if let Some(plan) = &plan {
        execute::run(plan, &mut target, &args.target)?;
    }
    let after = super::survey(&target, &args.target, args.at)?;
    render::print(&match args.format {
        Format::Json => render::json(&View::of(&after)),
        Format::Text => {
            let done = if plan.is_some() { "repaired" } else { "nothing to repair" };
            format!("{done}: {}\n{}", args.target.display(), text::identity(&View::of(&after)))
        }
    })?;
    warn(&after, &args.target);
    Ok(if after.state() == State::Valid { Exit::Done } else { Exit::of_verified(after.state()) })
}

/// What there is, and what to write to this card, if anything.
///
/// # Errors
/// Whatever speaks against it, with the exit code.
pub fn prepare(args: &RepairArgs, card: &dyn Card) -> Result<(Survey, Option<Plan>)> {
    let survey = super::survey(card, &args.target, args.at)?;
    if !survey.state().is_usable() {
        let message = explain(&survey, &args.target).unwrap_or_default();
        return Err(Error::state(Exit::of_verified(survey.state()), message));
    }
    let ground = read_ground(card, &args.target)?;
    let plan = plan::repair(&survey, &ground.places(), |lba| ground.check_own(lba))?;
    Ok((survey, plan))
}
