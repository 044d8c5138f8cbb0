// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an SD card identity is: its bytes, its meaning, what is derived from it, where it is looked for.
//!
//! ```text
//!  slot ──▶ search ── next() names a sector, give() takes it ──▶ state ──▶ binding: cloned? moved?
//!             ▲
//!             │ copy (StoredCopy::parse, by sector: offsets, CRC)
//!             │   │
//!  &[u8; 512] ┘   └─▶ identity ── field, text, mac: the rules of each value
//!  &[u8; 512] ◀─ encode ─┘  └───── derive (sha1) ──▶ MAC, machine-id
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

// The example in the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
