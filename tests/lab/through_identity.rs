// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity lab`: the program `identity-lab`, as git and cargo run theirs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use identity_tests::{copy_program, write_program};
use tempfile::TempDir;

/// A program that shows its arguments, and ends with 5.
const SHOWS: &str = "#!/bin/sh\nprintf '<%s>' \"$0\" \"$@\"\nexit 5\n";

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    write_program(path, text);
}

/// A copy of `identity` in a directory of its own: nothing lies beside it.
fn identity() -> TempDir {
    let dir = TempDir::new().expect("a directory");
    fs::create_dir(dir.path().join("bin")).expect("a directory");
    copy_program(identity_tests::cli::program(), &dir.path().join("bin/identity"));
    dir
}

fn run(dir: &TempDir, words: &[&OsStr]) -> Output {
    let mut identity = Command::new(dir.path().join("bin/identity"));
    identity.arg("lab").args(words).env("PATH", dir.path().join("path")).output().expect("it starts")
}

#[test]
fn arguments_and_exit_code_are_passed_on_as_they_are() {
    let dir = identity();
    put(&dir.path().join("path/identity-lab"), SHOWS);
    let words = ["list", "--help", "--version", "--", "", "a b", "-x", "\u{e4}\n"].map(OsStr::new);
    let words = [&words[..], &[OsStr::from_bytes(b"\xff")]].concat();
    let output = run(&dir, &words);
    let mut expected = Vec::new();
    for word in [dir.path().join("path/identity-lab").as_os_str()].iter().chain(&words) {
        expected.extend([b"<", word.as_bytes(), b">"].concat());
    }
    assert_eq!(String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&expected));
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn the_program_beside_identity_goes_before_the_one_in_path() {
    let dir = identity();
    put(&dir.path().join("path/identity-lab"), "#!/bin/sh\nexit 9\n");
    put(&dir.path().join("bin/identity-lab"), "#!/bin/sh\nexit 4\n");
    assert_eq!(run(&dir, &[]).status.code(), Some(4));
    // The real one, and a signal is the caller's to see.
    fs::remove_file(dir.path().join("bin/identity-lab")).expect("own file");
    symlink(identity_tests::lab::program(), dir.path().join("bin/identity-lab")).expect("a link");
    let output = run(&dir, &[OsStr::new("--version")]);
    assert!(output.stdout.starts_with(b"identity-lab "), "{output:?}");
    put(&dir.path().join("bin/other"), "#!/bin/sh\nkill -TERM $$\n");
    fs::rename(dir.path().join("bin/other"), dir.path().join("bin/identity-lab")).expect("own file");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&run(&dir, &[]).status), Some(15));
}

#[test]
fn where_it_is_not_installed_the_package_is_named() {
    let dir = identity();
    let output = run(&dir, &[OsStr::new("list")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("identity: ") && said.contains("package sd-card-identity-lab"), "{said}");
    put(&dir.path().join("path/identity-lab"), "");
    fs::set_permissions(dir.path().join("path/identity-lab"), fs::Permissions::from_mode(0o644))
        .expect("own");
    let output = run(&dir, &[OsStr::new("list")]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
}
