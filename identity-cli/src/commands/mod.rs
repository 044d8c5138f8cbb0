// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs, one file each, and what they share.

mod completions;
mod derive;
pub mod erase;
mod flash;
mod map;
mod read;
pub mod repair;
pub mod stamp;
mod verify;

use std::path::Path;

use identity_core::State;
use identity_core::search::Condition;
use identity_core::search::Depth;

use crate::args::{Cli, Verb};
use crate::device::Card;
use crate::error::{Error, Exit, Result};
use crate::ground::{BeforePartitions, Ground};
use crate::survey::Survey;

/// Runs a verb.
///
/// # Errors
/// What stopped it, with its exit code.
pub fn run(cli: Cli) -> Result<Exit> {
    match cli.verb {
        Verb::Stamp(args) => stamp::run(args.0),
        Verb::Read(args) => read::run(&args.0),
        Verb::Verify(args) => verify::run(&args.0),
        Verb::Repair(args) => repair::run(&args.0),
        Verb::Erase(args) => erase::run(&args.0),
        Verb::Flash(args) => flash::run(&args.0),
        Verb::Derive(args) => derive::run(&args.0),
        Verb::Map(args) => map::run(&args.0),
        Verb::Completions { shell } => completions::run(shell),
    }
}

/// Looks at every slot before the first partition, for verbs that judge the whole card or write to it.
fn survey(card: &dyn Card, path: &Path, hint_lba: Option<u32>) -> Result<Survey> {
    let error = |error| Error::io(path, "read the first sectors of", &error);
    Ok(Survey::of(&BeforePartitions::of(card).map_err(error)?, Depth::All, hint_lba))
}

fn read_ground(card: &dyn Card, path: &Path) -> Result<Ground> {
    Ground::of(card).map_err(|error| Error::io(path, "read the first sectors of", &error))
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
        State::Cloned => format!("{shown} carries an identity that is bound to another card"),
        State::Moved => format!("{shown} carries an identity that is bound to another board"),
    })
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
