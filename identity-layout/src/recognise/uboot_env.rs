// SPDX-License-Identifier: MIT OR Apache-2.0
//! U-Boot's environment: a checksum, a flag byte if there are two copies, then the variables.
//!
//! The checksum decides, not the text: a value may hold every byte but NUL. It is compared over every length in whole
//! sectors without hashing for each: a CRC is linear, so the register behind the bytes `a..b` is the one behind `0..b`,
//! XORed with the one behind `0..a` after `b - a` zeros. One pass over the gap makes the registers at all sectors
//! ([`Registers`]); one more length costs four look-ups ([`Zeros`]).

use std::sync::LazyLock;

use crc::{Algorithm, CRC_32_ISO_HDLC, Crc, Table};

use super::{Budget, Extent, Find, Format};
use crate::bytes::{Bytes, CRC32, SECTOR, len};
use crate::gap::Gap;

/// The environment, by its checksum over every length that it may have.
pub const ENV: Format = Format {
    name: "environment",
    family: "U-Boot",
    magic: &[],
    source: "U-Boot env/mmc.c, include/env_internal.h, lib/hashtable.c himport_r(); lengths of all defconfigs",
    find: Find::WholeGap(find_all),
};

/// Where the variables start, in bytes: behind the checksum, and behind the flag of a redundant environment.
const DATA_OFFSETS: [(u64, &str); 2] = [(4, ""), (5, "one of two copies")];
/// The longest environment that is looked for, in sectors: 16 MiB, twice the longest region reserved for one.
const SECTORS_MAX: u64 = 32768;
/// The longest one whose length is no multiple of a sector, in bytes.
const ODD_LEN_MAX: u64 = 0x4_0000;
/// Where the other one of two copies may be that was never written: in front of one, or behind it.
pub const OTHER_COPY: &str = "place of the other copy, which was not found";
/// In the place of a length: the budget ended before all were tried.
pub const UNJUDGED: &str = "sectors not searched: too much that looks like a U-Boot environment";

/// Environments that start before `end_lba`, in order. If the budget ends, the rest of the gap counts as one.
fn find_all(whole: &Gap<'_>, end_lba: u64, budget: &mut Budget) -> Vec<Extent> {
    let gap = whole.bytes();
    let registers = Registers::new(gap, (0..whole.sectors()).map(|lba| whole.is_zero(lba)).collect());
    let texts = text_ends(gap, &registers.is_zero);
    let mut found = Vec::new();
    let mut behind_lba = 0;
    for (lba, text_ends) in (0..end_lba).zip(texts) {
        if lba < behind_lba || registers.is_zero(lba) || is_ones(gap, lba) {
            continue;
        }
        match find_at(&registers, gap, lba, text_ends, budget) {
            Ok(Some((len, detail))) => {
                found.push(Extent { at: lba.saturating_mul(SECTOR), len, detail: detail.into() });
                behind_lba = lba.saturating_add(len.div_ceil(SECTOR));
            }
            Ok(None) => {}
            Err(OutOfBudget) => {
                let at = lba.saturating_mul(SECTOR);
                let len = end_lba.saturating_sub(lba).saturating_mul(SECTOR);
                found.push(Extent { at, len, detail: UNJUDGED.into() });
                return found;
            }
        }
    }
    let other_copies = places_of_other_copies(&found, end_lba);
    found.extend(other_copies);
    found
}

/// The environment at `lba`: its length in bytes, and whether it is one of two. Whole sectors go before odd lengths: zeros
/// have one checksum behind the flag of a redundant environment and, one byte shorter, with it.
fn find_at(
    registers: &Registers,
    gap: &[u8],
    lba: u64,
    text_ends: [Option<u64>; 2],
    budget: &mut Budget,
) -> Result<Option<(u64, &'static str)>, OutOfBudget> {
    for find in [Start::find_whole_len, Start::find_odd_len] {
        for ((data_at, detail), text_end) in DATA_OFFSETS.into_iter().zip(text_ends) {
            let Some(start) = registers.start(gap, lba, data_at) else { continue };
            if let Some(len) = find(&start, registers, gap, text_end, budget)? {
                return Ok(Some((len, detail)));
            }
        }
    }
    Ok(None)
}

