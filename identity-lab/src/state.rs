// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where this host keeps what belongs to a lab but not into its directory: DHCP leases, and events that wait for the journal.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use identity_ui::{Exit, Failure, Result};

use crate::replace;

/// A file of this lab: `$XDG_STATE_HOME/identity-lab/LAB.END`, else below `~/.local/state`; `None` if neither variable is set.
pub fn file(lab: &str, end: &str) -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("identity-lab").join(format!("{lab}.{end}")))
}

/// The same, where it is needed: its directory is made.
///
/// # Errors
/// Exit 7 if there is no such place, or the directory cannot be made; 6 without permission.
pub fn made(file: Option<&Path>) -> Result<&Path> {
    let file = file.ok_or_else(|| {
        let what = "neither XDG_STATE_HOME nor HOME says where this host keeps its state; set one";
        Failure::new(Exit::Device, what)
    })?;
    let directory = replace::parent(file);
    fs::create_dir_all(directory).map_err(|error| replace::failure("make", directory, &error))?;
    Ok(file)
}
