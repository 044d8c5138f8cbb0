// SPDX-License-Identifier: MIT OR Apache-2.0
//! One answer to "what is on this card": every reader is asked about every odd card of `fixtures/cards/cards.json`.
//!
//! U-Boot is asked in `tests/board/sandbox_cards.rs`.

#[path = "../faults/abi.rs"]
#[allow(dead_code, reason = "tests/faults asks for less")]
mod abi;
#[path = "../faults/card.rs"]
#[allow(dead_code, reason = "what reads and what writes use different parts of it")]
mod card;
mod contract;
mod data;
mod library;
mod linux;
mod program;
mod python;
mod verbs;
mod writers;
