// SPDX-License-Identifier: MIT OR Apache-2.0
//! SHA-1 of one block, for UUIDv5 and nothing else (FIPS 180-4, section 6.1).
//!
//! Own code, against our habit: every crate unrolls its rounds, which is 2.7 to 3.3 KB of Thumb-2 code where the
//! whole bootloader object should have 4 KB, or keeps a panic path. A test compares it with the `uuid` crate's.

use byteorder::{BigEndian, ByteOrder};

/// One block, whose bytes are the message with its padding.
pub type Block = [u32; 16];
/// A digest in the processor's byte order.
pub type Digest = [u32; 5];

const INITIAL: Digest = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// The digest of a message that is, padded, exactly this one block. The block is used up.
pub fn digest(block: &mut Block) -> Digest {
    BigEndian::from_slice_u32(block);
    let [mut a, mut b, mut c, mut d, mut e] = INITIAL;
    for round in 0_u8..80 {
        let (mixed, constant) = match round {
            0..20 => (b & c | !b & d, 0x5a82_7999),
            20..40 => (b ^ c ^ d, 0x6ed9_eba1),
            40..60 => (b & c | b & d | c & d, 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6_u32),
        };
        let word = next_word(block, round);
        let sum =
            a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant).wrapping_add(word);
        (a, b, c, d, e) = (sum, a, b.rotate_left(30), c, d);
    }
    let [h0, h1, h2, h3, h4] = INITIAL;
    [h0.wrapping_add(a), h1.wrapping_add(b), h2.wrapping_add(c), h3.wrapping_add(d), h4.wrapping_add(e)]
}

/// This round's word of the schedule. In its place comes the one of sixteen rounds later.
fn next_word(schedule: &mut Block, round: u8) -> u32 {
    let at = |ahead: u8| usize::from(round.wrapping_add(ahead) & 15);
    let word = |ahead| schedule.get(at(ahead)).copied().unwrap_or_default();
    let current = word(0);
    let later = (current ^ word(2) ^ word(8) ^ word(13)).rotate_left(1);
    if let Some(place) = schedule.get_mut(at(0)) {
        *place = later;
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    /// FIPS 180 example: the digest of "abc".
    #[test]
    fn abc() {
        let mut block = Block::default();
        block.as_mut_bytes()[..4].copy_from_slice(b"abc\x80");
        block.as_mut_bytes()[63] = 24;
        assert_eq!(digest(&mut block), [0xa999_3e36, 0x4706_816a, 0xba3e_2571, 0x7850_c26c, 0x9cd0_d89d]);
    }
}
