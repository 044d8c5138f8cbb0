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
        if !matches!(defect, None | Some("crc" | "own_lba")) {
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
                assert_eq!(stdout(&output), expected.join(" "), "{file}: {errors}");
                valid += 1;
            }
            "newer" => assert!(errors.contains("newer than this reader"), "{file}: {errors}"),
            _ => {
                assert_eq!(errors.trim(), "no identity", "{file}");
                refused += 1;
            }
        }
    }
    assert!(valid > 10 && refused > 10, "{valid} valid, {refused} refused");
}

#[test]
fn the_reader_in_c_prints_what_the_command_prints() {
    let dir = TempDir::new().expect("a directory");
    let (source, program) = (dir.path().join("example.c"), dir.path().join("example"));
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
