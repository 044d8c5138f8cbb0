// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values computed from the UUID, never stored: the same on every machine, reproducible with
//! `uuidgen --sha1` (util-linux) or Python's `uuid.uuid5`.

use uuid::Uuid;
use zerocopy::{IntoBytes, transmute};

use crate::mac::Mac;
use crate::sha1::{self, Block, Digest};

const ETHERNET_PREFIX: &[u8] = b"ethernet/";
const MACHINE_ID_NAME: &[u8] = b"machine-id";

/// The MAC address of the bootloader's and device tree's `ethernet<index>`, unless a person assigned one:
/// the first six bytes of UUIDv5(`uuid`, `ethernet/<index>`), multicast bit cleared, local bit set.
pub fn mac(uuid: Uuid, index: u32) -> Mac {
    let mut message = Message::new(uuid);
    message.push_all(ETHERNET_PREFIX);
    message.push_decimal(index);
    // Version and variant lie behind the six bytes.
    let [first, second, ..] = message.digest();
    let ([a, b, c, d], [e, f, ..]) = (first.to_be_bytes(), second.to_be_bytes());
    Mac::locally_administered([a, b, c, d, e, f])
}

/// The machine-id: UUIDv5(`uuid`, `machine-id`), written as 32 hex digits (machine-id(5)).
pub fn machine_id(uuid: Uuid) -> Uuid {
    let mut message = Message::new(uuid);
    message.push_all(MACHINE_ID_NAME);
    let [a, b, c, d, _] = message.digest();
    // Version 5 and the variant, RFC 9562 section 5.5.
    let (b, c) = (b & 0xffff_0fff | 0x5000, c & 0x3fff_ffff | 0x8000_0000);
    let words = [a.to_be(), b.to_be(), c.to_be(), d.to_be()];
    Uuid::from_bytes(transmute!(words))
}

/// What RFC 9562 section 5.5 digests for a UUIDv5, a namespace and a name, in the one block that holds both.
struct Message {
    block: Block,
    len: u8,
}

impl Message {
    /// Inlined, because a message is larger than the code that fills it in its place.
    #[inline(always)]
    fn new(namespace: Uuid) -> Self {
        let mut message = Self { block: Block::default(), len: 0 };
        message.push_all(namespace.as_bytes());
        message
    }

    /// Names have at most 39 bytes: the block's 64 without the namespace's 16, the end mark and the length's 8.
    ///
    /// Three callers: for a bootloader one function is smaller than three copies.
    #[inline(never)]
    fn push(&mut self, byte: u8) {
        if let Some(target) = self.block.as_mut_bytes().get_mut(usize::from(self.len)) {
            *target = byte;
            self.len = self.len.wrapping_add(1);
        }
    }

    /// Not inlined for the same reason.
    #[inline(never)]
    fn push_all(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.push(byte);
        }
    }

    /// In ASCII, at most ten digits.
    fn push_decimal(&mut self, number: u32) {
        let mut digits = [0; 10];
        let (mut rest, mut first) = (number, digits.len());
        for digit in digits.iter_mut().rev() {
            let (tens, ones) = divide_by_ten(rest);
            *digit = b'0'.wrapping_add(ones);
            (rest, first) = (tens, first.wrapping_sub(1));
            if rest == 0 {
                break;
            }
        }
        self.push_all(digits.get(first..).unwrap_or_default());
    }

    fn digest(mut self) -> Digest {
        let bits = u32::from(self.len).wrapping_mul(8);
        self.push(0x80);
        let [.., last] = &mut self.block;
        *last = bits.to_be();
        sha1::digest(&mut self.block)
    }
}

/// Quotient and remainder by a multiplication: not every Arm core divides. The factor is 2^35 / 10, rounded up, which is
/// exact for all 32 bits.
fn divide_by_ten(number: u32) -> (u32, u8) {
    let tens = u32::try_from(u64::from(number).wrapping_mul(0xcccc_cccd) >> 35).unwrap_or(0);
    let [ones, ..] = number.wrapping_sub(tens.wrapping_mul(10)).to_le_bytes();
    (tens, ones)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::string::ToString;

    /// Made with `uuidgen --sha1 --namespace … --name …`.
    const NAMESPACE: Uuid = Uuid::from_u128(0x9e3c1d40_5a37_4c8e_9f0b_6d2a81e4c7f5);

    #[test]
    fn known_values() {
        for (index, v5) in [
            (0, Uuid::new_v5(&NAMESPACE, b"ethernet/0")),
            (10, Uuid::new_v5(&NAMESPACE, b"ethernet/10")),
            (u32::MAX, Uuid::new_v5(&NAMESPACE, b"ethernet/4294967295")),
        ] {
            let mut expected = [0; 6];
            expected.copy_from_slice(&v5.as_bytes()[..6]);
            expected[0] = expected[0] & 0xfe | 2;
            assert_eq!(mac(NAMESPACE, index).bytes(), expected);
        }
        assert_eq!(machine_id(NAMESPACE), Uuid::new_v5(&NAMESPACE, b"machine-id"));
    }

    proptest! {
        #[test]
        fn same_as_the_uuid_crate(uuid: u128, index: u32) {
            let uuid = Uuid::from_u128(uuid);
            let v5 = Uuid::new_v5(&uuid, format!("ethernet/{index}").as_bytes());
            let [first, b, c, d, e, f, ..] = *v5.as_bytes();
            prop_assert_eq!(mac(uuid, index).bytes(), [first & 0xfe | 2, b, c, d, e, f]);
            prop_assert_eq!(machine_id(uuid), Uuid::new_v5(&uuid, b"machine-id"));
        }

        #[test]
        fn always_local_and_unicast(uuid: u128, index: u32) {
            let mac = mac(Uuid::from_u128(uuid), index);
            prop_assert!(Mac::new(mac.bytes()).is_ok(), "{}", mac.to_string());
            prop_assert_eq!(mac.bytes()[0] & 3, 2);
        }
    }
}
