// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo package` makes of each crate what could be published, although nothing is.

use std::fs;
use std::path::Path;
use std::process::Command;

use identity_tests::workspace;
use tempfile::TempDir;

use crate::modules::CRATES;

/// The crates by their directories; `fixtures` is no use to others.
fn crates() -> impl Iterator<Item = &'static str> {
    CRATES.iter().copied().filter(|name| *name != "fixtures")
}

/// How a source names a file that is compiled into it.
const INCLUDES: [&str; 2] = ["include_str!(\"", "include_bytes!(\""];

/// The crates, unpacked side by side.
fn unpacked() -> TempDir {
    let dir = TempDir::new().expect("a directory");
    for name in crates() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["package", "--quiet", "--offline", "--exclude-lockfile", "--no-verify", "--allow-dirty"]);
        cargo.arg("--manifest-path").arg(workspace().join(name).join("Cargo.toml"));
        let output = cargo.env("CARGO_TARGET_DIR", dir.path()).output().expect("cargo");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let packages = fs::read_dir(dir.path().join("package")).expect("packages");
    for package in packages.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()) {
        let tar = Command::new("tar").arg("-xzf").arg(&package).arg("-C").arg(dir.path()).status();
        assert!(tar.expect("tar").success(), "{}", package.display());
    }
    dir
}

/// Every file that a source below `dir` includes, and whether it is there.
fn includes(dir: &Path, found: &mut Vec<(String, bool)>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            includes(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            for start in INCLUDES {
                for part in text.split(start).skip(1) {
                    let name = part.split('"').next().expect("a part");
                    let file = path.with_file_name(name);
                    found.push((format!("{} in {}", name, path.display()), file.is_file()));
                }
            }
        }
    }
}

#[test]
fn each_crate_is_packaged_with_all_that_it_needs() {
    let dir = unpacked();
    let mut count = 0;
    for entry in fs::read_dir(dir.path()).expect("a directory") {
        let path = entry.expect("an entry").path();
        if !path.join("Cargo.toml").is_file() {
            continue;
        }
        count += 1;
        let manifest = fs::read_to_string(path.join("Cargo.toml")).expect("text");
        assert!(manifest.contains("publish = false") && !manifest.contains("path = \"../"), "{manifest}");
        let mut found = Vec::new();
        includes(&path.join("src"), &mut found);
        let missing: Vec<_> = found.into_iter().filter(|(_, is_there)| !is_there).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
    assert_eq!(count, crates().count());
}
