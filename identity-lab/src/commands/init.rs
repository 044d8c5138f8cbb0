// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab init`.

use std::fs;
use std::path::{Path, PathBuf};

use identity_core::text::check_hostname;
use identity_ui::output::{json, print};
use identity_ui::{Exit, Failure, Result};
use serde::Serialize;

use crate::args::{Format, InitArgs};
use crate::boards::HEADER;
use crate::lab::{BOARDS_CSV, LAB_TOML};
use crate::place::read_text;
use crate::replace;

/// The files of a new lab. `lab.toml` comes last: before it, the directory is no lab.
const FILES: [(&str, &str); 9] = [
    (".gitattributes", include_str!("init/gitattributes")),
    (".gitignore", include_str!("init/gitignore")),
    ("profiles/example.toml", include_str!("init/example.toml")),
    ("overlays/common/.gitkeep", ""),
    ("overlays/profile/.gitkeep", ""),
    ("overlays/board/.gitkeep", ""),
    (INVENTORY, include_str!("init/inventory")),
    (BOARDS_CSV, ""),
    (LAB_TOML, include_str!("init/lab.toml")),
];
/// Those that git has made perhaps, and that others add to.
const GITS: [&str; 2] = [".gitattributes", ".gitignore"];
/// A script: Ansible runs what it may execute.
const INVENTORY: &str = "inventory";
const DIRECTORIES: [&str; 4] = ["profiles", "overlays/common", "overlays/profile", "overlays/board"];

#[derive(Serialize)]
struct Made {
    lab: PathBuf,
    files: Vec<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// Exit 6 if the directory has one of the files, or permission is missing; 7 if the disk fails.
pub fn run(args: &InitArgs) -> Result<Exit> {
    let dir = &args.dir;
    let paths: Vec<_> = FILES.iter().map(|(name, _)| dir.join(name)).collect();
    if dir.join(LAB_TOML).exists() {
        return Err(Failure::refused(format!("{} is a lab already", dir.display())));
    }
    let is_there = |path: &&PathBuf| path.symlink_metadata().is_ok();
    // A fresh clone has files of git's: they are kept, and get what is missing.
    let gits: Vec<_> = GITS.iter().map(|name| dir.join(name)).filter(|path| is_there(&path)).collect();
    if let Some(present) = paths.iter().filter(|path| !gits.contains(path)).find(is_there) {
        return Err(Failure::refused(format!(
            "{} is there already; give another directory, or move it away",
            present.display()
        )));
    }
    if !args.dry_run {
        let new: Vec<_> = paths.iter().filter(|path| !gits.contains(path)).collect();
        make(dir).inspect_err(|_| unmake(&new, dir))?;
    }
    let word = |path: &PathBuf| match (gits.contains(path), args.dry_run) {
        (false, false) => "made",
        (false, true) => "would make",
        (true, false) => "completed",
        (true, true) => "would complete",
    };
    print(&match args.format {
        Format::Json => json(&Made { lab: dir.clone(), files: paths }),
        Format::Text => paths.iter().map(|path| format!("{} {}\n", word(path), path.display())).collect(),
    })?;
    Ok(Exit::Done)
}

fn make(dir: &Path) -> Result<()> {
    for name in DIRECTORIES {
        let path = dir.join(name);
        fs::create_dir_all(&path).map_err(|error| replace::failure("make", &path, &error))?;
    }
    for (name, text) in FILES {
        let text = match name {
            BOARDS_CSV => format!("{HEADER}\n"),
            LAB_TOML => text.replace("name = \"lab\"", &format!("name = \"{}\"", name_of(dir))),
            _ => text.to_owned(),
        };
        let path = dir.join(name);
        if GITS.contains(&name) && path.exists() {
            complete(&path, &text)?;
            continue;
        }
        let mode = if name == INVENTORY { 0o777 } else { 0o666 };
        replace::create(&path, text.as_bytes(), mode)?;
    }
    Ok(())
}

/// Adds the lines to a file of git's that it does not have.
fn complete(path: &Path, lines: &str) -> Result<()> {
    let mut text = read_text(path)?;
    let missing: Vec<_> = lines.lines().filter(|line| !text.lines().any(|has| has == *line)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.extend(missing.iter().map(|line| format!("{line}\n")));
    replace::replace(path, text.as_bytes())
}

/// Takes away what was made before something failed, so that the same command works when there is room again. Directories go
/// if they are empty.
fn unmake(paths: &[&PathBuf], dir: &Path) {
    for path in paths {
        let _ = fs::remove_file(path);
    }
    for name in DIRECTORIES.iter().rev().copied().chain(["overlays", ""]) {
        let _ = fs::remove_dir(dir.join(name));
    }
}

/// The directory's name, where a lab can have it.
fn name_of(dir: &Path) -> String {
    let whole = dir.canonicalize().ok();
    let name = whole.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let name = name.filter(|name| check_hostname(name.as_bytes()).is_ok());
    name.unwrap_or("lab").to_owned()
}
