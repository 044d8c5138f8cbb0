// SPDX-License-Identifier: MIT OR Apache-2.0
//! Advice is true: each command that a message names is taken out of the message and run in the state that the message is
//! about, and does what was said.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use identity_core::Identity as Stored;
use identity_fixtures::Card;
use identity_layout::mark::Mark;
use identity_tests::block::Loop;
use identity_tests::cli::{Outcome, program};
use identity_tests::image::{Image, SECTORS};
use identity_tests::machine::Machine;
use serde_json::Value;

use crate::erase::at_a_terminal;
use crate::{OTHER, UUID};

mod copies;
mod host;
mod images;
mod names;
mod tables;

const FIRST: u32 = 52;
const SECOND: u32 = 6607;

/// What a message shows in backticks: commands, with all that they need.
fn commands(outcome: &Outcome) -> Vec<String> {
    quoted(&outcome.stderr)
}

fn quoted(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    // What makes the file that another command takes is no command for this card.
    let is_command = |words: &&str| words.contains(' ') && *words != "identity read --format json";
    let mut commands: Vec<_> = quoted.filter(is_command).map(str::to_owned).collect();
    commands.dedup();
    commands
}

/// Runs a command as a person would: in a shell, with what stands in capitals filled in.
fn follow(card: &Image, command: &str, words: &[(&str, &str)]) {
    let bin = tempfile::tempdir().expect("a directory");
    symlink(program(), bin.path().join("identity")).expect("own directory");
    let usual = [("--hostname NAME", "--hostname new-name"), ("NAME", "beagle")];
    let command = words.iter().chain(&usual).fold(command.to_owned(), |command, (word, value)| {
        command.replace(&format!(" {word} "), &format!(" {value} "))
    });
    let path = format!("{}:{}:/usr/sbin:/sbin", bin.path().display(), env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).env("PATH", path).env("XDG_STATE_HOME", states(card));
    let output = shell.stdin(std::process::Stdio::null()).output().expect("a shell");
    assert!(output.status.success(), "`{command}`: {}", String::from_utf8_lossy(&output.stderr));
}

fn states(card: &Image) -> std::path::PathBuf {
    card.dir().with_extension("states")
}

/// Runs a verb with the records in a place of their own.
fn run(card: &Image, words: &str) -> Outcome {
    let mut identity = card.identity(words);
    identity.command().env("XDG_STATE_HOME", states(card));
    identity.run()
}

/// A part of a command that a message names, what stands for words like NAME in it, and what has come of it.
type Advice<'a> = (&'a str, &'a [(&'a str, &'a str)], fn(&Image));

/// In the state that `make` gives, `verb` names exactly the commands of `expected`, by a part of each; each is followed on a
/// card of its own, and `check` looks at what has come of it.
fn each(make: fn() -> Image, verb: &str, expected: &[Advice<'_>]) {
    let count = commands(&run(&make(), verb)).len();
    assert_eq!(count, expected.len(), "{verb}: {:?}", commands(&run(&make(), verb)));
    for (part, words, check) in expected {
        let card = make();
        let named = commands(&run(&card, verb));
        let command = named.iter().find(|command| command.contains(part));
        follow(&card, command.unwrap_or_else(|| panic!("{verb}: no `{part}` in {named:?}")), words);
        check(&card);
    }
}

fn document(card: &Image) -> Value {
    run(card, "verify --format json").json()
}

fn is_blank(card: &Image) {
    run(card, "verify").exits(3);
}

fn is_whole(card: &Image) {
    run(card, "verify").exits(0);
    assert_eq!(document(card)["uuid"], UUID);
}

fn is_new(card: &Image) {
    run(card, "verify").exits(0);
    let found = document(card);
    assert!(found["uuid"] != UUID && found["profile"] == "beagle", "{found}");
}

fn is_changed(card: &Image) {
    is_whole(card);
    assert_eq!(document(card)["hostname"], "new-name");
}

fn can_be_stamped(card: &Image) {
    run(card, "stamp --profile panda").exits(0);
}

fn stamped() -> Image {
    Image::stamped(format!("--profile panda --uuid {UUID}"))
}

/// An image of a system, where the messages say IMAGE.
fn os() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("os.img");
    fs::write(&path, Card::new(SECTORS).mbr(1, 0x0c, 8192, 4096).bytes()).expect("own directory");
    let name = path.to_string_lossy().into_owned();
    (dir, name)
}

