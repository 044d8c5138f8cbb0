// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values computed from the UUID, never stored: the same on every machine, reproducible with
//! `uuidgen --sha1` (util-linux) or Python's `uuid.uuid5`.

use uuid::Uuid;
use zerocopy::{IntoBytes, transmute, transmute_mut};

use crate::mac::{self, MAC_LEN, Mac};
use crate::sha1::{self, Block};

/// With room for the number of the interface, which has at most ten digits; what is left of the NULs is no part of the name.
/// As words: where only aligned numbers can be loaded, a text is copied byte by byte.
const ETHERNET_NAME: [u32; 5] = transmute!(*b"ethernet/\0\0\0\0\0\0\0\0\0\0\0");
const MACHINE_ID_NAME: [u8; 10] = *b"machine-id";

/// The MAC address of the bootloader's and device tree's `ethernet<index>`, unless a person assigned one:
/// the first six bytes of UUIDv5(`uuid`, `ethernet/<index>`), multicast bit cleared, local bit set.
pub fn mac(uuid: Uuid, index: u32) -> Mac {
    let mut bytes = [0; MAC_LEN];
    write_mac(uuid, index, &mut bytes);
    Mac::of_checked(bytes)
}

/// The bytes of [`mac()`], where they shall lie.
pub(crate) fn write_mac(uuid: Uuid, index: u32, out: &mut [u8; MAC_LEN]) {
    let mut name = ETHERNET_NAME;
    let name: &mut [u8; 20] = transmute_mut!(&mut name);
    let mut rest = index;
    for digit in name.iter_mut().rev() {
        let (tens, ones) = divide_by_ten(rest);
        *digit = b'0'.wrapping_add(ones);
        rest = tens;
        if rest == 0 {
            break;
        }
    }
    if let Some(bytes) = uuid5(&words(uuid), name).as_bytes().first_chunk() {
        *out = *bytes;
    }
    mac::make_local(out);
}

/// The machine-id: UUIDv5(`uuid`, `machine-id`), written as 32 hex digits (machine-id(5)).
pub fn machine_id(uuid: Uuid) -> Uuid {
    Uuid::from_bytes(transmute!(uuid5(&words(uuid), &MACHINE_ID_NAME)))
}

/// A UUID's bytes, as words.
#[inline(always)]
fn words(uuid: Uuid) -> [u32; 4] {
    transmute!(uuid.into_bytes())
}

/// UUIDv5 (RFC 9562 section 5.5) of a namespace and a name without its NULs, as words in the order of its bytes.
///
/// Names have at most 39 bytes: one block's 64 without the namespace's 16, the end mark and the length's 8. Not inlined: two
/// callers.
#[inline(never)]
fn uuid5(namespace: &[u32; 4], name: &[u8]) -> [u32; 4] {
    let mut block = Block::default();
    let (head, tail) = block.split_at_mut(4);
    if let Some(head) = head.first_chunk_mut() {
        *head = *namespace;
    }
    let tail = tail.as_mut_bytes();
    let (mut tail, mut bits) = (tail.iter_mut(), 128_u32);
    for &byte in name.iter().filter(|&&byte| byte != 0) {
        if let Some(target) = tail.next() {
            *target = byte;
            bits = bits.wrapping_add(8);
        }
    }
    if let Some(end) = tail.next() {
        *end = 0x80;
    }
    let [a, b, c, d] = sha1::digest(&mut block, bits);
    // Version 5 and the variant.
    let (b, c) = (b & 0xffff_0fff | 0x5000, c & 0x3fff_ffff | 0x8000_0000);
    [a.to_be(), b.to_be(), c.to_be(), d.to_be()]
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
