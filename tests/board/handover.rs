// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a system gets in which nothing of ours is installed: kernel arguments, as they arrive in Debian's kernel.

use std::fs;

use identity_tests::bench::{BOOT_LINUX, Bench, text};
use identity_tests::board::Model;

/// Starts Linux with `bootargs`, if there are any, after these `commands`; returns what U-Boot said, and Linux's own
/// arguments.
fn arguments(bench: &Bench, commands: &str, bootargs: &str) -> (String, String) {
    let (mut board, _) = bench.boot();
    bench.load_linux(&mut board);
    let loaded = board.variable("filesize").expect("a file was loaded");
    if !commands.is_empty() {
        board.run(commands);
    }
    board.send(&format!("setenv filesize {loaded}; setenv bootargs '{bootargs}'; {BOOT_LINUX}\n"));
    let said = board.expect("CMDLINE ");
    let line = board.expect("DONE");
    (said, line.lines().next().expect("the arguments").to_owned())
}

fn check(release: &str) {
    let bench = Bench::new(release, Model::Vexpress);
    let identity = bench.stamp(&["--hostname", "panda-3"]);
    let words = format!("systemd.machine_id={} systemd.hostname=panda-3", text(&identity, "/machine_id"));

    let (_, line) = arguments(&bench, "", "console=ttyAMA0 quiet -- single");
    assert_eq!(line, format!("console=ttyAMA0 quiet {words} -- single"));

    // Somebody's own wish.
    let (said, line) = arguments(&bench, "", "console=ttyAMA0 quiet systemd.hostname=mine");
    let words = format!("systemd.machine_id={}", text(&identity, "/machine_id"));
    assert_eq!(line, format!("console=ttyAMA0 quiet systemd.hostname=mine {words}"));
    let stays = "the kernel argument systemd.hostname=mine stays, the identity's is systemd.hostname=panda-3";
    assert_eq!(said.matches(stays).count(), 1, "{said}");
}

// Each is uboot_<release>_<board>, as tests/run names what it skips.

#[test]
fn uboot_2025_01_vexpress_ca9x4_adds_kernel_arguments() {
    check("2025.01");
}

#[test]
fn uboot_2023_01_vexpress_ca9x4_adds_kernel_arguments() {
    check("2023.01");
}

#[test]
fn uboot_2021_01_vexpress_ca9x4_adds_kernel_arguments() {
    check("2021.01");
}

#[test]
fn a_card_that_is_not_in_order_adds_no_kernel_arguments() {
    let bench = Bench::new("2025.01", Model::Vexpress);
    for change in ["", "stamp --profile panda --hostname panda-3"] {
        if !change.is_empty() {
            bench.image.run(change).exits(0);
            for lba in bench.image.copies() {
                bench.image.damage(lba.try_into().expect("an LBA"));
            }
        }
        let (_, line) = arguments(&bench, "", "console=ttyAMA0 quiet");
        assert_eq!(line, "console=ttyAMA0 quiet");
    }
}

/// What `env import -t` takes for `name` with this value.
fn assignment(name: &str, value: &str) -> String {
    format!("{name}={}\n", value.replace('\\', r"\\"))
}

#[test]
fn every_character_of_a_value_arrives_in_linux_as_one_word() {
    let bench = Bench::new("2025.01", Model::Vexpress);
    let identity = bench.stamp(&["--hostname", "panda-3"]);
    let machine_id = format!("systemd.machine_id={}", text(&identity, "/machine_id"));
    let import = "setenv autoload no; dhcp; tftpboot 61000000 value; env import -t 61000000 $filesize identity_hostname";
    let all: String = (' '..='~').filter(|char| *char != '"').chain("à grün – 木".chars()).collect();

    fs::write(bench.path("value"), assignment("identity_hostname", &all)).expect("own directory");
    let (_, line) = arguments(&bench, import, "console=ttyAMA0 quiet -- one");
    assert_eq!(line, format!("console=ttyAMA0 quiet {machine_id} systemd.hostname=\"{all}\" -- one"));

    // There is no way to write it.
    fs::write(bench.path("value"), assignment("identity_hostname", "a\" init=/none")).expect("own directory");
    let (said, line) = arguments(&bench, import, "console=ttyAMA0 quiet");
    assert_eq!(line, format!("console=ttyAMA0 quiet {machine_id}"));
    assert!(said.contains("systemd.hostname=a\" init=/none is left out"), "{said}");
}
