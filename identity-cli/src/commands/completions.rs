// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity completions`.

use clap::CommandFactory;

use crate::args::Cli;
use identity_ui::output::print;
use identity_ui::{Exit, Result};

pub fn run(shell: clap_complete::Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "identity", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
