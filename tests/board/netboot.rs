// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tree of `identity-lab netboot` on a board: which kernel arguments a board is started with, and which boards get none.

use std::fs;
use std::path::Path;
use std::process::Command;

use identity_tests::bench::Bench;
use identity_tests::board::{Model, artifact};
use identity_tests::corpus::committed;
use identity_tests::lab::program;
use tempfile::TempDir;

/// The board of [`lab`].
pub const KNOWN: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";
const UNKNOWN: &str = "0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02";
/// What a boot command does; vexpress has no address for scripts.
const BOOT: &str = "setenv scriptaddr 60200000; setenv autoload no; dhcp; tftpboot ${scriptaddr} boot.scr; source ${scriptaddr}\n";
const BOOT_ELSEWHERE: &str =
    "setenv autoload no; dhcp; tftpboot ${scriptaddr} boot.scr; source ${scriptaddr}\n";

const ADDRESSES: &str =
    "kernel_addr_r = \"0x62000000\"\nfdt_addr_r = \"0x63f00000\"\nramdisk_addr_r = \"0x64000000\"\n";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a tree") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("room");
        }
    }
}

/// With a U-Boot that starts from the network by itself.
fn unattended() -> Bench {
    Bench::new("2025.01", Model::Vexpress).with_build(artifact("IDENTITY_TEST_UBOOT_NETBOOT"))
}

/// A lab with one board of the profile `panda`, and its tree where the bench's board finds it.
fn serve(bench: &Bench, more: &str, lab: &str) {
    serve_with(bench, &format!("[boot.addresses]\n{ADDRESSES}{more}"), lab);
}

/// The same, with all that the profile has behind its arguments.
fn serve_with(bench: &Bench, more: &str, lab: &str) {
    let dir =
        self::lab("vexpress-v2p-ca9.dtb", &Model::Vexpress.build("2025.01").join("u-boot.bin"), more, lab);
    run(dir.path(), &["netboot", "out"]);
    copy(&dir.path().join("out/tftp"), bench.image.dir());
}

