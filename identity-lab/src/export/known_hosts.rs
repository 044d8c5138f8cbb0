// SPDX-License-Identifier: MIT OR Apache-2.0
//! SSH host keys of the boards: from their overlays, else from a column of the list.

use std::fs;

use identity_ui::{Exit, Result};

use super::inventory::left_out;
use super::{Export, MADE};
use crate::boards::{Board, SSH_KEY};
use crate::lab::Lab;
use crate::place::{cannot, read_text};
use crate::ssh_key::{self, key};

/// `known_hosts`, one line a key; a board is known by its hostname and its address.
///
/// # Errors
/// Exit 4 if a key cannot be read.
pub fn known_hosts(lab: &Lab) -> Result<Export> {
    let mut text = format!("# SSH host keys of the lab {}. {MADE}\n", lab.settings.name);
    let mut without = Vec::new();
    for board in lab.boards.sorted() {
        let keys = keys(lab, board)?;
        if keys.is_empty() {
            without.push(board.hostname.clone());
        }
        let name = board.ip.map_or_else(|| board.hostname.clone(), |ip| format!("{},{ip}", board.hostname));
        text.extend(keys.iter().map(|key| format!("{name} {key}\n")));
    }
    let why = format!("no host key (overlays/board/HOSTNAME/etc/ssh/*.pub, else a column {SSH_KEY})");
    let notes = left_out(lab, &why, |board| without.contains(&board.hostname));
    Ok(Export { text, notes })
}

fn keys(lab: &Lab, board: &Board) -> Result<Vec<String>> {
    let dir = lab.dir.join("overlays/board").join(&board.hostname).join("etc/ssh");
    let mut keys = Vec::new();
    if dir.is_dir() {
        let entries = fs::read_dir(&dir).map_err(|error| cannot("read", &dir, &error, Exit::Corrupt))?;
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|end| end == "pub"));
        files.sort();
        for file in files {
            let line = read_text(&file)?;
            keys.push(key(line.trim()).ok_or_else(|| {
                crate::place::Place::line(&file, 1)
                    .unreadable("this is no public key, like `ssh-ed25519 AAAA… comment`")
            })?);
        }
    }
    if keys.is_empty() {
        keys.extend(ssh_key::of_cell(board).map_err(|what| board.place(SSH_KEY).unreadable(what))?);
    }
    Ok(keys)
}
