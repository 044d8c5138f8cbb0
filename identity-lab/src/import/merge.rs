// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a file has, held against the list of boards: what is new, what is the same, what differs. All of it is checked before the
//! new text of the list is given.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use identity_core::{Mac, Uuid, derive};

use super::{Fault, Found, Incoming, Input, MACHINE_ID, Value};
use crate::boards::{self, Board, Boards, Change, Clash, NewBoard, interface};
use crate::journal::Event;
use crate::lab::{BOARDS_CSV, Lab};
use crate::place::Place;

/// What a person has asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'a> {
    /// The profile of new boards of which the file says none.
    pub profile: Option<&'a str>,
    /// Whether the file's values replace those of boards that are there.
    pub is_update: bool,
    /// Boards that were taken out of the list, by UUID, where that is known.
    pub removed: Option<&'a HashMap<String, Event>>,
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
    /// Those of them whose UUID the file does not have, so that it is a new one.
    pub fresh: BTreeSet<String>,
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
/// Everything that stands in the way: 4 for what cannot be read of a board; 6, naming both places, where it clashes with another one
/// or differs from the one that is there; 2 for a board without a profile.
pub fn merge(
    lab: &Lab,
    input: &Input<'_>,
    found: &Found,
    settings: Settings<'_>,
) -> Result<Merged, Vec<Fault>> {
    let mut left_out: Vec<_> =
        found.left_out.iter().map(|(at, why)| (input.place(*at), why.clone())).collect();
    let mut faults = found.all_faults();
    let mut all = candidates(lab, input, found, &mut left_out, &mut faults);
    let mut ignored = found.ignored.clone();
    let widened = widened(lab, input, &mut all, &mut ignored, &mut faults);
    let list = widened.as_ref().unwrap_or(&lab.boards);

    let (mut new, mut changes) = (Vec::new(), BTreeMap::new());
    let (mut added, mut fresh) = (BTreeSet::new(), BTreeSet::new());
    let (mut unchanged, mut updated) = (BTreeSet::new(), Vec::new());
    for board in &all {
        let Some(present) = board.present else {
            new.push(board.added(lab, input, settings, &mut faults));
            added.insert(board.hostname.clone());
            if board.incoming.text("uuid").is_none() {
                fresh.insert(board.hostname.clone());
            }
            continue;
        };
        let cells = board.differences(present);
        if cells.is_empty() {
            unchanged.insert(board.hostname.clone());
            continue;
        }
        if !settings.is_update {
            faults.extend(cells.iter().map(|cell| board.differs(input, present, cell)));
            continue;
        }
        if let Some(cell) = cells.iter().find(|cell| cell.column == "profile") {
            faults.extend(unknown_profile(lab, &cell.to, || place(input, board.incoming, "profile")));
        }
        if cells.iter().any(|cell| cell.column == "uuid") {
            faults.extend(board.removed(input, settings));
        }
        let texts = cells.iter().filter_map(|ChangedCell { column, .. }| {
            Some((column.clone(), board.cells.get(column.as_str())?.0.clone()))
        });
        changes.insert(board.hostname.clone(), Change { cells: texts.collect() });
        updated.push(Updated { hostname: board.hostname.clone(), cells });
    }
    let path = lab.dir.join(BOARDS_CSV);
    let after = list.changed(&new, &changes).and_then(|text| Ok((Boards::parse(&path, text.clone())?, text)));
    let (boards, text) = match after {
        Ok(after) => after,
        // What is wrong with a value was found before.
        Err(failure) => {
            faults.push(Fault::refused(input.place(0), failure));
            return Err(faults);
        }
    };
    let incoming = all.iter().map(|board| (board.hostname.as_str(), board.incoming)).collect();
    faults.extend(clashes(lab, input, &boards, &incoming));
    if faults.is_empty() {
        Ok(Merged { text, boards, added, fresh, updated, unchanged, left_out, ignored })
    } else {
        Err(faults)
    }
}

