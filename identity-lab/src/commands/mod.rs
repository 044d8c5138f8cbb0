// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs, one file each.

mod add;
mod card;
mod check;
mod completions;
mod export;
mod import;
mod init;
mod label;
mod list;
mod man;
mod netboot;
mod root;
mod serve;

use identity_ui::{Exit, Result};

use crate::args::{Cli, RootVerb, Verb};
use crate::lab;

/// Runs a verb.
///
/// # Errors
/// What stopped it, with its exit code.
pub fn run(cli: Cli) -> Result<Exit> {
    match &cli.verb {
        Verb::Init(args) => return init::run(args),
        Verb::Completions { shell } => return completions::run(*shell),
        Verb::Man { dir } => return man::run(dir.as_deref()),
        _ => (),
    }
    let dir = lab::find(cli.lab.as_deref())?;
    match &cli.verb {
        Verb::Init(_) | Verb::Completions { .. } | Verb::Man { .. } => Ok(Exit::Usage),
        Verb::Add(args) => add::run(&dir, args),
        Verb::Import(args) => import::run(&dir, args),
        Verb::List(args) => list::run(&dir, args),
        Verb::Check(args) => check::run(&dir, args),
        Verb::Label(args) => label::run(&dir, args),
        Verb::Export(args) => export::run(&dir, args),
        Verb::Card(args) => card::run(&dir, args),
        Verb::Netboot(args) => netboot::run(&dir, args),
        Verb::Root(args) => match &args.verb {
            RootVerb::Build(args) => root::build(&dir, args),
        },
        Verb::Serve(args) => serve::run(&dir, args),
    }
}
