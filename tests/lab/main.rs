// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the command `identity-lab` promises, tried on the built program: one file per topic, one test per promise.

mod files;
mod lists;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use identity_tests::workspace;
use serde_json::Value;
use tempfile::TempDir;

/// The program: `IDENTITY_LAB_BIN`, else built here and now.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(given) = std::env::var_os("IDENTITY_LAB_BIN") {
            return given.into();
        }
        let output = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "sd-card-identity-lab", "--bin", "identity-lab"])
            .arg("--message-format=json-render-diagnostics")
            .current_dir(workspace())
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo starts");
        let messages = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
        let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let program = messages
            .find(|message| message["target"]["name"] == "identity-lab" && message["executable"].is_string());
        program.expect("identity-lab builds")["executable"].as_str().expect("a path").into()
    })
}

/// A lab in a directory of its own.
struct Lab {
    dir: TempDir,
}

impl Lab {
    /// Nothing but an empty directory.
    fn nothing() -> Self {
        Self { dir: TempDir::new().expect("a directory") }
    }

    /// As `init` makes it, with a profile `panda` in place of the example.
    fn new() -> Self {
        let lab = Self::nothing();
        lab.run(&["init"]).exits(0);
        fs::remove_file(lab.path("profiles/example.toml")).expect("the example");
        lab.write("boot/zImage", "not looked at by most tests");
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

    fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.current_dir(self.dir.path()).stdin(Stdio::null()).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    fn run<S: AsRef<OsStr>>(&self, words: &[S]) -> Answer {
        Answer::of(self.command().args(words))
    }
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
