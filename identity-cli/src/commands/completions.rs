// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity completions`.

use clap::CommandFactory;

use crate::args::Cli;
use crate::error::{Exit, Result};
use crate::render;

pub fn run(shell: clap_complete::Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "identity", &mut script);
    render::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
