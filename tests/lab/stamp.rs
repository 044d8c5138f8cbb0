// SPDX-License-Identifier: MIT OR Apache-2.0
//! A batch of boards gets its cards: loop devices come and go, as cards in a reader do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use identity_tests::block::is_privileged;
use identity_tests::cli::tool;
use identity_tests::lab::program;
use identity_tests::postgres::Postgres;
use identity_tests::session::Session;
use serde_json::Value;

use crate::{Lab, OTHER};

mod cards;
mod once;

/// A card reader: a loop device with a number of its own, which nobody else is given.
struct Slot(PathBuf);

impl Slot {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = 1000 + std::process::id() % 5000 * 16 + NEXT.fetch_add(1, Ordering::Relaxed);
        let slot = Self(format!("/dev/loop{number}").into());
        // The kernel makes it when it is asked for the first time.
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file().set_len(1 << 20).expect("room");
        slot.insert(file.path());
        slot.remove();
        slot
    }

    fn insert(&self, card: &Path) {
        let done = tool("losetup").arg(&self.0).arg(card).status().expect("losetup");
        assert!(done.success(), "losetup {}", self.0.display());
    }

    fn remove(&self) {
        // Whoever reads it just now is waited for.
        let start = Instant::now();
        while !tool("losetup").arg("--detach").arg(&self.0).status().expect("losetup").success() {
            assert!(start.elapsed() < Duration::from_secs(30), "{} stays", self.0.display());
            sleep(Duration::from_millis(50));
        }
        while fs::read_to_string(
            Path::new("/sys/block").join(self.0.file_name().expect("a node")).join("size"),
        )
        .is_ok_and(|size| size.trim() != "0")
        {
            assert!(start.elapsed() < Duration::from_secs(30), "{} stays", self.0.display());
            sleep(Duration::from_millis(20));
        }
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let _ = tool("losetup").arg("--detach").arg(&self.0).stderr(Stdio::null()).status();
        // The kernel keeps the device, and whoever looks for cards looks at each. This is LOOP_CTL_REMOVE of loop(4).
        let script = "import fcntl, sys; fcntl.ioctl(open('/dev/loop-control'), 0x4C81, int(sys.argv[1]))";
        let number = self.name().trim_start_matches("/dev/loop");
        let _ = tool("python3").args(["-c", script, number]).stderr(Stdio::null()).status();
    }
}

/// A lab `desk` with boards `panda-01` and so on.
fn lab(count: usize) -> Lab {
    let lab = Lab::new();
    lab.write("lab.toml", "name = \"desk\"\n");
    lab.run(&["add", &format!("panda-[01-{count:02}]"), "--profile", "panda"]).exits(0);
    lab
}

/// A card with one partition at `start`.
fn card(lab: &Lab, name: &str, start: u32) -> PathBuf {
    let path = lab.path(name);
    let file = fs::File::create(&path).expect("room");
    file.set_len(16 << 20).expect("room");
    let mut sfdisk = tool("sfdisk").arg("--quiet").arg(&path).stdin(Stdio::piped()).spawn().expect("sfdisk");
    let table = format!("label: dos\nstart={start}\n");
    std::io::Write::write_all(&mut sfdisk.stdin.take().expect("piped"), table.as_bytes())
        .expect("sfdisk reads");
    assert!(sfdisk.wait().expect("sfdisk").success());
    path
}

fn read(card: &Path) -> Value {
    let read = identity_tests::cli::Identity::new("read --format json").arg(card).run();
    serde_json::from_str(&read.stdout).unwrap_or_else(|error| panic!("{error}: {}", read.stdout))
}

fn hostname(card: &Path) -> String {
    read(card)["hostname"].as_str().unwrap_or("none").to_owned()
}

fn events(lab: &Lab, board: &str) -> Vec<String> {
    let shown = lab.run(&["show", board, "--format", "json"]).exits(0).json();
    let events = shown["events"].as_array().expect("a list").clone();
    events.iter().map(|event| event["kind"].as_str().expect("a text").to_owned()).collect()
}

fn session(lab: &Lab, words: &[&str]) -> Option<Session> {
    Session::start(program(), words, lab.dir.path(), &[("XDG_STATE_HOME", lab.state.path().as_os_str())])
}

