// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order of writes, seen from outside; and the power going at every one of them.

use std::fs;

use identity_core::slot::READING_ORDER;
use identity_tests::cli::Outcome;
use identity_tests::image::Image;

use crate::{OTHER, UUID};

/// Status of a run that `FAULT_CUT` ended.
const CUT: i32 = 99;
/// Bytes of the last write that arrive: none, a part of the header, of the fields, all but one, all.
const KEPT: [usize; 4] = [0, 1, 56, 512];

/// What was done to the card, in order; without the reads that only look.
fn written(image: &Image, words: &str) -> Vec<String> {
    let log = tempfile::NamedTempFile::new().unwrap();
    image.identity(words).fault("FAULT_LOG", log.path()).run().exits(0);
    let log = fs::read_to_string(log.path()).unwrap();
    let events = log.lines().map(str::to_owned);
    events.skip_while(|event| !event.starts_with("write")).collect()
}

/// Writes and flushes alone, and that each sector is read past the cache before anything else is written.
#[track_caller]
fn steps(events: &[String]) -> Vec<&str> {
    let mut steps = vec![];
    let mut unproved = None;
    for event in events {
        match event.split_once(' ') {
            Some(("write", lba)) => {
                assert_eq!(unproved, None, "written before the step before it was read back: {events:?}");
                unproved = Some(lba);
                steps.push(event.as_str());
            }
            None => steps.push(event),
            // Direct reads are of aligned blocks of eight sectors.
            Some(("direct", start)) => {
                let start: usize = start.parse().unwrap();
                let lba = unproved.and_then(|lba| lba.parse().ok());
                if lba.is_some_and(|lba: usize| (start..start + 8).contains(&lba)) {
                    assert_eq!(steps.last(), Some(&"flush"), "read back before the flush: {events:?}");
                    unproved = None;
                }
            }
            Some(_) => (),
        }
    }
    assert_eq!(unproved, None, "never read back: {events:?}");
    steps
}

#[test]
fn the_copy_that_readers_look_at_last_is_written_first_and_proved() {
    let image = Image::mbr();
    let two = ["write 6607", "flush", "write 52", "flush"];
    assert_eq!(steps(&written(&image, "stamp --profile panda")), two);
    assert_eq!(steps(&written(&image, "stamp --profile beagle --force")), two);
    assert_eq!(steps(&written(&image, "erase")), two);
}

#[test]
fn an_old_place_is_cleared_only_when_the_new_ones_are_proved() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID}"));
    let events = written(&image, &format!("stamp --uuid {UUID} --at 5,7"));
    let all = ["write 7", "flush", "write 5", "flush", "write 6607", "flush", "write 52", "flush"];
    assert_eq!(steps(&events), all);
}

#[test]
fn repair_writes_only_what_is_broken() {
    let image = Image::stamped("--profile panda");
    image.damage(52);
    assert_eq!(steps(&written(&image, "repair")), ["write 52", "flush"]);
    image.clear(6607);
    assert_eq!(steps(&written(&image, "repair --keep 52")), ["write 6607", "flush"]);
    assert_eq!(written(&image, "repair"), [""; 0]);
}

#[test]
fn a_look_writes_nothing_and_reads_each_slot_and_the_mark_once() {
    let image = Image::stamped("--profile panda");
    let log = tempfile::NamedTempFile::new().unwrap();
    image.identity("read").fault("FAULT_LOG", log.path()).run().exits(0);
    let slots = READING_ORDER.iter().map(|slot| format!("read {}\n", slot.lba)).collect::<String>();
    assert_eq!(fs::read_to_string(log.path()).unwrap(), slots + "read 0\n");
    for words in ["read", "verify", "read --format json", "repair --dry-run", "erase --dry-run"] {
        image.identity(words).fault("FAULT_DENY", "1").run().exits(0);
    }
}

/// Cuts the power in every write of `words`, and has `judge` look at what is left.
fn cut_everywhere(make: impl Fn() -> Image, words: &str, judge: impl Fn(&Image, &str)) {
    for write in 1.. {
        for kept in KEPT {
            let image = make();
            let cut = image.identity(words).fault("FAULT_CUT", format!("{write}:{kept}")).run();
            if cut.code != Some(CUT) {
                cut.exits(0);
                assert!(write > 2, "there were two writes to cut");
                return;
            }
            judge(&image, &format!("{words}: write {write} cut after {kept} bytes"));
        }
    }
}

fn read(image: &Image) -> Outcome {
    image.run("read --format json")
}

#[test]
fn a_power_cut_in_an_update_leaves_the_old_or_the_new_identity() {
    let old = || {
        let set = "--hostname old --serial S --set a=1";
        Image::stamped(format!("--profile panda --uuid {UUID} {set}"))
    };
    for at in ["", "--at 5,7", "--at 54,52"] {
        let words = format!("stamp --uuid {UUID} --hostname new {at}");
        cut_everywhere(old, &words, |image, about| {
            let found = read(image).exits(0).json();
            assert_eq!((&found["uuid"], &found["serial"]), (&UUID.into(), &"S".into()), "{about}");
            let version = (found["hostname"].as_str().unwrap(), found["generation"].as_u64().unwrap());
            assert!(matches!(version, ("old", 1) | ("new", 2)), "{about}: {version:?}");
            image.run("repair").exits(0);
            image.run("verify").exits(0);
            assert_eq!(image.copies().len(), 2, "{about}");
            // What is left of a torn write may look like somebody's data.
            image.run(format!("{words} --force")).exits(0);
            assert_eq!(read(image).exits(0).json()["hostname"], "new", "{about}");
            image.run("verify").exits(0);
        });
    }
}

