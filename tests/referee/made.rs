// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards made at random: tables of every kind as their tools make them, and every fault in them.

use identity_tests::random::Random;

use crate::card::{LEN, Sparse, dos, gpt, mbr_entry};

/// Cards by real tools, to be changed.
pub struct Bases {
    gpts: Vec<Sparse>,
    mbrs: Vec<Sparse>,
}

/// A card and what was done to it, for people.
pub struct Made {
    pub card: Sparse,
    pub story: String,
}

impl Bases {
    /// By sfdisk.
    pub fn new() -> Self {
        let gpts = vec![
            gpt(&[]),
            gpt(&[(8192, 8192)]),
            gpt(&[(34, LEN - 67)]),
            gpt(&[(2048, 2048), (8192, 8192)]),
            gpt(&[(7000, 1000), (9000, 5000), (20000, 100)]),
        ];
        let mbrs = ["83", "5", "f", "85", "81", "63", "42", "a5", "a6", "a9", "82", "bf", "c", "0", "da"];
        Self { gpts, mbrs: mbrs.into_iter().map(dos).collect() }
    }

    /// One card.
    pub fn make(&self, random: &mut Random) -> Made {
        let (mut card, kind) = match random.below(10) {
            0..4 => (one(random, &self.gpts).clone(), "GPT"),
            4..8 => (one(random, &self.mbrs).clone(), "MBR"),
            8 => {
                let mut card = one(random, &self.gpts).clone();
                card.put(0, &one(random, &self.mbrs).sector(0));
                (card, "MBR over GPT")
            }
            _ => {
                let mut card = one(random, &self.gpts).clone();
                card.copy(one(random, &self.gpts), 0, 34, 0);
                (card, "GPT over another")
            }
        };
        let mut story = kind.to_owned();
        let is_gpt = kind.contains("GPT") && kind != "MBR over GPT";
        for _ in 0..random.below(4) {
            let change = if is_gpt && random.below(5) > 0 {
                change_gpt(&mut card, random)
            } else if random.below(3) == 0 {
                change_lba0(&mut card, random)
            } else {
                change_partition(&mut card, random)
            };
            story = format!("{story}; {change}");
        }
        Made { card, story }
    }
}

fn one<'a, T>(random: &mut Random, of: &'a [T]) -> &'a T {
    &of[random.below(of.len() as u64) as usize]
}

/// A number that somebody might take for a sector.
fn lba(random: &mut Random) -> u64 {
    let near = random.below(3);
    let places = [
        0,
        1,
        2,
        3,
        33,
        34,
        40,
        52,
        2047,
        2048,
        6590,
        8191,
        8192,
        9000,
        16383,
        LEN - 34,
        LEN - 33,
        LEN - 1,
        LEN,
        LEN * 8,
        u32::MAX.into(),
        1 << 32,
        (1 << 32) - 8192 + 40,
        u64::MAX,
        random.below(LEN),
        random.below(LEN),
        random.draw(),
    ];
    let place = *one(random, &places);
    if near == 0 { place.wrapping_add(1) } else { place }
}

/// Fields of a GPT header: name, offset, length.
const HEADER: [(&str, u64, usize); 12] = [
    ("revision", 8, 4),
    ("header length", 12, 4),
    ("reserved", 20, 4),
    ("own LBA", 24, 8),
    ("backup LBA", 32, 8),
    ("first usable", 40, 8),
    ("last usable", 48, 8),
    ("disk GUID", 56, 8),
    ("entries LBA", 72, 8),
    ("entry count", 80, 4),
    ("entry length", 84, 4),
    ("entries CRC", 88, 4),
];

fn change_gpt(card: &mut Sparse, random: &mut Random) -> String {
    let header = *one(random, &[1, 1, 1, LEN - 1]);
    let right_crc = random.below(4) > 0;
    let change = match random.below(12) {
        0..5 => {
            let (name, at, len) = *one(random, &HEADER);
            let value = match name {
                "revision" => *one(random, &[0, 0x10000, 0x10002, 0x10003, 0x20000]),
                "header length" => *one(random, &[0, 91, 92, 96, 512, 513]),
                "entry count" => *one(random, &[0, 1, 4, 56, 127, 129, 8192, 8193, 32768]),
                "entry length" => *one(random, &[0, 64, 127, 128, 136, 256, 512, 4096]),
                _ => lba(random),
            };
            card.put_at(header * 512 + at, &value.to_le_bytes()[..len]);
            format!("{name} of {header} is {value}")
        }
        5..8 => {
            let entries = u64::from_le_bytes(card.bytes(header, 80)[72..80].try_into().expect("eight bytes"));
            let at = entries.min(LEN) * 512 + 128 * random.below(4);
            let (first, last) = (lba(random), lba(random));
            card.put_at(at + 32, &first.to_le_bytes()).put_at(at + 40, &last.to_le_bytes());
            let kind = random.below(4);
            if kind > 0 {
                card.put_at(at, &[[0xaf; 16], [0; 16]][usize::from(kind == 3)]);
            }
            format!("entry at {at} of {header} is {first} to {last}, type {kind}")
        }
        8 | 9 => {
            let to = *one(random, &[34, 40, 52, 700, 1700, 5000, 6590, 12000, LEN - 100]);
            card.copy(&card.clone(), 2, 32, to).put_at(header * 512 + 72, &to.to_le_bytes());
            format!("entries of {header} moved to {to}")
        }
        10 => {
            let to = *one(random, &[100, 6600, 9000, LEN - 50]);
            card.copy(&card.clone(), LEN - 1, 1, to).put_at(512 + 32, &to.to_le_bytes());
            card.put_at(to * 512 + 24, &to.to_le_bytes()).fix_crc(to);
            format!("backup header moved to {to}")
        }
        _ => {
            card.put(header, &[0; 512]);
            return format!("header {header} wiped");
        }
    };
    if right_crc {
        card.fix_crc(header);
    }
    format!("{change}, {}", if right_crc { "CRC right" } else { "CRC not mended" })
}

