// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Debian packages of `linux/build-deb`: what is in them, that their programs run, and that what the one for this kind of
//! machine does to a system is undone when it goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use identity_tests::block::is_privileged;
use identity_tests::board::artifact;
use identity_tests::image::Image;
use identity_tests::workspace;
use tempfile::TempDir;

const LAB: &str = "sd-card-identity-lab";

fn package(architecture: &str) -> PathBuf {
    package_named("sd-card-identity", architecture)
}

fn package_named(name: &str, architecture: &str) -> PathBuf {
    let packages = fs::read_dir(artifact("IDENTITY_TEST_PACKAGES")).expect("packages");
    let paths: Vec<_> = packages.map(|entry| entry.expect("an entry").path()).collect();
    let file = format!("{name}_{}_{architecture}.deb", env!("CARGO_PKG_VERSION"));
    let found = paths.iter().find(|path| path.ends_with(&file));
    found.unwrap_or_else(|| panic!("no {file} among {paths:?}")).clone()
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// The names in a package, and who may do what with them.
fn contents(package: &Path) -> Vec<String> {
    let list = output(Command::new("dpkg-deb").arg("--contents").arg(package));
    let line = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        format!("{} {} {}", words[0], words[1], words[5])
    };
    list.lines().map(line).collect()
}

/// That the package for an architecture is in order, and its program, `emulator` before it if there is one, does there what
/// it does here.
fn is_sound(architecture: &str, emulator: Option<&str>, machine: u16) {
    let package = package(architecture);
    let field = |name: &str| output(Command::new("dpkg-deb").arg("--field").arg(&package).arg(name));
    assert_eq!(field("Architecture").trim(), architecture);
    assert_eq!(field("Depends").trim(), "", "it runs by itself");

    let names = contents(&package);
    for line in &names {
        let (mode, owner) = (line.as_bytes(), line.split(' ').nth(1));
        assert!(owner == Some("root/root") && mode[5] != b'w' && mode[8] != b'w', "{line}");
    }
    let scripts = ["usr/lib/identity/apply", "usr/lib/identity/init", "usr/sbin/identity-setup"];
    let others =
        ["usr/bin/identity", "usr/share/man/man1/identity.1.gz", "usr/lib/udev/rules.d/60-identity.rules"];
    for name in scripts.into_iter().chain(others) {
        assert!(names.iter().any(|line| line.ends_with(&format!(" ./{name}"))), "{name} in {names:?}");
    }
    // The scripts are the same everywhere.
    assert_eq!(names, contents(&self::package("armhf")));

    let dir = unpacked(&package);
    let netroot = dir.path().join("usr/lib/identity/netroot");
    is_static(&netroot, machine);
    let said = command(&netroot, emulator).output().expect("it starts");
    assert!(said.status.code() == Some(2) && said.stderr.starts_with(b"netroot: "), "{said:?}");
    let program = dir.path().join("usr/bin/identity");
    is_static(&program, machine);
    let run =
        |words: &[&str], card: Option<&Path>| output(command(&program, emulator).args(words).args(card));
    assert_eq!(run(&["--version"], None), format!("identity {}\n", env!("CARGO_PKG_VERSION")));
    let image = Image::mbr();
    let stamped = run(&["stamp", "--profile", "panda", "--format", "json"], Some(image.path()));
    assert!(stamped.contains("\"panda\""), "{stamped}");
    let here = image.run("read --format json").exits(0).stdout;
    assert_eq!(run(&["read", "--format", "json"], Some(image.path())), here);
}

/// What a package has in it, if lintian has nothing to say of it.
fn unpacked(package: &Path) -> TempDir {
    let mut lintian = Command::new("lintian");
    let said = output(lintian.args(["--allow-root", "--fail-on", "error,warning"]).arg(package));
    assert_eq!(said, "", "lintian has nothing to say");
    let dir = TempDir::new().expect("a directory");
    output(Command::new("dpkg-deb").arg("--extract").arg(package).arg(dir.path()));
    dir
}

fn is_static(program: &Path, machine: u16) {
    let elf = fs::read(program).expect("the program");
    assert_eq!(u16::from_le_bytes([elf[18], elf[19]]), machine, "e_machine");
    let headers = output(Command::new("readelf").args(["--wide", "--program-headers"]).arg(program));
    assert!(!headers.contains("INTERP"), "it wants no libraries beside it: {headers}");
}

/// A program of another kind of machine, with the emulator that runs it.
fn command(program: &Path, emulator: Option<&str>) -> Command {
    let mut command = Command::new(emulator.map_or(program.as_os_str(), |name| name.as_ref()));
    command.args(emulator.map(|_| program));
    command
}

