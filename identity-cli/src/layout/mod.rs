// SPDX-License-Identifier: MIT OR Apache-2.0
//! What lies before the first partition of a card, from its first sectors alone: bytes in, regions out.
//!
//! ```text
//! &[u8] ── table::read ──▶ PartitionTable ─┐
//!       └─ recognise ────▶ content ────────┼─▶ Map ── slots::check_slot ──▶ free, or why not
//!                families ── claims ───────┘
//! ```
//!
//! Nothing here does I/O, and nothing can panic, whatever the card holds.
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
pub mod table;
