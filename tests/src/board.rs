// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kinds of boards, and one that runs: its serial line.

use std::fmt::Write as _;
use std::fs;
use std::io::{PipeWriter, Read, Write, pipe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};

/// How long anything on the board may take; QEMU without acceleration on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);
/// U-Boot's prompt.
const PROMPT: &str = "=> ";

/// What `tests/run` built for the board tests.
///
/// # Panics
/// With the way out, if it has not.
pub fn artifact(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    path.unwrap_or_else(|| panic!("{variable} is not set: run ./tests/run, which builds what this needs"))
}

/// A kind of board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Arm's Versatile Express with a Cortex-A9 and a PL181 SD host.
    Vexpress,
    /// The Orange Pi PC with an Allwinner H3: its boot ROM takes everything from the card.
    OrangePi,
    /// The Cubieboard with an Allwinner A10; QEMU starts U-Boot itself.
    Cubieboard,
    /// Xilinx's ZC706 with a Zynq-7000, likewise.
    Zynq,
    /// The Raspberry Pi 3 B, likewise; U-Boot has no driver for a network that QEMU has for it.
    RaspberryPi3,
    /// QEMU's AArch64 machine, its card behind an SDHCI controller on PCI.
    Arm64,
    /// QEMU's RISC-V machine, likewise; U-Boot is what it starts with.
    Riscv64,
    /// U-Boot as a Linux program; it has no network that could be watched.
    Sandbox,
}

impl Model {
    /// What U-Boot calls it: `<name>_defconfig`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vexpress => "vexpress_ca9x4",
            Self::OrangePi => "orangepi_pc",
            Self::Cubieboard => "Cubieboard",
            Self::Zynq => "xilinx_zynq_virt",
            Self::RaspberryPi3 => "rpi_3",
            Self::Arm64 => "qemu_arm64",
            Self::Riscv64 => "qemu-riscv64",
            Self::Sandbox => "sandbox",
        }
    }

    /// Whether what it sends can be seen.
    pub fn has_network(self) -> bool {
        !matches!(self, Self::Sandbox | Self::RaspberryPi3)
    }

    /// The network card to add for QEMU, of a machine that has none of its own.
    pub fn network_device(self) -> Option<&'static str> {
        matches!(self, Self::Arm64 | Self::Riscv64).then_some("e1000,romfile=")
    }

    /// The directory in which `tests/run` built a release of U-Boot for it.
    ///
    /// # Panics
    /// With the way out, if it has not.
    pub fn build(self, release: &str) -> PathBuf {
        let build = format!("{release}_{}", self.name()).to_uppercase().replace(['.', '-'], "_");
        artifact(&format!("IDENTITY_TEST_UBOOT_{build}"))
    }

    /// The machine with U-Boot and card, without network.
    pub fn machine(self, build: &Path, card: &Path) -> Command {
        let qemu = |architecture: &str, options: &[&str]| {
            let mut command = Command::new(format!("qemu-system-{architecture}"));
            command.args(["-nographic", "-no-reboot"]).args(options);
            // Boards have sound; build machines do not, and QEMU would say so at length.
            command.env("QEMU_AUDIO_DRV", "none");
            command
        };
        let sd = format!("file={},format=raw,if=sd", card.display());
        // As a first loader would, which these machines have no use for.
        let loaded =
            |address| format!("loader,file={},addr={address},cpu-num=0", build.join("u-boot.bin").display());
        let second_serial = ["-serial", "null", "-serial", "stdio", "-monitor", "none"];
        let pci = format!("id=card,file={},format=raw,if=none", card.display());
        let pci = ["-drive", &*pci, "-device", "sdhci-pci", "-device", "sd-card,drive=card"];
        let mut command = match self {
            Self::Vexpress => qemu("arm", &["-M", "vexpress-a9", "-m", "512", "-drive", &sd]),
            Self::OrangePi => qemu("arm", &["-M", "orangepi-pc", "-drive", &sd]),
            Self::Cubieboard => qemu("arm", &["-M", "cubieboard", "-m", "512", "-drive", &sd]),
            Self::Zynq => qemu("arm", &["-M", "xilinx-zynq-a9", "-m", "1G", "-drive", &sd]),
            Self::RaspberryPi3 => qemu("aarch64", &["-M", "raspi3b", "-drive", &sd]),
            Self::Arm64 => qemu("aarch64", &["-M", "virt", "-cpu", "cortex-a53", "-m", "1024"]),
            Self::Riscv64 => qemu("riscv64", &["-M", "virt"]),
            Self::Sandbox => Command::new(build.join("u-boot")),
        };
        match self {
            Self::Vexpress => command.arg("-kernel").arg(build.join("u-boot")),
            Self::OrangePi => &mut command,
            Self::Cubieboard => command.args(["-device", &loaded("0x4a000000")]),
            Self::Zynq => command.args(second_serial).args(["-device", &loaded("0x4000000")]),
            Self::RaspberryPi3 => command
                .args(second_serial)
                .arg("-kernel")
                .arg(build.join("u-boot.bin"))
                .arg("-dtb")
                .arg(build.join("arch/arm/dts/bcm2837-rpi-3-b.dtb")),
            Self::Arm64 | Self::Riscv64 => command.args(pci).arg("-bios").arg(build.join("u-boot.bin")),
            Self::Sandbox => {
                let dir = card.parent().expect("a card image is in a directory");
                command.arg("-d").arg(sandbox_tree(build, dir, &[card]))
            }
        };
        command
    }
}

