// SPDX-License-Identifier: MIT OR Apache-2.0
//! After a flash, every reader lists of the card what it lists of the image: nothing of the card's old system is left that
//! one of them would take for the table, or for the user of the whole device.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use identity_tests::cli::{Identity, tool};
use identity_tests::image::Image;
use identity_tests::random::Random;
use identity_tests::{figure, thorough};

use crate::card::{LEN, Sparse};
use crate::made::Bases;

/// Of the cards here, in bytes: ZFS takes no smaller one.
const CARD_LEN: u64 = 64 << 20;

/// All that the readers say of a file, without its name.
fn listing(path: &Path) -> Vec<String> {
    let say = |name: &str, arguments: &[&str], behind: &[&str]| {
        let mut tool = tool(name);
        tool.args(arguments).arg(path).args(behind).env("LC_ALL", "C");
        let output = tool.output().expect("a referee starts");
        let text = String::from_utf8_lossy(&output.stdout).replace(&path.display().to_string(), "CARD");
        format!("{name}: {text}")
    };
    vec![
        say("sfdisk", &["--json"], &[]),
        say("blkid", &["--probe", "--output", "export"], &[]),
        say("wipefs", &["--no-act", "--parsable"], &[]),
        say("partx", &["--show", "--bytes", "--output", "NR,START,SECTORS,UUID"], &[]),
        say("parted", &["--script", "--machine"], &["unit", "s", "print"]),
    ]
}

/// What an earlier user of the whole card has left at its end, as bytes that libblkid takes.
#[derive(Clone, Copy, Debug)]
enum AtEnd {
    Nothing,
    Gpt,
    Md090,
    Md10,
    Zfs,
    Intel,
    Ddf,
    Via,
    JMicron,
    Adaptec,
    SiliconImage,
}

const AT_END: [AtEnd; 11] = [
    AtEnd::Nothing,
    AtEnd::Gpt,
    AtEnd::Md090,
    AtEnd::Md10,
    AtEnd::Zfs,
    AtEnd::Intel,
    AtEnd::Ddf,
    AtEnd::Via,
    AtEnd::JMicron,
    AtEnd::Adaptec,
    AtEnd::SiliconImage,
];

fn leave(path: &Path, what: AtEnd) {
    let file = File::options().write(true).open(path).expect("own file");
    let put = |at: u64, bytes: &[u8]| file.write_all_at(bytes, at).expect("own file");
    match what {
        AtEnd::Nothing => (),
        AtEnd::Gpt => {
            let old = Image::sfdisk(CARD_LEN / 512, "label: gpt\nstart=2048,size=20000\nstart=40960\n");
            Sparse::read(old.path()).write_into(&file, 0);
        }
        AtEnd::Md090 => {
            let words = [0xa92b_4efc_u32, 0, 90, 0];
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            put(CARD_LEN - (64 << 10), &bytes);
        }
        AtEnd::Md10 => {
            let at = CARD_LEN - (8 << 10);
            let mut sb = vec![0; 256];
            sb[..4].copy_from_slice(&0xa92b_4efc_u32.to_le_bytes());
            sb[4] = 1;
            sb[16..32].fill(7);
            sb[144..152].copy_from_slice(&(at / 512).to_le_bytes());
            let sum: u64 =
                sb.as_chunks::<4>().0.iter().map(|word| u64::from(u32::from_le_bytes(*word))).sum();
            sb[216..220].copy_from_slice(&((sum as u32).wrapping_add((sum >> 32) as u32)).to_le_bytes());
            put(at, &sb);
        }
        AtEnd::Zfs => {
            for label in [0, 256 << 10, CARD_LEN - (512 << 10), CARD_LEN - (256 << 10)] {
                // A list of pairs for libblkid 2.41, uberblocks for 2.38.
                let names: [&[u8]; 4] =
                    [&[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1], b"txg", b"guid", b"state"];
                put(label + (16 << 10), &names.concat());
                for number in 0..8_u64 {
                    let words = [0x00ba_b10c, 5000, 5 + number, 1, 1];
                    let bytes: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
                    put(label + (128 << 10) + number * 1024, &bytes);
                }
            }
        }
        AtEnd::Intel => put(CARD_LEN - 1024, b"Intel Raid ISM Cfg Sig. 1.3.00"),
        AtEnd::Ddf => {
            let mut header = vec![0; 512];
            header[..4].copy_from_slice(&[0xde, 0x11, 0xde, 0x11]);
            header[8..32].copy_from_slice(b"Linux-MD\xde\xad\xbe\xef0123456789ab");
            put(CARD_LEN - 512, &header);
        }
        // Their sum is zero, as is byte 50.
        AtEnd::Via => put(CARD_LEN - 512, &[0x55, 0xaa, 1]),
        AtEnd::JMicron => put(CARD_LEN - 512, b"JM"),
        AtEnd::Adaptec => {
            put(CARD_LEN - 512, &[0x37, 0xfc, 0x4d, 0x1e]);
            put(CARD_LEN - 256, b"DPTM");
        }
        AtEnd::SiliconImage => {
            put(CARD_LEN - 512 + 0x60, &[0, 0, 0, 0x2f]);
            // With it the words make zero.
            put(CARD_LEN - 512 + 0x13e, &[0, 0xd1]);
        }
    }
}

