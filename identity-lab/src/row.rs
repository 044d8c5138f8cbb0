// SPDX-License-Identifier: MIT OR Apache-2.0
//! A board as it is shown: in tables, JSON, and what is exported.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::boards::Board;

/// What is shown of a board.
#[derive(Serialize)]
pub struct Row {
    /// Its hostname.
    pub hostname: String,
    /// The name of its profile.
    pub profile: String,
    /// The UUID of its identity.
    pub uuid: String,
    /// Its serial number, if it is known.
    pub serial: Option<String>,
    /// MAC addresses of ethernet0 and of interfaces with an assigned one.
    pub macs: Vec<String>,
    /// The machine-id that follows from the UUID.
    pub machine_id: String,
    /// Its fixed IPv4 address, if it has one.
    pub ip: Option<String>,
    /// Where it stands, if that is noted.
    pub location: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its variables, by key.
    pub variables: BTreeMap<String, String>,
    /// What is noted of it.
    pub note: Option<String>,
    /// Its cells in columns of the lab's own, by their names.
    pub others: BTreeMap<String, String>,
    /// Number of its line in boards.csv, from 1.
    pub line: usize,
}

impl Row {
    /// As JSON. Of a board that is planned, and gets a new UUID when it is added, what follows from the UUID is null.
    pub fn json(&self, board: &Board, is_planned: bool) -> Value {
        let mut row = serde_json::to_value(self).unwrap_or_default();
        if is_planned {
            row["uuid"] = Value::Null;
            row["machine_id"] = Value::Null;
            if !has_assigned(board) {
                row["macs"][0] = Value::Null;
            }
        }
        row
    }

    /// Hostname, UUID and first address in one line, behind a verb; likewise.
    pub fn line(&self, verb: &str, board: &Board, is_planned: bool) -> String {
        match (is_planned, has_assigned(board)) {
            (false, _) => format!("{verb} {}  {}  {}\n", self.hostname, self.uuid, self.macs[0]),
            (true, true) => format!("{verb} {}  a new UUID  {}\n", self.hostname, self.macs[0]),
            (true, false) => format!("{verb} {}  a new UUID\n", self.hostname),
        }
    }

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
            note: board.cell("note").filter(|note| !note.is_empty()),
            others: board.others(),
            line: board.line,
        }
    }
}

/// Whether its first address does not follow from the UUID.
fn has_assigned(board: &Board) -> bool {
    board.macs.iter().any(|(index, _)| *index == 0)
}