/// Sandbox's device tree for tests in `dir`, with these images as its MMC devices in that order, and no others.
///
/// # Panics
/// Without device-tree-compiler.
pub fn sandbox_tree(build: &Path, dir: &Path, cards: &[&Path]) -> PathBuf {
    let (mut nodes, mut aliases) = (String::new(), String::new());
    // How many it has differs among releases.
    for own in 0..8 {
        let _ = writeln!(nodes, "mmc{own} {{ status = \"disabled\"; }};");
    }
    for (number, card) in cards.iter().enumerate() {
        let card = card.display();
        let _ = writeln!(nodes, "card-{number} {{ compatible = \"sandbox,mmc\"; filename = \"{card}\"; }};");
        let _ = writeln!(aliases, "mmc{number} = \"/card-{number}\";");
    }
    let overlay = format!(
        "/dts-v1/;\n/plugin/;\n\
         / {{ fragment@0 {{ target-path = \"/\"; __overlay__ {{\n{nodes}}}; }};\n\
         fragment@1 {{ target-path = \"/aliases\"; __overlay__ {{\n{aliases}}}; }}; }};\n"
    );
    let [source, compiled, tree] = ["cards.dtso", "cards.dtbo", "sandbox.dtb"].map(|name| dir.join(name));
    fs::write(&source, overlay).expect("own directory");
    let run = |command: &mut Command| {
        let output = command.output().expect("dtc and fdtoverlay, of device-tree-compiler");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(Command::new("dtc").args(["-q", "-I", "dts", "-O", "dtb", "-o"]).arg(&compiled).arg(source));
    let base = build.join("arch/sandbox/dts/test.dtb");
    run(Command::new("fdtoverlay").arg("-i").arg(base).arg("-o").arg(&tree).arg(compiled));
    tree
}

/// A running board; switched off when dropped.
#[derive(Debug)]
pub struct Board {
    child: Child,
    stdin: PipeWriter,
    serial: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    from: usize,
}

impl Board {
    /// Switches it on; its serial line is the command's standard input and output.
    pub fn start(mut command: Command) -> Self {
        let (input, stdin) = pipe().expect("a pipe");
        // U-Boot's sandbox looks for a key by reading.
        fcntl_setfl(&input, OFlags::NONBLOCK).expect("a pipe's flags");
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the board's program starts; tests/run installs or builds it");
        let mut stdout = child.stdout.take().expect("piped");
        let (sender, serial) = channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = stdout.read(&mut chunk) {
                if sender.send(chunk[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, stdin, serial, seen: Vec::new(), from: 0 }
    }

    /// Waits for `text` on the serial line; returns what came since the last wait, up to and with it.
    ///
    /// # Panics
    /// With everything seen, if it does not come.
    pub fn expect(&mut self, text: &str) -> String {
        self.expect_within(PATIENCE, text)
    }

    /// The same, for what takes longer than anything else.
    ///
    /// # Panics
    /// With everything seen, if it does not come.
    pub fn expect_within(&mut self, patience: Duration, text: &str) -> String {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(at) = find(&self.seen[self.from..], text.as_bytes()) {
                let end = self.from + at + text.len();
                let found = String::from_utf8_lossy(&self.seen[self.from..end]).replace('\r', "");
                self.from = end;
                return found;
            }
            match self.serial.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(chunk) => self.seen.extend(chunk),
                Err(end @ (RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)) => {
                    panic!("{text:?} did not come ({end}); the board said:\n{}", self.everything())
                }
            }
        }
    }

    /// Waits until the board has switched itself off: then all that it sent is in the capture.
    ///
    /// # Panics
    /// With everything seen, if it stays on.
    pub fn wait_for_power_off(&mut self) {
        self.wait_for_end(PATIENCE);
    }

    /// The same, and for a reboot, with which QEMU ends as well.
    ///
    /// # Panics
    /// With everything seen, if it stays on.
    pub fn wait_for_end(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.child.try_wait().expect("QEMU is ours").is_none() {
            assert!(Instant::now() < deadline, "the board stays on; it said:\n{}", self.everything());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Everything that has come so far.
    pub fn everything(&self) -> String {
        String::from_utf8_lossy(&self.seen).replace('\r', "")
    }

    /// Types `text` without a newline.
    pub fn send(&mut self, text: &str) {
        self.stdin
            .write_all(text.as_bytes())
            .and_then(|()| self.stdin.flush())
            .expect("the board takes input");
    }

    /// Stops U-Boot's countdown; returns everything up to the prompt.
    pub fn stop_autoboot(&mut self) -> String {
        let mut said = self.expect("Hit any key to stop autoboot");
        self.send(" ");
        said += &self.expect(PROMPT);
        said
    }

    /// Runs a command at U-Boot's prompt; returns what it prints.
    pub fn run(&mut self, command: &str) -> String {
        self.send(&format!("{command}\n"));
        let said = self.expect(PROMPT);
        let body = said.strip_suffix(PROMPT).unwrap_or(&said);
        body.split_once('\n').map_or(body, |(_echo, output)| output).to_owned()
    }

    /// The value of a variable of U-Boot's environment; `None` if it is not defined.
    pub fn variable(&mut self, name: &str) -> Option<String> {
        let said = self.run(&format!("printenv {name}"));
        let start = format!("{name}=");
        said.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
