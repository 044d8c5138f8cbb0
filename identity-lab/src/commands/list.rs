// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab list`.

use std::path::Path;

use identity_ui::output::{json, print};
use identity_ui::{Exit, Failure, Result, lines};

use super::tabular;
use crate::args::{Format, ListArgs};
use crate::boards::Board;
use crate::lab::Lab;
use crate::row::Row;

/// Runs the verb.
///
/// # Errors
/// Exit 4 if a file of the lab cannot be read.
pub fn run(dir: &Path, args: &ListArgs) -> Result<Exit> {
    let lab = Lab::read(dir)?;
    if let Some(name) = args.profile.as_ref().filter(|name| lab.profile(name).is_none()) {
        return Err(Failure::usage(lab.no_profile(name)));
    }
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
    tabular(std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(cells)).collect())
}
