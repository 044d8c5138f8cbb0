// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values computed from the UUID, never stored: the same on every machine, reproducible with
//! `uuidgen --sha1` (util-linux) or Python's `uuid.uuid5`.

use uuid::{Builder, Uuid};

use crate::mac::Mac;
use crate::sha1::{BLOCK_LEN, digest_of_block};

/// Longest name that fits one block behind the namespace, the end mark and the length: 64 - 16 - 1 - 8 bytes.
const NAME_LEN_MAX: usize = 39;

/// `ethernet/` and the longest `u32`.
const ETHERNET_NAME_LEN_MAX: usize = 19;
const ETHERNET_PREFIX: &[u8] = b"ethernet/";
const POWERS_OF_TEN: [u32; 10] =
    [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
const MACHINE_ID_NAME: &[u8] = b"machine-id";

/// The MAC address of the bootloader's and device tree's `ethernet<index>`, unless a person assigned one:
/// the first six bytes of UUIDv5(`uuid`, `ethernet/<index>`), multicast bit cleared, local bit set.
pub fn mac(uuid: Uuid, index: u32) -> Mac {
    let name = ethernet_name(index);
    let [a, b, c, d, e, f, ..] = *uuid_v5(uuid, &name).as_bytes();
    Mac::locally_administered([a, b, c, d, e, f])
}

/// The machine-id: UUIDv5(`uuid`, `machine-id`), written as 32 hex digits (machine-id(5)).
pub fn machine_id(uuid: Uuid) -> Uuid {
    uuid_v5(uuid, MACHINE_ID_NAME)
}

/// `ethernet/<index>` in ASCII, without a division: not every Arm core has one.
fn ethernet_name(index: u32) -> heapless::Vec<u8, ETHERNET_NAME_LEN_MAX> {
    let mut name = heapless::Vec::new();
    // Every push fits: nine bytes and at most ten digits.
    for &byte in ETHERNET_PREFIX {
        let _ = name.push(byte);
    }
    let mut rest = index;
    for power in POWERS_OF_TEN {
        let mut digit = b'0';
        while let Some(less) = rest.checked_sub(power) {
            rest = less;
            digit = digit.saturating_add(1);
        }
        let is_leading_zero = digit == b'0' && name.len() == ETHERNET_PREFIX.len() && power > 1;
        if !is_leading_zero {
            let _ = name.push(digit);
        }
    }
    name
}

/// RFC 9562 section 5.5 for names of up to 39 bytes, which are exactly one SHA-1 block.
fn uuid_v5(namespace: Uuid, name: &[u8]) -> Uuid {
    debug_assert!(name.len() <= NAME_LEN_MAX);
    let mut block = [0; BLOCK_LEN];
    let message = namespace.as_bytes().iter().chain(name);
    for (target, &byte) in block.iter_mut().zip(message.chain(&[0x80])) {
        *target = byte;
    }
    let bits = name.len().saturating_add(16).saturating_mul(8);
    let [.., high, low] = &mut block;
    [*high, *low] = u16::try_from(bits).unwrap_or(0).to_be_bytes();
    let [bytes @ .., _, _, _, _] = digest_of_block(&block);
    Builder::from_sha1_bytes(bytes).into_uuid()
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
            let name = format!("ethernet/{index}");
            prop_assert_eq!(uuid_v5(uuid, name.as_bytes()), Uuid::new_v5(&uuid, name.as_bytes()));
            let ours = ethernet_name(index);
            prop_assert_eq!(ours.as_slice(), name.as_bytes());
        }

        #[test]
        fn always_local_and_unicast(uuid: u128, index: u32) {
            let mac = mac(Uuid::from_u128(uuid), index);
            prop_assert!(Mac::new(mac.bytes()).is_ok(), "{}", mac.to_string());
            prop_assert_eq!(mac.bytes()[0] & 3, 2);
        }
    }
}
