// SPDX-License-Identifier: MIT OR Apache-2.0
//! U-Boot's environment: a checksum, a flag byte if there are two copies, then `name=value` with NUL between.

use super::{Budget, Extent, Find, Format};
use crate::bytes::{Bytes, CRC32, SECTOR};

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
        let text_len = text_len(Bytes::from(bytes, at), budget)?;
        let len = find_len(bytes, at, at.checked_add(text_len)?, budget)?;
        Some(Extent::new(len, detail))
    })
}

/// Longest name of a variable that is believed.
const NAME_LEN_MAX: u64 = 256;

/// Length of variables up to their double NUL; `None` if they are none.
fn text_len(data: &[u8], budget: &mut Budget) -> Option<u64> {
    // Of the variable that is open: how long its name is, and whether the value has begun.
    let (mut name_len, mut in_value) = (0_u64, false);
    for (at, &byte) in (0_u64..LEN_MAX).zip(data) {
        match byte {
            0 if in_value => (name_len, in_value) = (0, false),
            0 if name_len == 0 && at > 0 => return at.checked_add(1),
            b'=' if name_len > 0 => in_value = true,
            b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..=0xfe if in_value => {}
            b'!'..=b'~' if name_len < NAME_LEN_MAX => name_len = name_len.checked_add(1)?,
            _ => return None,
        }
        if at % SECTOR == 0 {
            budget.take(SECTOR)?;
        }
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
