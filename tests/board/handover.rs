// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a system gets in which nothing of ours is installed: kernel arguments, as they arrive in Debian's kernel.

use std::fs;

use identity_tests::bench::{BOOT_LINUX, Bench, fat_partition, text};
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

/// A kernel whose console and root stand in its own default line, which it takes where the tree has no arguments or empty ones.
mod own_default_line {
    use identity_tests::bench::put_file;
    use identity_tests::board::artifact;
    use identity_tests::cli::tool;

    use super::*;

    /// CONFIG_CMDLINE of `tests/lib/linux-own-line`.
    const OWN: &str = "console=ttyAMA0 quiet root=/dev/mmcblk0p1 rootfstype=vfat rootwait init=/start";
    /// The kernel's limit on 32-bit Arm, with the NUL at the end.
    const LINE_LEN: usize = 1024;
    const START: &str = "#!/bin/busybox sh\n\
                         busybox mount -t proc proc /proc\n\
                         echo \"CMDLINE $(busybox cat /proc/cmdline)\"\n\
                         echo DONE\n\
                         busybox poweroff -f\n";

    /// A card with the kernel and its root on the FAT partition.
    fn bench() -> (Bench, String) {
        let bench = Bench::new("2025.01", Model::Vexpress);
        let identity = bench.stamp(&["--hostname", "panda-3"]);
        let words = format!("systemd.machine_id={} systemd.hostname=panda-3", text(&identity, "/machine_id"));
        let partition = fat_partition(bench.image.path());
        let mut mmd = tool("mmd");
        mmd.args(["-i", &partition, "::bin", "::dev", "::proc"]);
        assert!(mmd.status().expect("mtools").success());
        let kernel = artifact("IDENTITY_TEST_LINUX_OWN_LINE");
        fs::write(bench.path("start"), START).expect("own directory");
        for (file, name) in [
            (kernel.join("zImage"), "zImage"),
            (kernel.join("tree"), "tree"),
            (artifact("IDENTITY_TEST_LINUX").join("busybox"), "bin/busybox"),
            (bench.path("start"), "start"),
        ] {
            put_file(bench.image.path(), &file, name);
        }
        (bench, words)
    }

    /// Starts the kernel after these commands; returns what U-Boot said, and the line that the kernel took.
    fn line(bench: &Bench, commands: &[&str]) -> (String, String) {
        let (mut board, _) = bench.boot();
        for command in [
            "fatload mmc 0:1 62000000 zImage",
            "fatload mmc 0:1 63f00000 tree",
            "setenv bootargs",
            "fdt addr 63f00000",
            "fdt resize 4096",
        ]
        .iter()
        .chain(commands)
        {
            board.run(command);
        }
        board.send("bootz 62000000 - 63f00000\n");
        let said = board.expect("CMDLINE ");
        let line = board.expect("DONE");
        (said, line.lines().next().expect("the arguments").to_owned())
    }

    #[test]
    fn counts_where_the_tree_has_no_arguments() {
        let (bench, words) = bench();
        for commands in [
            &[][..],
            &["setenv bootargs ''"],
            &["fdt set /chosen bootargs ''"],
            &["fdt set /chosen bootargs"],
        ] {
            let (_, taken) = line(&bench, commands);
            assert_eq!(taken, OWN, "{commands:?}");
        }
        // With some, it does not count, with us or without; ours stand behind them.
        let tree = format!("fdt set /chosen bootargs '{OWN}'");
        let (_, taken) = line(&bench, &[&tree]);
        assert_eq!(taken, format!("{OWN} {words}"));
    }

    #[test]
    fn arguments_without_an_end_or_near_the_limit_stay_as_they_are() {
        let (bench, words) = bench();
        let bytes: String = OWN.bytes().map(|byte| format!("{byte:02x} ")).collect();
        let (_, taken) = line(&bench, &[&format!("fdt set /chosen bootargs [{}]", bytes.trim())]);
        assert!(taken.starts_with(OWN) || taken.starts_with(&OWN[..OWN.len() - 1]), "{taken}");

        // As long as the kernel takes: nothing of ours is added, rather than half a word.
        let full = format!("{OWN} pad={}", "x".repeat(LINE_LEN - 1 - OWN.len() - " pad=".len()));
        fs::write(bench.path("value"), assignment("bootargs", &full)).expect("own directory");
        bench.put_file(&bench.path("value"), "value");
        let import = ["fatload mmc 0:1 61000000 value", "env import -t 61000000 $filesize bootargs"];
        let (said, taken) = line(&bench, &import);
        assert_eq!(taken, full);
        assert!(said.contains("systemd.hostname=panda-3 is left out"), "{said}");
        assert!(!taken.contains(&words));
    }

    #[test]
    fn counts_once_where_a_tree_is_handed_over_twice() {
        let (bench, words) = bench();
        let kernel = artifact("IDENTITY_TEST_LINUX_OWN_LINE").join("zImage");
        let mut mkimage = tool("mkimage");
        mkimage.args("-q -A arm -O linux -T kernel -C none -a 60008000 -e 60008000 -d".split(' '));
        assert!(mkimage.arg(kernel).arg(bench.path("uImage")).status().expect("u-boot-tools").success());
        bench.put_file(&bench.path("uImage"), "uImage");
        let (mut board, _) = bench.boot();
        for command in
            ["fatload mmc 0:1 62000000 uImage", "fatload mmc 0:1 63f00000 tree", "setenv fdt_high ffffffff"]
        {
            board.run(command);
        }
        board.run(&format!("setenv bootargs '{OWN}'"));
        for _ in 0..2 {
            for step in ["start 62000000 - 63f00000", "loados", "fdt", "prep"] {
                let said = board.run(&format!("bootm {step}"));
                assert!(!said.contains("out of order") && !said.contains("Usage"), "{step}: {said}");
            }
            // It stays where it is, with what was added.
            board.run("fdt addr 63f00000");
            assert!(board.run("fdt print /chosen bootargs").contains(&words));
            board.run("setenv bootargs");
        }
        board.send("bootm go\n");
        board.expect("CMDLINE ");
        let line = board.expect("DONE");
        assert_eq!(line.lines().next(), Some(&*format!("{OWN} {words}")));
    }
}
