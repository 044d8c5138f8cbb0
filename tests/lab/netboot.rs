// SPDX-License-Identifier: MIT OR Apache-2.0
//! `netboot`: the tree, and what becomes of the old one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::{Lab, OTHER, UUID, squashfs, zimage};

/// Every file below a directory with its bytes.
pub fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn collect(dir: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let entry = entry.expect("an entry");
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                collect(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name, fs::read(entry.path()).expect("a file"));
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(dir, "", &mut found);
    found
}

/// The text of a script in an image for U-Boot.
fn script(bytes: &[u8]) -> String {
    String::from_utf8(bytes[72..].to_vec()).expect("text")
}

/// The name of the only image of a tree.
fn image(tree: &BTreeMap<String, Vec<u8>>) -> String {
    let names: Vec<_> = tree.keys().filter(|name| name.starts_with("images/")).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].clone()
}

#[test]
fn the_tree_has_what_each_board_and_each_profile_asks_for() {
    let lab = Lab::with_network("");
    lab.run(&["netboot", "out"])
        .exits(0)
        .shows(&["tftp/boot.scr  new"])
        .says(&["SSH host keys are new at each boot"]);
    let tree = content(&lab.path("out"));
    for name in [
        "tftp/boot.scr",
        "tftp/boot.scr.uimg",
        "tftp/profiles/panda/boot.scr",
        "tftp/profiles/panda/pxelinux.cfg/default",
        "tftp/pxelinux.cfg/default",
        "server/dnsmasq.conf",
        "server/nbdkit",
    ] {
        assert!(tree.contains_key(name), "{name} in {:?}", tree.keys());
    }
    let name = image(&tree);
    assert!(name.starts_with("images/panda-") && name.ends_with(".squashfs") && name.len() == 34, "{name}");
    let inode = |path: &str| fs::metadata(lab.path(path)).expect("a file").ino();
    assert_eq!(inode(&format!("out/{name}")), inode("images/panda.squashfs"), "a hard link");
    // The list fills in what it knows; an argument without a value is left out; what U-Boot knows is left to it.
    let text = script(&tree[&format!("tftp/boards/{UUID}.scr")]);
    let served = name.trim_start_matches("images/");
    let args = format!(
        "console=ttyAMA0 place=R3 systemd.hostname=panda-01 ip=dhcp root=/dev/nbd0 nbdroot=192.168.7.1:10810/{served} ro overlay=tmpfs"
    );
    assert!(text.contains(&format!("setenv bootargs \"{args}\"\n")), "{text}");
    let text = script(&tree[&format!("tftp/boards/{OTHER}.scr")]);
    assert!(text.contains("\"console=ttyAMA0 systemd.hostname=panda-02 ip=dhcp"), "{text}");
    let text = script(&tree["tftp/profiles/panda/boot.scr"]);
    assert!(text.contains("\"console=ttyAMA0 systemd.hostname=${identity_hostname} ip=dhcp"), "{text}");
    let pxe = String::from_utf8(tree[&format!("tftp/pxelinux.cfg/{UUID}")].clone()).expect("text");
    assert!(pxe.contains(&format!("    append {args}\n")), "{pxe}");
    // Whatever a file of the tree names is in it.
    for (name, bytes) in &tree {
        let is_script = name.ends_with(".scr");
        let text = if is_script { script(bytes) } else { String::from_utf8_lossy(bytes).into_owned() };
        let below = if name.contains("profiles/panda/pxelinux") { "tftp/profiles/panda/" } else { "tftp/" };
        let is_entry =
            |line: &&str| ["kernel ", "initrd ", "fdt "].iter().any(|word| line.trim().starts_with(word));
        let entries = text.lines().filter(is_entry).filter_map(|line| line.trim().split(' ').next_back());
        let loads = text.split("tftpboot ").skip(1).filter_map(|load| load.split([' ', ';', '\n']).nth(1));
        for path in entries.chain(loads).filter(|path| !path.contains("${")) {
            assert!(tree.contains_key(&format!("{below}{path}")), "{name}: {path}");
        }
    }
}