#[test]
fn a_power_cut_in_a_repair_leaves_the_identity() {
    let broken: [fn(&Image); 3] = [
        |image| {
            image.damage(52);
        },
        |image| {
            image.clear(6607);
        },
        |image| {
            let old = image.sector(52);
            image.run(format!("stamp --uuid {UUID} --hostname b")).exits(0);
            image.put(52, &old);
        },
    ];
    for damage in broken {
        for write in 1..=2 {
            for kept in KEPT {
                let image = Image::stamped(format!("--profile panda --uuid {UUID} --hostname a"));
                damage(&image);
                let repair = format!("repair --keep {UUID}");
                image.identity(&repair).fault("FAULT_CUT", format!("{write}:{kept}")).run();
                assert_eq!(read(&image).exits(0).json()["uuid"], UUID);
                image.run(&repair).exits(0);
                image.run("verify").exits(0);
            }
        }
    }
}

#[test]
fn a_power_cut_in_the_update_of_a_single_copy_does_not_lose_it() {
    for lost in [52, 6607] {
        for write in 1..=2 {
            for kept in KEPT {
                let image = Image::stamped(format!("--profile panda --uuid {UUID} --hostname old"));
                image.damage(lost);
                let update = image.identity(format!("stamp --uuid {UUID} --hostname new"));
                assert_eq!(update.fault("FAULT_CUT", format!("{write}:{kept}")).run().code, Some(CUT));
                assert_eq!(read(&image).exits(0).json()["uuid"], UUID, "{lost}: write {write}, {kept} bytes");
                image.run("repair").exits(0);
                image.run("verify").exits(0);
            }
        }
    }
}

#[test]
fn a_power_cut_in_a_replacement_never_leaves_nothing() {
    let old = || Image::stamped(format!("--profile panda --uuid {UUID}"));
    let words = format!("stamp --profile beagle --uuid {OTHER} --force");
    cut_everywhere(old, &words, |image, about| {
        let found = read(image);
        let state = found.json();
        match state["state"].as_str().unwrap() {
            "valid" | "degraded" => {
                let uuid = state["uuid"].as_str().unwrap();
                assert!(uuid == UUID || uuid == OTHER, "{about}");
            }
            // Both are whole and named; nothing is guessed.
            "conflict" => drop(found.exits(5).says(&[UUID, OTHER])),
            state => panic!("{about}: {state}"),
        }
        image.run(&words).exits(0);
        image.run("verify").exits(0);
        assert_eq!(image.copies(), [52, 6607], "{about}");
    });
}

#[test]
fn a_power_cut_in_the_first_stamp_is_no_other_identity() {
    let words = format!("stamp --profile panda --uuid {UUID}");
    cut_everywhere(Image::mbr, &words, |image, about| {
        let state = read(image).json();
        match state["state"].as_str().unwrap() {
            "blank" | "corrupt" => (),
            "degraded" | "valid" => assert_eq!(state["uuid"], UUID, "{about}"),
            state => panic!("{about}: {state}"),
        }
        image.run(format!("{words} --force")).exits(0);
        image.run("verify").exits(0);
        assert_eq!(image.copies().len(), 2, "{about}");
    });
}

#[test]
fn a_power_cut_in_an_erasure_leaves_the_identity_or_none() {
    let old = || Image::stamped(format!("--profile panda --uuid {UUID}"));
    cut_everywhere(old, "erase", |image, about| {
        let state = read(image).json();
        match state["state"].as_str().unwrap() {
            "blank" | "corrupt" => (),
            "degraded" | "valid" => assert_eq!(state["uuid"], UUID, "{about}"),
            state => panic!("{about}: {state}"),
        }
    });
}

#[test]
fn a_copy_that_reads_back_differently_stops_everything() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID} --hostname old"));
    let update = format!("stamp --uuid {UUID} --hostname new");
    let first = image.sector(52);
    let lie = image.identity(&update).fault("FAULT_LIE", "6607").run();
    lie.exits(7).says_one_sentence().says(&["LBA 6607", "reads back differently", "byte 100"]);
    assert_eq!(image.sector(52), first, "the other copy is as it was");
    let lie = image.identity(&update).fault("FAULT_LIE", "52").run();
    lie.exits(7).says(&["LBA 52", "reads back differently"]);
    image.run("read").exits(0);
}

#[test]
fn a_card_that_cannot_be_written_or_flushed_says_so() {
    let image = Image::mbr();
    let stamp = || image.identity("stamp --profile panda");
    let write = image.unchanged_by(|| stamp().fault("FAULT_WRITE", "6607").run());
    write.exits(7).says_one_sentence().says(&[
        "card.img",
        "LBA 6607",
        "cannot be written",
        "replace the card",
    ]);
    let flush = stamp().fault("FAULT_FLUSH", "1").run();
    flush.exits(7).says_one_sentence().says(&["LBA 6607", "cannot be flushed"]);
    assert_eq!(image.sector(52), [0; 512], "the other copy is not begun");
    let stamped = Image::stamped(format!("--profile panda --uuid {UUID}"));
    let erase = stamped.unchanged_by(|| stamped.identity("erase").fault("FAULT_WRITE", "6607").run());
    erase.exits(7).says(&["LBA 6607", "cannot be written"]);
    stamped.run("verify").exits(0);
}
