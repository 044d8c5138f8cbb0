// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which sector to read next, and what the sectors read so far say together.
//!
//! The caller owns the device: it asks [`Search::next`] for an LBA, reads that sector, hands it to
//! [`Search::give`], and goes on until `next` returns `None`; then [`Search::state`] is the answer. This order of
//! calls is the same for a bootloader and for every other reader: all slots are looked at, for a reader of fewer takes a
//! piece of another card, say a boot loader's region with a copy in it, for this card's identity.

use core::num::NonZeroU32;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::copy::{NotACopy, StoredCopy};
use crate::sector::checksum;
use crate::slot::{COUNT, READING_ORDER_LBAS};
use crate::state::State;

/// The slots, a hint, and a few places outside the slots that copies name.
const SEEN_MAX: usize = COUNT + 4;

/// What was read at one LBA.
#[derive(Clone, Copy, Debug)]
pub enum Reading<'a> {
    /// The sector, parsed for that LBA.
    Sector(Result<StoredCopy<'a>, NotACopy>),
    /// The device is shorter than that.
    Absent,
    /// The device failed to read it.
    Unreadable,
}

/// What one sector was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Condition {
    /// The device ends before it.
    Absent = 1,
    /// All zero.
    Blank,
    /// Something else's data; also an intact copy that was written for another LBA.
    Foreign,
    /// A valid copy.
    Valid,
    /// A damaged copy.
    Corrupt,
    /// A copy beyond this program.
    Newer,
    /// The device failed to read it.
    Unreadable,
}

impl Condition {
    /// The condition's name in JSON and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Blank => "blank",
            Self::Foreign => "foreign",
            Self::Valid => "valid",
            Self::Corrupt => "corrupt",
            Self::Newer => "newer",
            Self::Unreadable => "unreadable",
        }
    }

    /// The condition's number, in a search and in C; not 0.
    pub const fn code(self) -> u32 {
        match self {
            Self::Absent => 1,
            Self::Blank => 2,
            Self::Foreign => 3,
            Self::Valid => 4,
            Self::Corrupt => 5,
            Self::Newer => 6,
            Self::Unreadable => 7,
        }
    }

    fn of_code(code: u32) -> Self {
        match code {
            2 => Self::Blank,
            3 => Self::Foreign,
            4 => Self::Valid,
            5 => Self::Corrupt,
            6 => Self::Newer,
            7 => Self::Unreadable,
            _ => Self::Absent,
        }
    }
}

impl From<NotACopy> for Condition {
    #[inline(always)]
    fn from(reason: NotACopy) -> Self {
        match reason {
            NotACopy::Blank => Self::Blank,
            NotACopy::Foreign | NotACopy::Misplaced { .. } => Self::Foreign,
            NotACopy::Corrupt(_) => Self::Corrupt,
            NotACopy::Newer(_) => Self::Newer,
        }
    }
}

/// One sector that was looked at. Plain numbers: C holds a search between calls, and every bit pattern is harmless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Seen {
    lba: u32,
    peer_lba: u32,
    generation: u32,
    uuid: [u8; 16],
    content: u32,
    condition: u32,
}

impl Seen {
    /// Where it was read.
    pub fn lba(&self) -> u32 {
        self.lba
    }

    /// What it was found to be.
    pub fn condition(&self) -> Condition {
        Condition::of_code(self.condition)
    }

    /// The number of that.
    pub fn code(&self) -> u32 {
        self.condition
    }

    /// How often the identity in it had been written; 0 unless valid.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    fn is(&self, condition: Condition) -> bool {
        self.condition == condition.code()
    }

    /// Whether both cannot be right: two UUIDs, or two contents with one generation.
    fn contradicts(&self, other: &Self) -> bool {
        self.uuid != other.uuid || (self.generation == other.generation && self.content != other.content)
    }
}

