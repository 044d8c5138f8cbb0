// SPDX-License-Identifier: MIT OR Apache-2.0
//! One event: what was done to a card, or who was seen, by whom, when and where. It is never changed.

use std::collections::BTreeMap;
use std::env;
use std::net::Ipv4Addr;
use std::time::{SystemTime, UNIX_EPOCH};

use diesel::prelude::{AsChangeset, Insertable, Queryable};
use identity_core::{Identity, Mac, State, text};
use identity_host::attached::Device;
use identity_host::device::info::DeviceInfo;
use identity_host::scan::Scan;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::{NoContext, Timestamp, Uuid};

use super::schema::{identity_cards, identity_claims, identity_events};
use crate::boards::Board;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A card has got an identity.
    Stamped,
    /// A card has got an image.
    Flashed,
    /// A card was seen to be bound to its identity, for the first time.
    Bound,
    /// A card was seen that has lost an identity: it was erased, or replaced by another.
    Erased,
    /// A person has said that the cards that had an identity until then have it no more, or are lost.
    Replaced,
    /// A card was read.
    Scanned,
    /// A card was read while another one with its identity was in another reader: one of them is a copy.
    Doubled,
    /// A board was seen in the network.
    Seen,
    /// A board has got another hostname in the list; its identity has stayed.
    Renamed,
    /// A board was taken out of the list.
    Removed,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Stamped,
        Self::Flashed,
        Self::Bound,
        Self::Erased,
        Self::Replaced,
        Self::Scanned,
        Self::Doubled,
        Self::Seen,
        Self::Renamed,
        Self::Removed,
    ];
    /// By which a card gets an identity or an image, or is known to have the identity no more.
    pub const GIVEN: [Self; 4] = [Self::Stamped, Self::Flashed, Self::Erased, Self::Replaced];
    /// What happens to cards.
    pub const OF_CARDS: [Self; 7] = [
        Self::Stamped,
        Self::Flashed,
        Self::Bound,
        Self::Erased,
        Self::Replaced,
        Self::Scanned,
        Self::Doubled,
    ];
    /// By which it is known that a card has an identity, whoever has given it.
    pub const READ: [Self; 3] = [Self::Scanned, Self::Doubled, Self::Bound];
    /// Which say nothing of what a card has.
    const NO_READING: [Self; 5] = [Self::Erased, Self::Replaced, Self::Seen, Self::Renamed, Self::Removed];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stamped => "stamped",
            Self::Flashed => "flashed",
            Self::Bound => "bound",
            Self::Erased => "erased",
            Self::Replaced => "replaced",
            Self::Scanned => "scanned",
            Self::Doubled => "doubled",
            Self::Seen => "seen",
            Self::Renamed => "renamed",
            Self::Removed => "removed",
        }
    }

    /// Whether a name is that of one of these.
    pub fn is_in(name: &str, kinds: &[Self]) -> bool {
        kinds.iter().any(|kind| kind.name() == name)
    }
}

/// An event, as a row of the database and as a line of the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Insertable, Queryable)]
#[diesel(table_name = identity_events)]
pub struct Event {
    /// A UUID of version 7, made where it happened: events are in the order of their time.
    pub id: String,
    /// When, in UTC, as RFC 3339 has it, with milliseconds.
    pub at: String,
    /// What: the name of a [`Kind`].
    pub kind: String,
    /// The UUID of the identity, if there is one.
    pub uuid: Option<String>,
    /// Its hostname.
    pub hostname: Option<String>,
    /// Its profile.
    pub profile: Option<String>,
    /// Its generation.
    pub generation: Option<i64>,
    /// All its other fields, as [`fields`] has them; without any, none. Of a lease: who has it, and until when.
    pub fields: Option<String>,
    /// State of the card.
    pub state: Option<String>,
    /// The card's CID in hexadecimal digits, where the reader shows it.
    pub card: Option<String>,
    /// The reader: name in the kernel, and model.
    pub reader: Option<String>,
    /// Size of the card in bytes.
    pub size: Option<i64>,
    /// SHA-256 of the image that was written.
    pub image: Option<String>,
    /// IPv4 address that a board was seen with.
    pub ip: Option<String>,
    /// The host where it happened.
    pub host: String,
    /// Who did it.
    pub person: String,
}

