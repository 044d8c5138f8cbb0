// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong with a lab although each of its files can be read.

use std::collections::HashMap;

use identity_ui::{Result, lines};

use crate::ansible_groups::group_clash;
use crate::boards::{Board, SSH_KEY, is_address};
use crate::carriers::{erasure, named, standing};
use crate::journal::event::in_command;
use crate::journal::{CardSeen, Database, Event, Kind};
use crate::lab::{BOARDS_CSV, LAB_TOML, Lab};
use crate::place::Place;
use crate::scan::{Held, difference, doubled};
use crate::ssh_key::of_cell;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands.
    pub place: Place,
    /// What it is, and what to do.
    pub what: String,
}

/// All findings, in the order of the lines.
pub fn check(lab: &Lab) -> Vec<Finding> {
    let mut findings: Vec<_> = lab.boards.clashes().map(|(place, what)| Finding { place, what }).collect();
    findings.extend(group_clash(lab).map(|(place, what)| Finding { place, what }));
    let mut keys = Keys::default();
    for board in &lab.boards.all {
        if lab.profile(&board.profile).is_none() {
            let what = format!("profile: {}", lab.no_profile(&board.profile));
            findings.push(Finding { place: board.place("profile"), what });
        }
        if is_address(&board.hostname) {
            let what = format!(
                "hostname: resolvers take {} for an address, or for each host itself; use another name",
                board.hostname
            );
            findings.push(Finding { place: board.place("hostname"), what });
        }
        findings.extend(address(lab, board));
        findings.extend(keys.finding(board));
        if let Err((column, what)) = board.new_identity() {
            findings.push(Finding { place: board.place(column), what });
        }
    }
    for (place, name, meant) in lab.boards.misnamed() {
        let what = format!("the column `{name}` is read by nobody; the one that is read is `{meant}`");
        findings.push(Finding { place, what });
    }
    if let Some(profile) = lab.settings.default_profile.as_ref().filter(|name| lab.profile(name).is_none()) {
        let what = format!("[defaults] profile: {}", lab.no_profile(profile));
        findings.push(Finding { place: Place::line(&lab.dir.join(LAB_TOML), 1), what });
    }
    findings.sort_by_key(|finding| finding.place.line_number());
    findings
}

/// The host keys so far, and who has them: two boards with one are a copy of one system.
#[derive(Default)]
struct Keys<'a>(HashMap<String, &'a Board>);

impl<'a> Keys<'a> {
    fn finding(&mut self, board: &'a Board) -> Option<Finding> {
        let what = match of_cell(board) {
            Ok(None) => return None,
            Err(what) => what.to_owned(),
            Ok(Some(key)) => {
                let first = self.0.insert(key, board)?;
                format!(
                    "{SSH_KEY}: {} has the host key of {} in line {}: one of them runs a copy of the other's system",
                    board.hostname, first.hostname, first.line
                )
            }
        };
        Some(Finding { place: board.place(SSH_KEY), what })
    }
}

/// What is wrong with a board's IPv4 address: DHCP servers refuse it, or two machines have it.
fn address(lab: &Lab, board: &Board) -> Option<Finding> {
    let (ip, network) = (board.ip?, lab.settings.network.as_ref());
    let is_no_hosts = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.octets()[0] >= 240;
    let what = match network {
        _ if is_no_hosts => format!("ip: {ip} is no host's address"),
        _ if lab.settings.server.address == Some(ip) => {
            format!("ip: {ip} is the server's own address, lab.toml, [server]")
        }
        Some(network) if !network.contains(ip) => {
            let (subnet, prefix) = network.subnet;
            format!("ip: {ip} is not in {subnet}/{prefix}, the subnet of lab.toml, [network]")
        }
        Some(network)
            if ip == network.subnet.0 || u32::from(ip) == u32::from(ip) | !u32::from(network.mask()) =>
        {
            format!("ip: {ip} is no host's: it stands for the subnet of lab.toml, [network], as a whole")
        }
        _ => return None,
    };
    Some(Finding { place: board.place("ip"), what })
}

/// What is wrong with cards as they were seen last: one whose identity is not in the lab or differs from it, one identity on
/// two cards; and a board with the identity of one that was removed.
///
/// # Errors
/// Exit 7 if the database fails.
pub fn check_cards(lab: &Lab, database: &mut Database) -> Result<Vec<Finding>> {
    let boards: HashMap<_, _> = lab.boards.all.iter().map(|board| (board.uuid.to_string(), board)).collect();
    let removed = database.removed()?;
    let mut findings = Vec::new();
    if !removed.is_empty() {
        findings.extend(lab.boards.all.iter().filter_map(|board| reused(board, &removed)));
    }
    let known = Known { lab, boards: &boards, removed: &removed };
    let mut group: Vec<CardSeen> = Vec::new();
    for card in database.cards()?.into_iter().filter(|card| card.uuid.is_some()) {
        if group.first().is_some_and(|first| first.uuid != card.uuid) {
            check_group(known, &group, database, &mut findings)?;
            group.clear();
        }
        group.push(card);
    }
    check_group(known, &group, database, &mut findings)?;
    for (uuid, given) in database.given_twice()? {
        findings.extend(boards.get(&uuid).map(|board| given_twice(board, &given)));
    }
    findings.sort_by_key(|finding| finding.place.line_number());
    Ok(findings)
}

