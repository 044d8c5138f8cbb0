// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bare initramfs takes its identity: one image, Debian's kernel started without a bootloader, the card as the only
//! difference. Frames on the wire, the kernel's hostname and its log are what is judged.

use std::fs;
use std::process::Command;

use identity_tests::bench::mac_of;
use identity_tests::board::artifact;
use identity_tests::image::Image;
use identity_tests::linux::{FACTORY_MAC, Linux, Report, start_with_two_cards};
use serde_json::Value;

/// A card, and its board.
struct Bench {
    image: Image,
    linux: Linux,
}

impl Bench {
    fn new() -> Self {
        let linux = Linux::new(artifact("IDENTITY_TEST_INITRAMFS_LINUX"), "");
        Self { image: Image::absent(), linux }
    }

    fn stamp(&self, options: &[&str]) -> Value {
        let stamp = self.image.identity("stamp --create 64M --profile panda --format json");
        stamp.args(options).run().exits(0).json()
    }

    fn read(&self) -> Value {
        self.image.run("read --format json").exits(0).json()
    }

    /// Damages as many of the copies.
    fn damage(&self, copies: usize) {
        for lba in self.image.copies().into_iter().take(copies) {
            self.image.damage(lba.try_into().expect("an LBA"));
        }
    }

    /// Boots what `tests/board/linux-init` calls a scenario.
    fn boot(&self, scenario: &str) -> Report {
        let linux = Linux { arguments: format!("quiet scenario={scenario}"), ..self.linux.clone() };
        let capture = self.image.dir().join("frames.pcap");
        let before = fs::read(self.image.path()).expect("the card");
        let report = Report::of(linux.start(self.image.path(), &capture), &capture);
        assert!(fs::read(self.image.path()).expect("the card") == before, "nothing is written to the card");
        report
    }

    /// From now on the device tree has this alias, and no other of an Ethernet interface.
    fn give_alias(&mut self, alias: &str, path: &str) {
        let device_tree = self.image.dir().join("aliased.dtb");
        let original = artifact("IDENTITY_TEST_LINUX").join("vexpress-v2p-ca9.dtb");
        fs::copy(original, &device_tree).expect("the device tree");
        let mut fdtput = Command::new("fdtput");
        fdtput.args(["--type", "s"]).arg(&device_tree).args(["/aliases", alias, path]);
        assert!(fdtput.status().expect("fdtput, of device-tree-compiler").success());
        self.linux.device_tree = device_tree;
    }
}

/// That the board came up as if there were no card, and one line said why.
fn has_taken_nothing_for(report: &Report, reasons: &[&str]) {
    let log: Vec<_> = report.all("LOG identity: ").collect();
    assert_eq!(log.len(), 1, "one line says why: {log:?}");
    for reason in reasons {
        assert!(log[0].contains(reason), "{reason:?} in {log:?}");
    }
    // "quiet" is on the command line, and the reason on the console all the same.
    let console = report.lines.lines().find(|line| line.starts_with('[') && line.contains(log[0]));
    assert!(console.is_some(), "{}", report.lines);
    assert_eq!(report.value("address"), FACTORY_MAC);
    assert_eq!(report.value("hostname"), "(none)");
    assert_eq!(report.value("machine-id-empty"), "");
    assert!(!report.value("run").contains("identity"), "{}", report.lines);
    report.is_on_the_wire_with(FACTORY_MAC);
}

#[test]
fn one_image_on_two_cards_is_two_boards_and_stays_so() {
    let (one, other) = (Bench::new(), Bench::new());
    let first = one.stamp(&["--hostname", "panda-1", "--set", "note=a \"b\" $(c)"]);
    fs::copy(one.image.path(), other.image.path()).expect("a clone");
    let restamp = "stamp --force --profile panda --hostname panda-2 --format json";
    let second = other.image.run(restamp).exits(0).json();

    for (bench, identity, hostname) in [(&one, &first, "panda-1"), (&other, &second, "panda-2")] {
        for _reboot in 0..2 {
            let report = bench.boot("plain");
            assert_eq!(report.value("before"), FACTORY_MAC, "the address is Linux's doing");
            assert_eq!(report.value("status"), "0");
            assert_eq!(report.value("address"), mac_of(identity));
            report.is_on_the_wire_with(mac_of(identity));
            assert_eq!(report.value("hostname"), hostname);
            assert_eq!(report.value("machine-id-empty"), identity["machine_id"]);
            assert_eq!(report.value("machine-id-read-only"), identity["machine_id"]);
            let (_, json) = report.lines.split_once("BEGIN JSON\n").expect("a file of JSON");
            let json: Value =
                serde_json::from_str(json.split("END JSON").next().expect("text")).expect("JSON");
            assert_eq!(json, bench.read(), "as the workstation reads it");
            let profile = report.all("REPORT env=").find(|line| line.starts_with("IDENTITY_PROFILE="));
            assert_eq!(profile, Some("IDENTITY_PROFILE=panda"));
        }
    }
    assert_ne!(mac_of(&first), mac_of(&second));
}

