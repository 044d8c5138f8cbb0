// SPDX-License-Identifier: MIT OR Apache-2.0
//! The journal, in SQLite and in PostgreSQL: `scan`, `show`, `where`, and what `check` takes from it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use identity_tests::block::{Loop, is_root, skipped};
use identity_tests::lab::program;
use identity_tests::machine::Machine;
use identity_tests::postgres::Postgres;
use serde_json::{Value, json};

use crate::{Answer, Lab, OTHER, UUID};

/// The derived address of [`UUID`]'s interface 0; a test compares it with what `list` says.
pub(super) const MAC: &str = "ea:41:68:40:f4:c0";

/// A database with a lab.
pub(super) struct Journal {
    pub lab: Lab,
    server: Option<Postgres>,
}

impl Journal {
    /// Two boards, and a journal in SQLite.
    pub fn sqlite() -> Self {
        Self { lab: lab(""), server: None }
    }

    /// The same in PostgreSQL; `None`, and the test is skipped, where that is not to be had.
    #[track_caller]
    pub fn postgres() -> Option<Self> {
        if !cfg!(feature = "postgres") {
            skipped(
                "it is compiled without --features identity-tests/postgres,sd-card-identity-lab/postgres",
            );
            return None;
        }
        let server = Postgres::start()?;
        Some(Self { lab: lab(&format!("journal = \"{}\"\n", server.address())), server: Some(server) })
    }

    /// The server.
    fn server(&mut self) -> &mut Postgres {
        self.server.as_mut().expect("PostgreSQL")
    }

    /// What a query gives, a line for each row.
    pub fn query(&self, query: &str) -> String {
        match &self.server {
            Some(server) => server.query(query),
            None => {
                let mut sqlite = self.lab.command_of("sqlite3");
                let output = sqlite.args(["journal.db", query]).output().expect("sqlite3 is installed");
                assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8(output.stdout).expect("UTF-8")
            }
        }
    }

    pub fn count(&self) -> usize {
        self.query("SELECT count(*) FROM identity_events").trim().parse().expect("a number")
    }

    /// Notes that a board has an address, until this time.
    pub fn lease(&self, mac: &str, expires: u64) -> crate::Answer {
        self.lab.write("leases", format!("{expires} {mac} 192.168.7.130 * *\n"));
        self.lab.run(&["scan", "--leases", "leases"])
    }
}

fn lab(journal: &str) -> Lab {
    let lab = Lab::new();
    lab.write("lab.toml", format!("name = \"desk\"\n{journal}"));
    lab.write(
        "boards.csv",
        format!(
            "hostname,profile,uuid,serial,location\npanda-01,panda,{UUID},S1,R3\npanda-02,panda,{OTHER},,\n"
        ),
    );
    lab
}

/// An event of a card, as it waits in the queue.
pub(super) fn event(number: u32, kind: &str, card: &str, uuid: &str, hostname: &str) -> Value {
    json!({
        "id": format!("0199{number:04x}-0000-7000-8000-000000000000"), "at": "2026-11-27T03:00:00.000Z", "kind": kind,
        "uuid": uuid, "hostname": hostname, "profile": "panda", "generation": 1,
        "fields": (hostname == "panda-01").then_some("{\"serial\":\"S1\"}"), "state": "valid", "card": card,
        "host": "bench", "person": "anna",
    })
}

/// Lets events wait, as a host without its journal has left them.
pub(super) fn let_wait(lab: &Lab, events: &[Value]) {
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let queue = lab.queue();
    fs::create_dir_all(queue.parent().expect("a directory")).expect("room");
    fs::write(queue, lines).expect("room");
}

