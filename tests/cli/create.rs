// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stamp --create`: an image that other programs accept, and never a file that was there.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use identity_tests::cli::{Identity, program, tool};
use identity_tests::image::Image;
use identity_tests::run_where_installed;
use rustix::fs::SeekFrom;
use serde_json::{Value, json};

const PARTITION: usize = 4 << 20;

#[track_caller]
fn created(size: &str) -> Image {
    let image = Image::absent();
    image.run(format!("stamp --profile panda --create {size}")).exits(0).is_quiet();
    let names: Vec<_> = fs::read_dir(image.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["card.img"], "no other file is left behind");
    image
}

/// The partition alone, sparse as it is: most of it is holes.
fn copy_partition(image: &Path, to: &Path) {
    let (image, to) = (File::open(image).unwrap(), File::create(to).unwrap());
    let start = PARTITION as u64;
    to.set_len(image.metadata().unwrap().len() - start).unwrap();
    let mut at = start;
    while let Ok(data) = rustix::fs::seek(&image, SeekFrom::Data(at)) {
        at = rustix::fs::seek(&image, SeekFrom::Hole(data)).unwrap();
        let mut bytes = vec![0; (at - data) as usize];
        image.read_exact_at(&mut bytes, data).unwrap();
        to.write_all_at(&bytes, data - start).unwrap();
    }
}

#[test]
fn every_size_gives_a_table_and_a_file_system_that_others_accept() {
    for (size, bytes, kind) in [
        ("8M", 8_u64 << 20, "1"),
        ("8389120", (8 << 20) + 512, "1"),
        ("10m", 10 << 20, "e"),
        ("20480K", 20 << 20, "e"),
        ("64M", 64 << 20, "e"),
        ("100M", 100 << 20, "e"),
        ("2G", 2 << 30, "c"),
    ] {
        let image = created(size);
        let path = image.path();
        assert_eq!(path.metadata().unwrap().len(), bytes);
        image.run("verify").exits(0).is_quiet();

        let table = run_where_installed(tool("sfdisk").arg("--json").arg(path)).expect("sfdisk, of fdisk");
        let table: Value = serde_json::from_str(&table).unwrap();
        let partitions = table["partitiontable"]["partitions"].as_array().unwrap();
        let expected = json!([8192, bytes / 512 - 8192, kind]);
        let found = &partitions[0];
        assert_eq!(json!([found["start"], found["size"], found["type"]]), expected, "{size}");
        assert_eq!(partitions.len(), 1);

        let partition = image.dir().join("partition");
        copy_partition(path, &partition);
        run_where_installed(tool("fsck.vfat").arg("-n").arg("-v").arg(&partition)).expect("fsck.vfat");
    }
}

#[test]
fn files_go_in_and_come_out() {
    let image = created("64M");
    let inside = format!("{}@@{PARTITION}", image.path().display());
    let file = image.dir().join("zImage");
    let content: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    fs::write(&file, &content).unwrap();
    let copies = image.copies();
    run_where_installed(tool("mcopy").arg("-i").arg(&inside).arg(&file).arg("::zImage")).expect("mtools");
    let back = image.dir().join("back");
    run_where_installed(tool("mcopy").arg("-i").arg(&inside).arg("::zImage").arg(&back)).expect("mtools");
    assert!(fs::read(back).unwrap() == content);
    assert_eq!(image.copies(), copies);
    image.run("verify").exits(0);
}

#[test]
fn two_images_are_two_disks() {
    let id = |image: &Image| image.sector(0)[440..444].to_vec();
    let (one, two) = (created("8M"), created("8M"));
    assert_ne!(id(&one), id(&two));
    assert_ne!(id(&one), [0; 4]);
}

#[test]
fn a_file_is_never_overwritten() {
    for content in [&b""[..], b"precious"] {
        let image = Image::of(content);
        for force in ["", "--force"] {
            let outcome = image.unchanged(format!("stamp --profile panda --create 64M {force}")).exits(6);
            outcome.says_one_sentence().says(&["card.img exists", "leave out --create", "remove it"]);
        }
    }
    Identity::new("stamp --profile panda --create 64M /dev/null").run().exits(6).says(&["/dev/null exists"]);
}

