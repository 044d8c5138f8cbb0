// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity flash`: every packing, every bad image, and the identity through all of it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use identity_core::SECTOR_LEN;
use identity_fixtures::Card;
use identity_tests::block::{Loop, skipped};
use identity_tests::cli::{Identity, Outcome, tool};
use identity_tests::image::Image;
use serde_json::Value;

use crate::{OTHER, UUID};

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

    fn records(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("state/identity"));
        entries.map_or(vec![], |entries| entries.map(|entry| entry.unwrap().path()).collect())
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

#[test]
fn a_raw_image_and_the_card_keeps_its_identity() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let path = bench.file("a.img", &bytes);
    let before = bench.card.sector(52);
    bench.flash("", &path).exits(0).is_quiet().shows(&["read back and the same", UUID, "where the copies are"]);
    bench.holds(&bytes, UUID, [52, 6607]);
    assert_eq!(bench.card.sector(52), before, "nothing had to be written");
}

#[test]
fn every_packing_from_a_file_and_from_a_pipe() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let path = bench.file("a.img", &bytes);
    for packed in all_packings(&path) {
        for from_pipe in [false, true] {
            bench.card.put(0, &vec![0x11; 20 * SECTOR_LEN]).put(9000, &vec![0x22; 2000 * SECTOR_LEN]);
            if from_pipe {
                let mut cat = Command::new("cat").arg(&packed).stdout(Stdio::piped()).spawn().unwrap();
                let mut identity = bench.identity("flash -").arg(bench.card.path());
                identity.command().stdin(cat.stdout.take().unwrap());
                identity.run().exits(0).is_quiet();
                cat.wait().unwrap();
            } else {
                bench.flash("", &packed).exits(0).is_quiet();
            }
            bench.holds(&bytes, UUID, [52, 6607]);
        }
    }
}

#[test]
fn streams_in_a_row_are_one_image() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let (one, other) = bytes.split_at(5_000_000);
    let paths = [bench.file("one.img", one), bench.file("two.img", other)];
    let packings = paths.iter().map(|path| all_packings(path));
    let [one, other] = packings.collect::<Vec<_>>().try_into().unwrap();
    for (one, other) in one.iter().zip(&other).filter(|(one, _)| one.extension().unwrap() != "zip") {
        let both = bench.file("both", &[fs::read(one).unwrap(), fs::read(other).unwrap()].concat());
        bench.card.put(9000, &vec![0x22; 2000 * SECTOR_LEN]);
        bench.flash("", &both).exits(0);
        bench.holds(&bytes, UUID, [52, 6607]);
    }
}

#[test]
fn the_slots_follow_the_new_layout() {
    for (first_lba, lbas) in [(2048, [52, 1711]), (63, [52, 5]), (8192, [52, 6607])] {
        let (bench, bytes) = (Bench::stamped(), image(first_lba));
        bench.flash("", &bench.file("a.img", &bytes)).exits(0);
        bench.holds(&bytes, UUID, lbas);
        let generation = if first_lba == 8192 { 1 } else { 2 };
        assert_eq!(bench.card.copy(52).generation(), generation);
    }
}

#[test]
fn copies_put_by_hand_stay() {
    let (bench, bytes) = (Bench::blank(), image(PARTITION_LBA));
    bench.card.run(format!("stamp --uuid {UUID} --profile panda --at 3000,3100")).exits(0);
    bench.flash("", &bench.file("a.img", &bytes)).exits(0);
    assert_eq!(bench.card.copies(), [3000, 3100]);
    assert_eq!(bench.card.run("read --at 3000 --field uuid").exits(0).stdout.trim(), UUID);
}

#[test]
fn an_identity_in_the_image_is_never_carried_over() {
    let other = Image::of(&image(PARTITION_LBA));
    other.run(format!("stamp --uuid {OTHER} --profile beagle")).exits(0);
    let clean = image(PARTITION_LBA);
    let bench = Bench::stamped();
    bench.flash("", other.path()).exits(0);
    bench.holds(&clean, UUID, [52, 6607]);

    let bench = Bench::blank();
    bench.flash("", other.path()).exits(0).shows(&["no identity"]);
    assert!(bench.card.bytes()[..clean.len()] == clean);
    bench.card.run("read").exits(3);
}

