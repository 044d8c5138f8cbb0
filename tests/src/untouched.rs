// SPDX-License-Identifier: MIT OR Apache-2.0
//! The promise that matters most: whatever is done to an identity, nothing else on the card changes.

use identity_core::slot::READING_ORDER;
use serde_json::Value;

use crate::image::Image;

const UUID: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";

/// A card that gets an identity, and what was on it before.
#[derive(Debug)]
pub struct Watched<'a> {
    image: &'a Image,
    before: Vec<u8>,
    slots: Vec<usize>,
}

impl<'a> Watched<'a> {
    /// Stamps a card without an identity, and sees where the copies went.
    #[track_caller]
    pub fn stamp(image: &'a Image) -> Self {
        let before = image.bytes();
        let words = format!("stamp --profile panda --uuid {UUID} --hostname h --format json");
        let stamped = image.run(words).exits(0).is_quiet().json();
        let copies = stamped["copies"].as_array().expect("copies");
        let mut slots: Vec<_> =
            copies.iter().filter_map(|copy| copy["lba"].as_u64()).map(|lba| lba as usize).collect();
        slots.sort_unstable();
        let watched = Self { image, before, slots };
        watched.check("stamp");
        watched
    }

    /// Where the copies are, ascending.
    pub fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// Exactly two sectors differ from what was on the card, and they are the two copies.
    #[track_caller]
    fn check(&self, step: &str) {
        assert_eq!(self.slots.len(), 2, "{step}: copies");
        assert_eq!(self.image.changed_since(&self.before), self.slots, "{step}: sectors that changed");
        assert_eq!(self.image.copies(), self.slots, "{step}: sectors with a copy");
    }

    /// The two copies stay where they are when the identity is changed.
    #[track_caller]
    pub fn update(&self) -> &Self {
        let words = format!("stamp --uuid {UUID} --hostname other --set rack=b4 --format json");
        let updated: Value = self.image.run(words).exits(0).is_quiet().json();
        assert_eq!((&updated["generation"], &updated["hostname"]), (&2.into(), &"other".into()));
        self.check("update");
        self
    }

    /// Each copy in turn is damaged, and comes back bit for bit: one with a flipped bit, the other beyond recognition.
    #[track_caller]
    pub fn repair(&self) -> &Self {
        let whole = self.image.bytes();
        for (number, &lba) in self.slots.iter().enumerate() {
            let lba = u32::try_from(lba).expect("a slot");
            if number == 0 {
                self.image.damage(lba)
            } else {
                self.image.clear(lba)
            };
            self.image.run(format!("repair --keep {UUID}")).exits(0).is_quiet();
            assert_eq!(self.image.changed_since(&whole), [0; 0], "repair of LBA {lba}");
        }
        self
    }

    /// Afterwards the card is, to the last bit, what it was at first.
    #[track_caller]
    pub fn erase(&self) {
        self.image.run("erase --force").exits(0).says_one_sentence().says(&["kept in", UUID]);
        assert_eq!(self.image.changed_since(&self.before), [0; 0], "erase: sectors that changed");
    }
}

/// The two slots are those that a reader of the rules would take of the free ones: the one that is read first, and
/// one of another group if there is any.
#[track_caller]
pub fn check_choice(slots: &[usize], free: &[u32]) {
    let slot_of = |lba: usize| READING_ORDER.iter().find(|slot| slot.lba as usize == lba).expect("a slot");
    let taken: Vec<_> = slots.iter().map(|&lba| slot_of(lba)).collect();
    for slot in &taken {
        assert!(free.contains(&slot.lba), "LBA {} is not free; free are {free:?}", slot.lba);
    }
    let mut in_order = READING_ORDER.iter().filter(|slot| free.contains(&slot.lba));
    let first = in_order.next().expect("a free slot");
    assert!(taken.contains(&first), "of {free:?}, LBA {} is read first, and {slots:?} were taken", first.lba);
    if in_order.any(|slot| slot.group != first.group) {
        assert_ne!(taken[0].group, taken[1].group, "of {free:?} two of one group were taken: {slots:?}");
    }
}
