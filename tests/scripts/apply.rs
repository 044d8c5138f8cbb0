// SPDX-License-Identifier: MIT OR Apache-2.0
//! `uboot-patch/apply` on trees that it does not know. Those that it knows are what the tests of `board` boot; of a tree that
//! nobody has tried, this has the places that it looks for and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use identity_tests::workspace;
use tempfile::TempDir;

/// File and text; the last is where a tree without events is hooked.
const PLACES: [(&str, &str); 10] = [
    (
        "Makefile",
        "VERSION = 2031\nPATCHLEVEL = 04\nSUBLEVEL =\n$(sort $(u-boot-init) $(u-boot-main)): $(u-boot-dirs) ;\n",
    ),
    ("include/configs/board.h", "\n"),
    ("lib/Makefile", "obj-$(CONFIG_EFI_LOADER) += efi_loader/\n"),
    ("lib/Kconfig", "source \"lib/optee/Kconfig\"\n"),
    ("cmd/Makefile", "obj-$(CONFIG_CMD_IDE) += ide.o\n"),
    ("cmd/Kconfig", "config CMD_TLV_EEPROM\n"),
    ("env/common.c", "#include <log.h>\n\tlen = hexport_r(&env_htab, '\\0', 0, &res, ENV_SIZE, 0, NULL);\n"),
    ("boot/image-fdt.c", "#include <image.h>\n\tfdt_fixup_ethernet(blob);\n"),
    ("library.o", "an object"),
    (
        "common/board_r.c",
        "#include <ide.h>\nstatic init_fnc_t init_sequence_r[] = {\n\tinitr_mmc,\n\tinitr_env,\n\tinitr_net,\n};\n",
    ),
];

/// What `apply` notes in a tree: which lines of U-Boot it has replaced.
const NOTE: &str = "lib/identity/replaced";

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
    apply_with(tree, &[])
}

fn apply_with(tree: &Path, options: &[&str]) -> Output {
    let object = format!("arm={}", tree.join("library.o").display());
    let mut apply = Command::new(workspace().join("uboot-patch/apply"));
    apply.arg(tree).args(["--object", &object]).args(options).output().expect("bash")
}

/// Everything below a directory, with its contents.
fn files(directory: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let contents = if path.is_dir() { None } else { Some(fs::read(&path).expect("a file")) };
            if contents.is_none() {
                directories.push(path.clone());
            }
            all.push((path, contents));
        }
    }
    all.sort();
    all
}

