// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab root build` on a real Debian: an adapted root keeps what it had, and has nothing that would make boards one.
//! With `--all` also a new one, from the suite.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use identity_tests::board::artifact;
use identity_tests::{cli, lab, skipped, workspace};
use tempfile::TempDir;

/// An initramfs goes to each board at each boot.
const INITRD_MAX: u64 = 12 << 20;

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn sh(dir: &Path, script: &str) -> String {
    run(Command::new("sh").args(["-ec", script]).current_dir(dir))
}

/// Our package, of the program that the tests have built: it runs on this machine's Debian.
fn package(dir: &Path) {
    let root = dir.join("package");
    run(Command::new(workspace().join("linux/install")).arg(&root));
    fs::create_dir_all(root.join("usr/bin")).expect("room");
    run(Command::new("strip").arg("-o").arg(root.join("usr/bin/identity")).arg(cli::program()));
    run(Command::new("strip").arg("-o").arg(root.join("usr/lib/identity/netroot")).arg(lab::netroot()));
    fs::create_dir(root.join("DEBIAN")).expect("room");
    let control = "Package: sd-card-identity\nVersion: 0\nArchitecture: amd64\nMaintainer: nobody <n@example.org>\nDescription: tests\n";
    fs::write(root.join("DEBIAN/control"), control).expect("room");
    run(Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Znone", "--build"])
        .arg(&root)
        .arg(dir.join("own.deb")));
    fs::remove_dir_all(root).expect("own files");
}

/// A lab with this `[build]` and what comes before it.
fn make_lab(dir: &Path, middle: &str, build: &str) {
    run(Command::new(lab::program()).arg("init").arg(dir));
    fs::remove_file(dir.join("profiles/example.toml")).expect("the example");
    package(dir);
    let profile = format!(
        "# PCs\n[boot]\nargs = [\"console=ttyS0\"] # serial\n\n[root]\ntransport = \"nbd\"\n{middle}\n[build]\narch = \"amd64\"\npackages = [\"own.deb\"]\n{build}"
    );
    fs::write(dir.join("profiles/pc.toml"), profile).expect("room");
}

/// Builds the root, and returns the directory that was made.
fn build(dir: &Path, more: &[&str]) -> std::path::PathBuf {
    let mut build = Command::new(lab::program());
    let said = run(build.args(["root", "build", "pc", "--format", "json"]).args(more).current_dir(dir));
    let last = said.lines().last().expect("a line");
    let built: serde_json::Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(built["event"], "built", "{said}");
    dir.join(built["dir"].as_str().expect("text"))
}

/// What a system makes anew at each start: of what lies below, nothing comes into the image.
const MADE_ANEW: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];

/// Each path below a directory, but for those below what is made anew: what it is, and of files their bytes.
fn content(top: &Path) -> BTreeMap<String, String> {
    let skip = format!("find . -mindepth 1 -regex '\\./\\({}\\)/.*' -prune -o", MADE_ANEW.join("\\|"));
    let list = sh(
        top,
        &format!("{skip} ! -type f -printf '%P\\t%y %m %U:%G %l\\n' -o -printf '%P\\t%y %m %U:%G %n\\n'"),
    );
    let sums = sh(top, &format!("{skip} -type f -print0 | xargs -0 sha256sum"));
    let mut content: BTreeMap<String, String> = list
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(path, facts)| (path.to_owned(), facts.to_owned()))
        .collect();
    for line in sums.lines() {
        if let Some((sum, path)) = line.split_once("  ./") {
            content.entry(path.to_owned()).or_default().push_str(sum);
        }
    }
    content
}

/// What somebody's root has beside Debian: files of users, links, secrets, a partition in fstab.
fn furnish(root: &Path) {
    let write = |path: &str, text: &str, mode: u32| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("in the root")).expect("room");
        fs::write(&path, text).expect("room");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("own file");
    };
    write("opt/app/own", "data", 0o640);
    chown(root.join("opt/app/own"), Some(1000), Some(1001)).expect("root");
    fs::hard_link(root.join("opt/app/own"), root.join("opt/app/linked")).expect("a link");
    symlink("/nowhere", root.join("opt/app/dangling")).expect("a link");
    write("opt/app/setuid", "#!/bin/sh\n", 0o4755);
    write("etc/ssh/ssh_host_ed25519_key", "secret", 0o600);
    write("etc/ssh/ssh_host_ed25519_key.pub", "public", 0o644);
    write("etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0o444);
    write("etc/hostname", "image\n", 0o644);
    write("etc/fstab", "# mine\nUUID=0 / ext4 defaults 0 1\n", 0o644);
    write("var/lib/systemd/random-seed", "seed", 0o600);
    write("var/lib/systemd/credential.secret", "secret", 0o600);
    for place in MADE_ANEW {
        write(&format!("{place}/left/behind"), "of the last start", 0o644);
    }
}

