// SPDX-License-Identifier: MIT OR Apache-2.0
//! Roots that come over HTTP into memory, or lie on the card, with kernel and initramfs of `identity-lab root build`: an
//! initramfs-tools that nobody has simulated. The root itself is small, so that a board is up in seconds; what Debian does above it
//! is not another thing than above a root over NBD (`netboot_root.rs`).

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use identity_tests::board::{Board, Model, artifact};
use identity_tests::lab::program;
use identity_tests::login::ask;
use identity_tests::network::{Network, Serve, copy_lab};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// What a board says within this time, or never.
const PATIENCE: Duration = Duration::from_secs(300);

const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc 2>/dev/null
dmesg -n 4
echo re''ady
PS1= exec sh
";

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A lab with one board, `panda-01`.
struct Lab {
    dir: TempDir,
}

impl Lab {
    /// The lab of `tests/lib/netboot-lab`, whose profile has this in place of its root, and more at its end.
    fn new(fdt: &str, args: &str, root: &str, more: &str) -> Self {
        let lab = Self { dir: TempDir::new().expect("a temporary directory") };
        copy_lab(&artifact("IDENTITY_TEST_NETBOOT_LAB"), lab.dir.path());
        let profile = fs::read_to_string(lab.path("profiles/panda.toml")).expect("the profile");
        let of_build = |key: &str| {
            let line = profile.lines().find(|line| line.starts_with(&format!("{key} = ")));
            line.unwrap_or_else(|| panic!("{key}: {profile}")).to_owned()
        };
        fs::copy(artifact("IDENTITY_TEST_LINUX").join(fdt), lab.path("board.dtb")).expect("a device tree");
        lab.squash("root", &[("sbin/init", INIT.as_bytes())]);
        lab.squash("modules", &[("usr/lib/modules/of-the-pack", b"modules\n")]);
        fs::create_dir_all(lab.path("overlays/board/panda-01/etc")).expect("own directory");
        fs::write(lab.path("overlays/board/panda-01/etc/motd"), "of this board\n").expect("own directory");
        let profile = format!(
            "[boot]\n{}\n{}\nfdt = \"board.dtb\"\nargs = [{args}, \"quiet\"]\n[root]\nimage = \"root.squashfs\"\n{root}\n\
             [hardware]\nmodules = \"modules.squashfs\"\n{more}",
            of_build("kernel"),
            of_build("initrd")
        );
        fs::write(lab.path("profiles/panda.toml"), profile).expect("own directory");
        fs::remove_file(lab.path("profiles/installer.toml")).expect("the other profile");
        lab.run(&["add", "panda-01", "--profile", "panda"]);
        lab
    }

    /// An image of these files; the root has its directories and busybox, too.
    fn squash(&self, name: &str, files: &[(&str, &[u8])]) {
        let dir = self.path(name);
        fs::create_dir_all(dir.join("usr/lib/modules")).expect("own directory");
        if name == "root" {
            for below in ["bin", "dev", "etc", "proc", "root", "run", "sbin", "sys", "tmp"] {
                fs::create_dir(dir.join(below)).expect("own directory");
            }
            fs::copy(artifact("IDENTITY_TEST_LINUX").join("busybox"), dir.join("bin/busybox"))
                .expect("busybox");
            symlink("busybox", dir.join("bin/sh")).expect("own directory");
        }
        for (path, bytes) in files {
            fs::write(dir.join(path), bytes).expect("own directory");
            fs::set_permissions(dir.join(path), fs::Permissions::from_mode(0o755)).expect("own file");
        }
        let mut squash = Command::new("mksquashfs");
        squash.arg(&dir).arg(self.path(&format!("{name}.squashfs"))).args([
            "-no-progress",
            "-quiet",
            "-all-root",
        ]);
        assert!(squash.stdout(Stdio::null()).status().expect("mksquashfs").success());
    }

