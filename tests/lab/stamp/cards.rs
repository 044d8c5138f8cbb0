// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which card is a board's: one that was only seen, one without its image, a copy, a lone copy in another card's gap.

use super::*;

/// A board that has a card gets no second one because the first has no image.
#[test]
fn an_image_goes_onto_the_card_that_the_board_has() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(1), Slot::new());
    card(&lab, "os.img", 8192);
    let (first, other) = (card(&lab, "first.img", 8192), card(&lab, "other.img", 8192));
    slot.insert(&first);
    lab.run(&["stamp", "--yes", slot.name()]).exits(0);
    slot.remove();
    slot.insert(&other);
    let words = ["stamp", "--yes", "--flash", "os.img", slot.name()];
    lab.run(&words).exits(5).says(&["panda-01: stamped 20", "without an image: put that card in again"]);
    assert_eq!(read(&other)["state"], "blank");
    slot.remove();
    slot.insert(&first);
    lab.run(&words).exits(0).shows(&["flashed panda-01"]);
    assert_eq!(events(&lab, "panda-01"), ["flashed", "stamped"]);
    lab.run(&["check"]).exits(0);
    lab.run(&words).exits(0).says(&["panda-01: flashed 20", "the board is done"]);
    slot.remove();
}

/// A card that was seen is a card, whoever has made it.
#[test]
fn a_board_whose_card_was_scanned_gets_no_other_one() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(2), Slot::new());
    lab.run(&["card", "panda-01", "-o", "one.img"]).exits(0);
    slot.insert(&lab.path("one.img"));
    lab.run(&["scan", slot.name()]).exits(0);
    slot.remove();
    let other = card(&lab, "other.img", 8192);
    slot.insert(&other);
    let dry = lab.run(&["stamp", "--dry-run", slot.name()]).exits(0).says(&["panda-01: scanned 20"]);
    assert!(!dry.stdout.contains("panda-01"), "{}", dry.stdout);
    lab.run(&["stamp", "--yes", slot.name()]).exits(0).says(&["panda-01: scanned 20", "left out"]);
    assert_eq!(hostname(&other), "panda-02");
    slot.remove();
}

/// The host remembers boards and not names of labs.
#[test]
fn a_lab_with_another_name_gives_no_board_two_cards() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(1), Slot::new());
    slot.insert(&card(&lab, "one.img", 8192));
    // The journal is away, so its event waits.
    lab.write("lab.toml", "name = \"desk\"\njournal = \"sqlite:away/journal.db\"\n");
    lab.run(&["stamp", "--yes", "--alone", slot.name()]).exits(0).says(&["1 event waits"]);
    slot.remove();
    lab.write("lab.toml", "name = \"bench\"\n");
    lab.run(&["where", "panda-01"]).exits(0).shows(&["card      stamped 20"]);
    fs::remove_file(lab.path("journal.db")).expect("it was made");
    let other = card(&lab, "other.img", 8192);
    slot.insert(&other);
    lab.run(&["stamp", "--yes", slot.name()]).exits(0).says(&["panda-01: stamped 20", "left out"]);
    assert_eq!(read(&other)["state"], "blank");
    slot.remove();
}

/// What the list says by now is on the card, also where an image is written.
#[test]
fn a_card_gets_its_image_and_what_the_list_says() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(1), Slot::new());
    card(&lab, "os.img", 8192);
    let one = card(&lab, "one.img", 8192);
    slot.insert(&one);
    lab.run(&["stamp", "--yes", slot.name()]).exits(0);
    let list = lab.read("boards.csv");
    let (head, line) = list.trim_end().split_once('\n').expect("two lines");
    let changed = line.replacen(",,", ",SER1,", 1);
    lab.write("boards.csv", format!("{head}\n{changed}\n"));
    let words = ["stamp", "--yes", "--flash", "os.img", slot.name()];
    lab.run(&words).exits(0).shows(&["flashed panda-01"]);
    assert_eq!((&read(&one)["serial"], &read(&one)["state"]), (&"SER1".into(), &"valid".into()));
    lab.run(&["scan", slot.name()]).exits(0);
    lab.run(&words).exits(0).says(&["panda-01: flashed 20", "the board is done"]);
    // Where no reader shows a CID, too, the card is held against the list as it was seen last.
    lab.write("boards.csv", format!("{head}\n{}\n", line.replacen(",,", ",SER2,", 1)));
    lab.run(&["check"])
        .exits(5)
        .shows(&["boards.csv:2:", "the list has \"SER2\", the card \"SER1\": its card"]);
    lab.run(&["stamp", "--yes", slot.name()]).exits(0).shows(&["stamped panda-01"]);
    lab.run(&["check"]).exits(0);
    slot.remove();
}

