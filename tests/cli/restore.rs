// SPDX-License-Identifier: MIT OR Apache-2.0
//! An identity comes back from a record when a person says so, to the card that had it. `records` says when there is one.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use identity_tests::cli::{Identity, Outcome, program};
use identity_tests::image::Image;
use serde_json::Value;
use tempfile::TempDir;

use crate::UUID;

/// A user's place for records, and a directory to work in.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        fs::create_dir(host.path("work")).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn identity(&self, words: &str) -> Identity {
        let mut identity = Identity::new(words);
        identity.command().env("XDG_STATE_HOME", self.path("state")).current_dir(self.path("work"));
        identity
    }

    fn run(&self, words: &str, card: &Image) -> Outcome {
        self.identity(words).arg(card.path()).run()
    }

    fn records(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("state/identity"));
        let mut records: Vec<_> =
            entries.map_or(vec![], |entries| entries.map(|entry| entry.unwrap().path()).collect());
        records.sort();
        records
    }

    /// The one record of an identity that was erased from this card.
    fn record_of(&self, card: &Image) -> PathBuf {
        self.run("erase", card).exits(0);
        let mut records = self.records();
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    fn restore(&self, options: &str, file: &Path, card: &Path) -> Outcome {
        self.identity(&format!("stamp {options} --restore")).arg(file).arg(card).run()
    }
}

fn card() -> Image {
    Image::stamped(format!(
        "--profile panda --uuid {UUID} --hostname h --serial S --mac 1=02:00:5e:10:00:01 --set a=1"
    ))
}

