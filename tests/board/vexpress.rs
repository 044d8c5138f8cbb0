// SPDX-License-Identifier: MIT OR Apache-2.0
//! The main job on real parts: a stamped card in QEMU's `vexpress-a9`, U-Boot 2025.01 with our patch, Debian's kernel.
//! What is simulated is the board; U-Boot, kernel, card image and frames are real.

use std::fs;
use std::path::PathBuf;

use identity_tests::board::{Board, Machine, artifact, dhcp_requests};
use identity_tests::cli::Identity;
use serde_json::Value;
use tempfile::TempDir;

/// A card and what lies around the board that it is in.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { dir: TempDir::new().expect("a temporary directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn card(&self) -> PathBuf {
        self.path("card.img")
    }

    /// A new card, stamped with these options beside a profile.
    fn stamp(&self, options: &[&str]) -> Value {
        let stamp = Identity::new("stamp --create 64M --profile panda --format json");
        stamp.args(options).arg(self.card()).run().exits(0).json()
    }

    /// Another verb on the card; returns what it prints.
    fn identity(&self, words: &str) -> String {
        Identity::new(words).arg(self.card()).run().exits(0).stdout
    }

    fn start(&self) -> Board {
        let build = artifact("IDENTITY_TEST_UBOOT_VEXPRESS");
        Machine::vexpress(&build, &self.card(), self.dir.path(), &self.path("frames.pcap")).start()
    }

    /// Has U-Boot ask for an address, and returns the MAC address that is on the wire.
    fn mac_on_the_wire(&self, board: &mut Board) -> String {
        board.run("setenv autoload no; dhcp");
        let requests = dhcp_requests(&self.path("frames.pcap"));
        let (source, chaddr) = requests.first().expect("the board sent a DHCP request");
        assert_eq!(source, chaddr, "frame and request name one address");
        let pairs: Vec<_> = source.iter().map(|byte| format!("{byte:02x}")).collect();
        pairs.join(":")
    }

    fn damage(&self, lba: u64) {
        let mut bytes = fs::read(self.card()).expect("the card");
        bytes[usize::try_from(lba * 512 + 60).expect("small")] ^= 0x10;
        fs::write(self.card(), bytes).expect("the card");
    }
}

fn mac_of(identity: &Value) -> &str {
    identity["macs"][0]["address"].as_str().expect("a MAC address")
}

#[test]
fn u_boot_takes_the_identity_without_any_script() {
    let bench = Bench::new();
    let identity = bench.stamp(&["--hostname", "panda-3", "--serial", "SN42", "--set", "rack=b4"]);
    let mut board = bench.start();
    let said = board.stop_autoboot();

    let uuid = identity["uuid"].as_str().expect("a UUID");
    let line = said.lines().find(|line| line.starts_with("identity:")).expect("a line on start");
    for part in ["panda", uuid, mac_of(&identity)] {
        assert!(line.contains(part), "{line}");
    }
    // Before the network: the interface takes its address from the variable when it is set up.
    let network = said.find("Net:").expect("U-Boot starts the network");
    assert!(said.find("identity:").expect("found above") < network, "{said}");

    for (name, value) in [
        ("ethaddr", mac_of(&identity)),
        ("identity_state", "valid"),
        ("identity_uuid", uuid),
        ("identity_profile", "panda"),
        ("identity_hostname", "panda-3"),
        ("identity_serial", "SN42"),
        ("identity_var_rack", "b4"),
        ("pxeuuid", uuid),
        ("serial#", "SN42"),
    ] {
        assert_eq!(board.variable(name).as_deref(), Some(value), "{name}");
    }

    let read = board.run("identity read");
    for part in [uuid, "panda", "panda-3", "SN42", "rack=", "b4", mac_of(&identity)] {
        assert!(read.contains(part), "{read}");
    }
    assert_eq!(bench.mac_on_the_wire(&mut board), mac_of(&identity));
}