#[test]
fn two_cards_from_one_image_never_share_an_identity() {
    let other = Image::of(&image(PARTITION_LBA));
    other.run(format!("stamp --uuid {OTHER} --profile beagle")).exits(0);
    let uuid = |bench: &Bench| {
        let outcome = bench.flash("--profile panda --hostname h --format json", other.path()).exits(0);
        let done: Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
        assert_eq!((&done["event"], &done["identity"]["profile"]), (&"done".into(), &"panda".into()));
        done["identity"]["uuid"].as_str().unwrap().to_owned()
    };
    let (one, two) = (Bench::blank(), Bench::blank());
    let uuids = [uuid(&one), uuid(&two)];
    assert!(uuids[0] != uuids[1] && !uuids.contains(&OTHER.to_owned()));
    // A card that has one keeps it; another role is not given to it in passing.
    assert_eq!(uuid(&one), uuids[0]);
    one.flash("--profile beagle", other.path()).exits(6).says(&[&uuids[0], "stamp"]);
}

#[test]
fn no_free_slot_is_refused_before_the_first_byte() {
    let (bench, bytes) = (Bench::stamped(), image(8));
    let path = bench.file("a.img", &bytes);
    bench.refuses("", &path, 6, &["no two slots are free", "--force"]);
    bench.flash("--force", &path).exits(0).says(&["without identity"]).shows(&["only in"]);
    assert!(bench.card.bytes()[..bytes.len()] == bytes);
    bench.card.run("read").exits(3);
    // It is not gone for good.
    let record = bench.records().pop().unwrap();
    let back = Image::mbr();
    let mut stamp = bench.identity("stamp --restore");
    stamp = stamp.arg(&record).arg(back.path());
    stamp.run().exits(0).shows(&[UUID, "generation  2"]);
    assert_eq!(bench.records(), [] as [PathBuf; 0]);
}

#[test]
fn an_image_with_an_overlapping_gpt() {
    let mut card = Card::new(SECTORS);
    let linux = identity_fixtures::card::LINUX;
    card.gpt(2, &[(linux, 8192, 12000, "a"), (linux, 11000, 13000, "b")]);
    let bench = Bench::stamped();
    bench.refuses("", &bench.file("a.img", card.bytes()), 6, &["overlap"]);
    let bench = Bench::blank();
    bench.flash("", &bench.file("a.img", card.bytes())).exits(0);
}

#[test]
fn images_of_the_wrong_length() {
    let bytes = image(PARTITION_LBA);
    let bench = Bench::stamped();
    bench.refuses("", &bench.file("ragged.img", &bytes[..bytes.len() - 100]), 6, &["multiple of 512"]);
    bench.refuses("", &bench.file("empty.img", &[]), 6, &["empty"]);
    bench.refuses("", &bench.file("short.img", &bytes[..1000]), 6, &["multiple of 512"]);
    let large = vec![1; (SECTORS + 2048) * SECTOR_LEN + 512];
    bench.refuses("", &bench.file("large.img", &large), 6, &["larger card"]);
    // xz says how long the image is.
    if let Some(xz) = packed(&bench.file("large.img", &large), "xz", &["-c", "-0"]) {
        bench.refuses("", &xz, 6, &["larger card"]);
    }
    // gzip does not, and so the card is begun.
    if let Some(gz) = packed(&bench.path("large.img"), "gzip", &["-1", "-c"]) {
        bench.is_unfinished(bench.flash("", &gz), 6, &["larger card"]);
    }
    bench.flash("", &bench.file("a.img", &bytes)).exits(0);
    bench.holds(&bytes, UUID, [52, 6607]);
}

