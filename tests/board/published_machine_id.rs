// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the systemd of Debian 12 and 13 makes of `systemd.machine_id=`, by each kind of `/etc/machine-id` in an image: on a root
//! that PID 1 finds writable, and on one that it finds read-only. `published.rs` has whole boards.

use std::fs;
use std::process::Command;

use identity_tests::block::is_privileged;
use identity_tests::board::artifact;
use identity_tests::published::CLONED_MACHINE_ID;
use identity_tests::workspace;
use tempfile::NamedTempFile;

const OF_THE_BOARD: &str = "b0a2db0a2db0a2db0a2db0a2db0a2db0";

/// What PID 1 takes for its own, what a program sees, what the file holds when it has started.
#[derive(Debug, PartialEq, Eq)]
struct MachineId([String; 3]);

impl MachineId {
    /// Of a system that starts; `None` where this machine lets nobody mount.
    fn of(debian: &str, writable: &str, in_the_image: &str, arguments: &[&str]) -> Option<Self> {
        if !is_privileged() {
            return None;
        }
        let report = NamedTempFile::new().expect("a temporary file");
        // unshare itself does not end at SIGTERM.
        let mut command = Command::new("timeout");
        command.args(
            "--signal=KILL 120 unshare --mount --uts --net --pid --cgroup --fork --kill-child".split(' '),
        );
        command.arg(workspace().join("tests/board/published-machine-id")).arg(report.path());
        command.arg(artifact(debian).join("root")).args([writable, in_the_image]).args(arguments);
        let output = command.output().expect("coreutils");
        let said = fs::read_to_string(report.path()).expect("the report");
        let value = |name: &str| {
            let start = format!("{name}=");
            let line = said.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr))).to_owned()
        };
        Some(Self(["init", "seen", "stored"].map(value)))
    }
}

#[test]
fn debian_root_takes_the_machine_id_of_the_arguments_unless_it_lacks_the_file() {
    let word = format!("systemd.machine_id={OF_THE_BOARD}");
    for debian in ["IDENTITY_TEST_DEBIAN_AMD64", "IDENTITY_TEST_DEBIAN_13"] {
        for (writable, in_the_image, seen, stored) in [
            // Stored, or later by systemd-machine-id-commit: it stays until the system starts with another one.
            ("rw", "missing", OF_THE_BOARD, "uninitialized"),
            ("rw", "uninitialized", OF_THE_BOARD, "uninitialized"),
            ("rw", "", OF_THE_BOARD, OF_THE_BOARD),
            ("rw", CLONED_MACHINE_ID, OF_THE_BOARD, OF_THE_BOARD),
            // systemd itself calls this "System cannot boot".
            ("ro", "missing", "", ""),
            ("ro", "uninitialized", OF_THE_BOARD, "uninitialized"),
            ("ro", "", OF_THE_BOARD, ""),
            ("ro", CLONED_MACHINE_ID, OF_THE_BOARD, CLONED_MACHINE_ID),
        ] {
            let Some(found) = MachineId::of(debian, writable, in_the_image, &[&word]) else { return };
            let expected = MachineId([seen, seen, stored].map(str::to_owned));
            assert_eq!(found, expected, "{debian} {writable} {in_the_image:?}");
        }
        // What is stored is there without the argument, too: of an image, or of the identity before.
        let found = MachineId::of(debian, "rw", CLONED_MACHINE_ID, &[]).expect("as before");
        assert_eq!(found, MachineId([CLONED_MACHINE_ID; 3].map(str::to_owned)));
    }
}