/// Tells two versions of one identity apart; not a protection, the copy's own checksum is that.
fn content(copy: &StoredCopy<'_>) -> u32 {
    checksum(copy.fields().bytes())
}

/// A search under way. What has been seen is followed by zeros: LBA 0 is never looked at, and no condition is 0.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Search {
    hint_lba: u32,
    seen: [Seen; SEEN_MAX],
}

impl Search {
    /// A search that looks at `hint_lba` first, if there is one, and then at the slots in their order.
    pub fn new(hint_lba: Option<u32>) -> Self {
        Self { hint_lba: hint_lba.unwrap_or(0), seen: [Seen::default(); SEEN_MAX] }
    }

    /// Makes a new search of any other, or of any bytes, where it lies.
    pub fn begin(&mut self, hint_lba: Option<u32>) {
        self.zero();
        self.hint_lba = hint_lba.unwrap_or(0);
    }

    /// Every sector looked at so far, in that order.
    pub fn seen(&self) -> &[Seen] {
        let len = self.seen.iter().position(|seen| seen.lba == 0).unwrap_or(SEEN_MAX);
        self.seen.get(..len).unwrap_or_default()
    }

    /// The copy that decides: the first that is valid, or intact and beyond this program.
    #[inline(always)]
    pub fn primary(&self) -> Option<&Seen> {
        self.first(Condition::Valid, Condition::Newer)
    }

    /// The first sector that was found to be one or the other. Not inlined, as below: for a bootloader one function is
    /// smaller than a copy for each caller.
    #[inline(never)]
    fn first(&self, one: Condition, other: Condition) -> Option<&Seen> {
        self.seen.iter().find(|seen| seen.is(one) || seen.is(other))
    }

    /// This sector, if it may be looked at: it is not LBA 0, has not been looked at, and there is room to remember it.
    #[inline(never)]
    fn unseen(&self, lba: u32) -> Option<NonZeroU32> {
        for seen in &self.seen {
            if seen.lba == lba {
                return None;
            }
            if seen.lba == 0 {
                return NonZeroU32::new(lba);
            }
        }
        None
    }

    /// The next sector to read; `None` when the search is over.
    #[inline(always)]
    pub fn next(&self) -> Option<u32> {
        self.next_lba().map(NonZeroU32::get)
    }

    /// The same, in one word.
    #[inline(never)]
    fn next_lba(&self) -> Option<NonZeroU32> {
        let slots = || READING_ORDER_LBAS.iter().find_map(|&lba| self.unseen(lba));
        let peers = || self.seen.iter().find_map(|seen| self.unseen(seen.peer_lba));
        self.unseen(self.hint_lba).or_else(slots).or_else(peers)
    }

    /// Takes what was read at `lba`, which is what [`Search::next`] returned.
    ///
    /// # Errors
    /// `Err(())` if `lba` is not the sector that was asked for, or the copy not from there; nothing is taken then.
    #[allow(clippy::result_unit_err)]
    pub fn give(&mut self, lba: u32, reading: Reading<'_>) -> Result<Condition, ()> {
        let found = match reading {
            Reading::Sector(parsed) => parsed.map_err(Condition::from),
            Reading::Absent => Err(Condition::Absent),
            Reading::Unreadable => Err(Condition::Unreadable),
        };
        self.take(lba, &found)
    }

    /// [`Search::give`] without the reasons: a copy, or the condition of the sector that holds none.
    ///
    /// # Errors
    /// As with `give`; also if the condition is that of a copy.
    #[allow(clippy::result_unit_err)]
    pub fn take(&mut self, lba: u32, found: &Result<StoredCopy<'_>, Condition>) -> Result<Condition, ()> {
        let condition = match found {
            Ok(copy) if copy.own_lba() == lba => Condition::Valid,
            Ok(_) | Err(Condition::Valid) => return Err(()),
            Err(condition) => *condition,
        };
        if self.next() != Some(lba) {
            return Err(());
        }
        let seen = self.seen.iter_mut().find(|seen| seen.lba == 0).ok_or(())?;
        (seen.lba, seen.condition) = (lba, condition.code());
        if let Ok(copy) = found {
            seen.peer_lba = copy.peer_lba();
            seen.generation = copy.generation();
            seen.uuid = *copy.uuid().as_bytes();
            seen.content = content(copy);
        }
        Ok(condition)
    }

