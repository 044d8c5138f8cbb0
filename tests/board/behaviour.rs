// SPDX-License-Identifier: MIT OR Apache-2.0
//! What else a board does with its identity: the saved environment, PXE, several interfaces.

use std::fs;
use std::process::Command;

use identity_tests::bench::{Bench, check_applied, mac_of, text};
use identity_tests::board::Model;
use identity_tests::cli::Identity;

const OPTIONS: [&str; 6] = ["--hostname", "board-3", "--serial", "SN42", "--set", "rack=b4"];

/// On the same card, as many boards have it: in a file of its FAT partition.
#[test]
fn a_saved_environment_has_nothing_of_the_identity_and_does_it_no_harm() {
    let bench = Bench::new("2025.01", Model::OrangePi);
    let identity = bench.stamp(&OPTIONS);
    let (mut board, _) = bench.boot();
    let said = board.run("setenv colour blue; saveenv");
    assert!(said.contains("Saving Environment to FAT... OK"), "{said}");
    check_applied(&mut board, &bench.image, "valid");
    drop(board);
    bench.image.run("verify").exits(0);

    let partition = format!("{}@@4M", bench.image.path().display());
    let saved = Command::new("mtype").args(["-i", &partition, "::uboot.env"]).output().expect("mtools");
    let saved = String::from_utf8_lossy(&saved.stdout);
    assert!(saved.contains("colour=blue"), "what a person has set is saved");
    for value in [text(&identity, "/uuid"), mac_of(&identity), "panda", "SN42", "rack", "identity_"] {
        assert!(!saved.contains(value), "{value} is saved");
    }

    bench.image.run("erase --force").exits(0);
    let (mut board, _) = bench.boot();
    assert_eq!(board.variable("colour").as_deref(), Some("blue"));
    assert_eq!(board.variable("identity_state").as_deref(), Some("blank"));
    assert_ne!(board.variable("ethaddr").as_deref(), Some(mac_of(&identity)));
    for name in ["identity_uuid", "identity_profile", "identity_var_rack", "pxeuuid"] {
        assert_eq!(board.variable(name), None, "{name}");
    }
}

#[test]
fn pxe_asks_for_the_identity_s_file() {
    let bench = Bench::new("2025.01", Model::Vexpress);
    let identity = bench.stamp(&[]);
    let file = format!("pxelinux.cfg/{}", text(&identity, "/uuid"));
    fs::create_dir(bench.path("pxelinux.cfg")).expect("own directory");
    fs::write(bench.path(&file), "default one\nlabel one\n").expect("own directory");
    let (mut board, _) = bench.boot();
    let said = board.run("setenv pxefile_addr_r 62000000; setenv autoload no; dhcp; pxe get");
    let asked = said.lines().find_map(|line| line.strip_prefix("Retrieving file: "));
    assert_eq!(asked, Some(&*file), "{said}");
    assert!(said.contains("Bytes transferred = 22 "), "{said}");
}

#[test]
fn each_interface_has_its_own_address() {
    let bench = Bench::new("2025.01", Model::Arm64).with_interfaces(2);
    let identity = bench.stamp(&OPTIONS);
    let words = format!("derive {} --interfaces 2 --format json", text(&identity, "/uuid"));
    let derived = Identity::new(words).run().exits(0).json();
    let (mut board, _) = bench.boot();
    assert_eq!(board.variable("eth1addr").as_deref(), Some(text(&derived, "/macs/1/address")));

    let list = board.run("net list");
    for (interface, pointer) in ["/macs/0/address", "/macs/1/address"].iter().enumerate() {
        let start = format!("eth{interface} : ");
        let line =
            list.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{list}"));
        let device = line.split(' ').next().expect("a name");
        board.run(&format!("setenv ethact {device}"));
        assert_eq!(bench.mac_on_the_wire(&mut board, interface), text(&derived, pointer));
    }
}