#[test]
fn a_packed_image_that_is_cut_off_or_damaged() {
    let bytes = image(PARTITION_LBA);
    let source = Bench::blank();
    for packed in all_packings(&source.file("a.img", &bytes)) {
        let whole = fs::read(&packed).unwrap();
        let format = packed.extension().unwrap().to_str().unwrap();
        // In what is read before anything is written.
        let bench = Bench::stamped();
        bench.refuses("", &bench.file("cut", &whole[..whole.len() / 50]), 6, &["ends in the middle"]);
        // Late: all of the packings have a checksum, and zip a directory, at the end.
        for cut in [whole.len() * 9 / 10, whole.len() - 1] {
            let bench = Bench::stamped();
            let outcome = bench.flash("", &bench.file("cut", &whole[..cut]));
            if format == "zip" && cut == whole.len() - 1 {
                // Only the last byte of the archive's comment length: the file in it is whole.
                outcome.exits(0);
                continue;
            }
            if outcome.stderr.contains("unfinished") {
                bench.is_unfinished(outcome, 6, &[]);
            } else {
                outcome.exits(6);
            }
            bench.flash("", &packed).exits(0);
            bench.holds(&bytes, UUID, [52, 6607]);
        }
        let mut damaged = whole.clone();
        for byte in &mut damaged[whole.len() * 3 / 4..][..64] {
            *byte ^= 0x5a;
        }
        let bench = Bench::stamped();
        bench.is_unfinished(bench.flash("", &bench.file("damaged", &damaged)), 6, &["is damaged"]);
        bench.flash("", &packed).exits(0);
        bench.holds(&bytes, UUID, [52, 6607]);
    }
}

#[test]
fn what_is_no_image() {
    let bench = Bench::stamped();
    let path = bench.file("a.img", &image(PARTITION_LBA));
    bench.refuses("", &bench.path("absent.img"), 7, &["absent.img"]);
    bench.refuses("", bench.state.path(), 7, &["directory"]);
    bench.refuses("", &bench.file("x.7z", b"7z\xbc\xaf\x27\x1c and so on"), 6, &["7z archive"]);
    let mut tar = vec![0; 10240];
    tar[257..262].copy_from_slice(b"ustar");
    let tar = bench.file("x.tar", &tar);
    bench.refuses("", &tar, 6, &["tar archive"]);
    if let Some(gz) = packed(&tar, "gzip", &["-c"]) {
        bench.refuses("", &gz, 6, &["gzip", "tar archive"]);
    }
    if let Some(zip) = zipped(&path, &[&tar]) {
        bench.refuses("", &zip, 6, &["2 files"]);
        let outcome = {
            let mut identity = bench.identity("flash -").arg(bench.card.path());
            identity.command().stdin(File::open(&zip).unwrap());
            identity.run()
        };
        bench.is_unfinished(outcome, 6, &["more than one file"]);
    }
}

#[test]
fn the_image_is_not_its_own_target() {
    let card = Image::of(&image(PARTITION_LBA));
    card.unchanged_by(|| {
        Identity::new("flash").arg(card.path()).arg(card.path()).run().exits(6).says(&["is the image itself"])
    });
}

#[test]
fn targets_that_are_none() {
    let bench = Bench::blank();
    let path = bench.file("a.img", &image(PARTITION_LBA));
    let absent = bench.path("absent");
    bench.identity("flash").arg(&path).arg(&absent).run().exits(7).says_one_sentence();
    assert!(!absent.exists());
    bench.identity("flash").arg(&path).arg(bench.state.path()).run().exits(7).says_one_sentence();
    bench.identity("flash").arg(&path).arg("/dev/null").run().exits(7).says_one_sentence();
}

