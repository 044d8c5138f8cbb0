// SPDX-License-Identifier: MIT OR Apache-2.0
//! The house: which crate may know which, which module which, and what each leaves to others. `CONTRIBUTING.md` has the rules.

mod counts;
mod modules;
mod packages;
mod paths;
mod sizes;
mod source;
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use identity_tests::workspace;
use serde_json::Value;

/// The arrows: each crate by its directory, the crates of ours that it may use, and those that only its tests may use
/// besides. A crate may use itself in its tests.
const ARROWS: &[(&str, &[&str], &[&str])] = &[
    ("identity-core", &[], &["fixtures"]),
    ("identity-layout", &["identity-core"], &["fixtures"]),
    ("identity-host", &["identity-core", "identity-layout"], &["fixtures"]),
    ("identity-ui", &["identity-core", "identity-layout", "identity-host"], &["fixtures"]),
    ("identity-cli", &["identity-core", "identity-layout", "identity-host", "identity-ui"], &["fixtures"]),
    ("identity-lab", &["identity-core", "identity-layout", "identity-host", "identity-ui"], &["fixtures"]),
    ("identity-netroot", &[], &[]),
    ("uboot-patch", &["identity-core"], &["fixtures"]),
    ("fixtures", &["identity-core"], &[]),
    (
        "tests",
        &["identity-core", "fixtures"],
        &[
            "identity-layout",
            "identity-host",
            "identity-ui",
            "identity-cli",
            "identity-netroot",
            "uboot-patch",
        ],
    ),
];

/// Crates of others that bring arguments, terminals or colours, and those of ours that do without.
const WORDS_FOR_PEOPLE: &[&str] = &["clap", "anstream", "anstyle", "indicatif"];
const WITHOUT_WORDS: &[&str] = &["identity-core", "identity-layout", "identity-host", "uboot-patch"];

/// What cargo knows of the workspace.
fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(workspace());
    let output = cargo.output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The directories of our crates, and for each dependency its name or, if it is ours, its directory, and whether only tests
/// have it.
fn dependencies() -> BTreeMap<String, Vec<(String, bool)>> {
    let directory = |path: &Value| {
        let path = Path::new(path.as_str().expect("a path"));
        path.strip_prefix(workspace()).expect("in the workspace").to_string_lossy().into_owned()
    };
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let package = |package: &Value| {
        let manifest = directory(&package["manifest_path"]);
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let dependency = |dependency: &Value| {
            let name = match &dependency["path"] {
                Value::Null => dependency["name"].as_str().expect("a name").to_owned(),
                path => directory(path),
            };
            (name, dependency["kind"] == "dev")
        };
        (manifest.trim_end_matches("/Cargo.toml").to_owned(), dependencies.map(dependency).collect())
    };
    packages.map(package).collect()
}

#[test]
fn no_crate_depends_on_one_that_the_arrows_do_not_allow() {
    let crates = dependencies();
    let drawn: Vec<_> = ARROWS.iter().map(|(name, ..)| *name).collect();
    for name in crates.keys() {
        assert!(drawn.contains(&&name[..]), "the workspace has {name}, which has no arrows here");
    }
    for (name, always, in_tests) in ARROWS {
        for (dependency, is_for_tests) in &crates[*name] {
            let is_ours = drawn.contains(&&dependency[..]);
            let allowed = always.contains(&&dependency[..])
                || *is_for_tests && (in_tests.contains(&&dependency[..]) || dependency == name);
            assert!(allowed || !is_ours, "{name}/Cargo.toml: it may not depend on {dependency}");
        }
    }
}

#[test]
fn what_has_no_words_for_people_depends_on_no_crate_for_them() {
    let crates = dependencies();
    for name in WITHOUT_WORDS {
        for (dependency, _) in &crates[*name] {
            let is_for_words = WORDS_FOR_PEOPLE.iter().any(|words| dependency.starts_with(words));
            assert!(!is_for_words, "{name}/Cargo.toml: {dependency} is for those who speak to people");
        }
    }
}

/// The files of the source tree with one of these endings, by their paths in it.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    fn collect(directory: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                collect(&path, endings, found);
            } else if endings.iter().any(|ending| name.ends_with(ending)) && !path.is_symlink() {
                found.push(path.strip_prefix(workspace()).expect("inside").to_owned());
            }
        }
    }
    let mut found = Vec::new();
    collect(workspace(), endings, &mut found);
    found.sort();
    assert!(found.len() > 5, "only {found:?}");
    found
}
