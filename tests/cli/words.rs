// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a new user read twice: sentences that are whole, true in the case at hand, and name the thing that they are about.

use identity_fixtures::Card;
use identity_layout::mark::Mark;
use identity_tests::block::Loop;
use identity_tests::cli::Outcome;
use identity_tests::image::{Image, SECTORS};

use crate::questions::in_a_terminal;
use crate::{OTHER, UUID};

const FIRST: u32 = 52;
const SECOND: u32 = 6607;

fn stamped() -> Image {
    Image::stamped(format!("--profile panda --uuid {UUID}"))
}

/// Runs a verb with the records in a place of this card's own.
fn run(card: &Image, words: &str) -> Outcome {
    let mut identity = card.identity(words);
    identity.command().env("XDG_STATE_HOME", states(card));
    identity.run()
}

fn states(card: &Image) -> std::path::PathBuf {
    card.dir().with_extension("states")
}

/// The records that are kept of this card, by the UUID in their names.
fn records(card: &Image) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(states(card).join("identity"));
    entries.map_or(vec![], |entries| entries.map(|entry| entry.expect("an entry").path()).collect())
}

/// A card whose second copy is another card's.
fn mixed(other: &str) -> Image {
    let card = stamped();
    card.put(SECOND, &Image::stamped(other).sector(SECOND));
    card
}

/// Of an image, and of a card in a reader, nobody can say whether it is bound to itself.
#[test]
fn bind_is_advised_where_it_works() {
    let verified = stamped().run("verify").exits(0);
    verified.shows(&[
        "unbound",
        "an image file has no CID, so bind the card on its board, with `identity bind --mounted`",
    ]);
    let image = stamped();
    let Some(card) = Loop::attach_whole(image.path(), &[]) else { return };
    let verified = card.run("verify").exits(0);
    verified.shows(&["this reader does not show the card's CID, so bind the card on its board"]);
}

#[test]
fn what_is_not_compared_says_why() {
    let card = stamped();
    run(&card, "bind --cid 035344534c33324780aabbccdd015500").exits(0);
    run(&card, "verify").exits(0).shows(&["not compared: an image file has no CID\n"]);
    run(&card, "bind --card").exits(6).says(&["an image file has no CID; bind the card in a native slot"]);
    let card = Image::mbr();
    run(&card, "stamp --profile panda --bind").exits(0).says(&["not bound: an image file has no CID\n"]);
}

#[test]
fn two_versions_of_one_identity_show_the_fields_that_differ() {
    let card = mixed(&format!(
        "--profile beagle --uuid {UUID} --hostname b7 --serial S1 --mac 1=02:00:00:00:00:01 --set site=x"
    ));
    for verb in ["read", "verify"] {
        run(&card, verb).exits(5).says_one_sentence().says(&[
            &format!("two versions of one identity {UUID} ("),
            "LBA 52: no hostname, no mac 1, profile panda, no serial, no variable site; ",
            "LBA 6607: hostname b7, mac 1 02:00:00:00:00:01, profile beagle, serial S1, variable site x)",
        ]);
    }
    run(&card, &format!("repair --keep {UUID}"))
        .exits(2)
        .says(&["LBA 52: no hostname", "LBA 6607: hostname b7"]);
}

#[test]
fn a_copy_of_another_identity_says_whose_it_is() {
    let card = mixed(&format!("--profile beagle --uuid {OTHER}"));
    let whose = format!("another identity, generation 1: {OTHER} (beagle)");
    run(&card, "verify").exits(5).shows(&[&whose, "LBA 6607 another identity"]);
}

/// What stays needs no record.
#[test]
fn repair_records_what_goes_and_nothing_else() {
    let card = mixed(&format!("--profile beagle --uuid {OTHER}"));
    run(&card, &format!("repair --keep {UUID}")).exits(0).says_one_sentence().says(&[OTHER]);
    let names: Vec<_> = records(&card).iter().map(|path| path.display().to_string()).collect();
    assert!(names.len() == 1 && names[0].contains(&format!("retired-{OTHER}-")), "{names:?}");
    // Of two versions, the one that goes.
    for (keep, gone) in [(FIRST, "beagle"), (SECOND, "panda")] {
        let card = mixed(&format!("--profile beagle --uuid {UUID}"));
        run(&card, &format!("repair --keep {keep}")).exits(0).says_one_sentence();
        let record = records(&card).pop().expect("a record");
        assert_eq!(records(&card).len(), 1);
        let again = Image::mbr();
        run(&again, &format!("stamp --force --restore {}", record.display())).exits(0).shows(&[gone]);
    }
}