fn change_lba0(card: &mut Sparse, random: &mut Random) -> String {
    const TYPES: [u8; 12] = [0, 0x05, 0x0c, 0x0f, 0x42, 0x63, 0x81, 0x82, 0x83, 0xa5, 0xee, 0xef];
    match random.below(8) {
        0 => {
            let (number, flag) = (random.below(4), random.below(256) as u8);
            card.put_at(446 + 16 * number, &[flag]);
            format!("flag {flag:02x}")
        }
        1 => {
            let magics: [(u64, &[u8]); 8] = [
                (0, &[0x0b, 0xe5, 0xa9, 0x41]),
                (0, &[0xc9, 0xc2, 0xd4, 0xc1]),
                (0, b"ER"),
                (508, &[0xda, 0xbe]),
                (3 * 512, b"RDSK"),
                (64, &[0x57, 0x45, 0x56, 0x82]),
                (0x1de, b"\x01GEM\0\0\0\x28\0\0\x10\0"),
                (4, b"IPL1"),
            ];
            let (at, magic) = *one(random, &magics);
            card.put_at(at, magic);
            if magic == b"ER" && random.below(2) == 0 {
                card.put(1 << random.below(4), b"PM");
            }
            format!("{magic:02x?} at {at}")
        }
        _ => {
            let number = 1 + random.below(4);
            let (kind, start, sectors) = (*one(random, &TYPES), lba(random) as u32, lba(random) as u32);
            card.entry(0, number, mbr_entry(*one(random, &[0, 0x80]), kind, start, sectors));
            format!("MBR entry {number}: {kind:02x} {start}+{sectors}")
        }
    }
}

/// What lies at the start of a partition: an extended boot record, a sub-table.
fn change_partition(card: &mut Sparse, random: &mut Random) -> String {
    let at = *one(random, &[8192, 8192, 8192, 9000, 2048, 8300]);
    // Mostly what the partition's type lets a reader look for.
    let fitting = match card.sector(0)[450] {
        0x81 => 4,
        0xa5 | 0xa6 | 0xa9 => 5,
        0x82 | 0xbf => 6,
        0x63 => 7,
        _ => 0,
    };
    match if random.below(4) > 0 { fitting } else { random.below(8) } {
        0..4 => {
            let (number, any) = (1 + random.below(4), lba(random));
            let kind = *one(random, &[0x83, 0x0c, 0x05, 0x0f, 0x81, 0]);
            let start = *one(random, &[1, 8, 16, 100, 108, 808, (1_u64 << 32) - 8192 + 40, any]) as u32;
            let sectors = *one(random, &[1, 40, 500, 8000, any]) as u32;
            card.entry(at, number, mbr_entry(0, kind, start, sectors));
            format!("boot record {at}: entry {number} {kind:02x} {start}+{sectors}")
        }
        4 => {
            let start = lba(random) as u32;
            card.entry(at, 1, mbr_entry(0, 0x81, start, 8000));
            format!("Minix table at {at}: {start}")
        }
        5 => {
            let (start, base) = (lba(random) as u32, (at + 1) * 512);
            card.put_at(base, &0x8256_4557_u32.to_le_bytes()).put_at(base + 138, &[8, 0]);
            card.put_at(base + 148, &2000_u32.to_le_bytes()).put_at(base + 152, &start.to_le_bytes());
            card.put_at(base + 160, &[7])
                .put_at(base + 148 + 36, &(random.below(2) as u32 * 8192).to_le_bytes());
            format!("BSD label at {at}: {start}")
        }
        6 => {
            let (start, base) = (lba(random) as u32, (at + 1) * 512);
            card.put_at(base + 12, &0x600d_deee_u32.to_le_bytes()).put_at(base + 16, &[1, 0, 0, 0]);
            card.put_at(base + 76, &start.to_le_bytes()).put_at(base + 80, &2000_u32.to_le_bytes());
            format!("Solaris table at {at}: {start}")
        }
        _ => {
            let (start, base) = (lba(random) as u32, (at + 29) * 512);
            card.put_at(base + 4, &0xca5e_600d_u32.to_le_bytes())
                .put_at(base + 120, &0x600d_deee_u32.to_le_bytes());
            card.put_at(base + 192, &[1, 0, 0, 0]).put_at(base + 196, &start.to_le_bytes());
            card.put_at(base + 200, &2000_u32.to_le_bytes());
            format!("UnixWare table at {at}: {start}")
        }
    }
}
