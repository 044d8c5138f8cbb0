// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where records are kept, and whose that is.

use std::env;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::RecordProblem;
use crate::error::{Error, Result};

/// Where records are kept: `$XDG_STATE_HOME/identity`, else `/var/lib/identity` for root and
/// `~/.local/state/identity` for others.
///
/// # Errors
/// If there is no such place, or another user can write to it: a record is believed.
pub fn directory() -> Result<PathBuf> {
    let place = place()?;
    let problem = RecordProblem::Shared;
    if is_shared(&place) { Err(Error::Record { path: place, problem }) } else { Ok(place) }
}

/// Whether another user, of whom this one has not the rights, can write to a directory that is there.
fn is_shared(directory: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    // With sudo the caller's place is used, where the environment is kept.
    let caller = env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok()).filter(|_| user == 0);
    let is_own = |uid| uid == user || uid == 0 || Some(uid) == caller;
    directory.metadata().is_ok_and(|found| !is_own(found.uid()) || found.mode() & 0o022 != 0)
}

fn place() -> Result<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(state) = absolute("XDG_STATE_HOME") {
        return Ok(state.join("identity"));
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/identity"));
    }
    match absolute("HOME") {
        Some(home) => Ok(home.join(".local/state/identity")),
        None => Err(Error::Record { path: "identity".into(), problem: RecordProblem::NoPlace }),
    }
}

/// Makes the place for records, for its owner alone.
///
/// # Errors
/// If it is not there and cannot be made.
pub fn make_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
