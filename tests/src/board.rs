// SPDX-License-Identifier: MIT OR Apache-2.0
//! A board in QEMU: its card, its serial line, and the frames that it sends.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use pcap_file::pcap::PcapReader;

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

/// How to start a board.
#[derive(Debug)]
pub struct Machine<'a> {
    /// QEMU and its options for the machine and its U-Boot; card, network and serial line are added.
    pub command: Command,
    /// The card, a raw image.
    pub card: &'a Path,
    /// Directory that U-Boot can load from over TFTP.
    pub tftp: &'a Path,
    /// Where to capture what the board sends.
    pub capture: &'a Path,
}

impl<'a> Machine<'a> {
    /// Arm's Versatile Express with a Cortex-A9 and a PL181 SD host, booting the U-Boot of `build`.
    pub fn vexpress(build: &Path, card: &'a Path, tftp: &'a Path, capture: &'a Path) -> Self {
        let mut command = Command::new("qemu-system-arm");
        command.args(["-M", "vexpress-a9", "-m", "512", "-kernel"]).arg(build.join("u-boot"));
        command.arg("-drive").arg(format!("file={},if=sd,format=raw", card.display()));
        Self { command, card, tftp, capture }
    }

    /// The Orange Pi PC with an Allwinner H3: its boot ROM takes everything from the card.
    pub fn orangepi(card: &'a Path, tftp: &'a Path, capture: &'a Path) -> Self {
        let mut command = Command::new("qemu-system-arm");
        command.args(["-M", "orangepi-pc", "-drive"]);
        command.arg(format!("file={},if=sd,format=raw", card.display()));
        Self { command, card, tftp, capture }
    }

    /// Switches it on.
    pub fn start(mut self) -> Board {
        self.command
            .args(["-nographic", "-no-reboot", "-nic"])
            .arg(format!("user,id=net0,tftp={}", self.tftp.display()))
            .arg("-object")
            .arg(format!("filter-dump,id=dump0,netdev=net0,file={}", self.capture.display()))
            // Boards have sound; build machines do not, and QEMU would say so at length.
            .env("QEMU_AUDIO_DRV", "none")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = self.command.spawn().expect("QEMU starts; tests/run installs it");
        let mut stdout = child.stdout.take().expect("piped");
        let stdin = child.stdin.take().expect("piped");
        let (sender, serial) = channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = stdout.read(&mut chunk) {
                if sender.send(chunk[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Board { child, stdin, serial, seen: Vec::new(), from: 0 }
    }
}

/// A running board; switched off when dropped.
#[derive(Debug)]
pub struct Board {
    child: Child,
    stdin: ChildStdin,
    serial: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    from: usize,
}

impl Board {
    /// Waits for `text` on the serial line; returns what came since the last wait, up to and with it.
    ///
    /// # Panics
    /// With everything seen, if it does not come.
    pub fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
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

/// Hardware addresses in DHCP requests of a capture: (Ethernet source, `chaddr` of the request), RFC 2131 section 2.
///
/// # Panics
/// If the capture cannot be read.
pub fn dhcp_requests(capture: &Path) -> Vec<([u8; 6], [u8; 6])> {
    let file = File::open(capture).expect("QEMU made the capture");
    let mut reader = PcapReader::new(file).expect("a pcap file");
    let mut requests = Vec::new();
    // The last packet may still be on its way to the file.
    while let Some(Ok(packet)) = reader.next_packet() {
        requests.extend(dhcp_request(&packet.data));
    }
    requests
}

fn dhcp_request(frame: &[u8]) -> Option<([u8; 6], [u8; 6])> {
    const ETHERNET_LEN: usize = 14;
    const IPV4: &[u8] = &[0x08, 0x00];
    const UDP: u8 = 17;
    const SERVER_PORT: &[u8] = &[0, 67];
    let ip = frame.get(ETHERNET_LEN..)?;
    let udp = ip.get(usize::from(ip.first()? & 0xf) * 4..)?;
    let is_request = frame.get(12..14)? == IPV4 && *ip.get(9)? == UDP && udp.get(2..4)? == SERVER_PORT;
    let chaddr = udp.get(8 + 28..8 + 34)?;
    is_request.then_some((frame.get(6..12)?.try_into().ok()?, chaddr.try_into().ok()?))
}
