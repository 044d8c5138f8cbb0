// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity flash`: every packing, every bad image, and the identity through all of it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use identity_core::SECTOR_LEN;
use identity_fixtures::Card;
use identity_tests::block::{Loop, skipped};
use identity_tests::cli::{Identity, Outcome, tool};
use identity_tests::image::Image;
use serde_json::Value;

use crate::{OTHER, UUID};

mod failures;
mod given_back;
mod identity;
mod images;
mod storage;
mod sums;

/// Length of the images here in sectors: more than what is read before anything is written.
const SECTORS: usize = 20480;
const PARTITION_LBA: u32 = 8192;

/// A card to be written, an image, and the user's state directory, in one place.
struct Bench {
    card: Image,
    state: tempfile::TempDir,
}

/// An image with one partition, full of bytes that hardly repeat.
fn image(first_lba: u32) -> Vec<u8> {
    let mut card = Card::new(SECTORS);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = card.bytes_mut()[first_lba as usize * SECTOR_LEN..].chunks_exact_mut(8);
    for (number, word) in words.enumerate() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Every other KiB is the same, so that there is something to pack.
        let value = if number / 128 % 2 == 0 { state } else { 0x0123_4567_89ab_cdef };
        word.copy_from_slice(&value.to_le_bytes());
    }
    card.mbr(1, 0x83, first_lba, SECTORS as u32 - first_lba);
    card.into_bytes()
}

impl Bench {
    /// A card with another system, a bit larger than the images.
    fn blank() -> Self {
        let mut bytes = Card::new(SECTORS + 2048);
        bytes.mbr(1, 0x0c, PARTITION_LBA, 1000).put(9000, &[0x55; 4096]);
        Self { card: Image::of(bytes.bytes()), state: tempfile::tempdir().unwrap() }
    }

    /// The same with an identity.
    fn stamped() -> Self {
        let bench = Self::blank();
        bench.card.run(format!("stamp --uuid {UUID} --profile panda")).exits(0);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.state.path().join(name)
    }

    /// A file beside the state.
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn identity(&self, words: impl AsRef<str>) -> Identity {
        let mut identity = Identity::new(words);
        identity.command().env("XDG_STATE_HOME", self.path("state"));
        identity
    }

    fn flash(&self, options: &str, image: &Path) -> Outcome {
        self.identity(format!("flash {options}")).arg(image).arg(self.card.path()).run()
    }

    /// A flash of this image that the card ends in the middle.
    #[track_caller]
    fn cut_off(&self, image: &Path) {
        let flash = self.identity("flash").arg(image).arg(self.card.path());
        flash.fault("FAULT_WRITE", "15000").run().exits(7);
    }

    /// Runs `flash --yes` at a terminal, and answers; `None` where there is none to be had.
    fn flash_at_a_terminal(&self, answer: &str, image: &Path, card: &Path) -> Option<(Option<i32>, String)> {
        let [program, image, card] = [identity_tests::cli::program(), image, card].map(Path::display);
        let mut script = tool("sh");
        let pipeline = "printf '%s\\n' \"$2\" | script -qefc \"$1\" /dev/null";
        script.args(["-c", pipeline, "sh", &format!("'{program}' flash --yes '{image}' '{card}'"), answer]);
        script.env("XDG_STATE_HOME", self.path("state"));
        if tool("script").arg("--version").output().is_err() {
            skipped("a terminal needs script, of bsdutils");
            return None;
        }
        let output = script.output().unwrap();
        Some((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    fn records(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("state/identity"));
        let paths = entries.map_or(vec![], |entries| entries.map(|entry| entry.unwrap().path()).collect());
        // The note of who has got an identity from a file is none.
        paths.into_iter().filter(|path: &PathBuf| !path.display().to_string().contains("/given-")).collect()
    }

    /// The card is the image with this identity and nothing else, and no record is left.
    #[track_caller]
    fn holds(&self, image: &[u8], uuid: &str, lbas: [u32; 2]) {
        let mut now = self.card.bytes();
        now.truncate(image.len());
        for lba in lbas {
            assert_eq!(self.card.copy(lba).uuid().to_string(), uuid);
            now[lba as usize * SECTOR_LEN..][..SECTOR_LEN].fill(0);
        }
        assert_eq!(self.card.copies().len(), 2);
        assert!(now == image, "the card is not the image");
        assert_eq!(self.card.run("verify --format json").exits(0).json()["uuid"], uuid);
        assert_eq!(self.records(), [] as [PathBuf; 0]);
    }

    /// The card has not been touched, and there is no record.
    #[track_caller]
    fn refuses(&self, options: &str, image: &Path, code: i32, parts: &[&str]) {
        let before = self.card.bytes();
        self.flash(options, image).exits(code).says(parts).prints("");
        assert!(before == self.card.bytes(), "something was written");
        assert_eq!(self.records(), [] as [PathBuf; 0]);
    }

    /// The card was begun, says so, and still has its identity, as has a record.
    #[track_caller]
    fn is_unfinished(&self, outcome: Outcome, code: i32, parts: &[&str]) {
        let outcome = outcome.exits(code).says(parts).says(&["unfinished", UUID]);
        let record = self.records().pop().expect("a record");
        outcome.says(&[&record.display().to_string()]);
        assert_eq!(self.card.run("read --field uuid").exits(0).stdout.trim(), UUID);
        // What the flash says by its exit code, `verify` says of the card.
        self.card.run("verify").exits(5);
        let lba0 = self.card.sector(0);
        assert!(lba0[510..] == [0, 0] && lba0[64..].starts_with(b"identity flash: this card is unfinished"));
        let record: Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
        assert_eq!(record["identity"]["uuid"], UUID);
    }
}

/// Packs a file as users do; `None`, said aloud, where the program is missing.
fn packed(path: &Path, program: &str, args: &[&str]) -> Option<PathBuf> {
    let out = path.with_extension(program);
    let output = File::create(&out).unwrap();
    match tool(program).args(args).arg(path).stdout(output).status() {
        Ok(status) => {
            assert!(status.success(), "{program}");
            Some(out)
        }
        Err(_) => {
            skipped(&format!("a test needs {program}, which is not installed"));
            None
        }
    }
}

/// An image in every packing that this machine can make.
fn all_packings(path: &Path) -> Vec<PathBuf> {
    let packed: Vec<_> = [
        packed(path, "gzip", &["-c"]),
        packed(path, "bzip2", &["-c"]),
        packed(path, "xz", &["-c", "-T1"]),
        packed(path, "zstd", &["-q", "-c"]),
    ]
    .into_iter()
    .chain([zipped(path, &[])])
    .flatten()
    .collect();
    assert!(packed.len() > 1);
    packed
}

/// A zip archive as Info-ZIP makes it of these files.
fn zipped(path: &Path, more: &[&Path]) -> Option<PathBuf> {
    let out = path.with_extension("zip");
    match tool("zip").args(["-q", "-j"]).arg(&out).arg(path).args(more).status() {
        Ok(status) => {
            assert!(status.success());
            Some(out)
        }
        Err(_) => {
            skipped("a test needs zip, which is not installed");
            None
        }
    }
}
