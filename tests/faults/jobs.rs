// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands on simulated cards: prepared as the command line says, carried out and proved as the verbs do.

use std::path::Path;

use clap::Parser;
use identity_cli::args::{Cli, Verb, WriteVerb};
use identity_cli::commands::{bind as bind_verb, stamp as stamp_verb};
use identity_host::surroundings::Surroundings;
use identity_host::{bind, erase, repair, stamp, update};
use identity_ui::Result;

use crate::card::SimCard;

/// `identity WORDS... card`; what was done to the card is in its log.
pub fn run(card: &mut SimCard, words: &str) -> Result<()> {
    card.log.clear();
    let path = Path::new("card");
    let here = || Surroundings::unknown("unknown");
    let words = ["identity"].into_iter().chain(words.split_whitespace()).chain(["card"]);
    match Cli::try_parse_from(words).expect("a command").verb {
        Verb::Write(WriteVerb::Stamp(args)) => {
            let request = stamp_verb::request(&args.0, None)?;
            let fresh = request.new_identity()?;
            let prepared = stamp::prepare(&request, fresh, card, path, here())?;
            let hint_lba = request.at.first().copied();
            update::write(&prepared.plan, &prepared.identity, card, path, hint_lba, here())?;
        }
        Verb::Write(WriteVerb::Bind(args)) => {
            let prepared = bind::prepare(&bind_verb::request(&args.0), card, path, here())?;
            update::write(&prepared.plan, &prepared.identity, card, path, args.0.at, here())?;
        }
        Verb::Write(WriteVerb::Repair(args)) => {
            let args = args.0;
            let request =
                repair::Request { hint_lba: args.at, keep: args.keep, avoid: None, force: args.force };
            let prepared = repair::prepare(&request, card, path, here())?;
            update::write(&prepared.plan, &prepared.identity, card, path, args.at, here())?;
        }
        Verb::Write(WriteVerb::Erase(args)) => {
            let prepared = erase::prepare(card, path, args.0.at, args.0.force, here())?;
            erase::run(&prepared.plan, card, path, args.0.at)?;
        }
        _ => panic!("not here"),
    }
    Ok(())
}
