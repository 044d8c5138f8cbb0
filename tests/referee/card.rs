// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card of which only the sectors that were written take memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crc::{CRC_32_ISO_HDLC, Crc};
use identity_layout::{Inspection, Map, check_slot, map};
use identity_tests::image::Image;

const SECTOR_LEN: u64 = 512;
const CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Sectors that are not zero, and how many there are in all.
#[derive(Clone, Debug)]
pub struct Sparse {
    sectors: BTreeMap<u64, [u8; 512]>,
    len: u64,
}

/// Of the cards here: 16 MiB.
pub const LEN: u64 = 32768;

/// A GPT by `sfdisk`, for `sgdisk` pauses for a second; partitions by start and length.
pub fn gpt(partitions: &[(u64, u64)]) -> Sparse {
    let lines = partitions.iter().map(|(start, sectors)| format!("start={start},size={sectors}\n"));
    let script = format!("label: gpt\nfirst-lba: 34\n{}", lines.collect::<String>());
    Sparse::read(Image::sfdisk(LEN, &script).path())
}

/// An MBR by `sfdisk` with one partition of this type at LBA 8192.
pub fn dos(kind: &str) -> Sparse {
    let script = format!("label: dos\nstart=8192,size=8192,type={kind}\n");
    Sparse::read(Image::sfdisk(LEN, &script).path())
}

/// An entry of an MBR or of an extended boot record.
pub fn mbr_entry(flag: u8, kind: u8, start_lba: u32, sectors: u32) -> [u8; 16] {
    let mut entry = [0; 16];
    (entry[0], entry[4]) = (flag, kind);
    entry[8..12].copy_from_slice(&start_lba.to_le_bytes());
    entry[12..].copy_from_slice(&sectors.to_le_bytes());
    entry
}

impl Sparse {
    /// A card of zeroes.
    pub fn new(len: u64) -> Self {
        Self { sectors: BTreeMap::new(), len }
    }

    /// What a file holds.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("own file");
        let mut card = Self::new(bytes.len() as u64 / SECTOR_LEN);
        for (lba, sector) in bytes.chunks_exact(512).enumerate().filter(|(_, sector)| *sector != [0; 512]) {
            card.sectors.insert(lba as u64, sector.try_into().expect("one sector"));
        }
        card
    }

    /// One sector.
    pub fn sector(&self, lba: u64) -> [u8; 512] {
        self.sectors.get(&lba).copied().unwrap_or([0; 512])
    }

    /// Writes bytes from a byte on; what lies behind the end is dropped.
    pub fn put_at(&mut self, at: u64, bytes: &[u8]) -> &mut Self {
        for (at, byte) in (at..).zip(bytes).filter(|(at, _)| *at < self.len * SECTOR_LEN) {
            let sector = self.sectors.entry(at / SECTOR_LEN).or_insert([0; 512]);
            sector[(at % SECTOR_LEN) as usize] = *byte;
        }
        self
    }

    /// Writes bytes from a sector on.
    pub fn put(&mut self, lba: u64, bytes: &[u8]) -> &mut Self {
        self.put_at(lba * SECTOR_LEN, bytes)
    }

    /// `len` bytes from a sector on.
    pub fn bytes(&self, lba: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len.next_multiple_of(512)];
        for (at, sector) in self.sectors.range(lba..lba.saturating_add(bytes.len() as u64 / SECTOR_LEN)) {
            bytes[(at - lba) as usize * 512..][..512].copy_from_slice(sector);
        }
        bytes.truncate(len);
        bytes
    }

    /// Copies sectors from elsewhere.
    pub fn copy(&mut self, from: &Self, first: u64, count: u64, to: u64) -> &mut Self {
        for number in 0..count {
            self.put(to + number, &from.sector(first + number));
        }
        self
    }

    /// Writes an entry, 1 to 4, of the MBR or extended boot record at `lba`, and the signature.
    pub fn entry(&mut self, lba: u64, number: u64, entry: [u8; 16]) -> &mut Self {
        self.put_at(lba * SECTOR_LEN + 446 + 16 * (number - 1), &entry);
        self.put_at(lba * SECTOR_LEN + 510, &[0x55, 0xaa])
    }

    /// Makes the checksums of the GPT header at `lba` right, that of its entries as well where they are not too many.
    pub fn fix_crc(&mut self, lba: u64) -> &mut Self {
        let header = self.sector(lba);
        let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let entries_lba = u64::from_le_bytes(header[72..80].try_into().expect("eight bytes"));
        let entries_len = u64::from(number(80)) * u64::from(number(84));
        if entries_lba < self.len && entries_len < 1 << 22 {
            let crc = CRC32.checksum(&self.bytes(entries_lba, entries_len as usize));
            self.put_at(lba * SECTOR_LEN + 88, &crc.to_le_bytes());
        }
        self.put_at(lba * SECTOR_LEN + 16, &[0; 4]);
        let len = number(12).min(512) as usize;
        let crc = CRC32.checksum(&self.sector(lba)[..len]);
        self.put_at(lba * SECTOR_LEN + 16, &crc.to_le_bytes())
    }

    /// Writes the sectors that are not zero into a file, from this byte on.
    pub fn write_into(&self, file: &File, offset: u64) {
        for (lba, sector) in &self.sectors {
            file.write_all_at(sector, offset + lba * SECTOR_LEN).expect("room for a card");
        }
    }

    /// The map as `identity` draws it, and the slots of `lbas` that it would take.
    pub fn map(&self, lbas: impl IntoIterator<Item = u32>) -> (Map, Vec<u32>) {
        let mut inspection = Inspection::new(self.len);
        while let Some(range) = inspection.next() {
            inspection.give(range.start, self.bytes(range.start, ((range.end - range.start) * 512) as usize));
        }
        let gap = inspection.gap();
        let map = map(&gap);
        let free = lbas.into_iter().filter(|&lba| check_slot(&map, &gap, lba).is_ok()).collect();
        (map, free)
    }
}
