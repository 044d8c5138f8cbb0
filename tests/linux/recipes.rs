// SPDX-License-Identifier: MIT OR Apache-2.0
//! The recipes that docs/LINUX.md has for Yocto and Buildroot: their shell is run, with the variables as there. Neither
//! Yocto nor Buildroot is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use identity_tests::workspace;
use tempfile::TempDir;

/// Without libraries in directories of their own, as Yocto has them (`meta/conf/bitbake.conf`).
const VARIABLES: &[(&str, &str)] = &[
    ("bindir", "/usr/bin"),
    ("datadir", "/usr/share"),
    ("libdir", "/usr/lib"),
    ("nonarch_libdir", "/usr/lib"),
    ("systemd_system_unitdir", "/usr/lib/systemd/system"),
];
/// What of `FILES:${PN}` there a recipe need not say.
const ALREADY_PACKED: &[&str] = &["/usr/bin/", "/usr/sbin/", "/usr/lib/udev/"];

/// The indented block of the document in which this line is, without the indentation.
fn block(line: &str) -> String {
    let text = fs::read_to_string(workspace().join("docs/LINUX.md")).expect("the document");
    let blocks = text.split("\n\n").map(|block| block.lines().collect::<Vec<_>>());
    let is_block = |lines: &Vec<&str>| lines.iter().any(|candidate| candidate.trim() == line);
    let lines = blocks.filter(|lines| lines.iter().all(|line| line.starts_with("    "))).find(is_block);
    let lines = lines.unwrap_or_else(|| panic!("no block with {line:?}"));
    lines.iter().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// A directory as these recipes find it: the binary, and the sources' `linux`.
fn sources() -> TempDir {
    let dir = TempDir::new().expect("a directory");
    fs::write(dir.path().join("identity"), "").expect("room");
    symlink(workspace().join("linux"), dir.path().join("linux")).expect("room");
    dir
}

fn run(script: &str, directory: &Path, variables: &[(&str, &str)]) {
    let mut shell = Command::new("sh");
    shell.args(["-eu", "-c", script]).current_dir(directory).envs(variables.iter().copied());
    assert!(shell.status().expect("a shell").success(), "{script}");
}

/// The paths of all files below.
fn files(root: &Path) -> Vec<String> {
    let output =
        Command::new("find").args([".", "-type", "f", "-printf", "/%P\n"]).current_dir(root).output();
    String::from_utf8(output.expect("find").stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn each_file_that_the_yocto_recipe_installs_goes_into_its_package() {
    let (sources, root) = (sources(), TempDir::new().expect("a directory"));
    let recipe = block("inherit systemd");
    let (_, rest) = recipe.split_once("do_install() {\n").expect("do_install");
    let (script, rest) = rest.split_once("\n}").expect("its end");
    let mut variables = VARIABLES.to_vec();
    let (source, destination) = (sources.path().to_string_lossy(), root.path().to_string_lossy());
    variables.extend([("S", source.as_ref()), ("D", destination.as_ref())]);
    run(script, sources.path(), &variables);

    let (_, own) = rest.split_once("FILES:${PN} += \"").expect("FILES");
    let mut own = own.split('"').next().expect("its end").to_owned();
    for (name, value) in VARIABLES {
        own = own.replace(&format!("${{{name}}}"), value);
    }
    assert!(!own.contains('$'), "{own}");
    let packed: Vec<_> = own.split(' ').chain(ALREADY_PACKED.iter().copied()).collect();
    let files = files(root.path());
    for file in &files {
        assert!(packed.iter().any(|start| file.starts_with(start)), "{file} goes nowhere: {packed:?}");
    }
    for file in ["/usr/bin/identity", "/usr/lib/identity/init", "/usr/lib/systemd/system/identity.service"] {
        assert!(files.iter().any(|found| found == file), "{file} in {files:?}");
    }
}

#[test]
fn buildroots_post_build_lines_install_what_init_needs() {
    let (sources, target) = (sources(), TempDir::new().expect("a directory"));
    let script = block("install -D -m 755 identity \"$TARGET_DIR/usr/bin/identity\"");
    run(&script, sources.path(), &[("TARGET_DIR", &target.path().to_string_lossy())]);
    let files = files(target.path());
    for file in ["/usr/bin/identity", "/usr/lib/identity/apply", "/usr/lib/identity/init"] {
        assert!(files.iter().any(|found| found == file), "{file} in {files:?}");
    }
}
