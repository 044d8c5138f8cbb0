// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab`: see `identity-lab --help`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use identity_lab::{args::Cli, commands};
use identity_ui::output;

fn main() -> ExitCode {
    output::set_program("identity-lab");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::say_usage(&error),
    };
    match commands::run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::say(&error.to_string());
            error.exit().into()
        }
    }
}
