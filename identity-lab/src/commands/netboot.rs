// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab netboot`.

use std::path::Path;

use identity_ui::output::{json, print, say};
use identity_ui::{Exit, Result};
use serde::Serialize;

use crate::args::{Format, NetbootArgs};
use crate::lab::Lab;
use crate::netboot::plan::{self, Content};
use crate::netboot::sources::{Sources, sha256};
use crate::netboot::tree_on_disk::{State, compare, is_current, write};

#[derive(Serialize)]
struct Line {
    path: String,
    state: State,
    bytes: Option<u64>,
    sha256: Option<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    dir: &'a Path,
    current: bool,
    files: Vec<Line>,
    notes: &'a [String],
}

/// Runs the verb.
///
/// # Errors
/// Exit 4 with file and line of what cannot be read; 6 if the directory is not ours, or cannot be exchanged.
pub fn run(lab: &Path, args: &NetbootArgs) -> Result<Exit> {
    let mut lab = Lab::read(lab)?;
    let example = lab.leave_out_example();
    let mut tree = plan::plan(&lab, &Sources::read(&lab, args.secrets)?)?;
    tree.notes.extend(example);
    let writes = !args.check && !args.dry_run;
    let difference =
        if writes { write(&args.dir, &tree, args.prune)? } else { compare(&args.dir, &tree, args.prune)? };
    if args.format == Format::Text {
        for note in &tree.notes {
            say(note);
        }
    }
    let current = is_current(&difference);
    print(&match args.format {
        Format::Json => {
            let files =
                difference.iter().map(|(path, state)| line(path, *state, tree.files.get(path))).collect();
            json(&Shown { dir: &args.dir, current, files, notes: &tree.notes })
        }
        Format::Text => {
            let mut text = String::new();
            for (path, state) in &difference {
                let word = match state {
                    State::Same => continue,
                    State::New => "new",
                    State::Changed => "changed",
                    State::Gone => "gone",
                    State::Kept => "kept for boards that run from it",
                };
                text += &format!("{path}  {word}\n");
            }
            if current { text + &format!("{} is up to date\n", args.dir.display()) } else { text }
        }
    })?;
    if args.check && !current {
        say(&format!("{} is not up to date; `identity-lab netboot` brings it there", args.dir.display()));
        return Ok(Exit::Doubtful);
    }
    Ok(Exit::Done)
}

fn line(path: &str, state: State, content: Option<&Content>) -> Line {
    let (bytes, sha256) = match content {
        Some(Content::Bytes(bytes) | Content::Program(bytes)) => {
            (Some(bytes.len() as u64), Some(sha256(bytes)))
        }
        Some(Content::Image(image)) => (Some(image.len), Some(image.sha256.clone())),
        None => (None, None),
    };
    Line { path: path.to_owned(), state, bytes, sha256 }
}
