// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which sector to read next, and what the sectors read so far say together.
//!
//! The caller owns the device: it asks [`Search::next`] for an LBA, reads that sector, hands it to
//! [`Search::give`], and goes on until `next` returns `None`; then [`Search::state`] is the answer. This order of
//! calls is the same for a bootloader and for every other reader: all slots are looked at, for a reader of fewer takes a
//! piece of another card, say a boot loader's region with a copy in it, for this card's identity.

use core::num::NonZeroU32;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, transmute};

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
    /// Every byte is zero.
    Blank,
    /// Not blank, and without our magic; or an intact copy that was written for another LBA.
    Foreign,
    /// A copy that passes every check.
    Valid,
    /// Our magic, but a check fails.
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
    /// Words of the same bytes: where only aligned numbers can be loaded, two UUIDs of bytes are compared one by one.
    uuid: [u32; 4],
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
            seen.uuid = transmute!(copy.uuid().into_bytes());
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
mod tests;