#[test]
fn a_person_stamps_card_after_card_and_goes_on_another_day() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(5), Slot::new());
    let words = ["stamp", "panda-[01-05]", slot.name()];
    let Some(mut person) = session(&lab, &words) else { return };
    let cards: Vec<_> = (1..=5).map(|number| card(&lab, &format!("{number}.img"), 8192)).collect();

    person.expect(&format!("board 1 of 5: panda-01; insert a card into {}", slot.name()));
    slot.insert(&cards[0]);
    person.expect("16 MiB");
    person.expect("copies go to LBA 52 and 6607");
    person.expect("board 1 of 5: panda-01; Enter writes its card");
    person.enter("what?");
    person.expect("Enter writes its card");
    assert_eq!(read(&cards[0])["state"], "blank");
    person.enter("");
    person.expect(&format!("stamped panda-01 ({})", slot.name()));
    person.expect(&format!("take the card out of {}; the next board is panda-02", slot.name()));
    slot.remove();

    // The same card again: nothing is done twice.
    person.expect("board 2 of 5: panda-02; insert a card");
    let before = fs::read(&cards[0]).expect("a card");
    slot.insert(&cards[0]);
    person.expect(&format!("done panda-01 ({}): this is its card already", slot.name()));
    slot.remove();
    assert!(before == fs::read(&cards[0]).expect("a card"));

    // A card of somebody else, and one without room.
    let wrong = card(&lab, "wrong.img", 8192);
    identity_tests::cli::Identity::new(format!("stamp --uuid {OTHER} --profile tiger"))
        .arg(&wrong)
        .run()
        .exits(0);
    let full = card(&lab, "full.img", 1);
    for (card, says) in [(&wrong, format!("has the identity {OTHER}")), (&full, "no slot is free".to_owned())]
    {
        let before = fs::read(card).expect("a card");
        person.expect("board 2 of 5: panda-02; insert a card");
        slot.insert(card);
        person.expect("refused");
        person.expect(&says);
        person.expect("take another card");
        slot.remove();
        assert!(before == fs::read(card).expect("a card"));
    }

    // A card that is left alone, and the end for today.
    person.expect("board 2 of 5: panda-02; insert a card");
    slot.insert(&cards[1]);
    person.expect("Enter writes its card");
    person.enter("s");
    slot.remove();
    assert_eq!(read(&cards[1])["state"], "blank");
    person.expect("board 2 of 5: panda-02; insert a card");
    slot.insert(&cards[1]);
    person.expect("Enter writes its card");
    person.enter("");
    person.expect("stamped panda-02");
    slot.remove();
    person.expect("board 3 of 5: panda-03; insert a card");
    slot.insert(&cards[2]);
    person.expect("Enter writes its card");
    person.enter("q");
    let (code, shown) = person.end();
    assert_eq!(code, Some(5), "{shown}");
    assert!(
        shown.contains(
            "2 of 5 boards are done, 3 left: panda-03, panda-04, panda-05; the same command goes on"
        ),
        "{shown}"
    );
    assert_eq!(read(&cards[2])["state"], "blank");

    // Another day, with the card still in the reader; Ctrl-C ends it where a card is awaited.
    let Some(mut person) = session(&lab, &words) else { return };
    person.expect("panda-01: stamped 20");
    person.expect("left out, --again takes it in");
    person.expect("panda-02: stamped 20");
    person.expect("board 3 of 5: panda-03; Enter writes its card");
    person.enter("");
    person.expect("stamped panda-03");
    slot.remove();
    person.expect("board 4 of 5: panda-04; insert a card");
    person.press("\u{3}");
    let (code, shown) = person.end();
    assert_eq!(code, Some(130), "{shown}");

    // The rest without a person.
    let mut rest = lab
        .command()
        .args(["stamp", "--yes", slot.name()])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    for (number, card) in cards.iter().enumerate().skip(3) {
        slot.insert(card);
        wait_for(|| events(&lab, &format!("panda-{:02}", number + 1)).contains(&"stamped".to_owned()));
        slot.remove();
    }
    wait_for(|| rest.try_wait().expect("it runs").is_some());
    assert_eq!(rest.wait().expect("it ends").code(), Some(0));
    for (number, card) in cards.iter().enumerate() {
        let name = format!("panda-{:02}", number + 1);
        assert_eq!(hostname(card), name);
        assert_eq!(events(&lab, &name).iter().filter(|kind| *kind == "stamped").count(), 1, "{name}");
    }
    lab.run(&["stamp", "--yes", slot.name()]).exits(0).says(&["panda-05: stamped", "all 5 boards are done"]);
}

fn wait_for(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not come");
        sleep(Duration::from_millis(50));
    }
}

