// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rename` and `remove`: what becomes of a board in the list, of its files, its cards and its history; and journals of older programs.

use std::fs;

use identity_tests::lab::program;
use identity_tests::session::Session;
use serde_json::json;

use crate::journal::{Journal, MAC, event, let_wait, with_each_database};
use crate::{Answer, Lab, OTHER, UUID, killed_before_each_change};

with_each_database! {
    a_board_that_is_renamed_is_the_same_board => super::a_board_that_is_renamed_is_the_same_board;
    a_board_that_is_removed_leaves_its_history_and_its_cards => super::a_board_that_is_removed_leaves_its_history_and_its_cards;
    nobody_gets_the_uuid_of_a_board_that_was_removed => super::nobody_gets_the_uuid_of_a_board_that_was_removed;
    what_a_person_says_of_a_board_s_cards_is_no_erasure => super::what_a_person_says_of_a_board_s_cards_is_no_erasure;
    tables_of_an_older_program_are_brought_up_to_date => super::tables_of_an_older_program_are_brought_up_to_date;
}

const CARD: &str = "035344534c33324780aabbccdd015500";

/// A card of panda-01 that was scanned.
fn scanned(journal: &Journal) {
    let_wait(&journal.lab, &[event(1, "scanned", CARD, UUID, "panda-01")]);
    journal.lab.run(&["check"]).exits(0);
}

fn a_board_that_is_renamed_is_the_same_board(journal: Journal) {
    let lab = &journal.lab;
    scanned(&journal);
    lab.write("overlays/board/panda-01/etc/motd", "hello");
    let before = lab.read("boards.csv");
    let dry = lab.run(&["rename", "--dry-run", "panda-01", "tiger-01"]).exits(0);
    dry.shows(&["would rename panda-01 to tiger-01  ", UUID, &format!("card {CARD} (scanned on bench")]);
    assert_eq!(lab.read("boards.csv"), before);
    let renamed = lab.run(&["rename", "panda-01", "tiger-01"]).exits(0);
    renamed.shows(&[
        "renamed panda-01 to tiger-01",
        "overlays/board/panda-01 is overlays/board/tiger-01 then",
        "has the old name: `identity-lab stamp tiger-01`",
    ]);
    let (head, rest) = before.split_once('\n').expect("a header");
    let (own, others) = rest.split_once('\n').expect("two boards");
    assert_eq!(
        lab.read("boards.csv"),
        format!("{head}\n{others}{}\n", own.replace("panda-01", "tiger-01")),
        "all else keeps its bytes, and the list is sorted"
    );
    assert_eq!(lab.read("overlays/board/tiger-01/etc/motd"), "hello");
    assert!(!lab.path("overlays/board/panda-01").exists());
    // Its history goes on.
    lab.run(&["show", "tiger-01"]).exits(0).shows(&[
        "renamed     20",
        "was panda-01",
        "scanned     2026-11-27",
    ]);
    lab.run(&["where", "panda-01"]).exits(2);
    // The card has the old name until it is stamped.
    lab.run(&["check"]).exits(5).shows(&["hostname: the list has \"tiger-01\", the card \"panda-01\""]);
    // And back, by another of its names.
    let back = lab.run(&["rename", "--format", "json", UUID, "panda-01"]).exits(0).json();
    assert_eq!(
        (&back["before"], &back["hostname"], &back["uuid"]),
        (&json!("tiger-01"), &json!("panda-01"), &json!(UUID))
    );
    assert_eq!(back["cards"][0]["card"], CARD);
    assert_eq!(lab.read("boards.csv"), before);
    lab.run(&["check"]).exits(0);
}