#[test]
fn a_card_without_a_table() {
    let (_dir, image) = os();
    let no_table = || Image::zeroed(SECTORS as u64 * 512);
    for verb in ["stamp --profile panda", "read", "verify", "repair", "erase", "bind --board=SN7", "derive"] {
        each(
            no_table,
            verb,
            &[
                ("sfdisk --label dos", &[], can_be_stamped),
                ("identity flash IMAGE", &[("IMAGE", &image)], can_be_stamped),
            ],
        );
    }
}

#[test]
fn blank() {
    each(Image::mbr, "read", &[("identity stamp --profile NAME", &[], is_new)]);
}

#[test]
fn degraded() {
    let damaged = || {
        let card = stamped();
        card.damage(SECOND);
        card
    };
    for verb in ["read", "verify"] {
        each(damaged, verb, &[("identity repair", &[], is_whole)]);
    }
    let lone = || {
        let card = stamped();
        card.clear(SECOND);
        card
    };
    for verb in ["read", "verify", "repair"] {
        each(lone, verb, &[("identity repair --keep 52", &[], is_whole), ("identity erase", &[], is_blank)]);
    }
}

#[test]
fn corrupt() {
    let (dir, image) = os();
    let corrupt = || {
        let card = stamped();
        card.damage(FIRST).damage(SECOND);
        card
    };
    let saved = dir.path().join("saved.json");
    std::fs::write(&saved, stamped().run("read --format json").stdout).expect("own directory");
    let saved = saved.display().to_string();
    let back = [("FILE", saved.as_str())];
    let ways: [Advice<'_>; 2] = [
        ("identity stamp --force --restore", &back, is_whole),
        ("identity stamp --force --profile", &[], is_new),
    ];
    each(corrupt, "read", &ways);
    each(corrupt, "erase", &[ways[0], ways[1], ("identity erase --force", &[], is_blank)]);
    let flash = [("IMAGE", image.as_str())];
    each(
        corrupt,
        &format!("flash {image}"),
        &[ways[0], ways[1], ("identity flash --force", &flash, is_blank)],
    );
}

#[test]
fn conflict() {
    let two = || {
        let card = stamped();
        let other = Image::stamped(format!("--profile beagle --uuid {OTHER}"));
        card.put(SECOND, &other.sector(SECOND));
        card
    };
    for verb in ["read", "stamp --profile x", "repair"] {
        each(
            two,
            verb,
            &[
                ("identity repair --keep", &[("UUID", UUID)], is_whole),
                ("identity stamp --force", &[], is_new),
            ],
        );
    }
    each(
        two,
        "read",
        &[("identity repair --keep", &[("UUID", OTHER)], is_new), ("identity stamp --force", &[], is_new)],
    );
    // By its UUID neither version can be told from the other.
    let versions = || {
        let card = stamped();
        let other = Image::stamped(format!("--profile beagle --uuid {UUID}"));
        card.put(SECOND, &other.sector(SECOND));
        card
    };
    each(
        versions,
        "read",
        &[
            ("identity repair --keep LBA", &[("LBA", "6607")], |card| {
                is_whole(card);
                assert_eq!(document(card)["profile"], "beagle");
            }),
            ("identity stamp --force", &[], is_new),
        ],
    );
}

/// The option that a message names, given to the same verb.
#[test]
fn newer() {
    let newer = || {
        let card = stamped();
        let file = identity_tests::workspace().join("fixtures/sectors/newer-version-2.bin");
        card.put(FIRST, &fs::read(file).expect("a golden sector")).clear(SECOND);
        card
    };
    each(newer, "read", &[]);
    let card = newer();
    run(&card, "erase").exits(4).says(&["update `identity`", "--force"]);
    run(&card, "erase --force").exits(0);
    is_blank(&card);
    let card = newer();
    run(&card, "stamp --profile beagle").exits(4).says(&["update `identity`", "--force"]);
    run(&card, "stamp --profile beagle --force").exits(0);
    is_new(&card);
}

#[test]
fn an_identity_that_is_there() {
    each(
        stamped,
        "stamp --profile x",
        &[("identity stamp --uuid", &[], is_changed), ("identity stamp --force", &[], is_new)],
    );
    let (_dir, image) = os();
    each(stamped, &format!("flash --profile x {image}"), &[("identity stamp --uuid", &[], is_changed)]);
}

