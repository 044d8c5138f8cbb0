// SPDX-License-Identifier: MIT OR Apache-2.0
//! SHA-1 of one block, for UUIDv5 and nothing else (FIPS 180-4, section 6.1).
//!
//! Own code, against our habit: every crate unrolls its rounds, which is 2.7 to 3.3 KB of Thumb-2 code where the
//! whole bootloader object should have 4 KB, or keeps a panic path. A test compares it with the `uuid` crate's.

/// One block, the message with its padding, and room for as much.
pub type Block = [u32; 32];
/// The first 16 bytes of a digest, all that a UUID takes, in the processor's byte order.
pub type Digest = [u32; 4];

/// The digest of a message of so many `bits`, which fill one block with the end mark behind them. The block is used up.
pub fn digest(block: &mut Block, bits: u32) -> Digest {
    const A: u32 = 0x6745_2301;
    const B: u32 = 0xefcd_ab89;
    const C: u32 = 0x98ba_dcfe;
    const D: u32 = 0x1032_5476;
    const E: u32 = 0xc3d2_e1f0;

    let (message, again) = block.split_at_mut(16);
    if let Some(last) = message.last_mut() {
        *last = bits.to_be();
    }
    // Sixteen words of the schedule, twice, so that those behind any one lie behind it.
    for (word, again) in message.iter_mut().zip(again) {
        *word = u32::from_be(*word);
        *again = *word;
    }
    let (mut a, mut b, mut c, mut d, mut e) = (A, B, C, D, E);
    for round in 0_usize..80 {
        let parity = b ^ c ^ d;
        let (mixed, constant) = match round {
            0..20 => (b & c | !b & d, 0x5a82_7999),
            20..40 => (parity, 0x6ed9_eba1),
            40..60 => (b & c | b & d | c & d, 0x8f1b_bcdc),
            _ => (parity, 0xca62_c1d6_u32),
        };
        let word = next_word(block, round);
        let sum =
            a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant).wrapping_add(word);
        (a, b, c, d, e) = (sum, a, b.rotate_left(30), c, d);
    }
    [A.wrapping_add(a), B.wrapping_add(b), C.wrapping_add(c), D.wrapping_add(d)]
}

/// This round's word of the schedule. In its places comes the one of sixteen rounds later.
fn next_word(schedule: &mut Block, round: usize) -> u32 {
    match schedule.get_mut(round & 15..) {
        Some([word, _, w2, _, _, _, _, _, w8, _, _, _, _, w13, _, _, again, ..]) => {
            let current = *word;
            *word = (*word ^ *w2 ^ *w8 ^ *w13).rotate_left(1);
            *again = *word;
            current
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    /// FIPS 180 example: the digest of "abc".
    #[test]
    fn abc() {
        let mut block = [0; 32];
        block.as_mut_bytes()[..4].copy_from_slice(b"abc\x80");
        assert_eq!(digest(&mut block, 24), [0xa999_3e36, 0x4706_816a, 0xba3e_2571, 0x7850_c26c]);
    }
}
