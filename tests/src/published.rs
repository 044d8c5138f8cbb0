// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards as somebody publishes them, with a Debian that knows nothing of us (`tests/lib/published-root`): variants of one, and
//! boards that start from them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::board::{Board, artifact};
use crate::cli::tool;

/// Where the card's only partition starts, in bytes.
const PARTITION: usize = 4 << 20;
/// The machine-id in an image that somebody made of a system that had run: a bad clone.
pub const CLONED_MACHINE_ID: &str = "c10ec10ec10ec10ec10ec10ec10ec10e";

/// A Debian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Bookworm.
    Debian12,
    /// Trixie, with the kernel of bookworm.
    Debian13,
}

/// What asks for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// systemd-networkd.
    Networkd,
    /// NetworkManager.
    NetworkManager,
    /// ifupdown, which has dhclient in Debian 12 and dhcpcd in Debian 13.
    Ifupdown,
}

/// How the root file system is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// Never written; /var is in memory.
    ReadOnly,
    /// By PID 1, which finds it read-only: what Debian does.
    Remounted,
    /// Before PID 1 starts.
    Writable,
}

/// A published image.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Of what it is made.
    pub release: Release,
    /// What is switched on.
    pub client: Client,
    /// How it is mounted.
    pub root: Root,
    /// The content of /etc/machine-id, if there is that file.
    pub machine_id: Option<&'static str>,
    /// The content of /etc/hostname, if there is that file.
    pub hostname: Option<&'static str>,
    /// Kernel arguments, beside those that it needs.
    pub more: &'static str,
}

impl Published {
    /// Makes it: `image.img` in a directory.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn make(&self, dir: &Path) -> PathBuf {
        let variable = match self.release {
            Release::Debian12 => "IDENTITY_TEST_PUBLISHED_ROOT",
            Release::Debian13 => "IDENTITY_TEST_PUBLISHED_ROOT_13",
        };
        let image = dir.join("image.img");
        copy_sparse(&artifact(variable).join("card.img"), &image);
        let mut changes = Changes { dir, number: 0, script: String::new() };
        for (path, content) in [("/etc/machine-id", self.machine_id), ("/etc/hostname", self.hostname)] {
            if let Some(content) = content {
                changes.file(path, &format!("{content}\n").replace("\n\n", "\n"));
            }
        }
        let is_remounted = self.root == Root::Remounted;
        changes.file("/etc/fstab", if is_remounted { "/dev/mmcblk0p1 / ext4 defaults 0 1\n" } else { "" });
        self.client_of(&mut changes);
        changes.make(&image);
        image
    }

    fn client_of(&self, changes: &mut Changes<'_>) {
        let service = match self.client {
            Client::Networkd => {
                let wired = "[Match]\nType=ether\n\n[Network]\nDHCP=yes\n";
                changes.file("/etc/systemd/network/wired.network", wired);
                "systemd-networkd"
            }
            Client::NetworkManager => "NetworkManager",
            Client::Ifupdown => {
                // ifupdown does not take dhcpcd for `inet6 dhcp`, and that asks for both by itself.
                let inet6 = match self.release {
                    Release::Debian12 => "iface eth0 inet6 dhcp\n",
                    Release::Debian13 => "",
                };
                let text =
                    format!("auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n{inet6}");
                changes.file("/etc/network/interfaces", &text);
                "networking"
            }
        };
        let unit = format!("/lib/systemd/system/{service}.service");
        changes.link(&format!("/etc/systemd/system/multi-user.target.wants/{service}.service"), &unit);
    }

    /// The kernel's arguments that come with the image.
    pub fn arguments(&self) -> String {
        let root = match self.root {
            Root::ReadOnly => "ro systemd.volatile=state",
            Root::Remounted => "ro",
            Root::Writable => "rw",
        };
        format!("console=ttyAMA0 root=/dev/mmcblk0p1 {root} quiet {}", self.more)
    }

    /// At U-Boot's prompt, starts the system from the card.
    ///
    /// # Panics
    /// If a file is not there.
    pub fn start(&self, board: &mut Board) {
        let mut size = String::new();
        for (address, file) in
            [("62000000", "vmlinuz"), ("63f00000", "board.dtb"), ("64000000", "initrd.img")]
        {
            let said = board.run(&format!("load mmc 0:1 {address} /boot/{file}"));
            assert!(said.contains("bytes read"), "{said}");
            size = board.variable("filesize").expect("a size");
        }
        board.run(&format!("setenv bootargs {}", self.arguments()));
        board.send(&format!("bootz 62000000 64000000:{size} 63f00000\n"));
    }
}

/// A file of such a card, while no board has it; empty if there is none.
///
/// # Panics
/// If its file system cannot be read.
pub fn file_on(card: &Path, path: &str) -> String {
    let cat = tool("debugfs").args(["-R", &format!("cat {path}")]).arg(file_system(card)).output();
    let output = cat.expect("debugfs, of e2fsprogs");
    let said = String::from_utf8_lossy(&output.stderr);
    let is_fault = |line: &&str| !line.starts_with("debugfs 1.") && !line.contains("File not found");
    let faults: Vec<_> = said.lines().filter(is_fault).collect();
    assert!(faults.is_empty(), "{faults:?}: {path}");
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// A card's partition, for debugfs.
fn file_system(card: &Path) -> String {
    format!("{}?offset={PARTITION}", card.display())
}

/// A copy that takes no more room than the file.
///
/// # Panics
/// If there is no room.
pub fn copy_sparse(from: &Path, to: &Path) {
    let copy = Command::new("cp").arg("--sparse=always").args([from, to]).status();
    assert!(copy.expect("coreutils").success(), "room for {}", to.display());
}

/// Changes to an image, for debugfs.
struct Changes<'d> {
    dir: &'d Path,
    number: usize,
    script: String,
}

impl Changes<'_> {
    /// A file in place of one that may be there.
    fn file(&mut self, path: &str, content: &str) {
        self.number += 1;
        let source = self.dir.join(format!("change{}", self.number));
        fs::write(&source, content).expect("own directory");
        self.script += &format!("rm {path}\nwrite {} {path}\n", source.display());
    }

    fn link(&mut self, path: &str, target: &str) {
        self.script += &format!("symlink {path} {target}\n");
    }

    fn make(self, image: &Path) {
        let mut debugfs = tool("debugfs");
        debugfs.args(["-w", "-f", "/dev/stdin"]).arg(file_system(image));
        debugfs.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = debugfs.spawn().expect("debugfs, of e2fsprogs");
        child.stdin.take().expect("piped").write_all(self.script.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        // It ends well whatever happens. What is not there need not be removed.
        let is_fault =
            |line: &&str| !line.starts_with("debugfs 1.") && !line.starts_with("rm: File not found");
        let faults: Vec<_> = said.lines().filter(is_fault).collect();
        assert!(faults.is_empty(), "{faults:?}: {}", self.script);
    }
}
