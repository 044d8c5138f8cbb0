// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images as others distribute them: packed, with a checksum, with a block map. Read once from front to back.
//!
//! ```text
//! file ──▶ input (counted, hashed) ──▶ decode (by container) ──▶ source
//! ```

pub mod bmap;
pub mod container;
pub mod decode;
pub mod digest;
pub mod input;
pub mod source;
pub mod zip;

/// Bytes that are read, hashed, written and read back at a time; a multiple of every alignment that matters.
pub const CHUNK_LEN: usize = 2 << 20;
