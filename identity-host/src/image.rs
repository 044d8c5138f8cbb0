// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images as others distribute them: packed, with a checksum, with a block map. Read once from front to back.
//!
//! ```text
//! file ──▶ input (counted, hashed) ──▶ decode (by container) ──▶ source
//! ```

use std::fs;

pub mod bmap;
pub mod container;
pub mod decode;
pub mod digest;
pub mod foreign;
pub mod input;
pub mod problem;
pub mod signature;
pub mod source;
pub mod zip;

/// Memory that xz and zstd may take unless a person says otherwise, in bytes: 1 GiB, or what the machine has left of it.
/// `xz -9` takes 65 MiB, `zstd --ultra -22` 128 MiB.
pub fn default_memory() -> u64 {
    const MAX: u64 = 1 << 30;
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib: Option<u64> = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kib.map_or(MAX, |kib| kib.saturating_mul(1024).min(MAX))
}

/// Bytes that are read, hashed, written and read back at a time; a multiple of every alignment that matters.
pub const CHUNK_LEN: usize = 2 << 20;
