// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a file has, held against the list of boards: what is new, what is the same, what differs. All of it is checked before the
//! new text of the list is given.

use std::collections::{BTreeMap, BTreeSet};

use identity_core::{Mac, Uuid, derive};
use identity_ui::{Failure, Result};

use super::{Found, Incoming, Input, MACHINE_ID, Value};
use crate::boards::{self, Board, Boards, Change, Clash, NewBoard, interface};
use crate::lab::{BOARDS_CSV, Lab};
use crate::place::Place;

/// Behind each refusal.
const NOTHING: &str = "nothing was added";

/// What a person has asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'a> {
    /// The profile of new boards of which the file says none.
    pub profile: Option<&'a str>,
    /// Whether the file's values replace those of boards that are there.
    pub is_update: bool,
}

/// A cell that gets another text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ChangedCell {
    /// The name of the column.
    pub column: String,
    /// The value before; of a MAC address the one that the board has, be it derived.
    pub from: String,
    /// The value that the file has.
    pub to: String,
}

/// A board with other values than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Updated {
    /// Its hostname.
    pub hostname: String,
    /// The cells that differ.
    pub cells: Vec<ChangedCell>,
}

/// The list as it becomes.
#[derive(Debug)]
pub struct Merged {
    /// The new text of `boards.csv`.
    pub text: String,
    /// The boards of that text.
    pub boards: Boards,
    /// Hostnames of new boards.
    pub added: BTreeSet<String>,
    /// Boards that have other values now.
    pub updated: Vec<Updated>,
    /// Hostnames of boards that were there with the same values.
    pub unchanged: BTreeSet<String>,
    /// What is no board, and why.
    pub left_out: Vec<(Place, String)>,
    /// What boards have in the file and the list has no column for.
    pub ignored: BTreeSet<String>,
}

/// A board of the file, and the one that it is in the list.
struct Candidate<'a> {
    incoming: &'a Incoming,
    hostname: String,
    uuid: Uuid,
    present: Option<&'a Board>,
    /// Texts of cells by column, with the value that they come from; a MAC address that is derived is an empty one.
    cells: BTreeMap<&'a str, (String, &'a Value)>,
}

/// Holds what a file has against the lab.
///
/// # Errors
/// Exit 6, naming both places, if a board clashes with another one or differs from the one that is there; 2 if a board has no
/// profile; 4 for a board without a name.
pub fn merge(lab: &Lab, input: &Input<'_>, found: &Found, settings: Settings<'_>) -> Result<Merged> {
    let mut left_out: Vec<_> =
        found.left_out.iter().map(|(at, why)| (input.place(*at), why.clone())).collect();
    let by_name: BTreeMap<_, _> =
        lab.boards.all.iter().map(|board| (board.hostname.as_str(), board)).collect();
    let by_uuid: BTreeMap<_, _> = lab.boards.all.iter().map(|board| (board.uuid, board)).collect();
    let mut seen: BTreeMap<String, &Incoming> = BTreeMap::new();
    let mut all = Vec::new();
    for incoming in &found.boards {
        let uuid = incoming.text("uuid").and_then(|uuid| Uuid::try_parse(uuid).ok());
        let present = match incoming.text("hostname") {
            Some(name) => by_name.get(name),
            None => uuid.and_then(|uuid| by_uuid.get(&uuid)),
        };
        let named = incoming.text("hostname").or(present.map(|board| board.hostname.as_str()));
        let Some(hostname) = named.map(str::to_owned) else {
            let why = "hostname: it has none, and the list no board with its UUID";
            if found.are_cards {
                left_out.push((input.place(incoming.at), why.into()));
                continue;
            }
            return Err(input.place(incoming.at).unreadable(why));
        };
        if let Some(first) = seen.insert(hostname.to_ascii_lowercase(), incoming) {
            let (second, first) = (place(input, incoming, "hostname"), place(input, first, "hostname"));
            return Err(second.refused(format!("hostname: {hostname} is in {first} too")).and(NOTHING));
        }
        let uuid = uuid.or(present.map(|board| board.uuid)).unwrap_or_else(Uuid::new_v4);
        let board = Candidate { incoming, hostname, uuid, present: present.copied(), cells: BTreeMap::new() };
        all.push(board.with_cells(input)?);
    }
    let mut ignored = found.ignored.clone();
    let widened = widened(lab, input, &mut all, &mut ignored)?;
    let list = widened.as_ref().unwrap_or(&lab.boards);

    let (mut new, mut changes) = (Vec::new(), BTreeMap::new());
    let (mut added, mut unchanged, mut updated) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for board in &all {
        let Some(present) = board.present else {
            new.push(board.added(lab, input, settings)?);
            added.insert(board.hostname.clone());
            continue;
        };
        let cells = board.differences(input, present, settings)?;
        if cells.is_empty() {
            unchanged.insert(board.hostname.clone());
            continue;
        }
        if let Some(cell) = cells.iter().find(|cell| cell.column == "profile") {
            known_profile(lab, &cell.to, || place(input, board.incoming, "profile"))?;
        }
        let texts = cells.iter().filter_map(|ChangedCell { column, .. }| {
            Some((column.clone(), board.cells.get(column.as_str())?.0.clone()))
        });
        changes.insert(board.hostname.clone(), Change { cells: texts.collect() });
        updated.push(Updated { hostname: board.hostname.clone(), cells });
    }
    let text = list.changed(&new, &changes)?;
    let boards = Boards::parse(&lab.dir.join(BOARDS_CSV), text.clone())?;
    if let Some(clash) = boards.pairs().next() {
        let incoming: BTreeMap<_, _> =
            all.iter().map(|board| (board.hostname.as_str(), board.incoming)).collect();
        return Err(clashing(input, &clash, &incoming, &by_name));
    }
    Ok(Merged { text, boards, added, updated, unchanged, left_out, ignored })
}