    #[track_caller]
    fn run(&self, words: &[&str]) {
        let mut command = Command::new(program());
        let output = command.current_dir(self.dir.path()).args(words).stdin(Stdio::null()).output();
        let output = output.expect("it starts");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn image(&self) -> Vec<u8> {
        fs::read(self.path("root.squashfs")).expect("the image")
    }

    /// The name under which boards know the image.
    fn name(&self) -> String {
        format!("panda-{}.squashfs", &hash(&self.image())[..12])
    }
}

/// A board from this root, at its shell: layers in their places, the image as it is, nothing of an earlier boot.
fn is_up(board: &mut Board, lab: &Lab) {
    board.expect_within(PATIENCE, "ready\r\n");
    for (command, expected) in [
        ("awk '$2 == \"/\" { print $3 }' /proc/mounts | tail -n 1", "overlay"),
        ("cat /sys/block/loop0/ro /sys/block/loop1/ro | xargs", "1 1"),
        ("cat /etc/motd", "of this board"),
        ("cat /usr/lib/modules/of-the-pack", "modules"),
        ("sha256sum </dev/loop0", &*format!("{}  -", hash(&lab.image()))),
        ("grep -c ' /run/initramfs/netroot ' /proc/mounts", "1"),
        ("ls /root", ""),
        ("echo mine >/root/written; sync; cat /root/written", "mine"),
    ] {
        assert_eq!(ask(board, command), expected, "{command}");
    }
}

/// Another image has the name first: the board refuses it, and goes on when it has the right one. Then it needs no server.
#[test]
fn netboot_root_comes_over_http_into_memory() {
    let network = Network::new(1);
    let root = "transport = \"http-ram\"";
    let lab = Lab::new("vexpress-v2p-ca9.dtb", "\"console=ttyAMA0\"", root, "");
    let name = lab.name();
    lab.run(&["netboot", "out"]);
    lab.run(&["card", "panda-01", "-o", "card.img"]);
    let served = lab.path("out/images").join(&name);
    fs::remove_file(&served).expect("a link");
    let mut other = lab.image();
    other[4097] ^= 1;
    fs::write(&served, &other).expect("own directory");
    let start = || {
        let machine =
            Model::Vexpress.machine(&artifact("IDENTITY_TEST_UBOOT_NETBOOT"), &lab.path("card.img"));
        network.start(&machine, 1, None, &lab.path("frames.pcap"))
    };
    let serve = Serve::start(&network, lab.dir.path());
    let mut board = start();
    board.expect_within(PATIENCE, &format!("netroot: http://192.168.7.1:8080/images/{name}: fetching 1 MiB"));
    let said = board.expect_within(PATIENCE, "; trying again in 5 s");
    assert!(
        said.contains(&format!("{name} is not what its name says: its SHA-256 is {}", hash(&other))),
        "{said}"
    );
    fs::remove_file(&served).expect("own file");
    fs::hard_link(lab.path("root.squashfs"), &served).expect("own directory");
    board.expect_within(PATIENCE, &format!("netroot: {name} is in memory, and what its name says"));
    is_up(&mut board, &lab);
    serve.stop();
    assert_eq!(
        ask(&mut board, "echo 3 >/proc/sys/vm/drop_caches; sha256sum </dev/loop0"),
        format!("{}  -", hash(&lab.image()))
    );
    board.send("reboot -f\n");
    board.wait_for_end(PATIENCE);

    let _serve = Serve::start(&network, lab.dir.path());
    let mut board = start();
    is_up(&mut board, &lab);
    assert!(fs::read(&served).is_ok_and(|now| now == lab.image()));
}

/// From the boot ROM, with nothing but a card: no network at all. The image is damaged first, and then mended.
#[test]
fn netboot_root_lies_on_the_card() {
    let loader = Model::OrangePi.build("2025.01");
    let card = "[card]\nloader = \"u-boot.bin\"\nfamily = \"Allwinner\"\nboot = \"card\"\n";
    let root = "transport = \"card\"";
    let lab = Lab::new("sun8i-h3-orangepi-pc.dtb", "\"console=ttyS0,115200\"", root, card);
    fs::copy(loader.join("u-boot-sunxi-with-spl.bin"), lab.path("u-boot.bin")).expect("U-Boot");
    lab.run(&["card", "panda-01", "-o", "card.img"]);
    let image = lab.path("card.img");
    let before = hash(&fs::read(&image).expect("the card"));
    let name = lab.name();
    let start = || {
        let mut command = Model::OrangePi.machine(&loader, &image);
        command.args(["-nic", "none"]);
        Board::start(command)
    };
    // On a FAT that was just made, a file lies in one piece.
    let at = place_of(&image, &lab.image()[4096..8192]);
    let card = File::options().write(true).open(&image).expect("the card");
    card.write_all_at(b"damaged", at).expect("room");
    let mut board = start();
    board.expect_within(PATIENCE, &format!("netroot: {name}: reading all of it from /dev/mmcblk0p1"));
    let said = board.expect_within(PATIENCE, "; trying again in 5 s");
    assert!(said.contains(&format!("{name} is not what its name says")), "{said}");
    card.write_all_at(&lab.image()[4096..4103], at).expect("room");
    board.expect_within(PATIENCE, &format!("netroot: {name} is what its name says"));
    is_up(&mut board, &lab);
    // Its power is cut: it can restart only with a driver that an initramfs does not have.
    drop(board);
    assert_eq!(hash(&fs::read(&image).expect("the card")), before, "nobody has written to the card");

    let mut board = start();
    is_up(&mut board, &lab);
    // Its power is cut: it can restart only with a driver that an initramfs does not have.
    drop(board);
    assert_eq!(hash(&fs::read(&image).expect("the card")), before);
}

/// Where these bytes lie in a file.
fn place_of(file: &Path, part: &[u8]) -> u64 {
    let bytes = fs::read(file).expect("the card");
    let at = bytes.chunks(512).position(|sector| sector == &part[..512]).expect("it is there");
    assert!(bytes[at * 512..].starts_with(part));
    at as u64 * 512
}