    /// What the sectors read so far say together.
    pub fn state(&self) -> State {
        match self.primary() {
            Some(primary) if primary.is(Condition::Newer) => State::Newer,
            Some(primary) => self.state_of_valid(primary),
            None if self.any(Condition::Corrupt) => State::Corrupt,
            None if self.any(Condition::Unreadable) => State::Unreadable,
            None => State::Blank,
        }
    }

    fn any(&self, condition: Condition) -> bool {
        self.first(condition, condition).is_some()
    }

    fn state_of_valid(&self, primary: &Seen) -> State {
        let mut state = State::Valid;
        // The zeros behind what was seen are neither a copy nor the peer.
        for seen in self.seen.iter().filter(|seen| seen.lba != primary.lba) {
            let is_peer = seen.lba == primary.peer_lba;
            let is_good = if seen.is(Condition::Valid) {
                if seen.contradicts(primary) {
                    return State::Conflict;
                }
                is_peer && seen.peer_lba == primary.lba && seen.generation == primary.generation
            } else {
                !is_peer && !seen.is(Condition::Corrupt) && !seen.is(Condition::Newer)
            };
            if !is_good {
                state = State::Degraded;
            }
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::kind;
    use crate::identity::{Draft, Identity};
    use crate::sector::SECTOR_LEN;
    use crate::slot::READING_ORDER;
    use std::collections::HashMap;
    use std::vec::Vec;
    use uuid::Uuid;

    type Card = HashMap<u32, [u8; SECTOR_LEN]>;

    fn identity(uuid: u128, generation: u32) -> Identity {
        let mut draft = Draft::new(Uuid::from_u128(uuid)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        draft.set_generation(generation);
        draft.finish().unwrap()
    }

    fn stamped(identity: &Identity, a: u32, b: u32) -> Card {
        HashMap::from([(a, identity.encode(a, b)), (b, identity.encode(b, a))])
    }

    fn run(card: &Card, hint: Option<u32>) -> (State, Vec<u32>) {
        let mut search = Search::new(hint);
        while let Some(lba) = search.next() {
            let sector = card.get(&lba).copied().unwrap_or([0; SECTOR_LEN]);
            search.give(lba, Reading::Sector(StoredCopy::parse(&sector, lba))).unwrap();
        }
        (search.state(), search.seen().iter().map(|seen| seen.lba).collect())
    }

    fn damaged(card: &Card, lba: u32) -> Card {
        let mut card = card.clone();
        card.get_mut(&lba).unwrap()[60] ^= 1;
        card
    }

    #[test]
    fn all_slots_are_looked_at() {
        let card = stamped(&identity(1, 1), 52, 6607);
        assert_eq!(run(&card, None), (State::Valid, READING_ORDER.map(|slot| slot.lba).to_vec()));
        let (state, seen) = run(&card, Some(6607));
        assert_eq!((state, seen.len(), seen[..2].to_vec()), (State::Valid, COUNT, std::vec![6607, 52]));
        let (state, seen) = run(&card, Some(300));
        assert_eq!((state, seen.len(), seen[..2].to_vec()), (State::Valid, COUNT + 1, std::vec![300, 52]));
    }

    #[test]
    fn blank_card() {
        let (state, seen) = run(&Card::new(), None);
        assert_eq!((state, seen.len()), (State::Blank, COUNT));
    }

    #[test]
    fn a_damaged_or_missing_copy_degrades() {
        let card = stamped(&identity(1, 1), 52, 6607);
        for lba in [52, 6607] {
            assert_eq!(run(&damaged(&card, lba), None).0, State::Degraded, "damaged {lba}");
            let mut missing = card.clone();
            missing.remove(&lba);
            assert_eq!(run(&missing, None).0, State::Degraded, "missing {lba}");
        }
    }

    #[test]
    fn both_damaged() {
        let card = damaged(&damaged(&stamped(&identity(1, 1), 52, 6607), 52), 6607);
        assert_eq!(run(&card, None), (State::Corrupt, READING_ORDER.map(|slot| slot.lba).to_vec()));
    }

    #[test]
    fn two_identities_are_a_conflict() {
        let mut card = stamped(&identity(1, 1), 52, 6607);
        card.insert(6607, identity(2, 1).encode(6607, 52));
        assert_eq!(run(&card, None).0, State::Conflict);
        let mut card = stamped(&identity(1, 1), 52, 6607);
        card.insert(7, identity(2, 1).encode(7, 5));
        assert_eq!(run(&card, None).0, State::Conflict);
    }

    #[test]
    fn an_older_copy_degrades_whichever_it_is() {
        for (first, second) in [(1, 2), (2, 1)] {
            let card = HashMap::from([
                (52, identity(1, first).encode(52, 6607)),
                (6607, identity(1, second).encode(6607, 52)),
            ]);
            assert_eq!(run(&card, None).0, State::Degraded);
        }
    }

    #[test]
    fn a_third_copy_degrades() {
        let mut card = stamped(&identity(1, 1), 52, 6607);
        card.insert(5, identity(1, 1).encode(5, 52));
        assert_eq!(run(&card, None).0, State::Degraded);
    }

    #[test]
    fn a_copied_sector_is_no_identity() {
        let card = HashMap::from([(54, identity(1, 1).encode(52, 6607))]);
        assert_eq!(run(&card, None).0, State::Blank);
        let mut card = stamped(&identity(1, 1), 52, 6607);
        card.insert(54, identity(2, 1).encode(52, 6607));
        assert_eq!(run(&card, None).0, State::Valid);
        card.insert(6607, identity(1, 1).encode(52, 6607));
        assert_eq!(run(&card, None).0, State::Degraded);
    }

    #[test]
    fn places_outside_the_slots_are_followed() {
        let card = stamped(&identity(1, 1), 52, 300);
        let (state, seen) = run(&card, None);
        assert_eq!((state, seen.last()), (State::Valid, Some(&300)));
        assert_eq!(run(&stamped(&identity(1, 1), 300, 301), None).0, State::Blank);
        assert_eq!(run(&stamped(&identity(1, 1), 300, 301), Some(301)).0, State::Valid);
    }

    #[test]
    fn only_what_was_asked_for_is_taken() {
        let mut search = Search::new(None);
        assert_eq!(search.give(53, Reading::Absent), Err(()));
        assert_eq!(search.take(52, &Err(Condition::Valid)), Err(()));
        assert!(search.seen().is_empty());
    }

    #[test]
    fn unreadable_and_absent() {
        let all = |reading: fn(u32) -> Reading<'static>| {
            let mut search = Search::new(None);
            while let Some(lba) = search.next() {
                search.give(lba, reading(lba)).unwrap();
            }
            search.state()
        };
        assert_eq!(all(|_| Reading::Absent), State::Blank);
        assert_eq!(
            all(|lba| if lba == 52 { Reading::Unreadable } else { Reading::Absent }),
            State::Unreadable
        );
    }

    #[test]
    fn any_bytes_from_c_are_harmless() {
        for byte in [0xff, 0x01, 0x80] {
            let bytes = [byte; size_of::<Search>()];
            let mut search = Search::read_from_bytes(&bytes).unwrap();
            let _ = search.state();
            while let Some(lba) = search.next() {
                search.give(lba, Reading::Absent).unwrap();
            }
        }
    }
}
