// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every state of a card: what it is called, and every verb's exit code for it.

use identity_tests::image::Image;
use identity_tests::workspace;

use crate::{OTHER, UUID};

/// Where the two copies are on the usual card.
const FIRST: u32 = 52;
const SECOND: u32 = 6607;

/// A card in a state that can be made on an image; and whether stamping it is an update.
struct Case {
    about: &'static str,
    state: &'static str,
    make: fn() -> Image,
    read: i32,
    verify: i32,
    repair: i32,
    erase: i32,
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(workspace().join("fixtures/sectors").join(name)).unwrap()
}

fn stamped() -> Image {
    Image::stamped(format!("--profile panda --uuid {UUID}"))
}

fn with(change: impl Fn(&Image) -> &Image) -> Image {
    let image = stamped();
    change(&image);
    image
}

/// A second identity's copies put beside, or over, the first one's.
fn conflict() -> Image {
    let other = Image::stamped(format!("--profile beagle --uuid {OTHER}"));
    with(|image| image.put(SECOND, &other.sector(SECOND)))
}

fn same_generation_two_contents() -> Image {
    let other = Image::stamped(format!("--profile beagle --uuid {UUID}"));
    with(|image| image.put(SECOND, &other.sector(SECOND)))
}

fn older(lba: u32) -> Image {
    with(|image| {
        let old = image.sector(lba);
        image.run(format!("stamp --uuid {UUID} --hostname new")).exits(0);
        image.put(lba, &old)
    })
}

/// A damaged copy beside a whole pair.
fn stray() -> Image {
    with(|image| image.put(7, &image.copy(FIRST).encode(7, FIRST)).damage(7))
}

fn third() -> Image {
    with(|image| {
        let third = image.copy(FIRST).encode(5, FIRST);
        image.put(5, &third)
    })
}

const BLANK: Case =
    Case { about: "no copies", state: "blank", make: Image::mbr, read: 3, verify: 3, repair: 3, erase: 3 };
const VALID: Case =
    Case { about: "stamped", state: "valid", make: stamped, read: 0, verify: 0, repair: 0, erase: 0 };
const DEGRADED: Case =
    Case { about: "", state: "degraded", make: stamped, read: 0, verify: 5, repair: 0, erase: 0 };
const CORRUPT: Case =
    Case { about: "", state: "corrupt", make: stamped, read: 4, verify: 4, repair: 4, erase: 4 };
const CONFLICT: Case =
    Case { about: "", state: "conflict", make: stamped, read: 5, verify: 5, repair: 5, erase: 5 };
const NEWER: Case =
    Case { about: "", state: "newer", make: stamped, read: 4, verify: 4, repair: 4, erase: 4 };

fn cases() -> Vec<Case> {
    let degraded = |about, make| Case { about, make, ..DEGRADED };
    let corrupt = |about, make| Case { about, make, ..CORRUPT };
    let conflict_of = |about, make| Case { about, make, ..CONFLICT };
    let newer = |about, make| Case { about, make, ..NEWER };
    vec![
        BLANK,
        Case {
            about: "random data in every slot",
            make: || {
                let image = Image::mbr();
                for lba in [5, 7, 52, 54, 1711, 1777, 2703, 2927, 6607, 6959] {
                    image.put(lba, &[0xe5; 512]);
                }
                image
            },
            ..BLANK
        },
        VALID,
        degraded("first copy damaged", || with(|image| image.damage(FIRST))),
        degraded("second copy damaged", || with(|image| image.damage(SECOND))),
        degraded("first copy missing", || with(|image| image.clear(FIRST))),
        degraded("second copy missing", || with(|image| image.clear(SECOND))),
        degraded("first copy older", || older(FIRST)),
        degraded("second copy older", || older(SECOND)),
        corrupt("both damaged", || with(|image| image.damage(FIRST).damage(SECOND))),
        corrupt("one damaged, one missing", || with(|image| image.damage(FIRST).clear(SECOND))),
        Case {
            about: "a copied sector",
            make: || {
                let image = Image::mbr();
                image.put(54, &stamped().sector(FIRST));
                image
            },
            ..BLANK
        },
        conflict_of("two UUIDs", conflict),
        conflict_of("one UUID and generation, two contents", same_generation_two_contents),
        newer("a later version", || {
            with(|image| image.put(FIRST, &golden("newer-version-2.bin")).clear(SECOND))
        }),
        newer("an unknown critical field", || {
            with(|image| image.put(FIRST, &golden("newer-field-0x80.bin")).clear(SECOND))
        }),
    ]
}

