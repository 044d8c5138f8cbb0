// SPDX-License-Identifier: MIT OR Apache-2.0
//! No identity is given twice, and no card is written that nobody has agreed to: two batches at once, batches that were cut off,
//! cards that fail or are exchanged, a list or a journal that changes meanwhile.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Who answers sees what is written: a question stands as long as the card that it shows is in the reader.
#[test]
fn a_card_that_was_not_shown_is_not_written() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(2), Slot::new());
    let (shown, other) = (card(&lab, "shown.img", 8192), card(&lab, "other.img", 8192));
    fs::OpenOptions::new().write(true).open(&other).and_then(|file| file.set_len(24 << 20)).expect("room");
    let before = fs::read(&other).expect("a card");
    let Some(mut person) = session(&lab, &["stamp", "panda-01", slot.name()]) else { return };
    person.expect("insert a card");
    slot.insert(&shown);
    person.expect("16 MiB");
    person.expect("Enter writes its card");
    slot.remove();
    person.expect("is not the one that was shown; nothing was written");
    person.expect("insert a card");
    // Typed too late, and no answer to what is asked next.
    person.enter("");
    slot.insert(&other);
    person.expect("24 MiB");
    person.expect("Enter writes its card");
    sleep(Duration::from_millis(1500));
    assert!(before == fs::read(&other).expect("a card"));
    assert_eq!(read(&shown)["state"], "blank");
    person.enter("");
    person.expect("stamped panda-01");
    let (code, _) = person.end();
    assert_eq!(code, Some(0));
    slot.remove();
    assert_eq!(hostname(&other), "panda-01");
}

/// Of two batches of one lab at once, on one host or on two, neither gives a board a second card.
#[test]
fn two_batches_at_once_give_no_board_two_cards() {
    if !is_privileged() {
        return;
    }
    let server = if cfg!(feature = "postgres") { Postgres::start() } else { None };
    let (lab, slots) = (lab(8), [Slot::new(), Slot::new()]);
    if let Some(server) = &server {
        lab.write("lab.toml", format!("name = \"desk\"\njournal = \"{}\"\n", server.address()));
    }
    let cards: Vec<_> = (1..=8).map(|number| card(&lab, &format!("{number}.img"), 8192)).collect();
    // A user of the same host, or another host: a place for state of its own.
    let elsewhere = tempfile::tempdir().expect("room");
    let mut batches: Vec<_> = slots
        .iter()
        .zip([lab.state.path(), elsewhere.path()])
        .map(|(slot, state)| {
            let mut command = lab.command();
            command.args(["stamp", "--yes", slot.name()]).env("XDG_STATE_HOME", state);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
        })
        .collect();
    let is_noted = |card: &Path| {
        waiting_and_noted(&lab, server.as_ref()).contains(read(card)["uuid"].as_str().unwrap_or("nothing"))
    };
    for (round, pair) in cards.chunks(2).enumerate() {
        for (slot, card) in slots.iter().zip(pair) {
            slot.insert(card);
            // One after the other, and both at once.
            if round % 2 == 0 {
                wait_for(|| is_noted(card));
            }
        }
        for card in pair {
            wait_for(|| is_noted(card));
        }
        for slot in &slots {
            slot.remove();
        }
    }
    for batch in &mut batches {
        wait_for(|| batch.try_wait().expect("it runs").is_some());
    }
    let names: BTreeSet<_> = cards.iter().map(|card| hostname(card)).collect();
    assert_eq!(names, (1..=8).map(|number| format!("panda-{number:02}")).collect());
    for name in &names {
        assert_eq!(events(&lab, name), ["stamped"], "{name}");
    }
}

/// Of a batch that was cut off on another host, a card may have the identity: a person says whether it has.
#[test]
fn a_claim_of_another_host_stands_until_a_person_says_otherwise() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(2), Slot::new());
    let one = card(&lab, "one.img", 8192);
    slot.insert(&card(&lab, "two.img", 8192));
    // Which makes the journal.
    lab.run(&["stamp", "--yes", "panda-02", slot.name()]).exits(0);
    slot.remove();
    let list = lab.run(&["list", "--format", "json"]).exits(0).json();
    let uuid = list[0]["uuid"].as_str().expect("a UUID");
    let query = format!(
        "INSERT INTO identity_claims VALUES ('{uuid}', 'id', '2026-11-27T03:00:00.000Z', 'bench', 'anna')"
    );
    let output = lab.command_of("sqlite3").args(["journal.db", &query]).output().expect("sqlite3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    slot.insert(&one);
    lab.run(&["stamp", "--yes", "panda-01", slot.name()]).exits(5).says(&[
        "panda-01: anna began to write its card on bench at 2026-11-27T03:00:00.000Z",
        "`identity-lab stamp --again panda-01`",
        "0 of 1 boards are done, 1 left",
    ]);
    assert_eq!(read(&one)["state"], "blank");
    lab.run(&["stamp", "--yes", "--again", "panda-01", slot.name()]).exits(0);
    assert_eq!(hostname(&one), "panda-01");
    slot.remove();
}

