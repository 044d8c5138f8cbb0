// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a batch tells of its cards.

use std::path::Path;

use identity_ui::output::{json_line, print};
use identity_ui::{Exit, Result, confirm, shell};
use serde::Serialize;
use serde_json::Value;

use crate::args::Format;
use crate::boards::Board;

/// What `--format json` prints of each card, a line each.
#[derive(Serialize)]
pub struct Line<'a> {
    /// What happened.
    pub event: &'static str,
    /// The board's hostname, if it is known whose card it is.
    pub board: Option<&'a str>,
    /// The reader.
    pub device: &'a Path,
    /// What there is to say of it.
    pub message: Option<&'a str>,
}

/// Prints what has come of a card.
///
/// # Errors
/// Exit 7 if it cannot be printed.
pub fn tell(format: Format, line: &Line) -> Result<()> {
    print(&match format {
        Format::Json => json_line(line),
        Format::Text => {
            let board = line.board.map_or_else(String::new, |board| format!(" {board}"));
            let message = line.message.map_or_else(String::new, |message| format!(": {message}"));
            format!("{}{board} ({}){message}\n", line.event, shell::path(line.device))
        }
    })
}

/// Prints which boards would get a card.
///
/// # Errors
/// Exit 7 if it cannot be printed.
pub fn planned(left: &[&Board], devices: &[&Path], format: Format) -> Result<Exit> {
    print(&match format {
        Format::Json => left
            .iter()
            .map(|board| {
                let board = Some(board.hostname.as_str());
                json_line(&Line { event: "planned", board, device: devices[0], message: None })
            })
            .collect::<String>(),
        Format::Text => {
            let shown: Vec<_> = devices.iter().map(|path| shell::path(path)).collect();
            let line = |board: &&Board| format!("would stamp {}  {}\n", board.hostname, board.uuid);
            left.iter().map(line).collect::<String>() + &format!("cards in {}\n", shown.join(", "))
        }
    })?;
    Ok(Exit::Done)
}

/// Shows how far an image is, over what was shown before.
pub fn show_progress(name: &str, line: &Value) {
    let (Some(bytes), Some(total)) =
        (line["bytes"].as_u64(), line["total"].as_u64().filter(|total| *total > 0))
    else {
        return;
    };
    let phase = line["phase"].as_str().unwrap_or("write");
    confirm::show_over(&format!("{name}: {phase} {} %", bytes.saturating_mul(100) / total));
}
