// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity`: see `identity --help`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use identity_cli::{args::Cli, commands};

fn main() -> ExitCode {
    match commands::run(Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            identity_ui::output::say(&error.to_string());
            error.exit().into()
        }
    }
}
