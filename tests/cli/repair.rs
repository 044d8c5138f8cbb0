// SPDX-License-Identifier: MIT OR Apache-2.0
//! `repair`: the later version wins, good copies stay, and what is not certain is left alone.

use identity_core::field::kind;
use identity_core::slot::READING_ORDER;
use identity_core::{Draft, Identity};
use identity_tests::image::{Image, SECTORS};

use crate::UUID;

fn identity(hostname: &str, generation: u32) -> Identity {
    let mut draft = Draft::new(UUID.parse().unwrap()).unwrap();
    draft.set_text(kind::PROFILE, "panda").unwrap();
    draft.set_text(kind::HOSTNAME, hostname).unwrap();
    draft.set_generation(generation);
    draft.finish().unwrap()
}

#[test]
fn an_interrupted_update_is_completed() {
    for new_first in [true, false] {
        let image = Image::mbr();
        let (old, new) = (identity("old", 1), identity("new", 2));
        let (first, second) = if new_first { (&new, &old) } else { (&old, &new) };
        image.put(52, &first.encode(52, 6607)).put(6607, &second.encode(6607, 52));
        image.run("repair").exits(0).is_quiet().shows(&["repaired", "new", "generation  2"]);
        assert_eq!((image.copy(52), image.copy(6607)), (new.clone(), new));
    }
}

#[test]
fn a_good_copy_is_not_written_again() {
    let image = Image::stamped("--profile panda");
    image.damage(6607);
    let before = image.bytes();
    image.run("repair").exits(0);
    assert_eq!(image.changed_since(&before), [6607]);
}

#[test]
fn a_whole_identity_is_left_alone() {
    let image = Image::stamped("--profile panda");
    image.unchanged("repair").exits(0).is_quiet().shows(&["nothing to repair"]);
}

#[test]
fn the_repaired_identity_is_the_same_with_the_same_generation() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID} --hostname h"));
    image.run(format!("stamp --uuid {UUID} --serial S")).exits(0);
    let before = image.bytes();
    image.clear(52);
    image.unchanged("repair").exits(6).says(&[
        "LBA 6607",
        "the only copy",
        "identity repair --keep 6607",
        "erase",
    ]);
    image.run("repair --keep 6607").exits(0);
    assert!(image.bytes() == before);
}

#[test]
fn a_third_copy_is_cleared() {
    let image = Image::stamped("--profile panda");
    let before = image.bytes();
    image.put(5, &image.copy(52).encode(5, 52)).run("repair").exits(0);
    assert!(image.bytes() == before);
}

#[test]
fn copies_that_name_others_become_a_pair() {
    // Three copies in a row, each naming the next: none is the other's other.
    let image = Image::mbr();
    let identity = identity("h", 1);
    image.put(52, &identity.encode(52, 6607)).put(6607, &identity.encode(6607, 2703));
    image.put(2703, &identity.encode(2703, 52));
    image.run("verify").exits(5);
    image.run("repair").exits(0);
    image.run("verify").exits(0).is_quiet();
    assert_eq!(image.copies().len(), 2);
}

#[test]
fn a_second_copy_whose_place_was_taken_moves() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID}"));
    // What an installer left there, longer than a sector.
    image.put(6606, &[0xa5; 3 * 512]);
    image.run("read").exits(0).says(&["LBA 6607"]);
    image.run("repair --keep 52").exits(0);
    image.run("verify").exits(0);
    assert!(image.sector(6607) == [0xa5; 512], "what is not ours is left alone");
    assert_eq!(image.copies().len(), 2);
    assert_eq!(image.run("read --field uuid").stdout.trim(), UUID);
}

#[test]
fn what_is_not_recognised_at_the_second_place_is_written_over_where_no_slot_is_free_by_force_alone_and_shown()
{
    let image = Image::stamped("--profile panda");
    for slot in READING_ORDER.into_iter().filter(|slot| ![52, 6607].contains(&slot.lba)) {
        image.put(slot.lba, &[b'x'; 512]);
    }
    image.put(6607, &[0xff; 8]);
    // Nobody is asked for what is refused then.
    image.unchanged("repair").exits(6).says(&["LBA 6607", "no other slot is free"]);
    image.unchanged("repair --keep 52").exits(6).says(&["LBA 6607", "no other slot is free"]);
    image.unchanged("repair --force").exits(6).says(&["LBA 6607", "because of the data around it"]);

    let image = Image::stamped("--profile panda");
    image.put(6607, &[0xff; 8]);
    let left = image.sector(6607);
    image.run("repair --keep 52").exits(0);
    assert_eq!(image.copies(), [52, 2703]);
    assert!(image.sector(6607) == left);
}