/// The same promise with each database.
macro_rules! with_each_database {
    ($($(#[$meta:meta])* $name:ident => $test:expr;)*) => {
        mod sqlite {
            $(
                #[test]
                fn $name() {
                    $test($crate::journal::Journal::sqlite());
                }
            )*
        }
        mod postgres {
            $(
                #[test]
                fn $name() {
                    if let Some(journal) = $crate::journal::Journal::postgres() { $test(journal) }
                }
            )*
        }
    };
}

pub(super) use with_each_database;

with_each_database! {
    a_board_that_dhcp_has_seen_is_found => super::a_board_that_dhcp_has_seen_is_found;
    a_lease_is_noted_once_until_it_is_renewed => super::a_lease_is_noted_once_until_it_is_renewed;
    hosts_that_note_at_once_lose_nothing => super::hosts_that_note_at_once_lose_nothing;
    what_waited_is_noted_once_in_its_order => super::what_waited_is_noted_once_in_its_order;
    cards_that_are_not_as_the_list_says_are_found => super::cards_that_are_not_as_the_list_says_are_found;
    tables_of_a_newer_program_are_refused => super::tables_of_a_newer_program_are_refused;
    what_became_of_a_card_meanwhile_is_noted_once => super::what_became_of_a_card_meanwhile_is_noted_once;
    a_scanned_card_is_noted_and_judged => super::a_scanned_card_is_noted_and_judged;
}

fn a_board_that_dhcp_has_seen_is_found(journal: Journal) {
    let lab = &journal.lab;
    let list = lab.run(&["list", "--format", "json"]).exits(0).json();
    assert_eq!(list[0]["macs"][0], MAC);
    lab.run(&["where", "panda-01"]).exits(0).shows(&["location  R3", "never scanned", "network   never; "]);
    journal.lease(MAC, 1_900_000_000).exits(0).shows(&["192.168.7.130  ", MAC, "panda-01"]);
    lab.run(&["where", "panda-01"]).exits(0).shows(&["network   seen 20", "192.168.7.130"]);
    let seen = &lab.run(&["where", "panda-01", "--format", "json"]).exits(0).json()["seen"];
    assert_eq!(
        (&seen["ip"], &seen["uuid"], &seen["kind"]),
        (&json!("192.168.7.130"), &json!(UUID), &json!("seen"))
    );
    // By whatever names the board.
    for name in [UUID, "S1"] {
        let shown = lab.run(&["show", name, "--format", "json"]).exits(0).json();
        assert_eq!((&shown["hostname"], &shown["events"][0]["kind"]), (&json!("panda-01"), &json!("seen")));
    }
    lab.run(&["where", MAC]).exits(0).shows(&["hostname  panda-01\nlocation  R3\n"]);
    lab.run(&["where", "panda-02"]).exits(0).shows(&["location  not noted", "network   never; "]);
    lab.run(&["where", "panda-03"]).exits(2).says(&["there is no board panda-03"]);
    // Who is not in the lab is shown, and is no event.
    journal.lease("02:00:00:00:00:99", 1).exits(0).shows(&["02:00:00:00:00:99  -"]);
    assert_eq!(journal.count(), 1);
}

fn a_lease_is_noted_once_until_it_is_renewed(journal: Journal) {
    for (expires, count) in [(1, 1), (1, 1), (2, 2), (2, 2)] {
        journal.lease(MAC, expires).exits(0);
        assert_eq!(journal.count(), count);
    }
}

fn hosts_that_note_at_once_lose_nothing(journal: Journal) {
    let lab = &journal.lab;
    // The first ones make the tables; each host has a queue of its own.
    let running: Vec<_> = (0..12)
        .map(|number| {
            let leases = format!("leases-{number}");
            lab.write(&leases, format!("{number} {MAC} 192.168.7.1{number} * *\n"));
            let mut command = lab.command();
            command
                .args(["scan", "--leases", &leases])
                .env("XDG_STATE_HOME", lab.path(&format!("state-{number}")));
            command.stdout(std::process::Stdio::null()).spawn().expect("it starts")
        })
        .collect();
    for mut one in running {
        assert!(one.wait().expect("it ran").success());
    }
    assert_eq!(journal.count(), 12);
}

fn what_waited_is_noted_once_in_its_order(journal: Journal) {
    let lab = &journal.lab;
    let card = "035344534c33324780aabbccdd015500";
    let mut events: Vec<_> = (0..50).map(|number| event(number, "scanned", card, UUID, "panda-01")).collect();
    // A later one that comes earlier.
    events.rotate_left(1);
    let_wait(lab, &events);
    lab.run(&["where", "panda-01"]).exits(0).says(&["50 events that waited are in the journal now"]);
    assert_eq!(fs::read(lab.queue()).expect("it stays"), b"");
    // As if the host had lost power before it could empty the queue.
    let_wait(lab, &events[..20]);
    lab.run(&["check"]).exits(0);
    assert_eq!(journal.count(), 50);
    let last = journal.query("SELECT event FROM identity_cards");
    assert_eq!(last.trim(), "01990031-0000-7000-8000-000000000000");
    // The card leads to its board.
    lab.run(&["show", &card.to_uppercase()]).exits(0).shows(&["hostname    panda-01"]);
}

fn cards_that_are_not_as_the_list_says_are_found(journal: Journal) {
    let lab = &journal.lab;
    let stranger = "11111111-2222-4333-8444-555555555555";
    let_wait(
        lab,
        &[
            event(1, "scanned", "aa", UUID, "panda-01"),
            event(2, "scanned", "bb", UUID, "panda-01"),
            event(3, "scanned", "cc", OTHER, "panda-99"),
            event(4, "scanned", "dd", stranger, "x"),
        ],
    );
    let found = lab.run(&["check"]).exits(5);
    let lines: Vec<_> = found.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(
        lines[0].starts_with(&format!(
            "boards.csv:1: uuid: no board has {stranger}, which card dd (scanned on bench"
        )),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].starts_with(&format!(
            "boards.csv:2:16: uuid: {UUID} is on several cards, one is a copy: card aa"
        )),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].starts_with(
            "boards.csv:3:1: hostname: the list has \"panda-02\", the card \"panda-99\": card cc"
        ),
        "{}",
        lines[2]
    );
    // An identity that was given to a new card has left the old ones; what is seen there again is a copy.
    let_wait(
        lab,
        &[event(5, "stamped", "ee", UUID, "panda-01"), event(6, "scanned", "dd", OTHER, "panda-02")],
    );
    let found = lab.run(&["check"]).exits(5);
    assert!(!found.stdout.contains(" aa ") && found.stdout.contains(" cc "), "{}", found.stdout);
    let_wait(
        lab,
        &[event(7, "scanned", "aa", UUID, "panda-01"), event(8, "scanned", "cc", UUID, "panda-01")],
    );
    let found = lab.run(&["check", "--format", "json"]).exits(5).json();
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    let message = found[0]["message"].as_str().expect("a text");
    assert!(["card aa", "card cc", "card ee"].iter().all(|card| message.contains(card)), "{message}");
}