/// What a card held when it was seen last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Insertable, Queryable, AsChangeset)]
#[diesel(table_name = identity_cards, treat_none_as_null = true)]
pub struct CardSeen {
    /// Its CID; of a reader that shows none, see [`CardSeen::has_cid`].
    pub card: String,
    /// The event.
    pub event: String,
    /// When.
    pub at: String,
    /// What happened then.
    pub kind: String,
    /// The UUID on it, if there is one.
    pub uuid: Option<String>,
    /// The identity's hostname.
    pub hostname: Option<String>,
    /// The identity's profile.
    pub profile: Option<String>,
    /// The identity's other fields.
    pub fields: Option<String>,
    /// Where it was seen.
    pub host: String,
}

/// That somebody has begun to write a board's card, as a row of the database. It goes when what came of it is noted.
#[derive(Clone, Debug, PartialEq, Eq, Insertable, Queryable)]
#[diesel(table_name = identity_claims)]
pub struct Claimed {
    /// The UUID of the board's identity.
    pub uuid: String,
    /// A UUID of version 7: this claim's own.
    pub id: String,
    /// Since when, in UTC, as RFC 3339 has it.
    pub at: String,
    /// The host where the card is.
    pub host: String,
    /// Who does it.
    pub person: String,
}

impl Claimed {
    /// Now, here, by whoever runs this.
    pub fn new(uuid: &str) -> Self {
        let Event { id, at, host, person, .. } = Event::new(Kind::Stamped);
        Self { uuid: uuid.to_owned(), id, at, host, person }
    }
}

/// The field with the hostname that a board had before it was renamed.
const FROM: &str = "from";
/// How the name begins under which a card is known whose reader shows no CID: its identity's UUID follows.
const WITHOUT: char = '?';
/// What follows then, where another card with the identity was in another reader.
const SECOND: &str = "/2";

impl CardSeen {
    /// Whether it is known which card it was.
    pub fn has_cid(&self) -> bool {
        !self.card.starts_with(WITHOUT)
    }

    /// Whether it is a card beside another one with its identity, and not known which: no later reading of a card settles that.
    pub fn is_second(&self) -> bool {
        !self.has_cid() && self.card.ends_with(SECOND)
    }
}