/// Where a value of a board stands, else the board.
fn place(input: &Input<'_>, board: &Incoming, column: &str) -> Place {
    input.place(board.values.get(column).map_or(board.at, |value| value.at))
}

impl<'a> Candidate<'a> {
    /// With its cells: what follows from the UUID is compared, and not kept.
    fn with_cells(mut self, input: &Input<'_>) -> Result<Self> {
        for (column, value) in &self.incoming.values {
            if column == MACHINE_ID {
                let is = value.text.to_ascii_lowercase().replace('-', "");
                let derived = derive::machine_id(self.uuid).simple().to_string();
                let has_uuid = self.incoming.text("uuid").is_some() || self.present.is_some();
                let why = match (is == derived, has_uuid) {
                    (true, _) => continue,
                    (false, true) => format!("the one that follows from its UUID is {derived}"),
                    (false, false) => "it follows from a UUID, and the file has none for the board".into(),
                };
                let what = format!(
                    "{}: {} has \"{}\"; {why}",
                    value.called,
                    self.hostname,
                    boards::short(&value.text)
                );
                return Err(input.place(value.at).refused(what).and(NOTHING));
            }
            let derived = interface(column).map(|index| derive::mac(self.uuid, u32::from(index)));
            let is_derived = derived.is_some() && value.text.parse::<Mac>().ok() == derived;
            let text = if is_derived { String::new() } else { value.text.clone() };
            self.cells.insert(column, (text, value));
        }
        Ok(self)
    }

    /// As a new line.
    fn added(&self, lab: &Lab, input: &Input<'_>, settings: Settings<'_>) -> Result<NewBoard> {
        let mut cells: BTreeMap<String, String> =
            self.cells.iter().map(|(column, (text, _))| ((*column).to_owned(), text.clone())).collect();
        let given = settings.profile.or(lab.settings.default_profile.as_deref()).map(str::to_owned);
        let place = || place(input, self.incoming, "profile");
        let profile = cells.get("profile").cloned().or(given).ok_or_else(|| {
            Failure::usage(format!(
                "{}: profile: {} needs one, and the file says none; give --profile NAME, or set it in lab.toml, [defaults] profile",
                place(),
                self.hostname
            ))
        })?;
        known_profile(lab, &profile, place)?;
        cells.insert("profile".into(), profile);
        cells.insert("uuid".into(), self.uuid.to_string());
        cells.retain(|_, text| !text.is_empty());
        Ok(NewBoard { cells })
    }

    /// The cells in which the file differs from the board that is there; refused unless they are to be changed.
    fn differences(
        &self,
        input: &Input<'_>,
        present: &Board,
        settings: Settings<'_>,
    ) -> Result<Vec<ChangedCell>> {
        let mut cells = Vec::new();
        for (column, (_, value)) in &self.cells {
            let is = match interface(column) {
                Some(index) => present.mac(index).to_string(),
                None => {
                    // The cell was read before; an empty one is none.
                    boards::plain(column, &present.cell(column).unwrap_or_default()).unwrap_or_default()
                }
            };
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let is_same = if *column == "tags" { words(&is) == words(&value.text) } else { is == value.text };
            if !is_same {
                cells.push(ChangedCell { column: (*column).to_owned(), from: is, to: value.text.clone() });
            }
        }
        if let (Some(cell), false) = (cells.first(), settings.is_update) {
            let shown = |text: &str| {
                if text.is_empty() { "no value".into() } else { format!("\"{}\"", boards::short(text)) }
            };
            let more = match cells.len() - 1 {
                0 => String::new(),
                more => format!(" ({more} more of its values differ)"),
            };
            let what = format!(
                "{}: {} has {} here, and {} in {}{more}; --update takes what is here",
                cell.column,
                self.hostname,
                shown(&cell.to),
                shown(&cell.from),
                present.place(&cell.column),
            );
            return Err(place(input, self.incoming, &cell.column).refused(what).and(NOTHING));
        }
        Ok(cells)
    }
}

