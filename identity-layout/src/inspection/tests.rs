// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is asked for, on cards whose table lies elsewhere, and on cards that fail.

use super::*;
use crate::table::TableProblem;
use crate::{check_slot, map};
use identity_fixtures::Card;
use identity_fixtures::card::LINUX;

/// Reads what is asked for; `bad` sectors cannot be read. Returns what was asked for, too.
fn inspect(card: &Card, bad: &[u64]) -> (Inspection, Vec<Range<u64>>) {
    let mut inspection = Inspection::new(card.sectors());
    let mut asked = Vec::new();
    while let Some(range) = inspection.next() {
        assert!(range.end <= card.sectors() && !range.is_empty() && !asked.contains(&range), "{range:?}");
        asked.push(range.clone());
        let bytes = |lba: u64, sectors: u64| {
            card.bytes()[lba as usize * 512..(lba + sectors) as usize * 512].to_vec()
        };
        if range.clone().any(|lba| bad.contains(&lba)) {
            for lba in range {
                if bad.contains(&lba) {
                    inspection.give_unreadable(lba..lba + 1);
                } else {
                    inspection.give(lba, bytes(lba, 1));
                }
            }
        } else {
            inspection.give(range.start, bytes(range.start, range.end - range.start));
        }
    }
    (inspection, asked)
}

fn extended() -> Card {
    let mut card = Card::new(16384);
    card.mbr(1, 0x0c, 8192, 64).mbr(2, 0x0f, 9000, 2000);
    for (lba, link) in [(9000_usize, 500_u32), (9500, 900), (9900, 0)] {
        let logical = [[0, 0, 0, 0, 0x83, 0, 0, 0], [16, 0, 0, 0, 100, 0, 0, 0]].concat();
        card.put_at(lba * 512 + 446, &logical).put_at(lba * 512 + 510, &[0x55, 0xaa]);
        if link > 0 {
            let entry =
                [[0, 0, 0, 0, 5, 0, 0, 0], [link.to_le_bytes(), [100, 0, 0, 0]].concat().try_into().unwrap()];
            card.put_at(lba * 512 + 462, &entry.concat());
        }
    }
    card
}

#[test]
fn extended_boot_records_and_the_end_are_asked_for() {
    let (inspection, asked) = inspect(&extended(), &[]);
    assert_eq!(
        asked,
        [0..64, 9000..9001, 9500..9501, 9900..9901, 16383..16384, 64..8192, 16120..16384, 8192..8200]
    );
    let gap = inspection.gap();
    for lba in 0..16384 {
        let is_zero = gap.sector(lba).is_some_and(|sector| *sector == [0; 512]);
        assert_eq!(gap.is_zero(lba), is_zero, "LBA {lba}");
    }
    assert!(inspection.with_blank(0).gap().is_zero(0) && !gap.is_zero(0));
    let table = table::read(&gap);
    let starts: Vec<_> =
        table.partitions.iter().map(|partition| (partition.number, partition.start_lba)).collect();
    assert_eq!(starts, [(1, 8192), (2, 9000), (5, 9016), (6, 9516), (7, 9916)]);
    assert_eq!(table.problems, []);
}

#[test]
fn entries_that_were_moved_and_the_backup_are_asked_for() {
    let mut card = Card::new(16384);
    card.gpt(12000, &[(LINUX, 6000, 7000, "root")]);
    let (inspection, asked) = inspect(&card, &[]);
    assert_eq!(asked, [0..64, 12000..12032, 16383..16384, 64..6000, 16120..16384, 8192..8200]);
    assert_eq!(table::read(&inspection.gap()).problems, []);
}

#[test]
fn what_cannot_be_read_is_somebodys() {
    let is_free = |card: &Card, bad: &[u64], lba| {
        let (inspection, _) = inspect(card, bad);
        let gap = inspection.gap();
        check_slot(&map(&gap), &gap, lba)
    };
    let card = extended();
    assert_eq!(is_free(&card, &[], 52), Ok(()));
    assert!(is_free(&card, &[52], 52).is_err());
    assert!(is_free(&card, &[51], 52).is_err());
    assert_eq!(is_free(&card, &[5000], 52), Ok(()));
    // Of a plain MBR nobody needs the last sector.
    assert_eq!(is_free(&card, &[16383], 52), Ok(()));
    let unreadable = |card: &Card, lba| {
        let reason = is_free(card, &[lba], 52).unwrap_err().to_string();
        assert!(reason.contains(&format!("LBA {lba} cannot be read")), "{reason}");
    };
    unreadable(&card, 9500);
    let mut gpt = Card::new(16384);
    gpt.gpt(12000, &[(LINUX, 6000, 7000, "root")]);
    for lba in [1, 16383] {
        unreadable(&gpt, lba);
    }
    assert!(is_free(&gpt, &[12003], 52).is_err());
}

#[test]
fn a_table_that_was_not_there_to_be_read_is_said() {
    for (kind, is_fatal) in [(0x05, false), (0x82, false), (0x81, true), (0x63, true), (0xa5, true)] {
        let mut card = Card::new(16384);
        card.mbr(1, kind, 8192, 64);
        let table = table::read(&Gap::new(&card.bytes()[..4096 * 512], card.sectors()));
        assert!(matches!(table.problems[..], [TableProblem::NotLookedAt { .. }]), "{kind:02x}");
        assert_eq!(table.fatal_problem().is_some(), is_fatal, "{kind:02x}");
    }
}