fn can_build() -> bool {
    let can = rustix::process::geteuid().is_root() && cfg!(target_arch = "x86_64");
    if !can {
        skipped("a root is built by root, here for amd64");
    }
    can
}

/// The image has none of what tells boards apart, or must not be known.
fn has_no_secret(root: &Path) {
    assert_eq!(fs::read(root.join("etc/machine-id")).expect("it is there"), b"");
    for path in [
        "etc/hostname",
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_host_ed25519_key.pub",
        "etc/ssh/identity-uuid",
        "var/lib/systemd/random-seed",
        "var/lib/systemd/credential.secret",
        "var/lib/urandom/random-seed",
    ] {
        assert!(!root.join(path).exists(), "{path}");
    }
    let keys = sh(root, "find . -name 'ssh_host_*' -o -name random-seed");
    assert_eq!(keys, "");
}

fn has_a_small_initramfs(made: &Path) {
    let initrd = fs::metadata(made.join("initrd")).expect("it is there");
    assert!(initrd.len() <= INITRD_MAX, "{} bytes", initrd.len());
    let list = sh(made, "zstd -dc initrd | cpio -t --quiet");
    for part in [
        "scripts/local-bottom/overlay",
        "scripts/local-top/nbd",
        "scripts/netroot",
        "usr/lib/identity/netroot",
        "nbd.ko",
        "overlay.ko",
        "squashfs.ko",
        "virtio_net.ko",
        "usr/bin/identity",
    ] {
        assert!(list.lines().any(|line| line.ends_with(part)), "{part}");
    }
}

#[test]
fn an_adapted_root_keeps_what_it_had_and_says_what_it_changed() {
    if !can_build() {
        return;
    }
    let dir = TempDir::new().expect("a directory");
    let before = dir.path().join("before");
    fs::create_dir(&before).expect("room");
    run(Command::new("tar")
        .arg("-C")
        .arg(&before)
        .arg("-xf")
        .arg(artifact("IDENTITY_TEST_ROOT").join("root.tar")));
    furnish(&before);
    run(Command::new("tar")
        .arg("-C")
        .arg(&before)
        .args(["--numeric-owner", "-cf"])
        .arg(dir.path().join("root.tar"))
        .arg("."));
    let one = dir.path().join("one");
    make_lab(&one, "", "");
    let made = build(&one, &["--from", "../root.tar"]);

    // The same bytes, in another directory, with another umask.
    let two = dir.path().join("another/place");
    fs::create_dir(dir.path().join("another")).expect("room");
    make_lab(&two, "", "from = \"root.tar\"\n");
    fs::hard_link(dir.path().join("root.tar"), two.join("root.tar")).expect("a link");
    let script = "umask 077; exec \"$0\" root build pc";
    run(Command::new("sh").args(["-c", script]).arg(lab::program()).current_dir(&two));
    let sums = |dir: &Path| fs::read_to_string(dir.join("SHA256SUMS")).expect("it is there");
    assert_eq!(sums(&made), sums(&two.join("images").join(made.file_name().expect("a name"))));
    sh(&made, "sha256sum --quiet -c SHA256SUMS");

    let profile = fs::read_to_string(one.join("profiles/pc.toml")).expect("it is there");
    assert!(
        profile.starts_with("# PCs\n[boot]\nargs = [\"console=ttyS0\"] # serial\nkernel = \"images/pc-"),
        "{profile}"
    );

    run(Command::new("unsquashfs")
        .args(["-quiet", "-no-progress", "-d"])
        .arg(dir.path().join("after"))
        .arg(made.join("root.squashfs")));
    let after = dir.path().join("after");
    has_no_secret(&after);
    has_a_small_initramfs(&made);
    for place in MADE_ANEW {
        assert_eq!(fs::read_dir(after.join(place)).expect("it is there").count(), 0, "{place}");
    }
    let told = fs::read_to_string(made.join("changes")).expect("it is there");
    let told = |word: &str| -> BTreeSet<String> {
        told.lines()
            .filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
            .map(str::to_owned)
            .collect()
    };
    let (old, new) = (content(&before), content(&after));
    let differ =
        |path: &&String| old.get(*path).is_some_and(|facts| new.get(*path).is_some_and(|now| now != facts));
    let set = |paths: Vec<&String>| -> BTreeSet<String> { paths.into_iter().cloned().collect() };
    assert_eq!(set(old.keys().filter(differ).collect()), told("changed"), "changed");
    assert_eq!(set(old.keys().filter(|path| !new.contains_key(*path)).collect()), told("removed"), "removed");
    assert_eq!(set(new.keys().filter(|path| !old.contains_key(*path)).collect()), told("added"), "added");
    for path in ["opt/app/own", "opt/app/linked", "opt/app/dangling", "opt/app/setuid"] {
        assert_eq!(old[path], new[path], "{path}");
    }
    assert!(
        told("removed").contains("etc/ssh/ssh_host_ed25519_key") && told("changed").contains("etc/fstab")
    );
    assert!(told("changed").len() < 20, "{:?}", told("changed"));
}