/// `common/board_r.c` with these steps.
fn steps(steps: &str) -> String {
    format!("#include <ide.h>\nstatic init_fnc_t init_sequence_r[] = {{\n{steps}}};\n")
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
    assert!(board.starts_with("#include <ide.h>\n#include <identity_hooks.h>\n"), "{board}");
    assert!(board.contains("\tinitr_env,\n\tidentity_boot,\n\tinitr_net,\n"), "{board}");
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
    fs::write(&board, "#include <ide.h>\nstatic init_fnc_t vendor_steps[] = {\n\tvendor_env,\n};\n")
        .expect("own directory");
    let output = apply(tree.path());
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    for part in [
        "not everything is in its place",
        "common/board_r.c",
        "initr_env,",
        "identity_boot,",
        "so that the identity is read before the network starts; or call identity_boot()",
    ] {
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

    // The note of what was replaced is the tree's own.
    for (file, _) in fresh.iter().filter(|(file, _)| file != NOTE) {
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
        let line =
            complaint.lines().find(|line| line.contains("has another version of this; put there instead:"));
        assert!(line.is_some_and(|line| line.contains(&format!("{file}:"))), "{complaint}");
        assert!(complaint.contains(now.trim_end()), "{now} in {complaint}");

        // As it says.
        fs::write(&path, text).expect("own directory");
        assert!(apply(tree.path()).status.success(), "{file}");
    }
}

#[test]
fn what_old_and_vendors_trees_have_is_found() {
    let tree = tree();
    let tree = tree.path();
    for (file, text) in [
        // Up to 2017.05
        (
            "common/env_common.c",
            "#include <command.h>\n\tlen = hexport_r(&env_htab, '\\0', 0, &res, ENV_SIZE, 0, NULL);\n",
        ),
        // Up to 2018.03
        ("lib/Kconfig", "menu \"Library routines\"\n\nmenu \"Hash\"\nendmenu\n\nendmenu\n"),
        ("lib/Makefile", "obj-$(CONFIG_LZMA) += lzma/\n"),
        // Up to 2020.01
        ("cmd/Kconfig", "config CMD_GPIO\n"),
        // It was in there as long as the command was
        (
            "common/board_r.c",
            &steps("\tinitr_mmc,\n\tinitr_env,\n").replace(
                "#include <ide.h>\n",
                "#include <fdtdec.h>\n#ifdef CONFIG_CMD_IDE\n#include <ide.h>\n#endif\n",
            ),
        ),
        // Nobody's board needs these
        ("include/test/cmd.h", "\n"),
        ("test/cmd/Makefile", "\n"),
        ("doc/usage/cmd/other.rst", "\n"),
        ("doc/usage/index.rst", "\n"),
    ] {
        fs::create_dir_all(tree.join(file).parent().expect("a directory")).expect("own directory");
        fs::write(tree.join(file), text).expect("own directory");
    }
    fs::remove_dir_all(tree.join("env")).expect("own directory");
    let output = apply(tree);
    assert!(output.status.success(), "{output:?}");
    let text = |file: &str| fs::read_to_string(tree.join(file)).expect("text");
    assert!(
        text("common/env_common.c")
            .contains("#include <command.h>\n#include <identity_hooks.h>\n\tlen = identity_env_export")
    );
    assert!(text("lib/Kconfig").ends_with("source \"lib/identity/Kconfig\"\n\nendmenu\n"));
    assert!(text("common/board_r.c").starts_with("#include <fdtdec.h>\n#include <identity_hooks.h>\n#ifdef"));
}

#[test]
fn the_call_comes_behind_card_and_environment_and_outside_of_every_if() {
    let rockchip = "#ifndef CONFIG_USING_KERNEL_DTB\n\tinitr_env,\n#endif\n#ifdef CONFIG_MMC\n\tinitr_mmc,\n#endif\n\tother,\n\
        \tinitr_ethaddr,\n#ifdef CONFIG_BOARD_LATE_INIT\n\tboard_late_init,\n#endif\n#ifdef CONFIG_CMD_NET\n\tinitr_net,\n#endif\n";
    let upstream =
        "#ifdef CONFIG_MMC\n\tinitr_mmc,\n#endif\n\tinitr_env,\n\tother,\n\tboard_late_init,\n\tinitr_net,\n";
    let after = |text: &str, place: &str| text.replacen(place, &format!("{place}\tidentity_boot,\n"), 1);
    let at_board = "arch/arm/mach-rockchip/board.c";
    for (before, sets_address, expected) in [
        (upstream, false, after(upstream, "\tinitr_env,\n")),
        (rockchip, false, after(rockchip, "\tinitr_mmc,\n#endif\n")),
        // What its board_late_init() does to $ethaddr does not count
        (rockchip, true, after(rockchip, "\tboard_late_init,\n#endif\n")),
    ] {
        let tree = tree();
        let board = tree.path().join("common/board_r.c");
        fs::write(&board, steps(before)).expect("own directory");
        if sets_address {
            fs::create_dir_all(tree.path().join(at_board).parent().expect("a directory"))
                .expect("own directory");
            fs::write(tree.path().join(at_board), "static int rockchip_set_ethaddr(void)\n")
                .expect("own directory");
        }
        assert!(apply(tree.path()).status.success());
        let expected = steps(&expected).replacen("<ide.h>\n", "<ide.h>\n#include <identity_hooks.h>\n", 1);
        assert_eq!(fs::read_to_string(&board).expect("text"), expected);
    }
}

#[test]
fn a_board_that_calls_us_needs_no_place_in_the_list_of_steps() {
    let tree = tree();
    fs::write(tree.path().join("common/board_r.c"), "#include <ide.h>\nvendor_steps\n")
        .expect("own directory");
    fs::create_dir_all(tree.path().join("board/vendor")).expect("own directory");
    assert_eq!(apply(tree.path()).status.code(), Some(1));
    fs::write(tree.path().join("board/vendor/board.c"), "\tidentity_boot();\n").expect("own directory");
    let output = apply(tree.path());
    assert!(output.status.success(), "{output:?}");

    // Removing ours does not touch a person's.
    let output = apply_with(tree.path(), &["--remove"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    let still = said.lines().find(|line| line.contains("STILL CALLS IT"));
    assert!(still.is_some_and(|line| line.contains("board/vendor/board.c")), "{said}");
}

#[test]
fn trees_that_are_too_old_or_none_are_told_apart() {
    let tree = tree();
    let makefile = tree.path().join("Makefile");
    fs::write(&makefile, "VERSION = 2015\nPATCHLEVEL = 10\nSUBLEVEL =\n").expect("own directory");
    fs::remove_file(tree.path().join("cmd/Kconfig")).expect("own directory");
    let complaint = |output: Output| {
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).expect("text")
    };
    let old = complaint(apply(tree.path()));
    assert!(
        old.contains("is U-Boot 2015.10, which is too old: the identity needs 2016.03 or newer"),
        "{old}"
    );
    let other = TempDir::new().expect("a directory");
    fs::write(other.path().join("library.o"), "").expect("own directory");
    assert!(complaint(apply(other.path())).contains("is no U-Boot source tree"));
}

#[test]
fn what_is_missing_can_be_pasted() {
    let tree = tree();
    fs::write(tree.path().join("boot/image-fdt.c"), "#include <image.h>\n\tvendor_fixup(blob);\n")
        .expect("own directory");
    let output = apply(tree.path());
    let complaint = String::from_utf8(output.stderr).expect("text");
    let file = tree.path().join("boot/image-fdt.c");
    let expected = format!(
        "{}: has no line like '\tfdt_fixup_ethernet(blob);' to tell the place; insert after such a line, so that Linux gets the \
         identity in its device tree; it may stand anywhere in image_setup_libfdt() behind what sets MAC addresses:\n\
         \tidentity_fdt_fixup(blob);\n",
        file.display()
    );
    assert!(complaint.contains(&expected), "{complaint}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches("NO PLACE").count(), 1);
}

#[test]
fn of_each_line_without_a_place_it_is_said_what_it_is_for() {
    for (file, _) in PLACES {
        let tree = tree();
        let path = tree.path().join(file);
        let version = PLACES[0].1.split_inclusive('\n').take(3).collect();
        let nothing = if file == "Makefile" { version } else { String::new() };
        fs::write(&path, nothing).expect("own directory");
        let output = apply(tree.path());
        let complaint = String::from_utf8(output.stderr).expect("text");
        let of_places: Vec<_> = complaint.lines().filter(|line| line.contains("to tell the place")).collect();
        let has_none = ["include/configs/board.h", "library.o"].contains(&file);
        assert_eq!(of_places.is_empty(), has_none, "{file}: {complaint}");
        for line in of_places {
            assert!(line.contains(", so that "), "{line}");
            assert!(
                line.contains("; it may stand ")
                    || line.contains("; it belongs ")
                    || line.contains("; or call "),
                "{line}"
            );
        }
    }
}

#[test]
fn a_tree_that_is_not_there_is_told_in_one_sentence() {
    let dir = TempDir::new().expect("a directory");
    let tree = dir.path().join("nothing");
    let output = Command::new(workspace().join("uboot-patch/apply")).arg(&tree).output().expect("bash");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said, format!("apply: {} is no directory that can be entered\n", tree.display()));
}

#[test]
fn a_dry_run_shows_all_and_writes_nothing() {
    let tree = tree();
    let before = files(tree.path());
    let output = apply_with(tree.path(), &["--dry-run"]);
    assert!(output.status.success(), "{output:?}");
    let end = String::from_utf8_lossy(&output.stderr);
    assert_eq!(end, "apply: every place was found; nothing was written\n");
    let said = String::from_utf8(output.stdout).expect("text");
    for line in ["--- a/common/board_r.c", "+\tidentity_boot,", "+++ b/Makefile"] {
        assert!(said.lines().any(|said| said == line), "{line} in {said}");
    }
    assert_eq!(files(tree.path()), before);
    // What it shows is what it does.
    assert!(apply(tree.path()).status.success());
    let applied = files(tree.path());
    assert_ne!(applied, before);
    let output = apply_with(tree.path(), &["--dry-run", "--remove"]);
    assert!(output.status.success(), "{output:?}");
    let end = String::from_utf8_lossy(&output.stderr);
    assert_eq!(end, "apply: all of it can be taken out; nothing was written\n");
    assert_eq!(files(tree.path()), applied);
}

#[test]
fn a_dry_run_that_is_given_no_library_says_that_rust_compiles_one() {
    let tree = tree();
    let mut apply = Command::new(workspace().join("uboot-patch/apply"));
    let output = apply.arg(tree.path()).arg("--dry-run").output().expect("bash");
    assert!(output.status.success(), "{output:?}");
    let end = String::from_utf8_lossy(&output.stderr);
    assert!(
        end.contains(
            "nothing was written\n  without --dry-run, Rust also compiles the library, which takes minutes\n"
        ),
        "{end}"
    );
}

#[test]
fn removed_it_leaves_a_tree_as_it_was() {
    let tree = tree();
    // A last line without an end, and one like ours.
    fs::write(tree.path().join("lib/Kconfig"), "source \"lib/optee/Kconfig\"\n\n# end")
        .expect("own directory");
    let before = files(tree.path());
    assert!(apply(tree.path()).status.success());
    let output = apply_with(tree.path(), &["--remove"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(files(tree.path()), before);
    // Also where there is nothing to remove.
    assert!(apply_with(tree.path(), &["--remove"]).status.success());
    assert_eq!(files(tree.path()), before);
}

const EXPORT: &str = "\tlen = identity_env_export(&res, ENV_SIZE);";

/// A tree of a vendor with a line of his own, and ours put in its stead by hand; returns the file.
fn placed_by_hand(tree: &Path) -> PathBuf {
    let file = tree.join("env/common.c");
    fs::write(&file, "#include <log.h>\n\tlen = vendor_export(&res);\n").expect("own directory");
    let output = apply(tree);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        complaint.contains(
            "replace the one that does its work, so that 'saveenv' saves nothing that the card has set"
        ),
        "{complaint}"
    );
    let text = fs::read_to_string(&file).expect("text").replace("\tlen = vendor_export(&res);", EXPORT);
    fs::write(&file, text).expect("own directory");
    assert!(apply(tree).status.success());
    file
}

#[test]
fn a_line_that_a_person_has_replaced_is_refused_by_remove() {
    let tree = tree();
    let file = placed_by_hand(tree.path());
    let placed = fs::read_to_string(&file).expect("text");
    let output = apply_with(tree.path(), &["--remove"]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let expected = format!("{}:2: was changed by hand; put back the line that was there", file.display());
    // The #include before it is gone by then.
    assert!(complaint.contains(&expected) && complaint.ends_with(&format!("{EXPORT}\n")), "{complaint}");
    assert_eq!(fs::read_to_string(&file).expect("text"), placed.replace("#include <identity_hooks.h>\n", ""));

    // As it says.
    fs::write(&file, "#include <log.h>\n\tlen = vendor_export(&res);\n").expect("own directory");
    let output = apply_with(tree.path(), &["--remove"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_to_string(&file).expect("text"), "#include <log.h>\n\tlen = vendor_export(&res);\n");
}

#[test]
fn a_line_that_was_replaced_is_known_to_remove_after_an_update() {
    let tree = tree();
    let before = files(tree.path());
    for _ in 0..2 {
        assert!(apply(tree.path()).status.success());
        let note = fs::read_to_string(tree.path().join(NOTE)).expect("text");
        let line = "env/common.c identity_env_export:\tlen = hexport_r(&env_htab, '\\0', 0, &res, ENV_SIZE, 0, NULL);";
        assert!(note.lines().any(|noted| noted == line), "{note}");
    }
    assert!(apply_with(tree.path(), &["--remove"]).status.success());
    assert_eq!(files(tree.path()), before);
}

/// What is printed to be pasted ends in an empty line, which nobody sees.
#[test]
fn what_was_pasted_without_its_last_empty_line_is_removed_alone() {
    let tree = tree();
    let file = tree.path().join("lib/Kconfig");
    let own = "menu \"Vendor\"\nconfig VENDOR\n\tbool\nendchoice\n";
    fs::write(&file, own).expect("own directory");
    assert_eq!(apply(tree.path()).status.code(), Some(1));
    let pasted = own.replace("\tbool\n", "\tbool\nsource \"lib/identity/Kconfig\"\n");
    fs::write(&file, pasted).expect("own directory");
    assert!(apply(tree.path()).status.success());
    let output = apply_with(tree.path(), &["--remove"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_to_string(&file).expect("text"), own);
}
