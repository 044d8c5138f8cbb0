// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads a card's slots as `identity_core::search` asks, and keeps what was read.

use identity_core::copy::{Copy, NotACopy};
use identity_core::search::{Condition, Reading};
use identity_core::slot::reading_position;
use identity_core::{Identity, Search, State};

use crate::device::{Card, Here, SECTOR_LEN, Sector};
use crate::error::plain;

/// One sector that was looked at.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where.
    pub lba: u32,
    /// What it is.
    pub condition: Condition,
    /// Why it is not a valid copy, in words; empty for blank, absent and valid ones.
    pub detail: String,
    /// The identity and the other copy's LBA, if it is a valid copy.
    pub copy: Option<(Identity, u32)>,
}

/// Everything that was looked at, and what it says together.
#[derive(Clone, Debug)]
pub struct Survey {
    found: Vec<Found>,
    state: State,
    here: Here,
}

impl Survey {
    /// Looks at a card.
    pub fn of(card: &dyn Card, hint_lba: Option<u32>) -> Self {
        let mut search = Search::new(hint_lba);
        let mut found = Vec::new();
        while let Some(lba) = search.next() {
            let mut sector = [0; SECTOR_LEN];
            let (reading, one) = look(card, lba, &mut sector);
            // Always taken: it is what was asked for, and parsed for that place.
            if search.give(lba, reading).is_err() {
                break;
            }
            found.push(one);
        }
        Self { found, state: search.state(), here: Here::unknown("not looked for") }
    }

    /// The same, judged by the card and the board where it was found.
    #[must_use]
    pub fn placed(mut self, here: Here) -> Self {
        if let Some(identity) = self.identity() {
            self.state = here.judge(self.state, identity);
        }
        Self { here, ..self }
    }

    /// Where it was found.
    pub fn here(&self) -> &Here {
        &self.here
    }

    /// The card's state.
    pub fn state(&self) -> State {
        self.state
    }

    /// All sectors looked at, in that order.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// What was found at `lba`, if it was looked at.
    pub fn at(&self, lba: u32) -> Option<&Found> {
        self.found.iter().find(|found| found.lba == lba)
    }

    /// The copy that readers use.
    pub fn primary(&self) -> Option<&Found> {
        self.found.iter().find(|found| matches!(found.condition, Condition::Valid | Condition::Newer))
    }

    /// The identity that readers use.
    pub fn identity(&self) -> Option<&Identity> {
        self.primary()?.copy.as_ref().map(|(identity, _)| identity)
    }

    /// The same identity in its latest version: after an interrupted update a later copy may have it.
    pub fn latest(&self) -> Option<&Identity> {
        let uuid = self.identity()?.uuid();
        let versions = self.valid().map(|(_, identity, _)| identity);
        versions.filter(|identity| identity.uuid() == uuid).max_by_key(|identity| identity.generation())
    }

    /// Valid copies: (LBA, identity, LBA of the other copy).
    pub fn valid(&self) -> impl Iterator<Item = (u32, &Identity, u32)> {
        self.found.iter().filter_map(|found| {
            let (identity, peer_lba) = found.copy.as_ref()?;
            Some((found.lba, identity, *peer_lba))
        })
    }

    /// Sectors with our magic: valid, damaged, or newer.
    pub fn ours(&self) -> impl Iterator<Item = &Found> {
        self.found.iter().filter(|found| {
            matches!(found.condition, Condition::Valid | Condition::Corrupt | Condition::Newer)
        })
    }

    /// Sectors that cannot be read and that a valid copy names as the other one. What stands in them may be readable
    /// again one day, and would then be an identity.
    pub fn lost(&self) -> impl Iterator<Item = u32> {
        let is_named = |lba| self.valid().any(|(_, _, peer_lba)| peer_lba == lba);
        let unreadable = self.found.iter().filter(|found| found.condition == Condition::Unreadable);
        unreadable.map(|found| found.lba).filter(move |&lba| is_named(lba))
    }

    /// What a copy is worth beside the one that readers use.
    pub fn label(&self, found: &Found) -> &'static str {
        match (&found.copy, self.identity(), self.latest()) {
            (Some((identity, _)), Some(primary), _) if identity.uuid() != primary.uuid() => "other",
            (Some((identity, _)), _, Some(latest)) if identity.generation() < latest.generation() => "older",
            _ => found.condition.name(),
        }
    }

    /// The copies that make up the identity: the primary and the one it names; else whatever copies there are.
    pub fn pair(&self) -> Vec<&Found> {
        let peer_lba =
            self.primary().and_then(|primary| primary.copy.as_ref()).map(|(_, peer_lba)| *peer_lba);
        let mut pair: Vec<_> = match (self.primary(), peer_lba) {
            (Some(primary), Some(peer_lba)) => {
                [Some(primary), self.at(peer_lba)].into_iter().flatten().collect()
            }
            _ => self.ours().collect(),
        };
        pair.sort_by_key(|found| reading_position(found.lba));
        pair
    }
}

fn look<'s>(card: &dyn Card, lba: u32, sector: &'s mut Sector) -> (Reading<'s>, Found) {
    let found = |condition, detail| Found { lba, condition, detail, copy: None };
    if u64::from(lba) >= card.sectors() {
        return (Reading::Absent, found(Condition::Absent, String::new()));
    }
    if let Err(error) = card.read(lba.into(), sector) {
        return (Reading::Unreadable, found(Condition::Unreadable, plain(&error)));
    }
    let parsed = Copy::parse(sector, lba);
    let found = match &parsed {
        Ok(copy) => {
            Found { copy: Some((copy.identity(), copy.peer_lba())), ..found(Condition::Valid, String::new()) }
        }
        Err(NotACopy::Blank) => found(Condition::Blank, String::new()),
        Err(NotACopy::Foreign) => found(Condition::Foreign, "data of something else".into()),
        Err(NotACopy::Corrupt(defect)) => found(Condition::Corrupt, defect.to_string()),
        Err(NotACopy::Newer(newer)) => found(Condition::Newer, newer.to_string()),
    };
    (Reading::Sector(parsed), found)
}