#[test]
fn copies_in_a_partition() {
    let covered = || {
        let card = stamped();
        card.put(0, Card::new(SECTORS).mbr(1, 0x0c, 2048, 4096).bytes().get(..512).expect("LBA 0"));
        card.run("read").exits(0);
        card
    };
    each(covered, "verify", &[("identity repair --force", &[], is_whole)]);
    each(
        covered,
        "stamp --profile x",
        &[
            ("identity stamp --force --uuid", &[], is_changed),
            ("identity stamp --force --profile", &[], is_new),
        ],
    );
    let card = covered();
    run(&card, "repair").exits(6).says(&["--dry-run", "--force"]);
    run(&card, "repair --dry-run").exits(0).shows(&["LBA 6607", "in a partition"]);
    run(&card, "repair --force").exits(0);
    is_whole(&card);
}

#[test]
fn a_copy_outside_the_slots() {
    let outside = || {
        let card = stamped();
        let copy: Stored = card.copy(FIRST);
        card.put(300, &copy.encode(300, 301)).clear(FIRST).clear(SECOND);
        card
    };
    let named = commands(&run(&outside(), "verify").exits(3));
    assert!(named.len() == 1 && named[0].starts_with("identity verify --at 300 "), "{named:?}");
    // What that advises has the place in it, too.
    each(
        outside,
        "verify --at 300",
        &[
            ("identity repair --keep 300 --at 300", &[], |card| _ = run(card, "verify --at 300").exits(0)),
            ("identity erase --at 300", &[], is_blank),
        ],
    );
    let card = outside();
    run(&card, "stamp --profile x").exits(6).says(&["give --at 300"]);
    run(&card, &format!("stamp --uuid {UUID} --at 300")).exits(0);
    run(&card, "verify --at 300").exits(0);
}

#[test]
fn an_unfinished_flash() {
    let (_dir, image) = os();
    let unfinished = || {
        let card = stamped();
        card.put(0, &Mark::new("os.img", Some(5)).encode());
        card
    };
    let stamp = format!("stamp --uuid {UUID} --hostname h");
    for verb in ["read", "verify", &stamp, "stamp --profile x", "bind --board=SN7"] {
        each(
            unfinished,
            verb,
            &[("identity flash IMAGE", &[("IMAGE", &image)], |card| {
                is_whole(card);
                assert_eq!(document(card)["unfinished"], Value::Null);
            })],
        );
    }
}

#[test]
fn no_free_slot() {
    let full = || Image::of(Card::new(SECTORS).mbr(1, 0x0c, 40, 4096).put(6, &[7; 512]).bytes());
    let card = full();
    run(&card, "stamp --profile panda").exits(6).says(&["4 MiB", "two sectors with --at"]);
    run(&card, "stamp --profile panda --at 20,30").exits(0);
    let card = full();
    // What the message says in words.
    card.put(0, Card::new(SECTORS).mbr(1, 0x0c, 8192, 4096).bytes().get(..512).expect("LBA 0"));
    can_be_stamped(&card);
    // Data in or beside every slot but the first copy's.
    let foreign = || {
        let card = stamped();
        for lba in [5, 56, 1711, 1777, 2703, 2927, SECOND, 6959] {
            card.put(lba, &[0xa5; 512]);
        }
        card
    };
    run(&foreign(), "repair").exits(6);
    let whole: fn(&Image) = |card| {
        is_whole(card);
        assert_eq!(card.copies(), [52, 6607]);
    };
    each(foreign, "repair --keep 52", &[("identity repair --force", &[], whole)]);
    // Where force would not do it, it is not named.
    let card = stamped();
    for lba in (1..8192).filter(|lba| *lba != FIRST) {
        card.put(lba, &[0xa5; 512]);
    }
    let named = commands(&run(&card, "repair --force").exits(6));
    assert_eq!(named, [format!("identity map {}", card.path().display())]);
}

/// Who says that a lone copy belongs to the card has not said that other data may go.
#[test]
fn a_yes_to_a_lone_copy_writes_over_no_other_data() {
    let card = stamped();
    card.put(SECOND, &[0xa5; 512]);
    let Some((code, shown)) = at_a_terminal(&card, "y", "repair") else { return };
    assert!(code == Some(0) && shown.contains("belong to this card? [y/N]"), "{code:?} {shown}");
    assert_eq!(card.sector(SECOND), [0xa5; 512]);
    is_whole(&card);
}