/// Writes `image` over a card with `left` at its end; `None` if that is refused, and then the card is as it was.
fn flashed(image: &[u8], left: AtEnd, options: &str, story: &str) -> Option<Result<(), String>> {
    let card = Image::zeroed(CARD_LEN);
    leave(card.path(), left);
    let alone = Image::absent();
    fs::write(alone.path(), image).expect("own directory");
    let changed = || fs::metadata(card.path()).and_then(|metadata| metadata.modified()).expect("own file");
    let before = changed();
    let outcome = Identity::new(format!("flash --no-table --no-restore {options}"))
        .arg(alone.path())
        .arg(card.path())
        .run();
    if outcome.code == Some(6) {
        assert!(changed() == before, "refused, and written: {story}");
        return None;
    }
    let outcome = outcome.exits(0);
    File::options().write(true).open(alone.path()).and_then(|file| file.set_len(CARD_LEN)).expect("own file");
    let (wanted, found) = (listing(alone.path()), listing(card.path()));
    let differs = wanted.iter().zip(&found).find(|(wanted, found)| wanted != found);
    Some(match differs {
        None => Ok(()),
        Some((wanted, found)) => Err(format!(
            "{story}, over {left:?}: the image is {wanted}\nthe card is {found}\n{}",
            outcome.stderr
        )),
    })
}

/// The first bytes of an MBR or GPT image, or all of it.
fn bytes(card: &Sparse, sectors: u64) -> Vec<u8> {
    card.bytes(0, sectors as usize * 512)
}

