// SPDX-License-Identifier: MIT OR Apache-2.0
//! Roots that come over HTTP into memory, or lie on the card: what the board is told, what is where, and what is refused.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

use identity_tests::cli::tool;
use identity_tests::{run_where_installed, skipped};
use sha2::{Digest, Sha256};

use crate::netboot::content;
use crate::serve::{can_run, inside};
use crate::{Answer, Lab, OTHER, UUID, squashfs};

/// The functions that the scripts of the initramfs share.
const FUNCTIONS: &str = include_str!("../../identity-lab/src/root/files/functions");

/// A lab whose profile has this in place of its transport by NBD.
fn lab(root: &str) -> Lab {
    let lab = Lab::with_network("");
    let profile = lab.read("profiles/panda.toml").replace("transport = \"nbd\"", root);
    lab.write("profiles/panda.toml", profile);
    lab
}

fn digits(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// The name under which the lab's image is known.
fn image() -> String {
    format!("panda-{}.squashfs", digits(&squashfs("a root")))
}

/// The kernel arguments of a script.
fn args(tree: &BTreeMap<String, Vec<u8>>, path: &str) -> String {
    let text = String::from_utf8(tree[path][72..].to_vec()).expect("text");
    let args = text.split("setenv bootargs \"").nth(1).and_then(|rest| rest.split('"').next());
    args.unwrap_or_else(|| panic!("{path}: {text}")).to_owned()
}

fn tree(lab: &Lab) -> BTreeMap<String, Vec<u8>> {
    lab.run(&["netboot", "out"]).exits(0);
    content(&lab.path("out"))
}

/// A card's files, by name, as mtools read them.
fn on_card(lab: &Lab, card: &str) -> Option<BTreeMap<String, Vec<u8>>> {
    let to = lab.path("on-card");
    fs::create_dir_all(&to).expect("own directory");
    let mut copy = tool("mcopy");
    copy.args(["-n", "-i", &format!("{}@@4M", lab.path(card).display()), "::*"]).arg(&to);
    run_where_installed(&mut copy)?;
    Some(content(&to))
}

#[test]
fn a_board_is_told_where_its_root_comes_from() {
    let name = image();
    let http = format!("ip=dhcp root=/dev/loop0 netroot=http://192.168.7.1:8080/images/{name} ro");
    let port = format!("ip=dhcp root=/dev/loop0 netroot=http://192.168.7.1/images/{name} ro");
    for (root, server, writes, told) in [
        ("transport = \"http-ram\"", "", "discard", format!("{http} overlay=tmpfs")),
        ("transport = \"http-ram\"", "http_port = 80\n", "discard", format!("{port} overlay=tmpfs")),
        (
            "keep = \"/dev/mmcblk1p2\"\ntransport = \"http-ram\"",
            "",
            "keep",
            format!("{http} overlay=/dev/mmcblk1p2"),
        ),
        (
            "transport = \"card\"",
            "",
            "discard",
            format!("root=/dev/loop0 netroot=/dev/mmcblk0p1:{name} ro overlay=tmpfs"),
        ),
        (
            "partition = \"/dev/mmcblk1p3\"\ntransport = \"card\"",
            "",
            "keep",
            format!("root=/dev/loop0 netroot=/dev/mmcblk1p3:{name} ro overlay=/dev/mmcblk0p2"),
        ),
    ] {
        let lab = lab(root);
        lab.write("lab.toml", lab.read("lab.toml").replace("[network]", &format!("{server}[network]")));
        lab.write("profiles/panda.toml", lab.read("profiles/panda.toml").replace("discard", writes));
        let tree = tree(&lab);
        for path in ["tftp/profiles/panda/boot.scr", &format!("tftp/boards/{OTHER}.scr")] {
            assert!(args(&tree, path).ends_with(&told), "{told}: {}", args(&tree, path));
        }
        // What no server is asked for, none has.
        let is_served = tree.contains_key(&format!("images/{name}"));
        assert_eq!(is_served, root.contains("http-ram"), "{:?}", tree.keys());
    }
}

/// Only what comes over NBD is an export; boot files and images have one port.
#[test]
fn the_servers_files_have_what_each_serves() {
    let lab = lab("transport = \"http-ram\"");
    lab.write(
        "lab.toml",
        lab.read("lab.toml").replace("[network]", "http_port = 8123\nroot = \"/srv/netboot\"\n[network]"),
    );
    let tree = tree(&lab);
    let text = |path: &str| String::from_utf8_lossy(&tree[path]).into_owned();
    assert!(text("server/nginx.conf").contains("listen 192.168.7.1:8123;"), "{}", text("server/nginx.conf"));
    assert!(!tree.contains_key("server/nbd-server.conf"));
}

#[test]
fn overlays_and_modules_come_the_same_way() {
    for (root, boot, words) in [
        (
            "transport = \"http-ram\"",
            "",
            "netroot.modules=MODULES netroot.overlay=http://192.168.7.1:8080/overlays/TAR",
        ),
        ("transport = \"card\"", "", "netroot.modules=MODULES netroot.overlay=192.168.7.1:overlays/TAR"),
        (
            "transport = \"card\"",
            "[card]\nboot = \"card\"\n",
            "netroot.modules=MODULES netroot.overlay=/dev/mmcblk0p1:TAR",
        ),
    ] {
        let lab = lab(root);
        lab.write("images/modules", squashfs("modules"));
        let hardware = format!("[hardware]\nmodules = \"images/modules\"\n{boot}");
        lab.write("profiles/panda.toml", lab.read("profiles/panda.toml") + &hardware);
        lab.write("overlays/board/panda-01/etc/motd", "of this board\n");
        let modules = format!("panda-modules-{}.squashfs", digits(&squashfs("modules")));
        let tree = tree(&lab);
        let mut overlays = tree.keys().filter_map(|path| path.strip_prefix("tftp/overlays/"));
        let tar = overlays.next().expect("an overlay").to_owned();
        let words = words.replace("MODULES", &modules).replace("TAR", &tar);
        let is_card = root.contains("card");
        if boot.is_empty() {
            let args = args(&tree, &format!("tftp/boards/{UUID}.scr"));
            assert!(args.ends_with(&words), "{words}: {args}");
            assert_eq!(tree.contains_key(&format!("images/{modules}")), !is_card);
        }
        if !is_card {
            continue;
        }
        lab.run(&["card", "panda-01", "-o", "card.img"]).exits(0);
        let Some(files) = on_card(&lab, "card.img") else { return };
        assert_eq!(files[&modules], squashfs("modules"));
        assert_eq!(files[&image()], squashfs("a root"));
        if !boot.is_empty() {
            assert!(args(&files, "boot.scr").ends_with(&words), "{words}: {}", args(&files, "boot.scr"));
            assert_eq!(files[&tar], tree[&format!("tftp/overlays/{tar}")]);
        }
    }
}

#[test]
fn what_does_not_go_with_a_transport_is_refused_with_its_line() {
    for (lines, line, what) in [
        ("transport = \"http-ram\"\nlost = \"wait\"", 9, "[root] lost does not go with"),
        ("transport = \"card\"\nlost = \"reboot\"", 9, "[root] lost does not go with"),
        ("transport = \"http-ram\"\npartition = \"/dev/mmcblk0p1\"", 9, "[root] partition is where"),
        ("transport = \"card\"\npartition = \"mmcblk0p1\"", 9, "\"mmcblk0p1\" is no partition"),
        ("transport = \"nbd\"\nkeep = \"/dev/x;reset\"", 9, "is no partition, like /dev/mmcblk0p2"),
        (
            "transport = \"card\"\nkeep = \"/dev/mmcblk0p1\"\nwrites = \"keep\"",
            9,
            "[root] /dev/mmcblk0p1 has the image",
        ),
        (
            "transport = \"card\"\nwrites = \"keep\"\npartition = \"/dev/mmcblk0p2\"",
            10,
            "[root] /dev/mmcblk0p2 has the image",
        ),
        ("transport = \"nfs-file\"\n[hardware]\nmodules = \"images/m\"", 9, "[hardware] is laid over a root"),
        (
            "transport = \"nfs-file\"\n[build]\narch = \"armhf\"",
            8,
            "the initramfs of `identity-lab root build` has no NFS",
        ),
        ("transport = \"http-ram\"\nwrites = \"server\"", 9, "goes with transport = \"nbd\" alone"),
    ] {
        let lab = lab(lines);
        let profile = lab.read("profiles/panda.toml").replace("writes = \"discard\"\n", "");
        lab.write("profiles/panda.toml", profile);
        let answer = lab.run(&["netboot", "out"]).exits(4);
        answer.says(&[&format!("profiles/panda.toml:{line}: "), what]);
        assert!(!lab.path("out").exists());
    }
}

/// A root of 70 MiB, which no card had before.
#[test]
fn a_card_with_a_root_is_as_large_as_it_needs_and_whole() {
    let lab = lab("transport = \"card\"");
    let mut root = squashfs("a large root");
    root.resize(70 << 20, 0x5a);
    lab.write("images/panda.squashfs", &root);
    let made = lab.run(&["card", "panda-01", "-o", "card.img", "--format", "json"]).exits(0).json();
    assert_eq!(made["bytes"], 128 << 20);
    assert_eq!(fs::metadata(lab.path("card.img")).expect("the image").len(), 128 << 20);
    if let Some(files) = on_card(&lab, "card.img") {
        assert!(files[&format!("panda-{}.squashfs", digits(&root))] == root);
    }
    is_sound(&lab, "card.img", &[("fsck.vfat", 4, 128)]);
    // As much again for what the board writes.
    lab.write("profiles/panda.toml", lab.read("profiles/panda.toml").replace("discard", "keep"));
    let made = lab.run(&["card", "panda-01", "-o", "keep.img", "--format", "json"]).exits(0).json();
    assert_eq!((&made["bytes"], &made["keep_bytes"]), (&(256 << 20).into(), &(128 << 20).into()));
    is_sound(&lab, "keep.img", &[("fsck.vfat", 4, 128), ("fsck.ext4", 128, 256)]);
}

/// Parts of an image, from and to a MiB, by the program that judges them.
fn is_sound(lab: &Lab, image: &str, parts: &[(&str, usize, usize)]) {
    let bytes = fs::read(lab.path(image)).expect("the image");
    for (fsck, from, to) in parts {
        lab.write("part", &bytes[from << 20..to << 20]);
        run_where_installed(tool(fsck).arg("-n").arg(lab.path("part")));
    }
}

/// Others may not read it, and TFTP would give it to them; whoever has the card has it.
#[test]
fn a_secret_lies_on_the_card_and_on_no_server() {
    use std::os::unix::fs::PermissionsExt;
    let lab = lab("transport = \"card\"");
    lab.write("profiles/panda.toml", lab.read("profiles/panda.toml") + "[card]\nboot = \"card\"\n");
    lab.write("overlays/board/panda-01/etc/secret", "42");
    let secret = lab.path("overlays/board/panda-01/etc/secret");
    fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).expect("own file");
    lab.run(&["netboot", "out"]).exits(6).says(&["etc/secret may not be read by others"]);
    lab.run(&["card", "panda-01", "-o", "card.img"]).exits(0);
    let Some(files) = on_card(&lab, "card.img") else { return };
    assert!(files.keys().any(|name| name.ends_with("-panda-01.tar")), "{:?}", files.keys());
}

