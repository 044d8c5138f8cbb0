// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity erase`.

use std::io::{self, BufRead, IsTerminal, Write};

use identity_core::State;
use serde::Serialize;

use super::explain;
use crate::args::{EraseArgs, Format};
use crate::device::{Access, Card, Target};
use crate::error::{Error, Exit, Result};
use crate::execute;
use crate::plan::{self, Plan};
use crate::render::{self, text};
use crate::survey::Survey;
use crate::view::{Planned, View};

#[derive(Serialize)]
struct Erased {
    erased: View,
    state: &'static str,
}

/// Runs the verb.
///
/// # Errors
/// What stopped it, with its exit code.
pub fn run(args: &EraseArgs) -> Result<Exit> {
    let access = if args.dry_run { Access::Plan(args.safety) } else { Access::Write(args.safety) };
    let mut target = Target::open(&args.target, access)?;
    let (survey, plan) = prepare(args, &target)?;
    let view = View::of(&survey);
    if args.dry_run {
        render::print(&match args.format {
            Format::Json => render::json(&Planned::of(view, Some(&plan))),
            Format::Text => text::plan(&plan),
        })?;
        return Ok(Exit::Done);
    }
    if !args.force && io::stdin().is_terminal() && !confirmed(&view, args)? {
        return Err(Error::refused("not confirmed; nothing was written"));
    }
    execute::run(&plan, &mut target, &args.target)?;
    render::print(&match args.format {
        Format::Json => render::json(&Erased { erased: view, state: State::Blank.name() }),
        Format::Text => {
            format!("erased from {}, for your records:\n{}", args.target.display(), text::identity(&view))
        }
    })?;
    Ok(Exit::Done)
}

/// What there is, and what to clear.
///
/// # Errors
/// Whatever speaks against it, with the exit code.
pub fn prepare(args: &EraseArgs, card: &dyn Card) -> Result<(Survey, Plan)> {
    let survey = super::survey(card, &args.target, args.at)?;
    check(&survey, args)?;
    let plan = plan::erase(&survey);
    Ok((survey, plan))
}

/// Only an identity that can be shown, and so written down, goes without --force.
fn check(survey: &Survey, args: &EraseArgs) -> Result<()> {
    let state = survey.state();
    if state == State::Blank || (!state.is_usable() && !args.force) {
        let message = explain(survey, &args.target).unwrap_or_default();
        let hint = if state == State::Blank { "" } else { "; `identity erase --force` erases all the same" };
        return Err(Error::state(Exit::of_verified(state), format!("{message}{hint}")));
    }
    Ok(())
}

fn confirmed(view: &View, args: &EraseArgs) -> Result<bool> {
    let error = |error: io::Error| Error::device(format!("cannot ask on the terminal: {error}"));
    let mut stderr = anstream::stderr();
    write!(stderr, "{}Erase this from {}? [y/N] ", text::identity(view), args.target.display())
        .and_then(|()| stderr.flush())
        .map_err(error)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(error)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
