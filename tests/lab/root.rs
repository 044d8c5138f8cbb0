// SPDX-License-Identifier: MIT OR Apache-2.0
//! `root build`: what is refused, and that nothing is left of it; and overlays, which `netboot` packs. That a root is built
//! is proved in `tests/board/root_images.rs`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use identity_tests::skipped;

use crate::netboot::content;
use crate::{Answer, Lab, UUID};

const BUILD: &str =
    "[boot]\nargs = [\"console=ttyS0\"]\n\n[root]\ntransport = \"nbd\"\n\n[build]\narch = \"amd64\"\n";

/// A lab whose profile has this more in `[build]`.
fn lab(more: &str) -> Lab {
    let lab = Lab::new();
    lab.write("profiles/panda.toml", format!("{BUILD}{more}"));
    lab
}

/// Nothing is left of a build: no image, no directory, and the profile as it was.
#[track_caller]
fn nothing_left(lab: &Lab, profile: &str) {
    let left = fs::read_dir(lab.path("images")).into_iter().flatten().count();
    assert_eq!(left, 0, "{:?}", content(&lab.path("images")).keys());
    assert_eq!(lab.read("profiles/panda.toml"), profile);
}

/// Whether roots can be built here: with root, and for the machine that this is.
fn can_build() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let has = |name: &str| {
        Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    if is_root && cfg!(target_arch = "x86_64") && has("mksquashfs") && has("mmdebstrap") && has("zstd") {
        return true;
    }
    skipped("root, mmdebstrap, mksquashfs or zstd is missing, or this is no amd64");
    false
}

#[test]
fn a_profile_that_cannot_be_built_is_refused_with_its_line() {
    for (profile, code, says) in [
        (
            "[boot]\nkernel = \"boot/zImage\"\n".to_owned(),
            4,
            "profiles/panda.toml:1: the profile has no section [build]",
        ),
        (
            BUILD.to_owned(),
            4,
            "profiles/panda.toml:8: [build] has neither a suite, for a new root, nor `from`",
        ),
        (
            format!("{BUILD}from = \"roots/lost.tar\"\n"),
            4,
            "profiles/panda.toml:9: roots/lost.tar: no such file",
        ),
        (
            format!("{BUILD}suite = \"bookworm\"\npackages = [\"debs/lost.deb\"]\n"),
            4,
            "profiles/panda.toml:10: debs/lost.deb: no such file",
        ),
        (
            format!("{BUILD}suite = \"book worm\"\n"),
            4,
            "profiles/panda.toml:9: [build] suite: \"book worm\" has ` `",
        ),
        (
            format!("{BUILD}suite = \"bookworm\"\npackages = [\"--force\"]\n"),
            4,
            "profiles/panda.toml:10: [build] packages: \"--force\" has `-`",
        ),
        (
            BUILD.replace("amd64", "vax") + "suite = \"bookworm\"\n",
            4,
            "profiles/panda.toml:8: [build] arch: \"vax\" is none of armhf, arm64",
        ),
        (
            BUILD.replace("transport = \"nbd\"", "transport = \"nfs-file\"\n[hardware]\npack = \"p\"")
                + "suite = \"bookworm\"\n",
            4,
            "[hardware] is laid over a root",
        ),
    ] {
        let lab = lab("");
        lab.write("profiles/panda.toml", &profile);
        lab.run(&["root", "build", "panda"]).exits(code).says(&[says]);
        nothing_left(&lab, &profile);
    }
    let lab = lab("suite = \"bookworm\"\n");
    lab.run(&["root", "build", "zebra"]).exits(2).says(&["there is no profiles/zebra.toml"]);
    lab.run(&["root", "build", "panda", "--from", "lost.tar"])
        .exits(2)
        .says(&["--from lost.tar: no such file"]);
    let mut odd = lab.command();
    odd.args(["root", "build", "panda"]).env("SOURCE_DATE_EPOCH", "yesterday");
    Answer::of(&mut odd).exits(2).says(&["SOURCE_DATE_EPOCH=\"yesterday\""]);
}

