// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab list`.

use std::collections::BTreeMap;
use std::path::Path;

use identity_ui::output::{json, print};
use identity_ui::{Exit, Result, lines};
use serde::Serialize;

use crate::args::{Format, ListArgs};
use crate::boards::Board;
use crate::lab::Lab;

/// What is shown of a board.
#[derive(Serialize)]
pub struct Row {
    /// Its hostname.
    pub hostname: String,
    profile: String,
    /// The UUID of its identity.
    pub uuid: String,
    serial: Option<String>,
    /// MAC addresses of ethernet0 and of interfaces with an assigned one.
    pub macs: Vec<String>,
    machine_id: String,
    ip: Option<String>,
    location: Option<String>,
    tags: Vec<String>,
    variables: BTreeMap<String, String>,
    line: usize,
}

impl Row {
    /// Of this board.
    pub fn of(board: &Board) -> Self {
        let others = board.macs.iter().filter(|(index, _)| *index > 0).map(|(_, mac)| mac.to_string());
        Self {
            hostname: board.hostname.clone(),
            profile: board.profile.clone(),
            uuid: board.uuid.to_string(),
            serial: board.serial.clone(),
            macs: std::iter::once(board.mac(0).to_string()).chain(others).collect(),
            machine_id: board.machine_id(),
            ip: board.ip.map(|ip| ip.to_string()),
            location: board.location.clone(),
            tags: board.tags.clone(),
            variables: board.variables.iter().cloned().collect(),
            line: board.line,
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// Exit 4 if a file of the lab cannot be read.
pub fn run(dir: &Path, args: &ListArgs) -> Result<Exit> {
    let lab = Lab::read(dir)?;
    let wanted = |board: &&Board| args.profile.as_ref().is_none_or(|profile| board.profile == *profile);
    let rows: Vec<_> = lab.boards.all.iter().filter(wanted).map(Row::of).collect();
    print(&match args.format {
        Format::Json => json(&rows),
        Format::Text => table(&rows),
    })?;
    Ok(Exit::Done)
}

fn table(rows: &[Row]) -> String {
    const HEAD: [&str; 6] = ["hostname", "profile", "uuid", "mac0", "ip", "location"];
    let cells = |row: &Row| {
        let text = |text: &Option<String>| lines::escaped(text.as_deref().unwrap_or("-"));
        [
            row.hostname.clone(),
            row.profile.clone(),
            row.uuid.clone(),
            row.macs[0].clone(),
            text(&row.ip),
            text(&row.location),
        ]
    };
    let mut table: Vec<[String; 6]> = vec![HEAD.map(str::to_owned)];
    table.extend(rows.iter().map(cells));
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    table.iter().map(line).collect()
}
