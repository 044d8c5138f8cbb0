// SPDX-License-Identifier: MIT OR Apache-2.0
//! A read-only Debian with the package of `linux/build-deb`, on cards that are copies of one image and then stamped: what
//! its programs, its init and its journal take for the machine, and what leaves on the wire.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use identity_tests::bench::mac_of;
use identity_tests::board::{Board, Model, artifact};
use identity_tests::cli::Identity;
use identity_tests::linux::{FACTORY_MAC, Linux, Report, senders};
use serde_json::Value;
use tempfile::TempDir;

/// A login prompt would come between the lines of the report.
const ARGUMENTS: &str =
    "root=/dev/mmcblk0p1 ro systemd.volatile=state systemd.mask=serial-getty@ttyAMA0.service quiet";
/// A system with systemd takes a minute up to its last unit, and on a busy machine several.
const PATIENCE: Duration = Duration::from_secs(900);
/// Where the card's only partition starts, in bytes.
const PARTITION: usize = 4 << 20;

struct Card {
    dir: TempDir,
    /// What `tests/lib/debian-root` made.
    root: PathBuf,
}

impl Card {
    /// A copy of the one image.
    fn new() -> Self {
        Self::of("IDENTITY_TEST_DEBIAN_ROOT")
    }

    /// A copy of the image of another Debian.
    fn of(variable: &str) -> Self {
        let card = Self { dir: TempDir::new().expect("a temporary directory"), root: artifact(variable) };
        let copy =
            Command::new("cp").arg("--sparse=always").arg(card.built("card.img")).arg(card.path()).status();
        assert!(copy.expect("cp").success(), "room for a card");
        card
    }