/// A loader that was copied from a card takes one copy of its identity along: that is no card of the board.
#[test]
fn a_lone_copy_is_completed_by_nobody_without_a_word() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(1), Slot::new());
    let (own, other) = (card(&lab, "own.img", 8192), card(&lab, "other.img", 8192));
    slot.insert(&own);
    lab.run(&["stamp", "--yes", slot.name()]).exits(0);
    slot.remove();
    let mut bytes = fs::read(&other).expect("a card");
    bytes[..1 << 20].copy_from_slice(&fs::read(&own).expect("a card")[..1 << 20]);
    fs::write(&other, &bytes).expect("room");
    fs::copy(&own, lab.path("os.img")).expect("room");
    slot.insert(&other);
    for words in [&["--again"][..], &["--again", "--flash", "os.img"]] {
        let refused =
            lab.command().args(["stamp", "--yes", slot.name()]).args(words).stdout(Stdio::piped()).spawn();
        let mut refused = refused.expect("it starts");
        sleep(Duration::from_secs(3));
        tool("kill").arg(refused.id().to_string()).status().expect("kill");
        let mut said = String::new();
        std::io::Read::read_to_string(&mut refused.stdout.take().expect("piped"), &mut said).expect("text");
        assert!(said.contains("LBA 52 holds the only copy") && said.contains("repair --keep 52"), "{said}");
        assert!(bytes == fs::read(&other).expect("a card"));
        refused.wait().expect("it ends");
    }
    slot.remove();
}

/// Of a card and its copy in two readers of a batch, one is named.
#[test]
fn a_copy_in_another_reader_is_not_its_card() {
    if !is_privileged() {
        return;
    }
    let (lab, slots) = (lab(1), [Slot::new(), Slot::new()]);
    let own = card(&lab, "own.img", 8192);
    slots[0].insert(&own);
    lab.run(&["stamp", "--yes", slots[0].name()]).exits(0);
    fs::copy(&own, lab.path("copy.img")).expect("room");
    slots[1].insert(&lab.path("copy.img"));
    let devices = format!("{},{}", slots[0].name(), slots[1].name());
    let answer = lab.run(&["stamp", "--yes", "--again", "--devices", &devices]).exits(0);
    answer.shows(&["done panda-01", "refused panda-01", "one of them is a copy"]);
    assert_eq!(
        events(&lab, "panda-01"),
        ["doubled", "stamped", "replaced", "stamped"],
        "the copy is not noted as its card"
    );
    // A later batch knows of it, until a person says which is the board's.
    let both = "panda-01: two cards had the identity of panda-01 at once, on ";
    lab.run(&["stamp", "--dry-run", slots[0].name()]).exits(0).says(&[both, "panda-01: stamped 20"]);
    slots[1].remove();
    lab.run(&["stamp", "--yes", "--again", slots[0].name()]).exits(0);
    let settled = lab.run(&["stamp", "--dry-run", slots[0].name()]).exits(0);
    assert!(!settled.stderr.contains("two cards"), "{}", settled.stderr);
    lab.run(&["check"]).exits(0);
    slots[1].insert(&lab.path("copy.img"));
    for slot in &slots {
        slot.remove();
    }
}
