// SPDX-License-Identifier: MIT OR Apache-2.0
//! What U-Boot's own tools say of our part of it: its unit tests, `test/cmd/identity.c`, in its sandbox, which is a Linux
//! program; and its style checker.

use std::process::Command;

use identity_tests::board::artifact;
use identity_tests::workspace;
use tempfile::TempDir;

/// How many tests the source has.
fn declared() -> usize {
    let source = workspace().join("uboot-patch/overlay/test/cmd/identity.c");
    let source = std::fs::read_to_string(source).expect("the tests");
    source.lines().filter(|line| line.starts_with("IDENTITY_TEST(")).count()
}

/// Runs a command in the sandbox, with the devices that U-Boot's tests have; returns what it prints.
fn sandbox(command: &str) -> String {
    let build = artifact("IDENTITY_TEST_UBOOT_2025_01_SANDBOX");
    // Its devices make files in the current directory.
    let directory = TempDir::new().expect("a directory");
    let output = Command::new(build.join("u-boot"))
        .arg("-d")
        .arg(build.join("arch/sandbox/dts/test.dtb"))
        .args(["-c", command])
        .current_dir(&directory)
        .output()
        .expect("the sandbox starts");
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

#[test]
fn u_boots_unit_tests_pass() {
    let said = sandbox("ut cmd identity_*");
    let passed = said.lines().filter(|line| line.starts_with("Test: cmd_test_identity_")).count();
    assert_eq!(passed, declared(), "{said}");
    assert!(passed > 0, "{said}");
    let result = said.lines().find(|line| line.contains("Failures:") || line.contains("failures:"));
    assert!(result.is_some_and(|line| line.trim_end().ends_with("ailures: 0")), "{said}");
}

#[test]
fn u_boots_style_checker_has_no_complaint() {
    let output = Command::new(workspace().join("tests/lib/checkpatch")).output().expect("the script starts");
    let complaints = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
}
