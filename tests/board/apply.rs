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
    for part in ["not everything is in its place", "common/board_r.c", "initr_env,", "identity_boot,"] {
        assert!(complaint.contains(part), "{part:?} in {complaint}");
    }
    // By hand, as it says.
    let text = fs::read_to_string(&board).expect("text");
    fs::write(&board, text.replace("vendor_env,\n", "vendor_env,\n\tidentity_boot,\n"))
        .expect("own directory");
    assert!(apply(tree.path()).status.success());
}

/// Files of ours in the tree, and what they are to be.
fn ours(tree: &Path) -> Vec<(String, Vec<u8>)> {
    let directory = tree.join("lib/identity");
    let names =
        fs::read_dir(&directory).expect("it is there").map(|entry| entry.expect("an entry").file_name());
    let mut files: Vec<_> =
        names.map(|name| format!("lib/identity/{}", name.to_str().expect("ASCII"))).collect();
    files.extend(["cmd/identity.c", "include/identity.h", "include/identity_board.h"].map(str::to_owned));
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read(tree.join(file)).expect("a file"))).collect()
}

#[test]
fn a_tree_with_an_older_version_of_our_files_is_brought_up_to_date() {
    let tree = tree();
    let tree = tree.path();
    assert!(apply(tree).status.success());
    let (fresh, lines) = (ours(tree), texts(tree));

    for (file, _) in &fresh {
        fs::write(tree.join(file), "an older version\n").expect("own directory");
    }
    // What this version does not have; a library with another interface would be linked.
    for file in ["lib/identity/old.c", "lib/identity/old.h", "lib/identity/identity-arm-thumb.o_shipped"] {
        fs::write(tree.join(file), "an older version\n").expect("own directory");
    }
    let output = apply(tree);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(ours(tree), fresh);
    assert_eq!(texts(tree), lines);
}

#[test]
fn lines_of_an_older_version_in_u_boots_own_files_are_refused_with_what_belongs_there() {
    for (file, now, older) in [
        ("env/common.c", "identity_env_export(&res, ENV_SIZE);", "identity_env_export(&res);"),
        ("boot/image-fdt.c", "identity_fdt_fixup(blob);", "identity_fdt_fixup(blob, 0);"),
        ("cmd/Kconfig", "\tdepends on IDENTITY\n", "\tdepends on IDENTITY_BOOT\n"),
        ("lib/Makefile", "$(CONFIG_IDENTITY) += identity/", "$(CONFIG_IDENTITY_LIB) += identity/"),
    ] {
        let tree = tree();
        assert!(apply(tree.path()).status.success());
        let path = tree.path().join(file);
        let text = fs::read_to_string(&path).expect("text");
        assert!(text.contains(now), "{now} in {text}");
        fs::write(&path, text.replace(now, older)).expect("own directory");

        let output = apply(tree.path());
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{file}: {complaint}");
        assert!(complaint.contains(&format!("{file} has another version of this")), "{complaint}");
        assert!(complaint.contains(now.trim_end()), "{now} in {complaint}");

        // As it says.
        fs::write(&path, text).expect("own directory");
        assert!(apply(tree.path()).status.success(), "{file}");
    }
}