#[test]
fn with_a_hardware_pack_the_root_has_no_kernel_and_is_one_file_for_all() {
    if !can_build() {
        return;
    }
    let dir = TempDir::new().expect("a directory");
    let root = artifact("IDENTITY_TEST_ROOT").join("root.tar");
    make_lab(dir.path(), "[hardware]\npack = \"pack\"\n", "from = \"root.tar\"\n");
    let pack = dir.path().join("pack");
    fs::create_dir(&pack).expect("room");
    run(Command::new("tar").arg("-C").arg(&pack).arg("-xf").arg(&root).args(["./boot", "./usr/lib/modules"]));
    let bare = dir.path().join("bare");
    fs::create_dir(&bare).expect("room");
    let left_out = ["--exclude=./boot/*", "--exclude=./usr/lib/modules/*"];
    run(Command::new("tar").arg("-C").arg(&bare).args(left_out).arg("-xf").arg(&root));
    run(Command::new("tar")
        .arg("-C")
        .arg(&bare)
        .args(["--numeric-owner", "-cf"])
        .arg(dir.path().join("root.tar"))
        .arg("."));
    let made = build(dir.path(), &[]);
    has_a_small_initramfs(&made);
    let list = |image: &str| sh(&made, &format!("unsquashfs -l {image}"));
    assert!(
        !list("root.squashfs").contains("/nbd.ko")
            && list("modules.squashfs").contains("squashfs-root/usr/lib/modules/")
    );
    assert!(list("modules.squashfs").contains("/nbd.ko") && !list("modules.squashfs").contains("vmlinuz"));
    // Another profile with another pack, here a later kernel of the same name.
    fs::write(pack.join("usr/lib/modules/more"), "of another family").expect("room");
    let profile = fs::read_to_string(dir.path().join("profiles/pc.toml")).expect("it is there");
    assert!(profile.contains("modules = \"images/pc-"), "{profile}");
    let other = build(dir.path(), &[]);
    assert_ne!(made, other);
    let inode = |dir: &Path, name: &str| fs::metadata(dir.join(name)).expect("it is there").ino();
    assert_eq!(inode(&made, "root.squashfs"), inode(&other, "root.squashfs"), "one file");
    assert_ne!(inode(&made, "modules.squashfs"), inode(&other, "modules.squashfs"));
}

/// The whole of it, from the mirror: `--all`.
#[test]
fn a_root_from_the_suite_has_the_same_bytes_each_time() {
    if !can_build() {
        return;
    }
    let dir = TempDir::new().expect("a directory");
    let build_in = |name: &str| {
        let dir = dir.path().join(name);
        make_lab(&dir, "", "suite = \"bookworm\"\n");
        let profile = dir.join("profiles/pc.toml");
        let text = fs::read_to_string(&profile).expect("it is there");
        fs::write(&profile, text.replace("\"own.deb\"", "\"own.deb\", \"linux-image-cloud-amd64\""))
            .expect("room");
        build(&dir, &[])
    };
    let (one, two) = (build_in("one"), build_in("two"));
    let sums = |dir: &Path| fs::read_to_string(dir.join("SHA256SUMS")).expect("it is there");
    assert_eq!(sums(&one), sums(&two));
    run(Command::new("unsquashfs")
        .args(["-quiet", "-no-progress", "-d"])
        .arg(dir.path().join("after"))
        .arg(one.join("root.squashfs")));
    has_no_secret(&dir.path().join("after"));
    has_a_small_initramfs(&one);
}
