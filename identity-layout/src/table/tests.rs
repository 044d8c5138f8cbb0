// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards with every kind of table, and every kind of fault.

use super::gpt::{GPT_SIGNATURE, read_name};
use super::*;
use crate::bytes::CRC32;
use crate::{Signature, WholeDevice};
use identity_fixtures::Card;
use identity_fixtures::card::LINUX;
use proptest::collection::vec;
use proptest::prelude::*;

fn read_card(card: &Card) -> PartitionTable {
    read(&Gap::new(card.bytes(), card.sectors()))
}

fn gpt_card() -> Card {
    let mut card = Card::new(16384);
    card.gpt(2, &[(LINUX, 8192, 12287, "boot"), (LINUX, 12288, 16000, "root")]);
    card
}

/// Changes the GPT header and makes its checksum right again.
fn patch_header(card: &mut Card, at: usize, bytes: &[u8]) {
    card.put_at(512 + at, bytes).put_at(512 + 16, &[0; 4]);
    let len = card.bytes().u32_le(512 + 12).unwrap();
    let crc = CRC32.checksum(card.bytes().span(512, len.into()).unwrap());
    card.put_at(512 + 16, &crc.to_le_bytes());
}

#[test]
fn nothing() {
    assert_eq!(read(&Gap::new(&[], 0)).problems, [TableProblem::TooShort]);
    assert_eq!(read(&Gap::new(&[0; 511], 1)).problems, [TableProblem::TooShort]);
    let blank = read(&Gap::new(&[0; 4096], 8));
    assert_eq!(
        (blank.scheme, blank.problems),
        (Scheme::None, vec![TableProblem::NoSignature { is_blank: true, sectors: 8 }])
    );
    // As `sfdisk` makes it; an entry without sectors is none.
    let mut card = Card::new(8);
    card.put_at(510, &[0x55, 0xaa]);
    let empty = read_card(&card);
    assert_eq!((empty.is_empty(), empty.scheme, empty.problems), (true, Scheme::Mbr, vec![]));
    card.put_at(446 + 4, &[0x83]);
    assert_eq!(read_card(&card).problems, []);
    assert!(read_card(&card).is_empty());
}

#[test]
fn mbr() {
    let mut card = Card::new(16384);
    card.mbr(1, 0x0c, 8192, 2048).mbr(2, 0x83, 10240, 2048).mbr(4, 0xda, 2048, 2048);
    let table = read_card(&card);
    assert_eq!((table.scheme, table.first_partition_lba()), (Scheme::Mbr, Some(2048)));
    assert_eq!(table.problems, []);
    let numbers: Vec<_> = table.partitions.iter().map(|partition| partition.number).collect();
    assert_eq!(numbers, [4, 1, 2]);
    assert_eq!(table.partitions[0].kind.to_string(), "non-filesystem data");

    card.mbr(3, 0x05, 12000, 4384).mbr(1, 0x83, 9000, 2048);
    let overlap = TableProblem::Overlap {
        one: Named { gpt: false, number: 1 },
        other: Named { gpt: false, number: 2 },
    };
    assert!(read_card(&card).problems.contains(&overlap));
    assert_eq!(overlap.to_string(), "MBR partition 1 and MBR partition 2 overlap");
}

#[test]
fn cut_off_is_harmless() {
    let mut card = Card::new(4096);
    card.mbr(1, 0x0c, 2048, 4096);
    let table = read_card(&card);
    assert_eq!(
        table.problems,
        [TableProblem::Beyond { partition: Named { gpt: false, number: 1 }, end_lba: 6144 }]
    );
    assert_eq!(table.fatal_problem(), None);
}

#[test]
fn code_is_no_table() {
    let mut card = Card::new(64);
    card.mbr(1, 0x0c, 2048, 4096).put_at(446 + 16, &[0x33]);
    assert_eq!(read_card(&card).problems, [TableProblem::BootFlag { number: 2, found: 0x33 }]);
}

fn whole(name: &'static str, offset: u64, len: u64) -> TableProblem {
    TableProblem::WholeDevice(WholeDevice { name, signature: Signature { offset, len } })
}

