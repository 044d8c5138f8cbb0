// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program killed at random moments, on a loop device: the identity is there, and the same command finishes the
//! work. `tests/proof` does it some hundreds of times, an ordinary run a few.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use identity_core::SECTOR_LEN;
use identity_fixtures::{Card, loader};
use identity_tests::block::Loop;
use identity_tests::cli::Identity;
use identity_tests::image::Image;
use identity_tests::random::Random;
use identity_tests::{figure, thorough};

use crate::UUID;

/// A source of moments, and its seed said aloud, so that a failure can be tried again with `IDENTITY_SEED`.
fn seeded() -> Random {
    let (random, seed) = Random::seeded();
    let test = std::thread::current();
    let _ = writeln!(std::io::stderr(), "{}: IDENTITY_SEED={seed}", test.name().unwrap_or_default());
    random
}

/// Starts it and kills it at a random moment of so long; whether it was still running.
fn kill(identity: Identity, within: Duration, random: &mut Random) -> bool {
    let mut running = identity.start();
    let moment = random.below(within.as_micros() as u64);
    sleep(Duration::from_micros(moment));
    let _ = running.child().kill();
    running.wait().code.is_none()
}

/// How long a whole run takes.
fn time(identity: Identity) -> Duration {
    let start = Instant::now();
    identity.run().exits(0);
    start.elapsed()
}

#[test]
fn a_killed_update_leaves_the_old_or_the_new_version() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID} --hostname h0 --set n=0"));
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let table = card.run("map --format json").exits(0).stdout;
    let update =
        |number: u64| card.identity(format!("stamp --uuid {UUID} --hostname h{number} --set n={number}"));
    let mut random = seeded();
    let within = time(update(0)) * 5 / 4;
    let wanted = if thorough() { 300 } else { 20 };
    let (mut kills, mut number, mut degraded) = (0, 0, 0);
    while kills < wanted {
        let before = format!("h{number}");
        number += 1;
        let after = format!("h{number}");
        kills += u64::from(kill(update(number), within, &mut random));
        assert!(number < 20 * wanted, "{kills} kills in {number} updates of {within:?}");

        let found = card.run("read --format json").exits(0).json();
        assert_eq!(found["uuid"], UUID);
        let hostname = found["hostname"].as_str().unwrap();
        assert!(hostname == before || hostname == after, "{hostname} after {before} and {after}");
        assert_eq!(hostname[1..], *found["variables"]["n"].as_str().unwrap(), "of one version");
        let verified = card.run("verify");
        match verified.code {
            Some(0) => (),
            Some(5) => degraded += 1,
            _ => drop(verified.exits(0)),
        }
        if random.below(2) == 0 {
            card.run("repair").exits(0);
        }
        update(number).run().exits(0);
        card.run("verify").exits(0).is_quiet();
        assert_eq!(card.run("read --field hostname").exits(0).stdout.trim(), after);
    }
    assert_eq!(card.run("map --format json").exits(0).stdout, table);
    figure(kills, "kills of stamp");
    figure(degraded, "of them left one of two copies, or an older one");
}

/// An image with one partition, full of bytes that hardly repeat.
fn image(sectors: usize) -> Vec<u8> {
    let mut card = Card::new(sectors);
    card.put(8192, &loader::noise(7, (sectors - 8192) * SECTOR_LEN));
    card.mbr(1, 0x83, 8192, sectors as u32 - 8192);
    card.into_bytes()
}

/// The card is the image with this identity, and no record is left.
fn assert_flashed(card: &Loop, image: &[u8], state: &Path) {
    let mut now = fs::read(card.path()).unwrap();
    now.truncate(image.len());
    for lba in [52, 6607] {
        now[lba * SECTOR_LEN..][..SECTOR_LEN].fill(0);
    }
    assert!(now == image, "the card is not the image");
    card.run("verify").exits(0).is_quiet();
    let left: Vec<_> =
        fs::read_dir(state.join("identity")).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(left.is_empty(), "a record is left: {left:?}");
}

#[test]
fn a_killed_flash_leaves_the_identity_and_is_done_again() {
    const SECTORS: usize = 40960;
    let old = Image::zeroed((SECTORS as u64 + 100) * SECTOR_LEN as u64);
    old.put(0, Card::new(1).mbr(1, 0x0c, 8192, 1000).bytes());
    old.run(format!("stamp --profile panda --uuid {UUID}")).exits(0);
    let Some(card) = Loop::attach(old.path(), &[]) else { return };
    let host = tempfile::tempdir().unwrap();
    let new = image(SECTORS);
    let file = host.path().join("new.img");
    fs::write(&file, &new).unwrap();
    let flash = || {
        let mut identity = Identity::new("flash --yes").arg(&file).arg(card.path());
        identity.command().env("XDG_STATE_HOME", host.path());
        identity
    };
    let mut random = seeded();
    let within = time(flash()) * 5 / 4;
    let wanted = if thorough() { 100 } else { 5 };
    let (mut kills, mut rounds, mut unfinished) = (0, 0, 0);
    while kills < wanted {
        rounds += 1;
        assert!(rounds < 20 * wanted, "{kills} kills in {rounds} flashes of {within:?}");
        kills += u64::from(kill(flash(), within, &mut random));
        assert_eq!(card.run("read --field uuid").exits(0).stdout.trim(), UUID);
        let card_now = fs::read(card.path()).unwrap();
        if card_now[..SECTOR_LEN] != new[..SECTOR_LEN] {
            unfinished += 1;
            assert!(card_now[64..].starts_with(b"identity flash: this card is unfinished"));
        }
        flash().run().exits(0);
        assert_flashed(&card, &new, host.path());
    }
    figure(kills, "kills of flash");
    figure(unfinished, "of them left a card that says that it is unfinished");
}
