// SPDX-License-Identifier: MIT OR Apache-2.0
//! A table of cards for spreadsheets and scripts, as in RFC 4180 with a head; lines end with a line feed.

use std::path::Path;

use identity_host::document::Document;

/// The names of the columns.
pub fn head(interfaces: u32) -> String {
    let fixed = ["target", "state", "uuid", "profile", "hostname", "serial", "generation", "machine_id"];
    let macs = (0..interfaces).map(|index| format!("mac{index}"));
    join(fixed.into_iter().map(str::to_owned).chain(macs))
}

/// A card. Absent fields are empty.
pub fn line(target: &Path, document: &Document, interfaces: u32) -> String {
    let fixed = [
        Some(target.display().to_string()),
        Some(document.state.clone()),
        document.uuid.clone(),
        document.profile.clone(),
        document.hostname.clone(),
        document.serial.clone(),
        document.generation.map(|generation| generation.to_string()),
        document.machine_id.clone(),
    ];
    let mac = |index| document.macs.iter().find(|mac| mac.index == index).map(|mac| mac.address.clone());
    join(fixed.into_iter().chain((0..interfaces).map(mac)).map(Option::unwrap_or_default))
}

fn join(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = cells.map(quote).collect();
    format!("{}\n", cells.join(","))
}

fn quote(cell: String) -> String {
    if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}