#[test]
fn what_was_erased_comes_back_with_all_its_values() {
    let (host, card) = (Host::new(), card());
    let before = card.run("read --format json").json();
    let record = host.record_of(&card);
    assert_eq!(record.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let restored = host.restore("", &record, card.path()).exits(0).is_quiet();
    assert!(restored.stdout.contains(UUID));
    let mut after = card.run("read --format json").json();
    assert_eq!(after["generation"], 2);
    after["generation"] = before["generation"].clone();
    assert_eq!(after, before);
    assert!(host.records().contains(&record), "the undo can be repeated");
}

fn uuid_in(record: &Path) -> String {
    let record: Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    record["uuid"].as_str().unwrap().to_owned()
}

#[test]
fn a_record_goes_to_another_card_by_consent_alone() {
    let (host, first) = (Host::new(), card());
    let record = host.record_of(&first);
    let second = Image::mbr();
    second.unchanged_by(|| host.restore("", &record, second.path())).exits(6).says_one_sentence().says(&[
        "is the record of",
        "two boards share one identity",
        "--force",
    ]);
    let larger = Image::absent();
    let path = larger.path().to_owned();
    larger.unchanged_by(|| host.restore("--create 64M", &record, &path)).exits(6).says(&["--force"]);
    host.restore("--create 64M --force", &record, &path).exits(0).says(&["must not be used again"]);
    assert_eq!(larger.run("read --field uuid").exits(0).stdout.trim(), UUID);
}

/// Twenty cards go through one reader, or one path: nothing tells that the second is not the first.
#[test]
fn what_was_given_back_is_given_to_no_second_card_without_a_word() {
    let (host, card) = (Host::new(), card());
    let document = host.path("work/backup.json");
    fs::write(&document, card.run("read --format json").stdout).unwrap();
    let blank = Image::mbr().bytes();
    let insert_blank_card = || fs::write(card.path(), &blank).unwrap();
    let record = host.record_of(&card);
    let image = host.path("work/os.img");
    fs::write(&image, &blank).unwrap();
    let flash = |file: &Path| host.identity("flash --restore").arg(file).arg(&image).arg(card.path()).run();
    for (first, run) in [(&record, 0), (&document, 1)] {
        insert_blank_card();
        // A document is asked for at once: the record has given the same identity before.
        let outcome = host.restore(if run == 0 { "" } else { "--force" }, first, card.path());
        outcome.exits(0);
        for file in [&record, &document] {
            insert_blank_card();
            let refused = card.unchanged_by(|| host.restore("", file, card.path())).exits(6);
            let shown = card.path().display().to_string();
            refused.says_one_sentence().says(&[UUID, "was given to", &shown, "two boards share", "--force"]);
            card.unchanged_by(|| flash(file)).exits(6).says(&[UUID, "was given to", "--force"]);
        }
    }
    insert_blank_card();
    host.identity("flash --force --restore").arg(&document).arg(&image).arg(card.path()).run().exits(0);
    assert_eq!(card.run("read --field uuid").exits(0).stdout.trim(), UUID);

    // It is erased again, and has a newer record: that one gives it back, once.
    host.run("erase", &card).exits(0);
    let newer =
        host.records().into_iter().rfind(|path| path.display().to_string().contains("retired-")).unwrap();
    assert_ne!(newer, record);
    card.unchanged_by(|| host.restore("", &record, card.path())).exits(6);
    host.restore("", &newer, card.path()).exits(0).is_quiet();
    insert_blank_card();
    card.unchanged_by(|| host.restore("", &newer, card.path())).exits(6);

    // What cannot be read is no leave to give it.
    let note = host.records().into_iter().find(|path| path.display().to_string().contains("given-")).unwrap();
    fs::write(&note, "{").unwrap();
    card.unchanged_by(|| host.restore("", &newer, card.path())).exits(6).says(&[
        "given-",
        "which card has got",
        "--force",
    ]);
    host.restore("--force", &newer, card.path()).exits(0);
}

/// A command that was stopped is run again: it is the same file, and whoever was stopped has given nothing to another.
#[test]
fn a_restore_that_was_stopped_is_completed() {
    let host = Host::new();
    let document = host.path("work/backup.json");
    fs::write(&document, card().run("read --format json").stdout).unwrap();
    let restore = || host.identity("stamp --restore").arg(&document);
    let blank = Image::mbr();
    restore().arg(blank.path()).fault("FAULT_WRITE", "6607").run().exits(7);
    restore().arg(blank.path()).run().exits(0);
    blank.run("verify").exits(0);
    // By now it is known to be there, and a blank card in its place may be another one.
    fs::write(blank.path(), Image::mbr().bytes()).unwrap();
    blank.unchanged_by(|| restore().arg(blank.path()).run()).exits(6).says(&["was given to"]);

    let host = Host::new();
    let half = Image::mbr();
    let restore = || host.identity("stamp --restore").arg(&document);
    restore().arg(half.path()).fault("FAULT_WRITE", "52").run().exits(7);
    let said = half.unchanged_by(|| restore().arg(half.path()).run()).exits(6).says_one_sentence();
    let repair = format!("repair --keep {UUID}");
    said.says(&["in one copy", &repair]);
    half.run(repair).exits(0);
    half.run("verify").exits(0);
}

#[test]
fn what_a_new_image_has_got_is_noted_by_its_name() {
    let (host, card) = (Host::new(), card());
    let document = host.path("work/backup.json");
    fs::write(&document, card.run("read --format json").stdout).unwrap();
    host.identity("stamp --create 16M --restore backup.json one.img").run().exits(0);
    let refused = host.identity("stamp --create 16M --restore backup.json two.img").run().exits(6);
    refused.says(&[&host.path("work/one.img").display().to_string()]);
    assert!(!host.path("work/two.img").exists());
}

#[test]
fn a_failed_restore_by_a_bare_name_takes_nothing_away() {
    let (host, card) = (Host::new(), card());
    let record = host.record_of(&card);
    let bare = host.path("work/NAME.json");
    fs::copy(&record, &bare).unwrap();
    for options in [
        "--create 1M",
        "--create 64M --at 9000,9001",
        "--create 64M --mac 0=02:00:5e:10:00:01 --mac 0=02:00:5e:10:00:02",
    ] {
        let failed = host.identity(&format!("stamp --force --restore NAME.json {options} new.img")).run();
        assert_ne!(failed.code, Some(0), "{options}");
        assert!(bare.exists() && record.exists(), "{options}");
        assert!(!host.path("work/new.img").exists(), "{options}");
    }
    // The name is taken only when all else is done.
    fs::write(host.path("work/new.img"), "taken").unwrap();
    host.identity("stamp --force --restore NAME.json --create 64M new.img").run().exits(6);
    assert!(bare.exists());
    fs::remove_file(host.path("work/new.img")).unwrap();
    host.identity("stamp --force --restore NAME.json --create 64M new.img").run().exits(0);
    assert!(bare.exists(), "a copy that somebody keeps is theirs");
}

#[test]
fn a_flash_gives_a_record_to_another_card_by_consent_alone() {
    let (host, first) = (Host::new(), card());
    let record = host.record_of(&first);
    let image = host.path("work/os.img");
    fs::write(&image, Image::mbr().bytes()).unwrap();
    let second = Image::mbr();
    let flash = |options: &str| {
        host.identity(&format!("flash {options} --restore")).arg(&record).arg(&image).arg(second.path()).run()
    };
    second.unchanged_by(|| flash("")).exits(6).says(&["two boards share one identity", "--force"]);
    flash("--force").exits(0);
    assert_eq!(second.run("read --field uuid").exits(0).stdout.trim(), UUID);
}

#[test]
fn links_pipes_and_directories_are_no_records() {
    let (host, card) = (Host::new(), card());
    let record = host.record_of(&card);
    let (link, fifo) = (host.path("work/link"), host.path("work/fifo"));
    symlink(&record, &link).unwrap();
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for file in [&link, &fifo, &host.path("work"), &PathBuf::from("/dev/zero")] {
        let refused = card.unchanged_by(|| host.restore("", file, card.path()));
        assert!(matches!(refused.code, Some(6 | 7)), "{file:?}: {refused:?}");
        refused.says_one_sentence();
    }
    assert!(record.exists());
}

#[test]
fn a_link_is_refused_with_a_way_to_the_file() {
    let (host, card) = (Host::new(), card());
    let record = host.record_of(&card);
    let link = host.path("work/link.json");
    symlink(&record, &link).unwrap();
    let refused = host.restore("", &link, card.path()).exits(6).says_one_sentence();
    let resolve = format!("readlink -f {}", link.display());
    refused.says(&["is a symbolic link", &resolve]);
    let file = Command::new("sh").args(["-c", &resolve]).output().unwrap().stdout;
    let file = PathBuf::from(String::from_utf8(file).unwrap().trim());
    host.restore("", &file, card.path()).exits(0);
}

/// What names another card and board stays with them, and a person hears that two cards must not be used.
#[test]
fn a_flash_takes_no_binding_of_another_card_along() {
    const CID: &str = "035344534C33324780AABBCCDD0155E7";
    let host = Host::new();
    let image = host.path("work/os.img");
    fs::write(&image, Image::mbr().bytes()).unwrap();
    let first = card();
    first.run(format!("bind --cid {CID} --board=SN7")).exits(0);
    let document = host.path("work/first.json");
    fs::write(&document, first.run("read --format json").exits(0).stdout).unwrap();
    let record = host.record_of(&first);
    for (file, options) in [(document, ""), (record, "--force")] {
        let second = Image::mbr();
        let words = format!("flash {options} --restore {} {}", file.display(), image.display());
        host.run(&words, &second).exits(0).says(&["must not be used again", "two boards"]);
        let found = second.run("read --format json").exits(0).json();
        assert_eq!(found["uuid"], UUID);
        assert_eq!(found["bindings"], serde_json::json!({"card": null, "board": null}));
    }
}

/// Runs it with standard output closed, or where nothing can be written.
fn without_output(state: &Path, words: &str, card: &Image, closed: bool) -> Outcome {
    let script = if closed { r#"exec "$0" "$@" >&-"# } else { r#"exec "$0" "$@" >/dev/full"# };
    let mut shell = Command::new("sh");
    shell.args(["-c", script]);
    let mut identity = Identity::prefixed(shell, program(), words).arg(card.path());
    identity.command().env("XDG_STATE_HOME", state);
    identity.run()
}

#[test]
fn with_no_place_to_keep_it_nothing_is_destroyed() {
    let host = Host::new();
    for words in ["erase --force", "stamp --force --profile beagle"] {
        for closed in [false, true] {
            let card = card();
            let nowhere = Path::new("/proc/nowhere");
            card.unchanged_by(|| without_output(nowhere, words, &card, closed))
                .exits(7)
                .says(&["nothing was written"]);
            // With one of both it is done.
            without_output(&host.path("state"), words, &card, closed);
            assert_ne!(card.run("read --format json").json()["uuid"], UUID, "{words}");
            assert!(host.records().iter().any(|record| uuid_in(record) == UUID));
        }
    }
}

#[test]
fn without_a_place_for_records_the_first_line_is_the_record() {
    let (host, card) = (Host::new(), card());
    let mut identity = host.identity("stamp --force --profile beagle --format json").arg(card.path());
    identity.command().env("XDG_STATE_HOME", "/proc/nowhere");
    let outcome = identity.run().exits(0);
    let first: Value = serde_json::from_str(outcome.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&first["event"], &first["record"]["uuid"]), (&"replacing".into(), &UUID.into()));
    let lines = [first["record"].to_string(), first.to_string(), outcome.stdout.clone()];
    outcome.says(&["no record can be kept", "--restore FILE"]);
    let file = host.path("work/line.json");
    for text in lines {
        fs::write(&file, text).unwrap();
        host.restore("--force", &file, card.path()).exits(0);
        assert_eq!(card.run("read --field hostname").exits(0).stdout.trim(), "h");
        card.run("stamp --force --profile beagle").exits(0);
    }
}

#[test]
fn records_are_readable_by_their_owner_alone_whatever_the_umask() {
    let (host, card) = (Host::new(), card());
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"umask 000; exec "$0" "$@""#]);
    let mut erase = Identity::prefixed(shell, program(), "erase").arg(card.path());
    erase.command().env("XDG_STATE_HOME", host.path("state"));
    erase.run().exits(0);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&host.records()[0]), 0o600);
    assert_eq!(mode(&host.path("state/identity")), 0o700);
}

