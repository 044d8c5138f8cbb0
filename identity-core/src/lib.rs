// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an SD card identity is: its bytes, its meaning, what is derived from it, where it is looked for.
//!
//! Data flows one way, and each arrow has one function that can fail:
//!
//! ```text
//! &[u8; 512] ── StoredCopy::parse ──▶ StoredCopy ── identity() ──▶ Identity ── derive::* ──▶ MAC, machine-id
//!                                                        │
//! &[u8; 512] ◀─────────────── Identity::encode ──────────┘
//! ```
//!
//! Nothing here does I/O, allocates, or can panic: the same code runs in a bootloader.
//! The format is specified in `docs/FORMAT.md`; a test holds that document against these constants.
#![no_std]
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

#[cfg(test)]
extern crate std;

pub mod binding;
pub mod copy;
pub mod derive;
pub mod field;
pub mod identity;
pub mod mac;
pub mod search;
pub mod sector;
mod sha1;
pub mod slot;
pub mod state;
pub mod text;

pub use copy::StoredCopy;
pub use identity::{Draft, Identity};
pub use mac::Mac;
pub use search::Search;
pub use sector::SECTOR_LEN;
pub use state::State;
pub use uuid::Uuid;
