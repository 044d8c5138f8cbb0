// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tree on the disk: what differs from a plan, and the one place that writes it. The directory is exchanged as a whole, so
//! that whoever reads, or a power cut, finds the old tree or the new one.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use identity_ui::{Exit, Failure, Result, shell};
use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};
use rustix::io::Errno;
use serde::Serialize;

use super::plan::{Content, Tree};
use super::sources::{self, check_unchanged};
use crate::place::cannot;
use crate::replace::{self, failure, parent, sync_directory};

/// The file that makes a directory ours.
pub const MARK: &str = "identity-lab";
const MARK_TEXT: &[u8] = b"This tree is written by `identity-lab netboot`, and exchanged as a whole: what else lies here is lost.\n";
const IMAGES: &str = "images/";

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is as planned.
    Same,
    /// It is not there yet.
    New,
    /// It has other bytes.
    Changed,
    /// It is not planned any more.
    Gone,
    /// An image that no profile names any more, which boards may still read.
    Kept,
}

/// Each path of the plan and of the disk, and what becomes of it.
pub type Difference = BTreeMap<String, State>;

/// Compares a directory with a plan.
///
/// # Errors
/// Exit 6 if the directory is not ours, or an image in it is no longer what its name says; 7 if it cannot be read.
pub fn compare(dir: &Path, tree: &Tree, prune: bool) -> Result<Difference> {
    let present = list(dir)?;
    let mut difference = Difference::new();
    for path in tree.files.keys().chain(present.iter()) {
        if !difference.contains_key(path) {
            difference.insert(path.clone(), state(dir, tree, path, present.contains(path), prune)?);
        }
    }
    Ok(difference)
}

/// Whether the tree is as planned.
pub fn is_current(difference: &Difference) -> bool {
    difference.values().all(|state| matches!(state, State::Same | State::Kept))
}

fn state(dir: &Path, tree: &Tree, path: &str, is_present: bool, prune: bool) -> Result<State> {
    let file = dir.join(path);
    let unreadable = |error: io::Error| cannot("read", &file, &error, Exit::Device);
    match tree.files.get(path) {
        Some(_) if !is_present => Ok(State::New),
        Some(Content::Bytes(bytes)) => same(fs::read(&file).map_err(unreadable)? == *bytes),
        Some(Content::Program(bytes)) => same(fs::read(&file).map_err(unreadable)? == *bytes),
        Some(Content::Image(image)) => {
            let is_link = sources::Stamp::of(&fs::metadata(&file).map_err(unreadable)?) == image.stamp;
            if !is_link && sources::hash(&file).map_err(unreadable)?.sha256 != image.sha256 {
                return Err(changed_in_place(&file));
            }
            Ok(State::Same)
        }
        None if path.starts_with(IMAGES) && !prune => {
            let image = sources::hash(&file).map_err(unreadable)?;
            let is_true = path
                .split('-')
                .next_back()
                .is_some_and(|end| image.sha256.starts_with(end.split('.').next().unwrap_or("-")));
            if is_true { Ok(State::Kept) } else { Err(changed_in_place(&file)) }
        }
        None => Ok(State::Gone),
    }
}

fn same(is_same: bool) -> Result<State> {
    Ok(if is_same { State::Same } else { State::Changed })
}

fn changed_in_place(file: &Path) -> Failure {
    Failure::refused(format!(
        "{} is no longer what its name says: the lab's image was changed in place, under the boards that read it; write each \
         image to a new file and rename that; `--prune` removes this one, if no profile names it",
        file.display()
    ))
}

/// The files of a tree of ours, by their paths; none of a directory that is not there, or empty.
fn list(dir: &Path) -> Result<Vec<String>> {
    fn collect(dir: &Path, prefix: &str, found: &mut Vec<String>) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                collect(&entry.path(), &format!("{name}/"), found)?;
            } else {
                found.push(name);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    match collect(dir, "", &mut found) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot("read", dir, &error, Exit::Device)),
        Ok(()) => (),
    }
    let others = found.len();
    found.retain(|path| path != MARK);
    if found.len() == others && others > 0 {
        return Err(Failure::refused(format!(
            "{} has files, and was not written by `identity-lab netboot`; give a directory of its own, which is exchanged as a \
             whole",
            dir.display()
        )));
    }
    found.sort();
    Ok(found)
}