/// An interrupted flash, then the card is erased, and its identity given to another card on purpose: the next flash of the
/// first one must not give it back, or two cards would share it.
#[test]
fn an_identity_that_was_given_away_does_not_come_back_by_a_flash() {
    for wipe in ["erase", "stamp --force --profile beagle --at 52,6607"] {
        let (host, card) = (Host::new(), card());
        let image = host.path("work/os.img");
        fs::write(&image, Image::mbr().put(9000, &[0x5a; 512]).bytes()).unwrap();
        let flash = |image: &Path| host.identity("flash").arg(image).arg(card.path());
        flash(&image).fault("FAULT_WRITE", "9000").run().exits(7);
        host.run(wipe, &card).exits(0);
        let other = Image::mbr();
        host.run(&format!("stamp --profile panda --uuid {UUID}"), &other).exits(0);
        let again = flash(&image).run();
        if wipe == "erase" {
            again.exits(6).says(&["--no-restore"]);
            host.identity("flash --no-restore").arg(&image).arg(card.path()).run().exits(0);
        } else {
            again.exits(0);
        }
        assert_ne!(card.run("read --format json").json()["uuid"], UUID, "{wipe}");
    }
}

#[test]
fn a_limit_on_the_length_of_files_leaves_none_behind() {
    let host = Host::new();
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -f 100; exec "$0" "$@""#]).current_dir(host.path("work"));
    Identity::prefixed(shell, program(), "stamp --create 64M --profile x new.img")
        .run()
        .exits(7)
        .says(&["too large"]);
    assert_eq!(fs::read_dir(host.path("work")).unwrap().count(), 0);
}

