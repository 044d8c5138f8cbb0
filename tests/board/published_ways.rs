// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways in which an image that knows nothing of us is started, and what each one brings it: a kernel with busybox, without
//! systemd. `published.rs` has whole systems.

use std::fs;
use std::process::Command;

use identity_tests::bench::{Bench, mac_of, text};
use identity_tests::board::{Board, Model, artifact};
use identity_tests::capture::{dhcp_requests, mac};
use identity_tests::linux::{FACTORY_MAC, Report};
use serde_json::Value;

/// Where the parts of Linux go in the board's memory.
const KERNEL: &str = "62000000";
const TREE: &str = "63f00000";
const INITRAMFS: &str = "64000000";
/// What the image's own line has.
const ARGUMENTS: &str = "console=ttyAMA0 quiet";

/// A card with an image that somebody has published, and what it says of a board.
struct Ways {
    bench: Bench,
    identity: Value,
}

impl Ways {
    fn new(bench: Bench) -> Self {
        let identity = bench.stamp(&["--hostname", "panda-3", "--set", "rack=b4", "--serial", "S-17"]);
        let ways = Self { bench, identity };
        let linux = artifact("IDENTITY_TEST_LINUX");
        for (from, name) in [
            (linux.join("zImage"), "kernel"),
            (linux.join("vexpress-v2p-ca9.dtb"), "tree"),
            (artifact("IDENTITY_TEST_INITRAMFS_PUBLISHED"), "initrd"),
        ] {
            fs::copy(from, ways.bench.path(name)).expect("room");
        }
        ways
    }

    /// A file of the published image, in the card's file system.
    fn publish(&self, name: &str) {
        self.bench.put_file(&self.bench.path(name), name);
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.bench.path(name), text).expect("own directory");
    }

    /// Starts it by a command of U-Boot's, up to its end.
    fn start(&self, prepare: &[&str], command: &str) -> Report {
        let (mut board, _) = self.bench.boot();
        for line in prepare {
            board.run(line);
        }
        board.send(&format!("{command}\n"));
        self.report(board)
    }

    fn report(&self, board: Board) -> Report {
        Report::of(board, &self.bench.path("frames0.pcap"))
    }

    fn word(&self, report: &Report, key: &str) -> Option<String> {
        let start = format!("{key}=");
        report.value("arguments").split(' ').find_map(|word| word.strip_prefix(&start)).map(str::to_owned)
    }

    /// What every way with a device tree brings.
    #[track_caller]
    fn has_all(&self, report: &Report) {
        self.has_address(report);
        self.has_words(report);
        self.has_node(report);
    }

    /// `/chosen/identity`.
    #[track_caller]
    fn has_node(&self, report: &Report) {
        for (name, pointer) in
            [("state", "/state"), ("uuid", "/uuid"), ("profile", "/profile"), ("hostname", "/hostname")]
        {
            assert_eq!(report.value(&format!("chosen-{name}")), text(&self.identity, pointer), "{name}");
        }
        assert_eq!(report.value("chosen-variables"), "rack=b4");
    }

    /// The card's address, in the system and on the wire; busybox makes its client identifier of it.
    #[track_caller]
    fn has_address(&self, report: &Report) {
        let address = mac_of(&self.identity);
        assert_eq!(report.value("address"), address);
        report.is_on_the_wire_with(address);
        let requests = dhcp_requests(&self.bench.path("frames0.pcap"));
        let request = requests.last().expect("a request");
        assert_eq!(request.called().client, Some(format!("01{}", mac(&request.source).replace(':', ""))));
    }

    #[track_caller]
    fn has_words(&self, report: &Report) {
        assert!(report.value("arguments").starts_with(ARGUMENTS), "{}", report.value("arguments"));
        for (key, pointer) in [("systemd.machine_id", "/machine_id"), ("systemd.hostname", "/hostname")] {
            assert_eq!(self.word(report, key).as_deref(), Some(text(&self.identity, pointer)), "{key}");
        }
    }
}