fn known_profile(lab: &Lab, profile: &str, place: impl FnOnce() -> Place) -> Result<()> {
    if lab.profile(profile).is_some() {
        return Ok(());
    }
    Err(place().refused(format!("profile: {}", lab.no_profile_yet(profile))).and(NOTHING))
}

/// Deals with columns that the list does not have. Those that nobody knows are left out. Those that this program knows come to a
/// list without boards, where no line is changed by that; else they are refused.
fn widened(
    lab: &Lab,
    input: &Input<'_>,
    all: &mut [Candidate<'_>],
    ignored: &mut BTreeSet<String>,
) -> Result<Option<Boards>> {
    let mut missing: BTreeMap<&str, &Value> = BTreeMap::new();
    for board in all {
        board.cells.retain(|column, (text, value)| {
            let has = lab.boards.has_column(column);
            if !has && boards::is_known(column) && !text.is_empty() {
                missing.entry(column).or_insert(value);
            } else if !has && !boards::is_known(column) {
                ignored.insert(value.called.clone());
            }
            has || boards::is_known(column) && !text.is_empty()
        });
    }
    let Some((column, value)) = missing.first_key_value() else { return Ok(None) };
    if lab.boards.all.is_empty() {
        let names: Vec<_> = missing.keys().map(|column| (*column).to_owned()).collect();
        return lab.boards.with_columns(&names).map(Some);
    }
    let what = format!(
        "{}: {BOARDS_CSV} has no column `{column}`; add it to the header and an empty cell to each line, or take it out of this file",
        value.called
    );
    Err(input.place(value.at).refused(what).and(NOTHING))
}

/// That two boards share what no two may share: where each of them has it, in the file or in the list.
fn clashing(
    input: &Input<'_>,
    clash: &Clash<'_>,
    incoming: &BTreeMap<&str, &Incoming>,
    present: &BTreeMap<&str, &Board>,
) -> Failure {
    let Clash { column, value, first, second } = clash;
    let kind = |column: &str| column.trim_end_matches(|char: char| char.is_ascii_digit()).to_owned();
    let is_it = |name: &str, text: &str| {
        let is_text = boards::plain(name, text).is_ok_and(|text| text.eq_ignore_ascii_case(value));
        is_text && kind(name) == kind(column)
    };
    // A board may have an address in another column: it is that of another interface.
    let of = |board: &Board, is_wanted: &dyn Fn(&str) -> bool| -> (String, Place) {
        let name = board.hostname.as_str();
        let (new, old) = (incoming.get(name), present.get(name));
        let of_new = new.and_then(|new| {
            let mut values = new.values.iter();
            values.find(|(name, value)| is_wanted(name) && is_it(name, &value.text))
        });
        let of_old = old.and_then(|old| {
            let mut names = old.columns().iter();
            let is_here =
                |name: &&String| is_wanted(name) && old.cell(name).is_some_and(|text| is_it(name, &text));
            Some((old, names.find(is_here)?))
        });
        match (of_new, of_old) {
            (Some((name, value)), _) => (name.clone(), input.place(value.at)),
            (None, Some((old, name))) => (name.clone(), old.place(name)),
            // It has no cell with it: an address that follows from the UUID.
            (None, None) => match (old, new) {
                (Some(old), _) => (column.clone(), old.place(column)),
                (None, Some(new)) => (column.clone(), place(input, new, column)),
                (None, None) => (column.clone(), board.place(column)),
            },
        }
    };
    // The message begins with the place in the file, for that is what can be changed.
    let is_incoming = incoming.contains_key(second.hostname.as_str());
    let (one, other) = if is_incoming { (second, first) } else { (first, second) };
    let is_one = one.hostname == other.hostname;
    let (column, place) = of(one, &|name| !is_one || name == column);
    let (_, other_place) = of(other, &|name| !is_one || name != column);
    let what = format!(
        "{column}: {} has {value}, and so has {} in {other_place}; two boards never share one",
        one.hostname, other.hostname,
    );
    place.refused(what).and(NOTHING)
}
