// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nothing is destroyed unseen: before an identity is erased or replaced, a record of it is kept.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use identity_fixtures::Card;
use identity_tests::cli::{Identity, Outcome, tool};
use identity_tests::image::{Image, SECTORS};
use serde_json::Value;
use tempfile::TempDir;

use crate::{OTHER, UUID};

fn stamped() -> Image {
    Image::stamped(format!("--profile panda --uuid {UUID} --hostname panda-03 --set console=ttyS0"))
}

fn conflict() -> Image {
    let (card, other) = (stamped(), Image::stamped(format!("--profile beagle --uuid {OTHER}")));
    card.put(6607, &other.sector(6607));
    card
}

/// An image that is flashed.
fn os(dir: &Path) -> PathBuf {
    let path = dir.join("os.img");
    fs::write(&path, Card::new(SECTORS).mbr(1, 0x0c, 8192, 4096).bytes()).expect("own directory");
    path
}

fn run(card: &Image, states: &Path, words: &str) -> Outcome {
    let mut identity = card.identity(words);
    identity.command().env("XDG_STATE_HOME", states);
    identity.run()
}

/// Every way to lose an identity: a card, and what is run on it.
fn losses(image: &Path) -> Vec<(fn() -> Image, String)> {
    vec![
        (stamped, "erase".into()),
        (stamped, "erase --force".into()),
        (stamped, "stamp --force --profile beagle".into()),
        (conflict, format!("repair --keep {OTHER}")),
        (conflict, "erase --force".into()),
        (stamped, format!("flash --force --profile beagle {}", image.display())),
    ]
}

#[test]
fn what_is_erased_or_replaced_is_kept_with_every_sector() {
    let dir = TempDir::new().expect("a directory");
    for (number, (make, words)) in losses(&os(dir.path())).into_iter().enumerate() {
        let states = dir.path().join(number.to_string());
        let card = make();
        let sector = card.sector(52);
        run(&card, &states, &words).exits(0).says(&[
            "a record of what is removed",
            "identity stamp",
            "--restore",
        ]);
        let directory = states.join("identity");
        let names = fs::read_dir(&directory).expect("records").map(|entry| entry.expect("an entry").path());
        let name =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(UUID));
        let file = names.into_iter().find(name).unwrap_or_else(|| panic!("{words}: no record of {UUID}"));
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600, "{words}");
        assert_eq!(fs::metadata(&directory).expect("a directory").permissions().mode() & 0o777, 0o700);
        let record: Value = serde_json::from_slice(&fs::read(&file).expect("a file")).expect("JSON");
        assert_eq!((&record["purpose"], &record["uuid"]), (&"retired".into(), &UUID.into()), "{words}");
        assert_eq!(record["identity"]["variables"]["console"], "ttyS0", "{words}");
        let hex: String = sector.iter().map(|byte| format!("{byte:02x}")).collect();
        let sectors = record["sectors"].as_array().expect("sectors");
        assert!(
            sectors.iter().any(|one| one["lba"] == 52 && one["hex"] == hex.as_str()),
            "{words}: {record}"
        );
    }
}

/// What this program cannot read may be worth more than what it can.
#[test]
fn a_newer_copy_that_is_written_over_is_kept_in_hex() {
    let dir = TempDir::new().expect("a directory");
    let file = identity_tests::workspace().join("fixtures/sectors/newer-version-2.bin");
    let sector = fs::read(file).expect("a golden sector");
    let hex: String = sector.iter().map(|byte| format!("{byte:02x}")).collect();
    let flash = format!("flash --force {}", os(dir.path()).display());
    let update = format!("stamp --uuid {UUID} --hostname h --force");
    let verbs = ["repair --force", &update, "bind --board=SN7 --force", &flash, "erase --force"];
    for (number, verb) in verbs.into_iter().enumerate() {
        for lba in [2703, 6607] {
            let (card, states) = (stamped(), dir.path().join(format!("{number}-{lba}")));
            card.put(lba, &sector);
            run(&card, &states, verb).exits(0).says(&["a record of what is removed"]);
            let records = fs::read_dir(states.join("identity")).expect("records");
            let records = records.map(|entry| fs::read(entry.expect("an entry").path()).expect("a file"));
            let mut records = records.map(|text| serde_json::from_slice::<Value>(&text).expect("JSON"));
            let holds = |record: Value| {
                let sectors = record["sectors"].as_array().expect("sectors");
                sectors.iter().any(|one| one["lba"] == lba && one["hex"] == hex.as_str())
            };
            assert!(records.any(holds), "{verb} {lba}");
        }
    }
}