impl Event {
    /// Now, here, by whoever runs this.
    pub fn new(kind: Kind) -> Self {
        let id = new_id();
        Self {
            id: id.to_string(),
            at: time_of(&id),
            kind: kind.name().to_owned(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            person: person(),
            ..Self::default()
        }
    }

    /// What happened to a card in a reader, and what it has now.
    pub fn of_card(kind: Kind, scan: &Scan, info: &DeviceInfo) -> Self {
        let event = match scan.identity() {
            Some(identity) => Self::new(kind).with_identity(identity),
            None => Self::new(kind),
        };
        Self { state: Some(scan.state().name().to_owned()), ..event.in_reader(info) }
    }

    /// An identity that was written to a card, and read back.
    pub fn written(kind: Kind, identity: &Identity, info: &DeviceInfo) -> Self {
        let state = Some(State::Valid.name().to_owned());
        Self { state, ..Self::new(kind).with_identity(identity).in_reader(info) }
    }

    /// The identity that a card had when it was seen last, if it has it no more by this reading of it.
    pub fn gone(last: &CardSeen, scanned: &Self) -> Option<Self> {
        let uuid = last.uuid.clone().filter(|uuid| scanned.uuid.as_ref() != Some(uuid))?;
        let CardSeen { hostname, profile, fields, .. } = last.clone();
        let last = Self { uuid: Some(uuid), hostname, profile, fields, ..Self::default() };
        Some(Self { card: scanned.card.clone(), ..Self::taken(&last, scanned) })
    }

    /// A card that was read.
    pub fn scanned(device: &Device, scan: &Scan) -> Self {
        Self::of_card(Kind::Scanned, scan, &device.info)
    }

    /// A board that was seen in the network, with a lease until `expires` in seconds of Unix time.
    pub fn seen(board: &Board, mac: Mac, ip: Ipv4Addr, expires: u64) -> Self {
        Self {
            fields: Some(format!("{{\"mac\":\"{}\",\"expires\":\"{}\"}}", mac, expires)),
            ip: Some(ip.to_string()),
            ..Self::of_board(Kind::Seen, board)
        }
    }

    /// What has become of a board in the list, or of all its cards at once.
    pub fn of_board(kind: Kind, board: &Board) -> Self {
        Self {
            uuid: Some(board.uuid.to_string()),
            hostname: Some(board.hostname.clone()),
            profile: Some(board.profile.clone()),
            ..Self::new(kind)
        }
    }

    /// A board that is called `hostname` from now on.
    pub fn renamed(board: &Board, hostname: &str) -> Self {
        let fields = serde_json::json!({ FROM: board.hostname }).to_string();
        Self {
            hostname: Some(hostname.to_owned()),
            fields: Some(fields),
            ..Self::of_board(Kind::Renamed, board)
        }
    }

    /// Of a board that was renamed: its hostname before.
    pub fn former_name(&self) -> Option<String> {
        let fields = self.fields.as_deref().filter(|_| self.kind == Kind::Renamed.name())?;
        let fields: BTreeMap<String, String> = serde_json::from_str(fields).ok()?;
        fields.get(FROM).cloned()
    }

    /// What a command may call its board: its hostname; where the journal has none that is one, the UUID.
    pub fn name_in_command(&self) -> &str {
        let hostname = self.hostname.as_deref().filter(|name| text::check_hostname(name.as_bytes()).is_ok());
        hostname.unwrap_or_else(|| in_command(self.uuid.as_deref().unwrap_or_default()))
    }

    /// A reader as an event has it.
    pub fn reader(info: &DeviceInfo) -> String {
        let model = info.model.as_ref().map_or_else(String::new, |model| format!(" {model}"));
        format!("{}{model}", info.name)
    }

    fn in_reader(self, info: &DeviceInfo) -> Self {
        Self {
            card: info.cid.map(|cid| cid.to_string()),
            reader: Some(Self::reader(info)),
            size: i64::try_from(info.sectors.saturating_mul(identity_core::SECTOR_LEN as u64)).ok(),
            ..self
        }
    }

    fn with_identity(self, identity: &Identity) -> Self {
        Self {
            uuid: Some(identity.uuid().to_string()),
            hostname: identity.hostname().map(str::to_owned),
            profile: Some(identity.profile().to_owned()),
            generation: Some(identity.generation().into()),
            fields: fields(identity),
            ..self
        }
    }

    /// That an identity is on a card no more whose reader shows no CID: this host has taken it from a card there since `last`, and
    /// the card that was `scanned` there has it no more.
    pub fn taken(last: &Self, scanned: &Self) -> Self {
        Self {
            uuid: last.uuid.clone(),
            hostname: last.hostname.clone(),
            profile: last.profile.clone(),
            fields: last.fields.clone(),
            state: scanned.state.clone(),
            reader: scanned.reader.clone(),
            size: scanned.size,
            ..Self::new(Kind::Erased)
        }
    }

    /// When, in milliseconds of Unix time.
    pub fn millis(&self) -> u64 {
        millis(&self.id)
    }

    /// Whether a board has no card by what was noted before this. An erasure ends it where it is known which card was erased: else it
    /// may have been a copy, and the board's card is where it was.
    pub fn is_end(&self) -> bool {
        self.kind == Kind::Replaced.name() || self.kind == Kind::Erased.name() && !self.is_erased_somewhere()
    }

    /// Whether it is an erasure of a card, and not known of which one.
    pub fn is_erased_somewhere(&self) -> bool {
        self.kind == Kind::Erased.name() && self.card.is_none()
    }

    /// What it says of the card that it names, if it names one: an erasure does not say what the card has now, and a lease nothing.
    pub fn card_seen(&self) -> Option<CardSeen> {
        if Kind::is_in(&self.kind, &Kind::NO_READING) {
            return None;
        }
        let second = if self.kind == Kind::Doubled.name() { SECOND } else { "" };
        let without = || Some(format!("{WITHOUT}{}{second}", self.uuid.as_ref()?));
        Some(CardSeen {
            card: self.card.clone().or_else(without)?,
            event: self.id.clone(),
            at: self.at.clone(),
            kind: self.kind.clone(),
            uuid: self.uuid.clone(),
            hostname: self.hostname.clone(),
            profile: self.profile.clone(),
            fields: self.fields.clone(),
            host: self.host.clone(),
        })
    }
}

/// A UUID of the journal as a command may have it: a database that many hosts write may have anything in it.
pub fn in_command(uuid: &str) -> &str {
    if Uuid::try_parse(uuid).is_ok() { uuid } else { "BOARD" }
}

/// The milliseconds of Unix time in a UUID of version 7.
fn millis(id: &str) -> u64 {
    let digits: String = id.chars().filter(|char| *char != '-').take(12).collect();
    u64::from_str_radix(&digits, 16).unwrap_or(0)
}

/// Of an identity's events, the oldest first: those by which it got a new card, since it was erased or replaced last. An update of its card has
/// a later generation; one that got an image and the identity at once is followed by the event of the image.
pub fn given(events: &[Event]) -> Vec<Event> {
    let mut given = Vec::new();
    for (number, event) in events.iter().enumerate() {
        let is_new = || {
            let next = events.get(number + 1);
            let is_flashed = next.is_some_and(|next| {
                let is_at_once = millis(&next.id).saturating_sub(millis(&event.id)) < 100;
                next.kind == Kind::Flashed.name() && next.host == event.host && is_at_once
            });
            event.generation == Some(1) || is_flashed
        };
        if event.is_end() {
            given.clear();
        } else if event.kind == Kind::Stamped.name() && event.state.as_deref() == Some("valid") && is_new() {
            given.push(event.clone());
        }
    }
    given
}

/// Serial number, assigned MAC addresses and variables of an identity, as JSON with sorted keys; without any, none. What is the
/// same here is the same on the card.
pub fn fields(identity: &Identity) -> Option<String> {
    let mut fields = BTreeMap::new();
    if let Some(serial) = identity.serial() {
        fields.insert("serial".to_owned(), serial.to_owned());
    }
    for (index, mac) in identity.fields().macs() {
        fields.insert(format!("mac{index}"), mac.to_string());
    }
    for (key, value) in identity.fields().variables() {
        fields.insert(format!("var.{key}"), value.to_owned());
    }
    // A map of texts is always written.
    if fields.is_empty() { None } else { serde_json::to_string(&fields).ok() }
}

/// A UUID of version 7; a clock from before 1970 stands at its begin.
fn new_id() -> Uuid {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(_) => Uuid::now_v7(),
        Err(_) => Uuid::new_v7(Timestamp::from_unix(NoContext, 0, 0)),
    }
}

