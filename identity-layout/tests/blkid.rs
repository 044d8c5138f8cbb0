// SPDX-License-Identifier: MIT OR Apache-2.0
//! Users of a whole device beside a readable MBR: what `blkid` finds there is refused, and what it does not see is not.

use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use identity_fixtures::Card;
use identity_layout::table::TableProblem;
use identity_layout::{Inspection, map};

/// 64 MiB, the least that blkid takes for ZFS.
const SECTORS: usize = 64 << 11;
const BLOCK: usize = 64 << 10;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// What `blkid` finds on the whole device, a table aside. `ambivalent` when there are several.
fn blkid(card: &Card) -> Option<String> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    // Sparse: most of a card is zeros.
    file.as_file().set_len(card.bytes().len() as u64).expect("room for a card");
    for (number, block) in card.bytes().chunks(BLOCK).enumerate().filter(|(_, block)| block != &ZEROS) {
        file.as_file().write_all_at(block, (number * BLOCK) as u64).expect("room for a card");
    }
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new("blkid")
        .env("PATH", path)
        .args(["-p", "-o", "udev"])
        .arg(file.path())
        .stdin(Stdio::null())
        .output()
        .expect("blkid, of util-linux");
    if output.status.code() == Some(8) {
        return Some("ambivalent".into());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("ID_FS_TYPE=")).map(str::to_owned)
}

/// What the layout finds, having asked for each sector that it needs.
fn ours(card: &Card) -> Option<&'static str> {
    match problem(card)? {
        TableProblem::WholeDevice(user) => Some(user.name),
        _ => Some("ISO 9660"),
    }
}

fn problem(card: &Card) -> Option<TableProblem> {
    let sectors = card.sectors();
    let mut inspection = Inspection::new(sectors);
    while let Some(Range { start, end }) = inspection.next() {
        inspection.give(start, card.bytes()[start as usize * 512..end as usize * 512].to_vec());
    }
    let map = map(&inspection.gap());
    let mut problems = map.table.problems.into_iter();
    problems.find(|problem| matches!(problem, TableProblem::WholeDevice(_) | TableProblem::Iso9660))
}

fn card() -> Card {
    let mut card = Card::new(SECTORS);
    card.mbr(1, 0x83, 8192, 40960);
    card
}

/// Bytes at an offset; negative: before the end.
type Poke<'a> = (i64, &'a [u8]);

