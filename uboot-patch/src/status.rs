// SPDX-License-Identifier: MIT OR Apache-2.0
//! Status numbers of the C ABI: positive, never reused, appended only.

use core::num::NonZeroI32;

use identity_core::State;

/// The output has been written.
pub const IDENTITY_OK: i32 = 1;
/// Read the sector at the LBA that was written and hand it to the search.
pub const IDENTITY_READ: i32 = 2;

/// No slot holds an identity.
pub const IDENTITY_BLANK: i32 = 10;
/// An identity, and nothing that was looked at speaks against it.
pub const IDENTITY_VALID: i32 = 11;
/// An identity, but a copy is missing, damaged, older, or there is one too many.
pub const IDENTITY_DEGRADED: i32 = 12;
/// There are copies, and none is valid.
pub const IDENTITY_CORRUPT: i32 = 13;
/// There are two identities.
pub const IDENTITY_CONFLICT: i32 = 14;
/// An intact copy that this library is too old for.
pub const IDENTITY_NEWER: i32 = 15;
/// The identity is bound to another card.
pub const IDENTITY_CLONED: i32 = 16;
/// The identity is bound to another board.
pub const IDENTITY_MOVED: i32 = 17;
/// No valid copy, and a slot that could not be read may hold one.
pub const IDENTITY_UNREADABLE: i32 = 18;

/// The identity has no such field, or no more of them.
pub const IDENTITY_ABSENT: i32 = 30;
/// A buffer is too small for the text and its NUL.
pub const IDENTITY_TOO_SMALL: i32 = 31;
/// A pointer is NULL or not aligned, or two objects overlap.
pub const IDENTITY_BAD_POINTER: i32 = 32;
/// A size is not the one that this library was built with: header and library differ.
pub const IDENTITY_BAD_SIZE: i32 = 33;
/// An argument has no meaning, or the sector is not the one that was asked for.
pub const IDENTITY_BAD_ARGUMENT: i32 = 34;

/// A status that says why nothing was written. It is never 0, so that a result with it has one word.
#[derive(Clone, Copy)]
pub(crate) struct Fault(NonZeroI32);

impl Fault {
    pub const ABSENT: Self = Self::of(IDENTITY_ABSENT);
    pub const TOO_SMALL: Self = Self::of(IDENTITY_TOO_SMALL);
    pub const BAD_POINTER: Self = Self::of(IDENTITY_BAD_POINTER);
    pub const BAD_SIZE: Self = Self::of(IDENTITY_BAD_SIZE);
    pub const BAD_ARGUMENT: Self = Self::of(IDENTITY_BAD_ARGUMENT);

    const fn of(status: i32) -> Self {
        match NonZeroI32::new(status) {
            Some(status) => Self(status),
            None => Self(NonZeroI32::MIN),
        }
    }

    pub fn status(self) -> i32 {
        self.0.get()
    }
}

/// The status that stands for a card's state.
pub fn of_state(state: State) -> i32 {
    match state {
        State::Blank => IDENTITY_BLANK,
        State::Valid => IDENTITY_VALID,
        State::Degraded => IDENTITY_DEGRADED,
        State::Corrupt => IDENTITY_CORRUPT,
        State::Conflict => IDENTITY_CONFLICT,
        State::Newer => IDENTITY_NEWER,
        State::Cloned => IDENTITY_CLONED,
        State::Moved => IDENTITY_MOVED,
        State::Unreadable => IDENTITY_UNREADABLE,
    }
}

/// The state that a status stands for; `None` for other statuses.
pub fn to_state(status: i32) -> Option<State> {
    Some(match status {
        IDENTITY_BLANK => State::Blank,
        IDENTITY_VALID => State::Valid,
        IDENTITY_DEGRADED => State::Degraded,
        IDENTITY_CORRUPT => State::Corrupt,
        IDENTITY_CONFLICT => State::Conflict,
        IDENTITY_NEWER => State::Newer,
        IDENTITY_CLONED => State::Cloned,
        IDENTITY_MOVED => State::Moved,
        IDENTITY_UNREADABLE => State::Unreadable,
        _ => return None,
    })
}

/// Longest name of a state, in bytes.
const NAME_LEN_MAX: usize = 10;

/// The states' names in the order of their statuses, filled up with NUL. No pointers, which a bootloader that moves itself
/// would have to adjust.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "computed by the compiler")]
static NAMES: [[u8; NAME_LEN_MAX]; State::ALL.len()] = {
    let mut names = [[0; NAME_LEN_MAX]; State::ALL.len()];
    let mut state = 0;
    while state < names.len() {
        let name = State::ALL[state].name().as_bytes();
        let mut at = 0;
        while at < name.len() {
            names[state][at] = name[at];
            at += 1;
        }
        state += 1;
    }
    names
};

/// The name of the state that a status stands for, the same as in JSON; `None` for other statuses.
pub fn state_name(status: i32) -> Option<&'static [u8]> {
    let name = NAMES.get(usize::try_from(status.wrapping_sub(IDENTITY_BLANK)).ok()?)?;
    let len = name.iter().position(|&byte| byte == 0).unwrap_or(NAME_LEN_MAX);
    name.get(..len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_names_follow_statuses() {
        for state in State::ALL {
            assert_eq!(state_name(of_state(state)), Some(state.name().as_bytes()));
            assert_eq!(to_state(of_state(state)), Some(state));
        }
        for status in [i32::MIN, -1, 0, IDENTITY_BLANK - 1, IDENTITY_UNREADABLE + 1, i32::MAX] {
            assert_eq!(state_name(status), None);
            assert_eq!(to_state(status), None);
        }
    }
}
