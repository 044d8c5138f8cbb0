// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab completions`.

use clap::CommandFactory;
use clap_complete::Shell;
use identity_ui::output::print;
use identity_ui::{Exit, Result};

use crate::args::Cli;

/// Prints the script.
///
/// # Errors
/// Exit 7 if it cannot be printed.
pub fn run(shell: Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "identity-lab", &mut script);
    print(&String::from_utf8_lossy(&script)).map(|()| Exit::Done)
}
