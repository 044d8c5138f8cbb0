// SPDX-License-Identifier: MIT OR Apache-2.0
//! `uboot-patch/apply` on trees that it does not know. Those that it knows are what all other tests here boot; of a tree that
//! nobody has tried, this has the places that it looks for and nothing else.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use identity_tests::workspace;
use tempfile::TempDir;

/// File and text; the last is where a tree without events is hooked.
const PLACES: [(&str, &str); 10] = [
    ("Makefile", "VERSION = 2031\nPATCHLEVEL = 04\nSUBLEVEL =\n"),
    ("include/configs/board.h", "\n"),
    ("lib/Makefile", "obj-$(CONFIG_EFI_LOADER) += efi_loader/\n"),
    ("lib/Kconfig", "source \"lib/optee/Kconfig\"\n"),
    ("cmd/Makefile", "obj-$(CONFIG_CMD_IDE) += ide.o\n"),
    ("cmd/Kconfig", "config CMD_TLV_EEPROM\n"),
    ("env/common.c", "#include <log.h>\n\tlen = hexport_r(&env_htab, '\\0', 0, &res, ENV_SIZE, 0, NULL);\n"),
    ("boot/image-fdt.c", "#include <image.h>\n\tfdt_fixup_ethernet(blob);\n"),
    ("library.o", "an object"),
    ("common/board_r.c", "#include <ide.h>\n\tinitr_env,\n"),
];

fn tree() -> TempDir {
    let dir = TempDir::new().expect("a directory");
    for (file, text) in PLACES {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().expect("a directory")).expect("own directory");
        fs::write(path, text).expect("own directory");
    }
    dir
}

fn apply(tree: &Path) -> Output {
    let object = format!("arm={}", tree.join("library.o").display());
    let mut apply = Command::new(workspace().join("uboot-patch/apply"));
    apply.arg(tree).args(["--object", &object]).output().expect("bash")
}

fn texts(tree: &Path) -> Vec<String> {
    PLACES.iter().map(|(file, _)| fs::read_to_string(tree.join(file)).expect("text")).collect()
}

#[test]
fn a_release_that_nobody_has_tried_is_searched_for_the_places() {
    let tree = tree();
    let output = apply(tree.path());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("U-Boot 2031.04, which has not been tried"), "{said}");
    let board = fs::read_to_string(tree.path().join("common/board_r.c")).expect("text");
    assert_eq!(board, "#include <ide.h>\n#include <identity_hooks.h>\n\tinitr_env,\n\tidentity_boot,\n");
    assert_eq!(
        fs::read(tree.path().join("lib/identity/identity-arm.o_shipped")).ok(),
        Some(b"an object".into())
    );
    // Again is no second time.
    let before = texts(tree.path());
    assert!(apply(tree.path()).status.success());
    assert_eq!(texts(tree.path()), before);
}

#[test]
fn what_has_no_place_is_said_with_what_belongs_there() {
    let tree = tree();
    let board = tree.path().join("common/board_r.c");
    fs::write(&board, "#include <ide.h>\n\tvendor_env,\n").expect("own directory");
    let output = apply(tree.path());
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    for part in ["not everything found its place", "common/board_r.c", "initr_env,", "identity_boot,"] {
        assert!(complaint.contains(part), "{part:?} in {complaint}");
    }
    // By hand, as it says.
    let text = fs::read_to_string(&board).expect("text");
    fs::write(&board, text.replace("vendor_env,\n", "vendor_env,\n\tidentity_boot,\n"))
        .expect("own directory");
    assert!(apply(tree.path()).status.success());
}
