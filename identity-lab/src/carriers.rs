// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which cards have an identity, for all that the journal knows.

use identity_ui::{Result, lines};

use crate::journal::{CardSeen, Database, Event, Kind};

/// Of the cards that had an identity when they were seen last, those that may have it now.
///
/// # Errors
/// Exit 7 if the database fails.
pub fn standing(database: &mut Database, uuid: &str, mut cards: Vec<CardSeen>) -> Result<Vec<CardSeen>> {
    // An identity that was given to another card on purpose has left those that had it before.
    let given = database.events_of(uuid, &[Kind::Stamped, Kind::Replaced], 1)?.pop();
    let ends = database.events_of(uuid, &[Kind::Doubled, Kind::Erased, Kind::Replaced], 2)?;
    let is_double = ends.first().is_some_and(|last| last.kind == Kind::Doubled.name());
    let taken = taken(&ends);
    cards.retain(|card| match (card.is_second(), card.has_cid()) {
        (true, _) => is_double,
        (false, has_cid) => {
            let is_after = |event: Option<&Event>| event.is_none_or(|event| card.event >= event.id);
            is_after(given.as_ref()) && (has_cid || is_after(taken))
        }
    });
    // What was seen without a CID may be any of them, and counts as long as nothing was seen later.
    let of_one = cards.iter().filter(|card| !card.is_second()).map(|card| card.event.as_str());
    let newest = of_one.max().unwrap_or_default().to_owned();
    cards.retain(|card| card.has_cid() || card.is_second() || card.event == newest);
    Ok(cards)
}

/// Of these events, the newest first, the erasure after which no card without a CID has the identity: of two such cards, the first
/// one leaves the other.
fn taken(ends: &[Event]) -> Option<&Event> {
    let is_one_of_two = ends.get(1).is_some_and(|before| before.kind == Kind::Doubled.name());
    ends.first().filter(|last| last.is_erased_somewhere() && !is_one_of_two)
}

/// What takes an identity from a card so that a scan sees it.
pub fn erasure(card: &CardSeen) -> &'static str {
    if card.has_cid() {
        "erase it, and scan it in a slot that shows its CID"
    } else {
        "erase it by `identity erase`, and scan it in the same reader"
    }
}

/// The cards that may have an identity.
///
/// # Errors
/// Exit 7 if the database fails.
pub fn carriers(database: &mut Database, uuid: &str) -> Result<Vec<CardSeen>> {
    let cards = database.cards_of(uuid)?;
    standing(database, uuid, cards)
}

/// A card as a sentence names it.
pub fn named(card: &CardSeen) -> String {
    // A database that many hosts write may have anything in it.
    let [id, kind, host, at] =
        [&card.card, &card.kind, &card.host, &card.at].map(|text| lines::escaped(text));
    let which = match (card.has_cid(), card.is_second()) {
        (true, _) => format!("card {id}"),
        (false, true) => "a second card".to_owned(),
        (false, false) => "its card".to_owned(),
    };
    format!("{which} ({kind} on {host}, {at})")
}