/// Writes a tree in place of the one that is there.
///
/// # Errors
/// Exit 6 where permission is missing, or the disk cannot do it; 7 if it fails. Then the old tree is as it was.
pub fn write(dir: &Path, tree: &Tree, prune: bool) -> Result<Difference> {
    let dir = &fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let _lock = replace::lock(parent(dir))?;
    replace::sweep(parent(dir));
    let difference = compare(dir, tree, prune)?;
    if is_current(&difference) && dir.join(MARK).exists() {
        return Ok(difference);
    }
    let temporary = replace::directory_beside(dir)?;
    let new = temporary.path();
    for (path, content) in &tree.files {
        put(dir, new, path, content)?;
    }
    put(dir, new, MARK, &Content::Bytes(MARK_TEXT.to_vec()))?;
    for path in difference.iter().filter(|(_, state)| **state == State::Kept).map(|(path, _)| path) {
        make_parent(&new.join(path))?;
        fs::hard_link(dir.join(path), new.join(path))
            .map_err(|error| failure("link", &dir.join(path), &error))?;
    }
    fs::create_dir_all(new.join(IMAGES)).map_err(|error| failure("make", new, &error))?;
    fs::set_permissions(new, Permissions::from_mode(0o755)).map_err(|error| failure("make", new, &error))?;
    let synced = File::open(new).and_then(|file| Ok(syncfs(file)?));
    synced.map_err(|error| failure("write", new, &error))?;
    exchange(new, dir)?;
    // What is there now under the temporary name is the old tree, and goes with it.
    Ok(difference)
}

fn exchange(new: &Path, dir: &Path) -> Result<()> {
    let flags = if dir.exists() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    let shown = dir.display();
    renameat_with(CWD, new, CWD, dir, flags).map_err(|errno| match errno {
        Errno::INVAL | Errno::NOSYS | Errno::NOTSUP => Failure::refused(format!(
            "{shown}: its file system cannot exchange two directories, so a board could find half a tree; give a directory on \
             another one, such as ext4, XFS, Btrfs or tmpfs"
        )),
        Errno::BUSY => Failure::refused(format!("{shown} is a mount point, which cannot be exchanged; give a directory inside of it")),
        errno => failure("exchange", dir, &errno.into()),
    })?;
    sync_directory(parent(dir)).map_err(|error| failure("write", dir, &error))
}

fn make_parent(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(parent(path));
    made.map_err(|error| failure("make", parent(path), &error))
}

fn put(dir: &Path, new: &Path, path: &str, content: &Content) -> Result<()> {
    let file = new.join(path);
    make_parent(&file)?;
    // Whoever serves them is another user; none is a secret.
    let write = |bytes: &[u8], mode| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&file)?;
        file.write_all(bytes)?;
        file.set_permissions(Permissions::from_mode(mode))
    };
    let shown = dir.join(path);
    match content {
        Content::Bytes(bytes) => write(bytes, 0o644).map_err(|error| failure("write", &shown, &error)),
        Content::Program(bytes) => write(bytes, 0o755).map_err(|error| failure("write", &shown, &error)),
        Content::Image(image) => {
            fs::hard_link(&image.path, &file).map_err(|error| not_linked(&image.path, &shown, &error))?;
            check_readable(&image.path)?;
            check_unchanged(image, &file)
        }
    }
}

fn check_readable(image: &Path) -> Result<()> {
    let mode = fs::metadata(image).map_err(|error| cannot("read", image, &error, Exit::Device))?.mode();
    if mode & 0o004 == 0 {
        let shown = shell::path(image);
        return Err(Failure::refused(format!(
            "{shown} may not be read by others, so no unprivileged server can serve it; allow it: `chmod o+r {shown}`"
        )));
    }
    Ok(())
}

fn not_linked(image: &Path, to: &Path, error: &io::Error) -> Failure {
    let shown = image.display();
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::XDEV) => Failure::refused(format!(
            "{shown} lies on another file system than {}; images are hard-linked, never copied: keep both on one file system",
            to.display()
        )),
        Some(Errno::PERM) => Failure::refused(format!(
            "{shown} may not be hard-linked: it is another user's, or its file system has no hard links; run as its owner"
        )),
        _ => failure("link", image, error),
    }
}
