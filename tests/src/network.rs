// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network of its own with boards on it and a server, `tests/lib/lab-network`, that lasts as long as the value.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::board::Board;
use crate::cli::tool;
use crate::lab::program;
use crate::workspace;

/// The server's port for NBD, as `/proc/net/tcp` has it: 10810.
const NBD_PORT: &str = ":2A3A";
/// How long a server may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The network.
#[derive(Debug)]
pub struct Network {
    holder: Child,
}

impl Network {
    /// With interfaces for as many boards.
    ///
    /// # Panics
    /// With what is missing, if this machine gives none.
    pub fn new(boards: usize) -> Self {
        let mut command = Command::new(workspace().join("tests/lib/lab-network"));
        command.arg(boards.to_string()).args(["sh", "-c", "echo ready; exec sleep infinity"]);
        let mut holder = command.stdout(Stdio::piped()).spawn().expect("bash");
        let mut said = String::new();
        let stdout = holder.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut said).expect("text");
        assert_eq!(said, "ready\n", "the network; what is missing is said above");
        Self { holder }
    }

    /// A command in it.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = tool("nsenter");
        command.arg(format!("--target={}", self.holder.id()));
        command.args(["--user", "--net", "--preserve-credentials"]).arg(program.as_ref());
        command
    }

    /// A board's machine in it, on the interface of this number from 1, with its own network card or a given one; what the
    /// board sends goes to `capture`.
    pub fn start(&self, machine: &Command, number: usize, card: Option<&str>, capture: &Path) -> Board {
        let mut command = self.command(machine.get_program());
        command.args(machine.get_args()).env("QEMU_AUDIO_DRV", "none");
        let tap = format!("tap,id=net0,ifname=board{number},script=no,downscript=no");
        match card {
            Some(card) => command.args(["-netdev", &tap, "-device", &format!("{card},netdev=net0")]),
            None => command.args(["-nic", &tap]),
        };
        // Without "rx", what other boards send to everybody is in it too.
        let dump = format!("filter-dump,id=dump0,netdev=net0,queue=rx,file={}", capture.display());
        command.arg("-object").arg(dump);
        Board::start(command)
    }

    /// How many clients the NBD server has.
    ///
    /// # Panics
    /// If the list of connections cannot be read.
    pub fn clients(&self) -> usize {
        let list = self.command("cat").arg("/proc/net/tcp").output().expect("nsenter, of util-linux");
        let list = String::from_utf8(list.stdout).expect("text");
        let is_client = |line: &&str| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.len() > 3 && words[1].ends_with(NBD_PORT) && words[3] == "01"
        };
        list.lines().filter(is_client).count()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// `identity-lab serve` in a network.
#[derive(Debug)]
pub struct Serve {
    child: Child,
    log: PathBuf,
}

impl Serve {
    /// Serves the tree `out` of a lab, and waits until it does.
    ///
    /// # Panics
    /// With what it said, if it does not.
    pub fn start(network: &Network, lab: &Path) -> Self {
        let log = lab.join("serve.log");
        let file = File::create(&log).expect("own directory");
        let mut command = network.command(program());
        command.arg("--lab").arg(lab).arg("serve").arg(lab.join("out"));
        command.env("XDG_STATE_HOME", lab.join("state")).stdin(Stdio::null());
        command.stdout(file.try_clone().expect("a file")).stderr(file);
        let mut serve = Self { child: command.spawn().expect("nsenter, of util-linux"), log };
        let deadline = Instant::now() + PATIENCE;
        while !serve.said().contains("serving ") {
            let is_there = matches!(serve.child.try_wait(), Ok(None)) && Instant::now() < deadline;
            assert!(is_there, "{}", serve.said());
            thread::sleep(Duration::from_millis(50));
        }
        serve
    }

    /// All that it has said.
    ///
    /// # Panics
    /// If its log is gone.
    pub fn said(&self) -> String {
        let mut said = Vec::new();
        let file = File::open(&self.log).and_then(|mut file| file.read_to_end(&mut said));
        file.expect("its log");
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// If it does not end well.
    pub fn stop(mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, Signal::TERM).expect("it is ours");
        let status = self.child.wait().expect("it is ours");
        assert!(status.success(), "{status}: {}", self.said());
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Not killed: it has servers to end.
            if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::TERM);
            }
            let _ = self.child.wait();
        }
    }
}

/// A copy of a lab, its root images as links.
///
/// # Panics
/// If there is no room.
pub fn copy_lab(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a lab") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_lab(&path, &target);
        } else {
            let is_root = path.extension().is_some_and(|kind| kind == "squashfs");
            if !is_root || fs::hard_link(&path, &target).is_err() {
                fs::copy(&path, &target).expect("room");
            }
        }
    }
}
