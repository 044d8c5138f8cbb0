// SPDX-License-Identifier: MIT OR Apache-2.0
//! In a Debian 13, by its own programs: what `linux/` adds to each kind of initramfs, and what its daemons make of a hostname.
//! `tests/board/packages.rs` has the package there.

use std::process::Command;

use identity_tests::block::is_privileged;
use identity_tests::board::artifact;
use identity_tests::cli::program;
use identity_tests::workspace;

/// What a step of `tests/board/debian-13` reports; `None` where this machine lets nobody mount.
fn step(name: &str) -> Option<String> {
    if !is_privileged() {
        return None;
    }
    let root = workspace();
    let output = Command::new("unshare")
        .args(["--mount", "--uts", "--net", "--pid", "--fork", "--mount-proc"])
        .arg(root.join("tests/board/debian-13"))
        .arg(artifact("IDENTITY_TEST_DEBIAN_13").join("root"))
        .arg(program())
        .arg(root.join("linux"))
        .arg(name)
        .output()
        .expect("unshare, of util-linux");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {said}{}", String::from_utf8_lossy(&output.stderr));
    Some(said)
}

#[track_caller]
fn value<'s>(said: &'s str, name: &str) -> &'s str {
    let start = format!("REPORT {name}=");
    said.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("no {name}: {said}"))
}

#[test]
fn debian_root_13_keeps_the_cards_hostname_whatever_its_daemons_do() {
    let names = ["hostname", "hostname-of-networkmanager", "hostname-of-hostnamed"];
    // This is what they do to a hostname that the kernel alone has.
    for (name, expected) in [("daemons-without-us", "image"), ("daemons", "panda-1")] {
        let Some(said) = step(name) else { return };
        assert_eq!(names.map(|name| value(&said, name)), [expected; 3], "{name}");
    }
}

/// That the unpacked initramfs has given the system all that is the card's, and nothing was missing.
fn has_given_all(said: &str) {
    assert_eq!((value(said, "hostname"), value(said, "etc-hostname")), ("panda-1", "panda-1"), "{said}");
    assert_eq!(value(said, "machine-id"), value(said, "expected"), "{said}");
    let words = value(said, "said");
    assert!(words.starts_with("<6>panda, ") && words.matches('<').count() == 1, "one line: {words}");
}

#[test]
fn debian_root_13_without_busybox_finds_every_tool_in_its_initramfs() {
    let Some(said) = step("klibc") else { return };
    assert_eq!(value(&said, "busybox"), "");
    has_given_all(&said);
}

#[test]
fn debian_root_13_takes_the_identity_in_an_initramfs_of_dracut() {
    for name in ["dracut", "dracut-without-systemd"] {
        let Some(said) = step(name) else { return };
        has_given_all(&said);
        // Else the first start would discard what no partition has.
        assert!(value(&said, "repart").ends_with(" --discard=no"), "{said}");
    }
}
