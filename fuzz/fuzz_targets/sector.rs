// SPDX-License-Identifier: MIT OR Apache-2.0
//! One sector: the LBA that it was read at (four bytes), whether to make its magic and checksum right (one byte), and
//! its bytes.
#![no_main]

use identity_core::sector::{MAGIC, offset};
use identity_core::{StoredCopy, SECTOR_LEN, derive};
use identity_fuzz::number;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (lba, data) = number(data);
    let Some((make_right, data)) = data.split_first() else { return };
    let mut sector = [0; SECTOR_LEN];
    let len = data.len().min(SECTOR_LEN);
    sector[..len].copy_from_slice(&data[..len]);
    if make_right & 1 == 1 {
        sector[..offset::CRC].copy_from_slice(&MAGIC);
        let crc = crc32c(&sector[..offset::CRC], &sector[offset::HEADER_LEN..]);
        sector[offset::CRC..offset::HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
    }
    let Ok(copy) = StoredCopy::parse(&sector, lba) else { return };
    assert_eq!(copy.own_lba(), lba);
    let identity = copy.identity();
    // One identity, one encoding.
    assert_eq!(identity.encode(copy.own_lba(), copy.peer_lba()), sector);
    assert!(!identity.profile().is_empty());
    for (index, mac) in identity.fields().macs() {
        assert_eq!(identity.mac(index.into()).0, mac);
    }
    let first = derive::mac(identity.uuid(), 0).bytes()[0];
    assert_eq!(first & 3, 2, "local and unicast");
    if let Ok(next) = identity.next().and_then(|draft| draft.finish()) {
        assert_eq!(next.generation(), identity.generation() + 1);
        assert_eq!(next.fields().bytes(), identity.fields().bytes());
    }
});

fn crc32c(one: &[u8], other: &[u8]) -> u32 {
    !one.iter().chain(other).fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}