fn tables_of_a_newer_program_are_refused(journal: Journal) {
    journal.lease(MAC, 1).exits(0);
    journal.query("UPDATE identity_schema SET version = 4");
    journal
        .lab
        .run(&["where", "panda-01"])
        .exits(6)
        .says(&["its tables have version 4", "install a newer identity-lab"]);
    // What happens meanwhile is not lost.
    journal.lease(MAC, 2).exits(0).says(&["1 event waits in ", "desk.queue"]);
    journal.query("UPDATE identity_schema SET version = 3");
    journal.lab.run(&["where", "panda-01"]).exits(0).says(&["1 event that waited is in the journal now"]);
    assert_eq!(journal.count(), 2);
}

fn a_scanned_card_is_noted_and_judged(journal: Journal) {
    let lab = &journal.lab;
    for (name, board) in [("one.img", "panda-01"), ("two.img", "panda-02")] {
        lab.run(&["card", board, "-o", name]).exits(0);
    }
    fs::copy(lab.path("one.img"), lab.path("copy.img")).expect("room");
    let attached = |name: &str| Loop::attach_whole(&lab.path(name), &[]);
    let (Some(one), Some(copy), Some(two)) = (attached("one.img"), attached("copy.img"), attached("two.img"))
    else {
        return;
    };
    lab.run(&["scan", &one.path().to_string_lossy()]).exits(0).shows(&["valid", UUID, "panda-01  panda-01"]);
    lab.run(&["where", "panda-01"]).exits(0).shows(&[
        "card      scanned 20",
        "generation 1",
        &format!("in {}", one.name()),
    ]);
    // A copy beside it.
    let doubled = lab.run(&["scan", &one.path().to_string_lossy(), &copy.path().to_string_lossy()]).exits(5);
    doubled.shows(&["has the identity of", "one is a copy", "`identity-lab stamp --again panda-01`"]);
    // Nobody can tell later which of them is seen: it stands until a person says so.
    let both = "uuid: two cards had the identity of panda-01 at once, on ";
    lab.run(&["check"]).exits(5).shows(&["boards.csv:2:16: ", both, "`identity-lab stamp --again panda-01`"]);
    lab.run(&["scan", &one.path().to_string_lossy()]).exits(0);
    lab.run(&["check"]).exits(5).shows(&[both]);
    // The list has changed; the card has not.
    lab.write("boards.csv", format!("hostname,profile,uuid,var.slot\npanda-02,panda,{OTHER},7\n"));
    lab.run(&["scan", &two.path().to_string_lossy()])
        .exits(5)
        .shows(&["boards.csv:2:", "var.slot: the list has \"7\", the card none"]);
    let stranger = lab.run(&["scan", "--format", "json", &one.path().to_string_lossy()]).exits(5).json();
    assert_eq!((&stranger["cards"][0]["uuid"], &stranger["cards"][0]["board"]), (&json!(UUID), &Value::Null));
    assert_eq!(journal.count(), 6);
    // What is no card here.
    lab.run(&["scan", "one.img"]).exits(6).says(&["one.img is no card and no disk of this machine"]);
    lab.run(&["scan", "none"]).exits(7).says(&["cannot open none: no such file"]);
}