/// The image of one card is not one for many: its identity comes along when it is asked for, and to one card.
#[test]
fn the_identity_in_an_image_is_given_to_one_card() {
    let host = Host::new();
    let (one, two, made) = (Image::mbr(), Image::mbr(), host.path("made.img"));
    host.identity(&format!("stamp --create 8M --profile panda --uuid {UUID}")).arg(&made).run().exits(0);
    let flash = |options: &str, card: &Image| {
        host.identity("flash --yes").args(options.split_whitespace()).arg(&made).arg(card.path()).run()
    };
    let without = flash("", &one).exits(0).shows(&["that of the image was left out", "stamp --restore"]);
    let command = without.stdout.split('`').nth(1).expect("a command").to_owned();
    let mut shell = Command::new("sh");
    let path = program().parent().expect("a directory");
    shell.args(["-c", &format!("PATH={}:$PATH; {command}", path.display())]).current_dir(host.path("work"));
    let done = shell.env("XDG_STATE_HOME", host.path("state")).output().unwrap();
    assert!(done.status.success(), "{command}: {done:?}");
    one.run("read --field uuid").exits(0).prints(&format!("{UUID}\n"));
    let restore = format!("--restore {}", made.display());
    flash(&restore, &two).exits(6).says(&["was given to", "two boards share one identity"]);
    two.run("read").exits(3);
    one.run("erase --force").exits(0);
    flash(&format!("{restore} --force"), &one).exits(0);
    one.run("read --field uuid").exits(0).prints(&format!("{UUID}\n"));
    // An image without one, and another identity in the way.
    let blank = Image::mbr();
    host.restore("", blank.path(), two.path()).exits(3);
    let other = Image::mbr();
    other.run("stamp --profile beagle").exits(0);
    host.restore("", &made, other.path())
        .exits(6)
        .says(&["give --force to put that in", "made.img in its place"]);
}