/// A directory with the program, and beside it one that writes cards and takes its caller along.
fn killing() -> tempfile::TempDir {
    let bin = tempfile::tempdir().expect("room");
    identity_tests::copy_program(program(), &bin.path().join("identity-lab"));
    let kills = bin.path().join("identity");
    let real = identity_tests::cli::program().display().to_string();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--dry-run*) exec {real} \"$@\";; esac\n{real} \"$@\"\nkill -KILL $PPID\n"
    );
    let written = fs::write(&kills, script);
    written
        .and_then(|()| fs::set_permissions(&kills, fs::Permissions::from_mode(0o755)))
        .expect("own directory");
    bin
}

/// The same with an image: `flash` remembers by itself which card has got an identity.
#[test]
fn a_batch_with_an_image_goes_on_by_a_persons_word() {
    if !is_privileged() {
        return;
    }
    let (lab, slot, bin) = (lab(1), Slot::new(), killing());
    card(&lab, "os.img", 8192);
    let words = ["stamp", "--yes", "--flash", "os.img", slot.name()];
    slot.insert(&card(&lab, "first.img", 8192));
    let mut killed = lab.command_of(bin.path().join("identity-lab"));
    let status = killed.args(words).stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it starts");
    assert_eq!(status.code(), None);
    slot.remove();
    let other = card(&lab, "other.img", 8192);
    slot.insert(&other);
    lab.run(&words).exits(5).says(&["panda-01: its card began to be written"]);
    assert_eq!(read(&other)["state"], "blank");
    lab.run(&[&words[..], &["--again"]].concat()).exits(0).shows(&["flashed panda-01"]);
    assert_eq!(hostname(&other), "panda-01");
    slot.remove();
}

/// Killed when a card was written and nobody has noted it: no other card gets the identity.
#[test]
fn a_batch_that_was_killed_gives_no_identity_twice() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(2), Slot::new());
    let bin = killing();
    let first = card(&lab, "first.img", 8192);
    slot.insert(&first);
    let mut killed = lab.command_of(bin.path().join("identity-lab"));
    let status =
        killed.args(["stamp", "--yes", slot.name()]).stdout(Stdio::null()).status().expect("it starts");
    assert_eq!(status.code(), None);
    slot.remove();
    assert_eq!(hostname(&first), "panda-01");
    assert!(waiting_and_noted(&lab, None).is_empty());

    let other = card(&lab, "other.img", 8192);
    slot.insert(&other);
    let again = lab.run(&["stamp", "--yes", slot.name()]).exits(5);
    again.says(&[
        "panda-01: its card began to be written",
        "put that card in again",
        "1 of 2 boards are done, 1 left: panda-01",
    ]);
    slot.remove();
    assert_eq!(hostname(&other), "panda-02");
    slot.insert(&first);
    lab.run(&["stamp", "--yes", slot.name()]).exits(0).shows(&["done panda-01"]);
    slot.remove();
    lab.run(&["stamp", "--yes", slot.name()]).exits(0).says(&["panda-01: stamped 20"]);
    assert_eq!(events(&lab, "panda-01"), ["stamped"]);
}

/// What cannot be noted is not done: a full disk, no place for it, a queue that cannot be read.
#[test]
fn without_a_note_nothing_is_written() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(1), Slot::new());
    let one = card(&lab, "one.img", 8192);
    slot.insert(&one);
    let full = lab.path("full");
    fs::create_dir(&full).expect("room");
    let stamp = |before: &str| {
        let mut shell = lab.command_of("unshare");
        shell.args(["--mount", "sh", "-c", &format!("{before}; exec \"$@\""), "sh"]).arg(program());
        shell.args(["stamp", "--yes", slot.name()]).env("full", &full);
        crate::Answer::of(&mut shell)
    };
    let fill = "mount -t tmpfs -o size=64k none \"$full\" && mkdir \"$full/identity-lab\" && touch \"$full/identity-lab/desk.queue\" && dd if=/dev/zero of=\"$full/x\" bs=4k 2>/dev/null; export XDG_STATE_HOME=\"$full\"";
    stamp(fill).exits(7).says(&["no space left"]);
    stamp("unset XDG_STATE_HOME HOME").exits(7).says(&["XDG_STATE_HOME"]);
    fs::create_dir_all(lab.queue().parent().expect("a directory")).expect("room");
    fs::write(lab.queue(), "{}\n").expect("room");
    stamp("true").exits(4).says(&["desk.queue:1: this is no event"]);
    assert_eq!(read(&one)["state"], "blank");
    fs::remove_file(lab.queue()).expect("it is there");
    stamp("true").exits(0);
    slot.remove();
}

