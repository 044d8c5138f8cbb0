// SPDX-License-Identifier: MIT OR Apache-2.0
//! SHA-1 of one block, for UUIDv5 and nothing else (FIPS 180-4, section 6.1).
//!
//! Own code, against our habit: every crate unrolls its rounds, which is 2.7 to 3.3 KB of Thumb-2 code where the
//! whole bootloader object should have 4 KB, or keeps a panic path. A test compares it with the `uuid` crate's.

use byteorder::{BigEndian, ByteOrder};

/// Length of a block in bytes.
pub const BLOCK_LEN: usize = 64;
/// Length of a digest in bytes.
pub const DIGEST_LEN: usize = 20;

const INITIAL: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// The digest of a message that is, padded, exactly this one block.
pub fn digest_of_block(block: &[u8; BLOCK_LEN]) -> [u8; DIGEST_LEN] {
    let mut schedule = [0; 16];
    BigEndian::read_u32_into(block, &mut schedule);
    let [mut a, mut b, mut c, mut d, mut e] = INITIAL;
    for round in 0_u8..80 {
        let (mixed, constant) = match round {
            0..20 => (b & c | !b & d, 0x5a82_7999),
            20..40 => (b ^ c ^ d, 0x6ed9_eba1),
            40..60 => (b & c | b & d | c & d, 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6_u32),
        };
        let word = next_word(&mut schedule);
        let sum =
            a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant).wrapping_add(word);
        (a, b, c, d, e) = (sum, a, b.rotate_left(30), c, d);
    }
    let mut digest = [0; DIGEST_LEN];
    let [h0, h1, h2, h3, h4] = INITIAL;
    let sums =
        [h0.wrapping_add(a), h1.wrapping_add(b), h2.wrapping_add(c), h3.wrapping_add(d), h4.wrapping_add(e)];
    BigEndian::write_u32_into(&sums, &mut digest);
    digest
}

/// Takes the first word of the schedule and puts the one sixteen rounds later at its end.
fn next_word(schedule: &mut [u32; 16]) -> u32 {
    let [word, _, w2, _, _, _, _, _, w8, _, _, _, _, w13, ..] = *schedule;
    schedule.rotate_left(1);
    let [.., last] = schedule;
    *last = (word ^ w2 ^ w8 ^ w13).rotate_left(1);
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180 example: the digest of "abc".
    #[test]
    fn abc() {
        let mut block = [0; BLOCK_LEN];
        block[..4].copy_from_slice(b"abc\x80");
        block[63] = 24;
        assert_eq!(
            digest_of_block(&block),
            [
                0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50, 0xc2,
                0x6c, 0x9c, 0xd0, 0xd8, 0x9d
            ]
        );
    }
}