#[test]
fn a_first_copy_that_was_copied_over_the_second_is_a_lone_copy() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID}"));
    let whole = image.copy(52).encode(52, 2703);
    image.put(6607, &image.sector(52));
    image.unchanged("read").exits(0).says(&["LBA 52 holds the only copy", "LBA 6607", "written for LBA 52"]);
    image.unchanged("verify").exits(5).says(&["LBA 6607", "written for LBA 52"]);
    image.unchanged("repair").exits(6).says(&["LBA 52 holds the only copy"]);
    image.run("repair --force").exits(0);
    image.run("verify").exits(0);
    // What was there is left, and is nobody's copy.
    assert_eq!((image.sector(52), image.copies()), (whole, vec![52, 2703, 6607]));
}

/// What a loader region of another card has brought is no second copy of this identity.
#[test]
fn a_damaged_copy_in_a_slot_that_is_not_named_is_no_second_copy() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID}"));
    image.put(2703, &image.copy(52).encode(2703, 7)).damage(2703).clear(6607);
    for verb in ["repair", "bind --board=SN7"] {
        image.unchanged(verb).exits(6).says(&["LBA 52 holds the only copy", "identity repair --keep 52"]);
    }
    image.unchanged("verify").exits(5).says(&["LBA 52 holds the only copy"]);
    image.run("repair --keep 52").exits(0);
    image.run("verify").exits(0).is_quiet();
    assert_eq!(image.copies(), [52, 6607]);
}

#[test]
fn no_room_for_the_second_copy_is_refused() {
    let image = Image::stamped("--profile panda");
    for lba in 1..8192 {
        if lba != 52 {
            image.put(lba, &[0xa5; 512]);
        }
    }
    image.unchanged("repair --keep 52").exits(6).says(&["LBA 6607", "no other slot is free", "--force"]);
    image.run("read").exits(0);
}

#[test]
fn a_copy_that_a_new_partition_covers_moves_by_consent() {
    let image = Image::sfdisk(SECTORS as u64, "start=8192, type=c\n");
    image.run(format!("stamp --profile panda --uuid {UUID} --at 52,2703")).exits(0);
    image.put(0, &Image::sfdisk(SECTORS as u64, "start=2048, type=c\n").sector(0));
    image.run("read").exits(0);
    image.unchanged("verify").exits(5).says(&["LBA 2703"]);
    image.unchanged("repair").exits(6).says(&["LBA 2703", "--dry-run", "--force"]);
    let before = image.bytes();
    image.run("repair --force").exits(0);
    assert_eq!(image.changed_since(&before), [52, 1711, 2703]);
    assert_eq!(image.copies(), [52, 1711]);
    let partition = image.bytes().split_off(2048 * 512);
    image.run("verify").exits(0).is_quiet();
    assert_eq!(image.run("read --field uuid").exits(0).stdout.trim(), UUID);
    image.run("stamp --profile beagle --force").exits(0);
    image.run("erase").exits(0);
    image.run("stamp --profile beagle").exits(0);
    assert!(image.bytes().split_off(2048 * 512) == partition, "something wrote into the partition");
}

/// A file may be the image of a stamped card; its sectors are no copies of this card's identity.
#[test]
fn what_looks_like_a_copy_inside_a_partition_is_left_alone() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let (donor, card) = (dir.path().join("donor"), dir.path().join("card"));
    let mut image = identity_fixtures::Card::new(16384);
    image.mbr(1, 0x0c, 63, 16000);
    std::fs::write(&card, image.bytes()).expect("a card");
    identity_tests::cli::Identity::new("stamp --create 16M --profile donor").arg(&donor).run().exits(0);
    identity_tests::cli::Identity::new("stamp --profile panda").arg(&card).run().exits(0);
    let copy = std::fs::read(&donor).expect("the donor")[52 * 512..53 * 512].to_vec();
    let mut bytes = std::fs::read(&card).expect("the card");
    bytes[6607 * 512..6608 * 512].copy_from_slice(&copy);
    std::fs::write(&card, &bytes).expect("the card");

    identity_tests::cli::Identity::new("verify").arg(&card).run().exits(0);
    identity_tests::cli::Identity::new("repair").arg(&card).run().exits(0);
    assert!(std::fs::read(&card).expect("the card") == bytes, "repair wrote into a partition");
    identity_tests::cli::Identity::new("erase --force").arg(&card).run().exits(0);
    let after = std::fs::read(&card).expect("the card");
    assert!(after[63 * 512..] == bytes[63 * 512..], "erase wrote into a partition");
    identity_tests::cli::Identity::new("stamp --profile panda").arg(&card).run().exits(0);
}

/// Force is a word for more than this: where another slot is free, what is another program's stays.
#[test]
fn by_force_too_a_foreign_sector_is_left_alone_where_another_slot_is_free() {
    let card = Image::stamped(format!("--profile panda --uuid {UUID}"));
    card.put(6607, &[b'x'; 512]);
    card.run("repair --force").exits(0);
    assert_eq!(card.sector(6607), [b'x'; 512]);
    card.run("verify").exits(0);
}
