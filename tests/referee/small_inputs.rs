// SPDX-License-Identifier: MIT OR Apache-2.0
//! One card for each way in which readers of partition tables differ, through the program itself.

use identity_tests::cli::tool;
use identity_tests::image::Image;
use identity_tests::run_where_installed;

use crate::card::{LEN, Sparse, dos, gpt, mbr_entry};
use crate::referees::{Verdict, write};

const MIB: u32 = 2048;

/// A GPT with one partition at LBA 34, and over its first 34 sectors those of another card, with one at 8192.
fn base() -> Sparse {
    let mut card = gpt(&[(34, LEN - 67)]);
    card.copy(&gpt(&[(8192, 8192)]), 0, 34, 0);
    card
}

fn image(card: &Sparse) -> Image {
    let image = Image::absent();
    write(card, image.path());
    image
}

/// Refused with these words, and not touched; with `mended` by a command that the message names, where it names one.
#[track_caller]
fn refused(card: &Sparse, words: &[&str]) -> Image {
    let image = image(card);
    image.unchanged("stamp --profile panda").exits(6).says(words);
    image.unchanged("stamp --profile panda --dry-run").exits(6).says(words);
    let map = image.unchanged("map").exits(0);
    let reason = words.first().expect("a reason");
    assert!(map.stdout.contains(reason), "map does not say {reason}: {}", map.stdout);
    image
}

/// Stamped, and no referee lists a partition over a sector that changed; returns those sectors.
#[track_caller]
fn stamped(card: &Sparse) -> Vec<usize> {
    let image = image(card);
    let (before, verdict) = (image.bytes(), Verdict::of(image.path()));
    image.run("stamp --profile panda").exits(0);
    let changed = image.changed_since(&before);
    assert_eq!(changed.len(), 2, "{changed:?}");
    for &lba in &changed {
        assert_eq!(verdict.lists_over(lba as u64), None, "LBA {lba}: {verdict:?}");
    }
    assert_eq!(Verdict::of(image.path()).lists, verdict.lists);
    changed
}

fn number(card: &mut Sparse, at: u64, number: u64) -> &mut Sparse {
    card.put_at(at, &number.to_le_bytes())
}

#[test]
fn a_gpt_of_a_larger_card_is_refused_and_sgdisk_mends_it() {
    let mut card = base();
    number(&mut card, 560, 262_110).fix_crc(1);
    let image = refused(&card, &["usable up to LBA 262110", "32768 sectors", "sgdisk -e"]);
    run_where_installed(tool("sgdisk").arg("-e").arg(image.path())).expect("sgdisk");
    image.run("stamp --profile panda").exits(0);
}

#[test]
fn a_gpt_of_a_larger_card_without_a_backup_is_refused() {
    let mut card = gpt(&[(8192, 8192)]);
    number(&mut card, 560, 262_110).fix_crc(1).put(LEN - 1, &[0; 512]);
    refused(&card, &["usable up to LBA 262110"]);
}

#[test]
fn a_first_usable_lba_in_the_gpt_itself_is_refused() {
    for first in [0, 1, 2] {
        let mut card = base();
        number(&mut card, 552, first).fix_crc(1);
        refused(&card, &[&format!("first usable LBA is {first}"), "sgdisk -v"]);
    }
}

#[test]
fn usable_lbas_out_of_order_or_off_the_device_are_refused() {
    for (first, last, reason) in
        [(9000, 8000, "first usable LBA 9000"), (40000, 50000, "usable up to LBA 50000")]
    {
        let mut card = base();
        number(&mut card, 552, first).put_at(560, &u64::to_le_bytes(last)).fix_crc(1);
        refused(&card, &[reason]);
    }
}

#[test]
fn gpt_entries_of_another_length_are_refused() {
    let mut card = base();
    card.put_at(596, &256_u32.to_le_bytes()).fix_crc(1);
    refused(&card, &["GPT entry is 256 bytes"]);
}

