// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole card: its map, and which slots are free.
#![no_main]

use identity_core::{SECTOR_LEN, StoredCopy};
use identity_fuzz::card;
use identity_host::first_sectors::FirstSectors;
use identity_host::testing::FaultyCard;
use identity_layout::Basis;
use identity_layout::table::FIRST_PARTITION_USUAL_LBA;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (bytes, sectors) = card(data);
    let mut device = bytes.clone();
    device.resize((sectors as usize * SECTOR_LEN).min(64 << 20).max(SECTOR_LEN), 0);
    let sectors = (device.len() / SECTOR_LEN) as u64;
    let Ok(first) = FirstSectors::read(&FaultyCard::new(device.clone())) else { return };
    let (bytes, map) = (device, first.map());
    let mut end_lba = 0;
    for region in map.regions.iter().filter(|region| region.owner.basis != Basis::Claim) {
        assert!(region.sectors > 0 && region.start_lba >= end_lba, "{region:?} overlaps");
        end_lba = region.end_lba();
    }
    for place in first.verdicts().iter().filter(|slot| slot.is_free()) {
        let lba = place.lba;
        // A table without a partition gives what lies before the usual first one.
        assert!(
            map.table.first_partition_lba().is_some() || map.table.is_empty(),
            "no slot is free without a table"
        );
        let first_lba = map.table.first_partition_lba().unwrap_or(FIRST_PARTITION_USUAL_LBA);
        assert!(u64::from(lba) < first_lba && u64::from(lba) < sectors);
        assert!(map.table.fatal_problem().is_none());
        assert!(map.table.gpt.is_none() || lba > 33);
        let sector: &[u8; SECTOR_LEN] =
            bytes[lba as usize * SECTOR_LEN..].first_chunk().expect("a free slot was read");
        let is_blank = sector.iter().all(|byte| *byte == 0) || sector.iter().all(|byte| *byte == 0xff);
        // A copy, good or damaged, may be written anew.
        assert!(is_blank || sector.starts_with(&identity_core::sector::MAGIC), "LBA {lba} holds data");
    }
    for lba in first.copies() {
        let sector = bytes[lba as usize * SECTOR_LEN..].first_chunk().expect("a sector");
        assert!(StoredCopy::parse(sector, lba).is_ok());
    }
    for lba in [0, 1, 52, 300, u32::MAX] {
        let _ = (first.check_own(lba, false), first.check_own(lba, true), first.check_at(lba, true), first.check_at(lba, false));
    }
});
