// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be said of a card. A state is reported, never replaced by a default.

use core::fmt;

/// The state of a card's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No slot holds an identity.
    Blank,
    /// An identity, and nothing that was looked at speaks against it.
    Valid,
    /// An identity, but a copy is missing, damaged, older, or there is one too many.
    Degraded,
    /// There are copies, and none is valid.
    Corrupt,
    /// There are two identities, or two versions of one that cannot both be right.
    Conflict,
    /// An intact copy of a later format version, or with a field that must be understood and is not.
    Newer,
    /// The identity is bound to another card.
    Cloned,
    /// The identity is bound to another board.
    Moved,
    /// No valid copy, and a slot that could not be read may hold one.
    Unreadable,
}

impl State {
    /// Every state that a card can have.
    pub const ALL: [Self; 9] = [
        Self::Blank,
        Self::Valid,
        Self::Degraded,
        Self::Corrupt,
        Self::Conflict,
        Self::Newer,
        Self::Cloned,
        Self::Moved,
        Self::Unreadable,
    ];

    /// The state's name in JSON, in U-Boot's `identity_state` and in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::Valid => "valid",
            Self::Degraded => "degraded",
            Self::Corrupt => "corrupt",
            Self::Conflict => "conflict",
            Self::Newer => "newer",
            Self::Cloned => "cloned",
            Self::Moved => "moved",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether a board may take this identity for its own.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Valid | Self::Degraded)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
