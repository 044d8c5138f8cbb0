// SPDX-License-Identifier: MIT OR Apache-2.0
//! U-Boot's environment: a checksum, a flag byte if there are two copies, then `name=value` with NUL between.

use super::{Budget, Extent, Find, Format};
use crate::layout::bytes::{Bytes, CRC32, SECTOR, len};

/// The environment, by its checksum over every length that it may have.
pub const ENV: Format = Format {
    name: "environment",
    family: "U-Boot",
    magic: &[],
    source: "U-Boot env/mmc.c, include/env_internal.h; lengths of all defconfigs",
    find: Find::Costly(find_env),
};

/// Shorter ones are of boards with an EEPROM.
const LEN_MIN: u64 = 0x800;
const LEN_MAX: u64 = 0x10_0000;
/// Behind the checksum, and behind the flag of a redundant one.
const DATA_OFFSETS: [(u64, &str); 2] = [(4, ""), (5, "one of two copies")];

fn find_env(bytes: &[u8], budget: &mut Budget) -> Option<Extent> {
    DATA_OFFSETS.iter().find_map(|&(at, detail)| {
        let text_len = text_len(Bytes::from(bytes, at))?;
        let len = find_len(bytes, at, at.checked_add(text_len)?, budget)?;
        Some(Extent::new(len, detail))
    })
}

/// Length of variables up to their double NUL; `None` if they are none.
fn text_len(data: &[u8]) -> Option<u64> {
    let mut end = 0_u64;
    for entry in data.span(0, LEN_MAX).unwrap_or(data).split_inclusive(|&byte| byte == 0) {
        let (_, text) = entry.split_last().filter(|(nul, _)| **nul == 0)?;
        if text.is_empty() {
            return end.checked_add(1).filter(|_| end > 0);
        }
        let equals = text.iter().position(|&byte| byte == b'=')?;
        let is_text = |byte: &u8| *byte >= 0x20 && *byte != 0x7f || byte.is_ascii_whitespace();
        (equals > 0 && text.iter().all(is_text)).then_some(())?;
        end = end.checked_add(len(entry))?;
    }
    None
}

/// The length over which the checksum is right: every multiple of a sector is tried, in one pass.
fn find_len(bytes: &[u8], data_at: u64, text_end: u64, budget: &mut Budget) -> Option<u64> {
    let stored = bytes.u32_le(0)?;
    let mut tried = text_end.max(LEN_MIN).checked_next_multiple_of(SECTOR)?;
    budget.take(tried)?;
    let mut digest = CRC32.digest();
    digest.update(bytes.span(data_at, tried.checked_sub(data_at)?)?);
    loop {
        if digest.clone().finalize() == stored {
            return Some(tried);
        }
        if tried >= LEN_MAX {
            return None;
        }
        budget.take(SECTOR)?;
        digest.update(bytes.span(tried, SECTOR)?);
        tried = tried.checked_add(SECTOR)?;
    }
}