/// Beside each redundant environment without a second one of its length. U-Boot writes the second one when it saves for the
/// second time; most boards have it right behind the first, or in front of it.
fn places_of_other_copies(found: &[Extent], end_lba: u64) -> Vec<Extent> {
    let [_, (_, redundant)] = DATA_OFFSETS;
    let alike = |one: &Extent, other: &Extent| one.len == other.len && other.detail == redundant;
    let alone = found
        .iter()
        .filter(|one| one.detail == redundant && found.iter().filter(|other| alike(one, other)).count() == 1);
    let places = alone.flat_map(|one| {
        let behind = one.at.saturating_add(one.len);
        let ends = [(one.at.saturating_sub(one.len), one.at), (behind, behind.saturating_add(one.len))];
        ends.map(|(at, end)| (at, end.min(end_lba.saturating_mul(SECTOR)).saturating_sub(at)))
    });
    places
        .filter(|(_, len)| *len > 0)
        .map(|(at, len)| Extent { at, len, detail: OTHER_COPY.into() })
        .collect()
}

struct OutOfBudget;

/// 0xFF alone: nothing starts there, as in zeros.
fn is_ones(gap: &[u8], lba: u64) -> bool {
    let sector = lba.checked_mul(SECTOR).and_then(|at| gap.span(at, SECTOR)).unwrap_or(&[]);
    sector == [0xff; identity_core::SECTOR_LEN]
}

/// For each sector, where the variables end that start at each of [`DATA_OFFSETS`]: behind their double NUL, counted from
/// the sector's start. Variables are strings with a `=` behind a name of at least one byte, whatever else they hold. U-Boot
/// passes over a string that is none, and a few may be among them; an environment without any is a sector of zeros behind the
/// checksum. `None` for a sector of zeros: nothing starts there.
fn text_ends(gap: &[u8], is_zero: &[bool]) -> Vec<[Option<u64>; 2]> {
    let sectors = gap.chunks(identity_core::SECTOR_LEN);
    let mut ends = vec![[None; 2]; sectors.len()];
    let mut strings = Strings::default();
    let mut sector_at = len(gap).next_multiple_of(SECTOR);
    for (number, (sector, ends)) in sectors.zip(&mut ends).enumerate().rev() {
        sector_at = sector_at.saturating_sub(SECTOR);
        if is_zero.get(number) == Some(&true) {
            strings = Strings::before_zeros(sector_at);
            continue;
        }
        let mut in_sector = len(sector);
        for &byte in sector.iter().rev() {
            in_sector = in_sector.saturating_sub(1);
            let at = sector_at.saturating_add(in_sector);
            strings.step_back(at, byte);
            let number = DATA_OFFSETS.iter().position(|(data_at, _)| *data_at == in_sector);
            if let Some(end) = number.and_then(|number| ends.get_mut(number)) {
                *end = match strings.end_from_here() {
                    Some(text_end) => text_end.checked_sub(sector_at),
                    None => is_empty_text(gap, at, in_sector).then_some(in_sector.saturating_add(1)),
                };
            }
        }
    }
    ends
}

/// Other strings among the variables: one, and one more for each of so many strings.
const STRINGS_PER_OTHER: u64 = 8;

/// What is known of the strings behind one byte, when bytes are looked at from the back.
#[derive(Clone, Copy, Default)]
struct Strings {
    /// The end of the text that this byte is in: behind its double NUL.
    text_end: Option<u64>,
    /// Whole strings from here to there.
    count: u64,
    /// Those of them that are no variables.
    others: u64,
    has_equals: bool,
    /// The string at this byte has a `=` behind a byte.
    has_name: bool,
    is_nul: bool,
}

impl Strings {
    /// At the first, at `at`, of two zeros or more.
    fn before_zeros(at: u64) -> Self {
        Self { text_end: at.checked_add(2), is_nul: true, ..Self::default() }
    }

    /// One byte to the front: to `byte`, at `at`.
    fn step_back(&mut self, at: u64, byte: u8) {
        if byte != 0 {
            self.has_name = self.has_equals;
            self.has_equals |= byte == b'=';
            self.is_nul = false;
        } else if self.is_nul {
            *self = Self::before_zeros(at);
        } else {
            let (count, others) = self.with_this_string();
            *self = Self { text_end: self.text_end, count, others, is_nul: true, ..Self::default() };
        }
    }

    fn with_this_string(&self) -> (u64, u64) {
        (self.count.saturating_add(1), self.others.saturating_add(u64::from(!self.has_name)))
    }