/// The boards of a file, each once, and what it is in the list. What has no name that can be read was told before.
fn candidates<'a>(
    lab: &'a Lab,
    input: &Input<'_>,
    found: &'a Found,
    left_out: &mut Vec<(Place, String)>,
    faults: &mut Vec<Fault>,
) -> Vec<Candidate<'a>> {
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
            if ["hostname", "uuid"].iter().any(|column| incoming.is_wrong(column)) {
                continue;
            } else if found.are_cards {
                left_out.push((input.place(incoming.at), why.into()));
            } else {
                faults.push(Fault::unreadable(input.place(incoming.at), why));
            }
            continue;
        };
        if let Some(first) = seen.get(&hostname.to_ascii_lowercase()) {
            let (second, first) = (place(input, incoming, "hostname"), place(input, first, "hostname"));
            faults.push(Fault::refused(second, format!("hostname: {hostname} is in {first} too")));
            continue;
        }
        seen.insert(hostname.to_ascii_lowercase(), incoming);
        let uuid = uuid.or(present.map(|board| board.uuid)).unwrap_or_else(Uuid::new_v4);
        let board = Candidate { incoming, hostname, uuid, present: present.copied(), cells: BTreeMap::new() };
        all.push(board.with_cells(input, faults));
    }
    all
}

/// What two boards share of the list as it would become, each pair once.
fn clashes(
    lab: &Lab,
    input: &Input<'_>,
    boards: &Boards,
    incoming: &BTreeMap<&str, &Incoming>,
) -> Vec<Fault> {
    let present: BTreeMap<_, _> =
        lab.boards.all.iter().map(|board| (board.hostname.as_str(), board)).collect();
    let mut with_one_uuid = BTreeSet::new();
    let mut faults = Vec::new();
    for clash in boards.pairs() {
        let pair = (clash.first.line, clash.second.line);
        if clash.column == "uuid" {
            with_one_uuid.insert(pair);
        }
        // Addresses follow from the UUID.
        if interface(&clash.column).is_none() || !with_one_uuid.contains(&pair) {
            faults.push(clashing(input, &clash, incoming, &present));
        }
    }
    faults
}

/// Where a value of a board stands, else the board.
fn place(input: &Input<'_>, board: &Incoming, column: &str) -> Place {
    input.place(board.values.get(column).map_or(board.at, |value| value.at))
}

impl<'a> Candidate<'a> {
    /// With its cells: what follows from the UUID is compared, and not kept.
    fn with_cells(mut self, input: &Input<'_>, faults: &mut Vec<Fault>) -> Self {
        for (column, value) in &self.incoming.values {
            if column == MACHINE_ID {
                let is = value.text.to_ascii_lowercase().replace('-', "");
                let derived = derive::machine_id(self.uuid).simple().to_string();
                let has_uuid = self.incoming.text("uuid").is_some() || self.present.is_some();
                let why = match (is == derived, has_uuid) {
                    (true, _) => continue,
                    _ if self.incoming.is_wrong("uuid") => continue,
                    (false, true) => format!("the one that follows from its UUID is {derived}"),
                    (false, false) => "it follows from a UUID, and the file has none for the board".into(),
                };
                let what = format!(
                    "{}: {} has \"{}\"; {why}",
                    value.called,
                    self.hostname,
                    boards::short(&value.text)
                );
                faults.push(Fault::refused(input.place(value.at), what));
                continue;
            }
            let derived = interface(column).map(|index| derive::mac(self.uuid, u32::from(index)));
            let is_derived = derived.is_some() && value.text.parse::<Mac>().ok() == derived;
            let text = if is_derived { String::new() } else { value.text.clone() };
            self.cells.insert(column, (text, value));
        }
        self
    }

