// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs of the feature `write`, and what they share.

use std::path::Path;

use super::{bind, completions, erase, flash, man, map, repair, stamp};
use crate::args::WriteVerb;
use crate::device::Card;
use crate::error::{Error, Exit, Result};
use crate::ground::Ground;

pub fn run(verb: WriteVerb) -> Result<Exit> {
    match verb {
        WriteVerb::Stamp(args) => stamp::run(args.0),
        WriteVerb::Bind(args) => bind::run(&args.0),
        WriteVerb::Repair(args) => repair::run(&args.0),
        WriteVerb::Erase(args) => erase::run(&args.0),
        WriteVerb::Flash(args) => flash::run(&args.0),
        WriteVerb::Map(args) => map::run(&args.0),
        WriteVerb::Completions { shell } => completions::run(shell),
        WriteVerb::Man { dir } => man::run(dir.as_deref()),
    }
}

pub(super) fn read_ground(card: &dyn Card, path: &Path) -> Result<Ground> {
    Ground::of(card).map_err(|error| Error::io(path, "read the first sectors of", &error))
}
