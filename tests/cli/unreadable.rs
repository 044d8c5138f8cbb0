// SPDX-License-Identifier: MIT OR Apache-2.0
//! A slot that the card cannot read: named for what it is, and no verb goes round in a circle about it.

use identity_tests::cli::Outcome;
use identity_tests::image::Image;

use crate::UUID;

/// Runs a verb on a card that can neither read nor write these sectors.
fn run(card: &Image, words: &str, lba: &str) -> Outcome {
    card.identity(words).fault("FAULT_READ", lba).fault("FAULT_WRITE", lba).run()
}

fn stamped() -> Image {
    Image::stamped(format!("--profile panda --uuid {UUID}"))
}

#[test]
fn map_calls_it_unreadable() {
    let card = stamped();
    for lba in ["6607", "2703"] {
        let text = run(&card, "map", lba).exits(0).stdout;
        let line = text.lines().find(|line| line.contains(&format!("LBA {lba}")));
        assert!(line.is_some_and(|line| line.contains("unreadable")), "{text}");
        assert!(!text.contains("unknown data"), "{text}");
        let map = run(&card, "map --format json", lba).exits(0).json();
        let spans = map["spans"].as_array().expect("spans");
        let wanted: u64 = lba.parse().expect("a number");
        let span = spans.iter().find(|span| span["start_lba"] == wanted);
        assert_eq!(span.expect("a span of its own")["owner"], "unreadable sector", "{map}");
    }
}

/// The cache reads and writes whole pages: eight sectors fail with one that is bad. The others are read and written alone.
#[test]
fn the_neighbours_of_a_bad_sector_are_read_and_written() {
    for bad in ["53", "50", "6601"] {
        let card = stamped();
        let run = |words: &str| card.identity(words).fault("FAULT_PAGE", bad).run();
        run("verify").exits(0);
        run("read --field state").exits(0).prints("valid\n");
        run(&format!("stamp --uuid {UUID} --hostname panda-03")).exits(0);
        assert_eq!(card.run("read --field hostname").exits(0).stdout.trim(), "panda-03");
    }
    // A slot among the sectors of the table is named, and the rest is known.
    let card = stamped();
    let verified = card.identity("verify --format json").fault("FAULT_PAGE", "5").run().exits(0).json();
    let unreadable: Vec<_> = verified["slots"]
        .as_array()
        .expect("slots")
        .iter()
        .filter(|slot| slot["state"] == "unreadable")
        .map(|slot| slot["lba"].as_u64())
        .collect();
    assert_eq!(unreadable, [Some(5)], "{verified}");
    card.identity("verify").fault("FAULT_PAGE", "0").run().exits(7).says(&["cannot read LBA 0 of"]);
}

/// As a card's controller puts another sector in the place of a bad one when that is written.
#[test]
fn a_copy_that_cannot_be_read_is_cleared_where_its_sector_can_be_written() {
    for words in ["repair", "erase --force"] {
        let card = stamped();
        let run = |words: &str| card.identity(words).fault("FAULT_PAGE", "52").run();
        run("verify").exits(5).says(&["LBA 52"]);
        run(words).exits(0);
        assert!(card.sector(52) == [0; 512], "{words}");
        card.run("verify").exits(if words == "repair" { 0 } else { 3 });
    }
}

#[test]
fn repair_puts_the_second_copy_elsewhere_where_its_place_cannot_be_written() {
    for faults in [&["FAULT_READ"][..], &["FAULT_READ", "FAULT_WRITE"]] {
        let card = stamped();
        let run = |words: &str| {
            faults.iter().fold(card.identity(words), |identity, fault| identity.fault(fault, "6607")).run()
        };
        run("verify").exits(5).says(&["LBA 6607", "identity repair"]);
        run("repair").exits(0).says(&["LBA 6607", "another slot"]).shows(&["repaired: "]);
        run("verify").exits(0);
        run("repair").exits(0).shows(&["nothing to repair"]);
        assert_eq!(card.copies()[..2], [52, 2703]);
    }
    // A place that takes a write again is used again.
    let card = stamped();
    let before = card.bytes();
    card.clear(6607);
    card.run("repair --keep 52").exits(0);
    assert!(card.bytes() == before);
}

#[test]
fn a_replacement_by_force_names_what_it_could_not_read() {
    for lba in ["2703", "7"] {
        let card = stamped();
        run(&card, "stamp --force --profile beagle", lba)
            .exits(0)
            .says(&[&format!("LBA {lba} cannot be read"), "readable again later"]);
        let card = stamped();
        card.put(6607, &Image::stamped("--profile beagle").sector(6607));
        let kept = run(&card, &format!("repair --keep {UUID} --force"), lba).exits(0);
        kept.says(&[&format!("LBA {lba} cannot be read")]);
    }
}
