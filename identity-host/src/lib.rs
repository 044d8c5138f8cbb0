// SPDX-License-Identifier: MIT OR Apache-2.0
//! SD card identities on a Linux host: what is on a card, what to write, and writing it safely. No words for people: facts
//! and errors as types.
//!
//! ```text
//!  attached ──▶ by_identity (udev's links) ──▶ default_card ◀── boot_handover (what the bootloader has read)
//!                   │
//!                   ▼
//!  device ──▶ first_sectors (each sector once) ──▶ scan ──▶ whole_card ──▶ stamp, bind, repair, erase ──▶ plan (pure)
//!             surroundings (card, board) ───────────┘│                     image ──▶ flash ────────────────┤
//!             new_image (a file as a card)           │                                                     ▼
//!  directory ◀── document (JSON, hex) ◀──────────────┘      record (on the host) ◀── update ◀── execute, flash::write
//!                                                                                               (the only writers)
//!  error: the reasons of all of them    new_file: whole or not there    size_limit: `ulimit -f`    patience: waiting
//!  testing: a card in memory that fails as it is told
//! ```
#![forbid(unsafe_code)]

pub mod attached;
#[cfg(feature = "stamp")]
pub mod bind;
pub mod boot_handover;
pub mod by_identity;
pub mod default_card;
pub mod device;
pub mod directory;
pub mod document;
#[cfg(feature = "stamp")]
pub mod erase;
pub mod error;
#[cfg(feature = "stamp")]
pub mod execute;
pub mod first_sectors;
#[cfg(feature = "flash")]
pub mod flash;
mod hex;
#[cfg(feature = "flash")]
pub mod image;
#[cfg(feature = "stamp")]
mod new_file;
#[cfg(feature = "stamp")]
pub mod new_image;
mod patience;
#[cfg(feature = "stamp")]
pub mod plan;
#[cfg(feature = "stamp")]
pub mod record;
#[cfg(feature = "stamp")]
pub mod repair;
pub mod scan;
#[cfg(feature = "stamp")]
pub mod size_limit;
#[cfg(feature = "stamp")]
pub mod stamp;
pub mod surroundings;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(feature = "stamp")]
pub mod update;
pub mod whole_card;

pub use error::{Error, Result};

// The example in the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
