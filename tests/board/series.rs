// SPDX-License-Identifier: MIT OR Apache-2.0
//! `uboot-patch/make-series`: the identity as patches for U-Boot's mailing list. What U-Boot's style checker says of them is in
//! `sandbox_unit.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use identity_tests::workspace;
use tempfile::TempDir;

use crate::sandbox_unit::declared;

/// Runs it; returns what it prints.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn script(name: &str) -> Command {
    Command::new(workspace().join(name))
}

/// The cover letter and the patches, in their order.
fn make_series(directory: &Path) -> Vec<PathBuf> {
    let mut command = script("uboot-patch/make-series");
    let said = run(command.args(["--from", "A Maintainer <maintainer@example.org>"]).arg(directory));
    said.lines().map(PathBuf::from).collect()
}

/// Links: twenty thousand files are quickly there. What is changed becomes a file of its own.
fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("--archive").arg("--link").arg(from).arg(to));
}

#[test]
fn the_series_makes_the_tree_that_apply_makes() {
    let published = PathBuf::from(run(script("tests/lib/uboot-source").arg("2025.01")).trim());
    // On the same disk.
    let dir = TempDir::new_in(published.ancestors().nth(2).expect("the cache")).expect("a directory");
    let (applied, patched) = (dir.path().join("applied"), dir.path().join("patched"));
    copy(&published, &applied);
    copy(&published, &patched);
    let object = dir.path().join("object");
    fs::write(&object, "an object").expect("own directory");
    let object = format!("none={}", object.display());
    run(script("uboot-patch/apply").arg(&applied).args(["--object", &object]));
    for file in ["identity-none.o_shipped", "replaced"] {
        fs::remove_file(applied.join("lib/identity").join(file)).expect("what apply alone leaves");
    }

    let series = make_series(&dir.path().join("series"));
    assert!((7..=9).contains(&series.len()), "six to eight, and the letter: {series:?}");
    for (number, patch) in series.iter().enumerate() {
        let text = fs::read_to_string(patch).expect("a patch");
        assert!(!text.contains("***"), "{} is filled in", patch.display());
        if number > 0 {
            assert!(text.contains("\nSigned-off-by: A Maintainer <maintainer@example.org>\n"), "{text}");
            let mut command = Command::new("patch");
            run(command
                .args(["--strip=1", "--fuzz=0", "--directory"])
                .arg(&patched)
                .arg("--input")
                .arg(patch));
        }
    }

    let output = Command::new("diff").arg("-rq").arg(&applied).arg(&patched).output().expect("diff");
    let said = String::from_utf8_lossy(&output.stdout);
    let differing = said.lines().map(|line| {
        line.strip_prefix(&*format!("Files {}/", applied.display())).unwrap_or(line).split(" and ").next()
    });
    // What apply does not add to a tree of somebody else.
    let differing: Vec<_> = differing.flatten().collect();
    assert_eq!(differing, ["MAINTAINERS", "doc/device-tree-bindings/chosen.txt"], "{said}");
}

#[test]
fn each_patch_of_the_series_builds_and_breaks_no_unit_test() {
    let said = run(&mut script("tests/lib/uboot-series"));
    assert!(
        said.lines().count() >= 6 && said.lines().all(|line| line.contains(": builds without")),
        "{said}"
    );
    let last = format!("with, {} unit tests of ours pass", declared());
    assert!(said.lines().last().is_some_and(|line| line.ends_with(&last)), "{said}");
}
