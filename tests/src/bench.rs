// SPDX-License-Identifier: MIT OR Apache-2.0
//! A board, its card, and what lies around it: the directory that it loads from over TFTP, and captures of what it sends.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::board::{Board, Model, artifact};
use crate::capture::{dhcp_requests, mac};
use crate::cli::tool;
use crate::image::Image;

/// Where Allwinner's boot ROM looks for a loader: 8 KiB.
const ALLWINNER_LOADER_LBA: u32 = 16;

/// U-Boot's command for what `Bench::load_linux` has loaded, at the end of a line: `$filesize` is the last file's.
pub const BOOT_LINUX: &str = "bootz 62000000 64000000:$filesize 63f00000";

/// A board and a card for it.
#[derive(Debug)]
pub struct Bench {
    /// The card.
    pub image: Image,
    model: Model,
    build: PathBuf,
    interfaces: usize,
}

impl Bench {
    /// With a release of U-Boot, and a blank card: an MBR and one FAT partition at 4 MiB, and in front of it the loader if
    /// this board starts from the card.
    pub fn new(release: &str, model: Model) -> Self {
        let build = model.build(release);
        let image = Image::absent();
        // For its partition table and file system only.
        image.run("stamp --create 64M --profile empty").exits(0);
        image.run("erase --force").exits(0);
        if model == Model::OrangePi {
            let loader = fs::read(build.join("u-boot-sunxi-with-spl.bin")).expect("SPL and U-Boot");
            image.put(ALLWINNER_LOADER_LBA, &loader);
        }
        let interfaces = usize::from(model.has_network());
        Self { image, model, build, interfaces }
    }

    /// With another build of U-Boot than the release's.
    pub fn with_build(self, build: PathBuf) -> Self {
        Self { build, ..self }
    }

    /// With as many Ethernet interfaces, each in a network of its own.
    pub fn with_interfaces(self, interfaces: usize) -> Self {
        Self { interfaces, ..self }
    }

    /// A file beside the card, which the board can load.
    pub fn path(&self, name: &str) -> PathBuf {
        self.image.dir().join(name)
    }

    /// Stamps the card, as profile `panda` unless it has an identity already.
    pub fn stamp(&self, options: &[&str]) -> Value {
        let is_new = self.image.copies().is_empty();
        let words = if is_new { "stamp --profile panda --format json" } else { "stamp --format json" };
        self.image.identity(words).args(options).run().exits(0).json()
    }

    /// Switches the board on.
    pub fn start(&self) -> Board {
        let mut command = self.model.machine(&self.build, self.image.path());
        command.current_dir(self.image.dir());
        for interface in 0..self.interfaces {
            let tftp = self.image.dir().display();
            let capture = self.capture(interface);
            let user = format!("user,id=net{interface},tftp={tftp}");
            match self.model.network_device() {
                Some(device) => {
                    command.args(["-netdev", &user, "-device", &format!("{device},netdev=net{interface}")])
                }
                None => command.args(["-nic", &user]),
            };
            let dump = format!("filter-dump,id=dump{interface},netdev=net{interface}");
            command.arg("-object").arg(format!("{dump},file={}", capture.display()));
        }
        Board::start(command)
    }

    /// From power-on to U-Boot's prompt; returns also what was said on the way.
    pub fn boot(&self) -> (Board, String) {
        let mut board = self.start();
        let said = board.stop_autoboot();
        (board, said)
    }

    /// [`put_file`] onto its card.
    pub fn put_file(&self, file: &Path, name: &str) {
        put_file(self.image.path(), file, name);
    }

    /// Puts Debian's kernel, its device tree, and an initramfs whose first process is `tests/board/init` onto the card's
    /// partition, and has U-Boot on `vexpress_ca9x4` load them from there. Not from the network: 2021.01's driver for this
    /// board's interface hears nothing that is sent to an address of the environment.
    pub fn load_linux(&self, board: &mut Board) {
        let linux = artifact("IDENTITY_TEST_LINUX");
        let files = [
            ("62000000", linux.join("zImage"), "zImage"),
            ("63f00000", linux.join("vexpress-v2p-ca9.dtb"), "tree"),
            ("64000000", artifact("IDENTITY_TEST_INITRAMFS"), "initramfs"),
        ];
        for (_, file, name) in &files {
            self.put_file(file, name);
        }
        for (address, _, name) in files {
            let said = board.run(&format!("fatload mmc 0:1 {address} {name}"));
            assert!(said.contains("bytes read"), "{said}");
        }
    }

    fn capture(&self, interface: usize) -> PathBuf {
        self.path(&format!("frames{interface}.pcap"))
    }

    /// Has U-Boot ask for an address, and returns the MAC address that is on an interface's wire.
    pub fn mac_on_the_wire(&self, board: &mut Board, interface: usize) -> String {
        board.run("setenv autoload no; dhcp");
        let requests = dhcp_requests(&self.capture(interface));
        let request = requests.first().expect("the board sent a DHCP request");
        assert_eq!(request.source, request.hardware, "frame and request name one address");
        mac(&request.source)
    }
}

/// A card's FAT partition at 4 MiB, as mtools want it.
pub fn fat_partition(card: &Path) -> String {
    format!("{}@@4M", card.display())
}

/// Puts a file onto a card's FAT partition, in place of one that is there.
pub fn put_file(card: &Path, file: &Path, name: &str) {
    let mut mcopy = tool("mcopy");
    mcopy.args(["-o", "-i", &fat_partition(card)]).arg(file).arg(format!("::{name}"));
    assert!(mcopy.status().expect("mtools").success(), "{mcopy:?}");
}

/// A text of what `--format json` printed.
pub fn text<'a>(identity: &'a Value, pointer: &str) -> &'a str {
    identity.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {identity}"))
}

/// The MAC address of `ethernet0`.
pub fn mac_of(identity: &Value) -> &str {
    text(identity, "/macs/0/address")
}

/// What the board has from the card, in its environment and from its command, is what the workstation has.
pub fn check_applied(board: &mut Board, image: &Image, state: &str) {
    let identity = image.run("read --format json").json();
    assert_eq!(board.variable("identity_state").as_deref(), Some(state));
    for assignment in image.run("read --format uboot").stdout.lines() {
        let (name, value) = assignment.split_once('=').expect("assignments");
        if name != "identity_state" {
            assert_eq!(board.variable(name).as_deref(), Some(value), "{name}");
        }
    }
    let read = board.run("identity read");
    for pointer in ["/uuid", "/profile", "/hostname", "/serial", "/macs/0/address", "/machine_id"] {
        let value = text(&identity, pointer);
        assert!(read.contains(value), "{value} is not in {read}");
    }
    assert!(read.contains(&format!("state       {state}\n")), "{read}");
}