/// A copy that was written is an identity: no other card gets it by itself.
#[test]
fn a_card_that_fails_in_the_middle_keeps_its_board() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(1), Slot::new());
    let (failing, other) = (card(&lab, "failing.img", 8192), card(&lab, "other.img", 8192));
    slot.insert(&failing);
    let fails = |lba: &str| {
        let mut command = lab.command();
        command.args(["stamp", "--yes", slot.name()]);
        command.env("LD_PRELOAD", identity_tests::cli::faults()).env("FAULT_WRITE", lba);
        crate::Answer::of(&mut command)
    };
    fails("52").exits(5).shows(&["failed panda-01", "the card may have the identity of panda-01"]);
    slot.remove();
    slot.insert(&other);
    let left = lab.run(&["stamp", "--yes", slot.name()]).exits(5);
    left.says(&["panda-01: its card was not written to the end", "left out"]);
    assert_eq!(read(&other)["state"], "blank");
    slot.remove();
    // Its own card is completed.
    slot.insert(&failing);
    lab.run(&["stamp", "--yes", slot.name()]).exits(0).shows(&["stamped panda-01"]);
    assert_eq!(read(&failing)["state"], "valid");
    slot.remove();
}

/// What other hosts have done is in the journal: without it, a person says that there are none.
#[test]
fn a_batch_begins_without_its_journal_by_a_persons_word_alone() {
    if !is_privileged() {
        return;
    }
    let Some(mut server) = (if cfg!(feature = "postgres") { Postgres::start() } else { None }) else {
        return;
    };
    let (lab, slot) = (lab(2), Slot::new());
    lab.write("lab.toml", format!("name = \"desk\"\njournal = \"{}\"\n", server.address()));
    let (one, other) = (card(&lab, "one.img", 8192), card(&lab, "other.img", 8192));
    slot.insert(&one);
    lab.run(&["stamp", "--yes", "panda-01", slot.name()]).exits(0);
    slot.remove();
    server.stop();
    // Another host.
    let elsewhere = tempfile::tempdir().expect("room");
    let stamp = |words: &[&str]| {
        let mut command = lab.command();
        command.args(["stamp", "--yes"]).args(words).args(["panda-01", slot.name()]);
        crate::Answer::of(command.env("XDG_STATE_HOME", elsewhere.path()))
    };
    slot.insert(&other);
    stamp(&[]).exits(7).says(&["cannot connect", "--alone"]);
    assert_eq!(read(&other)["state"], "blank");
    stamp(&["--alone"]).exits(0).says(&["1 event waits"]);
    assert_eq!(hostname(&other), "panda-01");
    server.go_on();
    // Now it is known that it was not alone.
    let mut where_is = lab.command();
    crate::Answer::of(where_is.args(["where", "panda-01"]).env("XDG_STATE_HOME", elsewhere.path())).exits(0);
    lab.run(&["check"]).exits(5).shows(&[
        "boards.csv:2:",
        "panda-01 was given to 2 cards",
        "`identity-lab stamp --again panda-01`",
    ]);
    slot.remove();
    identity_tests::cli::Identity::new("erase --force").arg(&other).run().exits(0);
    slot.insert(&other);
    lab.run(&["stamp", "--yes", "--again", "panda-01", slot.name()]).exits(0);
    lab.run(&["check"]).exits(0);
    slot.remove();
}

/// The list is read when a batch begins; a line that is another one by then is left for the next.
#[test]
fn a_line_that_has_changed_since_is_left_out() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(3), Slot::new());
    let Some(mut person) = session(&lab, &["stamp", slot.name()]) else { return };
    person.expect("board 1 of 3: panda-01; insert a card");
    let list = lab.read("boards.csv");
    let lines: Vec<_> = list.lines().filter(|line| !line.starts_with("panda-01")).collect();
    lab.write("boards.csv", lines.join("\n").replace("panda-03,panda", "panda-03,tiger") + "\n");
    lab.write("profiles/tiger.toml", lab.read("profiles/panda.toml"));
    let one = card(&lab, "one.img", 8192);
    slot.insert(&one);
    person.expect("Enter writes its card");
    person.enter("");
    person.expect("panda-01: its line in boards.csv has changed; left out");
    person.expect("board 2 of 3: panda-02; Enter writes its card");
    person.enter("");
    person.expect("stamped panda-02");
    slot.remove();
    slot.insert(&card(&lab, "two.img", 8192));
    person.expect("board 3 of 3: panda-03; Enter writes its card");
    person.enter("");
    person.expect("panda-03: its line in boards.csv has changed");
    let (code, shown) = person.end();
    assert_eq!(code, Some(5), "{shown}");
    slot.remove();
    assert_eq!(hostname(&one), "panda-02");
}

/// A board that has its card is left out, unless the list says something else of it by now.
#[test]
fn a_card_that_the_list_has_left_behind_is_named() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(1), Slot::new());
    let one = card(&lab, "one.img", 8192);
    slot.insert(&one);
    lab.run(&["stamp", "--yes", slot.name()]).exits(0);
    slot.remove();
    lab.write("boards.csv", lab.read("boards.csv").replace("panda-01", "panda-44"));
    let left = lab.run(&["stamp", "--yes", slot.name()]).exits(5);
    left.says(&[
        "panda-44: stamped",
        "the list has changed since",
        "the card \"panda-01\"",
        "0 of 1 boards are done",
    ]);
    slot.insert(&one);
    lab.run(&["stamp", "--yes", slot.name()]).exits(0).shows(&["stamped panda-44"]);
    assert_eq!(hostname(&one), "panda-44");
    lab.run(&["stamp", "--yes", slot.name()]).exits(0).says(&["the board is done"]);
    slot.remove();
}