/// The tree has a name that means something to nginx and a shell; its parts are where `server/nginx.conf` has them.
#[test]
fn a_board_gets_its_image_over_http() {
    if !can_run() || !has_nginx() {
        return;
    }
    let lab = lab("transport = \"http-ram\"");
    lab.write("lab.toml", lab.read("lab.toml") + "interface = \"server\"\n");
    lab.write("overlays/common/etc/motd", "of all boards\n");
    lab.run(&["netboot", "a tree; {of \"mine\"}"]).exits(0);
    let name = image();
    let answer = inside(
        &lab,
        &format!(
            "$lab serve 'a tree; {{of \"mine\"}}' >log 2>&1 & pid=$!
            ready 'HTTP by nginx on 192.168.7.1:8080'
            i=0; until busybox wget -q -O got http://192.168.7.1:8080/images/{name}; do i=$((i+1)); [ $i -lt 50 ] || break; sleep 0.1; done
            busybox wget -q -O boot.scr http://192.168.7.1:8080/boot.scr
            head -c 5000 got >part; busybox wget -q -c -O part http://192.168.7.1:8080/images/{name}
            overlay=$(ls a*/tftp/overlays); busybox wget -q -O tar http://192.168.7.1:8080/overlays/$overlay
            grep -c ':2A3A ' /proc/net/tcp || true
            kill -TERM $pid; wait $pid; echo ended $?
            cmp tar a*/tftp/overlays/$overlay && echo same overlay; cat log"
        ),
    );
    let answer = answer.shows(&["ended 0", "same overlay", "nginx   | ", &format!("GET /images/{name}")]);
    assert!(answer.stdout.starts_with("0\n"), "no NBD: {}", answer.stdout);
    for got in ["got", "part"] {
        assert!(
            fs::read(lab.path(got)).is_ok_and(|got| got == squashfs("a root")),
            "{got}: {}",
            answer.stdout
        );
    }
    let tree = content(&lab.path("a tree; {of \"mine\"}"));
    assert!(fs::read(lab.path("boot.scr")).is_ok_and(|got| got == tree["tftp/boot.scr"]));
    assert!(!answer.stdout.contains("nbdkit"), "{}", answer.stdout);
    lab.run(&["netboot", "a $tree"]).exits(0);
    inside(&lab, "$lab serve 'a $tree'")
        .exits(6)
        .says(&["nginx serves nothing from ", "`$` begins a variable"]);
}