#[test]
fn the_same_names_and_values_as_the_workstation_s_uboot_format() {
    let bench = Bench::new();
    bench.stamp(&["--hostname", "panda-3", "--serial", "SN42", "--set", "rack=b4"]);
    let expected = bench.identity("read --format uboot");
    let mut board = bench.start();
    board.stop_autoboot();
    for line in expected.lines() {
        let (name, value) = line.split_once('=').expect("assignments");
        assert_eq!(board.variable(name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn a_blank_card_leaves_the_environment_alone_and_says_so() {
    let bench = Bench::new();
    bench.stamp(&[]);
    bench.identity("erase --force");
    let mut board = bench.start();
    let said = board.stop_autoboot();
    assert!(said.contains("identity: mmc 0 is blank"), "{said}");
    assert_eq!(board.variable("identity_state").as_deref(), Some("blank"));
    assert_eq!(board.variable("identity_profile"), None);
    assert_eq!(board.variable("identity_uuid"), None);
}

#[test]
fn a_corrupted_card_leaves_the_environment_alone_and_says_so() {
    let bench = Bench::new();
    let identity = bench.stamp(&[]);
    for copy in identity["copies"].as_array().expect("copies") {
        bench.damage(copy["lba"].as_u64().expect("an LBA"));
    }
    let mut board = bench.start();
    let said = board.stop_autoboot();
    assert!(said.contains("identity: mmc 0 is corrupt"), "{said}");
    assert_eq!(board.variable("identity_state").as_deref(), Some("corrupt"));
    assert_eq!(board.variable("identity_profile"), None);
    assert_ne!(board.variable("ethaddr").as_deref(), Some(mac_of(&identity)));
}

#[test]
fn a_damaged_first_copy_is_said_and_the_second_used() {
    let bench = Bench::new();
    let identity = bench.stamp(&[]);
    bench.damage(identity["copies"][0]["lba"].as_u64().expect("an LBA"));
    let mut board = bench.start();
    let said = board.stop_autoboot();
    assert!(said.contains("degraded"), "{said}");
    assert_eq!(board.variable("identity_state").as_deref(), Some("degraded"));
    assert_eq!(board.variable("ethaddr").as_deref(), Some(mac_of(&identity)));
}

#[test]
fn two_cards_cloned_from_one_image_and_stamped_give_two_macs() {
    let (one, other) = (Bench::new(), Bench::new());
    one.stamp(&[]);
    fs::copy(one.card(), other.card()).expect("a clone");
    other.identity("stamp --force --profile panda");

    let macs = [&one, &other].map(|bench| {
        let mut board = bench.start();
        board.stop_autoboot();
        bench.mac_on_the_wire(&mut board)
    });
    assert_ne!(macs[0], macs[1]);
}

#[test]
fn a_boot_script_can_branch() {
    let bench = Bench::new();
    bench.stamp(&[]);
    let mut board = bench.start();
    board.stop_autoboot();
    let script = "if test \"$identity_state\" = valid && test \"$identity_profile\" = panda; \
                  then echo is a panda; else echo is not; fi";
    assert_eq!(board.run(script).trim(), "is a panda");
    assert_eq!(
        board.run("if identity verify; then echo whole; else echo not; fi").lines().last(),
        Some("whole")
    );
}

#[test]
fn linux_on_the_board_reads_the_same() {
    let bench = Bench::new();
    bench.stamp(&["--hostname", "panda-3", "--mac", "1=02:00:00:00:00:11", "--set", "rack=b4 – grün"]);
    let workstation: Value = serde_json::from_str(&bench.identity("read --format json")).expect("JSON");

    let linux = artifact("IDENTITY_TEST_LINUX");
    for file in ["zImage", "vexpress-v2p-ca9.dtb"] {
        fs::copy(linux.join(file), bench.path(file)).expect("a part of Linux");
    }
    fs::copy(artifact("IDENTITY_TEST_INITRAMFS"), bench.path("initramfs")).expect("the initramfs");

    let mut board = bench.start();
    board.stop_autoboot();
    board.run("setenv autoload no; dhcp");
    for (address, file) in
        [("62000000", "zImage"), ("63f00000", "vexpress-v2p-ca9.dtb"), ("64000000", "initramfs")]
    {
        let said = board.run(&format!("tftpboot {address} {file}"));
        assert!(said.contains("Bytes transferred"), "{said}");
    }
    board.send("setenv bootargs console=ttyAMA0 quiet; bootz 62000000 64000000:$filesize 63f00000\n");
    board.expect("BEGIN identity read");
    let said = board.expect("END exit 0");
    let on_the_board: Value = serde_json::from_str(said.trim_end_matches("END exit 0")).expect("JSON");
    assert_eq!(on_the_board, workstation);

    let said = board.expect("DONE");
    for property in ["uuid", "profile", "state"] {
        let value = workstation[property].as_str().expect("text");
        assert!(said.contains(&format!("DEVICE-TREE {property}={value}\n")), "{said}");
    }
    assert!(said.contains(&format!("NETWORK {}\n", mac_of(&workstation))), "{said}");
}