/// A directory that nobody can make.
const NOWHERE: &str = "/proc/nowhere";

#[test]
fn without_a_place_for_records_they_go_to_standard_output_first() {
    let dir = TempDir::new().expect("a directory");
    for (make, words) in losses(&os(dir.path())) {
        if words.starts_with("flash") {
            continue; // Its pending record has no such way out: nothing is written without it.
        }
        let shown = run(&make(), Path::new(NOWHERE), &words).exits(0).stdout;
        let line = shown.lines().next().expect("a line");
        let event: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{words}: {error}: {shown}"));
        assert_eq!(event["event"], "replacing", "{words}");
        assert!(shown.contains(UUID), "{words}");
    }
}

#[test]
fn where_neither_works_nothing_is_written() {
    let dir = TempDir::new().expect("a directory");
    for (make, words) in losses(&os(dir.path())) {
        let card = make();
        let failed = card.unchanged_by(|| {
            let mut identity = card.identity(&words);
            let command = identity.command();
            command
                .env("XDG_STATE_HOME", NOWHERE)
                .stdout(File::options().write(true).open("/dev/full").unwrap());
            command.output().expect("identity starts")
        });
        let said = String::from_utf8_lossy(&failed.stderr);
        assert_eq!(failed.status.code(), Some(7), "{words}: {said}");
        assert!(said.contains(NOWHERE), "{words}: {said}");
    }
}

#[test]
fn an_update_keeps_no_record() {
    let dir = TempDir::new().expect("a directory");
    run(&stamped(), dir.path(), &format!("stamp --uuid {UUID} --hostname other")).exits(0);
    assert!(!dir.path().join("identity").exists());
}

#[test]
fn what_read_prints_in_json_is_an_identity_for_another_card() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("panda.json");
    let document = stamped().run("read --format json").exits(0).stdout;
    fs::write(&file, &document).expect("own directory");
    let card = Image::mbr();
    let restore = format!("stamp --restore {}", file.display());
    run(&card, dir.path(), &restore).exits(0).says(&["must not be used again"]);
    let found = card.run("read --format json").exits(0).json();
    assert_eq!((&found["uuid"], &found["hostname"]), (&UUID.into(), &"panda-03".into()));
    assert_eq!(found["variables"]["console"], "ttyS0");
    assert!(file.exists(), "a file that a person keeps stays");
    for key in ["bindings", "unknown"] {
        let mut value: Value = serde_json::from_str(&document).expect("JSON");
        value.as_object_mut().expect("an object").remove(key);
        fs::write(&file, value.to_string()).expect("own directory");
        Image::mbr().unchanged(&restore).exits(6).says(&[key]);
    }
}

/// JSON has no bytes that are no text; a record has them all the same.
#[test]
fn a_card_with_a_name_that_is_no_utf_8_has_a_record_too() {
    let dir = TempDir::new().expect("a directory");
    for (number, words) in ["erase", "stamp --force --profile beagle"].into_iter().enumerate() {
        let card = dir.path().join(OsStr::from_bytes(b"card\xff"));
        fs::copy(stamped().path(), &card).expect("own directory");
        let states = dir.path().join(number.to_string());
        let with_states = |mut identity: Identity| {
            identity.command().env("XDG_STATE_HOME", &states);
            identity.run()
        };
        with_states(Identity::new(words).arg(&card)).exits(0);
        let kept = fs::read_dir(states.join("identity")).expect("records").next();
        let kept = kept.expect("a record").expect("an entry").path();
        with_states(Identity::new("stamp --force --restore").arg(&kept).arg(&card)).exits(0);
        with_states(Identity::new("read --field uuid").arg(&card)).exits(0).shows(&[UUID]);
        // Where no file can be made, the line has it.
        fs::write(dir.path().join("file"), "").expect("own directory");
        let mut nowhere = Identity::new(words).arg(&card);
        nowhere.command().env("XDG_STATE_HOME", dir.path().join("file"));
        let line = nowhere.run().exits(0).stdout;
        let line = line.lines().find(|line| line.starts_with("{\"event\":\"replacing\"")).expect("a line");
        let document: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(document["record"]["uuid"], UUID, "{line}");
    }
}

