// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same promise for each release of U-Boot on each board: a stamped card gives what the workstation says it has, on
//! start and without any script. `tests/run` skips the builds that it did not make.

use std::path::Path;
use std::process::Command;

use identity_tests::bench::{Bench, check_applied, mac_of, text};
use identity_tests::board::Model;
use identity_tests::workspace;
use tempfile::TempDir;

fn check(release: &str, model: Model) {
    let bench = Bench::new(release, model);
    let identity = bench.stamp(&["--hostname", "panda-3", "--serial", "SN42", "--set", "rack=b4"]);
    let stamped = bench.image.bytes();

    let (mut board, said) = bench.boot();
    assert!(said.contains(&format!("U-Boot {release}")), "{said}");
    let line = format!("identity: panda {} ", text(&identity, "/uuid"));
    let line = said.lines().find(|said| said.starts_with(&line)).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains(mac_of(&identity)), "{line}");
    // Before the network: the interface takes its address from the variable when it is set up.
    assert!(said.find(line) < said.find("Net:"), "{said}");

    check_applied(&mut board, &bench.image, "valid");
    if model.has_network() {
        assert_eq!(bench.mac_on_the_wire(&mut board, 0), mac_of(&identity));
    }
    drop(board);
    assert!(bench.image.bytes() == stamped, "nothing on the board writes the card");
}

macro_rules! builds {
    ($($name:ident: $release:literal $model:ident,)*) => {
        $(#[test]
        fn $name() {
            check($release, Model::$model);
        })*
    };
}

// Each is uboot_<release>_<board>, as tests/run names what it skips. What is not here does not work without the identity
// either: the driver for SD on PCI does not compile for AArch64 in 2021.01 and for RISC-V before 2025.01, and the sandbox
// of 2021.01 takes no card image.
builds! {
    uboot_2025_01_vexpress_ca9x4: "2025.01" Vexpress,
    uboot_2025_01_orangepi_pc: "2025.01" OrangePi,
    uboot_2025_01_qemu_arm64: "2025.01" Arm64,
    uboot_2025_01_qemu_riscv64: "2025.01" Riscv64,
    uboot_2025_01_sandbox: "2025.01" Sandbox,
    uboot_2025_01_cubieboard: "2025.01" Cubieboard,
    uboot_2025_01_xilinx_zynq_virt: "2025.01" Zynq,
    uboot_2025_01_rpi_3: "2025.01" RaspberryPi3,
    uboot_2023_01_vexpress_ca9x4: "2023.01" Vexpress,
    uboot_2023_01_orangepi_pc: "2023.01" OrangePi,
    uboot_2023_01_qemu_arm64: "2023.01" Arm64,
    uboot_2023_01_sandbox: "2023.01" Sandbox,
    uboot_2021_01_vexpress_ca9x4: "2021.01" Vexpress,
    uboot_2021_01_orangepi_pc: "2021.01" OrangePi,
}

#[test]
fn removed_it_leaves_each_published_release_as_it_was() {
    for release in ["2021.01", "2023.01", "2025.01"] {
        let source = Command::new(workspace().join("tests/lib/uboot-source")).arg(release).output();
        let source = String::from_utf8(source.expect("bash").stdout).expect("text");
        let source = Path::new(source.trim_end());
        let cache = source.parent().and_then(Path::parent).expect("the cache");
        // On the same disk, for links.
        let dir = TempDir::new_in(cache).expect("a directory");
        let tree = dir.path().join("tree");
        let succeeds = |command: &mut Command| {
            let output = command.output().expect("coreutils");
            assert!(output.status.success(), "{release}: {output:?}");
        };
        succeeds(Command::new("cp").arg("-al").arg(source).arg(&tree));
        let object = workspace().join("Cargo.toml");
        let object = format!("arm={}", object.display());
        let apply = workspace().join("uboot-patch/apply");
        succeeds(Command::new(&apply).arg(&tree).args(["--object", &object]));
        assert!(tree.join("lib/identity/identity-arm.o_shipped").exists());
        succeeds(Command::new(&apply).arg(&tree).arg("--remove"));
        succeeds(Command::new("diff").args(["-r", "--no-dereference"]).arg(source).arg(&tree));
    }
}