fn has_nginx() -> bool {
    let nginx = tool("nginx").arg("-v").stderr(Stdio::null()).status();
    let has = nginx.is_ok_and(|status| status.success());
    if !has {
        skipped("nginx is not installed");
    }
    has
}

/// Boards with their root on the card need neither; those of an earlier tree still get theirs.
#[test]
fn only_servers_that_a_board_needs_are_started() {
    if !can_run() {
        return;
    }
    let lab = lab("transport = \"card\"");
    lab.write("lab.toml", lab.read("lab.toml") + "interface = \"server\"\n");
    lab.run(&["netboot", "out"]).exits(0);
    let serve = "$lab serve out >log 2>&1 & pid=$!; ready serving; kill -TERM $pid; wait $pid; echo ended $?; cat log";
    let answer = inside(&lab, serve).shows(&["ended 0", "DHCP and TFTP by dnsmasq; Ctrl-C ends it"]);
    assert!(!answer.stdout.contains("nbdkit") && !answer.stdout.contains("nginx"), "{}", answer.stdout);
    let card = lab.read("profiles/panda.toml");
    lab.write("profiles/panda.toml", card.replace("\"card\"", "\"nbd\""));
    lab.run(&["netboot", "out"]).exits(0);
    lab.write("profiles/panda.toml", &card);
    lab.run(&["netboot", "out"]).exits(0);
    inside(&lab, serve).shows(&["ended 0", "NBD by nbdkit on 192.168.7.1:10810; Ctrl-C ends it"]);
}