#[test]
fn of_several_that_create_one_file_at_once_one_does() {
    let image = Image::absent();
    let start = || image.identity("stamp --profile panda --create 8M").start();
    let running: Vec<_> = (0..6).map(|_| start()).collect();
    let outcomes: Vec<_> = running.into_iter().map(|running| running.wait()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.code == Some(0)).count(), 1, "{outcomes:?}");
    for outcome in outcomes.into_iter().filter(|outcome| outcome.code != Some(0)) {
        outcome.exits(6).says(&["card.img exists"]);
    }
    assert_eq!(fs::read_dir(image.dir()).unwrap().count(), 1);
    image.run("verify").exits(0);
}

#[test]
fn sizes_that_make_no_card() {
    for size in ["0", "1M", "8191K", "8388609", "3000G", "99999999999999999999", "-1", "64MB", "x", ""] {
        let image = Image::absent();
        let create = || image.identity("stamp --profile panda").arg(format!("--create={size}")).run();
        image.unchanged_by(|| create().exits(2).says_one_sentence().says(&["--create"]));
    }
}

#[test]
fn what_fails_later_leaves_no_file() {
    let image = Image::absent();
    image.unchanged("stamp --profile pan/da --create 64M").exits(2);
    image.unchanged("stamp --profile panda --create 64M --at 8192,52").exits(6).says(&["partition"]);
    image.unchanged("stamp --profile panda --create 64M --at 1,1").exits(2);
    let fail = || image.identity("stamp --profile panda --create 64M").fault("FAULT_FLUSH", "1").run();
    image.unchanged_by(|| fail().exits(7).says_one_sentence().says(&["card.img"]));
}

#[test]
fn a_new_image_has_the_rights_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let image = Image::absent();
    let mut plain = tool("sh");
    plain.args(["-c", "umask 027; \"$0\" stamp --profile panda --create 8M \"$1\""]);
    plain.arg(identity_tests::cli::program()).arg(image.path());
    assert!(plain.output().unwrap().status.success());
    assert_eq!(image.path().metadata().unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_relative_name_is_made_here() {
    let image = Image::absent();
    let mut stamp = Identity::new("stamp --profile panda --create 8M card.img");
    stamp.command().current_dir(image.dir());
    stamp.run().exits(0).shows(&["stamped card.img"]);
    assert!(Path::new(image.path()).exists());
}

/// A record may be removed next, on another file system: the name has to outlive a power cut by then.
#[test]
fn the_directory_is_flushed_behind_the_name() {
    let image = Image::absent();
    let log = image.dir().join("calls");
    let mut strace = tool("strace");
    strace.args(["-f", "-y", "-e", "trace=fsync,rename,renameat,renameat2,link,linkat", "-o"]).arg(&log);
    let mut traced = Identity::prefixed(strace, program(), "stamp --profile panda --create 16M");
    traced.command().arg(image.path());
    traced.run().exits(0);
    let log = fs::read_to_string(&log).unwrap();
    let calls: Vec<_> = log.lines().collect();
    let named = calls.iter().position(|call| call.contains("card.img") && call.contains("= 0"));
    let directory = format!("<{}>", image.dir().display());
    let flushed = calls.iter().rposition(|call| call.contains("fsync(") && call.contains(&directory));
    assert!(named.is_some() && flushed > named, "{log}");
}

/// Where the file system has files without a name, as nearly every one has.
#[test]
fn a_killed_program_leaves_nothing() {
    let image = Image::absent();
    for call in ["pwrite64:signal=KILL:when=1", "pwrite64:signal=KILL:when=40", "fsync:signal=KILL:when=1"] {
        let mut strace = tool("strace");
        strace.args(["-f", "-o", "/dev/null", "-e", &format!("inject={call}")]);
        let mut traced = Identity::prefixed(strace, program(), "stamp --profile panda --create 64M");
        traced.command().arg(image.path());
        assert_eq!(traced.run().code, None, "{call}: killed");
        assert_eq!(fs::read_dir(image.dir()).unwrap().count(), 0, "{call}");
    }
}
