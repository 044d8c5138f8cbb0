// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the checksum notices, proved for every pattern by its algebra. The argument is in `docs/DESIGN.md`.

use crc::{CRC_32_ISCSI, Crc};
use identity_core::copy::{Defect, NotACopy, StoredCopy};
use identity_core::sector::{MAGIC, SECTOR_LEN, offset};
use identity_tests::random::Random;

use crate::flips::Golden;

/// The bits of a sector, in the order of computing, each with what flipping it does to (computed XOR stored).
fn syndromes() -> Vec<(usize, u32)> {
    let crc = Crc::<u32>::new(&CRC_32_ISCSI);
    let covered = [0; SECTOR_LEN - 4];
    let clean = crc.checksum(&covered);
    let flip = |bit: usize| {
        let mut data = covered;
        data[bit / 8] ^= 1 << (bit % 8);
        let at = if bit < 64 { bit } else { bit + 32 };
        (at, crc.checksum(&data) ^ clean)
    };
    (0..covered.len() * 8).map(flip).collect()
}

/// The claim on five bits, for every pattern: the syndrome of a set of bits is the XOR of theirs.
#[test]
fn any_five_flipped_bits_are_noticed() {
    let mut all = syndromes();
    // As the core computes it; header length and magic are checked before it.
    let sector = Golden::named("valid-typical.bin").bytes;
    for &(bit, syndrome) in all.iter().filter(|(bit, _)| *bit >= offset::OWN_LBA * 8) {
        let mut flipped = sector;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Err(NotACopy::Corrupt(Defect::Crc { stored, computed })) = StoredCopy::parse(&flipped, 52) else {
            panic!("bit {bit}");
        };
        assert_eq!(stored ^ computed, syndrome, "bit {bit}");
    }
    all.extend((0..32).map(|bit| (offset::CRC * 8 + bit, 1 << bit)));
    assert_eq!(all.len(), SECTOR_LEN * 8);

    // An odd number of bits: each syndrome has an odd number of ones, so the XOR of an odd number of them is not 0.
    assert!(all.iter().all(|(_, syndrome)| syndrome.count_ones() % 2 == 1));
    // Two bits: no two are equal. Four bits: no two pairs are equal.
    let mut pairs: Vec<u32> = Vec::with_capacity(all.len() * all.len() / 2);
    for (at, (_, one)) in all.iter().enumerate() {
        pairs.extend(all[at + 1..].iter().map(|(_, other)| one ^ other));
    }
    pairs.sort_unstable();
    assert_ne!(pairs[0], 0);
    assert!(pairs.windows(2).all(|pair| pair[0] != pair[1]));
}

/// What the proof rests on, held against the code: the core's checksum differs by the XOR of the flipped bits' syndromes.
#[test]
fn syndromes_add_up() {
    let mut all = syndromes();
    all.extend((0..32).map(|bit| (offset::CRC * 8 + bit, 1 << bit)));
    // Behind what is compared before the checksum, or instead of it.
    all.retain(|(bit, _)| {
        *bit >= offset::OWN_LBA * 8 || (offset::CRC * 8..offset::HEADER_LEN * 8).contains(bit)
    });
    let goldens = Golden::all();
    let mut random = Random::new(5);
    for round in 0..4000 {
        let Golden { file, bytes: sector, lba } = &goldens[round % goldens.len()];
        let (mut flipped, mut sum) = (*sector, 0);
        for _ in 0..=round % 40 {
            let (bit, syndrome) = all[random.below(all.len() as u64) as usize];
            flipped[bit / 8] ^= 1 << (bit % 8);
            sum ^= syndrome;
        }
        match StoredCopy::parse(&flipped, *lba) {
            Err(NotACopy::Corrupt(Defect::Crc { stored, computed })) => {
                assert_eq!(stored ^ computed, sum, "{file}")
            }
            Ok(_) => assert!(flipped == *sector && sum == 0, "{file}"),
            Err(reason) => panic!("{file}: {reason:?}"),
        }
    }
}

/// The claim on bursts: no combination of 32 adjacent bits behind the checksum, in the order of computing, has
/// syndrome 0; nor of 31, if a byte's bits are counted the other way round.
#[test]
fn short_bursts_are_noticed() {
    let mut all = syndromes();
    all.retain(|(bit, _)| *bit >= offset::HEADER_LEN * 8);
    let lowest_first: Vec<u32> = all.iter().map(|(_, syndrome)| *syndrome).collect();
    let highest_first: Vec<u32> =
        lowest_first.chunks(8).flat_map(|byte| byte.iter().rev().copied().collect::<Vec<_>>()).collect();
    for (order, len) in [(lowest_first, 32), (highest_first, 31)] {
        for (first, window) in order.windows(len).enumerate() {
            assert!(are_independent(window), "{len} bits from {first} on");
        }
    }
    // Across the end of the checksum: what changes behind it are header length and version, compared exactly. Across its
    // beginning: the magic.
    const { assert!(offset::HEADER_LEN + 32 / 8 <= offset::OWN_LBA) };
}

/// Whether no combination of these is 0.
fn are_independent(syndromes: &[u32]) -> bool {
    let mut basis: Vec<u32> = vec![];
    for &syndrome in syndromes {
        let rest = basis.iter().fold(syndrome, |rest, vector| rest.min(rest ^ vector));
        if rest == 0 {
            return false;
        }
        basis.push(rest);
    }
    true
}

/// The claim on four adjacent bytes: behind the checksum, no combination of their 32 bits has syndrome 0; before and
/// across it, bytes change that are compared exactly.
#[test]
fn four_damaged_bytes_are_noticed() {
    let all = syndromes();
    for first in offset::HEADER_LEN..=SECTOR_LEN - 4 {
        let window = all.iter().filter(|(bit, _)| (first..first + 4).contains(&(bit / 8)));
        let window: Vec<_> = window.map(|(_, syndrome)| *syndrome).collect();
        assert!(window.len() == 32 && are_independent(&window), "bytes {first}..{}", first + 4);
    }
    assert_eq!(offset::CRC, offset::MAGIC + MAGIC.len());
    // Across 12: at most three bytes are changed behind the checksum, all of them compared exactly.
    assert_eq!(offset::HEADER_LEN + 4, offset::OWN_LBA);
    let golden = Golden::named("valid-typical.bin").bytes;
    for patch in (1..=u16::MAX).step_by(31) {
        for at in [offset::HEADER_LEN, offset::VERSION] {
            let mut sector = golden;
            let stored = u16::from_le_bytes([sector[at], sector[at + 1]]) ^ patch;
            sector[at..at + 2].copy_from_slice(&stored.to_le_bytes());
            // With any checksum, the one that fits among them: none makes it a copy.
            let crc = crc_of(&sector);
            sector[offset::CRC..offset::HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
            assert!(StoredCopy::parse(&sector, 52).is_err());
        }
    }
}

fn crc_of(sector: &[u8; SECTOR_LEN]) -> u32 {
    let algorithm = Crc::<u32>::new(&CRC_32_ISCSI);
    let mut digest = algorithm.digest();
    digest.update(&sector[..offset::CRC]);
    digest.update(&sector[offset::HEADER_LEN..]);
    digest.finalize()
}
