// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is noted of a card that was written.

use identity_core::Identity;
use identity_host::device::info::DeviceInfo;
use serde_json::Value;

use crate::journal::{Event, Kind};

/// A card that was written and proved.
pub struct Written<'a> {
    /// The board's identity.
    pub identity: &'a Identity,
    /// The card, and its reader.
    pub info: &'a DeviceInfo,
    /// What `identity` has printed at its end.
    pub answer: &'a Value,
    /// Of a card that got an image, its SHA-256, if that could be computed.
    pub image: Option<Option<String>>,
    /// The event of the card that the board had before.
    pub before: Option<&'a Event>,
    /// Whether it is that card.
    pub is_its_card: bool,
}

impl Written<'_> {
    /// The events, in their order.
    pub fn events(&self) -> Vec<Event> {
        let written = if self.image.is_some() { &self.answer["identity"] } else { self.answer };
        let generation = written["generation"].as_i64();
        let mut events = Vec::new();
        // A person says by --again that the other card has it no more.
        if let Some(before) = self.before.filter(|_| !self.is_its_card) {
            let Event { uuid, hostname, profile, card, reader, size, .. } = before.clone();
            events.push(Event { uuid, hostname, profile, card, reader, size, ..Event::new(Kind::Replaced) });
        }
        let mut add = |kind, image: Option<String>| {
            events.push(Event { generation, image, ..Event::written(kind, self.identity, self.info) });
        };
        // A flash of its own card gives it nothing that it had not.
        if !self.is_its_card || self.image.is_none() {
            add(Kind::Stamped, None);
        }
        if let Some(image) = &self.image {
            add(Kind::Flashed, image.clone());
        }
        events
    }
}