/// `identity-lab` in a lab.
pub fn run(lab: &Path, words: &[&str]) {
    let done = Command::new(program()).current_dir(lab).args(words).output().expect("it starts");
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A lab with one board, `panda-3` of the profile `panda`, that starts the test's Linux with this device tree; `loader` is in its
/// directory `boot`. `more` comes behind the profile's arguments, `lab` into `lab.toml`.
pub fn lab(fdt: &str, loader: &Path, more: &str, lab: &str) -> TempDir {
    let dir = TempDir::new().expect("a directory");
    let console = if fdt.starts_with("sun8i") { "ttyS0,115200" } else { "ttyAMA0" };
    let linux = artifact("IDENTITY_TEST_LINUX");
    for directory in ["profiles", "boot"] {
        fs::create_dir(dir.path().join(directory)).expect("a directory");
    }
    let write = |name: &str, text: String| fs::write(dir.path().join(name), text).expect("room");
    for file in ["zImage", fdt] {
        fs::copy(linux.join(file), dir.path().join("boot").join(file)).expect("a part of Linux");
    }
    fs::copy(artifact("IDENTITY_TEST_INITRAMFS"), dir.path().join("boot/initramfs")).expect("the initramfs");
    write("lab.toml", format!("name = \"bench\"\n{lab}"));
    fs::copy(loader, dir.path().join("boot/u-boot.bin")).expect("U-Boot");
    write("boards.csv", format!("hostname,profile,uuid,location\npanda-3,panda,{KNOWN},b4\n"));
    write(
        "profiles/panda.toml",
        format!(
            "[boot]\nkernel = \"boot/zImage\"\ninitrd = [\"boot/initramfs\"]\nfdt = \"boot/{fdt}\"\n\
             args = [\"console={console}\", \"place=${{location}}\", \"name=${{identity_hostname}}\"]\n{more}"
        ),
    );
    dir
}

#[test]
fn a_board_is_started_as_the_list_says_and_else_as_its_profile_says() {
    let bench = Bench::new("2025.01", Model::Vexpress);
    serve(&bench, "", "");
    for (uuid, profile, line) in [
        (KNOWN, "panda", "command line: console=ttyAMA0 place=b4 name=panda-3\r\n"),
        // The list decides, whatever the card says.
        (KNOWN, "other", "command line: console=ttyAMA0 place=b4 name=panda-3\r\n"),
        (UNKNOWN, "panda", "command line: console=ttyAMA0 name=on-the-card\r\n"),
    ] {
        let words = format!("stamp --force --uuid {uuid} --profile {profile} --hostname on-the-card");
        bench.image.run(&words).exits(0);
        let (mut board, _) = bench.boot();
        board.send(BOOT);
        let said = board.expect("Starting kernel");
        assert_eq!(
            said.contains("the card says profile other, the list of the lab panda"),
            profile == "other",
            "{said}"
        );
        let said = board.expect("Unknown kernel command line");
        assert!(said.contains(line.trim_end()), "{said}");
    }
}

/// Cards of `fixtures/cards/` in states in which a board is nobody; most have copies of an identity that the list knows.
#[test]
fn a_board_that_may_not_boot_its_profile_gets_nothing_of_one() {
    let bench = unattended();
    serve_with(&bench, "", "");
    let cards = committed().cards;
    for (name, says) in [
        ("damaged-both", "rescue: UUID , state corrupt, profile"),
        ("newer-pair", "rescue: UUID , state newer, profile"),
        ("ghost-63-mbr", "rescue: UUID , state conflict, profile"),
        // To another card than QEMU's.
        ("bound-to-another-card", "rescue: UUID , state cloned, profile"),
    ] {
        let card = cards.iter().find(|card| card.name == name).expect("an odd card");
        fs::write(bench.image.path(), card.image()).expect("room");
        let said = bench.start().expect("trying again in 60 s");
        assert!(said.contains(says) && !said.contains("zImage"), "{name}: {said}");
    }
}

#[test]
fn a_board_of_an_unknown_profile_gets_nothing_of_another() {
    let bench = Bench::new("2025.01", Model::Vexpress);
    serve(&bench, "", "");
    bench.image.run(format!("stamp --uuid {UNKNOWN} --profile stranger")).exits(0);
    let (mut board, _) = bench.boot();
    board.send(BOOT);
    let said = board.expect("trying again in 60 s");
    assert!(
        said.contains("neither this board nor the profile stranger") && !said.contains("zImage"),
        "{said}"
    );
}

#[test]
fn a_second_stage_takes_the_same_identity_and_starts_once() {
    let bench = Bench::new("2025.01", Model::Vexpress);
    let loader = "[loader]\nfile = \"boot/u-boot.bin\"\naddress = \"0x60800000\"\nhow = \"bootm\"\n";
    serve(&bench, loader, "");
    bench.image.run(format!("stamp --uuid {KNOWN} --profile panda")).exits(0);
    let (mut board, first) = bench.boot();
    board.send(BOOT);
    board.expect("Loading Kernel Image to 60800000");
    let second = board.stop_autoboot();
    have_one_identity(&first, &second);
    board.send(BOOT);
    let said = board.expect("Unknown kernel command line");
    assert!(
        said.contains("command line: console=ttyAMA0 place=b4 name=panda-3") && !said.contains("60800000"),
        "{said}"
    );
}

/// Both stages say the same of the card.
fn have_one_identity(first: &str, second: &str) {
    let line = |said: &str| said.lines().find(|line| line.starts_with("identity: ")).map(str::to_owned);
    assert!(line(first).is_some_and(|line| line.contains(KNOWN)), "{first}");
    assert_eq!(line(first), line(second));
}

#[test]
fn a_second_stage_for_aarch64_starts_once_too() {
    let bench = Bench::new("2025.01", Model::Arm64);
    // This board has addresses for all files but the device tree.
    let loader = "[boot.addresses]\nfdt_addr_r = \"0x43f00000\"\n\
                  [loader]\nfile = \"boot/u-boot.bin\"\naddress = \"0x41000000\"\nhow = \"booti\"\n";
    let u_boot = Model::Arm64.build("2025.01").join("u-boot.bin");
    let dir = lab("vexpress-v2p-ca9.dtb", &u_boot, loader, "");
    run(dir.path(), &["netboot", "out"]);
    copy(&dir.path().join("out/tftp"), bench.image.dir());
    bench.image.run(format!("stamp --uuid {KNOWN} --profile panda")).exits(0);
    let (mut board, first) = bench.boot();
    board.send(BOOT_ELSEWHERE);
    let second = board.stop_autoboot();
    have_one_identity(&first, &second);
    // The kernel is none for this machine.
    board.send(BOOT_ELSEWHERE);
    let said = board.expect("-zImage'");
    assert!(!said.contains("-u-boot.bin'"), "{said}");
}

#[test]
fn a_board_without_identity_boots_the_labs_rescue() {
    let bench = Bench::new("2025.01", Model::Vexpress);
    let rescue = format!(
        "[rescue]\nkernel = \"boot/zImage\"\ninitrd = \"boot/initramfs\"\nfdt = \"boot/vexpress-v2p-ca9.dtb\"\n\
         args = [\"console=ttyAMA0\", \"rescue=yes\"]\n[rescue.addresses]\n{ADDRESSES}"
    );
    serve(&bench, "", &rescue);
    let (mut board, _) = bench.boot();
    board.send(BOOT);
    let said = board.expect("Unknown kernel command line");
    assert!(
        said.contains("state blank") && said.contains("command line: console=ttyAMA0 rescue=yes"),
        "{said}"
    );
}

/// vexpress has no address for scripts and initial RAM disks, nor does this profile.
#[test]
fn a_board_that_nobody_touches_starts_what_the_list_says() {
    let bench = unattended();
    serve_with(&bench, "", "");
    bench.image.run(format!("stamp --uuid {KNOWN} --profile panda --hostname on-the-card")).exits(0);
    let said = bench.start().expect("Unknown kernel command line");
    assert!(said.contains("command line: console=ttyAMA0 place=b4 name=panda-3"), "{said}");
}

#[test]
fn a_board_that_nobody_touches_gets_nothing_of_a_profile_without_an_identity() {
    let bench = unattended();
    serve_with(&bench, "", "");
    let said = bench.start().expect("trying again in 60 s");
    assert!(said.contains("rescue: UUID , state blank, profile") && !said.contains("zImage"), "{said}");
}

#[test]
fn without_a_script_it_says_who_it_is_and_a_key_ends_at_the_prompt() {
    let bench = unattended();
    bench.image.run(format!("stamp --uuid {KNOWN} --profile panda")).exits(0);
    let mut board = bench.start();
    let said = board.expect("trying again in 60 s; a key ends at the prompt");
    assert!(said.contains(&format!("rescue: UUID {KNOWN}, state valid, profile panda")), "{said}");
    board.send(" ");
    board.expect("=> ");
    assert_eq!(board.variable("bootcmd").as_deref(), Some("identity netboot"));
    assert_eq!(board.variable("ramdisk_addr_r").as_deref(), Some("0x66000000"));
    // The board's own.
    assert_eq!(board.variable("kernel_addr_r").as_deref(), Some("0x60100000"));
}