/// What the initramfs is told to do when the server is away. A server that forgets is nothing to go on with.
#[test]
fn what_is_lost_is_told_to_the_board() {
    let lab = Lab::with_network("");
    let profile = lab.read("profiles/panda.toml");
    lab.write("lab.toml", lab.read("lab.toml").replace("[network]", "root = \"/srv/netboot\"\n[network]"));
    let reboot = "lost = \"reboot\"\nlost_after = \"2m\"";
    for (writes, lost, port, told) in [
        ("discard", "lost = \"wait\"", 10810, "netroot.lost=wait"),
        ("discard", reboot, 10810, "netroot.lost=reboot:120"),
        ("server", "", 10809, "netroot.lost=forgotten"),
        ("server", reboot, 10809, "netroot.lost=forgotten:120"),
    ] {
        lab.write("profiles/panda.toml", profile.replace("discard\"", &format!("{writes}\"\n{lost}")));
        lab.run(&["netboot", "out"]).exits(0);
        let text = script(&content(&lab.path("out"))["tftp/profiles/panda/boot.scr"]);
        let words: Vec<_> = text.split([' ', '"']).collect();
        assert!(words.contains(&told), "{told}: {text}");
        assert!(text.contains(&format!(" nbdroot=192.168.7.1:{port}/panda-")), "{text}");
    }
}

#[test]
fn the_same_lab_gives_the_same_bytes_and_no_file_names_the_directory() {
    let lab = Lab::with_network("");
    lab.run(&["netboot", "one"]).exits(0);
    fs::create_dir(lab.path("b")).expect("a directory");
    lab.run(&["netboot", "b/two-otherwise"]).exits(0);
    let one = content(&lab.path("one"));
    assert_eq!(one, content(&lab.path("b/two-otherwise")));
    let here = lab.dir.path().to_string_lossy().into_owned();
    for (name, bytes) in &one {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains(&here) && !text.contains("two-otherwise"), "{name} names the directory");
    }
    let before = fs::metadata(lab.path("one")).expect("there").ino();
    lab.run(&["netboot", "one"]).exits(0).shows(&["one is up to date"]);
    assert_eq!(
        fs::metadata(lab.path("one")).expect("there").ino(),
        before,
        "nothing to do, and nothing done"
    );
}

#[test]
fn check_says_what_is_stale_and_writes_nothing() {
    let lab = Lab::with_network("");
    lab.run(&["netboot", "--check", "out"]).exits(5).shows(&["tftp/boot.scr  new"]);
    lab.run(&["netboot", "--dry-run", "out"]).exits(0).shows(&["tftp/boot.scr  new"]);
    assert!(!lab.path("out").exists());
    lab.run(&["netboot", "out"]).exits(0);
    lab.run(&["netboot", "--check", "out"]).exits(0).shows(&["out is up to date"]);
    lab.run(&["add", "panda-03", "--profile", "panda"]).exits(0);
    lab.write("out/tftp/boot.scr", "damaged");
    lab.write("out/tftp/stray", "left by somebody");
    let before = content(&lab.path("out"));
    let answer = lab.run(&["netboot", "--check", "out", "--format", "json"]).exits(5);
    let states = |state: &str| -> Vec<String> {
        let files = answer.json();
        let files = files["files"].as_array().expect("a list").iter();
        files
            .filter(|file| file["state"] == state)
            .map(|file| file["path"].as_str().expect("text").to_owned())
            .collect()
    };
    assert_eq!(states("changed"), ["server/dnsmasq.conf", "tftp/boot.scr"]);
    assert_eq!(states("gone"), ["tftp/stray"]);
    assert_eq!(states("new").len(), 2);
    assert_eq!(content(&lab.path("out")), before);
    lab.run(&["netboot", "out"]).exits(0);
    lab.run(&["netboot", "--check", "out"]).exits(0);
}

#[test]
fn an_old_image_stays_until_it_is_pruned() {
    let lab = Lab::with_network("");
    lab.run(&["netboot", "out"]).exits(0);
    let old = image(&content(&lab.path("out")));
    lab.write("images/new", squashfs("another root"));
    fs::rename(lab.path("images/new"), lab.path("images/panda.squashfs")).expect("one directory");
    lab.run(&["netboot", "out"]).exits(0).shows(&[&format!("{old}  kept")]);
    let tree = content(&lab.path("out"));
    assert_eq!(tree[&old], squashfs("a root"));
    assert_eq!(tree.keys().filter(|name| name.starts_with("images/")).count(), 2);
    lab.run(&["netboot", "--check", "out"]).exits(0);
    lab.run(&["netboot", "--prune", "out"]).exits(0).shows(&[&format!("{old}  gone")]);
    assert_ne!(image(&content(&lab.path("out"))), old);
}