#[test]
fn a_port_of_http_that_is_taken_and_a_program_that_is_missing_are_named() {
    if !can_run() || !has_nginx() {
        return;
    }
    let lab = lab("transport = \"http-ram\"");
    lab.write("lab.toml", lab.read("lab.toml") + "interface = \"server\"\n");
    lab.run(&["netboot", "out"]).exits(0);
    let taken = "busybox nc -l -p 8080 >/dev/null & until grep -q ':1F90 ' /proc/net/tcp*; do sleep 0.1; done; timeout 20 $lab serve out";
    inside(&lab, taken).exits(6).says(&["HTTP on 192.168.7.1:8080: address already in use", "http_port"]);
    // A system without nginx, but for what else is needed.
    let hidden = "mkdir hidden; for dir in /usr/sbin /sbin; do mount --bind hidden $dir; done; mkdir bin; cp $dnsmasq bin; \
                  PATH=$PWD/bin:/usr/bin:/bin; $lab serve out";
    let dnsmasq = "dnsmasq=$PWD/dnsmasq; cp \"$(PATH=$PATH:/usr/sbin command -v dnsmasq)\" $dnsmasq; ";
    let mut unshare = tool("unshare");
    unshare.args([
        "-Urnmp",
        "--fork",
        "--mount-proc",
        "sh",
        "-c",
        &format!("{}{dnsmasq}{hidden}", crate::serve::NETWORK),
    ]);
    unshare.env("lab", identity_tests::lab::program()).current_dir(lab.dir.path()).stdin(Stdio::null());
    Answer::of(&mut unshare).exits(6).says(&["nginx cannot be started: ", "apt install nginx-light"]);
}