fn a_board_that_is_removed_leaves_its_history_and_its_cards(journal: Journal) {
    let lab = &journal.lab;
    scanned(&journal);
    lab.write("overlays/board/panda-01/etc/motd", "hello");
    let before = lab.read("boards.csv");
    lab.run(&["remove", "panda-01"])
        .exits(6)
        .says(&["nobody to ask at a terminal; --yes removes without a question"]);
    let named = format!(
        "card {CARD} (scanned on bench, 2026-11-27T03:00:00.000Z) has its identity: erase it, and scan it"
    );
    let dry = lab.run(&["remove", "--dry-run", "panda-01"]).exits(0);
    dry.shows(&["would remove panda-01  ", UUID, &named]);
    assert_eq!((lab.read("boards.csv"), journal.count()), (before.clone(), 1));
    let removed = lab.run(&["remove", "--yes", "--format", "json", "panda-01"]).exits(0).json();
    assert_eq!((&removed[0]["uuid"], &removed[0]["cards"][0]["card"]), (&json!(UUID), &json!(CARD)));
    assert_eq!(removed[0]["overlay"], "overlays/board/panda-01");
    let (own, rest) = before.split_once(&format!("panda-01,panda,{UUID},S1,R3\n")).expect("the board");
    assert_eq!(lab.read("boards.csv"), format!("{own}{rest}"));
    assert_eq!(lab.read("overlays/board/panda-01/etc/motd"), "hello");
    assert_eq!(
        journal.query("SELECT kind FROM identity_events ORDER BY id").replace('\n', " "),
        "scanned removed "
    );
    // The card in the field is found until it is erased, or somebody says that it is lost.
    lab.run(&["check"]).exits(5).shows(&[
        &format!("no board has {UUID}, which card {CARD}"),
        "it was panda-01's, which was removed at 20",
        "`identity-lab remove --lost panda-01`",
    ]);
    lab.run(&["remove", "--lost", "--dry-run", "panda-01"]).exits(0).shows(&["its cards count as lost"]);
    lab.run(&["remove", "--lost", "panda-01"]).exits(0).shows(&[
        "panda-01  ",
        UUID,
        "its cards count as lost",
    ]);
    lab.run(&["check"]).exits(0);
    // It has turned up.
    let mut later = event(1, "scanned", CARD, UUID, "panda-01");
    later["id"] = json!("0fff0000-0000-7000-8000-000000000000");
    let_wait(lab, &[later]);
    lab.run(&["check"]).exits(5).shows(&["it was panda-01's"]);
    lab.run(&["remove", "--yes", "panda-01"]).exits(2).says(&["there is no board panda-01"]);
}

fn nobody_gets_the_uuid_of_a_board_that_was_removed(journal: Journal) {
    let lab = &journal.lab;
    let before = lab.read("boards.csv");
    lab.run(&["remove", "--yes", "--lost", "panda-01"]).exits(0).shows(&["removed panda-01"]);
    let import = |name: &str| {
        lab.write("list", format!("hostname,profile,uuid,serial,location\n{name},panda,{UUID},S1,R3\n"));
        lab.run(&["import", "list"])
    };
    import("tiger-01").exits(6).says(&[
        "list:2:16: uuid: it is that of panda-01, which was removed at 20",
        "`identity-lab rename panda-01 tiger-01`",
        "nothing was added",
    ]);
    lab.write("update", format!("hostname,uuid\npanda-02,{UUID}\n"));
    let update = lab.run(&["import", "--update", "update"]).exits(6);
    update.says(&["update:2:10: uuid: it is that of panda-01"]);
    // By hand, or by a merge: it is found.
    lab.write("boards.csv", before.replace("panda-01", "tiger-01"));
    lab.run(&["check"])
        .exits(5)
        .shows(&["boards.csv:2:16: uuid: tiger-01 has the identity of panda-01, which was removed"]);
    // The same board comes back, and may have another name then.
    lab.write("boards.csv", before.replace(&format!("panda-01,panda,{UUID},S1,R3\n"), ""));
    import("panda-01").exits(0).shows(&["added panda-01", UUID]);
    lab.run(&["check"]).exits(0);
    lab.run(&["rename", "panda-01", "tiger-01"]).exits(0);
    lab.run(&["check"]).exits(0);
    let added = lab.run(&["add", "panda-01", "--profile", "panda", "--format", "json"]).exits(0).json();
    assert!(added[0]["uuid"] != UUID, "{added}");
}

/// `stamp --again` says that the cards of before have the identity no more; whoever reads the history sees that nobody erased one.
fn what_a_person_says_of_a_board_s_cards_is_no_erasure(journal: Journal) {
    let lab = &journal.lab;
    let without = |number: u32, kind: &str| {
        let mut event = event(number, kind, CARD, UUID, "panda-01");
        event["card"] = json!(null);
        event
    };
    // Two cards without a CID, in one scan.
    let_wait(
        lab,
        &[without(1, "stamped"), without(2, "scanned"), without(3, "doubled"), without(4, "scanned")],
    );
    let found = lab.run(&["check"]).exits(5);
    assert_eq!(found.stdout.lines().count(), 1, "{}", found.stdout);
    found.shows(&[
        "uuid: two cards had the identity of panda-01 at once, on bench at 2026-11-27T03:00:00.000Z",
    ]);
    let_wait(lab, &[without(5, "replaced"), without(6, "stamped")]);
    lab.run(&["check"]).exits(0);
    lab.run(&["show", "panda-01"]).exits(0).shows(&["replaced    2026-11-27", "doubled     2026-11-27"]);
    // With another card beside it that has a CID, too.
    let_wait(lab, &[event(7, "scanned", CARD, UUID, "panda-01"), without(8, "doubled")]);
    lab.run(&["check"]).exits(5).shows(&["two cards had the identity of panda-01 at once"]);
    // That one of them was erased is seen where the slot shows its CID.
    let_wait(lab, &[event(9, "erased", CARD, UUID, "panda-01")]);
    lab.run(&["check"]).exits(0);
}

