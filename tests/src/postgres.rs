// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server of PostgreSQL for one test, on loopback, with a directory of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::block::{is_root, skipped};

/// Where Debian has the server's programs.
const VERSIONS: &str = "/usr/lib/postgresql";
const PATIENCE: Duration = Duration::from_secs(60);

/// The server; it ends with this value.
pub struct Postgres {
    programs: PathBuf,
    dir: TempDir,
    port: u16,
    server: Option<Child>,
}

impl Postgres {
    /// Starts one with an empty database `lab`; `None`, and the test is skipped, where it is not installed.
    ///
    /// # Panics
    /// If it is, and does not start.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            skipped("PostgreSQL's server is not installed");
            return None;
        };
        let dir = TempDir::new().expect("a directory");
        if is_root() {
            let id = |option| -> u32 {
                let output = Command::new("id").args([option, "postgres"]).output().expect("id");
                String::from_utf8_lossy(&output.stdout).trim().parse().expect("Debian's user postgres")
            };
            chown(dir.path(), Some(id("-u")), Some(id("-g"))).expect("root");
        }
        // Taken again a moment later. Not one of those that the kernel gives to clients: the server is started again on it.
        let (free, port) = free_port();
        let mut postgres = Self { programs, dir, port, server: None };
        let made = postgres
            .program("initdb")
            .args([
                "--auth=trust",
                "--username=lab",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
                "--pgdata",
            ])
            .arg(postgres.data())
            .output()
            .expect("initdb");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        drop(free);
        postgres.go_on();
        postgres.sql("postgres", "CREATE DATABASE lab");
        Some(postgres)
    }

    /// Starts it again.
    ///
    /// # Panics
    /// If it does not start.
    pub fn go_on(&mut self) {
        let log = fs::File::create(self.dir.path().join("log")).expect("room");
        let mut server = self.program("postgres");
        server.arg("-D").arg(self.data()).args(["-p", &self.port.to_string(), "-k", ""]);
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=16MB"]);
        self.server = Some(server.stderr(log).spawn().expect("postgres"));
        let start = Instant::now();
        while !self.psql("postgres", "SELECT 1").status.success() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(start.elapsed() < PATIENCE, "PostgreSQL does not start: {log}");
            sleep(Duration::from_millis(50));
        }
    }

    /// Stops it at once, as a power cut does.
    ///
    /// # Panics
    /// If it does not run.
    pub fn stop(&mut self) {
        let mut server = self.server.take().expect("it runs");
        // Its children go when they see that it has gone; a new one waits for that.
        server.kill().expect("it runs");
        server.wait().expect("it ran");
    }

    /// The address of the database `lab`.
    pub fn address(&self) -> String {
        format!("postgres://lab@127.0.0.1:{}/lab", self.port)
    }

    /// What a query of the database `lab` gives, a line for each row.
    ///
    /// # Panics
    /// If it fails.
    pub fn query(&self, query: &str) -> String {
        self.sql("lab", query)
    }

    /// The same; `None` if it fails.
    pub fn try_query(&self, query: &str) -> Option<String> {
        let output = self.psql("lab", query);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn sql(&self, database: &str, query: &str) -> String {
        let output = self.psql(database, query);
        assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn psql(&self, database: &str, query: &str) -> Output {
        let mut psql = Command::new("psql");
        psql.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "lab", "-d", database]);
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "-c", query]).output().expect("psql")
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// One of its programs, which root may not run as such.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = match is_root() {
            true => Command::new("setpriv"),
            false => Command::new(&program),
        };
        if is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(&program);
        }
        command.current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

/// A port below those that clients get, and what keeps it meanwhile.
fn free_port() -> (TcpListener, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 15_000) as u16;
    let mut ports = (0..15_000).map(|_| 15_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 15_000);
    let taken = ports.find_map(|port| Some((TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?, port)));
    taken.expect("a free port")
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?.flatten().map(|entry| entry.path().join("bin"));
    versions.filter(|bin| is_there(bin)).max()
}

fn is_there(bin: &Path) -> bool {
    bin.join("initdb").exists() && bin.join("postgres").exists()
}