    /// The end of the text that starts at this byte, if it reads as variables.
    fn end_from_here(&self) -> Option<u64> {
        let (count, others) = self.with_this_string();
        let is_text =
            !self.is_nul && others < count && others <= count.div_euclid(STRINGS_PER_OTHER).saturating_add(1);
        self.text_end.filter(|_| is_text)
    }
}

fn is_empty_text(gap: &[u8], at: u64, in_sector: u64) -> bool {
    let rest = gap.span(at, SECTOR.saturating_sub(in_sector)).unwrap_or(&[1]);
    rest.iter().all(|&byte| byte == 0)
}

/// The CRC-32's register itself, not inverted before and after.
const RAW: Algorithm<u32> = Algorithm { init: 0, xorout: 0, ..CRC_32_ISO_HDLC };
static RAW_CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&RAW);
/// With the register's bits as the CRC counts them, lowest first.
const POLYNOMIAL: u32 = CRC_32_ISO_HDLC.poly.reverse_bits();

/// What a register becomes behind zeros: a linear map, kept as four tables, one for each of its bytes.
struct Zeros([[u32; 256]; 4]);

impl Zeros {
    /// From what each single bit becomes, the lowest first.
    fn new(of_bits: &[u32; 32]) -> Self {
        let mut tables = [[0; 256]; 4];
        for (table, of_bits) in tables.iter_mut().zip(of_bits.chunks(8)) {
            for (byte, entry) in (0_u32..).zip(table.iter_mut()) {
                let bits =
                    (0_u32..).zip(of_bits).filter(|(bit, _)| byte.checked_shr(*bit).unwrap_or(0) & 1 == 1);
                *entry = bits.fold(0, |sum, (_, of_bit)| sum ^ of_bit);
            }
        }
        Self(tables)
    }

    fn apply(&self, register: u32) -> u32 {
        let parts = self.0.iter().zip(register.to_le_bytes());
        parts.fold(0, |sum, (table, byte)| sum ^ table.get(usize::from(byte)).copied().unwrap_or(0))
    }
}

/// One sector of zeros.
static ONE_SECTOR: LazyLock<Zeros> = LazyLock::new(|| {
    let bits_per_sector = SECTOR.saturating_mul(8);
    Zeros::new(
        &single_bits().map(|bit| (0..bits_per_sector).fold(bit, |register, _| behind_zero_bit(register))),
    )
});

/// Lengths in sectors of nearly all environments, 512 bytes to 4 MiB. At these the checksum is compared whatever the data;
/// at all others only behind what reads as variables, so that no noise is taken for an environment by chance.
static USUAL: LazyLock<Vec<(u64, Zeros)>> = LazyLock::new(|| {
    let after = |of_bits: &[u32; 32], zeros: &Zeros| of_bits.map(|register| zeros.apply(register));
    let mut lengths = Vec::new();
    let (mut sectors, mut of_bits) = (1_u64, single_bits().map(|bit| ONE_SECTOR.apply(bit)));
    while sectors <= 8192 {
        let zeros = Zeros::new(&of_bits);
        let twice = after(&of_bits, &zeros);
        lengths.push((sectors.saturating_mul(3), Zeros::new(&after(&twice, &zeros))));
        lengths.push((sectors, zeros));
        (sectors, of_bits) = (sectors.saturating_mul(2), twice);
    }
    lengths
});

/// Each bit of a register by itself, the lowest first.
fn single_bits() -> [u32; 32] {
    let mut bits = [0; 32];
    for (number, bit) in (0_u32..).zip(bits.iter_mut()) {
        *bit = 1_u32.checked_shl(number).unwrap_or(0);
    }
    bits
}

/// What a register becomes behind these bytes.
fn behind(register: u32, bytes: &[u8]) -> u32 {
    let mut digest = RAW_CRC.digest_with_initial(register.reverse_bits());
    digest.update(bytes);
    digest.finalize()
}

fn behind_zero_bit(register: u32) -> u32 {
    (register >> 1) ^ if register & 1 == 1 { POLYNOMIAL } else { 0 }
}

/// The reverse: what the register was one zero bit before.
fn before_zero_bit(register: u32) -> u32 {
    if register.leading_zeros() == 0 { ((register ^ POLYNOMIAL) << 1) | 1 } else { register << 1 }
}

/// The register at each sector's start, from 0 at the gap's, and at its end.
struct Registers {
    at: Vec<u32>,
    /// Whether a sector is zeros alone.
    is_zero: Vec<bool>,
}