#[test]
fn a_profile_whose_root_is_not_built_yet_is_named_by_netboot() {
    let lab = lab("suite = \"bookworm\"\n");
    lab.run(&["list"]).exits(0);
    lab.run(&["netboot", "out"])
        .exits(4)
        .says(&["profiles/panda.toml:1: [boot] kernel is missing", "`identity-lab root build panda`"]);
    assert!(!lab.path("out").exists());
}

#[test]
fn a_dry_run_says_what_would_be_made_of_what() {
    let lab = lab("suite = \"bookworm\"\npackages = [\"openssh-server\", \"debs/own.deb\"]\n");
    lab.write("debs/own.deb", "a package");
    lab.run(&["root", "build", "panda", "--dry-run"]).exits(0).shows(&[
        "Debian bookworm for amd64",
        "openssh-server",
        "debs/own.deb",
        "linux-image-amd64",
    ]);
    let json = lab.run(&["root", "build", "panda", "--dry-run", "--format", "json"]).exits(0).json();
    assert_eq!((json["event"].as_str(), json["suite"].as_str()), (Some("plan"), Some("bookworm")));
    assert!(!lab.path("images").exists());
}

#[test]
fn programs_that_are_missing_are_named_before_anything_is_begun() {
    let lab = lab("suite = \"bookworm\"\n");
    let mut bare = lab.command();
    bare.args(["root", "build", "panda"]).env("PATH", lab.path("nowhere"));
    Answer::of(&mut bare).exits(6).says(&["apt install", "mmdebstrap", "squashfs-tools"]);
    assert!(!lab.path("images").exists());
}

#[test]
fn a_suite_that_the_mirror_does_not_have_leaves_nothing() {
    if !can_build() {
        return;
    }
    let lab = lab("suite = \"woodworm\"\nmirror = \"file:/nonexistent\"\n");
    let profile = lab.read("profiles/panda.toml");
    lab.run(&["root", "build", "panda"]).exits(6).says(&["has no suite woodworm", "nothing was changed"]);
    nothing_left(&lab, &profile);
}

/// A tarball of these files in a directory.
fn tarball(lab: &Lab, dir: &str) -> String {
    let status = Command::new("tar")
        .arg("-C")
        .arg(lab.path(dir))
        .arg("-cf")
        .arg(lab.path("root.tar"))
        .arg(".")
        .status();
    assert!(status.expect("tar").success());
    "root.tar".to_owned()
}

#[test]
fn what_is_no_root_of_this_architecture_leaves_nothing() {
    if !can_build() {
        return;
    }
    let lab = lab("");
    let profile = lab.read("profiles/panda.toml");
    lab.write("tree/etc/hostname", "a");
    let from = tarball(&lab, "tree");
    let build = |from: &str| lab.run(&["root", "build", "panda", "--from", from]);
    build(&from).exits(6).says(&["has no Debian system", "nothing was changed"]);
    lab.write("tree/var/lib/dpkg/status", "Package: dpkg\nArchitecture: armhf\n\n");
    lab.write("tree/data", vec![7; 200_000]);
    let from = tarball(&lab, "tree");
    build(&from).exits(6).says(&["is for armhf, the profile for amd64"]);
    lab.write("half.tar", &fs::read(lab.path("root.tar")).expect("a tarball")[..100_000]);
    build("half.tar").exits(7).says(&["the root was not built", "nothing was changed"]);
    nothing_left(&lab, &profile);
}

#[test]
fn a_full_disk_leaves_nothing() {
    if !can_build() {
        return;
    }
    let lab = lab("");
    let profile = lab.read("profiles/panda.toml");
    lab.write("tree/var/lib/dpkg/status", "Package: dpkg\nArchitecture: amd64\n\n");
    lab.write("tree/data", vec![7; 4 << 20]);
    let from = tarball(&lab, "tree");
    fs::create_dir(lab.path("images")).expect("a directory");
    // Only this process and its children see it.
    let mut full = Command::new("unshare");
    full.args([
        "--mount",
        "sh",
        "-c",
        "mount -t tmpfs -o size=2m full images && \"$@\"; s=$?; ls -A images; exit $s",
        "sh",
    ]);
    full.arg(identity_tests::lab::program()).args(["root", "build", "panda", "--from", &from]);
    let answer = Answer::of(full.current_dir(lab.dir.path()).stdin(Stdio::null()));
    let answer = answer.exits(7).says(&["no space left", "nothing was changed"]);
    assert_eq!(answer.stdout, "", "something is left");
    nothing_left(&lab, &profile);
}

