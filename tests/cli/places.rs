// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the copies go: by the partition table, or where a person says.

use std::process::Command;

use identity_tests::cli::tool;
use identity_tests::image::{Image, PARTITION_LBA};
use identity_tests::run_where_installed;
use serde_json::json;

use crate::UUID;

const GPT_CARD: u64 = 32768;

#[track_caller]
fn copies_after_stamp(image: &Image) -> Vec<usize> {
    image.run("stamp --profile panda").exits(0);
    image.run("verify").exits(0);
    image.copies()
}

fn mbr(first_lba: u32) -> Image {
    Image::sfdisk(16384, &format!("start={first_lba}, type=c\n"))
}

fn gpt(first_lba: u32) -> Image {
    Image::sgdisk(GPT_CARD, &["--set-alignment=1", &format!("--new=1:{first_lba}:0")])
}

#[track_caller]
fn check_gpt(image: &Image) {
    let checked = run_where_installed(tool("sgdisk").arg("--verify").arg(image.path()));
    let checked = checked.expect("it made the card");
    assert!(checked.contains("No problems found"), "{checked}");
}

#[test]
fn copies_lie_before_the_first_partition_of_an_mbr() {
    for (first_lba, expected) in [
        (8, vec![5, 7]),
        (63, vec![5, 52]),
        (2048, vec![52, 1711]),
        (4096, vec![52, 2703]),
        (PARTITION_LBA, vec![52, 6607]),
    ] {
        let image = mbr(first_lba);
        let table = image.sector(0);
        assert_eq!(copies_after_stamp(&image), expected, "first partition at {first_lba}");
        assert_eq!(image.sector(0), table);
    }
}

#[test]
fn copies_lie_between_a_gpt_and_its_first_partition() {
    for (first_lba, expected) in [(64, vec![52, 54]), (2048, vec![52, 1711]), (8192, vec![52, 6607])] {
        let image = gpt(first_lba);
        assert_eq!(copies_after_stamp(&image), expected, "first partition at {first_lba}");
        check_gpt(&image);
    }
}

#[test]
fn the_lowest_partition_counts_whatever_its_number_and_table() {
    let image = Image::sfdisk(16384, "4: start=2048, size=100, type=c\n1: start=8192, type=83\n");
    assert_eq!(copies_after_stamp(&image), [52, 1711]);
    let image = Image::sgdisk(
        GPT_CARD,
        &["--set-alignment=1", "--new=1:8192:0", "--new=3:2048:4095", "--hybrid=3:EE"],
    );
    assert_eq!(copies_after_stamp(&image), [52, 1711]);
    check_gpt(&image);
}

#[test]
fn a_gpt_without_room_before_its_first_partition_is_refused() {
    for first_lba in [34, 52] {
        let image = gpt(first_lba);
        let refused = image.unchanged("stamp --profile panda").exits(6);
        refused.says(&["no two of the 10 slots are free", "LBA 5 ", "LBA 52", "first partition", "--at"]);
        check_gpt(&image);
    }
}

#[test]
fn an_mbr_without_room_before_its_first_partition_is_refused() {
    for (first_lba, part) in [
        (1, "no slot is free"),
        (6, "no two of the 10 slots are free"),
        (7, "no two of the 10 slots are free"),
    ] {
        let image = mbr(first_lba);
        image.unchanged("stamp --profile panda").exits(6).says(&[part, "first partition", "--at"]);
    }
}

#[test]
fn gpt_entries_that_were_moved_over_slots_are_left_alone() {
    // Entries at 40 to 71, over slots 52 and 54; the partition far behind.
    let image = gpt(8192);
    let moved = run_where_installed(tool("sgdisk").arg("--move-main-table=40").arg(image.path()));
    assert!(moved.is_some());
    let copies = copies_after_stamp(&image);
    assert!(copies.iter().all(|lba| !(40..72).contains(lba)), "{copies:?}");
    check_gpt(&image);
}