/// The initramfs' own functions under busybox, as there, with a real server: it goes on where it was cut off, takes nothing
/// else than what the name says, and says what it does.
#[test]
fn an_image_is_fetched_in_parts_and_only_what_its_name_says() {
    if !can_run() {
        return;
    }
    let lab = Lab::nothing();
    let image: Vec<u8> =
        (0..3_000_000_u32).flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let name = format!("panda-{}.squashfs", digits(&image));
    lab.write(&format!("http/{name}"), &image);
    lab.write("http/panda-000000000000.squashfs", &image);
    lab.write("functions", FUNCTIONS);
    let fetch = |name: &str, before: &str| {
        let script = format!(
            "cd http; busybox httpd -f -p 127.0.0.1:8080 & server=$!; cd ..; sleep 0.3; mkdir -p memory
            cat >run <<'END'
            . ./functions; place=memory pause=0 tries=3; say() {{ echo \"$1\"; }}; panic() {{ echo \"panic: $1\"; exit 1; }}
            mount() {{ :; }}; busybox() {{ case $1 in reboot) echo restarted; exit 9 ;; *) command busybox \"$@\" ;; esac; }}
            {before}
            fetch http://127.0.0.1:8080/{name}; echo done
END
            busybox sh run; kill $server"
        );
        inside(&lab, &script)
    };
    let answer = fetch(&name, "");
    answer.shows(&[&format!("{name}: fetching 12 MiB into memory"), &format!("{name} is in memory"), "done"]);
    assert!(fs::read(lab.path(&format!("memory/{name}"))).is_ok_and(|got| got == image));

    // Cut off, and the rest of something else: that is taken once more, from its start.
    lab.write(&format!("memory/{name}"), &image[..5_000_001]);
    fetch(&name, "").shows(&["done"]);
    assert!(fs::read(lab.path(&format!("memory/{name}"))).is_ok_and(|got| got == image));
    lab.write(&format!("memory/{name}"), vec![1; 5_000_001]);
    let answer =
        fetch(&name, "").shows(&[&format!("{name} is not what its name says"), "trying again", "done"]);
    assert_eq!(answer.stdout.matches("trying again").count(), 1, "{}", answer.stdout);

    let wrong = "panda-000000000000.squashfs";
    let sum: String = Sha256::digest(&image).iter().map(|byte| format!("{byte:02x}")).collect();
    let answer = fetch(wrong, "");
    let answer = answer.shows(&[
        &format!("{wrong} is not what its name says: its SHA-256 is {sum}"),
        "the board restarts",
        "restarted",
    ]);
    assert!(!answer.stdout.contains("done") && !lab.path(&format!("memory/{wrong}")).exists());
    let answer = fetch("panda-111111111111.squashfs", "").shows(&["404 Not Found", "restarted"]);
    assert!(!answer.stdout.contains("done"));
    let answer = fetch(&name, "system=9999999")
        .shows(&["panic: netroot: http://127.0.0.1:8080/", "has 12 MiB and a system needs 9999999"]);
    assert!(!answer.stdout.contains("done"));
}