/// The SHA-256 of a file, by coreutils.
fn sum(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn the_sum_of_the_file_as_distributed() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let path = bench.file("a.img", &bytes);
    let packed = packed(&path, "gzip", &["-c"]).expect("gzip, which is essential");
    let (good, bad) = (sum(&packed), sum(&path));
    bench.refuses(&format!("--sha256 {bad}"), &packed, 6, &[&good, &bad]);
    bench.flash(&format!("--sha256 {good}"), &packed).exits(0);

    let beside = bench.path("a.gzip.sha256");
    for (text, code) in [
        (format!("{good}\n"), 0),
        (format!("{good}  a.gzip\n"), 0),
        (format!("{bad}  a.gzip\n"), 6),
        (format!("{bad}  a.img\n"), 6),
        ("nonsense".to_owned(), 6),
    ] {
        fs::write(&beside, &text).unwrap();
        if code == 0 {
            bench.flash("", &packed).exits(0);
            bench.holds(&bytes, UUID, [52, 6607]);
        } else {
            bench.refuses("", &packed, code, &["a.gzip.sha256"]);
        }
    }
    // Given on the command line, it is what counts.
    bench.flash(&format!("--sha256 {good}"), &packed).exits(0);

    // From a pipe it is known only at the end.
    for (sum, code) in [(&bad, 6), (&good, 0)] {
        let mut identity = bench.identity(format!("flash --sha256 {sum} -")).arg(bench.card.path());
        identity.command().stdin(File::open(&packed).unwrap());
        let outcome = identity.run();
        if code == 0 {
            outcome.exits(0);
            bench.holds(&bytes, UUID, [52, 6607]);
        } else {
            bench.is_unfinished(outcome, code, &["SHA-256"]);
        }
    }
}

#[test]
fn block_maps_as_bmaptool_writes_them() {
    let mut bytes = image(PARTITION_LBA);
    bytes[6_000_000..9_000_000].fill(0);
    let bench = Bench::stamped();
    let path = bench.file("a.img", &bytes);
    let map = bench.path("a.img.bmap");
    fs::OpenOptions::new().write(true).open(&path).unwrap().sync_all().unwrap();
    let dug = tool("fallocate").arg("--dig-holes").arg(&path).status();
    let made = tool("bmaptool").args(["create", "--output"]).args([&map, &path]).output();
    if !dug.is_ok_and(|status| status.success()) || !made.is_ok_and(|output| output.status.success()) {
        skipped("a test needs bmaptool and a file system with holes");
        return;
    }
    bench.card.put(13000, &[0x77; 512]);
    bench.flash("", &path).exits(0).is_quiet();
    assert_eq!(bench.card.sector(13000), [0x77; 512], "a hole is not written");
    bench.card.clear(13000);
    bench.holds(&bytes, UUID, [52, 6607]);

    let text = fs::read_to_string(&map).unwrap();
    fs::write(&map, text.replace("<BlockSize> 4096", "<BlockSize> 8192")).unwrap();
    bench.refuses("", &path, 6, &["checksum", "--no-bmap"]);
    bench.flash("--no-bmap", &path).exits(0);
    // The map of another image: behind the head, so found on the way, with a packed one.
    fs::write(&map, &text).unwrap();
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    let other = packed(&bench.file("b.img", &other), "gzip", &["-c"]).expect("gzip");
    let outcome = bench.flash(&format!("--bmap {}", map.display()), &other);
    bench.is_unfinished(outcome, 6, &["block map"]);
    // Of an image of another length: found before.
    let short = Bench::stamped();
    let cut = short.file("c.img", &bytes[..bytes.len() - 4096]);
    short.refuses(&format!("--bmap {}", map.display()), &cut, 6, &["block map"]);
}