#[test]
fn gpt_entries_over_every_slot_there_is_are_refused() {
    let image = gpt(73);
    let moved = run_where_installed(tool("sgdisk").arg("--move-main-table=40").arg(image.path()));
    assert!(moved.is_some());
    image.unchanged("stamp --profile panda").exits(6).says(&[
        "no two of the 10 slots are free",
        "LBA 52",
        "GPT",
    ]);
    check_gpt(&image);
}

#[test]
fn the_backup_gpt_is_left_alone() {
    // Its 33 sectors lie over slot 6607, and no partition stands before it.
    for sectors in [6608, 6620, 6640, 6641] {
        let image = Image::sgdisk(sectors, &["--clear"]);
        let before = image.bytes();
        let outcome = image.run("stamp --profile panda");
        check_gpt(&image);
        if outcome.code == Some(0) {
            image.run("verify").exits(0);
        } else {
            outcome.exits(6);
            assert!(image.bytes() == before);
        }
    }
}

#[test]
fn a_slot_with_data_in_it_or_beside_it_is_not_taken() {
    for (lba, expected) in [(52, vec![2703, 6607]), (50, vec![2703, 6607]), (6609, vec![52, 2703])] {
        let image = Image::mbr();
        image.put(lba, b"precious");
        assert_eq!(copies_after_stamp(&image), expected, "data at {lba}");
        assert!(image.sector(lba).starts_with(b"precious"));
    }
}

#[test]
fn a_card_full_of_data_is_refused() {
    let image = Image::mbr();
    image.put(1, &vec![0xa5; 512 * (PARTITION_LBA as usize - 1)]);
    let refused = image.unchanged("stamp --profile panda").exits(6);
    refused.says_one_sentence().says(&["no slot is free", "unknown data", "--at"]);
}

#[test]
fn a_person_may_name_two_places() {
    let image = Image::mbr();
    let stamped = image.run("stamp --profile panda --at 300,302 --format json").exits(0).json();
    assert_eq!(stamped["copies"], json!([{"lba": 300, "state": "valid"}, {"lba": 302, "state": "valid"}]));
    assert_eq!(image.copies(), [300, 302]);
    for lba in [300, 302] {
        image.run(format!("read --at {lba}")).exits(0).is_quiet();
        image.run(format!("verify --at {lba}")).exits(0).is_quiet();
    }
    // No reader looks there by itself.
    image.run("read").exits(3);
}

#[test]
fn one_place_by_hand_and_one_slot_are_found_by_every_reader() {
    let image = Image::mbr();
    image.run("stamp --profile panda --at 300").exits(0);
    assert_eq!(image.copies(), [52, 300]);
    image.run("read").exits(0).is_quiet();
    image.run("verify").exits(0).is_quiet();
    image.clear(300).run("read").exits(0).says(&["LBA 300"]);
    image.run("repair --keep 52").exits(0);
    assert_eq!(image.copies(), [52, 300]);
}

/// A power cut may take all of a flash page of 16 KiB, LBA 32 to 63 for one.
#[test]
fn the_other_place_is_in_another_flash_page() {
    for at in [33, 40, 60] {
        let image = Image::mbr();
        image.run(format!("stamp --profile panda --at {at}")).exits(0).is_quiet();
        assert_eq!(image.copies(), [at, 6607]);
    }
}

#[test]
fn moving_an_identity_leaves_no_copy_behind() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID}"));
    for (at, expected) in [
        ("5,7", vec![5, 7]),
        ("2703,52", vec![52, 2703]),
        ("300", vec![52, 300]),
        ("52,6607", vec![52, 6607]),
    ] {
        image.run(format!("stamp --uuid {UUID} --at {at}")).exits(0);
        assert_eq!(image.copies(), expected, "--at {at}");
        image.run("verify").exits(0).is_quiet();
    }
}

#[test]
fn places_that_make_no_sense_are_wrong_usage() {
    let image = Image::mbr();
    for at in ["0", "0,52", "52,52", "5,7,52", "", "x", "52,", "-1", "4294967296"] {
        let stamp = || image.identity("stamp --profile panda").arg(format!("--at={at}")).run();
        image.unchanged_by(|| stamp().exits(2).says_one_sentence().says(&["--at"]));
    }
}

