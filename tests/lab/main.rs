// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the command `identity-lab` promises, tried on the built program: one file per topic, one test per promise.

mod bad_input;
mod card;
mod check;
mod exports;
mod files;
mod history;
mod hostile;
mod import;
mod journal;
mod labels;
mod lists;
mod netboot;
mod page;
mod page_journal;
mod root;
mod serve;
mod servers;
mod stamp;
mod story;
mod strangers;
mod through_identity;
mod transports;

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use identity_tests::lab::program;
use serde_json::Value;
use tempfile::TempDir;

/// A UUID for boards that are looked at closely.
const UUID: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";
/// Another.
const OTHER: &str = "0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02";

/// What U-Boot takes for a kernel of 32-bit Arm, by its magic.
fn zimage(content: &str) -> Vec<u8> {
    let mut bytes = vec![0; 0x24];
    bytes.extend(0x016f_2818_u32.to_le_bytes());
    bytes.extend(content.as_bytes());
    bytes
}

/// What looks like a squashfs image, by its magic.
fn squashfs(content: &str) -> Vec<u8> {
    let mut bytes = [b"hsqs", content.as_bytes()].concat();
    bytes.resize(8192, 0);
    bytes
}

/// A lab in a directory of its own.
struct Lab {
    dir: TempDir,
    /// What the host keeps of it elsewhere.
    state: TempDir,
}

impl Lab {
    /// Nothing but an empty directory.
    fn nothing() -> Self {
        let new = || TempDir::new().expect("a directory");
        Self { dir: new(), state: new() }
    }

    /// As `init` makes it, with a profile `panda` in place of the example.
    fn new() -> Self {
        let lab = Self::nothing();
        lab.run(&["init"]).exits(0);
        fs::remove_file(lab.path("profiles/example.toml")).expect("the example");
        lab.write("boot/zImage", zimage("a kernel"));
        lab.write("profiles/panda.toml", "[boot]\nkernel = \"boot/zImage\"\nargs = [\"console=ttyAMA0\"]\n");
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("in the lab")).expect("a directory");
        fs::write(path, content).expect("room");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Two boards of one profile with an image, a network, and the place of the tree in the lab's files.
    fn with_network(root: &str) -> Self {
        let lab = Self::new();
        lab.write(
            "lab.toml",
            format!(
                "name = \"desk\"\n[server]\naddress = \"192.168.7.1\"\n{root}\n[network]\nsubnet = \"192.168.7.0/24\"\n\
                 range = \"192.168.7.100-192.168.7.200\"\n"
            ),
        );
        lab.write("boot/initrd.gz", "an initrd");
        lab.write("boot/board.dtb", "a tree");
        lab.write("images/panda.squashfs", squashfs("a root"));
        lab.write(
            "profiles/panda.toml",
            "[boot]\nkernel = \"boot/zImage\"\ninitrd = [\"boot/initrd.gz\"]\nfdt = \"boot/board.dtb\"\n\
             args = [\"console=ttyAMA0\", \"place=${location}\", \"systemd.hostname=${identity_hostname}\"]\n\
             [root]\nimage = \"images/panda.squashfs\"\ntransport = \"nbd\"\nwrites = \"discard\"\n",
        );
        lab.write(
            "boards.csv",
            format!(
                "hostname,profile,uuid,mac0,ip,location\npanda-01,panda,{UUID},,192.168.7.11,R3\n\
                 panda-02,panda,{OTHER},02:00:00:00:00:02,,\n"
            ),
        );
        lab
    }

    fn command(&self) -> Command {
        self.command_of(program())
    }

    /// Another program, in the same place.
    fn command_of(&self, other: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(other);
        command.current_dir(self.dir.path()).stdin(Stdio::null()).env_remove("SOURCE_DATE_EPOCH");
        command.env("XDG_STATE_HOME", self.state.path());
        command
    }

    /// Where events of the lab `desk` wait.
    fn queue(&self) -> PathBuf {
        self.state.path().join("identity-lab/desk.queue")
    }

    fn run<S: AsRef<OsStr>>(&self, words: &[S]) -> Answer {
        Answer::of(self.command().args(words))
    }
}

/// Calls of the system that change files.
const CHANGES: [&str; 15] = [
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "write",
    "ftruncate",
    "fchmod",
    "fsync",
    "syncfs",
];

/// Runs the program again and again, and kills it right before each call that changes a file, until it comes to its end; looks
/// at what is left each time. Returns the number of kills; none, and the test is skipped, without strace.
fn killed_before_each_change(lab: &Lab, words: &[&str], mut look: impl FnMut()) -> Option<usize> {
    let mut kills = 0;
    for call in CHANGES {
        // strace counts each call for itself.
        for count in 1.. {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-q", "-o", "/dev/null", "-e", &format!("trace={call}")]);
            strace
                .args(["-e", &format!("inject={call}:signal=KILL:when={count}")])
                .arg(program())
                .args(words);
            strace
                .env("XDG_STATE_HOME", lab.state.path())
                .current_dir(lab.dir.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let Ok(status) = strace.status() else {
                identity_tests::skipped("strace is not installed");
                return None;
            };
            look();
            if status.success() {
                break;
            }
            // strace ends by the signal that ends what it traces.
            assert_eq!(status.code(), None, "strace may not trace, or the program failed");
            kills += 1;
        }
    }
    Some(kills)
}

/// What an invocation answered.
struct Answer {
    command: String,
    output: Output,
    stdout: String,
    stderr: String,
}

impl Answer {
    fn of(command: &mut Command) -> Self {
        let output = command.output().expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Self { command: format!("{command:?}"), output, stdout, stderr }
    }

    #[track_caller]
    fn check(self, holds: bool, wanted: &str) -> Self {
        let Self { command, output, stdout, stderr } = &self;
        assert!(
            holds,
            "wanted {wanted}\n  {command}\n  {}\n  stdout: {stdout}\n  stderr: {stderr}",
            output.status
        );
        self
    }

    /// Ends with this exit code, and says one sentence with the program's name if it is not 0.
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        let is = self.output.status.code() == Some(code);
        let speaks =
            code == 0 || self.stderr.starts_with("identity-lab: ") || self.stderr.starts_with("error: ");
        self.check(is, &format!("exit {code}")).check(speaks, "a reason on standard error")
    }

    #[track_caller]
    fn says(self, parts: &[&str]) -> Self {
        let missing = parts.iter().find(|part| !self.stderr.contains(**part)).copied();
        self.check(missing.is_none(), &format!("{:?} on standard error", missing.unwrap_or_default()))
    }

    #[track_caller]
    fn shows(self, parts: &[&str]) -> Self {
        let missing = parts.iter().find(|part| !self.stdout.contains(**part)).copied();
        self.check(missing.is_none(), &format!("{:?} on standard output", missing.unwrap_or_default()))
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.command, self.stdout))
    }
}