/// A pipe in the place of a lock.
#[test]
fn a_fifo_as_lock_stops_nothing_for_ever() {
    let dir = TempDir::new().expect("a directory");
    let card = stamped();
    run(&card, dir.path(), "erase").exits(0);
    let records = dir.path().join("identity");
    let kept = fs::read_dir(&records).expect("records").next().expect("a record").expect("an entry").path();
    let lock = records.join(format!(".{UUID}.lock"));
    assert!(tool("mkfifo").arg(&lock).status().expect("mkfifo").success());
    let image = os(dir.path());
    for words in [
        format!("stamp --restore {}", kept.display()),
        format!("flash --yes --restore {} {}", kept.display(), image.display()),
    ] {
        let refused = card.unchanged_by(|| run(&card, dir.path(), &words));
        assert!(matches!(refused.code, Some(6 | 7)), "{words}: {refused:?}");
        refused.says(&[".lock"]);
    }
}

/// Whoever can write to the place for records could take one away, or have an identity given to a card.
#[test]
fn a_place_that_others_can_write_to_is_not_used() {
    let dir = TempDir::new().expect("a directory");
    let (states, image) = (dir.path().join("states"), os(dir.path()));
    let place = states.join("identity");
    fs::create_dir_all(&place).expect("own directory");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).expect("own directory");
    let card = stamped();
    let flash = || run(&card, &states, &format!("flash --yes {}", image.display()));
    let shown = place.display().to_string();
    card.unchanged_by(flash).exits(6).says_one_sentence().says(&[
        &shown,
        "place for records",
        "XDG_STATE_HOME",
    ]);
    // The record goes to standard output, as where there is no place.
    let erased = run(&card, &states, "erase").exits(0).says(&[&shown, "no record can be kept"]);
    assert!(erased.stdout.starts_with("{\"event\":\"replacing\""), "{}", erased.stdout);
    assert_eq!(fs::read_dir(&place).expect("own directory").count(), 0);
    // The advice does what it says.
    let advised = format!("chmod go-w {shown}");
    card.unchanged_by(flash).exits(6).says(&[&format!("`{advised}`")]);
    assert!(tool("sh").args(["-c", &advised]).status().expect("sh").success());
    flash().exits(0);
    // Another user's.
    if identity_tests::block::is_root() {
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).expect("own directory");
        std::os::unix::fs::chown(&place, Some(12345), None).expect("own directory");
        card.unchanged_by(|| run(&card, &states, "stamp --profile panda --dry-run")).exits(0);
        run(&card, &states, "stamp --profile panda").exits(0);
        card.unchanged_by(flash).exits(6).says(&[&shown]);
    }
}

#[test]
fn a_document_that_is_not_all_of_a_card_or_was_changed_by_hand_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("document.json");
    let card = Image::stamped(format!("--profile panda --uuid {UUID} --mac 1=02:00:5e:10:00:01"));
    let restore = |pointer: &str, value: &str, blank: &Image| {
        let mut document = card.run("read --format json").exits(0).json();
        *document.pointer_mut(pointer).unwrap() = value.into();
        fs::write(&path, document.to_string()).unwrap();
        Identity::new("stamp --restore").arg(&path).arg(blank.path()).run()
    };
    for (pointer, value, what) in [
        ("/state", "conflict", "state was conflict"),
        ("/state", "newer", "state was newer"),
        ("/macs/0/address", "02:00:00:00:00:01", "macs and uuid do not belong"),
        ("/machine_id", "00000000000000000000000000000001", "machine_id and uuid do not belong"),
    ] {
        let blank = Image::mbr();
        blank.unchanged_by(|| restore(pointer, value, &blank).exits(6).says(&[what]));
    }
    let blank = Image::mbr();
    restore("/state", "valid", &blank).exits(0);
}