#[test]
fn undo() {
    let back = |card: &Image| {
        is_whole(card);
        assert_eq!(document(card)["profile"], "panda");
    };
    each(stamped, "erase", &[("identity stamp --restore", &[], back)]);
    each(stamped, "stamp --force --profile beagle", &[("identity stamp --force --restore", &[], back)]);
    let (_dir, image) = os();
    // Nothing can be stamped on it as it is: a flash gives it a table and its identity.
    let half_a_gpt = || {
        let card = stamped();
        let mut header = [0; 512];
        header[..8].copy_from_slice(b"EFI PART");
        card.put(0, &Card::new(SECTORS).mbr(1, 0xee, 1, SECTORS as u32 - 1).bytes()[..512]).put(1, &header);
        card
    };
    let unfinished = || {
        let card = stamped();
        card.put(0, &Mark::new("os.img", Some(5)).encode());
        card
    };
    for make in [half_a_gpt, unfinished] {
        let named = commands(&run(&make(), "erase").exits(0));
        assert!(named.len() == 1 && named[0].starts_with("identity flash --restore "), "{named:?}");
        each(make, "erase", &[("identity flash --restore", &[("IMAGE", &image)], back)]);
    }
    let flash = format!("flash --force --profile beagle {image}");
    each(stamped, &flash, &[("identity stamp --force --restore", &[], back)]);
    let two = || {
        let card = stamped();
        let other = Image::stamped(format!("--profile beagle --uuid {OTHER}"));
        card.put(SECOND, &other.sector(SECOND));
        card
    };
    let card = two();
    let named = commands(&run(&card, &format!("repair --keep {OTHER}")).exits(0));
    let undo = named.iter().find(|command| {
        let file = command.split_whitespace().find(|word| word.ends_with(".json")).expect("a record");
        Path::new(file).file_name().is_some_and(|name| name.to_string_lossy().contains(UUID))
    });
    follow(&card, undo.expect("the undo of the identity that went"), &[]);
    back(&card);
}

#[test]
fn an_image_that_is_packed_twice() {
    let (dir, image) = os();
    for _ in 0..2 {
        assert!(Command::new("gzip").args(["-kf", &image]).status().expect("gzip").success());
        fs::rename(format!("{image}.gz"), &image).expect("own directory");
    }
    let card = stamped();
    let target = card.path().to_string_lossy().into_owned();
    let named = commands(&run(&card, &format!("flash {image}")).exits(6));
    assert_eq!(named.len(), 1, "{named:?}");
    follow(&card, &format!("{} ", named[0]), &[("TARGET", &target)]);
    is_whole(&card);
    drop(dir);
}

/// On a machine where the card's CID and the board's serial number can be seen.
#[test]
fn cloned_and_moved() {
    const CID: &str = "035344534C33324780AABBCCDD0155E7";
    const OTHER_CID: &str = "035344534C33324780AABBCCDE0155E7";
    let machine = |card: &Loop, cid: &str, serial: &str| {
        let machine = Machine::new().card("mmcblk0", card, &[("device/cid", cid)]);
        machine.tree("chosen/identity/board-serial", format!("{serial}\0").as_bytes())
    };
    let follow_there = |machine: &Machine, command: &str| {
        let words = command.strip_prefix("identity ").expect("ours").replace(" NAME ", " beagle ");
        machine.identity(words).run().exits(0);
        machine.identity("verify /dev/mmcblk0").run().exits(0);
    };
    for (number, count) in [(0, 2), (1, 2)] {
        let image = stamped();
        let Some(card) = Loop::attach(image.path(), &[]) else { return };
        let own = machine(&card, CID, "SN7");
        let named = quoted(&own.identity("verify /dev/mmcblk0").run().exits(0).stdout);
        assert_eq!(named, ["identity bind /dev/mmcblk0"]);
        follow_there(&own, &named[0]);
        let other = machine(&card, OTHER_CID, "SN7");
        let named = commands(&other.identity("bind --card /dev/mmcblk0").run().exits(5));
        assert_eq!(named.len(), count, "{named:?}");
        follow_there(&other, &named[number]);
    }
    for number in 0..2 {
        let image = stamped();
        let Some(card) = Loop::attach(image.path(), &[]) else { return };
        machine(&card, CID, "SN7").identity("bind --board /dev/mmcblk0").run().exits(0);
        let other = machine(&card, CID, "SN8");
        let named = commands(&other.identity("read /dev/mmcblk0").run().exits(5));
        assert_eq!(named.len(), 2, "{named:?}");
        follow_there(&other, &named[number]);
    }
}