/// A board that was given more than one card, and of none it is known that it has lost the identity.
fn given_twice(board: &Board, given: &[Event]) -> Finding {
    let one = |event: &Event| {
        let place = event.card.as_ref().map(|card| format!("card {card}"));
        let place = place.or(event.reader.as_ref().map(|reader| format!("in {}", lines::escaped(reader))));
        format!("{} {} on {} by {}", event.at, place.unwrap_or_default(), event.host, event.person)
    };
    let given: Vec<_> = given.iter().map(one).collect();
    let what = format!(
        "uuid: {0} was given to {1} cards ({2}): erase all but one, and say which by `identity-lab stamp --again {0}` with that one in the reader",
        board.hostname,
        given.len(),
        given.join("; ")
    );
    Finding { place: board.place("uuid"), what }
}

/// That a card has an identity that no board has, and what to do; `removed` says that a board had it that was taken out of the list.
fn of_nobody(card: &CardSeen, uuid: &str, removed: Option<&Event>) -> String {
    let (shown, card_is) = (lines::escaped(uuid), named(card));
    match removed {
        Some(removed) => {
            let texts = [removed.hostname.as_deref().unwrap_or_default(), &removed.at];
            let [name, at] = texts.map(lines::escaped);
            format!(
                "uuid: no board has {shown}, which {card_is} has; it was {name}'s, which was removed at {at}: {}; or say by \
                 `identity-lab remove --lost {}` that it is lost, or erased elsewhere",
                erasure(card),
                removed.name_in_command()
            )
        }
        None => format!(
            "uuid: no board has {shown}, which {card_is} has: `identity-lab import` takes its board in, `identity-lab remove --lost {}` says \
             that it is another lab's, or lost",
            in_command(uuid)
        ),
    }
}

/// Whether a person has said, since it was a board's, that the cards with an identity are another lab's or lost. Of an identity that was
/// never a board's that stands, wherever its cards are seen again.
fn is_dismissed(database: &mut Database, uuid: &str) -> Result<bool> {
    const WORDS: [Kind; 5] = [Kind::Stamped, Kind::Flashed, Kind::Renamed, Kind::Removed, Kind::Replaced];
    let last = database.events_of(uuid, &WORDS, 1)?.pop();
    Ok(last.is_some_and(|last| last.kind == Kind::Replaced.name()))
}

/// A board with the identity of another one that was removed: what boots from the other one's card passes for it.
fn reused(board: &Board, removed: &HashMap<String, Event>) -> Option<Finding> {
    let removed = removed.get(&board.uuid.to_string())?;
    let name = removed.hostname.as_deref().filter(|name| *name != board.hostname)?;
    let what = format!(
        "uuid: {} has the identity of {}, which was removed at {}: a new board gets one of its own; if it is the same board, call it \
         {1} here, and then `identity-lab rename {3} {0}`",
        board.hostname,
        lines::escaped(name),
        lines::escaped(&removed.at),
        removed.name_in_command()
    );
    Some(Finding { place: board.place("uuid"), what })
}

/// What cards are held against.
#[derive(Clone, Copy)]
struct Known<'a> {
    lab: &'a Lab,
    /// By UUID.
    boards: &'a HashMap<String, &'a Board>,
    /// Boards that are not in the list any more, by UUID.
    removed: &'a HashMap<String, Event>,
}

/// Cards that all had the same identity when they were seen last.
fn check_group(
    Known { lab, boards, removed }: Known,
    cards: &[CardSeen],
    database: &mut Database,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let Some(uuid) = cards.first().and_then(|card| card.uuid.clone()) else { return Ok(()) };
    let (board, removed) = (boards.get(&uuid), removed.get(&uuid));
    if board.is_none() && removed.is_none() && is_dismissed(database, &uuid)? {
        return Ok(());
    }
    let line = |column: &str| match board {
        Some(board) => board.place(column),
        None => Place::line(&lab.dir.join(BOARDS_CSV), 1),
    };
    let is_alone = cards.len() == 1 && board.is_some();
    // Of a million boards with a card each, nothing more is asked.
    let cards = if is_alone { cards.to_vec() } else { standing(database, &uuid, cards.to_vec())? };
    let (seconds, cards): (Vec<_>, Vec<_>) = cards.iter().partition(|card| card.is_second());
    if !seconds.is_empty()
        && let Some(double) = database.double(&uuid)?
    {
        let what = format!("uuid: {}", doubled(board.copied(), &double));
        findings.push(Finding { place: line("uuid"), what });
    }
    let known: Vec<_> = cards.iter().filter(|card| card.has_cid()).collect();
    if let [_, _, ..] = known[..] {
        let shown: Vec<_> = known.iter().map(|card| named(card)).collect();
        let what = format!("uuid: {uuid} is on several cards, one is a copy: {}", shown.join(", "));
        findings.push(Finding { place: line("uuid"), what });
    }
    for card in cards {
        let what = match board {
            None => Some(("uuid".to_owned(), of_nobody(card, &uuid, removed))),
            Some(board) => {
                let held = Held {
                    profile: card.profile.as_deref(),
                    hostname: card.hostname.as_deref(),
                    fields: card.fields.as_deref(),
                };
                difference(board, held).map(|(column, what)| (column, format!("{what}: {}", named(card))))
            }
        };
        findings.extend(what.map(|(column, what)| Finding { place: line(&column), what }));
    }
    Ok(())
}
