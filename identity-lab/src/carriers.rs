// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which cards have an identity, for all that the journal knows.

use identity_ui::{Result, lines};

use crate::journal::{CardSeen, Database, Kind};

/// Of the cards that had an identity when they were seen last, those that may have it now.
///
/// # Errors
/// Exit 7 if the database fails.
pub fn standing(database: &mut Database, uuid: &str, mut cards: Vec<CardSeen>) -> Result<Vec<CardSeen>> {
    // An identity that was given to another card on purpose has left those that had it before.
    let given = database.events_of(uuid, &[Kind::Stamped, Kind::Replaced], 1)?.pop();
    let is_double = database.double(uuid)?.is_some();
    cards.retain(|card| match card.is_second() {
        true => is_double,
        false => given.as_ref().is_none_or(|given| card.event >= given.id),
    });
    // What was seen without a CID may be any of them, and counts as long as nothing was seen later.
    let of_one = cards.iter().filter(|card| !card.is_second()).map(|card| card.event.as_str());
    let newest = of_one.max().unwrap_or_default().to_owned();
    cards.retain(|card| card.has_cid() || card.is_second() || card.event == newest);
    Ok(cards)
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
