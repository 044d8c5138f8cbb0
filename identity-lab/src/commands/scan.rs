// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab scan`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use identity_core::{Mac, SECTOR_LEN, State, Uuid};
use identity_host::attached::{self, Content, Device};
use identity_host::device::Cid;
use identity_host::device::info::DeviceInfo;
use identity_host::device::sysfs::{Host, Kind};
use identity_host::record::{self, CardKey, Retired};
use identity_host::scan::Scan;
use identity_ui::output::{json, print, say};
use identity_ui::{Exit, Failure, Result, lines, shell, size::Size, wording};
use serde::Serialize;

use super::tabular;
use crate::args::{Format, ScanArgs};
use crate::boards::Board;
use crate::journal::{Database, Event, Journal, Kind as What};
use crate::lab::Lab;
use crate::place::cannot;
use crate::scan::{Held, Lease, difference, leases};

/// In a millisecond.
const NANOSECONDS: u64 = 1_000_000;

#[derive(Serialize)]
struct Scanned {
    cards: Vec<Card>,
    leases: Vec<Leased>,
}

#[derive(Serialize)]
struct Card {
    device: String,
    size: u64,
    state: &'static str,
    card: Option<String>,
    uuid: Option<String>,
    hostname: Option<String>,
    board: Option<String>,
    findings: Vec<String>,
}

