// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `identity`, run as a user runs it, and what it answered.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

use serde_json::Value;

use crate::workspace;

/// The program: `IDENTITY_BIN`, else built here and now.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let given = || env::var_os("IDENTITY_BIN").map(PathBuf::from);
    PROGRAM.get_or_init(|| given().or_else(|| build("identity"))).as_deref().expect("identity-cli builds")
}

/// A program of the workspace, as cargo builds it.
pub(crate) fn build(name: &str) -> Option<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // As the tests themselves were asked for: cargo would compile it again otherwise.
    let features = if cfg!(feature = "postgres") { "sd-card-identity-lab/postgres" } else { "" };
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--workspace", "--features", features, "--bin", name])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    let messages = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
    let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.find_map(|message| {
        let is_it = message["target"]["name"] == name;
        message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
    })
}

/// A program of the system, also one that users do not have in their `PATH`.
pub fn tool(name: &str) -> Command {
    let path = env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// A shared object that makes cards fail, see `fault.c`.
pub fn faults() -> &'static Path {
    static OBJECT: OnceLock<PathBuf> = OnceLock::new();
    OBJECT.get_or_init(|| {
        // Two test programs may do this at once: the name appears when the content is whole.
        let test = env::current_exe().expect("Linux");
        let dir = test.parent().expect("a program lies somewhere");
        let temporary = dir.join(format!("fault-{}.so", std::process::id()));
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&temporary)
            .arg(workspace().join("tests/src/fault.c"))
            .arg("-ldl")
            .status()
            .expect("a C compiler, which Rust needs to link");
        assert!(compiled.success(), "fault.c does not compile");
        let object = dir.join("fault.so");
        fs::rename(&temporary, &object).expect("same directory");
        object
    })
}

/// Where records go that no test asks for, instead of this machine's own place: beside the test program, and of its last run
/// alone.
fn records() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory = env::current_exe().expect("Linux").with_extension("state");
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).expect("beside the program");
        directory
    })
}

/// An invocation.
#[derive(Debug)]
pub struct Identity {
    command: Command,
    shown: Vec<OsString>,
}

impl Identity {
    /// `identity WORDS...`, the words being what blanks separate.
    pub fn new(words: impl AsRef<str>) -> Self {
        Self::through(Command::new(program()), words.as_ref())
    }

    /// `PREFIX... PROGRAM WORDS...`, for programs like `setpriv` that run another one, here a copy of `identity`.
    pub fn prefixed(mut prefix: Command, program: &Path, words: impl AsRef<str>) -> Self {
        prefix.arg(program);
        Self::through(prefix, words.as_ref())
    }

    fn through(mut command: Command, words: &str) -> Self {
        command.stdin(Stdio::null());
        for name in ["CLICOLOR", "CLICOLOR_FORCE", "NO_COLOR", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        command.env("XDG_STATE_HOME", records());
        Self { command, shown: vec!["identity".into()] }.args(words.split_whitespace())
    }

    /// More arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        for arg in args {
            self.command.arg(&arg);
            self.shown.push(arg.as_ref().to_owned());
        }
        self
    }

    /// One more argument.
    pub fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    /// A card that fails as `fault.c` says.
    pub fn fault(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env("LD_PRELOAD", faults()).env(name, value);
        self
    }

    /// Its `Command`, for what is not offered here.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.command.spawn().expect("identity starts");
        Running { child, shown: self.shown }
    }

    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        self.start().wait()
    }
}

/// An invocation under way.
#[derive(Debug)]
pub struct Running {
    child: Child,
    shown: Vec<OsString>,
}

impl Running {
    /// Its process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for its end.
    pub fn wait(self) -> Outcome {
        let output = self.child.wait_with_output().expect("identity ends");
        Outcome::of(&self.shown, output)
    }
}

/// What an invocation answered. The checks panic with everything there is to know, and hand the outcome on.
#[derive(Clone, Debug)]
pub struct Outcome {
    command: String,
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    fn of(shown: &[OsString], output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("identity speaks UTF-8");
        let words: Vec<_> = shown.iter().map(|word| word.to_string_lossy()).collect();
        Self {
            command: words.join(" "),
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Of a program that was run otherwise.
    pub fn of_output(command: &str, code: Option<i32>, stdout: String, stderr: String) -> Self {
        Self { command: command.into(), code, stdout, stderr }
    }

    #[track_caller]
    fn check(self, holds: bool, wanted: &str) -> Self {
        assert!(
            holds,
            "wanted {wanted}\n  command: {}\n  exit: {:?}\n  stdout: {}\n  stderr: {}",
            self.command, self.code, self.stdout, self.stderr
        );
        self
    }

    /// Ends with this exit code, without colours in either output, and says something if it is not 0.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        let plain = !self.stdout.contains('\x1b') && !self.stderr.contains('\x1b');
        let exits = self.code == Some(code);
        let speaks = code == 0 || !self.stderr.trim().is_empty();
        self.check(exits, &format!("exit {code}"))
            .check(plain, "no escape codes in a pipe")
            .check(speaks, "a reason on standard error")
    }

    /// Says all of these on standard error.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        let missing = parts.iter().find(|part| !self.stderr.contains(**part)).copied();
        self.check(missing.is_none(), &format!("{:?} on standard error", missing.unwrap_or_default()))
    }

    /// Says one line of its own on standard error, or clap's error with its usage, and nothing else.
    #[track_caller]
    pub fn says_one_sentence(self) -> Self {
        let lines: Vec<_> = self.stderr.lines().collect();
        let own = lines.len() == 1 && lines.iter().all(|line| line.starts_with("identity: "));
        let clap = self.stderr.starts_with("error: ") && self.stderr.contains("--help");
        self.check(own || clap, "one sentence on standard error")
    }

    /// Prints this and nothing else.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        let same = self.stdout == text;
        self.check(same, &format!("{text:?} on standard output"))
    }

    /// Prints all of these, among others.
    #[track_caller]
    pub fn shows(self, parts: &[&str]) -> Self {
        let missing = parts.iter().find(|part| !self.stdout.contains(**part)).copied();
        self.check(missing.is_none(), &format!("{:?} on standard output", missing.unwrap_or_default()))
    }

    /// Says nothing on standard error.
    #[track_caller]
    pub fn is_quiet(self) -> Self {
        let quiet = self.stderr.is_empty();
        self.check(quiet, "nothing on standard error")
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("{}: not JSON ({error}): {}{}", self.command, self.stdout, self.stderr),
        }
    }
}
