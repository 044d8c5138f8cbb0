// SPDX-License-Identifier: MIT OR Apache-2.0
//! Block devices: loop devices over images, what is mounted from them, and what this machine lets a test do.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cli::{Identity, Outcome, tool};

pub use identity_fixtures::skipped;

/// Whether this process may do everything.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Why this process cannot attach loop devices, or mount in a namespace of its own. A root in a container often can neither.
fn lacks() -> Option<&'static str> {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    let tried = |command: &mut Command| {
        let output = command.output().expect("losetup and unshare, of util-linux");
        let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() { Ok(output.stdout) } else { Err(errors) }
    };
    let attached = || {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.as_file().set_len(1 << 20).expect("room");
        let node = tried(tool("losetup").args(["--find", "--show"]).arg(file.path()))?;
        let node = String::from_utf8(node).expect("a path");
        tried(tool("losetup").args(["--detach", node.trim()])).map(drop)
    };
    let mounted = || {
        let words = ["--mount", "--uts", "sh", "-c", "mount -t tmpfs none /mnt"];
        tried(tool("unshare").args(words)).map(drop)
    };
    let reason = REASON.get_or_init(|| {
        if !is_root() {
            return Some("it needs root".to_owned());
        }
        let no_loop =
            attached().err().map(|errors| format!("this machine attaches no loop device: {errors}"));
        no_loop.or_else(|| mounted().err().map(|errors| format!("this machine mounts nothing: {errors}")))
    });
    reason.as_deref()
}

/// Whether this process may attach loop devices, and mount in a namespace of its own; if not, the test is skipped.
#[track_caller]
pub fn is_privileged() -> bool {
    let reason = lacks();
    if let Some(reason) = reason {
        skipped(reason);
    }
    reason.is_none()
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
    /// Attaches `file` with its partitions; `None` where no device can be attached, and the test is skipped.
    ///
    /// # Panics
    /// If others can be attached, and this cannot.
    #[track_caller]
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
    #[track_caller]
    pub fn attach_whole(file: &Path, options: &[&str]) -> Option<Self> {
        if !is_privileged() {
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
    device: PathBuf,
    point: PathBuf,
}

impl Mounted {
    /// Mounts `device` at `point`; `None` if this kernel cannot.
    pub fn at(device: &Path, point: &Path) -> Option<Self> {
        std::fs::create_dir_all(point).expect("own directory");
        let output = run("mount", &[&device, &point]).expect("mount, of util-linux");
        output.status.success().then(|| Self { device: device.to_owned(), point: point.to_owned() })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = run("umount", &[&self.point]);
        nobody_mounts(&self.device);
    }
}

/// Waits until no process sees a file system of `device` mounted: a namespace that another test made meanwhile has a copy of
/// the mount, and keeps it until it ends.
pub fn nobody_mounts(device: &Path) {
    let Ok(metadata) = fs::metadata(device) else { return };
    let number = metadata.rdev();
    let word = format!(" {}:{} ", rustix::fs::major(number), rustix::fs::minor(number));
    let is_mounted = |process: io::Result<fs::DirEntry>| {
        let mounts = process.and_then(|process| fs::read_to_string(process.path().join("mountinfo")));
        mounts.is_ok_and(|mounts| mounts.contains(&word))
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::read_dir("/proc").is_ok_and(|mut processes| processes.any(is_mounted))
        && Instant::now() < deadline
    {
        sleep(Duration::from_millis(50));
    }
}
