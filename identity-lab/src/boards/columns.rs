// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which columns of the file are read, and which only look like it.

use std::collections::BTreeMap;

use super::{Board, Boards, VARIABLE, interface};
use crate::cells;
use crate::place::Place;

/// Columns beside the interfaces' and the variables'.
const KNOWN: [&str; 9] =
    ["hostname", "profile", "uuid", "serial", "ip", "location", "tags", "note", "sshkey"];

impl Board {
    /// Its cells in columns that nothing here reads, but the people of the lab; empty ones are left out.
    pub fn others(&self) -> BTreeMap<String, String> {
        let others = self.columns().iter().filter(|name| !is_read(name));
        let cells = others.filter_map(|name| Some((name.clone(), self.cell(name)?)));
        cells.filter(|(_, cell)| !cell.is_empty()).collect()
    }
}

fn is_read(name: &str) -> bool {
    KNOWN.contains(&name) || interface(name).is_some() || name.starts_with(VARIABLE)
}

impl Boards {
    /// Columns that nothing reads and whose names are nearly those of others: their place, name, and the other's.
    pub fn misnamed(&self) -> Vec<(Place, &str, String)> {
        let cells =
            cells::split(self.source.0.text.lines().next().unwrap_or_default(), self.source.0.separator)
                .unwrap_or_default();
        let names = self.source.0.header.iter().zip(cells);
        let misnamed = names.filter_map(|(name, cell)| {
            let meant = meant(name)?;
            Some((Place::column(&self.source.0.path, 1, cell.column), name.as_str(), meant))
        });
        misnamed.collect()
    }
}

/// The column that one with this name is taken for by a person, if it is none that is read.
fn meant(name: &str) -> Option<String> {
    let plain: String = name.to_lowercase().chars().filter(|char| char.is_ascii_alphanumeric()).collect();
    let plain = if plain == "mac" { "mac0".to_owned() } else { plain };
    let is_near = KNOWN.contains(&plain.as_str()) || interface(&plain).is_some();
    (!is_read(name) && is_near).then_some(plain)
}