/// `mkimage`, of u-boot-tools.
fn mkimage(ways: &Ways, arguments: &[&str]) {
    let output = Command::new("mkimage").args(arguments).current_dir(ways.bench.image.dir()).output();
    let output = output.expect("mkimage, of u-boot-tools");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// As most boards do it: `boot.scr` on the card.
#[test]
fn by_script_an_image_gets_all_that_a_device_tree_holds() {
    let ways = Ways::new(Bench::new("2025.01", Model::Vexpress));
    let script = format!(
        "load mmc 0:1 {KERNEL} kernel\nload mmc 0:1 {TREE} tree\nload mmc 0:1 {INITRAMFS} initrd\n\
         setenv bootargs {}\nbootz {KERNEL} {INITRAMFS}:${{filesize}} {TREE}\n",
        ARGUMENTS
    );
    ways.write("boot.cmd", &script);
    mkimage(&ways, &["-A", "arm", "-T", "script", "-d", "boot.cmd", "boot.scr"]);
    for name in ["kernel", "tree", "initrd", "boot.scr"] {
        ways.publish(name);
    }
    let report = ways.start(&[], "load mmc 0:1 60200000 boot.scr; source 60200000");
    ways.has_all(&report);
    // Without systemd the words are but words.
    assert_eq!(report.value("hostname"), "(none)");
}

#[test]
fn by_extlinux_an_image_gets_all_that_a_device_tree_holds() {
    let ways = Ways::new(Bench::new("2025.01", Model::Vexpress));
    let entry = "label linux\n\tkernel /kernel\n\tinitrd /initrd\n\tfdt /tree\n";
    ways.write("extlinux.conf", &format!("default linux\n{entry}\tappend {}\n", ARGUMENTS));
    for name in ["kernel", "tree", "initrd", "extlinux.conf"] {
        ways.publish(name);
    }
    let addresses =
        format!("setenv kernel_addr_r {KERNEL}; setenv fdt_addr_r {TREE}; setenv ramdisk_addr_r {INITRAMFS}");
    let report = ways.start(&[&addresses], "sysboot mmc 0:1 any 60200000 /extlinux.conf");
    ways.has_all(&report);
}

/// One file with kernel, device tree and initramfs.
#[test]
fn by_fit_an_image_gets_all_that_a_device_tree_holds() {
    let ways =
        Ways::new(Bench::new("2025.01", Model::Vexpress).with_build(artifact("IDENTITY_TEST_UBOOT_WAYS")));
    let part = |name: &str, kind: &str, more: &str| {
        format!(
            "{name} {{ data = /incbin/(\"{name}\"); type = \"{kind}\"; arch = \"arm\"; os = \"linux\";\n\
             compression = \"none\"; {more} hash-1 {{ algo = \"sha1\"; }}; }};\n"
        )
    };
    let source = format!(
        "/dts-v1/;\n/ {{\ndescription = \"published\"; #address-cells = <1>;\nimages {{\n{}{}{}}};\n\
         configurations {{ default = \"board\"; board {{ kernel = \"kernel\"; ramdisk = \"initrd\"; fdt = \"tree\"; }}; }};\n}};\n",
        part("kernel", "kernel", "load = <0x60008000>; entry = <0x60008000>;"),
        part("tree", "flat_dt", "load = <0x63f00000>;"),
        part("initrd", "ramdisk", "load = <0x64000000>;"),
    );
    ways.write("image.its", &source);
    mkimage(&ways, &["-f", "image.its", "image.itb"]);
    ways.publish("image.itb");
    let arguments = format!("setenv bootargs {}", ARGUMENTS);
    let report = ways.start(&[&arguments], "load mmc 0:1 68000000 image.itb; bootm 68000000");
    ways.has_all(&report);
}

/// A kernel that has its device tree in itself takes arguments, and nothing else, from U-Boot. This board's driver resets the
/// controller, and with it the address that U-Boot has set there.
#[test]
fn without_a_device_tree_an_image_gets_what_its_arguments_name() {
    let ways =
        Ways::new(Bench::new("2025.01", Model::Vexpress).with_build(artifact("IDENTITY_TEST_UBOOT_WAYS")));
    let mut kernel = fs::read(ways.bench.path("kernel")).expect("the kernel");
    kernel.extend(fs::read(ways.bench.path("tree")).expect("the device tree"));
    fs::write(ways.bench.path("kernel"), kernel).expect("room");
    ways.publish("kernel");
    ways.publish("initrd");
    let words = "profile=${identity_profile} name=${identity_hostname} uuid=${identity_uuid} rack=${identity_var_rack}";
    let arguments = format!("setenv bootargs \"{ARGUMENTS} {words}\"");
    let load = format!("load mmc 0:1 {KERNEL} kernel; load mmc 0:1 {INITRAMFS} initrd");
    let report = ways.start(&[&arguments, &load], &format!("bootz {KERNEL} {INITRAMFS}:${{filesize}}"));
    assert_eq!(report.value("address"), FACTORY_MAC);
    for (key, pointer) in
        [("profile", "/profile"), ("name", "/hostname"), ("uuid", "/uuid"), ("rack", "/variables/rack")]
    {
        assert_eq!(ways.word(&report, key).as_deref(), Some(text(&ways.identity, pointer)), "{key}");
    }
    assert_eq!(ways.word(&report, "systemd.machine_id"), None);
    assert_eq!(report.value("chosen-state"), "");
}