#[test]
fn superfloppies() {
    let fat = [0xeb, 0x3c, 0x90, b'm', b'k', b'f', b's', b'.', b'f', b'a', b't', 0, 2, 4, 4, 0, 2];
    let mut card = Card::new(128);
    card.put(0, &fat).put_at(21, &[0xf8]).put_at(510, &[0x55, 0xaa]);
    assert_eq!(read_card(&card).problems, [whole("FAT", 16, 1)]);
    // GRUB's boot.img has the same jump, no parameter block and a table.
    card.put(0, &[0; 64]).put(0, &[0xeb, 0x63, 0x90]).mbr(1, 0x83, 64, 64);
    assert_eq!(read_card(&card).scheme, Scheme::Mbr);

    let mut card = Card::new(128);
    card.put_at(1024 + 0x38, &[0x53, 0xef]);
    assert_eq!(read_card(&card).problems, [whole("ext2/3/4", 1080, 2)]);
    // libblkid finds it beside a table, too.
    card.mbr(1, 0x83, 64, 64);
    assert_eq!(read_card(&card).problems, [whole("ext2/3/4", 1080, 2)]);
    card.put_at(1024 + 0x38, &[0, 0]);
    assert_eq!(read_card(&card).problems, []);
    card.put_at(32769, b"CD001");
    assert_eq!(read_card(&card).problems, [TableProblem::Iso9660]);
}

#[test]
fn gpt() {
    let table = read_card(&gpt_card());
    assert_eq!((table.scheme, &table.problems[..]), (Scheme::Gpt, &[][..]));
    assert_eq!(table.first_partition_lba(), Some(8192));
    let gpt = table.gpt.unwrap();
    assert_eq!((gpt.entries_lba, gpt.entries_sectors), (2, 32));
    assert_eq!((gpt.header_crc_ok, gpt.entries_crc_ok), (true, Some(true)));
    assert_eq!(gpt.disk_id.to_string(), "87a3c1f0-5c5e-4a52-9a3e-6b8e7d9c0f21");
    let boot = &table.partitions[0];
    assert_eq!((boot.number, boot.sectors, boot.name.as_deref()), (1, 4096, Some("boot")));
    assert_eq!(boot.kind.to_string(), "Linux");
}

#[test]
fn moved_entries() {
    let mut card = Card::new(16384);
    card.gpt(2016, &[(LINUX, 8192, 12287, "boot")]);
    let table = read_card(&card);
    assert_eq!((table.problems, table.gpt.unwrap().entries_lba), (vec![], 2016));
    // Not read far enough: where to read on is known.
    let table = read(&Gap::new(&card.bytes()[..2016 * 512], card.sectors()));
    assert_eq!(table.problems, [TableProblem::GptEntriesOutside { start_lba: 2016, sectors: 32 }]);
    assert_eq!(table.gpt.unwrap().entries_crc_ok, None);
}

#[test]
fn hybrid() {
    let mut card = gpt_card();
    card.mbr(2, 0x0c, 4096, 1024);
    let table = read_card(&card);
    assert_eq!((table.scheme, table.first_partition_lba()), (Scheme::Hybrid, Some(4096)));
    assert_eq!((table.partitions.len(), table.problems), (3, vec![]));
}

#[test]
fn broken_gpt() {
    let mut card = gpt_card();
    card.bytes_mut()[512 + 40] ^= 1;
    assert!(matches!(read_card(&card).problems[..], [TableProblem::GptHeaderCrc { .. }]));

    let mut card = gpt_card();
    card.bytes_mut()[1024 + 127] ^= 1;
    let table = read_card(&card);
    assert!(matches!(table.problems[..], [TableProblem::GptEntriesCrc { .. }]));
    assert_eq!(table.first_partition_lba(), Some(8192));

    let mut card = gpt_card();
    card.put(1, &[0; 8]);
    assert_eq!(read_card(&card).problems, [TableProblem::GptMissing]);

    let mut card = gpt_card();
    card.mbr(1, 0x83, 9000, 100);
    let table = read_card(&card);
    assert_eq!((table.scheme, table.first_partition_lba()), (Scheme::Mbr, Some(9000)));
    assert_eq!(table.problems, [TableProblem::GptUnprotected]);
    assert_eq!(
        (table.fatal_problem(), table.unprotected.as_ref().map(|gpt| gpt.entries_sectors)),
        (None, Some(32))
    );

    let header = |at: usize, bytes: &[u8]| {
        let mut card = gpt_card();
        patch_header(&mut card, at, bytes);
        read_card(&card).problems
    };
    assert_eq!(header(24, &[2]), [TableProblem::GptHeaderLba { stored: 2 }]);
    assert_eq!(header(84, &[0, 0, 0, 0]), [TableProblem::GptEntryLen { found: 0 }]);
    assert_eq!(header(84, &[0xff; 4]), [TableProblem::GptEntryLen { found: u32::MAX }]);
    for entries_lba in [0, 1, 16384, u64::MAX] {
        assert_eq!(
            header(72, &entries_lba.to_le_bytes()),
            [TableProblem::GptEntriesOutside { start_lba: entries_lba, sectors: 32 }]
        );
    }
    let too_many = header(80, &[0xff; 4]);
    assert!(matches!(
        too_many[..],
        [TableProblem::GptEntryCount { .. }, TableProblem::GptEntriesOutside { .. }]
    ));

    for len in [0, 91, 513, u32::MAX] {
        let mut card = gpt_card();
        card.put_at(512 + 12, &len.to_le_bytes());
        assert_eq!(read_card(&card).problems, [TableProblem::GptHeaderLen { found: len }]);
    }
}

