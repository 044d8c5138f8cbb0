// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last line of `tests/run`: what was skipped is not counted as passed.

use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use identity_tests::{skipped, workspace, write_program};

/// What `tests/lib/count-tests` says of these logs, after a run that ended with `status`.
fn counted(status: u8, logs: &[&Path]) -> String {
    let mut count = Command::new(workspace().join("tests/lib/count-tests"));
    let output = count.arg(status.to_string()).args(logs).output().expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// What it says of this text in a log.
fn counted_in(status: u8, text: &str) -> String {
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(log.path(), text).expect("room");
    counted(status, &[log.path()])
}

/// With one thread for all tests, and with one for each: the harness writes its lines otherwise, and names its threads
/// otherwise.
#[test]
fn a_test_that_says_that_it_is_skipped_is_counted_as_skipped() {
    const SKIP: &str = "IDENTITY_TEST_SKIPS_ITSELF";
    if env::var_os(SKIP).is_some() {
        skipped("it was asked to be");
        skipped("it was asked to be, for two reasons");
        return;
    }
    for threads in ["1", "4"] {
        let log = tempfile::NamedTempFile::new().expect("a temporary file");
        let file = || File::options().append(true).open(log.path()).expect("own file");
        let mut itself = Command::new(env::current_exe().expect("Linux"));
        itself.args(["a_test_that_says_that_it_is_skipped_is_counted", "--test-threads", threads]);
        let status = itself.env(SKIP, "1").stdout(file()).stderr(file()).status().expect("it starts");
        assert!(status.success(), "{}", fs::read_to_string(log.path()).expect("text"));
        assert_eq!(counted(0, &[log.path()]), "0 passed, 0 failed, 1 skipped", "{threads} threads");
    }
}

#[test]
fn passed_failed_and_ignored_tests_of_all_programs_are_added_up() {
    const OK: &str =
        "test result: ok. 5 passed; 0 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.02s\n";
    const RED: &str =
        "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s\n";
    assert_eq!(counted_in(0, OK), "5 passed, 0 failed, 2 skipped");
    assert_eq!(counted_in(101, &format!("{OK}{RED}{OK}")), "13 passed, 2 failed, 4 skipped");
    let skipped = "test a ... \nSKIPPED: cli a: no zip\nok\nSKIPPED: cli b: no zip\nSKIPPED: cli a: no zip\n";
    assert_eq!(counted_in(0, &format!("{skipped}{OK}")), "3 passed, 0 failed, 4 skipped");
    // A test of the same name in another program is another one.
    let other = "SKIPPED: faults a: no zip\n";
    assert_eq!(counted_in(0, &format!("{skipped}{OK}{other}{OK}")), "7 passed, 0 failed, 7 skipped");
}

#[test]
fn a_test_that_left_something_out_and_failed_is_counted_once_as_failed() {
    let log = "\nSKIPPED: cli a: no zip\nSKIPPED: cli b: no zip\ntest a ... FAILED\n\nfailures:\n\n---- a stdout ----\n\nthread 'a' \
               panicked at x.rs:1:\n    no\n\n\nfailures:\n    a\n\ntest result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured\n";
    assert_eq!(counted_in(101, log), "2 passed, 1 failed, 1 skipped");
}

#[test]
fn a_run_that_failed_otherwise_has_a_failure() {
    assert_eq!(counted_in(101, "error: could not compile\n"), "0 passed, 1 failed, 0 skipped");
    assert_eq!(counted(1, &[Path::new("/nonexistent/log")]), "0 passed, 1 failed, 0 skipped");
}

/// `tests/run --quick` with these arguments, where cargo tests nothing, says this and ends with that status: the script's own
/// status, and its last line.
fn run(arguments: &[&str], said: &str, status: u8) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        write_program(&path, text);
        path
    };
    let log = write("said", said);
    let cargo = format!(
        "#!/bin/sh\ncase \"$*\" in *--no-run*) exit ;; test*) cat '{}'; exit {status} ;; esac\n",
        log.display()
    );
    write("cargo", &cargo);
    write("shellcheck", "#!/bin/sh\n");
    write("dpkg-query", "#!/bin/sh\nshift 3\nfor package; do echo \"installed $package\"; done\n");
    let path = format!("{}:{}", dir.path().display(), env::var("PATH").unwrap_or_default());
    let mut run = Command::new(workspace().join("tests/run"));
    run.arg("--quick").args(arguments).env("PATH", path).env("IDENTITY_CACHE", dir.path().join("cache"));
    let output = run.output().expect("bash");
    let stdout = String::from_utf8(output.stdout).expect("text");
    (output.status.code(), stdout.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn the_last_line_of_a_run_is_the_count_also_when_a_test_fails() {
    const OK: &str = "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
    const RED: &str = "test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";
    assert_eq!(run(&[], OK, 0), (Some(0), "5 passed, 0 failed, 0 skipped".into()));
    assert_eq!(run(&[], RED, 101), (Some(1), "4 passed, 1 failed, 0 skipped".into()));
    assert_eq!(run(&["--no-skips"], OK, 0), (Some(0), "5 passed, 0 failed, 0 skipped".into()));
    let skipped = format!("\nSKIPPED: cli a: it needs root\n{OK}");
    assert_eq!(run(&[], &skipped, 0), (Some(0), "4 passed, 0 failed, 1 skipped".into()));
    // What continuous integration refuses.
    let (status, last) = run(&["--no-skips"], &skipped, 0);
    assert_eq!((status, &last[..]), (Some(1), "4 passed, 0 failed, 1 skipped"));
}
