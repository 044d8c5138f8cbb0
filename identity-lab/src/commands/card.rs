// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab card`.

use std::path::Path;

use identity_ui::output::{json, print, say};
use identity_ui::{Exit, Failure, Result};
use serde::Serialize;

use crate::args::{CardArgs, Format};
use crate::boards::Board;
use crate::card_image::{Plan, make, plan};
use crate::lab::Lab;
use crate::profile::Profile;

#[derive(Serialize)]
struct Loader<'a> {
    file: &'a str,
    family: Option<&'a str>,
    first_lba: u64,
    last_lba: u64,
}

#[derive(Serialize)]
struct Shown<'a> {
    image: &'a Path,
    bytes: u64,
    profile: &'a str,
    uuid: Option<String>,
    hostname: Option<&'a str>,
    loaders: Vec<Loader<'a>>,
    files: Vec<&'a str>,
    /// Bytes of the partition for what the board writes.
    keep_bytes: Option<u64>,
}

/// Runs the verb.
///
/// # Errors
/// Exit 2 if there is no such board or profile; 4 with file and line of what cannot be read; 6 if a loader does not fit, or the
/// image is there already.
pub fn run(lab: &Path, args: &CardArgs) -> Result<Exit> {
    let lab = Lab::read(lab)?;
    lab.boards.check_clashes()?;
    let (profile, board) = find(&lab, &args.name)?;
    let shown = args.output.display();
    if args.output.symlink_metadata().is_ok() {
        return Err(Failure::refused(format!("{shown} is there already; give another name, or remove it")));
    }
    let plan = plan(&lab, profile, board)?;
    if plan.loaders.is_empty() && profile.card.files.is_empty() {
        say(&format!(
            "profile {}: [card] names no loader, so the card boots no board by itself",
            profile.name
        ));
    }
    if !args.dry_run {
        make(&plan, &args.output)?;
    }
    print(&show(&plan, profile, args))?;
    Ok(Exit::Done)
}

/// The board of a name, else the profile of it.
fn find<'a>(lab: &'a Lab, name: &str) -> Result<(&'a Profile, Option<&'a Board>)> {
    match (lab.boards.find(name), lab.profile(name)) {
        (Some(board), Some(_)) if board.hostname == name => Err(Failure::usage(format!(
            "{name} is a board and a profile; give the board's UUID, {}, or rename one of them",
            board.uuid
        ))),
        (Some(board), _) => Ok((lab.profile_of(board)?, Some(board))),
        (None, Some(profile)) => Ok((profile, None)),
        (None, None) => Err(Failure::usage(format!("the lab has neither a board nor a profile {name}"))),
    }
}

fn show(plan: &Plan<'_>, profile: &Profile, args: &CardArgs) -> String {
    let loaders = plan.loaders.iter().map(|loader| Loader {
        file: &loader.file,
        family: loader.family,
        first_lba: loader.lba,
        last_lba: loader.end_lba() - 1,
    });
    let shown = Shown {
        image: &args.output,
        bytes: plan.size,
        profile: &profile.name,
        uuid: plan.board.map(|board| board.uuid.to_string()),
        hostname: plan.board.map(|board| board.hostname.as_str()),
        loaders: loaders.collect(),
        files: plan.files.iter().map(|(name, _)| name.as_str()).collect(),
        keep_bytes: plan.keep.map(|start| plan.size - start),
    };
    if args.format == Format::Json {
        return json(&shown);
    }
    let verb = if args.dry_run { "would make" } else { "made" };
    let mut text = format!("{verb} {}, {} MiB\n", args.output.display(), plan.size >> 20);
    for Loader { file, family, first_lba, last_lba } in &shown.loaders {
        let family = family.map_or_else(String::new, |family| format!(" ({family})"));
        text += &format!("loader    {file} at LBA {first_lba} to {last_lba}{family}\n");
    }
    text += &format!("files     {}\n", shown.files.join(", "));
    if let Some(bytes) = shown.keep_bytes {
        text += &format!("keep      {} MiB for what the board writes\n", bytes >> 20);
    }
    text + &match plan.board {
        Some(board) => format!("identity  {} {}\n", board.uuid, board.hostname),
        None => "identity  none: `identity stamp` gives the card one\n".to_owned(),
    }
}