    /// As a new line.
    fn added(
        &self,
        lab: &Lab,
        input: &Input<'_>,
        settings: Settings<'_>,
        faults: &mut Vec<Fault>,
    ) -> NewBoard {
        let mut cells: BTreeMap<String, String> =
            self.cells.iter().map(|(column, (text, _))| ((*column).to_owned(), text.clone())).collect();
        let given = settings.profile.or(lab.settings.default_profile.as_deref()).map(str::to_owned);
        let place = || place(input, self.incoming, "profile");
        match cells.get("profile").cloned().or(given) {
            Some(profile) => {
                faults.extend(unknown_profile(lab, &profile, place));
                cells.insert("profile".into(), profile);
            }
            None => {
                if !self.incoming.is_wrong("profile") {
                    let what = format!(
                        "profile: {} needs one, and the file says none; give --profile NAME, or set it in lab.toml, [defaults] profile",
                        self.hostname
                    );
                    faults.push(Fault::usage(place(), what));
                }
                // The line is not written, but what else clashes is told.
                cells.insert("profile".into(), "none".into());
            }
        }
        faults.extend(self.removed(input, settings));
        cells.insert("hostname".into(), self.hostname.clone());
        cells.insert("uuid".into(), self.uuid.to_string());
        cells.retain(|_, text| !text.is_empty());
        NewBoard { cells }
    }

    /// That its UUID is that of another board, which was removed: what boots from that one's card would pass for this board.
    fn removed(&self, input: &Input<'_>, settings: Settings<'_>) -> Option<Fault> {
        let removed = settings.removed?.get(&self.uuid.to_string())?;
        let name = removed.hostname.as_deref().filter(|name| *name != self.hostname)?;
        let shown = boards::short(name);
        let what = format!(
            "uuid: it is that of {shown}, which was removed at {}; without it {} gets one of its own; if it is the same board, import it \
             as {shown}, and then `identity-lab rename {} {1}`",
            removed.at,
            self.hostname,
            removed.name_in_command()
        );
        Some(Fault::refused(place(input, self.incoming, "uuid"), what))
    }

    /// The cells in which the file differs from the board that is there.
    fn differences(&self, present: &Board) -> Vec<ChangedCell> {
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
        cells
    }

    /// That it differs from the board that is there.
    fn differs(&self, input: &Input<'_>, present: &Board, cell: &ChangedCell) -> Fault {
        let shown = |text: &str| {
            if text.is_empty() { "no value".into() } else { format!("\"{}\"", boards::short(text)) }
        };
        let what = format!(
            "{}: {} has {} here, and {} in {}; --update takes what is here",
            cell.column,
            self.hostname,
            shown(&cell.to),
            shown(&cell.from),
            present.place(&cell.column),
        );
        Fault::refused(place(input, self.incoming, &cell.column), what)
    }
}

fn unknown_profile(lab: &Lab, profile: &str, place: impl FnOnce() -> Place) -> Option<Fault> {
    let is_known = lab.profile(profile).is_some();
    (!is_known).then(|| Fault::refused(place(), format!("profile: {}", lab.no_profile_yet(profile))))
}

/// Deals with columns that the list does not have. Those that nobody knows are left out. Those that this program knows come to a
/// list without boards, where no line is changed by that; else they are faults.
fn widened(
    lab: &Lab,
    input: &Input<'_>,
    all: &mut [Candidate<'_>],
    ignored: &mut BTreeSet<String>,
    faults: &mut Vec<Fault>,
) -> Option<Boards> {
    let mut missing: BTreeMap<&str, &Value> = BTreeMap::new();
    for board in all.iter_mut() {
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
    let names: Vec<_> = missing.keys().map(|column| (*column).to_owned()).collect();
    if !names.is_empty() && lab.boards.all.is_empty() {
        match lab.boards.with_columns(&names) {
            Ok(boards) => return Some(boards),
            Err(failure) => faults.push(Fault::refused(input.place(0), failure)),
        }
    }
    for (column, value) in &missing {
        let what = format!(
            "{}: {BOARDS_CSV} has no column `{column}`; add it to the header and an empty cell to each line, or take it out of this file",
            value.called
        );
        faults.push(Fault::refused(input.place(value.at), what));
    }
    for board in all {
        board.cells.retain(|column, _| lab.boards.has_column(column));
    }
    None
}

/// That two boards share what no two may share: where each of them has it, in the file or in the list.
fn clashing(
    input: &Input<'_>,
    clash: &Clash<'_>,
    incoming: &BTreeMap<&str, &Incoming>,
    present: &BTreeMap<&str, &Board>,
) -> Fault {
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
    Fault::refused(place, what)
}
