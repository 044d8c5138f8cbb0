// SPDX-License-Identifier: MIT OR Apache-2.0
//! The readers that docs/LINUX.md shows, as they stand there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use identity_tests::image::Image;
use identity_tests::workspace;
use serde_json::Value;
use tempfile::TempDir;

/// The only block of the document in this language.
fn block(language: &str) -> String {
    let text = fs::read_to_string(workspace().join("docs/LINUX.md")).expect("the document");
    let (_, rest) = text.split_once(&format!("\n```{language}\n")).expect("a block");
    rest.split_once("\n```").expect("its end").0.to_owned() + "\n"
}

/// A card with this golden sector in its place, or elsewhere in the first slot.
fn card_with(entry: &Value, directory: &Path) -> Option<PathBuf> {
    let golden = workspace().join("fixtures/sectors").join(entry["file"].as_str()?);
    let at = usize::try_from(entry["lba"].as_u64()?).ok()?.checked_mul(512)?;
    let slots = [52, 6607, 2703, 1711, 5, 54, 6959, 2927, 1777, 7];
    if !slots.contains(&entry["lba"].as_u64()?) {
        return None;
    }
    let mut bytes = vec![0; at];
    bytes.extend(fs::read(golden).expect("a golden sector"));
    let path = directory.join("card.img");
    fs::write(&path, bytes).expect("room for a card");
    Some(path)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn the_reader_in_python_agrees_with_the_golden_sectors() {
    let dir = TempDir::new().expect("a directory");
    let script = dir.path().join("read_identity.py");
    fs::write(&script, block("python")).expect("room");
    let index = fs::read_to_string(workspace().join("fixtures/sectors/sectors.json")).expect("the index");
    let index: Value = serde_json::from_str(&index).expect("JSON");
    let (mut valid, mut refused) = (0, 0);
    for entry in index["sectors"].as_array().expect("sectors") {
        // What only a faulty writer makes, with a checksum that is right: read_sector.py finds it.
        let defect = entry["defect"].as_str();
        if !matches!(defect, None | Some("crc")) {
            continue;
        }
        let Some(card) = card_with(entry, dir.path()) else { continue };
        let output = Command::new("python3").arg(&script).arg(card).output().expect("python3");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let file = &entry["file"];
        match entry["outcome"].as_str().expect("text") {
            "valid" => {
                let identity = &entry["identity"];
                let assigned = identity["assigned_macs"].as_array().expect("a list");
                let first = assigned.iter().find(|mac| mac["index"] == 0).map(|mac| &mac["address"]);
                let mac = first.unwrap_or(&identity["derived_macs"][0]);
                let text = |value: &Value| value.as_str().expect("text").to_owned();
                let expected =
                    [&identity["uuid"], &identity["profile"], mac, &identity["machine_id"]].map(text);
                // Only one copy is there.
                assert_eq!(stdout(&output), format!("degraded {}", expected.join(" ")), "{file}: {errors}");
                valid += 1;
            }
            outcome => {
                let state = if outcome == "foreign" { "blank" } else { outcome };
                assert_eq!(errors.trim(), state, "{file}");
                refused += 1;
            }
        }
    }
    assert!(valid > 10 && refused > 10, "{valid} valid, {refused} refused");
}

/// The readers in Python and C see what `identity read` sees, with a hint and without.
#[test]
fn the_readers_search_as_the_command_does() {
    let dir = TempDir::new().expect("a directory");
    let script = dir.path().join("read_identity.py");
    fs::write(&script, block("python")).expect("room");
    let (program, other_reader) = (c_reader(dir.path()), workspace().join("fixtures/read_card.py"));
    let check = |image: &Image, hint: Option<u32>, state: &str| {
        let hint = hint.map(|lba| lba.to_string());
        let run = |command: &mut Command| command.arg(image.path()).args(&hint).output().expect("it starts");
        let at = hint.as_ref().map_or(String::new(), |lba| format!(" --at {lba}"));
        let json = image.run(format!("read --format json{at}")).json();
        assert_eq!(json["state"], state);
        let python = run(Command::new("python3").arg(&script));
        let said = if python.status.success() { &python.stdout } else { &python.stderr };
        let said = String::from_utf8_lossy(said);
        assert_eq!(said.split_whitespace().next(), Some(state), "{said}");
        let independent: Value =
            serde_json::from_slice(&run(&mut Command::new(&other_reader)).stdout).expect("JSON");
        assert_eq!((&independent["state"], &independent["uuid"]), (&json["state"], &json["uuid"]));
        let c = run(&mut Command::new(&program));
        if matches!(state, "valid" | "degraded") {
            let uuid = json["uuid"].as_str().expect("text");
            assert_eq!(said.split_whitespace().nth(1), Some(uuid), "{said}");
            assert_eq!(stdout(&c), format!("panda {}", json["macs"][0]["address"].as_str().expect("text")));
        } else {
            let number =
                ["blank", "valid", "degraded", "corrupt", "conflict"].iter().position(|name| *name == state);
            assert_eq!(c.status.code(), number.and_then(|number| i32::try_from(10 + number).ok()), "{state}");
        }
    };
    let other = Image::stamped("--profile other --at 5,7");
    let image = Image::stamped("--profile panda");
    check(&image, None, "valid");
    // A loader's region from another card brings one copy, in any slot.
    image.put(7, &other.sector(7));
    check(&image, None, "conflict");
    check(&image, Some(52), "conflict");
    image.clear(7);
    for lba in [52, 6607] {
        image.damage(lba);
        check(&image, None, if lba == 52 { "degraded" } else { "corrupt" });
    }

    let elsewhere = Image::stamped("--profile panda --at 300,400");
    check(&elsewhere, None, "blank");
    for hint in [300, 400] {
        check(&elsewhere, Some(hint), "valid");
    }
    elsewhere.put(7, &other.sector(7));
    check(&elsewhere, Some(300), "conflict");
    check(&Image::stamped("--profile panda --at 52,300"), None, "valid");
}

/// The program in C, compiled.
fn c_reader(dir: &Path) -> PathBuf {
    let (source, program) = (dir.join("example.c"), dir.join("example"));
    fs::write(&source, block("c")).expect("room");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // With the features that `cargo test --workspace` has used, nothing is compiled again.
    cargo.args(["build", "--quiet", "--locked", "--workspace", "--example", "staticlib"]);
    assert!(cargo.current_dir(workspace()).status().expect("cargo").success());
    // This test lies in a directory beside the examples'.
    let here = std::env::current_exe().expect("Linux");
    let library = here.ancestors().nth(2).expect("target/debug").join("examples/libstaticlib.a");
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Wextra", "-Werror", "-I"]).arg(workspace().join("uboot-patch/include"));
    cc.arg(&source).arg(library).arg("-o").arg(&program);
    assert!(cc.status().expect("a C compiler").success(), "the example does not compile");
    program
}

#[test]
fn the_reader_in_c_prints_what_the_command_prints() {
    let dir = TempDir::new().expect("a directory");
    let program = c_reader(dir.path());
    let image = Image::mbr();
    let run = || Command::new(&program).arg(image.path()).output().expect("it starts");
    assert_eq!(run().status.code(), Some(10), "IDENTITY_BLANK");
    image.run("stamp --profile panda").exits(0);
    let mac = image.run("read --field mac").exits(0).stdout;
    assert_eq!(stdout(&run()), format!("panda {}", mac.trim()));
    let first = image.copies()[0].try_into().expect("an LBA");
    image.damage(first);
    assert_eq!(stdout(&run()), format!("panda {}", mac.trim()), "degraded");
}
