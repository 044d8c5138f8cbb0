// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests share.

#[cfg(feature = "board")]
pub mod bench;
pub mod block;
#[cfg(feature = "board")]
pub mod board;
#[cfg(feature = "board")]
pub mod capture;
pub mod cli;
pub mod corpus;
#[cfg(feature = "board")]
pub mod desk;
pub mod image;
pub mod lab;
#[cfg(feature = "board")]
pub mod linux;
#[cfg(feature = "board")]
pub mod login;
pub mod machine;
#[cfg(feature = "board")]
pub mod network;
pub mod postgres;
#[cfg(feature = "board")]
pub mod published;
pub mod random;
pub mod session;
pub mod untouched;

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};

pub use identity_fixtures::skipped;

/// Writes a program that this test will run, executable by everybody: a script.
///
/// Another process writes it, as in [`copy_program`]: our own handle, open for writing, would be inherited by whatever another
/// test of this process starts just now, and the kernel runs no file that is open for writing (ETXTBSY).
///
/// # Panics
/// If it cannot be written.
pub fn write_program(path: &Path, text: &str) {
    let mut install =
        Command::new("install").args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped()).spawn();
    let install = install.as_mut().expect("install starts");
    install.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("install reads");
    assert!(install.wait().expect("a child").success(), "{}", path.display());
}

/// Copies a program that this test will run, executable by everybody, by another process: see [`write_program`].
///
/// # Panics
/// If it cannot be copied.
pub fn copy_program(from: &Path, to: &Path) {
    let install = Command::new("install").args(["-m", "755"]).args([from, to]).status();
    assert!(install.expect("install starts").success(), "{}", to.display());
}

/// The top of the source tree.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// Whether to do what takes minutes as well: `tests/proof` asks for it with `IDENTITY_PROOF`.
pub fn thorough() -> bool {
    std::env::var_os("IDENTITY_PROOF").is_some()
}

/// Says a figure aloud, past the test harness; `tests/proof` collects them.
pub fn figure(count: u64, of_what: &str) {
    let _ = writeln!(io::stderr(), "FIGURE: {count} {of_what}");
}

/// What a program prints; `None` where it is not installed, and the test is skipped.
///
/// # Panics
/// If the program fails.
#[track_caller]
pub fn run_where_installed(command: &mut Command) -> Option<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skipped(&format!("{program} is not installed"));
            return None;
        }
        output => output.expect("an installed program starts"),
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {}: {errors}", output.status);
    Some(String::from_utf8(output.stdout).expect("text"))
}

/// Whether a shell, with its first arguments, is there; if not, the test is skipped, be it with other shells.
#[track_caller]
pub fn is_shell(words: &[&str]) -> bool {
    let run = Command::new(words[0]).args(&words[1..]).args(["-c", ":"]).output();
    let is_there = run.is_ok_and(|done| done.status.success());
    if !is_there {
        skipped(&format!("the shell {} is not installed", words.join(" ")));
    }
    is_there
}
