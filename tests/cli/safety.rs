// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks that are no cards: the system's own, and fixed ones. What a run here could write to is the test's own, or
//! `FAULT_DENY` keeps it from writing at all.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};

use identity_tests::block::Loop;
use identity_tests::cli::{Identity, Outcome, program, tool};
use identity_tests::image::Image;
use identity_tests::machine::Machine;

use crate::UUID;

/// The disk that `/` is on.
fn system_disk() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    // The last mount at a place is the one that is seen.
    let words = mounts.lines().rev().map(|line| line.split(' ').collect::<Vec<_>>());
    let number = words.filter(|words| words[4] == "/").map(|words| words[2].to_owned()).next()?;
    let device = fs::canonicalize(Path::new("/sys/dev/block").join(number)).ok()?;
    let whole = if device.join("partition").exists() { device.parent()? } else { &device };
    let node = Path::new("/dev").join(whole.file_name()?);
    node.metadata().is_ok_and(|metadata| metadata.file_type().is_block_device()).then_some(node)
}

#[test]
fn the_system_disk_is_refused_even_by_force() {
    let image = Image::mbr();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let machine = Machine::new().card("sda", &card, &[]).mounted(&card, "/");
    // The real one, too, where `/` is on a disk.
    let real = system_disk();
    for words in [
        "stamp --profile panda",
        "stamp --profile panda --force --allow-fixed-disk",
        "stamp --profile panda --at 300,302 --force --allow-fixed-disk",
        "stamp --profile panda --dry-run --allow-fixed-disk",
        "repair --allow-fixed-disk",
        "erase --force --allow-fixed-disk",
    ] {
        let outcome = image.unchanged_by(|| machine.identity(words).arg("/dev/sda").run());
        outcome.exits(6).says_one_sentence().says(&["/dev/sda", "system disk"]).prints("");
        if let Some(disk) = &real {
            let outcome = Identity::new(words).arg(disk).fault("FAULT_DENY", "1").run();
            let shown = disk.display().to_string();
            outcome.exits(6).says_one_sentence().says(&[&shown, "system disk"]).prints("");
        }
    }
}

/// A loop device that looks to `identity` like the disk that `attributes` describe: in a mount namespace of its own,
/// where `/sys/dev/block` knows that disk alone.
fn disguised(image: &Image, card: &Loop, attributes: &[(&str, &str)], words: &str) -> Outcome {
    use std::os::unix::fs::MetadataExt;
    let sys = image.dir().join("sys");
    let disk = sys.join("sdq");
    let number = card.path().metadata().unwrap().rdev();
    let number = format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number));
    let plain = [("dev", number.as_str()), ("ro", "0"), ("queue/logical_block_size", "512")];
    for (name, value) in plain.iter().chain(attributes) {
        let path = disk.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{value}\n")).unwrap();
    }
    let link = sys.join(&number);
    let _ = fs::remove_file(&link);
    symlink(&disk, link).unwrap();
    let mut unshare = tool("unshare");
    let script = "mount --bind \"$1\" /sys/dev/block && shift && exec \"$@\"";
    unshare.args(["--mount", "sh", "-c", script, "sh"]).arg(&sys);
    Identity::prefixed(unshare, program(), words).arg(card.path()).run()
}

#[test]
fn a_fixed_disk_is_refused_unless_it_is_allowed() {
    let image = Image::mbr();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let fixed = [("removable", "0"), ("device/vendor", "ATA     "), ("device/model", "Big Disk 4000")];
    let run = |words: &str| disguised(&image, &card, &fixed, words);
    let before = image.bytes();
    for words in ["stamp --profile panda", "stamp --profile panda --force", "erase --force", "repair"] {
        let outcome = run(words).exits(6).says_one_sentence().prints("");
        outcome.says(&[&card.name(), "fixed disk", "Big Disk 4000", "--allow-fixed-disk"]);
    }
    assert!(image.bytes() == before);
    run(&format!("stamp --profile panda --uuid {UUID} --allow-fixed-disk")).exits(0).is_quiet();
    assert_eq!(image.copy(52).uuid().to_string(), UUID);
    run("read").exits(0);
    run("erase").exits(6);
    run("erase --allow-fixed-disk").exits(0);
    assert_eq!(image.copies(), [0; 0]);
}

#[test]
fn a_removable_disk_is_a_card() {
    let image = Image::mbr();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    disguised(&image, &card, &[("removable", "1")], "stamp --profile panda").exits(0);
    image.copy(52);
}

#[test]
fn a_device_that_sys_does_not_know_is_refused() {
    let image = Image::stamped("--profile panda");
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let empty = image.dir().join("empty");
    fs::create_dir(&empty).unwrap();
    let run = |words: &str| {
        let mut unshare = tool("unshare");
        let script = "mount --bind \"$1\" /sys/dev/block && shift && exec \"$@\"";
        unshare.args(["--mount", "sh", "-c", script, "sh"]).arg(&empty);
        Identity::prefixed(unshare, program(), words).arg(card.path()).run()
    };
    run("erase").exits(6).says_one_sentence().says(&[&card.name(), "/sys", "mount sysfs"]);
    // A small initramfs reads without it.
    run("read").exits(0).is_quiet();
}
