// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each script that a person calls explains itself, and says what is wrong with a call.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use identity_tests::workspace;
use tempfile::TempDir;

const SCRIPTS: &[&str] = &[
    "fixtures/read_card.py",
    "fixtures/read_sector.py",
    "linux/apply",
    "linux/build-cli",
    "linux/build-deb",
    "linux/identity-setup",
    "linux/install",
    "tests/bench/damage",
    "tests/bench/flash",
    "tests/bench/lab",
    "tests/bench/netboot",
    "tests/bench/read",
    "tests/bench/run",
    "tests/bench/size",
    "tests/bench/stamps",
    "tests/fuzz",
    "tests/lab/demo",
    "tests/proof",
    "tests/run",
    "uboot-patch/apply",
    "uboot-patch/build-object",
    "uboot-patch/make-series",
    "uboot-patch/try",
    "uboot-patch/update-header",
    "uboot-patch/update-patches",
];

/// Those that other programs call: tests, dpkg, makers of an initramfs, and a kernel.
const CALLED_BY_PROGRAMS: &[&str] =
    &["linux/debian/", "linux/dracut/", "linux/init", "tests/board/", "tests/lib/", "tests/scripts/"];

/// What it says, with this for its cache, in which it leaves nothing but the directory of its logs.
fn call(script: &str, argument: &str, cache: &Path) -> Output {
    let mut command = Command::new(workspace().join(script));
    let output = command.arg(argument).env("IDENTITY_CACHE", cache).output();
    let left = fs::read_dir(cache).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    assert!(left.into_iter().all(|name| name == "logs"), "{script} {argument} has begun to work");
    output.unwrap_or_else(|error| panic!("{script}: {error}"))
}

fn name(script: &str) -> &str {
    script.rsplit('/').next().unwrap_or(script)
}

/// The long options that a text names.
fn options(text: &str) -> Vec<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    words.filter(|word| word.len() > 2 && word.starts_with("--")).collect()
}

#[test]
fn each_has_help_with_every_option_and_an_example() {
    let cache = TempDir::new().expect("a directory");
    for script in SCRIPTS {
        let output = call(script, "--help", cache.path());
        let help = String::from_utf8(output.stdout).expect("text");
        assert_eq!(output.status.code(), Some(0), "{script}: {help}");
        assert!(output.stderr.is_empty(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&call(script, "-h", cache.path()).stdout), help, "{script}");

        let (usage, rest) = help.split_once("\n\n").unwrap_or_else(|| panic!("{script}: {help}"));
        assert!(usage.starts_with("Usage: ") && usage.contains(name(script)), "{script}: {help}");
        let (body, examples) = rest.split_once("\nExample").unwrap_or_else(|| panic!("{script}: {help}"));
        assert!(body.split_whitespace().count() > 8, "{script} does not say what it does: {help}");
        for option in options(usage) {
            let explained = body
                .lines()
                .any(|line| line.starts_with("  -") && line.split_whitespace().next() == Some(option));
            assert!(explained, "{script} does not explain {option}: {help}");
        }
        let is_call = |line: &&str| line.starts_with("  ") && line.contains(name(script));
        let calls: Vec<_> = examples.lines().filter(is_call).collect();
        assert!(!calls.is_empty(), "{script} has no example: {help}");
        for option in calls.into_iter().flat_map(options) {
            assert!(usage.contains(option), "{script} has no {option}: {help}");
        }
    }
}

#[test]
fn each_says_what_is_wrong_with_a_call_and_how_it_is_right() {
    let cache = TempDir::new().expect("a directory");
    for script in SCRIPTS {
        let output = call(script, "--wrong", cache.path());
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{script}: {said}");
        assert!(output.stdout.is_empty(), "{script}: {}", String::from_utf8_lossy(&output.stdout));
        let (fact, usage) = said.split_once('\n').unwrap_or_else(|| panic!("{script}: {said}"));
        assert!(
            fact.starts_with(&format!("{}: ", name(script))) && fact.contains("--wrong"),
            "{script}: {said}"
        );
        assert!(usage.starts_with("Usage: ") && usage.lines().count() < 4, "{script}: {said}");
    }
}

/// Whether it is a program in the language of another one.
fn is_script(path: &Path) -> bool {
    let is_executable = fs::metadata(path).expect("a file").permissions().mode() & 0o100 != 0;
    let mut start = [0; 2];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    is_executable && read.is_ok() && &start == b"#!"
}

#[test]
fn none_is_forgotten_here() {
    let mut directories: Vec<_> =
        ["fixtures", "linux", "tests", "uboot-patch"].map(|name| workspace().join(name)).into();
    let mut found = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let file = path.strip_prefix(workspace()).expect("inside").to_string_lossy().into_owned();
            if path.is_dir() && !path.ends_with("target") {
                directories.push(path);
            } else if path.is_file()
                && is_script(&path)
                && !CALLED_BY_PROGRAMS.iter().any(|start| file.starts_with(start))
            {
                found.push(file);
            }
        }
    }
    found.sort();
    assert_eq!(found, SCRIPTS);
}
