// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where copies may be: ten fixed sectors in five pairs, and the one order in which every reader looks at them.
//!
//! The pairs are the fewest that leave two sectors free on nearly every known layout of boot loaders and
//! environments; how they were found is in `docs/DESIGN.md`.

/// Two slots that tend to be free, and to be wiped, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// LBA 5 and 7: only without a GPT, whose partition entries cover them.
    A,
    /// LBA 52 and 54.
    B,
    /// LBA 1711 and 1777.
    C,
    /// LBA 2703 and 2927.
    D,
    /// LBA 6607 and 6959.
    E,
}

impl Group {
    /// The group's letter, as in the documents.
    pub fn letter(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
            Self::C => 'C',
            Self::D => 'D',
            Self::E => 'E',
        }
    }
}

/// A sector that may hold a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its address in 512-byte sectors.
    pub lba: u32,
    /// The pair it belongs to.
    pub group: Group,
}

const fn slot(lba: u32, group: Group) -> Slot {
    Slot { lba, group }
}

/// Number of slots in the reading order.
pub const COUNT: usize = 10;

/// Every slot, in the order in which readers look: what is most often free and least often wiped comes first,
/// so that the first sector read normally holds the identity.
pub const READING_ORDER: [Slot; COUNT] = [
    slot(52, Group::B),
    slot(6607, Group::E),
    slot(2703, Group::D),
    slot(1711, Group::C),
    slot(5, Group::A),
    slot(54, Group::B),
    slot(6959, Group::E),
    slot(2927, Group::D),
    slot(1777, Group::C),
    slot(7, Group::A),
];

/// Where the slots of [`READING_ORDER`] are; half its size in a bootloader.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "computed by the compiler")]
pub(crate) static READING_ORDER_LBAS: [u32; COUNT] = {
    let mut lbas = [0; COUNT];
    let mut at = 0;
    while at < COUNT {
        lbas[at] = READING_ORDER[at].lba;
        at += 1;
    }
    lbas
};

/// Position of `lba` in the reading order; sectors that are no slot come after all slots.
pub fn reading_position(lba: u32) -> usize {
    READING_ORDER.iter().position(|slot| slot.lba == lba).unwrap_or(COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_pairs_alternating() {
        let (first, second) = READING_ORDER.split_at(5);
        for (one, other) in first.iter().zip(second) {
            assert_eq!(one.group, other.group);
            assert!(one.lba < other.lba);
        }
    }

    #[test]
    fn position_follows_the_table() {
        assert_eq!(reading_position(52), 0);
        assert_eq!(reading_position(7), 9);
        assert_eq!(reading_position(8), COUNT);
    }
}
