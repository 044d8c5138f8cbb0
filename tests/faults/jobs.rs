// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands on simulated cards: planned as the command line says, written by the one function that writes.

use std::path::Path;

use clap::Parser;
use identity_cli::args::{Cli, Verb, WriteVerb};
use identity_cli::commands::{bind, erase, repair, stamp};
use identity_cli::device::Card;
use identity_cli::error::Result;
use identity_cli::execute;
use identity_cli::plan::Plan;

use crate::card::SimCard;

fn plan(card: &dyn Card, words: &str) -> Result<Option<Plan>> {
    let words = ["identity"].into_iter().chain(words.split_whitespace()).chain(["card"]);
    match Cli::try_parse_from(words).expect("a command").verb {
        Verb::Write(WriteVerb::Stamp(args)) => {
            let fresh = stamp::new_identity(&args.0)?;
            stamp::prepare(&args.0, fresh, card).map(|(_, plan)| Some(plan))
        }
        Verb::Write(WriteVerb::Bind(args)) => {
            bind::prepare(&args.0, card, Path::new("card")).map(|(_, _, plan)| plan)
        }
        Verb::Write(WriteVerb::Repair(args)) => repair::prepare(&args.0, card).map(|(_, plan)| plan),
        Verb::Write(WriteVerb::Erase(args)) => erase::prepare(&args.0, card).map(|(_, plan)| Some(plan)),
        _ => panic!("not here"),
    }
}

/// `identity WORDS... card`; what was done to the card is in its log.
pub fn run(card: &mut SimCard, words: &str) -> Result<()> {
    card.log.clear();
    match plan(card, words)? {
        Some(plan) => execute::run(&plan, card, Path::new("card")),
        None => Ok(()),
    }
}
