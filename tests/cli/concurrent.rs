// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several programs at one card at once: nobody gets a mixture.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

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
