// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs, one file each, and what they share.

#[cfg(feature = "write")]
pub mod bind;
#[cfg(feature = "write")]
mod completions;
mod derive;
#[cfg(feature = "write")]
pub mod erase;
#[cfg(feature = "write")]
mod flash;
mod list;
#[cfg(feature = "write")]
mod man;
#[cfg(feature = "write")]
mod map;
mod read;
#[cfg(feature = "write")]
pub mod repair;
#[cfg(feature = "write")]
pub mod stamp;
#[cfg(feature = "write")]
mod update;
mod verify;
#[cfg(feature = "write")]
mod write;

use std::path::Path;

use identity_core::State;
use identity_core::field::kind;
use identity_core::search::Condition;

use crate::args::{Cli, Verb};
use crate::device::{Card, Cid};
use crate::error::{Exit, Result};
use crate::survey::Survey;

/// Runs a verb.
///
/// # Errors
/// What stopped it, with its exit code.
pub fn run(cli: Cli) -> Result<Exit> {
    match cli.verb {
        Verb::Read(args) => read::run(&args.0),
        Verb::Verify(args) => verify::run(&args.0),
        Verb::List(args) => list::run(&args.0),
        Verb::Derive(args) => derive::run(&args.0),
        #[cfg(feature = "write")]
        Verb::Write(verb) => write::run(verb),
    }
}

/// Looks at every slot before the first partition, for verbs that judge the whole card or write to it.
fn survey(card: &dyn Card, path: &Path, hint_lba: Option<u32>) -> Result<Survey> {
    let _ = path;
    Ok(Survey::of(card, hint_lba).placed(card.here()))
}

/// What a state means for this card, and what to do about it; `None` for valid.
fn explain(survey: &Survey, path: &Path) -> Option<String> {
    let shown = path.display();
    let places = |wanted: &dyn Fn(&str) -> bool| {
        let ours = survey.ours().chain(survey.pair());
        let mut lines: Vec<String> = ours
            .filter(|found| wanted(survey.label(found)))
            .map(|found| match found.detail.as_str() {
                "" => format!("LBA {} is {}", found.lba, survey.label(found)),
                detail => format!("LBA {} is {}: {detail}", found.lba, survey.label(found)),
            })
            .collect();
        lines.sort();
        lines.dedup();
        if lines.is_empty() { "there is a copy too many".into() } else { lines.join("; ") }
    };
    Some(match survey.state() {
        State::Valid => return None,
        State::Blank if survey.found().iter().all(|found| found.condition == Condition::Absent) => {
            format!("{shown} is blank, and too short for any slot; give the whole card, or its whole image")
        }
        State::Blank => {
            format!("{shown} is blank: no slot holds an identity; give it one with `identity stamp`")
        }
        State::Degraded => format!(
            "{shown} is degraded ({}); make it whole with `identity repair {shown}`",
            places(&|label| label != "valid")
        ),
        State::Corrupt => format!(
            "{shown} is corrupt: there are copies and none is valid ({}); `identity stamp --force` replaces them",
            places(&|label| label != "valid")
        ),
        State::Conflict => format!(
            "{shown} is in conflict: it holds two identities ({}); `identity stamp --force` leaves one",
            survey
                .valid()
                .map(|(lba, identity, _)| format!("LBA {lba} {}", identity.uuid()))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        State::Newer => format!(
            "{shown} holds an identity that this program is too old for ({}); update `identity`",
            places(&|label| label == "newer")
        ),
        State::Unreadable => format!("{shown}: {}", unreadable(survey)),
        State::Cloned | State::Moved => format!("{shown} {}", elsewhere(survey, path)?),
    })
}

/// What the identity is bound to, what was found, and what to do.
fn elsewhere(survey: &Survey, path: &Path) -> Option<String> {
    let (shown, identity) = (path.display(), survey.identity()?);
    let name = format!("{} ({})", identity.uuid(), identity.profile());
    let own = format!("give it an identity of its own: `identity stamp --force --profile NAME {shown}`");
    if survey.state() == State::Cloned {
        let (bound, card) = (Cid::new(identity.fields().card()?), survey.here().card.ok()?);
        return Some(format!(
            "is cloned: its identity {name} is bound to the card with CID {bound}, and this one's is {card}; {own}"
        ));
    }
    let (bound, board) = (identity.fields().text(kind::BOARD)?, survey.here().board(identity)?);
    Some(format!(
        "is moved: its identity {name} is bound to the board {bound}, and this is the board {board}; \
         put it back, bind it to this one: `identity bind --force --board={board} {shown}`, or {own}"
    ))
}

fn unreadable(survey: &Survey) -> String {
    let bad = survey.found().iter().find(|found| found.condition.name() == "unreadable");
    bad.map_or_else(String::new, |found| {
        format!(
            "LBA {} cannot be read ({}); try another reader, or replace the card",
            found.lba, found.detail
        )
    })
}

/// Says on standard error what is doubtful.
fn warn(survey: &Survey, path: &Path) {
    if let Some(text) = explain(survey, path) {
        anstream::eprintln!("identity: {text}");
    }
}
