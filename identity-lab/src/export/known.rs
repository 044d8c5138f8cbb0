// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the journal knows of the boards, for the page.

use std::collections::HashMap;

use identity_ui::Result;

use crate::carriers::standing;
use crate::check::{Finding, check_cards};
use crate::journal::{CardSeen, Database, Event, Kind};
use crate::lab::Lab;

/// Of each identity, by UUID.
#[derive(Debug, Default)]
pub struct Known {
    /// The cards that may have it.
    cards: HashMap<String, Vec<CardSeen>>,
    /// What happened last, but for what follows.
    last: HashMap<String, Event>,
    /// When it was seen last in the network.
    seen: HashMap<String, Event>,
    /// What is wrong with cards.
    pub findings: Vec<Finding>,
}

impl Known {
    /// What is known now.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn read(lab: &Lab, database: &mut Database) -> Result<Self> {
        let mut cards: HashMap<String, Vec<CardSeen>> = HashMap::new();
        for card in database.cards()? {
            if let Some(uuid) = card.uuid.clone() {
                cards.entry(uuid).or_default().push(card);
            }
        }
        for (uuid, of_one) in cards.iter_mut().filter(|(_, of_one)| of_one.len() > 1) {
            *of_one = standing(database, uuid, std::mem::take(of_one))?;
        }
        let others: Vec<_> = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Seen).collect();
        Ok(Self {
            cards,
            last: database.last_events(&others)?,
            seen: database.last_events(&[Kind::Seen])?,
            findings: check_cards(lab, database)?,
        })
    }

    /// The cards that may have an identity, each in a sentence.
    pub fn cards(&self, uuid: &str) -> Vec<String> {
        let card = |card: &CardSeen| {
            let which = if card.has_cid() { card.card.as_str() } else { "a card without a CID" };
            format!("{which}, {} {} on {}", card.kind, minute(&card.at), card.host)
        };
        self.cards.get(uuid).into_iter().flatten().map(card).collect()
    }

    /// What happened last.
    pub fn last(&self, uuid: &str) -> Option<String> {
        let Event { at, kind, host, person, .. } = self.last.get(uuid)?;
        Some(format!("{} {kind} on {host} by {person}", minute(at)))
    }

    /// When it was seen last in the network, and where.
    pub fn seen(&self, uuid: &str) -> Option<String> {
        let event = self.seen.get(uuid)?;
        Some(
            format!("{} {}", minute(&event.at), event.ip.as_deref().unwrap_or_default())
                .trim_end()
                .to_owned(),
        )
    }
}

/// A time without its seconds: `2026-11-27 11:40 UTC`.
fn minute(at: &str) -> String {
    match at.get(..16) {
        Some(minute) => format!("{} UTC", minute.replace('T', " ")),
        None => at.to_owned(),
    }
}