#[test]
fn longer_gpt_header() {
    let mut card = gpt_card();
    patch_header(&mut card, 12, &512_u32.to_le_bytes());
    // The length counts only once it is written, so make the checksum twice.
    patch_header(&mut card, 12, &512_u32.to_le_bytes());
    assert_eq!(read_card(&card).problems, []);
}

#[test]
fn gpt_partitions_over_the_gpt() {
    let partition = |number| Named { gpt: true, number };
    let mut card = Card::new(4096);
    card.gpt(2, &[(LINUX, 33, 2000, ""), (LINUX, 2100, 2000, "")]);
    assert_eq!(
        read_card(&card).problems,
        [
            TableProblem::Reversed { partition: partition(2) },
            TableProblem::OverGpt { partition: partition(1) }
        ]
    );
    card.gpt(2, &[(LINUX, 34, u64::MAX, ""), (LINUX, 0, 1, ""), (LINUX, 40, 50, "")]);
    assert_eq!(
        read_card(&card).problems,
        [
            TableProblem::Overlap { one: partition(1), other: partition(3) },
            TableProblem::OverGpt { partition: partition(2) },
            TableProblem::Beyond { partition: partition(1), end_lba: u64::MAX },
        ]
    );
}

#[test]
fn names_cannot_disturb_a_terminal() {
    let units = ['a', '\u{1b}', 'ü', '\0', 'b'].map(|char| (u32::from(char) as u16).to_le_bytes());
    assert_eq!(read_name(&units).as_deref(), Some("a\u{fffd}ü"));
    assert_eq!(read_name(&[[0x00, 0xd8]]).as_deref(), Some("\u{fffd}"));
    assert_eq!(read_name(&[[0, 0]]), None);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        mbr in vec(any::<u8>(), 64),
        flags: bool,
        header in vec(any::<u8>(), 92),
        entries in vec(any::<u8>(), 0..2048),
        plain: bool,
        device_sectors: u64,
    ) {
        let mut card = Card::new(8);
        card.put_at(446, &mbr).put_at(510, &[0x55, 0xaa]).put(1, &header).put(1, GPT_SIGNATURE);
        card.put(2, &entries);
        if flags {
            for at in [446, 462, 478, 494] {
                card.put_at(at, &[0]);
            }
        }
        if plain {
            card.put_at(446, &[0, 0, 0, 0, 0xee]).put_at(512 + 72, &2_u64.to_le_bytes());
            card.put_at(512 + 80, &16_u32.to_le_bytes()).put_at(512 + 84, &128_u32.to_le_bytes());
        }
        let table = read(&Gap::new(card.bytes(), device_sectors));
        // What four entries of 16 bytes say, read here by hand.
        let number = |bytes: &[u8]| u64::from(u32::from_le_bytes(bytes.try_into().unwrap()));
        let entries: Vec<_> = card.bytes()[446..510].chunks(16).collect();
        let listed: Vec<_> = (1..).zip(&entries)
            .map(|(at, entry)| (at, entry[4], number(&entry[8..12]), number(&entry[12..16])))
            .filter(|(_, _, _, sectors)| *sectors != 0)
            .collect();
        let is_protective = entries.iter().any(|entry| entry[4] == 0xee);
        let of_mbr = || table.partitions.iter().filter(|partition| !partition.is_gpt() && partition.container.is_none());
        let found = |at: u32, kind: u8, start, sectors| {
            of_mbr().any(|partition| {
                (partition.number, partition.kind, partition.start_lba, partition.sectors)
                    == (at, Kind::Mbr(kind), start, sectors)
            })
        };
        match table.scheme {
            Scheme::None => prop_assert!(!is_protective && table.partitions.is_empty() && !table.problems.is_empty()),
            Scheme::Mbr => {
                prop_assert!(!is_protective);
                prop_assert_eq!(of_mbr().count(), listed.len());
                for (at, kind, start, sectors) in listed {
                    prop_assert!(found(at, kind, start, sectors), "{at}: {start}, {sectors}");
                }
            }
            Scheme::Gpt | Scheme::Hybrid => prop_assert!(is_protective),
        }
        let starts: Vec<_> = table.partitions.iter().map(|partition| partition.start_lba).collect();
        prop_assert!(starts.is_sorted());
        prop_assert_eq!(table.first_partition_lba(), starts.first().copied());
    }
}