#[test]
fn an_undo_on_the_same_card_warns_of_no_other() {
    let card = stamped();
    run(&card, "erase").exits(0);
    let record = records(&card).pop().expect("a record");
    run(&card, &format!("stamp --restore {}", record.display())).exits(0).is_quiet();
    // Through one reader another card has the same path.
    let image = stamped();
    let Some(device) = Loop::attach_whole(image.path(), &[]) else { return };
    let run_there = |words: &str| {
        let mut identity = device.identity(words);
        identity.command().env("XDG_STATE_HOME", states(&image));
        identity.run()
    };
    run_there("erase --force").exits(0);
    let record = records(&image).pop().expect("a record");
    let restored = run_there(&format!("stamp --restore {}", record.display())).exits(0);
    restored.says_one_sentence().says(&["if another card had this identity before"]);
}

/// The gap has become smaller: the state is valid and the exit code is 5, so standard output says why.
#[test]
fn a_copy_in_a_partition_is_on_standard_output_too() {
    let card = stamped();
    card.put(0, Card::new(SECTORS).mbr(1, 0x0c, 2048, 4096).bytes().get(..512).expect("LBA 0"));
    let verified = run(&card, "verify").exits(5);
    verified.shows(&["state       valid", "problems", "the copy at LBA 6607 lies in a partition"]);
    let mapped = run(&card, "map").exits(0).shows(&["in a partition:    6607"]);
    mapped.says_one_sentence().says(&["the copy at LBA 6607 lies in a partition", "identity repair --force"]);
    let in_partition = &run(&card, "map --format json").exits(0).json()["in_partition"];
    assert_eq!(in_partition, &serde_json::json!([6607]));
    let sound = run(&stamped(), "map").exits(0).is_quiet();
    assert!(!sound.stdout.contains("in a partition"), "{}", sound.stdout);
}

#[test]
fn list_says_what_its_exit_code_means() {
    let help = identity_tests::cli::Identity::new("list --help").run().exits(0);
    help.shows(&["The exit code is 5 if two cards have one identity"]);
}

/// A card without a table cannot be stamped yet.
#[test]
fn no_stamp_is_advised_that_would_be_refused() {
    let blank = Image::zeroed(SECTORS as u64 * 512);
    for verb in ["read", "verify", "read --format csv"] {
        let said = run(&blank, verb).exits(3).says_one_sentence();
        said.says(&["no partition table", "sfdisk --label dos", "identity flash IMAGE"]);
    }
    let full = Image::of(Card::new(SECTORS).mbr(1, 0x0c, 40, 4096).put(6, &[7; 512]).bytes());
    run(&full, "verify").exits(3).says(&[
        "is blank: no slot holds an identity; no two of the 10 slots are free for one, and `identity map ",
    ]);
    for verb in ["read", "verify", "stamp --profile x"] {
        let unfinished = Image::mbr();
        unfinished.put(0, &Mark::new("os.img", None).encode());
        let said = run(&unfinished, verb).stderr;
        assert!(
            said.contains("identity flash IMAGE") && !said.contains("stamp") && !said.contains("sfdisk"),
            "{said}"
        );
    }
}

