// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Debian 12 and 13 make of the identity's kernel arguments when they ask for an address: which hostname is left, and what a
//! DHCP server is told. The systems are whole and real, but started in namespaces; `published.rs` has boards.

use std::fs;
use std::process::Command;

use identity_tests::block::is_privileged;
use identity_tests::board::artifact;
use identity_tests::workspace;
use tempfile::NamedTempFile;

const DEBIAN_12: &str = "IDENTITY_TEST_DEBIAN_AMD64";
const DEBIAN_13: &str = "IDENTITY_TEST_DEBIAN_13";
const BOARD: &str = "panda-1";
const MAC: &str = "62:b1:ae:5a:3f:ef";
const OTHER_MAC: &str = "e2:27:c3:73:a9:7d";
const MACHINE_ID: &str = "11111111222233334444555566667777";
const OTHER_MACHINE_ID: &str = "88888888999940004000aaaabbbbcccc";

/// A start of a system.
struct Start<'s> {
    debian: &'s str,
    client: &'s str,
    /// In /etc/hostname.
    hostname: &'s str,
    /// From the DHCP server.
    name: &'s str,
    mac: &'s str,
    machine_id: &'s str,
    more: &'s [&'s str],
}

impl Start<'_> {
    fn new<'s>(debian: &'s str, client: &'s str) -> Start<'s> {
        Start { debian, client, hostname: "", name: "", mac: MAC, machine_id: MACHINE_ID, more: &[] }
    }

    fn run(&self) -> Report {
        let report = NamedTempFile::new().expect("a temporary file");
        // unshare itself does not end at SIGTERM.
        let mut command = Command::new("timeout");
        command.args(
            "--signal=KILL 300 unshare --mount --uts --net --pid --cgroup --fork --kill-child".split(' '),
        );
        command.arg(workspace().join("tests/board/published-system")).arg(report.path());
        command.arg(artifact(self.debian).join("root")).args([
            self.client,
            self.hostname,
            self.name,
            self.mac,
        ]);
        command.arg(format!("systemd.machine_id={}", self.machine_id));
        command.arg(format!("systemd.hostname={BOARD}")).args(self.more);
        let output = command.output().expect("coreutils");
        let said = fs::read_to_string(report.path()).expect("the report");
        assert!(said.contains("duid="), "{said}{}", String::from_utf8_lossy(&output.stderr));
        Report(said)
    }
}

struct Report(String);

impl Report {
    #[track_caller]
    fn value(&self, name: &str) -> &str {
        let start = format!("{name}=");
        self.0.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{}", self.0))
    }
}

/// Who has the last word: hostnamed, which networkd of Debian 12 and NetworkManager ask to set a name, takes /etc/hostname, else
/// the server's; the others leave the board's name alone.
#[test]
fn debian_root_keeps_the_hostname_of_the_arguments_where_nobody_asks_hostnamed() {
    if !is_privileged() {
        return;
    }
    for (debian, client, is_kept) in [
        (DEBIAN_12, "networkd", false),
        (DEBIAN_12, "NetworkManager", false),
        (DEBIAN_12, "ifupdown", true),
        (DEBIAN_13, "networkd", true),
        (DEBIAN_13, "NetworkManager", false),
        (DEBIAN_13, "ifupdown", true),
    ] {
        for (hostname, name, otherwise) in [
            ("", "", BOARD),
            ("", "from-dhcp", "from-dhcp"),
            ("image", "", "image"),
            ("image", "from-dhcp", "image"),
        ] {
            let report = Start { hostname, name, ..Start::new(debian, client) }.run();
            let expected = if is_kept { BOARD } else { otherwise };
            assert_eq!(report.value("hostname"), expected, "{debian} {client} {hostname:?} {name:?}");
            assert_eq!(report.value("machine-id"), MACHINE_ID);
        }
        // Nobody can ask hostnamed.
        let more = &["systemd.mask=systemd-hostnamed.service"];
        let report = Start { hostname: "image", name: "from-dhcp", more, ..Start::new(debian, client) }.run();
        assert_eq!(report.value("hostname"), BOARD, "{debian} {client}, masked");
    }
    // A newer systemd can mount a file over the image's; that of the device tree ends with a NUL, as this one.
    let more = &["systemd.mount-extra=/run/server/hostname:/etc/hostname:none:bind"];
    let start = Start::new(DEBIAN_13, "NetworkManager");
    let report = Start { hostname: "image", name: "from-dhcp", more, ..start }.run();
    assert_eq!(report.value("hostname"), BOARD);
}

/// What the server is told of a board is its own: of the machine-id, or of the MAC address.
#[test]
fn debian_root_tells_a_dhcp_server_which_board_it_is() {
    if !is_privileged() {
        return;
    }
    let bare = MAC.replace(':', "");
    // An IAID of the interface's name or the MAC address, and a DUID: of the machine-id (types 2 and 4), or of the time and the
    // MAC address (type 1).
    for (debian, client, identifier, duid) in [
        (DEBIAN_12, "networkd", "ff", "00020000ab11"),
        (DEBIAN_12, "NetworkManager", &*format!("01{bare}"), "0004"),
        (DEBIAN_12, "ifupdown", "ffae5a3fef00010001", "00010001"),
        (DEBIAN_13, "networkd", "ff", "00020000ab11"),
        (DEBIAN_13, "NetworkManager", &*format!("01{bare}"), "0004"),
        (DEBIAN_13, "ifupdown", "ffae5a3fef00010001", "00010001"),
    ] {
        let one = Start::new(debian, client).run();
        let other =
            Start { mac: OTHER_MAC, machine_id: OTHER_MACHINE_ID, ..Start::new(debian, client) }.run();
        let again = Start::new(debian, client).run();
        for (name, start) in [("client", identifier), ("duid", duid)] {
            let (mine, others, mine_again) = (one.value(name), other.value(name), again.value(name));
            assert_ne!(mine, others, "{debian} {client} {name}");
            // An answer over IPv6 may come late.
            if name == "client" || !mine.is_empty() {
                assert!(mine.starts_with(start), "{debian} {client} {name}: {mine}");
            }
            // A DUID with a time in it lasts as long as the file that it is kept in.
            if client != "ifupdown" && !mine.is_empty() && !mine_again.is_empty() {
                assert_eq!(mine, mine_again, "{debian} {client} {name}");
            }
        }
    }
}
