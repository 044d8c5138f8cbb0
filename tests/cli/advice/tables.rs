// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables that are broken, or of other systems: the command that a message names mends or clears that table and nothing
//! else. Of the other systems' tables `wipefs` lists few, and for the others nothing but the MBR.

use identity_tests::cli::tool;

use super::*;

type Poke = fn(&mut [u8]);

fn put(card: &mut [u8], at: usize, bytes: &[u8]) {
    card[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Makes the sum of all big-endian words zero, by the one at `at`.
fn sum_at(card: &mut [u8], at: usize) {
    let sum = |card: &[u8]| {
        let words = card[..512].as_chunks::<4>().0.iter();
        words.fold(0_u32, |sum, word| sum.wrapping_add(u32::from_be_bytes(*word)))
    };
    let rest = sum(card).wrapping_neg();
    put(card, at, &rest.to_be_bytes());
}

fn sun(card: &mut [u8]) {
    put(card, 508, &[0xda, 0xbe]);
    let xor = card[..512].as_chunks::<2>().0.iter().fold(0, |xor, word| xor ^ u16::from_be_bytes(*word));
    put(card, 0, &xor.to_be_bytes());
}

fn adfs(card: &mut [u8]) {
    put(card, 6 * 512 + 0x1c0, &[9]);
    put(card, 6 * 512 + 0x1d0, &[0, 0, 16, 0]);
    let content = card[6 * 512..6 * 512 + 511].iter().rev();
    let sum = content.fold(0_u16, |sum, byte| (sum & 0xff) + (sum >> 8) + u16::from(*byte));
    card[6 * 512 + 511] = sum as u8;
}

/// Labels beside an MBR that stays good, by the name that the message has.
const LABELS: [(&str, Poke); 13] = [
    ("SGI", |card| {
        put(card, 0, &[0x0b, 0xe5, 0xa9, 0x41]);
        put(card, 312, &[0, 0, 0x1f, 0x40, 0, 0, 0, 40, 0, 0, 0, 5]);
        sum_at(card, 300);
    }),
    ("AIX", |card| put(card, 0, &[0xc9, 0xc2, 0xd4, 0xc1])),
    ("BSD", |card| put(card, 64, &[0x57, 0x45, 0x56, 0x82])),
    ("SYSV68", |card| put(card, 248, b"MOTOROLA")),
    ("Acorn EESOX", |card| put(card, 7 * 512, &[0x0b, 0, 0x1a, 0x03, 0x58, 0x43])),
    ("Amiga RDB", |card| put(card, 0, b"RDSK")),
    ("Amiga RDB", |card| put(card, 3 * 512, b"RDSK")),
    ("Amiga RDB", |card| put(card, 15 * 512, b"RDSK")),
    ("Mac", |card| {
        put(card, 0, b"ER");
        put(card, 512, b"PM");
    }),
    ("Sun", sun),
    ("NEC PC-98", |card| put(card, 4, b"IPL1")),
    ("Windows LDM", |card| {
        card[450] = 0x42;
        put(card, 6 * 512, b"PRIVHEAD");
    }),
    ("Acorn ADFS", adfs),
];

#[test]
fn a_label_of_another_system() {
    for (label, poke) in LABELS {
        let mut bytes = Card::new(SECTORS).mbr(1, 0x0c, 8192, 4096).bytes().to_vec();
        poke(&mut bytes);
        let card = Image::of(&bytes);
        let said = run(&card, "stamp --profile panda").exits(6).says(&[&format!("of type {label} in LBA")]);
        let named = commands(&said);
        assert!(named.len() == 1 && named[0].starts_with("dd "), "{label}: {named:?}");
        assert_eq!(commands(&run(&card, "verify").exits(3)), named, "{label}");
        assert!(run(&card, "map").exits(0).stdout.contains(&named[0]), "{label}");
        follow(&card, &named[0], &[]);
        assert_eq!(card.changed_since(&bytes).len(), 1, "{label}");
        let listed = tool("wipefs").arg(card.path()).output().expect("wipefs, of util-linux").stdout;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        assert!(listed.lines().count() == 2 && listed.contains(" dos"), "{label}: {listed}");
        can_be_stamped(&card);
    }
}

/// In their place: without its signature LBA 0 is no table at all, and a new one can be made.
#[test]
fn a_label_in_the_place_of_an_mbr() {
    let labels: [(&str, Poke); 4] = [
        ("Karma", |card| put(card, 510, &[0x56, 0xab])),
        ("SGI", |card| {
            put(card, 0, &[0x0b, 0xe5, 0xa9, 0x41]);
            sum_at(card, 300);
        }),
        ("Sun", sun),
        ("Atari", |card| put(card, 0x1c6, b"\x01GEM\0\0\0\x28\0\0\0\x64")),
    ];
    for (label, poke) in labels {
        let mut bytes = vec![0; SECTORS * 512];
        poke(&mut bytes);
        let card = Image::of(&bytes);
        for (verb, code) in [("stamp --profile panda", 6), ("verify", 3)] {
            let said = run(&card, verb).exits(code).says(&[&format!("of type {label} in LBA")]);
            assert!(!said.stderr.contains("no partition table"), "{label}: {}", said.stderr);
        }
        let named = commands(&run(&card, "stamp --profile panda").exits(6));
        assert!(named.len() == 1 && named[0].starts_with("dd "), "{label}: {named:?}");
        // It reads one sector, and does not know what it means.
        let read = run(&card, "read").exits(3);
        assert!(!read.stderr.contains("no partition table"), "{label}: {}", read.stderr);
        let mapped = run(&card, "map").exits(0);
        assert!(!mapped.stdout.contains("no partition table"), "{label}: {}", mapped.stdout);
        run(&card, "map --format svg").exits(0).shows(&[&format!("· {} ·", label.to_uppercase())]);
        follow(&card, &named[0], &[]);
        run(&card, "stamp --profile panda").exits(6).says(&["no partition table", "sfdisk"]);
    }
}

/// `sfdisk` makes no partition behind the end.
#[test]
fn a_card_that_is_too_short_for_a_table() {
    for (sectors, has_room) in [(8192, false), (8193 + 2048, true)] {
        let card = Image::of(Card::new(sectors).bytes());
        for verb in ["read", "verify", "stamp --profile panda"] {
            let code = if verb.starts_with("stamp") { 6 } else { 3 };
            let said = run(&card, verb).exits(code);
            assert_eq!(said.stderr.contains("sfdisk"), has_room, "{}", said.stderr);
            assert!(said.stderr.contains("identity flash IMAGE"), "{}", said.stderr);
        }
    }
}

#[test]
fn a_table_of_a_larger_card() {
    let cut = || {
        let card = Image::sgdisk(2 * SECTORS as u64, &["-n", "1:8192:+1M"]);
        let file = fs::File::options().write(true).open(card.path()).expect("own file");
        file.set_len(SECTORS as u64 * 512).expect("own file");
        card
    };
    each(cut, "stamp --profile panda", &[("sgdisk -e", &[], can_be_stamped)]);
}

/// A partition that does not fit: nothing is named that would mend the table, for nothing does.
#[test]
fn a_table_of_a_larger_card_whose_partition_does_not_fit() {
    // The last sector in use is the last that leaves room for a backup, and the next one.
    let last = SECTORS as u64 - 34;
    for (end, fits) in [(last, true), (last + 1, false), (2 * SECTORS as u64 - 34, false)] {
        let card = Image::sgdisk(2 * SECTORS as u64, &["-a", "1", "-n", &format!("1:8192:{end}")]);
        let file = fs::File::options().write(true).open(card.path()).expect("own file");
        file.set_len(SECTORS as u64 * 512).expect("own file");
        let said = run(&card, "stamp --profile panda").exits(6);
        let named = commands(&said);
        if fits {
            follow(&card, &named[0], &[]);
            can_be_stamped(&card);
        } else {
            let said =
                said.says(&["GPT partition 1 does not fit", "use a larger one", "identity flash IMAGE"]);
            assert!(!said.stderr.contains("sgdisk"), "{}", said.stderr);
            let mended =
                identity_tests::cli::tool("sgdisk").arg("-e").arg(card.path()).output().expect("sgdisk");
            assert!(!mended.status.success(), "{end}: sgdisk mends it");
        }
    }
}

#[test]
fn a_system_on_the_whole_device() {
    let swap = || {
        let card = Image::mbr();
        card.put(7, &{
            let mut sector = [0; 512];
            sector[502..].copy_from_slice(b"SWAPSPACE2");
            sector
        });
        // A header that is one: version 1 and the last page.
        card.put(2, &[1, 0, 0, 0, 0xff, 7, 0, 0]);
        card
    };
    let card = swap();
    let named = commands(&run(&card, "stamp --profile panda").exits(6));
    assert!(named.len() == 1 && named[0].starts_with("dd "), "{named:?}");
    follow(&card, &named[0], &[]);
    can_be_stamped(&card);
}

/// What no command mends: another image does.
#[test]
fn a_table_that_makes_no_sense() {
    let (_dir, image) = os();
    let cards: [fn() -> Image; 3] = [
        // Overlapping partitions.
        || Image::of(Card::new(SECTORS).mbr(1, 0x0c, 8192, 4096).mbr(2, 0x83, 9000, 4096).bytes()),
        // Code with the signature of an MBR.
        || Image::of(Card::new(SECTORS).put_at(462, &[0x33]).put_at(510, &[0x55, 0xaa]).bytes()),
        // An image for an optical disk.
        || Image::of(Card::new(SECTORS).mbr(1, 0x83, 8192, 4096).put_at(32769, b"CD001").bytes()),
    ];
    for make in cards {
        for (verb, code) in [("stamp --profile panda", 6), ("verify", 3)] {
            let card = make();
            let named = commands(&run(&card, verb).exits(code));
            assert_eq!(named.len(), 1, "{verb}: {named:?}");
            follow(&card, &named[0], &[("IMAGE", &image)]);
            can_be_stamped(&card);
        }
    }
}
