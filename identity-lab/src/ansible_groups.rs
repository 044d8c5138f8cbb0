// SPDX-License-Identifier: MIT OR Apache-2.0
//! Groups of an Ansible inventory: by profile, location and tag.

use std::collections::{BTreeSet, HashMap};

use crate::boards::Board;
use crate::lab::Lab;
use crate::place::Place;

/// A name as Ansible takes it for a group: letters, digits and underscores.
pub fn group(kind: &str, name: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '_' };
    format!("{kind}_{}", name.chars().map(plain).collect::<String>())
}

/// What becomes a group of Ansible's: its kind, and its name.
pub fn names(board: &Board) -> impl Iterator<Item = (&'static str, &str)> {
    let tags: BTreeSet<_> = board.tags.iter().map(|tag| ("tag", tag.as_str())).collect();
    let location = board.location.as_deref().map(|location| ("location", location));
    std::iter::once(("profile", board.profile.as_str())).chain(location).chain(tags)
}

/// Two names that become the same group: the place of the second one, and a sentence.
pub fn group_clash(lab: &Lab) -> Option<(Place, String)> {
    let mut known: HashMap<(&str, &str), &Board> = HashMap::new();
    for board in &lab.boards.all {
        for name in names(board) {
            known.entry(name).or_insert(board);
        }
    }
    let mut known: Vec<_> = known.into_iter().collect();
    known.sort_by_key(|((column, name), board)| (board.line, *column, *name));
    let mut groups: HashMap<String, &str> = HashMap::new();
    known.into_iter().find_map(|((column, name), board)| {
        let key = group(column, name);
        let first = groups.insert(key.clone(), name)?;
        let place = board.place(if column == "tag" { "tags" } else { column });
        Some((
            place,
            format!(
                "{column}: for Ansible \"{name}\" and \"{first}\" are the same group, {key}; change one of them"
            ),
        ))
    })
}