/// A bmap 1.3 by hand.
#[test]
fn hostile_block_maps() {
    let bench = Bench::stamped();
    let path = bench.file("a.img", &image(PARTITION_LBA));
    let len = SECTORS * SECTOR_LEN;
    let map = |range: &str| {
        format!(
            "<bmap version=\"1.2\"><ImageSize>{len}</ImageSize><BlockSize>4096</BlockSize>\
             <BlockMap><Range>{range}</Range></BlockMap></bmap>"
        )
    };
    for (text, part) in [
        (map("0-2560"), "beyond the image"),
        (map("5-3"), "backwards"),
        (map("0-1</Range><Range>1-2"), "overlaps"),
        (map("-"), "number"),
        (map("&lt;"), "entity"),
        ("<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]>".to_owned() + &map("&c;"), "document type"),
        (String::new(), "version"),
        ("<bmap version=\"2.0\">".to_owned(), "BmapFileChecksum"),
        ("<".repeat(1 << 20), "block map"),
    ] {
        let file = bench.file("x.bmap", text.as_bytes());
        bench.refuses(&format!("--bmap {}", file.display()), &path, 6, &[part]);
    }
    bench.refuses("--bmap absent.bmap", &path, 7, &["absent.bmap"]);
}

#[test]
fn a_dry_run_writes_nothing() {
    let (bench, bytes) = (Bench::stamped(), image(2048));
    let path = bench.file("a.img", &bytes);
    let before = bench.card.bytes();
    bench.flash("--dry-run", &path).exits(0).shows(&["kept, moved, at LBA 52, 1711", "LBA 0", "nothing was written"]);
    let plan = bench.flash("--dry-run --format json", &path).exits(0).json();
    assert_eq!((&plan["action"], &plan["places"]), (&"keep".into(), &serde_json::json!([52, 1711])));
    assert_eq!(plan["image_bytes"], bytes.len());
    assert!(before == bench.card.bytes());
    assert_eq!(bench.records(), [] as [PathBuf; 0]);
}

#[test]
fn progress_in_lines_of_json() {
    let bench = Bench::stamped();
    let path = bench.file("a.img", &image(PARTITION_LBA));
    let outcome = bench.flash("--format json", &path).exits(0);
    let lines: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |phase: &str| lines.iter().filter(|line| line["phase"] == phase).count();
    assert!(of("write") >= 1 && of("verify") >= 1, "{}", outcome.stdout);
    for line in &lines[..lines.len() - 1] {
        assert!(line["event"] == "progress" && line["bytes"].is_u64() && line["bytes_per_second"].is_u64());
    }
    let done = lines.last().unwrap();
    assert_eq!((&done["event"], &done["verified"]), (&"done".into(), &true.into()));
    assert_eq!((&done["identity"]["uuid"], &done["image_bytes"]), (&UUID.into(), &(SECTORS * SECTOR_LEN).into()));
}

#[test]
fn a_card_that_fails_half_way() {
    let bytes = image(PARTITION_LBA);
    for (fault, lba, part) in [
        ("FAULT_WRITE", "15000", "cannot write"),
        ("FAULT_WRITE", "100", "cannot write"),
        ("FAULT_LIE", "15000", "read back differently"),
        ("FAULT_LIE", "70", "read back differently"),
    ] {
        let bench = Bench::stamped();
        let path = bench.file("a.img", &bytes);
        let outcome = bench.identity("flash").arg(&path).arg(bench.card.path()).fault(fault, lba).run();
        bench.is_unfinished(outcome, 7, &[part]);
        bench.flash("", &path).exits(0);
        bench.holds(&bytes, UUID, [52, 6607]);
    }
    // Nothing is unfinished where nothing could be begun; the record stays until the next try.
    let bench = Bench::stamped();
    let path = bench.file("a.img", &bytes);
    bench.identity("flash").arg(&path).arg(bench.card.path()).fault("FAULT_WRITE", "0").run().exits(7);
    assert_eq!(bench.card.run("read --field uuid").exits(0).stdout.trim(), UUID);
    bench.flash("", &path).exits(0);
    bench.holds(&bytes, UUID, [52, 6607]);
}