/// Who binds or erases a card knows of no lab; the next scan sees it, where the slot shows the CID.
fn what_became_of_a_card_meanwhile_is_noted_once(journal: Journal) {
    let lab = &journal.lab;
    lab.run(&["card", "panda-01", "-o", "one.img"]).exits(0);
    let Some(card) = Loop::attach_whole(&lab.path("one.img"), &[]) else { return };
    let machine =
        Machine::new().card("mmcblk0", &card, &[("device/cid", "035344534C33324780AABBCCDD0155E7")]);
    let scan = || {
        let mut there = machine.enter();
        there.arg(program()).arg("scan").current_dir(lab.dir.path()).env("XDG_STATE_HOME", lab.state.path());
        Answer::of(&mut there).exits(0)
    };
    let kinds = || journal.query("SELECT kind FROM identity_events ORDER BY id").replace('\n', " ");
    scan();
    assert_eq!(kinds(), "scanned ");
    machine.identity("bind /dev/mmcblk0").run().exits(0);
    for _ in 0..2 {
        scan();
    }
    assert_eq!(kinds(), "scanned bound scanned scanned ");
    lab.run(&["where", "panda-01"]).exits(0).shows(&["035344534c33324780aabbccdd015500"]);
    machine.identity("erase --force /dev/mmcblk0").run().exits(0);
    for _ in 0..2 {
        scan();
    }
    assert_eq!(kinds(), "scanned bound scanned scanned erased scanned scanned ");
    lab.run(&["where", "panda-01"]).exits(0).shows(&["card      erased 20"]);
    lab.run(&["check"]).exits(0);
}

/// A server that is stopped again and again, and programs that are killed: every event is there, and once.
#[test]
fn a_server_that_is_away_loses_and_doubles_nothing() {
    let Some(mut journal) = Journal::postgres() else { return };
    journal.lease(MAC, 1).exits(0);
    for round in 0..3 {
        journal.server().stop();
        for number in 0..3 {
            let answer = journal.lease(MAC, 100 + 10 * round + number).exits(0);
            answer.says(&[
                "cannot connect",
                &format!("{} ", number + 1),
                "in ",
                "desk.queue until the journal can be reached",
            ]);
        }
        journal.lab.run(&["where", "panda-01"]).exits(7).shows(&["location"]).says(&["cannot connect"]);
        let checked = journal.lab.run(&["check"]).exits(7);
        checked.says(&["what cards have was not checked"]);
        journal.server().go_on();
        journal
            .lease(MAC, 100 + 10 * round + 5)
            .exits(0)
            .says(&["3 events that waited are in the journal now"]);
    }
    assert_eq!(journal.count(), 1 + 3 * 4);
    assert_eq!(journal.query("SELECT count(DISTINCT id) FROM identity_events").trim(), "13");
}

