// SPDX-License-Identifier: MIT OR Apache-2.0
//! Block devices: loop devices over images, what is mounted from them, and what this machine lets a test do.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::cli::{Identity, Outcome, tool};

/// Says aloud, past the test harness, what is not tested here.
pub fn skipped(reason: &str) {
    let test = std::thread::current();
    let _ = writeln!(io::stderr(), "SKIPPED: {}: {reason}", test.name().unwrap_or("a test"));
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn run(program: &str, args: &[&dyn AsRef<std::ffi::OsStr>]) -> io::Result<Output> {
    let mut command = tool(program);
    for arg in args {
        command.arg(arg);
    }
    command.output()
}

/// A loop device, detached when dropped.
#[derive(Debug)]
pub struct Loop {
    device: PathBuf,
    has_partitions: bool,
}

impl Loop {
    /// Attaches `file` with its partitions; `None`, said aloud, where that is not possible.
    ///
    /// # Panics
    /// If root, on a machine with loop devices, cannot attach it.
    pub fn attach(file: &Path, options: &[&str]) -> Option<Self> {
        let mut device = Self::attach_whole(file, &[&["--partscan"], options].concat())?;
        device.has_partitions = true;
        // For kernels that read no partition tables themselves; others have done it already.
        let _ = run("partx", &[&"--update", &device.device]);
        Some(device)
    }

    /// The same without nodes for its partitions, in half of the time.
    ///
    /// # Panics
    /// Likewise.
    pub fn attach_whole(file: &Path, options: &[&str]) -> Option<Self> {
        if !is_root() {
            skipped("a loop device needs root");
            return None;
        }
        if !Path::new("/dev/loop-control").exists() {
            skipped("this machine has no loop devices");
            return None;
        }
        let mut losetup = tool("losetup");
        losetup.args(["--find", "--show"]).args(options).arg(file);
        let output = losetup.output().expect("losetup, of util-linux");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "losetup {options:?}: {errors}");
        let device: PathBuf = String::from_utf8(output.stdout).expect("a path").trim().into();
        Some(Self { device, has_partitions: false })
    }

    /// Its node.
    pub fn path(&self) -> &Path {
        &self.device
    }

    /// Its name as the kernel has it.
    pub fn name(&self) -> String {
        self.device.file_name().expect("a node").to_string_lossy().into_owned()
    }

    /// The node of a partition.
    pub fn partition(&self, number: u32) -> PathBuf {
        format!("{}p{number}", self.device.display()).into()
    }

    /// `identity WORDS... DEVICE`.
    pub fn identity(&self, words: impl AsRef<str>) -> Identity {
        Identity::new(words).arg(&self.device)
    }

    /// Runs `identity WORDS... DEVICE`.
    pub fn run(&self, words: impl AsRef<str>) -> Outcome {
        self.identity(words).run()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if self.has_partitions {
            let _ = run("partx", &[&"--delete", &self.device]);
        }
        let _ = run("losetup", &[&"--detach", &self.device]);
    }
}

/// A mounted file system, unmounted when dropped.
#[derive(Debug)]
pub struct Mounted {
    point: PathBuf,
}

impl Mounted {
    /// Mounts `device` at `point`; `None` if this kernel cannot.
    pub fn at(device: &Path, point: &Path) -> Option<Self> {
        std::fs::create_dir_all(point).expect("own directory");
        let output = run("mount", &[&device, &point]).expect("mount, of util-linux");
        output.status.success().then(|| Self { point: point.to_owned() })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = run("umount", &[&self.point]);
    }
}
