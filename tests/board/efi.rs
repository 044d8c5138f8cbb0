// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a system that starts through EFI gets: GRUB and kernel as Debian publishes them, which know nothing of identities,
//! unified kernel images made of these, and U-Boot's SMBIOS tables.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use identity_tests::bench::{Bench, fat_partition, text};
use identity_tests::board::{Board, Model, artifact};
use serde_json::Value;

/// Kernel and initramfs of 70 MB, emulated.
const SOON: Duration = Duration::from_secs(400);

/// A board, and a card with an identity and an EFI partition.
fn bench() -> (Bench, Value) {
    let bench = Bench::new("2025.01", Model::Arm64);
    let image = bench.image.path();
    let card = fs::File::create(image).expect("own directory");
    card.set_len(256 << 20).expect("a sparse file");
    run(Command::new("sgdisk").args(["--clear", "--new=1:8192:0", "--typecode=1:ef00"]).arg(image));
    run(Command::new("mformat").args(["-F", "-i", &fat_partition(bench.image.path()), "::"]));
    let identity = bench.stamp(&["--hostname", "panda-3", "--serial", "SN42"]);
    (bench, identity)
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Puts a file onto the EFI partition, with the directories that it lies in.
fn put(bench: &Bench, file: &Path, name: &str) {
    let partition = fat_partition(bench.image.path());
    for (at, _) in name.match_indices('/') {
        // It may be there.
        let mut mmd = Command::new("mmd");
        mmd.args(["-D", "s", "-i", &partition, &format!("::{}", &name[..at])]);
        let _ = mmd.output().expect("mtools");
    }
    bench.put_file(file, name);
}

fn put_debians(bench: &Bench, files: &[(&str, &str)]) {
    for (file, name) in files {
        put(bench, &artifact("IDENTITY_TEST_EFI_ARM64").join(file), name);
    }
}

const KERNEL: &[(&str, &str)] = &[("linux", "linux"), ("initrd.gz", "initrd.gz")];

/// What the system knows of itself, from a shell on its console: a line for each thing.
fn report(board: &mut Board) -> Vec<String> {
    board.expect_within(SOON, "# ");
    board.send(concat!(
        "mount -t proc proc /proc; mount -t sysfs sysfs /sys; cd /proc/device-tree/chosen/identity; ",
        "for i in *; do echo \"TREE $i=$(cat $i)\"; done; cd /sys/class/dmi/id; ",
        "echo \"SMBIOS $(cat product_uuid) $(cat product_serial)\"; ",
        "echo \"LINE $(cat /proc/cmdline)\"; echo EN''D\n"
    ));
    board.expect("END").lines().map(str::to_owned).collect()
}

#[track_caller]
fn has(report: &[String], line: &str) {
    assert!(report.iter().any(|one| one == line), "{line:?} in {report:#?}");
}

/// What every system gets from its device tree and SMBIOS tables, however it was started.
#[track_caller]
fn has_identity(report: &[String], identity: &Value) {
    for (property, pointer) in [
        ("state", "/state"),
        ("uuid", "/uuid"),
        ("profile", "/profile"),
        ("hostname", "/hostname"),
        ("serial", "/serial"),
        ("machine-id", "/machine_id"),
        ("mac-addresses", "/macs/0/address"),
    ] {
        has(report, &format!("TREE {property}={}", text(identity, pointer)));
    }
    has(report, &format!("SMBIOS {} SN42", text(identity, "/uuid")));
}

fn words(identity: &Value) -> String {
    format!("systemd.machine_id={} systemd.hostname=panda-3", text(identity, "/machine_id"))
}

/// GRUB passes its own line, to which nothing is added, and can name the board in it by its `smbios` command.
fn check_grub(start: &str) {
    let (bench, identity) = bench();
    put_debians(&bench, KERNEL);
    put_debians(&bench, &[("grubaa64.efi", "EFI/BOOT/BOOTAA64.EFI")]);
    let config = "smbios --type 1 --get-uuid 8 --set board\n\
                  linux ($root)/linux console=ttyAMA0 quiet rdinit=/bin/sh board=$board\n\
                  initrd ($root)/initrd.gz\nboot\n";
    fs::write(bench.path("grub.cfg"), config).expect("own directory");
    put(&bench, &bench.path("grub.cfg"), "EFI/debian/grub.cfg");

    let (mut board, _) = bench.boot();
    board.send(&format!("{start}\n"));
    let report = report(&mut board);
    has_identity(&report, &identity);
    let line = report.iter().find(|line| line.starts_with("LINE ")).expect("the arguments");
    let board = format!("console=ttyAMA0 quiet rdinit=/bin/sh board={}", text(&identity, "/uuid"));
    assert!(line.ends_with(&board), "{line}");
}

#[test]
fn grub_of_debian_by_bootefi_hands_on_the_device_tree() {
    check_grub(
        "load mmc 0:1 ${kernel_addr_r} EFI/BOOT/BOOTAA64.EFI; bootefi ${kernel_addr_r} ${fdtcontroladdr}",
    );
}

#[test]
fn grub_of_debian_by_bootflow_hands_on_the_device_tree() {
    check_grub("bootflow scan -lb mmc");
}

#[test]
fn a_kernel_gets_the_arguments_in_front_of_those_of_init() {
    let (bench, identity) = bench();
    put_debians(&bench, KERNEL);
    let (mut board, _) = bench.boot();
    let line = "console=ttyAMA0 quiet rdinit=/bin/sh initrd=initrd.gz";
    board.run(&format!("setenv bootargs '{line} -- -i'; load mmc 0:1 ${{kernel_addr_r}} linux"));
    // Without its size: the kernel looks for its initramfs where U-Boot has loaded it from.
    board.send("bootefi ${kernel_addr_r} ${fdtcontroladdr}\n");
    let report = report(&mut board);
    has_identity(&report, &identity);
    has(&report, &format!("LINE {line} {} -- -i", words(&identity)));
    has(&report, &format!("TREE bootargs={}", words(&identity)));
}

/// The line that is in a unified kernel image, as in `tests/lib/efi-arm64`.
const UNIFIED: &str = "console=ttyAMA0 quiet rdinit=/bin/sh uki=yes";

fn check_unified(file: &str, line: impl Fn(&Value) -> String) {
    let (bench, identity) = bench();
    put_debians(&bench, &[(file, "uki.efi")]);
    let (mut board, _) = bench.boot();
    board.run("load mmc 0:1 ${kernel_addr_r} uki.efi");
    board.send("bootefi ${kernel_addr_r}:${filesize} ${fdtcontroladdr}\n");
    let report = report(&mut board);
    has_identity(&report, &identity);
    has(&report, &format!("LINE {}", line(&identity)));
}

#[test]
fn a_unified_kernel_image_starts_with_its_own_line() {
    check_unified("uki-12.efi", |_| UNIFIED.to_owned());
}

/// The build has `IDENTITY_SMBIOS_BOOTARGS`.
#[test]
fn a_unified_kernel_image_of_a_newer_systemd_adds_the_identity_s_arguments() {
    check_unified("uki-13.efi", |identity| format!("{UNIFIED} {}", words(identity)));
}