#[test]
fn a_gpt_without_entries_or_with_too_many_is_refused() {
    for count in [0_u32, 8193] {
        let mut card = base();
        card.put_at(592, &count.to_le_bytes()).fix_crc(1);
        refused(&card, &[&format!("counts {count} entries")]);
    }
}

#[test]
fn a_backup_where_none_can_be_is_refused() {
    for lba in [1, 500_000] {
        let mut card = gpt(&[(8192, 8192)]);
        number(&mut card, 544, lba).fix_crc(1);
        refused(&card, &[&format!("backup is at LBA {lba}")]);
    }
}

#[test]
fn a_protective_entry_that_linux_ignores_is_refused() {
    let mut card = gpt(&[(8192, 8192)]);
    card.put_at(454, &2_u32.to_le_bytes());
    refused(&card, &["0xEE", "LBA 1"]);
}

#[test]
fn an_entry_without_a_type_counts_as_a_partition() {
    let mut card = gpt(&[(8192, 8192), (40, 2961)]);
    card.put_at(1152, &[0; 16]).fix_crc(1);
    refused(&card, &["first partition"]);
}

#[test]
fn extended_boot_records_that_wrap_are_refused() {
    let mut card = dos("5");
    card.entry(8192, 1, mbr_entry(0, 0x83, (1_u64 << 32).wrapping_sub(8192 - 40) as u32, 8000));
    refused(&card, &["LBA 2^32", "LBA 40"]);
    let mut card = dos("5");
    card.entry(8192, 1, mbr_entry(0, 5, (1_u64 << 32).wrapping_sub(8192 - 40) as u32, 8000));
    refused(&card, &["LBA 2^32", "LBA 40"]);
}

#[test]
fn extended_boot_records_that_come_back_are_refused() {
    let mut card = dos("5");
    card.entry(8192, 1, mbr_entry(0, 0x83, 100, 50)).entry(8192, 2, mbr_entry(0, 5, 1000, 500));
    card.entry(9192, 1, mbr_entry(0, 0x83, 100, 50)).entry(9192, 2, mbr_entry(0, 5, 0, 500));
    refused(&card, &["come back to LBA 8192"]);
}

#[test]
fn a_table_that_cannot_be_read_is_refused() {
    let mut chain = dos("5");
    chain.entry(8192, 1, mbr_entry(0, 0x83, 100, 50)).entry(8192, 2, mbr_entry(0, 5, 1000, 500));
    for (card, lba) in
        [(chain, 9192), (dos("81"), 8192), (gpt(&[(8192, 4096)]), 1), (gpt(&[(8192, 4096)]), LEN - 1)]
    {
        let image = image(&card);
        let run = || image.identity("stamp --profile panda").fault("FAULT_READ", lba.to_string()).run();
        image.unchanged_by(run).exits(6).says(&[&format!("LBA {lba} cannot be read")]);
        image.run("stamp --profile panda").exits(0);
    }
}

#[test]
fn a_minix_sub_partition_in_front_is_refused() {
    let mut card = dos("81");
    card.entry(8192, 1, mbr_entry(0, 0x81, 40, 8000));
    refused(&card, &["LBA 40", "in front"]);
}

#[test]
fn a_unixware_slice_in_front_is_refused() {
    let mut card = dos("63");
    let at = (8192 + 29) * 512;
    card.put_at(at + 4, &0xca5e_600d_u32.to_le_bytes()).put_at(at + 120, &0x600d_deee_u32.to_le_bytes());
    card.put_at(at + 192, &[1, 0, 0, 0]).put_at(at + 196, &40_u32.to_le_bytes());
    card.put_at(at + 200, &8000_u32.to_le_bytes());
    refused(&card, &["LBA 40", "in front"]);
}

#[test]
fn a_solaris_slice_that_wraps_is_refused() {
    for kind in ["82", "bf"] {
        let mut card = dos(kind);
        let at = 8193 * 512;
        card.put_at(at + 12, &0x600d_deee_u32.to_le_bytes()).put_at(at + 16, &[1, 0, 0, 0]);
        card.put_at(at + 76, &(1_u64 << 32).wrapping_sub(8192 - 40).to_le_bytes()[..4]);
        card.put_at(at + 80, &8000_u32.to_le_bytes());
        refused(&card, &["LBA 40", "2^32"]);
    }
}

