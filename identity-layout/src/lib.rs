// SPDX-License-Identifier: MIT OR Apache-2.0
//! What lies before the first partition of a card, from its sectors alone: bytes in, regions and verdicts out.
//!
//! ```text
//!  sectors ──▶ inspection: which are wanted next ──▶ gap (by bytes: checked reads)
//!                                                     ├─▶ table (whole_device: who else) ─┐
//!                                                     ├─▶ recognise: images ── families ──┼─▶ map ──▶ slot_rules: free, or why not
//!  LBA 0 ──▶ mark: an unfinished flash                └───────────────────────────────────┘
//! ```
//!
//! Nothing here does I/O, and nothing can panic, whatever the card holds.
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::todo
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod bytes;
pub mod families;
pub mod gap;
pub mod inspection;
pub mod map;
pub mod mark;
pub mod recognise;
pub mod slot_rules;
pub mod table;
pub mod whole_device;

pub use gap::{GAP_SECTORS_MAX, Gap, Look, Piece};
pub use inspection::Inspection;
pub use map::{Basis, CopyState, Map, Owner, Region, map};
pub use slot_rules::{SlotBusy, check_place, check_slot};
pub use whole_device::{Signature, WholeDevice};

// The example in the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