impl Registers {
    fn new(gap: &[u8], is_zero: Vec<bool>) -> Self {
        let sectors = gap.as_chunks::<{ identity_core::SECTOR_LEN }>().0;
        let mut register = 0;
        let mut at = vec![register];
        for (sector, is_zero) in sectors.iter().zip(&is_zero) {
            register = if *is_zero { ONE_SECTOR.apply(register) } else { behind(register, sector) };
            at.push(register);
        }
        Self { at, is_zero }
    }

    fn is_zero(&self, lba: u64) -> bool {
        usize::try_from(lba).is_ok_and(|number| self.is_zero.get(number) == Some(&true))
    }

    /// What may be an environment at `lba` with its data at `data_at`.
    fn start(&self, gap: &[u8], lba: u64, data_at: u64) -> Option<Start> {
        let number = usize::try_from(lba).ok()?;
        let sector = gap.span(lba.checked_mul(SECTOR)?, SECTOR)?;
        // The register is all ones before the data.
        let register = !behind(*self.at.get(number)?, sector.span(0, data_at)?);
        let register = (0..data_at.saturating_mul(8)).fold(register, |register, _| before_zero_bit(register));
        Some(Start { lba, number, data_at, stored: sector.u32_le(0)?, register })
    }
}

/// What may be an environment.
struct Start {
    lba: u64,
    /// The same as an index.
    number: usize,
    data_at: u64,
    /// The checksum that is stored.
    stored: u32,
    /// What the registers are off by if they start with the data, as of the sector's start.
    register: u32,
}

impl Start {
    fn has_len(&self, registers: &Registers, sectors: u64, register: u32) -> bool {
        let end = usize::try_from(sectors)
            .ok()
            .and_then(|sectors| registers.at.get(self.number.checked_add(sectors)?));
        end.is_some_and(|end| !(end ^ register) == self.stored)
    }

    /// The length in bytes among the usual ones over which the checksum is right.
    fn find_usual_len(&self, registers: &Registers) -> Option<u64> {
        let is_len =
            |(sectors, zeros): &&(u64, Zeros)| self.has_len(registers, *sectors, zeros.apply(self.register));
        USUAL.iter().find(is_len)?.0.checked_mul(SECTOR)
    }

    /// The length in bytes over which the checksum is right: a usual one, or any in whole sectors behind the variables.
    fn find_whole_len(
        &self,
        registers: &Registers,
        gap: &[u8],
        text_end: Option<u64>,
        budget: &mut Budget,
    ) -> Result<Option<u64>, OutOfBudget> {
        if let Some(len) = self.find_usual_len(registers) {
            return Ok(Some(len));
        }
        let Some(text_end) = text_end else { return Ok(None) };
        let known = len(gap).div_ceil(SECTOR).saturating_sub(self.lba).min(SECTORS_MAX);
        let first = text_end.div_ceil(SECTOR).max(1);
        budget.take(known).ok_or(OutOfBudget)?;
        let mut register = self.register;
        for sectors in 1..=known {
            register = ONE_SECTOR.apply(register);
            if sectors >= first && self.has_len(registers, sectors, register) {
                return Ok(sectors.checked_mul(SECTOR));
            }
        }
        Ok(None)
    }

    /// The same of the lengths that are no multiple of a sector.
    fn find_odd_len(
        &self,
        _registers: &Registers,
        gap: &[u8],
        text_end: Option<u64>,
        budget: &mut Budget,
    ) -> Result<Option<u64>, OutOfBudget> {
        let Some(text_end) = text_end else { return Ok(None) };
        let bytes = Bytes::from(gap, self.lba.saturating_mul(SECTOR));
        let bytes = bytes.span(0, ODD_LEN_MAX).unwrap_or(bytes);
        budget.take(len(bytes)).ok_or(OutOfBudget)?;
        let Some(text) = bytes.span(self.data_at, text_end.saturating_sub(self.data_at)) else {
            return Ok(None);
        };
        let mut digest = CRC32.digest();
        digest.update(text);
        for (at, byte) in (text_end..).zip(Bytes::from(bytes, text_end)) {
            if digest.clone().finalize() == self.stored {
                return Ok(Some(at));
            }
            digest.update(&[*byte]);
        }
        Ok((digest.finalize() == self.stored).then(|| len(bytes)))
    }
}

#[cfg(test)]
mod tests;