#[test]
fn a_bsd_partition_in_front_is_refused() {
    for kind in ["a5", "a6", "a9"] {
        let mut card = dos(kind);
        let at = 8193 * 512;
        card.put_at(at, &0x8256_4557_u32.to_le_bytes()).put_at(at + 138, &[4, 0]);
        // The third entry is that of the whole device, in use by nobody.
        card.put_at(at + 148 + 32, &32768_u32.to_le_bytes()).put_at(at + 148 + 36, &64_u32.to_le_bytes());
        assert_eq!(stamped(&card), [52, 6607], "{kind}");
        card.put_at(at + 148, &8000_u32.to_le_bytes()).put_at(at + 152, &40_u32.to_le_bytes());
        card.put_at(at + 148 + 12, &[7]);
        refused(&card, &["LBA 40", "in front"]);
    }
}

/// The checksum that makes the sum of all big-endian words zero.
fn sgi(mut card: Sparse) -> Sparse {
    card.put_at(0, &0x0be5_a941_u32.to_be_bytes());
    for (number, word) in (0_u64..).zip([8000_u32, 40, 5]) {
        card.put_at(312 + 4 * number, &word.to_be_bytes());
    }
    card.put_at(300, &[0; 4]);
    let sector = card.sector(0);
    let words = sector.chunks_exact(4).map(|word| u32::from_be_bytes(word.try_into().expect("four bytes")));
    let sum = words.fold(0_u32, u32::wrapping_add);
    card.put_at(300, &sum.wrapping_neg().to_be_bytes());
    card
}

#[test]
fn other_labels_beside_an_mbr_or_a_gpt_are_refused() {
    refused(&sgi(dos("83")), &["SGI", "LBA 0", "dd if=/dev/zero of="]);
    refused(&sgi(gpt(&[(8192, 8192)])), &["SGI"]);
    let put = |at: u64, magic: &[u8]| {
        let mut card = dos("83");
        card.put_at(at, magic);
        card
    };
    for (at, magic, name) in [
        (0, &[0xc9, 0xc2, 0xd4, 0xc1][..], "AIX"),
        (3 * 512, b"RDSK", "Amiga RDB"),
        (64, &[0x57, 0x45, 0x56, 0x82], "BSD"),
        (4, b"IPL1", "NEC PC-98"),
        (0x1de, b"\x01GEM\0\0\0\x28\0\0\x10\0", "Atari"),
        (7 * 512, &[0x0b, 0, 0x1a, 0x03, 0x58, 0x43], "Acorn EESOX"),
    ] {
        refused(&put(at, magic), &[name]);
    }
    // The exclusive or of all words is zero, and the signature is an MBR's.
    let mut sun = put(508, &[0xda, 0xbe]);
    sun.put_at(0, &[0, 0]);
    let words = sun.sector(0);
    let sum = words.chunks_exact(2).fold([0, 0], |sum, word| [sum[0] ^ word[0], sum[1] ^ word[1]]);
    sun.put_at(0, &sum);
    refused(&sun, &["Sun"]);
    let mut mac = put(0, b"ER");
    refused(mac.put(1, b"PM"), &["Mac"]);
    let mut ldm = dos("42");
    ldm.put_at(6 * 512, b"PRIVHEAD");
    refused(&ldm, &["Windows LDM"]);
}

#[test]
fn labels_in_place_of_an_mbr_are_named() {
    for (at, magic, name) in
        [(510, &[0x56, 0xab][..], "Karma"), (248, b"MOTOROLA", "SYSV68"), (1024, b"RDSK", "Amiga")]
    {
        let mut card = Sparse::new(LEN);
        card.put_at(at, magic);
        refused(&card, &[name]);
    }
}

