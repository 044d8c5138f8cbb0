// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other tables than MBR and GPT, beside them or in their place: one reader or another takes them first.
//!
//! Sources: Linux 6.1 `block/partitions/`; util-linux 2.38 `libblkid/src/partitions/`; parted 3.5 `libparted/labels/`.

use super::nested::BSD_MAGIC;
use super::{Kind, PartitionTable};
use crate::bytes::Bytes;
use crate::gap::Gap;
use crate::whole_device::Signature;

/// Where the rigid disk block of an Amiga may lie: LBA 0 to 15.
const RDB_SECTORS: u64 = 16;

/// A label, its sector, where its magic lies there, and the magic. parted asks for no more than these.
const MAGICS: [(&str, u64, u64, &[u8]); 6] = [
    ("SGI", 0, 0, &[0x0b, 0xe5, 0xa9, 0x41]),
    ("AIX", 0, 0, &[0xc9, 0xc2, 0xd4, 0xc1]),
    ("BSD", 0, 64, &BSD_MAGIC),
    ("SYSV68", 0, 248, b"MOTOROLA"),
    ("Karma", 0, 510, &[0x56, 0xab]),
    ("Acorn EESOX", 7, 0, &EESOX_MAGIC),
];

/// "Eesox" and a zero byte, encrypted with the beginning of "Neil Critchell".
const EESOX_MAGIC: [u8; 6] = [0x0b, 0, 0x1a, 0x03, 0x58, 0x43];

/// The first label that is not MBR or GPT, and the bytes without which nobody takes it for one.
pub(super) fn find(gap: &Gap<'_>, table: &PartitionTable) -> Option<(&'static str, Signature)> {
    let has = |lba: u64, at: u64, magic: &[u8]| gap.sector(lba).is_some_and(|sector| sector.has(at, magic));
    let plain = MAGICS.iter().find(|(_, lba, at, magic)| has(*lba, *at, magic));
    let plain = plain.map(|(label, lba, at, magic)| (*label, Signature::new(*lba, *at, magic.len())));
    let rdb = || {
        (0..RDB_SECTORS).find(|lba| has(*lba, 0, b"RDSK")).map(|lba| ("Amiga RDB", Signature::new(lba, 0, 4)))
    };
    let is_ldm = || table.partitions.iter().any(|partition| partition.kind == Kind::Mbr(0x42));
    let ldm = || (is_ldm() && has(6, 0, b"PRIVHEAD")).then_some(("Windows LDM", Signature::new(6, 0, 8)));
    let lba0 = gap.sector(0)?;
    // Its partition map follows, in a block of 512, 1024, 2048 or 4096 bytes.
    let is_mac = || lba0.has(0, b"ER") && [1, 2, 4, 8].iter().any(|lba| has(*lba, 0, b"PM"));
    let mac = || is_mac().then_some(("Mac", Signature::new(0, 0, 2)));
    let sun = || is_sun(lba0).then_some(("Sun", Signature::new(0, 508, 2)));
    // Its table would be in LBA 1.
    let is_gpt = table.gpt.is_some() || table.unprotected.is_some();
    let pc98 = || (!is_gpt && lba0.has(4, b"IPL1")).then_some(("NEC PC-98", Signature::new(0, 4, 4)));
    let atari = || atari_entry(lba0, gap.device_sectors()).map(|at| ("Atari", Signature::new(0, at, 4)));
    let acorn = || is_acorn_ics(lba0).then_some(("Acorn ICS", Signature::new(0, 508, 4)));
    let is_adfs = || gap.sector(6).is_some_and(|sector| is_adfs(sector));
    let adfs = || is_adfs().then_some(("Acorn ADFS", Signature::new(6, ADFS_RECORD, 1)));
    plain
        .or_else(rdb)
        .or_else(ldm)
        .or_else(mac)
        .or_else(sun)
        .or_else(pc98)
        .or_else(atari)
        .or_else(acorn)
        .or_else(adfs)
}

/// The magic, and the checksum that makes all words' exclusive or zero.
fn is_sun(lba0: &[u8]) -> bool {
    let (words, _) = lba0.as_chunks::<2>();
    let sum = words.iter().fold(0, |sum, word| sum ^ u16::from_be_bytes(*word));
    lba0.has(508, &[0xda, 0xbe]) && sum == 0
}

/// Where an entry with one of the names that Atari's tools write begins. Linux takes any three letters or digits, but only
/// where there is no MBR.
fn atari_entry(lba0: &[u8], device_sectors: u64) -> Option<u64> {
    const NAMES: [&[u8; 3]; 7] = [b"GEM", b"BGM", b"XGM", b"LNX", b"SWP", b"RAW", b"F32"];
    [0x1c6_u64, 0x1d2, 0x1de, 0x1ea].into_iter().find(|&at| {
        let is_active = lba0.byte(at).is_some_and(|flags| flags & 1 == 1);
        let is_named = NAMES.iter().any(|name| lba0.has(at.saturating_add(1), *name));
        let start = lba0.u32_be(at.saturating_add(4)).map_or(u64::MAX, u64::from);
        is_active && is_named && start <= device_sectors
    })
}

/// The checksum of ICS' table in the last word, which no sector with the signature of an MBR can have.
fn is_acorn_ics(lba0: &[u8]) -> bool {
    const START: u32 = 0x5061_7274;
    let Some(bytes) = lba0.span(0, 508) else { return false };
    let sum = bytes.iter().fold(START, |sum, byte| sum.wrapping_add((*byte).into()));
    lba0.u32_le(508) == Some(sum)
}

/// The disk record in the boot block of an Acorn disk; its first byte is the length of a sector.
const ADFS_RECORD: u64 = 0x1c0;

/// The boot block of an Acorn disk: its checksum, and a disk record that makes sense.
fn is_adfs(sector: &[u8]) -> bool {
    let sector_len_ok = sector.byte(ADFS_RECORD).is_some_and(|log2| matches!(log2, 8..=10));
    let has_size = sector.u32_le(ADFS_RECORD.saturating_add(0x10)).is_some_and(|size| size != 0);
    let Some((checksum, content)) = sector.split_last() else { return false };
    let sum = content
        .iter()
        .rev()
        .fold(0_u16, |sum, byte| (sum & 0xff).wrapping_add(sum >> 8).wrapping_add((*byte).into()));
    sector_len_ok && has_size && sum & 0xff == u16::from(*checksum)
}