/// `losetup --offset`, or `dd` of one partition: what is needed is the whole card.
#[test]
fn a_part_of_a_card_is_said_to_be_one() {
    let image = stamped();
    let Some(part) = Loop::attach_whole(image.path(), &["--offset", "4194304"]) else { return };
    let file = image.path().display().to_string();
    let whole = format!("is only the part of {file} from byte 4194304 on; detach it with `losetup -d ");
    for (verb, code) in [("read", 3), ("verify", 3), ("stamp --profile x", 6)] {
        let said = part
            .run(verb)
            .exits(code)
            .says_one_sentence()
            .says(&[&whole, &format!("give the whole image, {file}")]);
        assert!(!said.stderr.contains("sfdisk") && !said.stderr.contains("dd if="), "{}", said.stderr);
    }
    for verb in ["repair", "erase", "derive", "bind --board=x"] {
        let said = part.run(verb).says(&[&whole]);
        assert!(
            !said.stderr.contains("sfdisk") && !said.stderr.contains("dd if="),
            "{verb}: {}",
            said.stderr
        );
    }
    part.run("map").exits(0).says(&[&whole]);
    let mkfs = identity_tests::cli::tool("mkfs.ext4").arg("-qF").arg(part.path()).status();
    assert!(mkfs.expect("mkfs.ext4, of e2fsprogs").success());
    for verb in ["read", "stamp --profile x", "repair", "erase", "derive", "bind --board=x"] {
        part.run(verb).says(&[&whole]);
    }
    drop(part);
    let file_system = Image::of(Card::new(SECTORS).bytes());
    let mkfs = identity_tests::cli::tool("mkfs.ext4").arg("-q").arg(file_system.path()).status();
    assert!(mkfs.expect("mkfs.ext4, of e2fsprogs").success());
    let said = run(&file_system, "stamp --profile x").exits(6);
    said.says(&["if this is the image of one partition, give the image of the whole card"]);
}

#[test]
fn map_names_the_device_in_every_command() {
    let card = Image::zeroed(SECTORS as u64 * 512);
    let mkfs = identity_tests::cli::tool("mkfs.ext4").arg("-q").arg(card.path()).status();
    assert!(mkfs.expect("mkfs.ext4, of e2fsprogs").success());
    let mapped = run(&card, "map").exits(0).shows(&["every slot busy:   "]);
    assert!(
        !mapped.stdout.contains("DEVICE") && mapped.stdout.matches("busy").count() == 1,
        "{}",
        mapped.stdout
    );
    assert!(!run(&card, "map --format json").exits(0).stdout.contains("DEVICE"));
}

/// A file beside the card's.
fn beside(card: &Image, name: &str, bytes: &[u8]) -> String {
    let dir = states(card);
    std::fs::create_dir_all(&dir).expect("own directory");
    let path = dir.join(name);
    std::fs::write(&path, bytes).expect("own directory");
    path.display().to_string()
}

/// Commands that it names are for the image: the card is sound, and they would harm it.
#[test]
fn what_an_image_has_no_room_for_is_mended_in_the_image() {
    let card = stamped();
    let mut swap = Image::mbr().bytes();
    swap[1024..1032].copy_from_slice(&[1, 0, 0, 0, 255, 0, 0, 0]);
    swap[4086..4096].copy_from_slice(b"SWAPSPACE2");
    let image = beside(&card, "swap.img", &swap);
    let said = card.unchanged_by(|| run(&card, &format!("flash --yes {image}"))).exits(6);
    let said = said.says(&[
        "no slot is free in the image",
        "`dd if=/dev/zero of=IMAGE bs=1 seek=4086 count=10 conv=notrunc` clears",
    ]);
    assert!(!said.stderr.contains(&format!("of={}", card.path().display())), "{}", said.stderr);
}

#[test]
fn an_image_without_room_for_an_identity_says_what_the_card_loses() {
    let blank = Image::mbr();
    let image = beside(&blank, "loader.img", &vec![1; 1 << 20]);
    let flash = format!("flash --no-table {image}");
    let said =
        blank.unchanged_by(|| run(&blank, &format!("flash --no-table --profile panda {image}"))).exits(6);
    said.says(&["LBA 0 does not end in 55 AA; name two sectors with --at, or leave out --profile"]);
    let card = stamped();
    let said = card.unchanged_by(|| run(&card, &flash)).exits(6).says_one_sentence();
    let said = said.says(&["no slot is free in the image", "--force", "the card loses its identity"]);
    assert!(!said.stderr.contains("sfdisk"), "{}", said.stderr);
    let done = run(&card, &format!("flash --no-table --force {image}")).exits(0);
    assert!(!done.stdout.contains("identity stamp --profile"), "{}", done.stdout);
}

