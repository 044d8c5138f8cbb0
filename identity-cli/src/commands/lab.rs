// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity lab`: another program, as git and cargo run theirs.

use std::env;
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use identity_host::device::plain;
use identity_ui::{Exit, Failure, Result};

const PROGRAM: &str = "identity-lab";

/// Becomes `identity-lab`, with the arguments as they were given: a `--` is an argument too.
pub fn run() -> Result<Exit> {
    let beside = env::current_exe().ok().map(|own| own.with_file_name(PROGRAM)).filter(|path| path.is_file());
    let program = beside.unwrap_or_else(|| PathBuf::from(PROGRAM));
    let error: io::Error = Command::new(program).args(env::args_os().skip(2)).exec();
    Err(match error.kind() {
        ErrorKind::NotFound => Failure::usage(
            "there is no program identity-lab, neither beside this one nor in PATH; install the package sd-card-identity-lab, or \
             from the sources: `cargo install --locked --path identity-lab`",
        ),
        _ => Failure::new(Exit::Device, format!("cannot run identity-lab: {}", plain(&error))),
    })
}