/// Killed before each call that changes a file: an event is in the journal, or waits, and is never there twice.
#[test]
fn a_killed_program_loses_no_event_that_waited() {
    let journal = Journal::sqlite();
    let lab = &journal.lab;
    let events: Vec<_> = (0..5).map(|number| event(number, "scanned", "aa", UUID, "panda-01")).collect();
    let wait = || {
        let _ = fs::remove_file(lab.path("journal.db"));
        let _ = fs::remove_file(lab.path("journal.db-wal"));
        let _ = fs::remove_file(lab.path("journal.db-shm"));
        let_wait(lab, &events);
    };
    wait();
    let kills = crate::killed_before_each_change(lab, &["where", "panda-01"], || {
        lab.run(&["where", "panda-01"]).exits(0);
        assert_eq!(journal.count(), 5);
        wait();
    });
    assert!(kills.is_none_or(|kills| kills > 3), "{kills:?}");
}

#[test]
fn a_journal_that_root_makes_is_the_owner_s() {
    if !is_root() {
        return skipped("it needs root");
    }
    let journal = Journal::sqlite();
    for name in ["", "lab.toml"] {
        chown(journal.lab.path(name), Some(1234), Some(1235)).expect("root");
    }
    journal.lease(MAC, 1).exits(0);
    let made = fs::metadata(journal.lab.path("journal.db")).expect("it is there");
    assert_eq!((made.uid(), made.gid(), made.permissions().mode() & 0o133), (1234, 1235, 0));
}

#[test]
fn where_nothing_was_noted_reading_makes_no_file() {
    let journal = Journal::sqlite();
    for words in [&["check"][..], &["where", "panda-01"], &["show", "panda-01"], &["list"]] {
        journal.lab.run(words).exits(0);
    }
    assert!(!journal.lab.path("journal.db").exists() && !journal.lab.queue().exists());
}

#[test]
fn a_journal_is_no_password_and_no_other_database() {
    let lab = Lab::new();
    for (journal, says) in [
        (
            "postgres://me:secret@db/lab",
            "lab.toml:2: journal: a password in a file under git; put it into ~/.pgpass",
        ),
        ("mysql://db/lab", "lab.toml:2: journal: \"mysql://db/lab\" is neither"),
    ] {
        lab.write("lab.toml", format!("name = \"desk\"\njournal = \"{journal}\"\n"));
        lab.run(&["list"]).exits(4).says(&[says]);
    }
}

/// A queue that is damaged stays as it is, and nothing else is lost.
#[test]
fn a_line_of_the_queue_that_is_no_event_is_named() {
    let journal = Journal::sqlite();
    let lab = &journal.lab;
    let_wait(lab, &[json!({ "kind": "scanned" })]);
    let before = fs::read(lab.queue()).expect("it is there");
    lab.run(&["where", "panda-01"]).exits(4).shows(&["location"]).says(&["desk.queue:1: this is no event"]);
    journal.lease(MAC, 1).exits(4).says(&["desk.queue:1: this is no event"]);
    assert_eq!(fs::read(lab.queue()).expect("it stays"), before);
}

/// Whoever may only read a lab is told what its journal knows: another user, a file system that is mounted so.
#[test]
fn a_journal_that_may_only_be_read_is_read() {
    let journal = Journal::sqlite();
    journal.lease(MAC, 1_900_000_000).exits(0);
    let lab = &journal.lab;
    let mut there = lab.command_of("unshare");
    there.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    there.arg("mount --bind . . && mount -o remount,bind,ro . && cd \"$PWD\" && exec \"$@\"");
    there.arg("sh").arg(program()).args(["where", "panda-01"]);
    let answer = Answer::of(&mut there);
    if answer.output.status.code() == Some(1) {
        skipped("this machine gives no namespaces of users");
        return;
    }
    answer.exits(0).shows(&["network   seen 20"]);
    let mut check = lab.command_of("unshare");
    check.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    check.arg("mount --bind . . && mount -o remount,bind,ro . && cd \"$PWD\" && exec \"$@\"");
    Answer::of(check.arg("sh").arg(program()).arg("check")).exits(0);
}
