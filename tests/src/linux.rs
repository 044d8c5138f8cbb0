// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux on the Versatile Express, started by QEMU itself: no bootloader has touched kernel, device tree or network.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::board::{Board, artifact};
use crate::capture::{dhcp_requests, mac};

/// The address that QEMU's network controller has when nobody gives it one.
pub const FACTORY_MAC: &str = "52:54:00:12:34:56";

/// What QEMU loads.
#[derive(Clone, Debug)]
pub struct Linux {
    /// Packed.
    pub initramfs: PathBuf,
    /// Compiled.
    pub device_tree: PathBuf,
    /// More for the kernel's command line.
    pub arguments: String,
}

/// What a board said up to its end, with lines `REPORT name=value` among it.
#[derive(Clone, Debug)]
pub struct Report {
    /// All of it.
    pub lines: String,
    /// The source of each DHCP request that left the board.
    pub frames: Vec<String>,
}

impl Linux {
    /// With the board's own device tree.
    pub fn new(initramfs: PathBuf, arguments: impl Into<String>) -> Self {
        let device_tree = artifact("IDENTITY_TEST_LINUX").join("vexpress-v2p-ca9.dtb");
        Self { initramfs, device_tree, arguments: arguments.into() }
    }

    /// Starts it with a card; what the board sends goes to `capture`.
    pub fn start(&self, card: &Path, capture: &Path) -> Board {
        let mut command = Command::new("qemu-system-arm");
        command.args(["-M", "vexpress-a9", "-m", "512", "-nographic", "-no-reboot", "-kernel"]);
        command.arg(artifact("IDENTITY_TEST_LINUX").join("zImage"));
        command.arg("-dtb").arg(&self.device_tree).arg("-initrd").arg(&self.initramfs);
        command.arg("-append").arg(format!("console=ttyAMA0 {}", self.arguments));
        command.arg("-drive").arg(format!("file={},if=sd,format=raw", card.display()));
        command.args(["-nic", "user,id=net0", "-object"]);
        command.arg(format!("filter-dump,id=dump0,netdev=net0,file={}", capture.display()));
        command.env("QEMU_AUDIO_DRV", "none");
        Board::start(command)
    }
}

/// Linux on QEMU's own machine, with a card in each of two slots, started by a bootloader that has read `uuid` on one of
/// them. It has no network that Linux has a driver for.
pub fn start_with_two_cards(cards: [&Path; 2], uuid: &str, initramfs: &Path, arguments: &str) -> Board {
    let qemu = |more: &str| {
        let mut command = Command::new("qemu-system-arm");
        // What Debian's kernel for such processors can address.
        command.args(["-M", &format!("virt,highmem=off{more}"), "-cpu", "cortex-a15", "-m", "256"]);
        command.args(["-nographic", "-no-reboot"]).env("QEMU_AUDIO_DRV", "none");
        command
    };
    let device_tree = cards[0].with_extension("dtb");
    let status = qemu(&format!(",dumpdtb={}", device_tree.display())).stderr(Stdio::null()).status();
    assert!(status.expect("qemu-system-arm").success(), "no device tree");
    for (name, value) in [("state", "valid"), ("uuid", uuid)] {
        let mut fdtput = Command::new("fdtput");
        fdtput.args(["-p", "--type", "s"]).arg(&device_tree).args(["/chosen/identity", name, value]);
        assert!(fdtput.status().expect("fdtput, of device-tree-compiler").success());
    }
    let mut command = qemu("");
    command.arg("-kernel").arg(artifact("IDENTITY_TEST_LINUX").join("zImage"));
    command.arg("-dtb").arg(&device_tree).arg("-initrd").arg(initramfs);
    command.arg("-append").arg(format!("console=ttyAMA0 {arguments}"));
    for (slot, card) in cards.into_iter().enumerate() {
        command.arg("-drive").arg(format!("id=card{slot},file={},format=raw,if=none", card.display()));
        command.arg("-device").arg(format!("sdhci-pci,addr={}", slot + 2));
        command.arg("-device").arg(format!("sd-card,drive=card{slot}"));
    }
    Board::start(command)
}

impl Report {
    /// From a board that says `DONE` and switches itself off.
    pub fn of(mut board: Board, capture: &Path) -> Self {
        let lines = board.expect_within(Duration::from_secs(900), "DONE");
        board.wait_for_power_off();
        Self { lines, frames: senders(capture) }
    }

    /// What follows `start` in the lines that start so.
    pub fn all<'s>(&'s self, start: &'s str) -> impl Iterator<Item = &'s str> {
        self.lines.lines().filter_map(move |line| line.strip_prefix(start))
    }

    /// The value of a line `REPORT name=value`.
    ///
    /// # Panics
    /// With everything that was said, if there is none.
    #[track_caller]
    pub fn value(&self, name: &str) -> &str {
        let start = format!("REPORT {name}=");
        let line = self.lines.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no {name} in:\n{}", self.lines))
    }

    /// That the board asked for an address, and with this MAC address alone.
    ///
    /// # Panics
    /// If not.
    #[track_caller]
    pub fn is_on_the_wire_with(&self, mac: &str) {
        assert!(!self.frames.is_empty(), "the board asks for an address:\n{}", self.lines);
        assert!(self.frames.iter().all(|frame| frame == mac), "{:?}, not {mac}", self.frames);
    }
}

/// The source of each DHCP request in a capture.
pub fn senders(capture: &Path) -> Vec<String> {
    dhcp_requests(capture).iter().map(|request| mac(&request.source)).collect()
}