fn tables_of_an_older_program_are_brought_up_to_date(journal: Journal) {
    let lab = &journal.lab;
    for (version, older) in [
        (2, "DROP INDEX identity_events_removed"),
        (
            1,
            "DROP INDEX identity_events_removed; DROP TABLE identity_claims; DROP INDEX identity_events_stamped",
        ),
    ] {
        journal.lease(MAC, 1).exits(0);
        let count = journal.count();
        journal.query(&format!("{older}; UPDATE identity_schema SET version = {version}"));
        lab.run(&["where", "panda-01"]).exits(0).shows(&["network   seen 20"]);
        lab.run(&["check"]).exits(0);
        assert_eq!(journal.query("SELECT version FROM identity_schema").trim(), "3", "{version}");
        assert_eq!(journal.count(), count, "{version}");
        journal.query("SELECT count(*) FROM identity_claims");
    }
}

/// Git keeps both lines where one side has renamed a board and the other has changed it: one of them goes, and the board stays.
#[test]
fn of_two_lines_of_one_board_one_is_removed() {
    let lab = Lab::with_network("");
    let before = lab.read("boards.csv");
    let merged = format!("{before}tiger-01,panda,{UUID},,,R9\n");
    lab.write("boards.csv", &merged);
    let found = lab.run(&["check"]).exits(5);
    found.shows(&["boards.csv:4:16: uuid: tiger-01 has ", "`identity-lab remove` takes one of them out"]);
    let shown = lab.run(&["show", "panda-01"]).exits(6);
    shown.says(&[
        "boards.csv:4:1: this board and that in line 2 have one UUID; `identity-lab remove tiger-01`",
    ]);
    lab.run(&["remove", "--yes", "tiger-01"]).exits(0);
    assert_eq!(lab.read("boards.csv"), before);
    lab.write("boards.csv", &merged);
    lab.run(&["remove", "--yes", "panda-01"]).exits(0);
    // The identity is a board's still, under its new name.
    lab.run(&["check"]).exits(0);
    lab.run(&["show", "tiger-01"]).exits(0).shows(&["location    R9"]);
}

/// Whoever writes into the journal writes no commands into what others read.
#[test]
fn a_hostile_name_in_the_journal_is_quoted() {
    let journal = Journal::sqlite();
    let lab = &journal.lab;
    let stranger = "11111111-2222-4333-8444-555555555555";
    let name = "x'; rm -rf \u{1b}[2J\n";
    let mut card = event(1, "scanned", "c\u{1b}\nd", stranger, name);
    card["host"] = json!("h\u{7}\n");
    let_wait(lab, &[card, event(2, "removed", "", stranger, name)]);
    let found = lab.run(&["check"]).exits(5);
    assert_eq!(found.stdout.lines().count(), 1, "{:?}", found.stdout);
    let is_plain = |text: &str| text.trim_end().chars().all(|char| !char.is_control());
    assert!(is_plain(&found.stdout) && !found.stdout.contains("--lost x';"), "{:?}", found.stdout);
    let dry = lab.run(&["remove", "--lost", "--dry-run", stranger]).exits(0);
    assert!(is_plain(&dry.stdout), "{:?}", dry.stdout);
    lab.run(&["export", "html"]).exits(0);
}

/// Files in `overlays/board/` may be those of a board that had the name before.
#[test]
fn files_that_a_name_brings_along_are_said() {
    let lab = Lab::with_network("");
    lab.write("overlays/board/x/etc/ssh/ssh_host_ed25519_key.pub", "a key");
    let says = "overlays/board/x is there already: its files are those of x";
    lab.run(&["add", "x", "--profile", "panda", "--dry-run"]).exits(0).says(&[says]);
    lab.run(&["rename", "panda-01", "x"]).exits(0).says(&[says]);
}