#[test]
fn nothing_at_the_end_of_the_card_outlives_a_shorter_image() {
    let image = bytes(&crate::card::dos("c"), LEN);
    let faults: Vec<_> = AT_END
        .into_iter()
        .filter_map(|left| flashed(&image, left, "--profile panda", "an MBR").expect("not refused").err())
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Every user of a whole device that is left here is one for libblkid, and for `stamp`.
#[test]
fn what_is_left_at_the_end_of_a_card_is_seen() {
    for left in AT_END.into_iter().filter(|left| !matches!(left, AtEnd::Nothing | AtEnd::Gpt)) {
        let card = Image::sfdisk(CARD_LEN / 512, "label: dos\nstart=8192,size=8192\n");
        leave(card.path(), left);
        let seen = listing(card.path()).remove(1);
        assert!(seen.contains("USAGE=raid") || seen.contains("TYPE=zfs_member"), "{left:?}: {seen}");
        Identity::new("stamp --profile panda")
            .arg(card.path())
            .run()
            .exits(6)
            .says(&["uses the whole device"]);
    }
}

/// An image of the first sectors alone, a loader for one.
#[test]
fn nothing_behind_a_tiny_image_makes_another_card_of_it() {
    let image = Image::sfdisk(CARD_LEN / 512, "label: dos\nstart=8192,size=8192\n");
    let image = fs::read(image.path()).expect("own file");
    let mut rdb = [0; 256];
    rdb[..4].copy_from_slice(b"RDSK");
    let words =
        [(4, 64_u32), (12, 7), (16, 512), (24, u32::MAX), (28, u32::MAX), (64, 100), (68, 8), (72, 4)];
    for (at, word) in words {
        rdb[at..at + 4].copy_from_slice(&word.to_be_bytes());
    }
    let sum =
        rdb.as_chunks::<4>().0.iter().fold(0_u32, |sum, word| sum.wrapping_add(u32::from_be_bytes(*word)));
    rdb[8..12].copy_from_slice(&sum.wrapping_neg().to_be_bytes());
    for (lba, old) in [(9, &rdb[..]), (64, b"\x01CD001\x01")] {
        for sectors in [1, 2, 8] {
            let card = Image::sfdisk(CARD_LEN / 512, "label: dos\nstart=8192\n");
            let file = File::options().write(true).open(card.path()).expect("own file");
            file.write_all_at(old, lba * 512).expect("own file");
            let alone = Image::absent();
            fs::write(alone.path(), &image[..sectors << 9]).expect("own directory");
            let flash = Identity::new("flash --yes --no-restore").arg(alone.path()).arg(card.path());
            flash.run().exits(0).says(&[&format!("at LBA {lba}, which the image does not reach")]);
            File::options()
                .write(true)
                .open(alone.path())
                .and_then(|file| file.set_len(CARD_LEN))
                .expect("own file");
            assert_eq!(listing(card.path()), listing(alone.path()), "LBA {lba}, {sectors} sectors");
        }
    }
}

/// An image may end anywhere in a superblock of ZFS, which has parts that each tell of it.
#[test]
fn no_part_of_a_zfs_label_outlives_the_image() {
    let image = Image::sfdisk(CARD_LEN / 512, "label: dos\nstart=8192\n");
    let image = fs::read(image.path()).expect("own file");
    for kib in [65024, 65032, 65056, 65160, 65200, 65280, 65330, 65420, 65480] {
        let outcome = flashed(&image[..kib << 10], AtEnd::Zfs, "--profile panda", &format!("{kib} KiB"));
        assert_eq!(outcome, Some(Ok(())));
    }
}

#[test]
fn the_card_s_tables_are_the_image_s() {
    let (mut random, seed) = if thorough() { Random::seeded() } else { (Random::new(5), 5) };
    println!("IDENTITY_SEED={seed}");
    let count = if thorough() { 1500 } else { 24 };
    let bases = Bases::new();
    let (mut refused, mut faults) = (0, Vec::new());
    for number in 0..count {
        let mut made = bases.make(&mut random);
        // The GPT of a larger card, of which the image has only the start.
        if random.below(6) == 0 {
            made.card.copy(&gpt_of_128_mib(), 0, 34, 0);
            made.story.push_str("; GPT of 128 MiB");
        }
        let sectors = [LEN, LEN, 20000, 9000, 8193, 300, 34, 2, 1][random.below(9) as usize];
        let left = AT_END[random.below(AT_END.len() as u64) as usize];
        let options = ["", "--force", "--profile panda", "--profile panda --force"][random.below(4) as usize];
        let story = format!("seed {seed}, card {number}: {sectors} sectors of {} {options}", made.story);
        match flashed(&bytes(&made.card, sectors), left, options, &story) {
            None => refused += 1,
            Some(result) => faults.extend(result.err()),
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(refused < count * 2 / 3, "{refused} of {count} refused");
    figure(count, "made images flashed over cards with other tables");
    figure(count - refused, "of them written, each card's tables those of its image for five readers");
}

fn gpt_of_128_mib() -> Sparse {
    let image = Image::sfdisk(128 << 11, "label: gpt\nstart=8192\n");
    Sparse::read(image.path())
}

/// A table inside a partition, as the old system has left it: where it is from the partition's start, and its bytes.
fn inner_table(kind: u8) -> (u64, Vec<u8>) {
    let mut sector = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
    let entry = |kind: u8, start: u32, sectors: u32| {
        [&[0, 0, 0, 0, kind, 0, 0, 0][..], &start.to_le_bytes(), &sectors.to_le_bytes()].concat()
    };
    match kind {
        0x05 | 0x0f => put(446, &entry(0x83, 2048, 4096)),
        // Minix counts from the device's start.
        0x81 => put(446, &entry(0x81, 41000, 2000)),
        // Solaris: magic, version, slices; tag and start of the first one.
        0x82 => {
            put(12, &0x600d_deee_u32.to_le_bytes());
            put(16, &1_u32.to_le_bytes());
            put(28, &[0, 2, 8, 0]);
            put(72, &[2, 0, 0, 0]);
            put(76, &[&100_u32.to_le_bytes()[..], &3000_u32.to_le_bytes()].concat());
            return (1, sector);
        }
        _ => unreachable!("{kind:#x}"),
    }
    put(510, &[0x55, 0xaa]);
    (0, sector)
}

#[test]
fn a_table_that_is_left_inside_a_partition_of_the_image_is_cleared() {
    for kind in [0x05, 0x0f, 0x81, 0x82] {
        let script = format!("label: dos\nstart=8192,size=8192\nstart=40960,type={kind:x}\n");
        let image = Image::sfdisk(CARD_LEN / 512, &script);
        let card = Image::sfdisk(CARD_LEN / 512, &script);
        let (at, bytes) = inner_table(kind);
        let file = File::options().write(true).open(card.path()).expect("own file");
        file.write_all_at(&bytes, (40960 + at) * 512).expect("own file");
        // sfdisk makes an extended partition with a table in it.
        let cut = File::options().write(true).open(image.path()).expect("own file");
        cut.set_len(16 << 20).and_then(|()| cut.set_len(CARD_LEN)).expect("own file");
        assert!(listing(card.path()) != listing(image.path()), "{kind:#x}: the readers see no inner table");

        cut.set_len(16 << 20).expect("own file");
        let cleared =
            format!("table inside partition 2 at LBA {}, which the image does not reach", 40960 + at);
        let flash = Identity::new("flash --yes --no-restore").arg(image.path()).arg(card.path());
        flash.run().exits(0).says(&[&cleared]);
        cut.set_len(CARD_LEN).expect("own file");
        assert_eq!(listing(card.path()), listing(image.path()), "{kind:#x}");
    }
}
