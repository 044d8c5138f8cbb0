// SPDX-License-Identifier: MIT OR Apache-2.0
//! The main job on real parts: a stamped card in QEMU's `vexpress-a9`, U-Boot 2025.01 with our patch, Debian's kernel.
//! What is simulated is the board; U-Boot, kernel, card image and frames are real.

use std::fs;

use identity_tests::bench::{BOOT_LINUX, Bench, mac_of};
use identity_tests::board::Model;
use identity_tests::workspace;
use serde_json::Value;

fn bench() -> Bench {
    Bench::new("2025.01", Model::Vexpress)
}

#[test]
fn a_blank_card_leaves_the_environment_alone_and_says_so() {
    let bench = bench();
    bench.stamp(&[]);
    bench.image.run("erase --force").exits(0);
    let (mut board, said) = bench.boot();
    assert!(said.contains("identity: mmc 0 is blank"), "{said}");
    assert_eq!(board.variable("identity_state").as_deref(), Some("blank"));
    assert_eq!(board.variable("identity_profile"), None);
    assert_eq!(board.variable("identity_uuid"), None);
}

#[test]
fn a_corrupted_card_leaves_the_environment_alone_and_says_so() {
    let bench = bench();
    let identity = bench.stamp(&[]);
    for copy in bench.image.copies() {
        bench.image.damage(copy.try_into().expect("an LBA"));
    }
    let (mut board, said) = bench.boot();
    assert!(said.contains("identity: mmc 0 is corrupt"), "{said}");
    assert_eq!(board.variable("identity_state").as_deref(), Some("corrupt"));
    assert_eq!(board.variable("identity_profile"), None);
    assert_ne!(board.variable("ethaddr").as_deref(), Some(mac_of(&identity)));
}

#[test]
fn a_damaged_first_copy_is_said_and_the_second_used() {
    let bench = bench();
    let identity = bench.stamp(&[]);
    let first = identity["copies"][0]["lba"].as_u64().expect("an LBA");
    bench.image.damage(first.try_into().expect("small"));
    let (mut board, said) = bench.boot();
    assert!(said.contains("degraded"), "{said}");
    assert_eq!(board.variable("identity_state").as_deref(), Some("degraded"));
    assert_eq!(board.variable("ethaddr").as_deref(), Some(mac_of(&identity)));
}

#[test]
fn two_cards_cloned_from_one_image_and_stamped_give_two_macs() {
    let (one, other) = (bench(), bench());
    one.stamp(&[]);
    fs::copy(one.image.path(), other.image.path()).expect("a clone");
    other.image.run("stamp --force --profile panda").exits(0);

    let macs = [&one, &other].map(|bench| {
        let (mut board, _) = bench.boot();
        bench.mac_on_the_wire(&mut board, 0)
    });
    assert_ne!(macs[0], macs[1]);
}

/// The boot script in docs/UBOOT.md, as it stands there.
fn documented_script() -> String {
    let document = fs::read_to_string(workspace().join("docs/UBOOT.md")).expect("the document");
    let mut blocks = document.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks
        .find(|block| block.starts_with("if test \"$identity_state\""))
        .expect("the script")
        .replace('\t', " ")
}

#[test]
fn a_boot_script_can_branch() {
    let bench = bench();
    let stamped = bench.stamp(&[]);
    let uuid = stamped["uuid"].as_str().expect("a UUID");
    let script = documented_script();
    for (change, expected) in [
        ("", "RAN panda"),
        (&*format!("stamp --uuid {uuid} --profile beagle"), "RAN default"),
        ("erase --force", "RAN rescue"),
    ] {
        if !change.is_empty() {
            bench.image.run(change).exits(0);
        }
        let (mut board, _) = bench.boot();
        for branch in ["panda", "default", "rescue"] {
            board.run(&format!("setenv boot_{branch} echo RAN {branch}"));
        }
        let said = board.run(script.trim_end());
        let ran: Vec<_> = said.lines().filter(|line| line.starts_with("RAN")).collect();
        assert_eq!(ran, [expected], "{said}");
    }
}

#[test]
fn linux_on_the_board_reads_the_same() {
    let bench = bench();
    bench.stamp(&["--hostname", "panda-3", "--mac", "1=02:00:00:00:00:11", "--set", "rack=b4 – grün"]);
    let workstation: Value = bench.image.run("read --format json").exits(0).json();

    let (mut board, _) = bench.boot();
    bench.load_linux(&mut board);
    board.send(&format!("setenv bootargs console=ttyAMA0 quiet; {BOOT_LINUX}\n"));
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
