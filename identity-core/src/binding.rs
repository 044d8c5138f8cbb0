// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether an identity is on the card and the board that it was bound to: evidence, not proof.

use crate::field::{CID_LEN, Fields, kind};
use crate::state::State;

/// What a reader found out about where it runs; `None` for what it could not, and then nothing is said of that.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// The card's CID (SD Physical Layer Specification, section 5.2); its last byte, the checksum, does not count,
    /// because some hosts do not deliver it.
    pub card: Option<&'a [u8; CID_LEN]>,
    /// The board's serial number or SoC id.
    pub board: Option<&'a [u8]>,
}

/// The state of a card on which a search found `found` and an identity with `fields`, in these surroundings: `cloned` comes
/// before `moved`, and both only instead of a state in which a board may use the identity.
pub fn state(found: State, fields: Fields<'_>, surroundings: Surroundings<'_>) -> State {
    if !found.is_usable() {
        return found;
    }
    let bound_to = |kind| fields.value(kind, 0);
    match (surroundings.card, bound_to(kind::CARD)) {
        (Some(card), Some(bound)) if !is_same_card(card, bound) => return State::Cloned,
        _ => (),
    }
    match (surroundings.board, bound_to(kind::BOARD)) {
        (Some(board), Some(bound)) if board != bound => State::Moved,
        _ => found,
    }
}

/// All but the last byte.
fn is_same_card(card: &[u8; CID_LEN], bound: &[u8]) -> bool {
    let (Some((_, card)), Some((_, bound))) = (card.split_last(), bound.split_last()) else { return false };
    card == bound
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Draft, Identity};
    use uuid::Uuid;

    const CID: [u8; CID_LEN] = *b"\xaaXYQEMU!\x01\xde\xad\xbe\xef\x00\x62\x19";

    fn identity(card: Option<[u8; CID_LEN]>, board: Option<&str>) -> Identity {
        let mut draft = Draft::new(Uuid::from_u128(1)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        if let Some(card) = card {
            draft.set_card(card).unwrap();
        }
        if let Some(board) = board {
            draft.set_text(kind::BOARD, board).unwrap();
        }
        draft.finish().unwrap()
    }

    fn found(identity: &Identity, card: Option<[u8; CID_LEN]>, board: Option<&str>) -> State {
        let surroundings = Surroundings { card: card.as_ref(), board: board.map(str::as_bytes) };
        state(State::Valid, identity.fields(), surroundings)
    }

    #[test]
    fn bound_to_this_card_and_board() {
        let bound = identity(Some(CID), Some("SN7"));
        let mut stripped = CID;
        stripped[15] = 0;
        assert_eq!(found(&bound, Some(CID), Some("SN7")), State::Valid);
        assert_eq!(found(&bound, Some(stripped), Some("SN7")), State::Valid, "the checksum does not count");
    }

    #[test]
    fn another_card_or_board() {
        let bound = identity(Some(CID), Some("SN7"));
        for at in 0..CID_LEN - 1 {
            let mut other = CID;
            other[at] ^= 1;
            assert_eq!(found(&bound, Some(other), Some("SN7")), State::Cloned, "byte {at}");
            assert_eq!(found(&bound, Some(other), Some("SN8")), State::Cloned, "before moved");
        }
        for other in ["SN8", "SN", "SN77", ""] {
            assert_eq!(found(&bound, Some(CID), Some(other)), State::Moved, "{other}");
        }
    }

    #[test]
    fn what_is_not_known_or_not_bound_says_nothing() {
        let mut other = CID;
        other[0] ^= 1;
        assert_eq!(found(&identity(Some(CID), Some("SN7")), None, None), State::Valid);
        assert_eq!(found(&identity(None, None), Some(other), Some("SN8")), State::Valid);
    }

    #[test]
    fn only_instead_of_a_usable_state() {
        let bound = identity(Some(CID), None);
        let mut other = CID;
        other[0] ^= 1;
        let surroundings = Surroundings { card: Some(&other), board: None };
        for state in State::ALL {
            let expected = if state.is_usable() { State::Cloned } else { state };
            assert_eq!(super::state(state, bound.fields(), surroundings), expected, "{state}");
        }
    }
}