#[test]
fn a_machine_id_that_the_system_can_keep_is_its_own_and_that_is_said() {
    let bench = Bench::new();
    bench.stamp(&[]);
    let report = bench.boot("plain");
    assert_eq!(report.value("machine-id-stored"), "11111111111111111111111111111111");
    let line = report.all("LOG identity: ").find(|line| line.contains("machine-id")).expect("a line");
    for part in ["keeps its own", "11111111111111111111111111111111", "empty /etc/machine-id"] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn an_interface_takes_the_address_of_its_alias_and_not_of_its_name() {
    let mut bench = Bench::new();
    let identity = bench.stamp(&["--mac", "2=02:00:00:00:00:22"]);
    let uuid = identity["uuid"].as_str().expect("a UUID");
    let derived = identity_tests::cli::Identity::new("derive --interfaces 4 --format json").arg(uuid);
    let derived = derived.run().exits(0).json();
    let third = derived["macs"][3]["address"].as_str().expect("an address");
    for (alias, address) in [("ethernet2", "02:00:00:00:00:22"), ("ethernet3", third)] {
        bench.give_alias(alias, "/bus@40000000/motherboard-bus@40000000/ethernet@3,02000000");
        let report = bench.boot("plain");
        assert_eq!(report.value("address"), address, "{alias}");
    }
    // Aliases there are, and this interface has none of them.
    bench.give_alias("ethernet0", "/bus@40000000/motherboard-bus@40000000/elsewhere");
    let report = bench.boot("plain");
    assert_eq!(report.value("status"), "0");
    assert_eq!(report.value("address"), FACTORY_MAC);
    let log: Vec<_> = report.all("LOG ").collect();
    assert!(log.iter().any(|line| line.contains("eth0 is no ethernet<i> of the device tree")), "{log:?}");
}

#[test]
fn before_init_the_identity_is_taken_too() {
    let bench = Bench::new();
    let identity = bench.stamp(&["--hostname", "panda-1"]);
    let report = bench.boot("as-init");
    // The system's init is process 1, with what the kernel has given to ours, and finds all that it took.
    assert_eq!((report.value("process"), report.value("arguments")), ("1", "one two"));
    assert_eq!(report.value("mounts"), "/ /dev /etc/machine-id /proc /run /sys ");
    assert_eq!(report.value("machine-id"), identity["machine_id"]);
    assert_eq!(report.value("hostname"), "panda-1");
    assert_eq!(report.value("address"), mac_of(&identity));
    report.is_on_the_wire_with(mac_of(&identity));
}

#[test]
fn of_two_cards_the_one_that_the_bootloader_has_read_is_waited_for() {
    let (one, other) = (Bench::new(), Bench::new());
    one.stamp(&["--hostname", "panda-1"]);
    let identity = other.stamp(&["--hostname", "panda-2"]);
    let uuid = identity["uuid"].as_str().expect("a UUID");
    let initramfs = artifact("IDENTITY_TEST_INITRAMFS_LINUX");
    let cards = [one.image.path(), other.image.path()];
    let mut board = start_with_two_cards(cards, uuid, &initramfs, "quiet scenario=one-is-late");
    let report = Report { lines: board.expect("DONE"), frames: Vec::new() };
    assert_eq!(report.value("cards").split(' ').count(), 1, "only the first is there at the start");
    assert_eq!(report.value("status"), "0");
    assert_eq!(report.value("hostname"), "panda-2");
    assert_eq!(report.value("machine-id-empty"), identity["machine_id"]);
}

#[test]
fn a_blank_card_changes_nothing_and_is_said() {
    let bench = Bench::new();
    bench.stamp(&[]);
    bench.image.run("erase --force").exits(0);
    let report = bench.boot("plain");
    assert_eq!(report.value("status"), "3");
    has_taken_nothing_for(&report, &["blank"]);
}

#[test]
fn a_corrupt_card_changes_nothing_and_is_said() {
    let bench = Bench::new();
    bench.stamp(&["--hostname", "panda-1"]);
    bench.damage(2);
    let report = bench.boot("plain");
    assert_eq!(report.value("status"), "4");
    has_taken_nothing_for(&report, &["corrupt"]);
}

#[test]
fn a_damaged_first_copy_is_said_and_the_second_used() {
    let bench = Bench::new();
    let identity = bench.stamp(&["--hostname", "panda-1"]);
    bench.damage(1);
    let report = bench.boot("plain");
    assert_eq!(report.value("status"), "0");
    assert_eq!(report.value("address"), mac_of(&identity));
    assert_eq!(report.value("hostname"), "panda-1");
    assert!(report.lines.contains("degraded"), "{}", report.lines);
}

#[test]
fn a_card_that_is_pulled_while_being_read_leaves_nothing_behind() {
    let bench = Bench::new();
    bench.stamp(&["--hostname", "panda-1"]);
    let report = bench.boot("pulled");
    assert_eq!(report.value("pulled"), "while it was read");
    assert_eq!(report.value("status"), "7");
    has_taken_nothing_for(&report, &["card"]);
}

#[test]
fn a_full_run_leaves_nothing_behind() {
    let bench = Bench::new();
    bench.stamp(&["--hostname", "panda-1"]);
    let report = bench.boot("full");
    assert_eq!(report.value("status"), "7");
    has_taken_nothing_for(&report, &["/run/identity", "no space left on device"]);
}

#[test]
fn an_interface_that_refuses_its_address_keeps_its_own_and_is_named() {
    let bench = Bench::new();
    let identity = bench.stamp(&["--hostname", "panda-1"]);
    let report = bench.boot("busy");
    assert_eq!(report.value("status"), "1");
    assert_eq!(report.value("address"), FACTORY_MAC);
    // The rest of the identity does not depend on it.
    assert_eq!(report.value("hostname"), "panda-1");
    let line = report.all("LOG identity: ").find(|line| line.contains("eth0")).expect("a line");
    for part in ["ethernet0", mac_of(&identity), FACTORY_MAC, "busy"] {
        assert!(line.contains(part), "{line}");
    }
}
