// SPDX-License-Identifier: MIT OR Apache-2.0
//! A person at a terminal: reads what a program shows, and types. The terminal is that of `script`, of bsdutils.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// How long a person waits before it takes a program for hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program in a terminal.
pub struct Session {
    child: Child,
    keyboard: ChildStdin,
    shown: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    /// Bytes that were read by [`Session::expect`].
    read: usize,
}

impl Session {
    /// Starts a program, with these variables, in a directory; `None`, and the test is skipped, without `script`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn start(
        program: &Path,
        words: &[&str],
        directory: &Path,
        variables: &[(&str, &OsStr)],
    ) -> Option<Self> {
        let line = std::iter::once(program.to_str().expect("UTF-8")).chain(words.iter().copied());
        let line: Vec<_> = line.map(|word| format!("'{word}'")).collect();
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-f", "-c", &format!("stty -echo; exec {}", line.join(" ")), "/dev/null"]);
        script.current_dir(directory).envs(variables.iter().copied()).env("TERM", "dumb");
        let spawned = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut child) = spawned else {
            crate::block::skipped("a terminal needs script, of bsdutils");
            return None;
        };
        let keyboard = child.stdin.take().expect("piped");
        let mut screen = child.stdout.take().expect("piped");
        let shown = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&shown);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = screen.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..len]).replace('\r', "");
                into.lock().expect("nobody panics with it").push_str(&text);
            }
        });
        Some(Self { child, keyboard, shown, reader: Some(reader), read: 0 })
    }

    /// Waits until a text is shown behind what was expected before, and reads on behind it.
    ///
    /// # Panics
    /// If it does not come, or the program ends.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        let start = Instant::now();
        loop {
            let shown = self.shown.lock().expect("nobody panics with it").clone();
            if let Some(at) = shown[self.read..].find(text) {
                self.read += at + text.len();
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{text:?} is not shown, but {:?}", &shown[self.read..]);
            sleep(Duration::from_millis(20));
        }
    }

    /// Types a line.
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn enter(&mut self, line: &str) {
        self.press(&format!("{line}\n"));
    }

    /// Presses keys.
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).and_then(|()| self.keyboard.flush()).expect("a terminal");
    }

    /// Its exit code, and everything that it has shown.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn end(mut self) -> (Option<i32>, String) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it runs") {
                break status;
            }
            let shown = self.shown.lock().expect("nobody panics with it").clone();
            assert!(start.elapsed() < PATIENCE, "it does not end: {shown}");
            sleep(Duration::from_millis(20));
        };
        if let Some(reader) = self.reader.take() {
            reader.join().expect("it reads to the end");
        }
        let shown = self.shown.lock().expect("nobody panics with it").clone();
        (status.code(), shown)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
