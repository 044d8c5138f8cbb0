// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab serve`.

use std::path::Path;

use identity_ui::output::{json_line, print};
use identity_ui::{Exit, Result, lines};
use serde::Serialize;

use crate::args::{Format, ServeArgs};
use crate::lab::Lab;
use crate::serve::{self, Settings};

#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    server: &'a str,
    line: &'a str,
}

/// Runs the verb.
///
/// # Errors
/// As [`serve::run`].
pub fn run(lab: &Path, args: &ServeArgs) -> Result<Exit> {
    let lab = Lab::read(lab)?;
    let server = &lab.settings.server;
    serve::run(&Settings {
        lab: lab.settings.name.clone(),
        dir: serve::tree(&args.dir)?,
        nbd: serve::listen_at(server.address, server.nbd_port),
        show: if args.format == Format::Json { show_json } else { show_text },
    })?;
    Ok(Exit::Done)
}

// That nobody listens is no reason to take boards their server.
fn show_text(server: &str, line: &str) {
    let _ = print(&format!("{server:7} | {}\n", lines::escaped(line)));
}

fn show_json(server: &str, line: &str) {
    let _ = print(&json_line(&Line { event: "output", server, line }));
}
