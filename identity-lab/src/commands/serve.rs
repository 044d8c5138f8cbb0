// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab serve`.

use std::path::Path;

use identity_ui::output::{json_line, print, say};
use identity_ui::{Exit, Result, lines, shell};
use serde::Serialize;

use crate::args::{Format, ServeArgs};
use crate::lab::Lab;
use crate::netboot::plan::plan;
use crate::netboot::sources::Sources;
use crate::netboot::tree_on_disk::{compare, is_current};
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
    let mut lab = Lab::read(lab)?;
    lab.leave_out_example();
    let server = &lab.settings.server;
    let dir = serve::tree(&args.dir)?;
    say_stale(&lab, &dir);
    serve::run(&Settings {
        lab: lab.settings.name.clone(),
        dir,
        nbd: serve::listen_at(server.address, server.nbd_port),
        show: if args.format == Format::Json { show_json } else { show_text },
    })?;
    Ok(Exit::Done)
}

/// Says of a tree that it is not what the lab would give now. It is served all the same: boards may need it.
fn say_stale(lab: &Lab, dir: &Path) {
    let tree = Sources::read(lab, true).and_then(|sources| plan(lab, &sources));
    let shown = shell::path(dir);
    match tree.and_then(|tree| compare(dir, &tree, false)) {
        Ok(difference) if is_current(&difference) => (),
        Ok(_) => say(&format!(
            "{shown} is not up to date with the lab, and is served as it is; `identity-lab netboot {shown}` brings it there"
        )),
        Err(failure) => {
            say(&format!("{shown} is served as it is; `identity-lab netboot` would refuse: {failure}"))
        }
    }
}

// That nobody listens is no reason to take boards their server.
fn show_text(server: &str, line: &str) {
    let _ = print(&format!("{server:7} | {}\n", lines::escaped(line)));
}

fn show_json(server: &str, line: &str) {
    let _ = print(&json_line(&Line { event: "output", server, line }));
}