/// A board that runs from it would read the new bytes under the old name.
#[test]
fn an_image_that_changes_under_its_hash_is_refused() {
    let lab = Lab::with_network("");
    lab.run(&["netboot", "out"]).exits(0);
    let before = content(&lab.path("out"));
    let old = image(&before);
    fs::write(lab.path("images/panda.squashfs"), squashfs("written over")).expect("room");
    lab.run(&["netboot", "out"]).exits(6).says(&[&format!("out/{old} is no longer what its name says")]);
    lab.run(&["netboot", "--check", "out"]).exits(6);
    let now = content(&lab.path("out"));
    assert_eq!(now.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    lab.run(&["netboot", "--prune", "out"]).exits(0);
    assert_ne!(image(&content(&lab.path("out"))), old);
}

#[test]
fn two_profiles_with_one_image_name_each_have_their_own() {
    let lab = Lab::with_network("");
    let profile = lab.read("profiles/panda.toml");
    // One file for both; then two files of one name.
    lab.write("profiles/zebra.toml", &profile);
    lab.run(&["netboot", "out"]).exits(0);
    let names = |tree: BTreeMap<String, Vec<u8>>| -> Vec<String> {
        tree.into_keys().filter(|name| name.starts_with("images/")).collect()
    };
    let both = names(content(&lab.path("out")));
    assert!(both.len() == 2 && both[0][13..] == both[1][13..], "{both:?}");
    lab.write("other/panda.squashfs", squashfs("another"));
    lab.write("profiles/zebra.toml", profile.replace("images/panda", "other/panda"));
    lab.run(&["netboot", "--prune", "out"]).exits(0);
    let tree = content(&lab.path("out"));
    let zebra =
        names(tree.clone()).into_iter().find(|name| name.starts_with("images/zebra")).expect("its image");
    assert_eq!(tree[&zebra], squashfs("another"));
    assert!(script(&tree["tftp/profiles/zebra/boot.scr"]).contains(zebra.trim_start_matches("images/")));
}

#[test]
fn what_cannot_be_is_refused_and_the_old_tree_stays() {
    let lab = Lab::with_network("");
    lab.run(&["netboot", "out"]).exits(0);
    let before = content(&lab.path("out"));
    let profile = lab.read("profiles/panda.toml");
    let refused = |code: i32, says: &[&str]| {
        lab.run(&["netboot", "out"]).exits(code).says(says);
        assert_eq!(content(&lab.path("out")), before);
    };
    for (from, to, line) in [
        ("boot/zImage", "boot/lost", 2),
        ("boot/initrd.gz", "boot/lost", 3),
        ("boot/board.dtb", "boot/lost", 4),
        ("images/panda.squashfs", "images/lost", 7),
    ] {
        lab.write("profiles/panda.toml", profile.replace(from, to));
        refused(4, &[&format!("profiles/panda.toml:{line}: {to}: "), "no such file"]);
    }
    lab.write("profiles/panda.toml", profile.replace("boot/board.dtb", "boot"));
    refused(4, &["profiles/panda.toml:4: boot is no regular file"]);
    lab.write("profiles/panda.toml", profile.replace("boot/zImage", "boot/initrd.gz"));
    refused(4, &["profiles/panda.toml:2: boot/initrd.gz is no kernel"]);
    lab.write("profiles/panda.toml", profile.replace("${location}", "${var.rack}"));
    refused(4, &["profiles/panda.toml:5: args: boards.csv has no column `var.rack`"]);
    lab.write("profiles/panda.toml", profile.replace("discard", "server"));
    refused(4, &["profiles/panda.toml:7: ", "[server]"]);
    lab.write("profiles/panda.toml", &profile);
    let boards = lab.read("boards.csv");
    for (from, to, code, says) in [
        (
            ",panda,9e",
            ",lost,9e",
            4,
            "boards.csv:2:10: profile: there is no profiles/lost.toml; the lab has panda",
        ),
        (",panda,9e", ",,9e", 4, "boards.csv:2:10: profile: a board needs one"),
        (
            OTHER,
            UUID,
            6,
            "boards.csv:3:16: uuid: panda-02 has 9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5, and so has panda-01 in line 2",
        ),
        ("panda-02", "Panda-01", 6, "boards.csv:3:1: hostname: "),
        (".7.11", ".7.1", 6, "ip: 192.168.7.1 is the server's"),
        (".7.11", ".8.11", 4, "boards.csv:2:54: ip: 192.168.8.11 is not in the lab's network 192.168.7.0/24"),
        (
            ",R3",
            ",R;3",
            4,
            "boards.csv:2:67: location: \"R;3\" has `;`, which a kernel argument cannot carry",
        ),
    ] {
        lab.write("boards.csv", boards.replacen(from, to, 1));
        refused(code, &[says]);
    }
    lab.write("boards.csv", &boards);
    fs::set_permissions(lab.path("images/panda.squashfs"), fs::Permissions::from_mode(0o600))
        .expect("own file");
    lab.write("boot/zImage", zimage("another"));
    refused(6, &["images/panda.squashfs may not be read by others"]);
}

/// U-Boot's hush takes it for the start of a quotation, also inside of double quotes, and refuses the whole script.
#[test]
fn no_script_has_an_apostrophe() {
    let lab = Lab::with_network("");
    lab.write("lab.toml", lab.read("lab.toml") + "[rescue]\nkernel = \"boot/zImage\"\nargs = [\"quiet\"]\n");
    let loader = "[loader]\nfile = \"boot/zImage\"\naddress = \"0x60800000\"\nhow = \"bootm\"\n";
    lab.write("profiles/panda.toml", lab.read("profiles/panda.toml") + loader);
    lab.run(&["netboot", "out"]).exits(0);
    let tree = content(&lab.path("out"));
    let scripts: Vec<_> = tree.iter().filter(|(name, _)| name.ends_with(".scr")).collect();
    assert_eq!(scripts.len(), 4);
    for (name, bytes) in scripts {
        assert!(!script(bytes).contains('\''), "{name}: {}", script(bytes));
    }
}

/// A derived address is an address too.
#[test]
fn an_assigned_address_that_is_anothers_derived_one_is_refused() {
    let lab = Lab::with_network("");
    let list = lab.run(&["list", "--format", "json"]).exits(0).json();
    let derived = list[0]["macs"][0].as_str().expect("text");
    lab.write("boards.csv", lab.read("boards.csv").replace("02:00:00:00:00:02", derived));
    lab.run(&["netboot", "out"])
        .exits(6)
        .says(&["boards.csv:3:53: mac0: panda-02 has", "so has panda-01 in line 2"]);
}

#[test]
fn a_directory_of_somebody_else_is_not_touched() {
    let lab = Lab::with_network("");
    lab.write("out/precious", "data");
    lab.run(&["netboot", "out"]).exits(6).says(&["was not written by `identity-lab netboot`"]);
    assert_eq!(content(&lab.path("out")).len(), 1);
    fs::create_dir(lab.path("empty")).expect("a directory");
    lab.run(&["netboot", "empty"]).exits(0);
    lab.run(&["netboot", "/dev/shm"]).exits(6);
}

#[test]
fn images_are_not_copied_to_another_file_system() {
    let lab = Lab::with_network("");
    let shm = Path::new("/dev/shm");
    let device = |path: &Path| fs::metadata(path).map(|file| file.dev()).ok();
    if device(shm).is_none() || device(shm) == device(lab.dir.path()) {
        return identity_tests::skipped("/dev/shm is no other file system");
    }
    let other = tempfile::TempDir::new_in(shm).expect("a directory");
    let out = other.path().join("out");
    let out = out.to_str().expect("text");
    lab.run(&["netboot", out]).exits(6).says(&["lies on another file system", "never copied"]);
    assert_eq!(fs::read_dir(other.path()).expect("a directory").count(), 0, "nothing is left");
}

/// Power or the program goes at any moment: boards find the old tree or the new one, whole.
#[test]
fn a_killed_netboot_leaves_the_old_tree_or_the_new_one() {
    let lab = Lab::with_network("");
    lab.run(&["netboot", "out"]).exits(0);
    let old = content(&lab.path("out"));
    lab.write("boot/zImage", zimage("the new kernel"));
    lab.run(&["netboot", "goal"]).exits(0);
    let new = content(&lab.path("goal"));
    let (mut kept, mut made) = (0, 0);
    let kills = crate::killed_before_each_change(&lab, &["netboot", "out"], || {
        let now = content(&lab.path("out"));
        match (now == old, now == new) {
            (true, false) => kept += 1,
            (false, true) => {
                made += 1;
                lab.write("boot/zImage", zimage("a kernel"));
                lab.run(&["netboot", "out"]).exits(0);
                assert!(content(&lab.path("out")) == old);
                lab.write("boot/zImage", zimage("the new kernel"));
            }
            _ => panic!("neither the old tree nor the new one, but {:?}", now.keys()),
        }
    });
    assert!(kills.is_none_or(|_| kept > 10 && made > 1), "{kept} kept, {made} made");
    lab.run(&["netboot", "out"]).exits(0);
    let entries =
        fs::read_dir(lab.dir.path()).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    let left: Vec<_> = entries.filter(|name| name.to_string_lossy().starts_with(".identity")).collect();
    assert!(left.is_empty(), "{left:?}");
}