/// SIGTERM while programs run: they end, and nothing is left.
#[test]
fn a_build_that_is_interrupted_leaves_nothing() {
    if !can_build() {
        return;
    }
    let lab = lab("");
    let profile = lab.read("profiles/panda.toml");
    let fifo = lab.path("endless.tar");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    // Nobody writes into it, so the build waits there.
    let script = "\"$0\" root build panda --from endless.tar 2>said & pid=$!; until grep -q unpack said; do sleep 0.1; done; kill -TERM $pid; wait $pid";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(identity_tests::lab::program()).current_dir(lab.dir.path());
    let answer = Answer::of(shell.stdin(Stdio::null()));
    assert_eq!(answer.output.status.code(), Some(130), "{}", lab.read("said"));
    assert!(lab.read("said").contains("interrupted; nothing was changed"), "{}", lab.read("said"));
    nothing_left(&lab, &profile);
}

/// SIGKILL: the programs end too, and the next build takes away what they have left.
#[test]
fn a_build_that_is_killed_leaves_no_programs() {
    if !can_build() {
        return;
    }
    let lab = lab("");
    let profile = lab.read("profiles/panda.toml");
    assert!(Command::new("mkfifo").arg(lab.path("endless.tar")).status().expect("mkfifo").success());
    let script = "\"$0\" root build panda --from endless.tar 2>said & pid=$!; until grep -q unpack said; do sleep 0.1; done
        work=$(echo images/.identity-lab-*); test -d \"$work\" && kill -KILL $pid; wait $pid
        for i in $(seq 100); do grep -lzsF \"work=$PWD/$work\" /proc/[0-9]*/environ >left || exit 0; sleep 0.1; done
        cat left; exit 1";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(identity_tests::lab::program()).current_dir(lab.dir.path());
    Answer::of(shell.stdin(Stdio::null())).exits(0);
    lab.write("broken.tar", "no archive");
    lab.run(&["root", "build", "panda", "--from", "broken.tar"]).exits(7);
    nothing_left(&lab, &profile);
}

fn files_of(tar: &Path) -> String {
    let list = Command::new("tar").arg("-tvf").arg(tar).output().expect("tar");
    String::from_utf8(list.stdout).expect("text")
}

/// The only overlay of a tree whose name ends so.
fn overlay(lab: &Lab, end: &str) -> String {
    let names: Vec<_> =
        content(&lab.path("out/tftp/overlays")).into_keys().filter(|name| name.ends_with(end)).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].clone()
}

