// SPDX-License-Identifier: MIT OR Apache-2.0
//! A board's root from an NBD server: attached, and attached again when the server was away.
//!
//! ```text
//! main (three words) ──▶ starts itself anew as @netroot, which stays
//! hold ──▶ device   the kernel's side, generic netlink: attach, hear of a loss, attach again
//!      └─▶ server   the server's side: where it is, and the handshake
//! ```
#![forbid(unsafe_code)]

mod device;
mod hold;
mod server;

pub use device::Device;
pub use hold::{Lost, hold, log};
pub use server::{Export, Location};

// The example in the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