#[test]
fn an_image_that_no_rerun_would_write_names_another_way() {
    let card = stamped();
    let image = beside(&card, "large.img", Card::new(2 * SECTORS).mbr(1, 0x0c, 8192, 4096).bytes());
    for tool in ["gzip", "xz"] {
        let packed = std::process::Command::new(tool).args(["-kf", &image]).status();
        assert!(packed.expect("gzip and xz").success());
    }
    // gzip does not say how long the image is.
    for (end, code) in [("", 6), (".xz", 6), (".gz", 5)] {
        let said = run(&card, &format!("flash {image}{end}")).exits(code).says_one_sentence();
        let said = said.says(&["but ", " has only 8388608; use a larger card, or a smaller image"]);
        assert!(!said.stderr.contains("run the same command again"), "{}", said.stderr);
    }
}

#[test]
fn a_disk_of_another_program_inside_a_packed_file_is_unpacked_first() {
    let card = stamped();
    let mut disk = Card::new(SECTORS).mbr(1, 0x0c, 8192, 4096).bytes().to_vec();
    disk.extend_from_slice(b"conectix");
    disk.extend_from_slice(&[0; 504]);
    let image = beside(&card, "disk.vhd", &disk);
    assert!(std::process::Command::new("gzip").args(["-kf", &image]).status().expect("gzip").success());
    let said = run(&card, &format!("flash {image}.gz")).exits(5);
    let unpacked = format!("{image}.gz.unpacked");
    let command = format!(
        "`gzip -dc {image}.gz > {unpacked}; qemu-img convert -f vpc -O raw {unpacked} {unpacked}.img`"
    );
    let said = said.says(&[&command]);
    assert!(!said.stderr.contains("run the same command again"), "{}", said.stderr);
}

/// A loop device without `-P` has partitions that the kernel was not asked for.
#[test]
fn flash_does_not_say_that_there_are_no_partitions() {
    let image = stamped();
    let Some(device) = Loop::attach_whole(image.path(), &[]) else { return };
    let os = beside(&image, "os.img", Card::new(SECTORS).mbr(1, 0x0c, 8192, 4096).bytes());
    let planned = device.run(format!("flash --dry-run {os}")).exits(0);
    planned.shows(&["partitions  the kernel lists none of this device"]);
}

/// One unit in progress, result, list and map; and no end is claimed of an image from a pipe.
#[test]
fn every_length_has_the_unit_of_the_options() {
    let card = Image::zeroed(64 << 20);
    let os = Card::new(64 << 11).mbr(1, 0x0c, 8192, 4096).bytes().to_vec();
    let image = beside(&card, "os.img", &os);
    let line = |image: &str| format!("{image} CARD");
    let in_terminal = |line: &str| in_a_terminal(&card, "y", line);
    let Some((code, shown)) = in_terminal(&line(&format!("IDENTITY flash --yes '{image}'"))) else { return };
    assert!(code == Some(0) && shown.contains("/64 MiB  ") && shown.contains(" left"), "{shown}");
    let from_pipe = line(&format!("cat '{image}' | IDENTITY flash --yes -"));
    let (code, piped) = in_terminal(&from_pipe).expect("as before");
    assert!(code == Some(0) && piped.contains("writing") && piped.contains("MiB"), "{piped}");
    let writing: String = piped.split("verifying").next().unwrap_or_default().into();
    assert!(!writing.contains(" left") && !writing.contains("0/0") && !writing.contains("[="), "{writing}");
    let other = |shown: &str| [" kB", " MB/", " MB ", " MB)", " GB"].iter().any(|unit| shown.contains(unit));
    let listed = run(&card, "map").stdout + &run(&card, &format!("flash --dry-run {image}")).stdout;
    assert!(!other(&shown) && !other(&piped) && !other(&listed), "{shown}{piped}{listed}");
    assert!(shown.contains(": 64 MiB in "), "{shown}");
}