#[test]
fn read_has_an_exit_code_for_every_state() {
    for case in cases() {
        let outcome = (case.make)().unchanged("read --format json").exits(case.read);
        assert_eq!(outcome.json()["state"], case.state, "{}", case.about);
        let text = (case.make)().unchanged("read").exits(case.read);
        if case.state == "valid" {
            text.is_quiet();
        } else {
            text.says_one_sentence().says(&["card.img", case.state]);
        }
    }
}

#[test]
fn verify_has_an_exit_code_for_every_state() {
    for case in cases() {
        let outcome = (case.make)().unchanged("verify --format json").exits(case.verify);
        assert_eq!(outcome.json()["state"], case.state, "{}", case.about);
        let text = (case.make)().unchanged("verify").exits(case.verify).shows(&[case.state]);
        if case.state == "valid" {
            text.is_quiet();
        } else {
            text.says_one_sentence().says(&["card.img", case.state]);
        }
    }
    // Every reader looks at all slots.
    for (image, reason) in [(third(), "a third copy"), (stray(), "LBA 7 is corrupt")] {
        image.unchanged("read").exits(0).says(&[reason]);
        image.unchanged("verify").exits(5).says(&[reason]);
    }
}

#[test]
fn repair_makes_degraded_valid_and_touches_no_other_state() {
    let unread = [
        Case { about: "a third copy", make: third, ..DEGRADED },
        Case { about: "a damaged third copy", make: stray, ..DEGRADED },
    ];
    for case in cases().into_iter().chain(unread) {
        let image = (case.make)();
        if case.state == "degraded" {
            // Where it is the only copy, a person has to say that it is this card's.
            let keep = if case.about.contains("missing") {
                image.unchanged("repair").exits(6).says(&["the only copy", "--keep"]);
                format!("--keep {UUID}")
            } else {
                String::new()
            };
            let outcome = image.run(format!("repair --format json {keep}")).exits(0);
            assert_eq!(outcome.json()["state"], "valid", "{}", case.about);
            assert_eq!(image.copies(), [52, 6607], "{}", case.about);
            image.unchanged("verify").exits(0).is_quiet();
        } else {
            image.unchanged("repair").exits(case.repair);
        }
    }
}

#[test]
fn erase_without_force_erases_only_what_it_can_show() {
    for case in cases() {
        let image = (case.make)();
        if case.erase == 0 {
            image.run("erase").exits(0).shows(&[UUID]);
            assert_eq!(image.copies(), [0; 0], "{}", case.about);
        } else {
            let word = if case.state == "newer" { "later format version" } else { case.state };
            image.unchanged("erase").exits(case.erase).says(&[word]);
        }
    }
}

#[test]
fn erase_by_force_makes_every_state_blank() {
    for case in cases().into_iter().filter(|case| case.state != "blank") {
        let image = (case.make)();
        image.run("erase --force").exits(0);
        assert_eq!(image.copies(), [0; 0], "{}", case.about);
        image.unchanged("verify").exits(3);
    }
    Image::mbr().unchanged("erase --force").exits(3);
}

#[test]
fn stamping_is_refused_in_every_state_but_blank() {
    for case in cases().into_iter().filter(|case| case.state != "blank") {
        let image = (case.make)();
        let code = if case.state == "newer" { 4 } else { 6 };
        image.unchanged("stamp --profile beagle").exits(code).says(&["card.img"]);
    }
}

#[test]
fn stamping_by_force_makes_every_state_valid() {
    for case in cases().into_iter().filter(|case| case.state != "blank") {
        let image = (case.make)();
        let outcome = image.run("stamp --profile beagle --force --format json").exits(0);
        assert_eq!(outcome.json()["generation"], 1, "{}", case.about);
        assert_ne!(outcome.json()["uuid"], UUID, "{}", case.about);
        assert_eq!(image.copies(), [52, 6607], "{}", case.about);
        image.unchanged("verify").exits(0);
    }
}

