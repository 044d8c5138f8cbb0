// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `identity-lab`.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::cli::build;

/// The program `netroot` of an initramfs, for this machine.
pub fn netroot() -> &'static Path {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM.get_or_init(|| build("netroot")).as_deref().expect("identity-netroot builds")
}

/// The program: `IDENTITY_LAB_BIN`, else built here and now.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let given = || env::var_os("IDENTITY_LAB_BIN").map(PathBuf::from);
    let program = PROGRAM.get_or_init(|| given().or_else(|| build("identity-lab")));
    program.as_deref().expect("identity-lab builds")
}
