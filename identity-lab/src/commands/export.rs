// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab export`.

use std::fs;
use std::path::{Path, PathBuf};

use identity_ui::output::{print, say};
use identity_ui::{Exit, Failure, Result};

use crate::args::{ExportArgs, ExportFormat};
use crate::export::{Kind, Known, LAVA_END, MADE, export, lava, lava_name};
use crate::lab::Lab;
use crate::replace;

/// Runs the verb.
///
/// # Errors
/// Exit 4 if a file of the lab cannot be read; 6 if two names clash in the format, or permission is missing.
pub fn run(dir: &Path, args: &ExportArgs) -> Result<Exit> {
    let lab = Lab::read(dir)?;
    let files = match (kind(args.kind), &args.board) {
        (None, board) => return fragments(&lab, args, board.as_deref()),
        (Some(_), Some(_)) => {
            return Err(Failure::usage("BOARD is for `export lava`; the other formats hold all boards"));
        }
        (Some(Kind::Html), None) => export(&lab, Kind::Html, known(&lab, args).as_ref())?,
        (Some(kind), None) => export(&lab, kind, None)?,
    };
    files.notes.iter().for_each(|note| say(note));
    match (&args.output, &args.check) {
        (None, None) => print(&files.text).map(|()| Exit::Done),
        (Some(file), _) => replace::replace(file, files.text.as_bytes()).map(|()| Exit::Done),
        (None, Some(file)) => Ok(told(stale(&[(file.clone(), files.text)]))),
    }
}

/// What the journal knows; the page is made without it, too.
fn known(lab: &Lab, args: &ExportArgs) -> Option<Known> {
    if args.no_journal {
        return None;
    }
    let known = lab
        .journal()
        .open()
        .and_then(|database| database.map(|mut database| Known::read(lab, &mut database)).transpose());
    known.unwrap_or_else(|failure| {
        say(&failure.and("the page has the list alone").to_string());
        None
    })
}

/// LAVA's: one file a board.
fn fragments(lab: &Lab, args: &ExportArgs, board: Option<&str>) -> Result<Exit> {
    lab.boards.check_clashes()?;
    if let Some(name) = board {
        let board = lab.boards.find(name).ok_or_else(|| {
            Failure::usage(format!("there is no board {name}; `identity-lab list` shows which there are"))
        })?;
        if args.output.is_none() && args.check.is_none() {
            return print(&lava(lab, board)).map(|()| Exit::Done);
        }
    }
    let Some(directory) = args.output.as_ref().or(args.check.as_ref()) else {
        return Err(Failure::usage(
            "LAVA wants one file a board: name a BOARD, or a directory with --output DIR",
        ));
    };
    let boards = lab.boards.sorted().into_iter();
    let boards = boards.filter(|one| board.is_none_or(|name| lab.boards.find(name) == Some(*one)));
    let files: Vec<_> = boards.map(|board| (directory.join(lava_name(board)), lava(lab, board))).collect();
    // Of boards that are not in the list any more; of one board alone, nothing is said of the others.
    let gone = if board.is_none() { ours_beside(directory, &files) } else { Vec::new() };
    if args.check.is_some() {
        let stale = stale(&files).into_iter().chain(gone.iter().map(PathBuf::as_path)).collect();
        return Ok(told(stale));
    }
    for file in &gone {
        fs::remove_file(file).map_err(|error| replace::failure("remove", file, &error))?;
        say(&format!("{} is removed: the list has no such board", file.display()));
    }
    fs::create_dir_all(directory).map_err(|error| replace::failure("make", directory, &error))?;
    replace::replace_all(directory, &files)?;
    Ok(Exit::Done)
}

/// Files in a directory that an export of a whole lab has written, and that this one would not.
fn ours_beside(directory: &Path, files: &[(PathBuf, String)]) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_ours = |path: &PathBuf| {
        path.to_string_lossy().ends_with(LAVA_END)
            && fs::read_to_string(path)
                .is_ok_and(|text| text.lines().next().is_some_and(|line| line.contains(MADE)))
    };
    let mut gone: Vec<_> =
        entries.filter(|path| !files.iter().any(|(file, _)| file == path)).filter(is_ours).collect();
    gone.sort();
    gone
}

/// The files that do not hold what they should, or are not there.
fn stale(files: &[(PathBuf, String)]) -> Vec<&Path> {
    let differs = |(file, text): &&(PathBuf, String)| fs::read(file).ok().as_deref() != Some(text.as_bytes());
    files.iter().filter(differs).map(|(file, _)| file.as_path()).collect()
}

fn told(stale: Vec<&Path>) -> Exit {
    for file in &stale {
        say(&format!(
            "{} is not up to date; `identity-lab export` with --output brings it there",
            file.display()
        ));
    }
    if stale.is_empty() { Exit::Done } else { Exit::Doubtful }
}

fn kind(format: ExportFormat) -> Option<Kind> {
    Some(match format {
        ExportFormat::Dnsmasq => Kind::Dnsmasq,
        ExportFormat::Kea => Kind::Kea,
        ExportFormat::Hosts => Kind::Hosts,
        ExportFormat::Ansible => Kind::Ansible,
        ExportFormat::Labgrid => Kind::Labgrid,
        ExportFormat::LabgridPlaces => Kind::LabgridPlaces,
        ExportFormat::Lava => return None,
        ExportFormat::SshKnownHosts => Kind::SshKnownHosts,
        ExportFormat::Csv => Kind::Csv,
        ExportFormat::Json => Kind::Json,
        ExportFormat::Html => Kind::Html,
    })
}