#[test]
fn package_of_the_lab_is_sound_for_every_architecture() {
    let here = |is_here: bool, emulator| (!is_here).then_some(emulator);
    for (architecture, emulator, machine) in [
        ("armhf", Some("qemu-arm-static"), 40),
        ("arm64", here(cfg!(target_arch = "aarch64"), "qemu-aarch64-static"), 183),
        ("amd64", here(cfg!(target_arch = "x86_64"), "qemu-x86_64-static"), 62),
    ] {
        let package = package_named(LAB, architecture);
        let names = contents(&package);
        for name in [
            "usr/bin/identity-lab",
            "usr/share/man/man1/identity-lab.1.gz",
            "usr/share/man/man1/identity-lab-root-build.1.gz",
            "usr/share/bash-completion/completions/identity-lab",
            "usr/share/zsh/vendor-completions/_identity-lab",
            "usr/share/fish/vendor_completions.d/identity-lab.fish",
        ] {
            assert!(names.iter().any(|line| line.ends_with(&format!(" ./{name}"))), "{name} in {names:?}");
        }
        // Both packages are installed together.
        let others = contents(&self::package(architecture));
        let is_file = |line: &&String| !line.starts_with('d');
        let both: Vec<_> = names.iter().filter(is_file).filter(|line| others.contains(line)).collect();
        assert!(both.is_empty(), "{both:?}");

        let (dir, lab) = (unpacked(&package), TempDir::new().expect("a directory"));
        let program = dir.path().join("usr/bin/identity-lab");
        is_static(&program, machine);
        let run = |words: &[&str]| output(command(&program, emulator).args(words).current_dir(lab.path()));
        assert_eq!(run(&["--version"]), format!("identity-lab {}\n", env!("CARGO_PKG_VERSION")));
        run(&["init"]);
        run(&["add", "panda-[01-03]", "--profile", "example"]);
        run(&["check"]);
        assert_eq!(run(&["export", "csv"]).lines().count(), 4);
    }
}

#[test]
fn package_for_armhf_is_sound() {
    is_sound("armhf", Some("qemu-arm-static"), 40);
}

#[test]
fn package_for_arm64_is_sound() {
    is_sound("arm64", Some("qemu-aarch64-static"), 183);
}

#[test]
fn package_for_amd64_is_sound() {
    // Not every machine that builds packages is one.
    let emulator = (!cfg!(target_arch = "x86_64")).then_some("qemu-x86_64-static");
    is_sound("amd64", emulator, 62);
}

#[test]
fn package_for_amd64_leaves_a_system_as_it_was() {
    if !is_privileged() {
        return;
    }
    for root in ["IDENTITY_TEST_DEBIAN_AMD64", "IDENTITY_TEST_DEBIAN_13"] {
        leaves_a_system_as_it_was(&artifact(root).join("root"));
    }
}

fn leaves_a_system_as_it_was(root: &Path) {
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--mount"])
        .arg(workspace().join("tests/board/package-life"))
        .arg(root)
        .arg(package("amd64"))
        .arg(package_named(LAB, "amd64"));
    let said = output(&mut unshare);
    let value = |name: &str| {
        let start = format!("REPORT {name}=");
        said.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("no {name}: {said}"))
    };
    assert_eq!(value("version"), format!("identity {}", env!("CARGO_PKG_VERSION")));
    for (name, expected) in [("manuals", "3"), ("manual-warnings", ""), ("unit-warnings", "")] {
        assert_eq!(value(name), expected, "{name}: {said}");
    }
    assert_ne!(value("manual"), "0", "{said}");
    assert_eq!(value("completion"), "stamp", "{said}");

    // Nothing happens, in the initramfs either, until it is switched on; an update keeps that, and is in the initramfs.
    for step in ["installed", "disabled"] {
        assert_eq!(value(step), "disabled");
        assert_eq!(value(&format!("initramfs-{step}")), "", "{said}");
    }
    for step in ["enabled", "updated"] {
        assert_eq!(value(step), "enabled, from the next start on");
        let initramfs = value(&format!("initramfs-{step}"));
        for name in [
            "usr/bin/identity",
            "usr/lib/identity/apply",
            "scripts/init-premount/identity",
            "scripts/init-bottom/identity",
            "75-identity.rules",
        ] {
            assert!(initramfs.contains(name), "{step}: {name} in {initramfs}");
        }
    }
    assert_eq!((value("runs-updated"), value("runs-disabled")), ("2", "0"), "{said}");
    let init = "init=/usr/lib/identity/init is on the kernel's command line: /boot/extlinux/extlinux.conf";
    for name in ["refusal", "refused", "disabling"] {
        assert!(value(name).contains(init), "{name}: {said}");
    }
    assert!(value("refusal").contains("take it off and restart, then remove"), "{said}");
    assert!(value("refused").starts_with("enabled"), "{said}");
    assert_eq!(value("lab"), "panda-01 panda-02", "{said}");
    assert_eq!(value("lab-completion"), "check", "{said}");
    assert_eq!((value("lab-manual"), value("lab-manual-warnings")), ("1", ""), "{said}");
    for step in ["lab-purged", "removed", "purged"] {
        assert_eq!(value(step), "as before", "{said}");
    }
}