    fn built(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn stamped(hostname: &str) -> (Self, Value) {
        Self::new().stamp(hostname)
    }

    fn stamp(self, hostname: &str) -> (Self, Value) {
        let card = self;
        let stamp = Identity::new("stamp --profile panda --format json --hostname").arg(hostname);
        let identity = stamp.arg(card.path()).run().exits(0).json();
        (card, identity)
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("card.img")
    }

    fn capture(&self) -> PathBuf {
        self.dir.path().join("frames.pcap")
    }

    /// Linux started by QEMU, up to its end.
    fn boot(&self) -> Report {
        let linux = Linux::new(self.built("initrd.img"), ARGUMENTS);
        self.finish(linux.start(&self.path(), &self.capture()))
    }

    fn finish(&self, mut board: Board) -> Report {
        let mut boot = board.expect_within(PATIENCE, "REPORT root=ro\r\n");
        let report = Report::of(board, &self.capture());
        boot.push_str(&report.lines);
        Report { lines: boot, ..report }
    }

    /// That the root file system is byte for byte that of the image.
    fn is_unchanged(&self) {
        let (card, image) =
            (fs::read(self.path()).expect("the card"), fs::read(self.built("card.img")).expect("the image"));
        assert!(card[PARTITION..] == image[PARTITION..], "the root file system was written to");
    }
}

fn is_the_machine_of(report: &Report, identity: &Value, hostname: &str) {
    let machine_id = identity["machine_id"].as_str().expect("a machine-id");
    assert_eq!(report.value("address"), mac_of(identity));
    report.is_on_the_wire_with(mac_of(identity));
    assert_eq!(report.value("hostname"), hostname);
    // udev gives it to an interface that comes later, too.
    assert_eq!(
        (report.value("gone"), report.value("late-address")),
        ("/sys/class/net/eth*", mac_of(identity))
    );
    // The file, PID 1 and the journal agree.
    for name in ["machine-id", "machine-id-of-init", "machine-id-of-journal"] {
        assert_eq!(report.value(name), machine_id, "{name}");
    }
    assert!(report.value("files").contains("/run/identity/identity.json"), "{}", report.lines);
    let profile = report.all("REPORT env=").find(|line| line.starts_with("IDENTITY_PROFILE="));
    assert_eq!(profile, Some("IDENTITY_PROFILE=panda"));
    assert_eq!(report.value("unit"), "success 0 ");
    assert_eq!(report.value("failed"), "");
}

#[test]
fn debian_root_on_two_cards_is_two_machines_and_stays_so() {
    let ((one, first), (other, second)) = (Card::stamped("panda-1"), Card::stamped("panda-2"));
    for _reboot in 0..2 {
        // Side by side, as on two boards.
        let reports = thread::scope(|scope| {
            [&one, &other]
                .map(|card| scope.spawn(|| card.boot()))
                .map(|board| board.join().expect("a report"))
        });
        is_the_machine_of(&reports[0], &first, "panda-1");
        is_the_machine_of(&reports[1], &second, "panda-2");
    }
    for name in ["uuid", "machine_id"] {
        assert_ne!(first[name], second[name]);
    }
    assert_ne!(mac_of(&first), mac_of(&second));
    one.is_unchanged();
    other.is_unchanged();
}

#[test]
fn debian_root_13_without_busybox_is_the_machine_of_its_card() {
    let (card, identity) = Card::of("IDENTITY_TEST_DEBIAN_ROOT_13").stamp("panda-13");
    let report = card.boot();
    is_the_machine_of(&report, &identity, "panda-13");
    assert!(!report.lines.contains(": not found"), "{}", report.lines);
    card.is_unchanged();
}

#[test]
fn debian_root_on_a_blank_card_boots_with_none_of_it_and_says_so() {
    let card = Card::new();
    let report = card.boot();
    assert_eq!(report.value("address"), FACTORY_MAC);
    assert_eq!(report.value("late-address"), FACTORY_MAC);
    report.is_on_the_wire_with(FACTORY_MAC);
    assert_eq!(report.value("hostname"), "image");
    assert!(
        !report.value("run").split(' ').any(|name| name.starts_with("/run/identity")),
        "{}",
        report.lines
    );
    assert_eq!(report.value("failed"), "", "a blank card is no fault of the system");
    // The initramfs on the console, and the unit in the journal.
    for source in ["] identity: nothing is taken", "JOURNAL identity["] {
        let said = report.lines.lines().any(|line| line.contains(source) && line.contains("blank"));
        assert!(said, "{source}\n{}", report.lines);
    }
    card.is_unchanged();
}

/// There is no such server: what counts is who asks.
#[test]
fn debian_root_on_the_network_is_asked_for_with_the_cards_address() {
    let (card, identity) = Card::stamped("panda-4");
    let linux = Linux::new(card.built("initrd.img"), "root=/dev/nfs nfsroot=10.0.2.2:/srv/root ip=dhcp");
    let mut board = linux.start(&card.path(), &card.capture());
    // initramfs-tools' own ipconfig has an answer.
    let boot = board.expect("IP-Config: eth0 complete");
    drop(board);
    let frames = senders(&card.capture());
    assert!(
        !frames.is_empty() && frames.iter().all(|sender| sender == mac_of(&identity)),
        "{frames:?}\n{boot}"
    );
}

#[test]
fn debian_root_behind_u_boot_is_the_machine_that_u_boot_names() {
    let (card, identity) = Card::stamped("panda-3");
    let linux = artifact("IDENTITY_TEST_LINUX");
    for (file, from) in [
        ("zImage", linux.join("zImage")),
        ("dtb", linux.join("vexpress-v2p-ca9.dtb")),
        ("initrd", card.built("initrd.img")),
    ] {
        fs::copy(from, card.dir.path().join(file)).expect("room");
    }
    let mut board = start_u_boot(&card.path(), card.dir.path(), &card.capture());
    board.stop_autoboot();
    board.run("setenv autoload no; dhcp");
    for (address, file) in [("62000000", "zImage"), ("63f00000", "dtb"), ("64000000", "initrd")] {
        let said = board.run(&format!("tftpboot {address} {file}"));
        assert!(said.contains("Bytes transferred"), "{said}");
    }
    board.run(&format!("setenv bootargs console=ttyAMA0 {ARGUMENTS}"));
    board.send("bootz 62000000 64000000:$filesize 63f00000\n");
    is_the_machine_of(&card.finish(board), &identity, "panda-3");
}

fn start_u_boot(card: &Path, tftp: &Path, capture: &Path) -> Board {
    let mut command = Model::Vexpress.machine(&Model::Vexpress.build("2025.01"), card);
    command.arg("-nic").arg(format!("user,id=net0,tftp={}", tftp.display()));
    command.arg("-object").arg(format!("filter-dump,id=dump0,netdev=net0,file={}", capture.display()));
    Board::start(command)
}