#[test]
fn erase_names_its_records_for_programs() {
    let host = Host::new();
    let card = Image::mbr();
    card.run(format!("stamp --profile panda --uuid {UUID}")).exits(0);
    let erased = host.run("erase --force --format json", &card).exits(0).json();
    let record = erased["records"][0].as_str().expect("a path").to_owned();
    host.restore("", Path::new(&record), card.path()).exits(0);
    card.run("read --field uuid").exits(0).prints(&format!("{UUID}\n"));
}

/// One file and two cards at once, by `stamp` and by `flash`: one of them gets the identity.
#[test]
fn one_file_at_once_gives_its_identity_to_one_card() {
    let made = Image::mbr();
    made.run(format!("stamp --profile panda --uuid {UUID}")).exits(0);
    let backup = made.run("read --format json").exits(0).stdout;
    made.run("erase --force").exits(0);
    for verb in ["stamp", "flash --yes"] {
        for _ in 0..6 {
            let host = Host::new();
            let file = host.path("backup.json");
            fs::write(&file, &backup).unwrap();
            let cards = [Image::mbr(), Image::mbr()];
            let restore = |card: &Image| {
                let mut identity = host.identity(&format!("{verb} --restore")).arg(&file);
                if verb != "stamp" {
                    identity = identity.arg(made.path());
                }
                identity.arg(card.path()).run().code
            };
            let codes: Vec<_> = std::thread::scope(|scope| {
                let restore = &restore;
                let both: Vec<_> = cards.iter().map(|card| scope.spawn(move || restore(card))).collect();
                both.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let with: Vec<_> = cards.iter().map(|card| card.run("read").code == Some(0)).collect();
            assert_eq!(with.iter().filter(|has| **has).count(), 1, "{verb}: {codes:?}");
            assert_eq!(
                with.iter().map(|has| if *has { Some(0) } else { Some(6) }).collect::<Vec<_>>(),
                codes,
                "{verb}"
            );
        }
    }
}

/// Where it cannot be noted who has got an identity, nobody gets it; and it is noted before the card has it.
#[test]
fn who_gets_an_identity_is_noted_before_the_card_has_it() {
    let made = Image::mbr();
    made.run(format!("stamp --profile panda --uuid {UUID}")).exits(0);
    let host = Host::new();
    let file = host.path("backup.json");
    fs::write(&file, made.run("read --format json").exits(0).stdout).unwrap();
    let card = Image::mbr();
    let mut nowhere = Identity::new("stamp --restore").arg(&file).arg(card.path());
    nowhere.command().env("XDG_STATE_HOME", "/proc/nowhere");
    nowhere.run().exits(7).says(&["XDG_STATE_HOME"]);
    card.run("read").exits(3);
    // The device fails at the first copy: the next card asks.
    let mut fails = host.identity("stamp --restore").arg(&file).arg(card.path());
    fails = fails.fault("FAULT_WRITE", "6607");
    fails.run().exits(7);
    let next = Image::mbr();
    host.restore("", &file, next.path()).exits(6).says(&["was given to"]);
    next.run("read").exits(3);
}

/// A binding names the old card: that it is not given back is said, for the next copy would not be noticed.
#[test]
fn a_binding_that_is_not_given_back_is_named() {
    let (host, card) = (Host::new(), card());
    card.run("bind --board=SN7").exits(0);
    let record = host.record_of(&card);
    host.restore("", &record, card.path()).exits(0).says(&["was bound", "`identity bind "]);
    let bindings = &card.run("read --format json").exits(0).json()["bindings"];
    assert_eq!(bindings["board"], Value::Null);
}
