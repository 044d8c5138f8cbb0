// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a new user read twice: sentences that are whole, true in the case at hand, and name the thing that they are about.

use identity_fixtures::Card;
use identity_tests::block::Loop;
use identity_tests::cli::Outcome;
use identity_tests::image::{Image, SECTORS};

use crate::{OTHER, UUID};

const FIRST: u32 = 52;
const SECOND: u32 = 6607;

fn stamped() -> Image {
    Image::stamped(format!("--profile panda --uuid {UUID}"))
}

/// Runs a verb with the records in a place of this card's own.
fn run(card: &Image, words: &str) -> Outcome {
    let mut identity = card.identity(words);
    identity.command().env("XDG_STATE_HOME", states(card));
    identity.run()
}

fn states(card: &Image) -> std::path::PathBuf {
    card.dir().with_extension("states")
}

/// The records that are kept of this card, by the UUID in their names.
fn records(card: &Image) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(states(card).join("identity"));
    entries.map_or(vec![], |entries| entries.map(|entry| entry.expect("an entry").path()).collect())
}

/// A card whose second copy is another card's.
fn mixed(other: &str) -> Image {
    let card = stamped();
    card.put(SECOND, &Image::stamped(other).sector(SECOND));
    card
}

/// Of an image, and of a card in a reader, nobody can say whether it is bound to itself.
#[test]
fn bind_is_advised_where_it_works() {
    let verified = stamped().run("verify").exits(0);
    verified.shows(&[
        "unbound",
        "an image file has no CID, so bind the card on its board, with `identity bind --mounted`",
    ]);
    let image = stamped();
    let Some(card) = Loop::attach_whole(image.path(), &[]) else { return };
    let verified = card.run("verify").exits(0);
    verified.shows(&["this reader does not show the card's CID, so bind the card on its board"]);
}

#[test]
fn what_is_not_compared_says_why() {
    let card = stamped();
    run(&card, "bind --cid 035344534c33324780aabbccdd015500").exits(0);
    run(&card, "verify").exits(0).shows(&["not compared: an image file has no CID\n"]);
    run(&card, "bind --card").exits(6).says(&["an image file has no CID; bind the card in a native slot"]);
    let card = Image::mbr();
    run(&card, "stamp --profile panda --bind").exits(0).says(&["not bound: an image file has no CID\n"]);
}

#[test]
fn two_versions_of_one_identity_show_the_fields_that_differ() {
    let card = mixed(&format!(
        "--profile beagle --uuid {UUID} --hostname b7 --serial S1 --mac 1=02:00:00:00:00:01 --set site=x"
    ));
    for verb in ["read", "verify"] {
        run(&card, verb).exits(5).says_one_sentence().says(&[
            &format!("two versions of one identity {UUID} ("),
            "LBA 52: no hostname, no mac 1, profile panda, no serial, no variable site; ",
            "LBA 6607: hostname b7, mac 1 02:00:00:00:00:01, profile beagle, serial S1, variable site x)",
        ]);
    }
    run(&card, &format!("repair --keep {UUID}"))
        .exits(2)
        .says(&["LBA 52: no hostname", "LBA 6607: hostname b7"]);
}

#[test]
fn a_copy_of_another_identity_says_whose_it_is() {
    let card = mixed(&format!("--profile beagle --uuid {OTHER}"));
    let whose = format!("another identity, generation 1: {OTHER} (beagle)");
    run(&card, "verify").exits(5).shows(&[&whose, "LBA 6607 another identity"]);
}

/// What stays needs no record.
#[test]
fn repair_records_what_goes_and_nothing_else() {
    let card = mixed(&format!("--profile beagle --uuid {OTHER}"));
    run(&card, &format!("repair --keep {UUID}")).exits(0).says_one_sentence().says(&[OTHER]);
    let names: Vec<_> = records(&card).iter().map(|path| path.display().to_string()).collect();
    assert!(names.len() == 1 && names[0].contains(&format!("retired-{OTHER}-")), "{names:?}");
    // Of two versions, the one that goes.
    for (keep, gone) in [(FIRST, "beagle"), (SECOND, "panda")] {
        let card = mixed(&format!("--profile beagle --uuid {UUID}"));
        run(&card, &format!("repair --keep {keep}")).exits(0).says_one_sentence();
        let record = records(&card).pop().expect("a record");
        assert_eq!(records(&card).len(), 1);
        let again = Image::mbr();
        run(&again, &format!("stamp --force --restore {}", record.display())).exits(0).shows(&[gone]);
    }
}

#[test]
fn an_undo_on_the_same_card_warns_of_no_other() {
    let card = stamped();
    run(&card, "erase").exits(0);
    let record = records(&card).pop().expect("a record");
    run(&card, &format!("stamp --restore {}", record.display())).exits(0).is_quiet();
    // Through one reader another card has the same path.
    let image = stamped();
    let Some(device) = Loop::attach_whole(image.path(), &[]) else { return };
    let run_there = |words: &str| {
        let mut identity = device.identity(words);
        identity.command().env("XDG_STATE_HOME", states(&image));
        identity.run()
    };
    run_there("erase --force").exits(0);
    let record = records(&image).pop().expect("a record");
    let restored = run_there(&format!("stamp --restore {}", record.display())).exits(0);
    restored.says_one_sentence().says(&["if another card had this identity before"]);
}

/// The gap has become smaller: the state is valid and the exit code is 5, so standard output says why.
#[test]
fn a_copy_in_a_partition_is_on_standard_output_too() {
    let card = stamped();
    card.put(0, Card::new(SECTORS).mbr(1, 0x0c, 2048, 4096).bytes().get(..512).expect("LBA 0"));
    let verified = run(&card, "verify").exits(5);
    verified.shows(&["state       valid", "problems", "the copy at LBA 6607 lies in a partition"]);
    let mapped = run(&card, "map").exits(0).shows(&["in a partition:    6607"]);
    mapped.says_one_sentence().says(&["the copy at LBA 6607 lies in a partition", "identity repair --force"]);
    let in_partition = &run(&card, "map --format json").exits(0).json()["in_partition"];
    assert_eq!(in_partition, &serde_json::json!([6607]));
    let sound = run(&stamped(), "map").exits(0).is_quiet();
    assert!(!sound.stdout.contains("in a partition"), "{}", sound.stdout);
}

#[test]
fn list_says_what_its_exit_code_means() {
    let help = identity_tests::cli::Identity::new("list --help").run().exits(0);
    help.shows(&["The exit code is 5 if two cards have one identity"]);
}
