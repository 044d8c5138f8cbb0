// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C ABI for bootloaders: pure functions on memory that the caller owns.
//!
//! ```text
//!  C ── pointers ──▶ ffi (all unsafe code: pointers become references) ──▶ identity_core: search, copies, identity
//!  C ◀── status (one number for each meaning) ── record (an identity as C reads it) ◀──────────┘
//! ```
//!
//! No I/O, no callbacks, no allocation, no globals, nothing retained, no panic path. Outputs are written only on
//! success; there are no partial successes. Statuses are positive, each has one meaning for ever, new ones are
//! appended. The C header `include/identity.h` is generated from this crate and committed; a test compares them.
#![no_std]
#![deny(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::undocumented_unsafe_blocks
)]

mod ffi;
mod record;
pub mod status;

pub use ffi::*;
pub use record::{IDENTITY_SOURCE_ASSIGNED, IDENTITY_SOURCE_DERIVED, identity_record, text};

/// Calls a function that does not exist: if any path to a panic is left, the bootloader does not link.
#[cfg(target_os = "none")]
#[panic_handler]
#[allow(unsafe_code)]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn identity_panic_is_reachable() -> !;
    }
    // SAFETY: never linked, so never called.
    unsafe { identity_panic_is_reachable() }
}

// The example in the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