/// Two readers, the database's server stopped in the middle, the program killed in the middle: each board has one card, each
/// card one board, and the journal has each once.
#[test]
fn twenty_boards_in_two_readers_with_a_server_that_goes_away() {
    if !is_privileged() {
        return;
    }
    let mut server = if cfg!(feature = "postgres") { Postgres::start() } else { None };
    let (lab, slots) = (lab(20), [Slot::new(), Slot::new()]);
    if let Some(server) = &server {
        lab.write("lab.toml", format!("name = \"desk\"\njournal = \"{}\"\n", server.address()));
    }
    let cards: Vec<_> = (1..=20).map(|number| card(&lab, &format!("{number}.img"), 8192)).collect();
    let devices = format!("{},{}", slots[0].name(), slots[1].name());
    let start = || {
        let mut command = lab.command();
        // The server may be away when it starts again.
        command.args(["stamp", "--yes", "--alone", "--format", "json", "--devices", &devices]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    };
    let mut batch = start();
    for (round, pair) in cards.chunks(2).enumerate() {
        match (round, &mut server) {
            (3, Some(server)) => server.stop(),
            (6, Some(server)) => server.go_on(),
            _ => (),
        }
        if round == 5 {
            batch.kill().expect("it runs");
            batch.wait().expect("it ran");
            batch = start();
        }
        for (slot, card) in slots.iter().zip(pair) {
            slot.insert(card);
        }
        for card in pair {
            // The identity, and a moment for the note of it, which the next round would else take for a removal.
            wait_for(|| read(card)["state"] == "valid");
        }
        wait_for(|| {
            let noted = waiting_and_noted(&lab, server.as_ref());
            pair.iter().all(|card| noted.contains(read(card)["uuid"].as_str().expect("a UUID")))
        });
        for slot in &slots {
            slot.remove();
        }
    }
    wait_for(|| batch.try_wait().expect("it runs").is_some());
    assert_eq!(batch.wait().expect("it ends").code(), Some(0));
    let names: BTreeSet<_> = cards.iter().map(|card| hostname(card)).collect();
    assert_eq!(names, (1..=20).map(|number| format!("panda-{number:02}")).collect());
    for name in &names {
        assert_eq!(events(&lab, name), ["stamped"], "{name}");
    }
    lab.run(&["check"]).exits(0);
}

/// The UUIDs that the journal has, or that wait for it.
fn waiting_and_noted(lab: &Lab, server: Option<&Postgres>) -> String {
    let waiting = fs::read_to_string(lab.queue()).unwrap_or_default();
    let query = "SELECT uuid FROM identity_events";
    waiting
        + &match server {
            Some(server) => server.try_query(query).unwrap_or_default(),
            None => {
                let output = lab.command_of("sqlite3").args(["journal.db", query]).output().expect("sqlite3");
                String::from_utf8_lossy(&output.stdout).into_owned()
            }
        }
}

#[test]
fn image_and_identity_come_in_one_go() {
    if !is_privileged() {
        return;
    }
    let (lab, slot) = (lab(2), Slot::new());
    let image = card(&lab, "os.img", 8192);
    let mut bytes = fs::read(&image).expect("an image");
    bytes[8192 * 512..8192 * 512 + 5].copy_from_slice(b"hello");
    fs::write(&image, &bytes).expect("room");
    let old = card(&lab, "old.img", 2048);
    let words = ["stamp", "--flash", "os.img", "panda-01", slot.name()];
    let Some(mut person) = session(&lab, &words) else { return };
    slot.insert(&old);
    person.expect("everything on it is overwritten by os.img");
    person.expect("board 1 of 1: panda-01; Enter writes its card");
    person.enter("");
    person.expect("flashed panda-01");
    let (code, shown) = person.end();
    assert_eq!(code, Some(0), "{shown}");
    slot.remove();
    let mut written = fs::read(&old).expect("a card");
    assert_eq!(hostname(&old), "panda-01");
    for lba in [52, 6607] {
        written[lba * 512..(lba + 1) * 512].fill(0);
    }
    assert!(written == bytes);
    let shown = lab.run(&["show", "panda-01", "--format", "json"]).exits(0).json();
    let flashed = shown["events"].as_array().expect("a list").iter().find(|event| event["kind"] == "flashed");
    let sha256 = tool("sha256sum").arg(&image).output().expect("sha256sum").stdout;
    let image = flashed.expect("an event")["image"].as_str().expect("a sum").to_owned();
    assert!(String::from_utf8(sha256).expect("text").starts_with(&image));
}

#[test]
fn nothing_is_written_without_a_yes_or_a_reader() {
    let lab = lab(2);
    lab.run(&["stamp", "panda-01", "/dev/null"])
        .exits(6)
        .says(&["/dev/null is no card reader and no disk of this machine"]);
    lab.run(&["stamp", "panda-09", "/dev/loop0"]).exits(2).says(&["there is no board panda-09"]);
    lab.run(&["stamp", "/dev/none"]).exits(7).says(&["cannot open /dev/none: no such file"]);
    if !is_privileged() {
        return;
    }
    let slot = Slot::new();
    lab.run(&["stamp", "panda-01", slot.name()]).exits(6).says(&["nobody to ask", "--yes"]);
    let devices = format!("{0},{0}", slot.name());
    lab.run(&["stamp", "--devices", &devices]).exits(2).says(&["is named twice"]);
    lab.run(&["stamp", "--dry-run", slot.name()]).exits(0).shows(&[
        "would stamp panda-01",
        "would stamp panda-02",
        slot.name(),
    ]);
}
