// SPDX-License-Identifier: MIT OR Apache-2.0
//! What two boards of a list share and no two may: a hostname, UUID, address, serial number.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

use identity_ui::Result;

use super::{Board, Boards, interface};
use crate::place::Place;

/// So many interfaces of a board get an address, for all that a list without columns for them says.
const DERIVED: u8 = 4;

/// Two boards that share what no two boards may share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash<'a> {
    /// The column of the second board.
    pub column: String,
    /// What both have.
    pub value: String,
    /// The board that comes first in the file.
    pub first: &'a Board,
    /// The other one; the same board if two of its own interfaces share an address.
    pub second: &'a Board,
}

impl Boards {
    /// Boards that share a hostname, UUID, MAC address (derived ones included), IP address or serial number: the second
    /// one's place, and a sentence that names the first.
    pub fn clashes(&self) -> impl Iterator<Item = (Place, String)> {
        self.pairs().chain(self.derived_pairs()).filter_map(|Clash { column, value, first, second }| {
            let is_one = first.line != second.line && first.hostname == second.hostname && first.uuid == second.uuid;
            let what = match (is_one, &*column) {
                (true, "hostname") => format!(
                    "hostname: {} is in line {} too; git keeps both where two people have changed it: remove the line that is not \
                     right",
                    second.hostname, first.line
                ),
                // That is one board twice, and was said.
                (true, _) => return None,
                (false, "uuid") => format!(
                    "uuid: {} has {value}, and so has {} in line {}; two boards never share one: git keeps both lines where a board was \
                     renamed on one side and changed on the other, and `identity-lab remove` takes one of them out",
                    second.hostname, first.hostname, first.line
                ),
                (false, _) => format!(
                    "{column}: {} has {value}, and so has {} in line {}; two boards never share one",
                    second.hostname, first.hostname, first.line
                ),
            };
            Some((second.place(&column), what))
        })
    }

    /// Each two boards that share what [`Boards::clashes`] names.
    pub fn pairs(&self) -> impl Iterator<Item = Clash<'_>> {
        let twice = self.hashes_twice();
        let mut seen: BTreeMap<(String, String), &Board> = BTreeMap::new();
        let boards = if twice.is_empty() { &[][..] } else { &self.all[..] };
        boards.iter().flat_map(move |second| {
            let mut found = Vec::new();
            for (column, value) in self.keys(second) {
                let kind = kind(&column);
                if twice.binary_search(&hash(kind, &value)).is_err() {
                    continue;
                }
                if let Some(first) = seen.insert((kind.to_owned(), value.clone()), second) {
                    found.push(Clash { column, value, first, second });
                }
            }
            found
        })
    }

    /// Assigned addresses that another board derives for an interface without a column: its first ones are looked at.
    fn derived_pairs(&self) -> impl Iterator<Item = Clash<'_>> {
        let assigned = self.all.iter().flat_map(|board| board.macs.iter().map(move |(_, mac)| (*mac, board)));
        let assigned: HashMap<_, _> = assigned.collect();
        let columns = &self.source.0.header;
        let has_column = |index: u8| columns.iter().any(|column| interface(column) == Some(index));
        let indexes: Vec<u8> = (1..DERIVED).filter(|index| !has_column(*index)).collect();
        let boards = if assigned.is_empty() { &[][..] } else { &self.all[..] };
        boards.iter().flat_map(move |second| {
            let found = indexes.iter().filter_map(|index| {
                let mac = second.mac(*index);
                let first = *assigned.get(&mac)?;
                Some(Clash { column: format!("mac{index}"), value: mac.to_string(), first, second })
            });
            found.collect::<Vec<_>>()
        })
    }

    /// Hashes that more than one key has, in order: of a million boards without a clash, none, and eight bytes a key.
    fn hashes_twice(&self) -> Vec<u64> {
        let keys = self.all.iter().flat_map(|board| self.keys(board));
        let mut hashes: Vec<_> = keys.map(|(column, value)| hash(kind(&column), &value)).collect();
        hashes.sort_unstable();
        let mut twice: Vec<_> =
            hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        twice.dedup();
        twice
    }

    /// What no other board may have, by column: a MAC address of every interface that the file has a column for.
    fn keys(&self, board: &Board) -> Vec<(String, String)> {
        let mut keys = vec![
            ("hostname".to_owned(), board.hostname.to_ascii_lowercase()),
            ("uuid".to_owned(), board.uuid.to_string()),
        ];
        let columns =
            self.source.0.header.iter().filter_map(|column| interface(column)).filter(|index| *index > 0);
        let macs = std::iter::once(0).chain(columns);
        keys.extend(macs.map(|index| (format!("mac{index}"), board.mac(index).to_string())));
        keys.extend(board.ip.map(|ip| ("ip".to_owned(), ip.to_string())));
        keys.extend(board.serial.clone().map(|serial| ("serial".to_owned(), serial)));
        keys
    }

    /// Refuses what [`Boards::clashes`] finds.
    ///
    /// # Errors
    /// Exit 6 with the first of them.
    pub fn check_clashes(&self) -> Result<()> {
        self.clashes().next().map_or(Ok(()), |(place, what)| Err(place.refused(what)))
    }
}

/// A column's name without the number of an interface: all MAC addresses are of one kind.
fn kind(column: &str) -> &str {
    column.trim_end_matches(|char: char| char.is_ascii_digit())
}

fn hash(kind: &str, value: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, value).hash(&mut hasher);
    hasher.finish()
}
