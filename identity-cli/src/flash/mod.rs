// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing a whole image to a card that keeps its identity.
//!
//! ```text
//! prepare    source ──▶ decode ──▶ head (first sectors, in memory) ──▶ choice, plan (pure)
//!               └ digest
//! carry_out  record (on the host) ──▶ write (this thread: write, read back) ──▶ proof ──▶ record away
//!                 pipeline (a thread: decode, bmap) ──┘ └ progress, interrupt
//! ```
//!
//! The order of writes, and why the identity survives a power cut at any moment, is in [`write`].

pub mod bmap;
pub mod carry_out;
pub mod choice;
pub mod container;
pub mod decode;
pub mod digest;
pub mod head;
pub mod interrupt;
pub mod pipeline;
pub mod plan;
pub mod prepare;
pub mod progress;
pub mod proof;
pub mod record;
pub mod source;
pub mod write;
mod zip;

#[cfg(test)]
mod tests;

/// Bytes that are read, hashed, written and read back at a time; a multiple of every alignment that matters.
pub const CHUNK_LEN: usize = 2 << 20;
