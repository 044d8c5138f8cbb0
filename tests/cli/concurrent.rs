// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several programs at one card at once: nobody gets a mixture.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use identity_tests::cli::{Identity, tool};
use identity_tests::image::Image;
use rustix::fs::{FlockOperation, flock};

use crate::UUID;

/// More than the program's patience, less than a person's.
const BOUND: Duration = Duration::from_secs(20);

#[test]
fn of_several_stamps_at_once_one_wins_and_the_others_are_refused() {
    for _ in 0..3 {
        let image = Image::mbr();
        let running: Vec<_> = (0..4)
            .map(|number| image.identity(format!("stamp --profile panda --hostname h{number}")).start())
            .collect();
        let outcomes: Vec<_> = running.into_iter().map(|running| running.wait()).collect();
        let winners = outcomes.iter().filter(|outcome| outcome.code == Some(0)).count();
        assert_eq!(winners, 1, "{outcomes:?}");
        for outcome in outcomes.into_iter().filter(|outcome| outcome.code != Some(0)) {
            outcome.exits(6).says_one_sentence();
        }
        image.run("verify").exits(0).is_quiet();
        assert_eq!(image.copies(), [52, 6607]);
    }
}

#[test]
fn updates_at_once_are_counted_one_by_one() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID}"));
    let running: Vec<_> = (0..4)
        .map(|number| image.identity(format!("stamp --uuid {UUID} --set k{number}={number}")).start())
        .collect();
    for running in running {
        running.wait().exits(0);
    }
    let after = image.run("read --format json").exits(0).json();
    assert_eq!(after["generation"], 5);
    assert_eq!(after["variables"].as_object().unwrap().len(), 4, "no update is lost");
    image.run("verify").exits(0).is_quiet();
}

/// A reader that comes while an update is being written gets the version before it or that after it, whole; once it has got
/// the later one, so does every reader behind it.
#[test]
fn readers_meanwhile_get_one_version_or_the_other() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID} --hostname h0 --serial s0"));
    let read = || {
        let found = image.run("read --format json").exits(0).json();
        let number = |key: &str| found[key].as_str().unwrap()[1..].parse::<u64>().unwrap();
        let version = number("hostname");
        assert_eq!(version, number("serial"), "of one version: {found}");
        assert_eq!(version + 1, found["generation"], "of one version: {found}");
        version
    };
    for number in 1..=10 {
        let words = format!("stamp --uuid {UUID} --hostname h{number} --serial s{number}");
        let mut update = image.identity(words).start();
        let mut seen = number - 1;
        loop {
            let is_over = update.child().try_wait().unwrap().is_some();
            let now = read();
            assert!((seen..=number).contains(&now), "version {now}, after {seen}, while {number} is written");
            seen = now;
            if is_over {
                break;
            }
        }
        update.wait().exits(0);
        assert_eq!(seen, number, "the update is over");
    }
}

#[test]
fn a_file_that_another_program_has_locked_is_refused_in_bounded_time() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID}"));
    let holder = File::open(image.path()).unwrap();
    flock(&holder, FlockOperation::LockExclusive).unwrap();
    let start = Instant::now();
    let update = format!("stamp --uuid {UUID} --hostname new");
    let running: Vec<_> = [&update[..], "erase", "repair"].map(|verb| image.identity(verb).start()).into();
    for running in running {
        image.unchanged_by(|| running.wait().exits(6)).says_one_sentence().says(&["card.img", "in use"]);
    }
    assert!(start.elapsed() < BOUND);
    image.run("read").exits(0);
}

#[test]
fn a_file_that_is_unlocked_in_time_is_stamped() {
    let image = Image::mbr();
    let holder = File::open(image.path()).unwrap();
    flock(&holder, FlockOperation::LockExclusive).unwrap();
    let mut running = image.identity("stamp --profile panda").fault("FAULT_WAITING", "1").start();
    let mut stderr = BufReader::new(running.child().stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "waiting\n");
    drop(holder);
    running.wait().exits(0);
    image.run("verify").exits(0);
}

/// QEMU locks single bytes of an image that it has open, whether it writes or only reads.
#[test]
fn an_image_that_qemu_has_open_is_refused_and_qemu_gets_none_that_is_being_written() {
    let image = Image::stamped("--profile panda");
    let source = Image::mbr();
    for options in [&["-f", "raw"][..], &["-f", "raw", "-r"]] {
        let mut qemu = tool("qemu-io");
        qemu.args(options).arg(image.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut qemu = qemu.spawn().expect("qemu-io, of qemu-utils");
        let (mut stdin, mut stdout) = (qemu.stdin.take().unwrap(), qemu.stdout.take().unwrap());
        stdin.write_all(b"length\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"iB\n") {
            let mut byte = [0];
            stdout.read_exact(&mut byte).expect("an answer when it is open");
            answer.push(byte[0]);
        }
        image.unchanged("erase --force").exits(6).says_one_sentence().says(&["in use by another program"]);
        let flash = || source.identity("flash --yes").arg(image.path()).run();
        image.unchanged_by(flash).exits(6).says(&["in use by another program"]);
        drop(stdin);
        qemu.wait().expect("qemu-io");
    }
    image.run("erase").exits(0);

    // The other way round: a flash that waits for its image.
    let mut flash = Identity::new("flash --yes -").arg(image.path());
    flash.command().stdin(Stdio::piped());
    let mut running = flash.start();
    let mut stdin = running.child().stdin.take().unwrap();
    let (bytes, begun) = (source.bytes(), 4 << 20);
    stdin.write_all(&bytes[..begun]).unwrap();
    let qemu = tool("qemu-io").args(["-f", "raw", "-c", "write 0 512"]).arg(image.path()).output().unwrap();
    let said = String::from_utf8_lossy(&qemu.stderr);
    assert!(!qemu.status.success() && said.contains("lock"), "{qemu:?}");
    stdin.write_all(&bytes[begun..]).unwrap();
    drop(stdin);
    running.wait().exits(0);
}

#[test]
fn a_flash_that_goes_on_is_not_called_unfinished() {
    let image = Image::stamped("--profile panda");
    let bytes = image.bytes();
    let mut flash = Identity::new("flash --yes -").arg(image.path());
    flash.command().stdin(Stdio::piped());
    let mut flash = flash.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut pipe = flash.stdin.take().unwrap();
    let (first, rest) = bytes.split_at(6 << 20);
    pipe.write_all(first).unwrap();
    let said = || image.run("read").stderr;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !said().contains("is being written at this moment: a flash of standard input") {
        assert!(Instant::now() < deadline, "{}", said());
        thread::sleep(Duration::from_millis(20));
    }
    pipe.write_all(rest).unwrap();
    drop(pipe);
    assert!(flash.wait().unwrap().success());
    image.run("read").exits(0).is_quiet();
}