#[derive(Serialize)]
struct Leased {
    mac: String,
    ip: String,
    name: Option<String>,
    board: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// Exit 4 if a file of the lab, or that of the leases, cannot be read.
pub fn run(dir: &Path, args: &ScanArgs) -> Result<Exit> {
    let lab = Lab::read(dir)?;
    let journal = lab.journal();
    let mut scanned = Scanned { cards: Vec::new(), leases: Vec::new() };
    let mut events = Vec::new();
    match &args.leases {
        Some(file) => {
            let bytes = fs::read(file).map_err(|error| cannot("read", file, &error, Exit::Corrupt))?;
            let found = leases(file, &String::from_utf8_lossy(&bytes))?;
            scanned.leases = seen(&lab, &journal, &found, &mut events)?;
        }
        None => scanned.cards = cards(&lab, &journal, &devices(args)?, &mut events)?,
    }
    // What was seen is shown, also where it cannot be noted.
    let noted = journal.note(&events);
    print(&match args.format {
        Format::Json => json(&scanned),
        Format::Text if args.leases.is_some() => leased_text(&scanned.leases),
        Format::Text => cards_text(&scanned.cards),
    })?;
    noted?;
    let wrong = scanned.cards.iter().filter(|card| !card.findings.is_empty()).count();
    if wrong == 0 {
        return Ok(Exit::Done);
    }
    say(&format!(
        "{wrong} of {} not as the lab has it",
        if scanned.cards.len() == 1 {
            "1 card is".to_owned()
        } else {
            format!("{} cards are", scanned.cards.len())
        }
    ));
    Ok(Exit::Doubtful)
}

/// The devices that are named; else every card in a reader, and loop devices if they are wanted.
fn devices(args: &ScanArgs) -> Result<Vec<Device>> {
    let mut all = attached::devices(&Host::here());
    if args.devices.is_empty() {
        all.retain(|device| match device.kind {
            Kind::Native | Kind::Removable => true,
            Kind::Loop => args.loops && device.info.sectors > 0,
            _ => false,
        });
        return Ok(all);
    }
    let named = |name: &PathBuf| {
        let path = fs::canonicalize(name).map_err(|error| cannot("open", name, &error, Exit::Device))?;
        let device = all.iter().find(|device| device.path == path).cloned();
        device.ok_or_else(|| {
            Failure::refused(format!(
                "{} is no card and no disk of this machine; `identity list` shows which there are",
                shell::path(name)
            ))
        })
    };
    args.devices.iter().map(named).collect()
}

fn cards(lab: &Lab, journal: &Journal, devices: &[Device], events: &mut Vec<Event>) -> Result<Vec<Card>> {
    // A journal that cannot be reached is said when the events are noted.
    let mut database = journal.open().ok().flatten();
    let removed = database.as_mut().map(Database::removed).transpose()?.unwrap_or_default();
    let mut cards = Vec::new();
    let mut seen = Seen::default();
    for device in devices {
        match device.look(None) {
            Content::Empty => (),
            Content::Failed(error) => cards.push(Card {
                findings: vec![wording::error(&error)],
                ..card(device, State::Unreadable, None)
            }),
            Content::Seen(_, scan) => {
                if let Some(database) = &mut database {
                    events.extend(gone(database, &Event::scanned(device, &scan))?);
                    events.extend(bound(database, &scan, &device.info)?);
                }
                let event = Event::scanned(device, &scan);
                seen.add(device, &scan, &event);
                events.push(event);
                cards.push(judged(lab, device, &scan, &removed));
            }
        }
    }
    if let Some(database) = &mut database {
        events.extend(taken(lab, database, &seen)?);
    }
    name_doubles(&mut cards);
    note_doubles(events);
    Ok(cards)
}

/// What is on the cards of one scan.
#[derive(Default)]
struct Seen {
    /// The identities, in whatever state.
    uuids: BTreeSet<Uuid>,
    /// Cards in readers that show no CID, and the events of their scan; those of which it is certain what they have.
    without_cid: Vec<(CardKey, Event)>,
}

impl Seen {
    fn add(&mut self, device: &Device, scan: &Scan, event: &Event) {
        self.uuids.extend(scan.valid().map(|(_, identity, _)| identity.uuid()));
        if device.info.cid.is_none() && matches!(scan.state(), State::Blank | State::Valid) {
            let card = CardKey { path: device.path.clone(), sectors: device.info.sectors, cid: None };
            self.without_cid.push((card, event.clone()));
        }
    }
}

/// Identities that this host has erased or replaced on a card in one of these readers, of this size, since the journal has seen them, and
/// that no card has that was scanned. That proves that one card has lost the identity, and not that it was the only one: of an identity
/// that no board has it is noted; whether a board has its card is left to a person.
fn taken(lab: &Lab, database: &mut Database, seen: &Seen) -> Result<Vec<Event>> {
    let Ok(directory) = record::directory() else { return Ok(Vec::new()) };
    let mut taken = Vec::new();
    let mut told = BTreeSet::new();
    for (card, scanned) in &seen.without_cid {
        for Retired { uuid, at } in record::retired_from(&directory, card, |uuid| !seen.uuids.contains(&uuid))
        {
            let last = database.events_of(&uuid.to_string(), &What::OF_CARDS, 1)?.pop();
            // What is noted now is the last event then: each record counts once.
            let last =
                last.filter(|last| at / NANOSECONDS > last.millis() && last.kind != What::Replaced.name());
            let Some(last) = last.filter(|_| told.insert(uuid)) else { continue };
            match lab.boards.all.iter().find(|board| board.uuid == uuid) {
                None => taken.push(Event::taken(&last, scanned)),
                Some(_) if last.is_end() => (),
                Some(Board { hostname, .. }) => say(&format!(
                    "{}: the identity of {hostname} was erased from a card in this reader, which shows no CID, so it may have been a copy; if it \
                     was the board's card, `identity-lab stamp --again {hostname}` gives it another one",
                    shell::path(&card.path)
                )),
            }
        }
    }
    Ok(taken)
}

/// Two cards with one identity: where it is not known which is which, no other event says that they are two.
fn note_doubles(events: &mut [Event]) {
    let is_scan = |event: &&mut Event| event.kind == What::Scanned.name() && event.uuid.is_some();
    let mut by_uuid: BTreeMap<Option<String>, Vec<&mut Event>> = BTreeMap::new();
    for event in events.iter_mut().filter(is_scan) {
        by_uuid.entry(event.uuid.clone()).or_default().push(event);
    }
    for mut same in by_uuid.into_values() {
        // Of cards that nobody can tell apart, the first one is the card that was seen last.
        same.sort_by_key(|event| event.card.is_none());
        for event in same.into_iter().skip(1).filter(|event| event.card.is_none()) {
            event.kind = What::Doubled.name().to_owned();
        }
    }
}

/// That a card has lost what it had when it was seen last.
fn gone(database: &mut Database, scanned: &Event) -> Result<Option<Event>> {
    let Some(cid) = &scanned.card else { return Ok(None) };
    Ok(database.card(cid)?.and_then(|last| Event::gone(&last, scanned)))
}

/// That an identity is bound to the card that it is on, if the journal does not know it.
fn bound(database: &mut Database, scan: &Scan, info: &DeviceInfo) -> Result<Option<Event>> {
    let card = scan.identity().filter(|_| scan.state().is_usable()).and_then(|identity| {
        let bound = identity.fields().card().map(Cid::new);
        bound.filter(|bound| Some(*bound) == info.cid).map(|_| identity.uuid().to_string())
    });
    let Some(uuid) = card else { return Ok(None) };
    let event = Event::of_card(What::Bound, scan, info);
    let known = database.events_of(&uuid, &[What::Bound], 1)?;
    Ok(Some(event).filter(|event| known.iter().all(|known| known.card != event.card)))
}

fn card(device: &Device, state: State, scan: Option<&Scan>) -> Card {
    let identity = scan.and_then(Scan::identity);
    Card {
        device: device.path.display().to_string(),
        size: device.info.sectors.saturating_mul(SECTOR_LEN as u64),
        state: state.name(),
        card: device.info.cid.map(|cid| cid.to_string()),
        uuid: identity.map(|identity| identity.uuid().to_string()),
        hostname: identity.and_then(|identity| identity.hostname().map(str::to_owned)),
        board: None,
        findings: Vec::new(),
    }
}

/// A card as it is shown, with what is wrong with it in this lab.
fn judged(lab: &Lab, device: &Device, scan: &Scan, removed: &HashMap<String, Event>) -> Card {
    let mut card = card(device, scan.state(), Some(scan));
    if !matches!(scan.state(), State::Valid | State::Blank) {
        card.findings.extend(wording::state(scan, &device.path));
    }
    if let Some(identity) = scan.identity() {
        let shown = &card.device;
        match lab.boards.all.iter().find(|board| board.uuid == identity.uuid()) {
            None => card.findings.push(match removed.get(&identity.uuid().to_string()) {
                Some(Event { hostname, at, .. }) => format!(
                    "{shown}: this is the card of {}, which was removed at {}; `identity erase {shown}` takes the identity from it",
                    lines::escaped(hostname.as_deref().unwrap_or_default()),
                    lines::escaped(at)
                ),
                None => format!(
                    "{shown}: no board of the lab has the UUID {0}; `identity read --format json {shown} | identity-lab import -` takes it in, \
                     `identity-lab remove --lost {0}` says that it is another lab's",
                    identity.uuid()
                ),
            }),
            Some(board) => {
                let fields = crate::journal::event::fields(identity);
                let held = Held {
                    profile: Some(identity.profile()),
                    hostname: identity.hostname(),
                    fields: fields.as_deref(),
                };
                if let Some((column, what)) = difference(board, held) {
                    card.findings.push(format!("{}: {shown}: {what}", board.place(&column)));
                }
                card.board = Some(board.hostname.clone());
            }
        }
    }
    card
}

/// Two cards with one identity: one is a copy.
fn name_doubles(cards: &mut [Card]) {
    let mut devices: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for card in cards.iter() {
        if let Some(uuid) = &card.uuid {
            devices.entry(uuid.clone()).or_default().push(card.device.clone());
        }
    }
    for card in cards {
        let same = card.uuid.as_ref().and_then(|uuid| devices.get(uuid)).filter(|same| same.len() > 1);
        if let Some(same) = same {
            let others: Vec<_> = same.iter().filter(|device| **device != card.device).cloned().collect();
            let settles = match (&card.card, &card.board) {
                // Nobody can see later which of the two is still there.
                (None, Some(board)) => format!(
                    "; then `identity-lab stamp --again {board}` with the other one in the reader says that it is the board's"
                ),
                _ => String::new(),
            };
            card.findings.push(format!(
                "{0}: has the identity of {1}, too: one is a copy; `identity erase {0}` takes it from that card, and `identity-lab stamp` gives that card to another board{settles}",
                card.device,
                others.join(", ")
            ));
        }
    }
}

fn seen(lab: &Lab, journal: &Journal, found: &[Lease], events: &mut Vec<Event>) -> Result<Vec<Leased>> {
    let boards = by_mac(lab);
    // A journal that cannot be reached is said when the events are noted.
    let mut database = journal.open().ok().flatten();
    let mut leased = Vec::new();
    for lease in found {
        let board = boards.get(&lease.mac).copied();
        if let Some(board) = board {
            let event = Event::seen(board, lease.mac, lease.ip, lease.expires);
            let last = match &mut database {
                Some(database) => database.events_of(&board.uuid.to_string(), &[What::Seen], 1)?.pop(),
                None => None,
            };
            // The same lease is seen again and again until it is renewed.
            if last.is_none_or(|last| (last.ip, last.fields) != (event.ip.clone(), event.fields.clone())) {
                events.push(event);
            }
        }
        leased.push(Leased {
            mac: lease.mac.to_string(),
            ip: lease.ip.to_string(),
            name: lease.name.clone(),
            board: board.map(|board| board.hostname.clone()),
        });
    }
    Ok(leased)
}

/// The boards by each address that they are known to have: that of the first four interfaces, and assigned ones.
fn by_mac(lab: &Lab) -> HashMap<Mac, &Board> {
    let mut boards = HashMap::new();
    for board in &lab.boards.all {
        let assigned = board.macs.iter().map(|(_, mac)| *mac);
        for mac in (0..4).map(|index| board.mac(index)).chain(assigned) {
            boards.entry(mac).or_insert(board);
        }
    }
    boards
}

fn cards_text(cards: &[Card]) -> String {
    if cards.is_empty() {
        return "no card in a reader; --loops reads loop devices too\n".to_owned();
    }
    let or_dash = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), lines::escaped);
    let row = |card: &Card| {
        let facts = [&card.uuid, &card.hostname, &card.board].map(or_dash);
        let [uuid, hostname, board] = facts;
        [card.device.clone(), Size(card.size).to_string(), card.state.to_owned(), uuid, hostname, board]
    };
    let head = ["DEVICE", "SIZE", "STATE", "UUID", "HOSTNAME", "BOARD"].map(str::to_owned);
    let table = tabular(std::iter::once(head).chain(cards.iter().map(row)).collect());
    let findings = cards.iter().flat_map(|card| &card.findings).map(|finding| format!("{finding}\n"));
    table + &findings.collect::<String>()
}

fn leased_text(leases: &[Leased]) -> String {
    if leases.is_empty() {
        return "no leases\n".to_owned();
    }
    let or_dash = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), lines::escaped);
    let row =
        |lease: &Leased| [lease.ip.clone(), lease.mac.clone(), or_dash(&lease.board), or_dash(&lease.name)];
    let head = ["IP", "MAC", "BOARD", "NAME"].map(str::to_owned);
    tabular(std::iter::once(head).chain(leases.iter().map(row)).collect())
}