/// One page of the flash memory holds both, and one tool that writes there takes both.
#[test]
fn neighbours_are_no_two_places() {
    let image = Image::mbr();
    for at in ["52,53", "301,300"] {
        image
            .unchanged(format!("stamp --profile panda --at {at}"))
            .exits(2)
            .says_one_sentence()
            .says(&["--at"]);
    }
    // Beside one that is named, no neighbour is chosen; and one that is there already moves away.
    image.run("stamp --profile panda --at 53").exits(0);
    assert_eq!(image.copies(), [53, 6607]);
    let old = Image::mbr();
    let identity = image.copy(53);
    old.put(300, &identity.encode(300, 301)).put(301, &identity.encode(301, 300));
    old.run(format!("stamp --uuid {} --at 300", identity.uuid())).exits(0);
    assert_eq!(old.copies(), [52, 300]);
}

#[test]
fn places_that_are_taken_are_refused() {
    let image = Image::mbr();
    image.put(300, b"precious");
    for (at, reason) in [
        (format!("{PARTITION_LBA},52"), "partition"),
        (format!("52,{}", PARTITION_LBA + 1), "partition"),
        ("300,302".into(), "--force"),
        ("4294967295,52".into(), "4294967295"),
    ] {
        let outcome = image.unchanged(format!("stamp --profile panda --at {at}")).exits(6);
        outcome.says_one_sentence().says(&["--at", reason]);
    }
    let gpt = gpt(8192);
    for at in ["1,52", "2,52", "33,52"] {
        let outcome = gpt.unchanged(format!("stamp --profile panda --force --at {at}")).exits(6);
        outcome.says_one_sentence().says(&["GPT"]);
    }
    let outcome = gpt.unchanged("stamp --profile panda --force --at 8192,52").exits(6);
    outcome.says_one_sentence().says(&["partition"]);
}

#[test]
fn force_puts_a_copy_over_data_at_a_place_by_hand() {
    let image = Image::mbr();
    image.put(300, b"precious");
    image
        .run("stamp --profile panda --at 300,302 --force")
        .exits(0)
        .says(&["LBA 300 is written over", "precious"]);
    // Their own copies are no data of somebody.
    let again = image.run("stamp --profile beagle --at 300,302 --force").exits(0);
    assert!(!again.stderr.contains("is written over"), "{}", again.stderr);
    assert_eq!(image.copies(), [300, 302]);
}

#[test]
fn a_place_behind_the_end_is_refused_in_any_order() {
    for at in ["400,200", "200,400", "52,400", "400,52"] {
        let image = Image::zeroed(300 * 512);
        let outcome = image.unchanged(format!("stamp --profile panda --at {at}")).exits(6);
        outcome.says_one_sentence().says(&["--at 400"]);
    }
}

#[test]
fn a_card_without_a_table_takes_two_places_by_hand() {
    let image = Image::zeroed(1 << 20);
    image.unchanged("stamp --profile panda").exits(6).says(&["partition table"]);
    image.run("stamp --profile panda --at 52,54").exits(0);
    image.run("verify").exits(0).is_quiet();
}

#[test]
fn an_identity_outside_the_slots_is_found_before_another_is_added() {
    let image = Image::mbr();
    image.run(format!("stamp --profile panda --uuid {UUID} --at 300,302")).exits(0);
    for words in ["stamp --profile beagle", "stamp --profile beagle --force", "repair", "erase --force"] {
        image.unchanged(words).exits(6).says(&["LBA 300", "--at 300"]);
    }
    image.unchanged("stamp --profile beagle --at 300").exits(6).says(&[UUID, "--force"]);
    image.run("stamp --profile beagle --at 300 --force").exits(0);
    assert_eq!(image.copies().len(), 2, "no third copy is left behind");
}

#[test]
fn tables_read_the_same_afterwards() {
    let image = mbr(8192);
    let dump = |image: &Image| {
        let mut sfdisk: Command = tool("sfdisk");
        run_where_installed(sfdisk.arg("--dump").arg(image.path())).expect("it made the card")
    };
    let before = dump(&image);
    image.run("stamp --profile panda").exits(0);
    assert_eq!(dump(&image), before);
    image.run("erase").exits(0);
    assert_eq!(dump(&image), before);
}