#[test]
fn a_fat_on_the_whole_device_with_an_mbr_entry_is_refused() {
    let fat = Image::zeroed(LEN * 512);
    run_where_installed(tool("mkfs.fat").args(["-F16", "-s4"]).arg(fat.path())).expect("mkfs.fat");
    let mut card = Sparse::read(fat.path());
    card.entry(0, 1, mbr_entry(0x80, 12, 8192, 8192));
    refused(&card, &["FAT uses the whole device", "LBA 0"]);
}

#[test]
fn the_backup_s_entries_in_the_gap_are_left_alone() {
    let mut card = gpt(&[(8192, 4096)]);
    card.copy(&card.clone(), 2, 32, 6590);
    number(&mut card, (LEN - 1) * 512 + 72, 6590).fix_crc(LEN - 1);
    assert_eq!(stamped(&card), [52, 2703]);
    let shown = image(&card).run("map").exits(0).stdout;
    assert!(shown.contains("LBA 6590–6621") && shown.contains("GPT backup entries"), "{shown}");
}

#[test]
fn moved_entries_are_found_wherever_they_lie() {
    for lba in ["5000", "12000"] {
        let image = Image::sgdisk(LEN, &["--set-alignment=1", "--new=1:13000:+1M"]);
        run_where_installed(tool("sgdisk").arg(format!("--move-main-table={lba}")).arg(image.path()))
            .expect("sgdisk");
        assert_eq!(stamped(&Sparse::read(image.path())), [52, 6607]);
    }
    // The array lies behind the partition, far from LBA 0.
    let mut card = gpt(&[(40, 61)]);
    card.copy(&card.clone(), 2, 32, 5000);
    number(&mut card, 512 + 72, 5000).fix_crc(1);
    let image = image(&card);
    image.unchanged("stamp --profile panda").exits(6).says(&["first partition", "LBA 40"]);
    image.unchanged("stamp --profile panda --at 52,54 --force").exits(6).says(&["first partition"]);
}

#[test]
fn an_mbr_over_a_gpt_counts_alone() {
    // As `sfdisk --wipe never` and `dd` of an image leave it.
    let image = Image::sgdisk(LEN, &["--set-alignment=1", "--new=1:8192:+1M"]);
    let mut sfdisk = tool("sh");
    sfdisk.args([
        "-c",
        "printf 'label: dos\\nstart=8192,type=c\\n' | sfdisk --quiet --wipe never \"$1\"",
        "sh",
    ]);
    assert!(sfdisk.arg(image.path()).status().expect("sh").success());
    let card = Sparse::read(image.path());
    // The GPT's sectors are somebody's data, also where they are blank.
    assert_eq!(stamped(&card), [52, 6607]);
    let (_, free) = card.map([5, 7, 52]);
    assert_eq!(free, [52]);
}

#[test]
fn flags_in_a_protective_mbr_do_not_matter() {
    let mut card = gpt(&[(8192, 2048)]);
    card.put_at(446, &[1]);
    assert_eq!(stamped(&card), [52, 6607]);
}

#[test]
fn a_table_without_a_partition_gives_the_first_mebibyte() {
    for image in
        [Image::sgdisk(LEN, &["--clear"]), Image::sfdisk(LEN, "label: dos\n"), parted("gpt"), parted("msdos")]
    {
        let card = Sparse::read(image.path());
        let changed = stamped(&card);
        assert!(changed.iter().all(|&lba| lba < MIB as usize), "{changed:?}");
        // A partition that is made now does not meet them.
        write(&card, image.path());
        image.run("stamp --profile panda").exits(0);
        let made = run_where_installed(
            tool("parted").arg("--script").arg(image.path()).args(["mkpart", "primary", "1MiB", "100%"]),
        );
        made.expect("parted");
        image.run("verify").exits(0);
        image.unchanged("stamp --profile panda --at 2703,2927 --force").exits(6);
    }
}

fn parted(label: &str) -> Image {
    let image = Image::zeroed(LEN * 512);
    run_where_installed(tool("parted").arg("--script").arg(image.path()).args(["mklabel", label]))
        .expect("parted");
    image
}
