// SPDX-License-Identifier: MIT OR Apache-2.0
//! What U-Boot's own tools say of our part of it: its unit tests, `test/cmd/identity/`, in its sandbox, which is a Linux
//! program; its device tree for an operating system; and its style checker.

use std::fs;
use std::path::Path;
use std::process::Command;

use identity_core::field::kind;
use identity_core::{Draft, Mac, Uuid, derive};
use identity_tests::board::artifact;
use identity_tests::workspace;
use tempfile::TempDir;

/// How many tests the sources have.
pub fn declared() -> usize {
    let sources = workspace().join("uboot-patch/overlay/test/cmd/identity");
    let sources = sources.read_dir().expect("the tests").map(|entry| entry.expect("an entry").path());
    let sources = sources.map(|path| fs::read_to_string(path).expect("text"));
    sources.map(|source| source.lines().filter(|line| line.starts_with("IDENTITY_TEST(")).count()).sum()
}

/// Runs commands in the sandbox, with the devices that U-Boot's tests have; returns what they print.
fn sandbox(commands: &str) -> String {
    // Its devices make files in the current directory.
    sandbox_in(TempDir::new().expect("a directory").path(), commands)
}

/// The same in a directory whose files the commands can load.
fn sandbox_in(directory: &Path, commands: &str) -> String {
    let build = artifact("IDENTITY_TEST_UBOOT_2025_01_SANDBOX");
    let output = Command::new(build.join("u-boot"))
        .arg("-d")
        .arg(build.join("arch/sandbox/dts/test.dtb"))
        .args(["-c", commands])
        .current_dir(directory)
        .output()
        .expect("the sandbox starts");
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

#[test]
fn u_boots_unit_tests_pass() {
    let said = sandbox("ut cmd identity_*");
    let passed = said.lines().filter(|line| line.starts_with("Test: cmd_test_identity_")).count();
    assert_eq!(passed, declared(), "{said}");
    assert!(passed > 0, "{said}");
    let result = said.lines().find(|line| line.contains("Failures:") || line.contains("failures:"));
    assert!(result.is_some_and(|line| line.trim_end().ends_with("ailures: 0")), "{said}");
}

#[test]
fn u_boots_style_checker_has_no_complaint() {
    let output = Command::new(workspace().join("tests/lib/checkpatch")).output().expect("the script starts");
    let complaints = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
}

/// U-Boot's commands to pass a kernel the device tree at 2000000, which these `changes` are made to; all that U-Boot looks at
/// in a kernel of 32-bit Arm, a magic, the start and the end, is a file here.
fn commands_to_boot(directory: &Path, changes: &str) -> String {
    let mut kernel = [0; 64];
    kernel[0x24..0x28].copy_from_slice(&0x016f_2818_u32.to_le_bytes());
    kernel[0x2c..0x30].copy_from_slice(&64_u32.to_le_bytes());
    fs::write(directory.join("kernel"), kernel).expect("own directory");
    format!(
        "fdt addr -c; fdt move $fdtcontroladdr 2000000 40000; {changes} host load hostfs - 1000000 kernel; \
         setenv fdt_high ffffffffffffffff; bootz 1000000 - 2000000; fdt addr 2000000; "
    )
}

/// What Linux gets of two interfaces with an alias each, of which one has an assigned address.
#[test]
fn each_interface_has_its_address_in_the_tree_that_linux_gets() {
    let uuid = Uuid::from_u128(0x9e3c1d40_5a37_4c8e_9f0b_6d2a81e4c7f5);
    let assigned = Mac::new([2, 0, 0, 0, 0, 9]).unwrap();
    let mut draft = Draft::new(uuid).unwrap();
    draft.set_text(kind::PROFILE, "panda").unwrap();
    draft.set_mac(1, assigned).unwrap();
    let directory = TempDir::new().expect("a directory");
    let file =
        |name: &str, bytes: &[u8]| fs::write(directory.path().join(name), bytes).expect("own directory");
    file("sector", &draft.finish().unwrap().encode(52, 6607));

    let boot = commands_to_boot(
        directory.path(),
        "fdt mknode / one@0; fdt mknode / other@0; fdt mknode / third@0; \
         fdt set /aliases ethernet0 /one@0; fdt set /aliases ethernet1 /other@0;",
    );
    let said = sandbox_in(
        directory.path(),
        &format!(
            "host load hostfs - 1000 sector; mmc dev 0; mmc write 1000 34 1; identity env mmc 0; {boot} \
             fdt print /one@0; fdt print /other@0; fdt print /third@0"
        ),
    );
    assert!(said.contains("we cannot run Linux"), "U-Boot has not come as far as that: {said}");
    let property = |mac: Mac| {
        let bytes: Vec<_> = mac.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("local-mac-address = [{}];", bytes.join(" "))
    };
    let node =
        |name: &str| said.rsplit(&format!("\n{name} {{\n")).next().and_then(|node| node.split('}').next());
    assert_eq!(node("one@0").map(str::trim), Some(&*property(derive::mac(uuid, 0))), "{said}");
    assert_eq!(node("other@0").map(str::trim), Some(&*property(assigned)), "{said}");
    assert_eq!(node("third@0").map(str::trim), Some(""), "no alias, no address: {said}");
}

/// Of two identities none is handed over, and where there is one, Linux is told where it lies.
#[test]
fn linux_is_told_the_place_of_the_copy_and_nothing_of_two_identities() {
    let directory = TempDir::new().expect("a directory");
    let copy = |number: u128, lba, peer_lba| {
        let mut draft = Draft::new(Uuid::from_u128(0x9e3c1d40_5a37_4c8e_9f0b_6d2a81e4c700 + number)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        draft.finish().unwrap().encode(lba, peer_lba)
    };
    for (name, sector) in [("first", copy(1, 1711, 1777)), ("other", copy(2, 7, 5))] {
        fs::write(directory.path().join(name), sector).expect("own directory");
    }
    let boot = commands_to_boot(directory.path(), "");
    let node = |more: &str| {
        let said = sandbox_in(
            directory.path(),
            &format!(
                "mmc dev 0; host load hostfs - 1000 first; mmc write 1000 6af 1; {more} identity env mmc 0; {boot} \
                 fdt print /chosen/identity"
            ),
        );
        assert!(said.contains("we cannot run Linux"), "U-Boot has not come as far as that: {said}");
        let (_, node) = said.rsplit_once("\nidentity {\n").unwrap_or_else(|| panic!("no node: {said}"));
        node.split('}').next().expect("its end").to_owned()
    };
    let one = node("");
    for property in ["state = \"degraded\";", "lba = <0x000006af>;"] {
        assert!(one.contains(property), "{one}");
    }
    let two = node("host load hostfs - 1000 other; mmc write 1000 7 1;");
    assert!(two.contains("state = \"conflict\";"), "{two}");
    for property in ["lba", "uuid", "mac-addresses", "profile"] {
        assert!(!two.contains(property), "{property} in {two}");
    }
}