fn poked(pokes: &[Poke<'_>]) -> Card {
    let mut card = card();
    for (at, bytes) in pokes {
        let at = if *at < 0 { (SECTORS as i64 * 512 + at) as usize } else { *at as usize };
        card.put_at(at, bytes);
    }
    card
}

/// Superblocks with no more in them than makes blkid take them, and leftovers with a little less.
fn superblocks() -> Vec<(String, Card)> {
    let mut cards: Vec<(String, Card)> = Vec::new();
    let mut add = |name: &str, pokes: &[Poke<'_>]| cards.push((name.into(), poked(pokes)));
    let bcache = b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81";
    for page in [4096, 8192, 16384, 32768, 65536_i64] {
        let at = page - 10;
        add("swap", &[(at, b"SWAPSPACE2"), (1024, &[1, 0, 0, 0, 255, 0, 0, 0])]);
        add("swap, version 2", &[(at, b"SWAPSPACE2"), (1024, &[2, 0, 0, 0, 255, 0, 0, 0])]);
        add("swap without a page", &[(at, b"SWAPSPACE2"), (1024, &[1, 0, 0, 0])]);
        for magic in [&b"SWAP-SPACE"[..], b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001"] {
            add(&format!("{} at {page}", String::from_utf8_lossy(magic)), &[(at, magic)]);
        }
    }
    for at in [0, 0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000_i64]
    {
        let magic: &[u8] = if at == 0 { b"LUKS\xba\xbe\0\x02" } else { b"SKUL\xba\xbe\0\x02" };
        let own = (at as u64).to_be_bytes();
        add(&format!("LUKS at {at:#x}"), &[(at, magic), (at + 256, &own)]);
    }
    for (name, at, magic) in [
        ("bluestore", 0, &b"bluestore block device"[..]),
        ("verity", 0, b"verity\0\0\x01\0\0\0"),
        ("integrity", 0, b"integrt\0\x01"),
        ("snapshot", 0, b"SnAp"),
        ("XFS magic alone", 0, b"XFSB"),
        ("cramfs", 0, b"\x45\x3d\xcd\x28"),
        ("romfs", 0, b"-rom1fs-"),
        ("squashfs", 0, b"hsqs"),
        ("drbd proxy", 0, b"DRBDdlh*"),
        ("drbd manage", 0, b"$DRBDmgr=q"),
        ("oracle asm", 32, b"ORCLDISK"),
        ("vdo", 0, b"dmvdo001"),
        ("UBI", 0, b"UBI#\x01"),
        ("UBIFS", 0, b"\x31\x18\x10\x06"),
        ("BFS", 0, b"\xce\xfa\xad\x1b"),
        ("NTFS magic alone", 3, b"NTFS    "),
        ("exFAT magic alone", 3, b"EXFAT   "),
        ("BitLocker", 0, b"\xeb\x58\x90-FVE-FS-"),
        ("ReFS", 0, b"\0\0\0ReFS\0"),
        ("ext magic", 1024 + 0x38, b"\x53\xef"),
        ("bcache magic", 4096 + 24, bcache),
        ("jfs magic", 32768, b"JFS1"),
        ("reiserfs", 65536 + 0x34, b"ReIsEr2Fs"),
        ("reiserfs", 65536 + 0x34, b"ReIsEr3Fs"),
        ("reiser4", 65536, b"ReIsEr4"),
        ("btrfs magic", 65536 + 0x40, b"_BHRfS_M"),
        ("gfs", 65536, b"\x01\x16\x19\x70"),
        ("ocfs2", 4096, b"OCFSV2"),
        ("ocfs", 8192, b"OracleCFS"),
        ("VMFS volume", 1 << 20, b"\x0d\xd0\x01\xc0"),
        ("VMFS", 2 << 20, b"\x5e\xf1\xab\x2f"),
        ("VxFS", 1024, b"\xf5\xfc\x01\xa5"),
        ("HFS+ magic", 1024, b"H+\0\x04"),
        ("minix magic", 1024 + 16, b"\x7f\x13"),
        ("highpoint", 4096 + 544, b"\xf0\x16\x78\x5a"),
        ("highpoint at the end", -11 * 512, b"\xf3\x16\x78\x5a"),
        ("intel", -1024, b"Intel Raid ISM Cfg Sig. 1.0.0"),
        ("lsi", -512, b"$XIDE$"),
        ("nvidia", -1024, b"NVIDIA"),
        ("promise", -63 * 512, b"Promise Technology, Inc."),
        ("drbd 8", -4096 + 60, b"\x83\x74\x02\x6b"),
        ("drbd 8 unclean", -4096 + 60, b"\x83\x74\x02\x6c"),
        ("drbd 9", -4096 + 60, b"\x83\x74\x02\x6d"),
        ("UFS", 8192 + 1372, b"\x54\x19\x01\0"),
        ("UFS2", 65536 + 1372, b"\x19\x01\x54\x19"),
        ("HPFS", 8192, b"\x49\xe8\x95\xf9"),
    ] {
        add(name, &[(at, magic)]);
    }
    let fat = b"\xeb\x3c\x90mkfs.fat\0\x02\x04\x04\0\x02\0\x02\0\0\xf8\x80\0";
    add("FAT beside an entry", &[(0, fat), (0x36, b"FAT16   "), (32, &[0, 0, 2, 0])]);
    add("FAT without a string", &[(0, fat), (32, &[0, 0, 2, 0])]);
    // md: magic, version, and for 1.x where it is.
    let md = |own: u64| {
        let mut bytes = vec![0; 256];
        bytes[..8].copy_from_slice(b"\xfc\x4e\x2b\xa9\x01\0\0\0");
        bytes[144..152].copy_from_slice(&own.to_le_bytes());
        let sum: u64 = bytes.as_chunks::<4>().0.iter().map(|word| u64::from(u32::from_le_bytes(*word))).sum();
        bytes[216..220].copy_from_slice(&((sum >> 32) as u32).wrapping_add(sum as u32).to_le_bytes());
        bytes
    };
    add("md 1.2", &[(4096, &md(8))]);
    add("md 1.2 of elsewhere", &[(4096, &md(2056))]);
    add("md 1.0", &[(-8192, &md(SECTORS as u64 - 16))]);
    add("md 1.0 of elsewhere", &[(-8192, &md(8))]);
    let mut md_0 = vec![0; 64];
    md_0[..12].copy_from_slice(b"\xfc\x4e\x2b\xa9\0\0\0\0\x5a\0\0\0");
    md_0[32..36].copy_from_slice(&60000_u32.to_le_bytes());
    add("md 0.90", &[(-65536, &md_0)]);
    md_0[32..36].copy_from_slice(&70000_u32.to_le_bytes());
    add("md 0.90 of a larger device", &[(-65536, &md_0)]);
    // LVM2 in each of the four sectors.
    for lba in 0..4_i64 {
        let mut label = vec![0; 512];
        label[..8].copy_from_slice(b"LABELONE");
        label[8..16].copy_from_slice(&(lba as u64).to_le_bytes());
        label[20..32].copy_from_slice(b"\x20\0\0\0LVM2 001");
        label[32..64].fill(b'a');
        let raw = crc::Algorithm { init: 0xf597_a6cf_u32.reverse_bits(), xorout: 0, ..crc::CRC_32_ISO_HDLC };
        let entry = card().bytes()[446..512].to_vec();
        if lba == 0 {
            label[446..].copy_from_slice(&entry);
        }
        let sum = crc::Crc::<u32, crc::Table<1>>::new(Box::leak(Box::new(raw))).checksum(&label[20..]);
        label[16..20].copy_from_slice(&sum.to_le_bytes());
        add(&format!("LVM2 at LBA {lba}"), &[(lba * 512, &label)]);
        label[40] ^= 1;
        add(&format!("LVM2 at LBA {lba}, damaged"), &[(lba * 512, &label)]);
    }
    cards
}

/// Runs a program of the system on a card of its own; `None` if it is not installed.
fn made(program: &str, arguments: &[&str]) -> Option<Card> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.as_file().set_len(SECTORS as u64 * 512).expect("room for a card");
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    command.env("PATH", path).args(arguments).arg(file.path());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    child.stdin.take().expect("piped").write_all(b"password\n").ok();
    assert!(child.wait().expect("it ends").success(), "{program} {arguments:?}");
    let bytes = std::fs::read(file.path()).expect("own file");
    let mut card = Card::new(SECTORS);
    card.put_at(0, &bytes);
    let entry = self::card().bytes()[446..512].to_vec();
    card.put_at(446, &entry);
    Some(card)
}

fn check(name: &str, card: &Card) -> bool {
    let (theirs, ours) = (blkid(card), ours(card));
    assert!(ours.is_some() || theirs.is_none(), "{name}: blkid finds {theirs:?}, and it is not refused");
    theirs.is_some()
}

#[test]
fn what_blkid_finds_on_the_whole_device_is_refused() {
    let cards = superblocks();
    let found = cards.iter().filter(|(name, card)| check(name, card)).count();
    println!(
        "FIGURE: {} superblocks beside an MBR, blkid takes {found} of them, all of these are refused",
        cards.len()
    );
    assert!(found > 60, "blkid takes only {found} of {}", cards.len());
}

/// Programs, and their options, that make file systems and volumes.
fn tools() -> Vec<(&'static str, Vec<&'static str>)> {
    let luks =
        ["luksFormat", "--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--type"];
    let luks = |kind| [&luks[..], &[kind]].concat();
    vec![
        ("mkswap", vec![]),
        ("mkfs.ext2", vec!["-q", "-F"]),
        ("mkfs.ext4", vec!["-q", "-F"]),
        ("mkfs.fat", vec!["-F16", "-s4"]),
        ("mkfs.fat", vec!["-F32"]),
        ("mkfs.minix", vec![]),
        ("mkfs.exfat", vec![]),
        ("mkfs.ntfs", vec!["-F", "-q"]),
        ("mkfs.f2fs", vec!["-q"]),
        ("mkfs.jfs", vec!["-q"]),
        ("mkfs.udf", vec![]),
        ("mkfs.gfs2", vec!["-q", "-O", "-p", "lock_nolock"]),
        ("make-bcache", vec!["-B"]),
        ("cryptsetup", luks("luks1")),
        ("cryptsetup", luks("luks2")),
    ]
}

#[test]
fn what_tools_make_on_the_whole_device_is_refused() {
    let mut seen = 0;
    for (program, arguments) in tools() {
        let Some(card) = made(program, &arguments) else {
            identity_fixtures::skipped(&format!("{program} is not installed"));
            continue;
        };
        assert!(check(program, &card), "{program}: blkid finds nothing");
        seen += 1;
    }
    println!(
        "FIGURE: {seen} file systems and volumes on the whole device, made by their own tools, all refused"
    );
    // Those of util-linux are always there.
    assert!(seen >= 2, "{seen}");
}

/// The bytes that a message tells a person to clear: then blkid finds nothing either, and the MBR is what it was.
#[test]
fn without_its_signature_nobody_finds_it() {
    let made = tools().into_iter().filter_map(|(program, arguments)| {
        Some((program.to_owned(), made(program, &arguments)?)).filter(|(_, card)| {
            // Its first 64 sectors are for boot loaders, and no bytes are named.
            problem(card) != Some(TableProblem::Iso9660)
        })
    });
    assert_eq!(blkid(&zfs()).as_deref(), Some("zfs_member"));
    let mut cleared = 0;
    for (name, mut card) in superblocks().into_iter().chain([("ZFS".into(), zfs())]).chain(made) {
        let table = card.bytes()[446..512].to_vec();
        let mut again = 0;
        while let Some(problem) = problem(&card) {
            let TableProblem::WholeDevice(user) = problem else { panic!("{name}: {problem:?}") };
            let signature = user.signature;
            assert!((1..=256 << 10).contains(&signature.len), "{name}: {signature:?}");
            card.put_at(signature.offset as usize, &vec![0; signature.len as usize]);
            (cleared, again) = (cleared + 1, again + 1);
            assert!(again < 8, "{name}: {signature:?}");
        }
        assert_eq!(blkid(&card), None, "{name}");
        assert!(card.bytes()[446..512] == table, "{name}");
    }
    assert!(cleared > 100, "{cleared}");
}

/// The four labels of a ZFS pool's member, with a list of pairs and uberblocks as blkid looks for them.
fn zfs() -> Card {
    let mut card = card();
    let end = SECTORS << 9;
    for label in [0, 256 << 10, end - (512 << 10), end - (256 << 10)] {
        // The list for libblkid 2.41, uberblocks for 2.38.
        let names: [&[u8]; 4] =
            [&[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1], b"txg", b"guid", b"state"];
        card.put_at(label + (16 << 10), &names.concat());
        for number in 0..8 {
            let words = [0x00ba_b10c, 5000, 5 + number as u64, 1, 1];
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            card.put_at(label + (128 << 10) + number * 1024, &bytes);
        }
    }
    card
}

#[test]
fn what_lies_in_a_partition_is_refused_only_if_blkid_sees_it_on_the_device() {
    // One of a few, at the start of a partition.
    for (name, card) in superblocks().into_iter().step_by(4) {
        let mut inside = self::card();
        inside.put_at(8192 * 512, &card.bytes()[..512 * 1024]);
        assert_eq!((ours(&inside), blkid(&inside)), (None, None), "{name} in a partition");
    }
    // In a partition up to the device's end, whose last sectors are the device's.
    let mut last = poked(&[]);
    last.mbr(1, 0x83, 2048, SECTORS as u32 - 2048);
    let mut md_0 = vec![0; 64];
    md_0[..12].copy_from_slice(b"\xfc\x4e\x2b\xa9\0\0\0\0\x5a\0\0\0");
    md_0[32..36].copy_from_slice(&60000_u32.to_le_bytes());
    last.put_at((SECTORS - 128) * 512, &md_0);
    assert_eq!((ours(&last), blkid(&last)), (None, None), "md 0.90 of the last partition");
}

/// Leftovers that blkid does not take, as swap without pages and arrays of a larger device, refuse no card.
#[test]
fn a_leftover_that_blkid_does_not_see_is_not_refused() {
    assert_eq!((ours(&card()), blkid(&card())), (None, None));
    // A long magic counts by itself, and LVM's label also beside a table, where blkid does not look at it.
    let counts = |name: &str| {
        let known = ["magic", "LVM2", "drbd manage", "BitLocker", "reiserfs", "gfs", "HPFS"];
        known.iter().any(|known| name.contains(known)) && !name.contains("damaged")
    };
    let mut left = 0;
    for (name, card) in superblocks() {
        if blkid(&card).is_none() && !counts(&name) {
            assert_eq!(ours(&card), None, "{name}");
            left += 1;
        }
    }
    assert!(left > 10, "only {left} leftovers");
}