#[test]
fn the_power_goes_at_every_write() {
    let bytes = image(2048);
    let mut cuts = 0;
    for number in 1.. {
        let bench = Bench::stamped();
        let path = bench.file("a.img", &bytes);
        let cut = format!("{number}:{}", 512 * (number % 3));
        let outcome = bench.identity("flash").arg(&path).arg(bench.card.path()).fault("FAULT_CUT", cut).run();
        assert_eq!(bench.card.run("read --field uuid").exits(0).stdout.trim(), UUID, "write {number}");
        if outcome.code == Some(0) {
            break;
        }
        assert_eq!(outcome.code, Some(99), "{outcome:?}");
        cuts += 1;
        bench.flash("", &path).exits(0);
        bench.holds(&bytes, UUID, [52, 1711]);
    }
    assert!(cuts > 5, "{cuts}");
}

#[test]
fn a_lost_identity_comes_back() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let path = bench.file("a.img", &bytes);
    let fail = |bench: &Bench| {
        bench.identity("flash").arg(&path).arg(bench.card.path()).fault("FAULT_WRITE", "15000").run().exits(7);
        bench.card.clear(52).clear(6607);
    };
    fail(&bench);
    bench.flash("", &path).exits(0).says(&["gets back the identity", UUID]);
    bench.holds(&bytes, UUID, [52, 6607]);

    // By hand.
    fail(&bench);
    let record = bench.records().pop().unwrap();
    bench.card.put(0, &image(PARTITION_LBA)[..SECTOR_LEN]);
    bench.identity("stamp --restore").arg(&record).arg(bench.card.path()).run().exits(0).shows(&[UUID]);
    assert_eq!(bench.records(), [] as [PathBuf; 0]);

    // Without the mark it may be another card: a person says.
    fail(&bench);
    let record = bench.records().pop().unwrap();
    bench.card.clear(0);
    let shown = record.display().to_string();
    let outcome = bench.flash("", &path).exits(6);
    outcome.says(&["--no-restore", "--restore", &shown]);
    bench.flash(&format!("--restore {shown}"), &path).exits(0);
    bench.holds(&bytes, UUID, [52, 6607]);

    let file = bench.file("bad.json", b"{}");
    bench.flash(&format!("--restore {}", file.display()), &path).exits(6).says(&["is no record"]);
}

#[test]
fn interrupted_by_a_signal() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    for (signal, options) in [("-INT", "--format json"), ("-TERM", "--format json")] {
        // A pipe that stays open: the flash waits for the rest of the image.
        let mut identity = bench.identity(format!("flash {options} -")).arg(bench.card.path());
        identity.command().stdin(Stdio::piped()).process_group(0);
        let mut running = identity.start();
        let mut stdin = running.child().stdin.take().unwrap();
        stdin.write_all(&bytes[..12288 * SECTOR_LEN]).unwrap();
        // Until what has been sent is written.
        let mut lines = BufReader::new(running.child().stdout.take().unwrap()).lines();
        let begun = lines.find(|line| {
            let line: Value = serde_json::from_str(line.as_ref().unwrap()).unwrap();
            line["bytes"].as_u64().unwrap() > 0
        });
        // Where nothing has been shown yet, there is the mark.
        assert!(begun.is_some() || bench.card.sector(0)[64] == b'i');
        let pid = running.child().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let outcome = running.wait();
        bench.is_unfinished(outcome, 130, &["interrupted"]);
        drop(stdin);
    }
    bench.flash("", &bench.file("a.img", &bytes)).exits(0);
    bench.holds(&bytes, UUID, [52, 6607]);
}

#[test]
fn a_block_device() {
    let (bench, bytes) = (Bench::stamped(), image(2048));
    let path = bench.file("a.img", &bytes);
    let Some(device) = Loop::attach(bench.card.path(), &[]) else { return };
    let before = bench.card.bytes();
    let flash = |options: &str| bench.identity(format!("flash {options}")).arg(&path).arg(device.path()).run();
    flash("").exits(6).says(&["--yes"]);
    flash("--dry-run").exits(0).shows(&["partitions", "device"]);
    assert!(before == bench.card.bytes());
    flash("--yes").exits(0).is_quiet();
    drop(device);
    bench.holds(&bytes, UUID, [52, 1711]);
}