#[test]
fn what_cannot_be_renamed_stays_as_it_is() {
    let lab = Lab::with_network("");
    for name in ["panda-01", "panda-02"] {
        lab.write(&format!("overlays/board/{name}/etc/motd"), name);
    }
    let before = lab.read("boards.csv");
    for (old, new, code, says) in [
        ("panda-03", "x", 2, "there is no board panda-03"),
        ("panda-01", "panda-01", 2, "panda-01 is its name already"),
        ("panda-01", "a_b", 2, "hostname \"a_b\" may not have"),
        ("panda-01", "10.0.0.1", 2, "resolvers take it for an address"),
        ("panda-01", "../x", 2, "hostname \"../x\""),
        ("panda-01", "Panda-02", 6, "boards.csv:3:1: hostname: panda-02 is another board's name"),
        ("panda-01", "panda-02", 6, "boards.csv:3:1: hostname: panda-02 is another board's name"),
    ] {
        lab.run(&["rename", old, new]).exits(code).says(&[says]);
        assert_eq!(lab.read("boards.csv"), before, "{new}");
    }
    // Files of a board that was removed are not taken for this one's.
    lab.write("overlays/board/x/etc/motd", "x");
    lab.run(&["rename", "panda-01", "x"]).exits(6).says(&["overlays/board/panda-01 and ", "are both there"]);
    assert_eq!(
        (lab.read("boards.csv"), lab.read("overlays/board/panda-01/etc/motd")),
        (before, "panda-01".into())
    );
    lab.write("boards.csv", format!("hostname,profile,uuid\na,panda,{UUID}\na,panda,{OTHER}\n"));
    for words in [&["rename", "a", "b"][..], &["remove", "--yes", "a"]] {
        let said = lab.run(words).exits(6);
        said.says(&[
            "this board and that in line 2 have one hostname",
            &format!("`identity-lab remove {OTHER}`"),
        ]);
    }
    let planned = lab.run(&["remove", "--dry-run", OTHER]).exits(0);
    planned.shows(&["would remove a", OTHER]);
    // Two people gave two boards one name.
    lab.run(&["remove", "--yes", OTHER]).exits(0);
    assert_eq!(lab.read("boards.csv"), format!("hostname,profile,uuid\na,panda,{UUID}\n"));
}

/// The old name or the new one, and the same command goes on.
#[test]
fn a_killed_rename_is_completed_by_the_same_command() {
    let lab = Lab::with_network("");
    lab.write("overlays/board/panda-01/etc/motd", "hello");
    let before = lab.read("boards.csv");
    let back = || {
        if lab.read("boards.csv") != before {
            lab.run(&["rename", "tiger-01", "panda-01"]).exits(0);
        }
        assert_eq!(lab.read("boards.csv"), before);
    };
    let kills = killed_before_each_change(&lab, &["rename", "panda-01", "tiger-01"], || {
        if lab.read("boards.csv") == before {
            lab.run(&["rename", "panda-01", "tiger-01"]).exits(0);
        }
        assert_eq!(lab.read("overlays/board/tiger-01/etc/motd"), "hello");
        assert!(!lab.path("overlays/board/panda-01").exists());
        lab.run(&["list"]).exits(0).shows(&["tiger-01"]);
        back();
    });
    assert!(kills.is_none_or(|kills| kills > 3), "{kills:?}");
}

#[test]
fn a_person_is_asked_before_a_board_goes() {
    let lab = Lab::with_network("");
    let before = lab.read("boards.csv");
    let ask = |answer: &str| {
        let state = [("XDG_STATE_HOME", lab.state.path().as_os_str())];
        let mut person = Session::start(program(), &["remove", "panda-0[1-2]"], lab.dir.path(), &state)?;
        person.expect("panda-01");
        person.expect("Remove these boards from the list? [y/N]");
        person.enter(answer);
        Some(person.end())
    };
    for answer in ["", "n", "no", "x"] {
        let Some((code, _)) = ask(answer) else { return };
        assert_eq!((code, lab.read("boards.csv")), (Some(6), before.clone()), "{answer}");
    }
    let Some((code, _)) = ask("y") else { return };
    assert_eq!((code, lab.read("boards.csv").lines().count()), (Some(0), 1));
}

/// Where the journal cannot be reached, that is said, and the event waits.
#[test]
fn without_the_journal_boards_are_renamed_and_removed_all_the_same() {
    let lab = Lab::with_network("");
    lab.write("journal.db", "this is no database");
    lab.run(&["rename", "panda-01", "tiger-01"])
        .exits(0)
        .says(&["which cards have the old name is not known", "1 event waits"]);
    let removed = lab.run(&["remove", "--yes", "--format", "json", "tiger-01"]).exits(0);
    let removed = removed.says(&["which cards have the identity is not known", "2 events wait"]).json();
    assert_eq!(removed[0]["cards"], json!(null));
    let waiting = fs::read_to_string(lab.queue()).expect("the queue");
    assert!(waiting.contains("renamed") && waiting.contains("removed"), "{waiting}");
    // Nothing is removed that can be noted nowhere.
    let before = lab.read("boards.csv");
    let mut command = lab.command();
    command.args(["remove", "--yes", "panda-02"]).env_remove("XDG_STATE_HOME").env_remove("HOME");
    Answer::of(&mut command).exits(7).says(&["nothing was removed"]);
    assert_eq!(lab.read("boards.csv"), before);
}