/// The time in a UUID of version 7, which counts milliseconds.
fn time_of(id: &Uuid) -> String {
    let (seconds, nanoseconds) = id.get_timestamp().map_or((0, 0), |time| time.to_unix());
    let seconds = i64::try_from(seconds).unwrap_or(0);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let text = time.format(&Rfc3339).unwrap_or_default();
    // Always three digits, so that texts are in the order of their times.
    format!("{}.{:03}Z", text.trim_end_matches('Z'), nanoseconds / 1_000_000)
}

/// The user's name; behind sudo, that of who called it.
fn person() -> String {
    let set = |name| env::var(name).ok().filter(|value: &String| !value.is_empty());
    let user = rustix::process::geteuid();
    let name = set("SUDO_USER").filter(|_| user.is_root()).or_else(|| set("USER")).or_else(|| set("LOGNAME"));
    let user = user.as_raw().to_string();
    name.or_else(|| name_of(&user)).unwrap_or_else(|| format!("uid {user}"))
}

/// The name that passwd(5) has for this number.
fn name_of(user: &str) -> Option<String> {
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == user).then(|| name.to_owned())
    };
    std::fs::read_to_string("/etc/passwd").ok()?.lines().find_map(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_three_digits_of_milliseconds() {
        for (nanoseconds, text) in
            [(0, "000"), (500_000_000, "500"), (520_000_000, "520"), (7_000_000, "007")]
        {
            let id = Uuid::new_v7(Timestamp::from_unix(NoContext, 1_795_802_968, nanoseconds));
            assert_eq!(time_of(&id), format!("2026-11-27T18:09:28.{text}Z"));
        }
    }

    #[test]
    fn a_person_without_variables_has_the_name_of_passwd() {
        assert_eq!(name_of("0").as_deref(), Some("root"));
        assert_eq!(name_of("root"), None);
    }
}
