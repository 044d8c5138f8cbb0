// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab serve`.

use std::fs;
use std::path::Path;

use identity_ui::output::{json_line, print, say};
use identity_ui::{Exit, Failure, Result, lines, shell};
use serde::Serialize;

use crate::args::{Format, ServeArgs};
use crate::lab::Lab;
use crate::netboot::plan::{Tree, plan};
use crate::netboot::servers;
use crate::netboot::sources::Sources;
use crate::netboot::tree_on_disk::{compare, is_current};
use crate::profile::Transport;
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
    let tree = Sources::read(&lab, true).and_then(|sources| plan(&lab, &sources));
    say_stale(&dir, tree.as_ref());
    let needs_nbd = needs_nbd(&lab, &dir, tree.as_ref().ok());
    let needs_http = lab.profiles.iter().any(|profile| profile.has_root_by(Transport::HttpRam));
    serve::run(&Settings {
        lab: lab.settings.name.clone(),
        nbd: needs_nbd.then(|| serve::listen_at(server.address, server.nbd_port)),
        http: needs_http
            .then(|| (serve::listen_at(server.address, server.http_port), servers::nginx(&lab, "."))),
        dir,
        show: if args.format == Format::Json { show_json } else { show_text },
    })?;
    Ok(Exit::Done)
}

/// Whether a profile has its root by NBD, or the tree an image of the past, from which boards may still run.
fn needs_nbd(lab: &Lab, dir: &Path, tree: Option<&Tree>) -> bool {
    let images = fs::read_dir(dir.join("images")).into_iter().flatten().flatten();
    let mut paths = images.map(|entry| format!("images/{}", entry.file_name().to_string_lossy()));
    lab.profiles.iter().any(|profile| profile.has_root_by(Transport::Nbd))
        || paths.any(|path| !tree.is_some_and(|tree| tree.files.contains_key(&path)))
}

/// Says of a tree that it is not what the lab would give now. It is served all the same: boards may need it.
fn say_stale(dir: &Path, tree: std::result::Result<&Tree, &Failure>) {
    let shown = shell::path(dir);
    let stale = || {
        say(&format!(
            "{shown} is not up to date with the lab, and is served as it is; `identity-lab netboot {shown}` brings it there"
        ));
    };
    let refused = |failure: &Failure| {
        say(&format!("{shown} is served as it is; `identity-lab netboot` would refuse: {failure}"));
    };
    match tree.map(|tree| compare(dir, tree, false)) {
        Ok(Ok(difference)) if is_current(&difference) => (),
        Ok(Ok(_)) => stale(),
        Ok(Err(failure)) => refused(&failure),
        Err(failure) => refused(failure),
    }
}

// That nobody listens is no reason to take boards their server.
fn show_text(server: &str, line: &str) {
    let _ = print(&format!("{server:7} | {}\n", lines::escaped(line)));
}

fn show_json(server: &str, line: &str) {
    let _ = print(&json_line(&Line { event: "output", server, line }));
}
