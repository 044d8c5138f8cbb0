// SPDX-License-Identifier: MIT OR Apache-2.0
//! What readers of every kind find on a card.

use std::collections::BTreeSet;
use std::ops::Range;

use identity_core::slot::READING_ORDER;
use identity_core::{Identity, State, StoredCopy};
use identity_host::scan::Scan;
use identity_uboot::status::of_state;

use crate::abi;
use crate::card::SimCard;

/// What a reader says.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub state: State,
    pub identity: Option<Identity>,
}

/// What all readers say: the Rust library and the C functions, which must agree.
pub fn ask(card: &SimCard, hint_lba: Option<u32>) -> Answer {
    let answer = verify(card, hint_lba);
    let (status, texts) = abi::look(card, hint_lba);
    assert_eq!(status, of_state(answer.state), "{answer:?}");
    let own = answer.identity.as_ref();
    assert_eq!(texts, own.map(|own| (own.uuid().to_string(), own.profile().to_owned())));
    answer
}

/// What `verify` says.
pub fn verify(card: &SimCard, hint_lba: Option<u32>) -> Answer {
    let survey = Scan::read(card, hint_lba);
    Answer { state: survey.state(), identity: survey.identity().cloned() }
}

/// What a command promises if the power goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Promise {
    /// Every reader finds the old or the new version.
    Kept,
    /// Every reader finds the old or the new identity, or says that there are both.
    Replaced,
    /// Every reader finds the new identity, or says that there is none, or none that it can read.
    Given,
    /// Every reader finds the old identity, or says that there is none, or none that it can read.
    Erased,
}

impl Promise {
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Kept | Self::Replaced)
    }
}

/// What readers may find.
pub struct Allowed {
    pub promise: Promise,
    pub identities: Vec<Identity>,
}

impl Allowed {
    /// `must_find`: there is a whole copy that nothing has happened to.
    pub fn check(&self, answer: &Answer, must_find: bool, about: &dyn Fn() -> String) {
        let known = answer.identity.as_ref().is_some_and(|found| self.identities.contains(found));
        let good = match answer.state {
            State::Valid | State::Degraded => known,
            State::Conflict => self.promise == Promise::Replaced && known,
            State::Blank | State::Corrupt | State::Unreadable => !must_find,
            _ => false,
        };
        assert!(good, "{}: {answer:?}", about());
    }
}

/// Whether there is a whole copy in a slot or in `places` outside the page that is lost, if one is.
pub fn is_copy_left(card: &SimCard, places: &BTreeSet<u64>, page: Option<Range<u64>>) -> bool {
    let slots = READING_ORDER.iter().map(|slot| u64::from(slot.lba));
    let mut outside = slots
        .chain(places.iter().copied())
        .filter(|lba| page.as_ref().is_none_or(|page| !page.contains(lba)));
    outside.any(|lba| StoredCopy::parse(&card.sector(lba), lba as u32).is_ok())
}
