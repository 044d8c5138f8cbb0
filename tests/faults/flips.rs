// SPDX-License-Identifier: MIT OR Apache-2.0
//! Flipped bits and wrong bytes in the golden sectors: never a valid copy, so never another identity.
//!
//! Patterns of four and five bits are too many to try; `algebra.rs` proves them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use identity_core::copy::{Defect, NotACopy, StoredCopy};
use identity_core::sector::{SECTOR_LEN, offset};
use identity_fixtures::sectors::{self, Outcome};
use identity_tests::random::Random;
use identity_tests::{figure, thorough};

const BITS: usize = SECTOR_LEN * 8;

/// A valid golden sector.
pub struct Golden {
    pub file: String,
    pub bytes: [u8; SECTOR_LEN],
    pub lba: u32,
}

impl Golden {
    pub fn all() -> Vec<Self> {
        let valid = |golden: &sectors::Golden| matches!(golden.entry.outcome, Outcome::Valid { .. });
        let all = sectors::all().into_iter().filter(valid);
        let all: Vec<_> = all
            .map(|golden| Self { file: golden.entry.file, bytes: golden.bytes, lba: golden.entry.lba })
            .collect();
        assert!(all.len() > 10);
        all
    }

    pub fn named(file: &str) -> Self {
        Self::all().into_iter().find(|golden| golden.file == file).expect("a golden sector")
    }

    /// Bits up to the end of the last field.
    fn used_bits(&self) -> usize {
        let fields_len =
            u16::from_le_bytes([self.bytes[offset::FIELDS_LEN], self.bytes[offset::FIELDS_LEN + 1]]);
        (offset::FIELDS + usize::from(fields_len)) * 8
    }

    /// So few flipped bits are damage, and nothing else: a newer copy has a checksum that fits.
    #[track_caller]
    fn is_refused_with(&self, flipped: &[usize]) {
        let mut sector = self.bytes;
        for bit in flipped {
            sector[bit / 8] ^= 1 << (bit % 8);
        }
        let found = StoredCopy::parse(&sector, self.lba).map(|copy| copy.identity());
        let is_damage = matches!(
            found,
            Err(NotACopy::Foreign | NotACopy::Corrupt(Defect::Crc { .. } | Defect::HeaderLen { .. }))
        );
        assert!(is_damage, "{} with bits {flipped:?} flipped: {found:?}", self.file);
    }
}

/// Runs `work` for all numbers below `count`, on all processors.
fn in_parallel(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let step = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            work(number);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(step);
        }
    });
}

#[test]
fn one_or_two_flipped_bits_are_never_accepted() {
    let all = Golden::all();
    for golden in &all {
        (0..BITS).for_each(|bit| golden.is_refused_with(&[bit]));
    }
    figure((all.len() * BITS) as u64, "patterns of one flipped bit");

    let (chosen, bits) = if thorough() {
        (all, BITS)
    } else {
        let minimal = Golden::named("valid-minimal.bin");
        let bits = minimal.used_bits();
        (vec![minimal], bits)
    };
    for golden in &chosen {
        in_parallel(bits, |one| {
            for other in one + 1..bits {
                golden.is_refused_with(&[one, other]);
            }
        });
    }
    figure((chosen.len() * bits * (bits - 1) / 2) as u64, "patterns of two flipped bits");
}

#[test]
fn three_flipped_bits_in_the_used_part_are_never_accepted() {
    let chosen = ["valid-minimal.bin", "valid-typical.bin"].map(Golden::named);
    let mut count = 0;
    for golden in &chosen {
        let bits = golden.used_bits();
        if thorough() {
            in_parallel(bits, |one| {
                for two in one + 1..bits {
                    (two + 1..bits).for_each(|three| golden.is_refused_with(&[one, two, three]));
                }
            });
            count += bits * (bits - 1) * (bits - 2) / 6;
        } else {
            let mut random = Random::new(3);
            for _ in 0..20_000 {
                let mut flipped = [0; 3].map(|_| random.below(bits as u64) as usize);
                flipped.sort_unstable();
                if flipped[0] < flipped[1] && flipped[1] < flipped[2] {
                    golden.is_refused_with(&flipped);
                    count += 1;
                }
            }
        }
    }
    figure(count as u64, "patterns of three flipped bits");
}

/// Four and five bits anywhere, some of them: a check of the proof against the code.
#[test]
fn four_or_five_flipped_bits_are_not_accepted() {
    let chosen = Golden::all();
    let mut random = Random::new(45);
    let rounds = if thorough() { 2_000_000 } else { 2_000 };
    for golden in &chosen {
        for round in 0..rounds {
            let mut flipped: Vec<_> =
                (0..4 + round % 2).map(|_| random.below(BITS as u64) as usize).collect();
            flipped.sort_unstable();
            flipped.dedup();
            golden.is_refused_with(&flipped);
        }
    }
    figure((chosen.len() * rounds) as u64, "random patterns of four or five flipped bits");
}

/// Bursts of every length up to 32 bits at every place, with random bits inside; that none of the 2^30 patterns of each
/// place passes is proved in `algebra.rs`.
#[test]
fn bursts_are_never_accepted() {
    let chosen = if thorough() { Golden::all() } else { vec![Golden::named("valid-typical.bin")] };
    let mut random = Random::new(32);
    let mut count = 0;
    for golden in &chosen {
        for len in 1..=32 {
            for first in 0..=BITS - len {
                let inside = random.draw() | 1 | 1 << (len - 1);
                let mut sector = golden.bytes;
                for bit in (0..len).filter(|bit| inside >> bit & 1 == 1) {
                    sector[(first + bit) / 8] ^= 1 << ((first + bit) % 8);
                }
                assert!(
                    StoredCopy::parse(&sector, golden.lba).is_err(),
                    "{}: {len} bits at {first}",
                    golden.file
                );
                count += 1;
            }
        }
    }
    figure(count, "bursts of up to 32 bits");
}

#[test]
fn a_wrong_byte_is_never_accepted() {
    let chosen = Golden::all();
    for golden in &chosen {
        let step = if thorough() { 1 } else { 7 };
        for at in 0..SECTOR_LEN {
            for change in (1..=255_u8).step_by(step) {
                let mut sector = golden.bytes;
                sector[at] ^= change;
                assert!(
                    StoredCopy::parse(&sector, golden.lba).is_err(),
                    "{}: byte {at} ^ {change:#x}",
                    golden.file
                );
            }
        }
    }
    if thorough() {
        figure((chosen.len() * SECTOR_LEN * 255) as u64, "wrong bytes");
    }
}

/// A copy is read where it was written, and nowhere else.
#[test]
fn a_copy_elsewhere_is_never_accepted() {
    for golden in Golden::all() {
        for lba in (0..8192).chain((0..32).map(|bit| golden.lba ^ 1 << bit)) {
            assert_eq!(
                StoredCopy::parse(&golden.bytes, lba).is_ok(),
                lba == golden.lba,
                "{} at {lba}",
                golden.file
            );
        }
    }
}