#[test]
fn a_state_that_is_not_usable_gives_no_field_but_itself() {
    for case in cases() {
        let image = (case.make)();
        image.unchanged("read --field state").exits(case.read).prints(&format!("{}\n", case.state));
        let usable = matches!(case.state, "valid" | "degraded");
        for field in ["uuid", "profile", "mac", "machine_id", "mac.1", "generation"] {
            let outcome = image.unchanged(format!("read --field {field}")).exits(case.read);
            if !usable {
                outcome.prints("").says(&[case.state]);
            }
        }
    }
}

#[test]
fn messages_name_the_place_and_the_way_out() {
    let degraded = with(|image| image.damage(SECOND));
    degraded.run("read").says(&["LBA 6607", "corrupt", "checksum", "identity repair"]);
    let blank = Image::mbr();
    blank.run("read").says(&["identity stamp"]);
    conflict().run("read").says(&["LBA 52", UUID, "LBA 6607", OTHER, "repair --keep UUID"]);
    let newer = with(|image| image.put(FIRST, &golden("newer-version-2.bin")));
    newer.run("read").says(&["version 2", "update `identity`"]);
    let copied = Image::mbr();
    copied.put(54, &stamped().sector(FIRST));
    for verb in ["read", "verify"] {
        copied
            .run(verb)
            .exits(3)
            .says(&["LBA 54 holds a copy that was written for LBA 52", "identity stamp"]);
    }
    copied.run("verify").shows(&["foreign: data of another program: a copy that was written for LBA 52"]);
}

/// A copy at another LBA than its own is a piece of some card's image, and as foreign as any other data.
#[test]
fn a_copied_sector_is_nobodys_to_write_over() {
    let piece = stamped().sector(FIRST);
    let image = Image::mbr();
    image.put(54, &piece).put(300, &piece);
    let is_left = |verb: &str| {
        image.run(verb).exits(0);
        assert!(image.sector(54) == piece && image.sector(300) == piece, "{verb}");
    };
    is_left(&format!("stamp --profile panda --uuid {OTHER}"));
    is_left("verify");
    is_left(&format!("stamp --uuid {OTHER} --hostname new"));
    let copies = image.copies().into_iter().filter(|lba| ![54, 300].contains(lba)).collect::<Vec<_>>();
    assert_eq!(copies, [2703, 6607], "neither there nor beside it");
    image.damage(2703);
    is_left("repair");
    is_left("verify");
    is_left("stamp --profile beagle --force");
    is_left("erase");
    assert_eq!(image.copies(), [54, 300]);
    image
        .unchanged("stamp --profile panda --at 54,1711")
        .exits(6)
        .says(&["--at 54", "piece of a card's image"]);
    image.run("map").shows(&["a copy that was written for LBA 52"]);
}

#[test]
fn an_unreadable_card_is_no_blank_card() {
    let image = Image::mbr();
    for verb in ["read", "verify", "repair", "erase", "stamp --profile panda --force"] {
        let read = || image.identity(verb).fault("FAULT_READ", "52").run();
        image.unchanged_by(|| read().exits(7).says_one_sentence().says(&["LBA 52", "cannot be read"]));
    }
}

#[test]
fn one_unreadable_copy_degrades() {
    let image = stamped();
    let read = image.identity("read --format json").fault("FAULT_READ", "52").run().exits(0);
    assert_eq!((&read.json()["state"], &read.json()["uuid"]), (&"degraded".into(), &UUID.into()));
    read.says(&["LBA 52", "unreadable"]);
}

#[test]
fn every_golden_sector_is_read_as_its_file_says() {
    let index: serde_json::Value = serde_json::from_slice(&golden("sectors.json")).unwrap();
    for entry in index["sectors"].as_array().unwrap() {
        let lba = u32::try_from(entry["lba"].as_u64().unwrap()).unwrap();
        if lba == 0 {
            continue;
        }
        let file = entry["file"].as_str().unwrap();
        let outcome = &entry["outcome"];
        let image = Image::zeroed((u64::from(lba) + 8000) * 512);
        image.put(lba, &golden(file));
        let lba = lba.to_string();
        let found = image.run(format!("verify --format json --at {lba}")).json();
        let slot = found["slots"].as_array().unwrap().iter().find(|slot| slot["lba"] == entry["lba"]);
        assert_eq!(&slot.unwrap()["state"], outcome, "{file}");
    }
}