#[test]
fn files_of_all_boards_a_profile_and_a_board_are_packed_over_each_other() {
    let lab = Lab::with_network("");
    for (path, text) in [
        ("common/etc/motd", "all\n"),
        ("common/etc/issue", "all\n"),
        ("profile/panda/etc/motd", "pandas\n"),
        ("board/panda-01/etc/motd", "one\n"),
        ("board/panda-01/etc/ssh/ssh_host_ed25519_key", "a key\n"),
        ("board/panda-03/etc/motd", "nobody's\n"),
        ("profile/panda/usr/local/bin/tool", "#!/bin/sh\n"),
        ("common/.gitkeep", ""),
    ] {
        lab.write(&format!("overlays/{path}"), text);
    }
    symlink("/usr/share/zoneinfo/UTC", lab.path("overlays/common/etc/localtime")).expect("a link");
    fs::set_permissions(lab.path("overlays/profile/panda/usr/local/bin/tool"), Permissions::from_mode(0o775))
        .expect("own file");
    lab.run(&["netboot", "out"]).exits(0).says(&[
        "overlays/board/panda-03/ is of no board",
        "host keys are new at each boot of those that have none in overlays/board/: panda-02",
    ]);
    let (one, all) = (overlay(&lab, "-panda-01.tar"), overlay(&lab, "-panda.tar"));
    let tree = content(&lab.path("out/tftp"));
    let script = |name: &str| String::from_utf8_lossy(&tree[name]).into_owned();
    let args = |name: &str| format!("netroot.overlay=192.168.7.1:overlays/{name}");
    assert!(script(&format!("boards/{UUID}.scr")).contains(&args(&one)));
    assert!(script(&format!("pxelinux.cfg/{UUID}")).contains(&args(&one)));
    assert!(script(&format!("boards/{}.scr", crate::OTHER)).contains(&args(&all)));
    assert!(script("profiles/panda/boot.scr").contains(&args(&all)));
    // GNU tar reads it, and the last word is the board's.
    let tar = lab.path("out/tftp/overlays").join(&one);
    let listed = files_of(&tar);
    let has = |line: &[&str]| listed.lines().any(|listed| line.iter().all(|part| listed.contains(part)));
    assert!(
        has(&["-rwxr-xr-x 0/0", "usr/local/bin/tool"]) && has(&["etc/localtime -> /usr/share"]),
        "{listed}"
    );
    assert!(!listed.contains("gitkeep") && listed.contains("etc/issue"), "{listed}");
    let extract = |path: &str| {
        let tar = Command::new("tar").arg("-xOf").arg(&tar).arg(path).output().expect("tar");
        String::from_utf8(tar.stdout).expect("text")
    };
    assert_eq!(extract("etc/motd"), "one\n");
    // Its keys are its own: without this, the board would make new ones.
    assert_eq!(extract("etc/ssh/identity-uuid"), format!("{UUID}\n"));
    // The umask of whoever checked it out changes nothing.
    fs::set_permissions(lab.path("overlays/common/etc/issue"), Permissions::from_mode(0o664))
        .expect("own file");
    lab.run(&["netboot", "--check", "out"]).exits(0);
}

#[test]
fn what_others_may_not_read_goes_into_an_overlay_only_with_a_word() {
    let lab = Lab::with_network("");
    let key = "overlays/board/panda-01/etc/ssh/ssh_host_ed25519_key";
    lab.write(key, "a key\n");
    fs::set_permissions(lab.path(key), Permissions::from_mode(0o600)).expect("own file");
    lab.run(&["netboot", "out"]).exits(6).says(&[&format!("{key} may not be read by others"), "--secrets"]);
    assert!(!lab.path("out").exists());
    lab.run(&["netboot", "--secrets", "out"]).exits(0);
    let listed = files_of(&lab.path("out/tftp/overlays").join(overlay(&lab, "-panda-01.tar")));
    assert!(listed.contains("-rw------- 0/0"), "{listed}");
}

#[test]
fn an_overlay_that_would_break_a_root_or_make_two_boards_one_is_refused() {
    for (path, says) in [
        ("common/etc/ssh/ssh_host_rsa_key", "is a host key, which several boards would share"),
        ("profile/panda/etc/ssh/ssh_host_rsa_key", "is a host key, which several boards would share"),
        ("board/panda-01/lib/firmware/blob", "board/panda-01/lib would hide the root's link of that name"),
    ] {
        let lab = Lab::with_network("");
        lab.write(&format!("overlays/{path}"), "bytes");
        lab.run(&["netboot", "out"]).exits(6).says(&[says]);
        assert!(!lab.path("out").exists());
    }
    let lab = Lab::with_network("root = \"/srv/netboot\"");
    lab.write("overlays/common/etc/motd", "all");
    lab.write("profiles/panda.toml", lab.read("profiles/panda.toml").replace("discard", "server"));
    lab.run(&["netboot", "out"]).exits(4).says(&["profiles/panda.toml:7: ", "nothing is laid over it"]);
}

#[test]
fn a_kernels_modules_are_served_beside_the_root() {
    let lab = Lab::with_network("");
    lab.write("images/modules.squashfs", crate::squashfs("modules"));
    lab.write(
        "profiles/panda.toml",
        lab.read("profiles/panda.toml") + "[hardware]\nmodules = \"images/modules.squashfs\"\n",
    );
    lab.run(&["netboot", "out"]).exits(0);
    let images = content(&lab.path("out/images"));
    let name = images.keys().find(|name| name.starts_with("panda-modules-")).expect("an image");
    let script = fs::read(lab.path(&format!("out/tftp/boards/{UUID}.scr"))).expect("a script");
    assert!(String::from_utf8_lossy(&script).contains(&format!(" netroot.modules={name}")));
}
