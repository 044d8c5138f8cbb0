// SPDX-License-Identifier: MIT OR Apache-2.0
//! `netroot` on a real kernel with a real server, nbdkit, that goes away and comes back: Linux started by QEMU itself, without
//! card and bootloader.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use identity_netroot::Location;
use identity_tests::board::{Board, artifact};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// What a board says within this time, or never.
const PATIENCE: Duration = Duration::from_secs(120);

/// An image of this size in bytes, of which no two sectors are the same.
fn image(megabytes: usize, seed: u32) -> Vec<u8> {
    (0..megabytes << 18)
        .flat_map(|word| (word as u32 ^ seed).wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// nbdkit with the files of a directory, on a port of this machine's; ended when dropped.
struct Server {
    child: Child,
}

impl Server {
    fn start(exports: &Path, port: u16) -> Self {
        let mut nbdkit = Command::new("nbdkit");
        nbdkit.args(["--foreground", "--readonly", "--ipaddr=127.0.0.1"]).arg(format!("--port={port}"));
        nbdkit.args(["file", &format!("dir={}", exports.display())]);
        let child = nbdkit.stdin(Stdio::null()).spawn().expect("nbdkit");
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "nbdkit does not listen");
            sleep(Duration::from_millis(50));
        }
        Self { child }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it is ours");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A board, and what its server serves.
struct Bench {
    dir: TempDir,
    image: Vec<u8>,
    port: u16,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let image = image(16, 0);
        fs::create_dir(dir.path().join("exports")).expect("own directory");
        fs::write(dir.path().join("exports/root"), &image).expect("room");
        // Free now, and asked for again at once.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        Self { dir, image, port }
    }

    fn serve(&self) -> Server {
        Server::start(&self.dir.path().join("exports"), self.port)
    }

    /// A board with a shell, whose device is attached.
    fn start(&self, lost: &str) -> Board {
        let mut qemu = Command::new("qemu-system-arm");
        qemu.args(["-M", "virt,highmem=off", "-cpu", "cortex-a15", "-m", "256", "-nographic", "-no-reboot"]);
        qemu.args(["-netdev", "user,id=net0", "-device", "virtio-net-device,netdev=net0", "-kernel"])
            .arg(artifact("IDENTITY_TEST_LINUX").join("zImage"));
        qemu.arg("-initrd").arg(artifact("IDENTITY_TEST_INITRAMFS_NETROOT"));
        let words = format!("netroot.test={}/root netroot.lost={lost}", self.port);
        qemu.arg("-append").arg(format!("console=ttyAMA0 rdinit=/init quiet {words}"));
        qemu.env("QEMU_AUDIO_DRV", "none");
        let mut board = Board::start(qemu);
        let said = board.expect_within(PATIENCE, "ready");
        assert!(!said.contains("FAILED"), "{said}");
        board
    }

    fn away(&self) -> String {
        format!("netroot: nbd0: the server 10.0.2.2:{} is away", self.port)
    }
}

/// Reads all that the device has, anew; the board says "read" with its SHA-256.
const READ: &str = "echo 3 >/proc/sys/vm/drop_caches; echo re''ad $(sha256sum </dev/nbd0)\n";

/// What was asked for with [`READ`] comes, whole, and the kernel knows of no failure.
fn is_read(board: &mut Board, image: &[u8]) {
    let said = board.expect_within(PATIENCE, " -");
    assert!(said.contains(&format!("read {} -", hash(image))), "{said}");
    board.send("echo $(dmesg | grep -c 'I/O error') erro''rs\n");
    let said = board.expect_within(PATIENCE, " errors");
    assert!(said.trim_end_matches(" errors").ends_with("\n0"), "{said}");
}

#[test]
fn a_board_goes_on_when_its_server_is_back() {
    let bench = Bench::new();
    let server = bench.serve();
    let mut board = bench.start("wait");
    board.send(READ);
    is_read(&mut board, &bench.image);

    // It goes while nobody reads, and then while somebody does.
    drop(server);
    board.expect_within(PATIENCE, &bench.away());
    board.send(READ);
    sleep(Duration::from_secs(3));
    let server = bench.serve();
    board.expect_within(PATIENCE, "the server is back after");
    is_read(&mut board, &bench.image);
    board.send(READ);
    sleep(Duration::from_millis(300));
    drop(server);
    board.expect_within(PATIENCE, &bench.away());
    let server = bench.serve();
    board.expect_within(PATIENCE, "the server is back after");
    is_read(&mut board, &bench.image);

    // It is silent, as when a cable is pulled.
    server.signal(Signal::STOP);
    board.send(READ);
    board.expect_within(PATIENCE, &bench.away());
    server.signal(Signal::CONT);
    board.expect_within(PATIENCE, "the server is back after");
    is_read(&mut board, &bench.image);

    // It comes back with something else.
    drop(server);
    board.expect_within(PATIENCE, &bench.away());
    let other = bench.dir.path().join("other");
    fs::create_dir(&other).expect("own directory");
    fs::write(other.join("root"), image(8, 1)).expect("room");
    let server = Server::start(&other, bench.port);
    board.expect_within(PATIENCE, "root has 8388608 bytes now, and had 16777216: it is another image");
    drop(server);
    let _server = bench.serve();
    board.expect_within(PATIENCE, "the server is back after");
    board.send(READ);
    is_read(&mut board, &bench.image);
    board.send("poweroff -f\n");
    board.wait_for_end(PATIENCE);
}

#[test]
fn a_board_restarts_when_its_server_stays_away() {
    let bench = Bench::new();
    let server = bench.serve();
    let mut board = bench.start("reboot:5");
    drop(server);
    board.expect_within(PATIENCE, "this board restarts in 5 s if it stays away");
    board.expect_within(PATIENCE, "no server for 5 s; the board restarts");
    board.wait_for_end(PATIENCE);
}

#[test]
fn a_board_restarts_when_its_server_has_forgotten_what_was_written() {
    let bench = Bench::new();
    let server = bench.serve();
    let mut board = bench.start("forgotten");
    drop(server);
    board.expect_within(PATIENCE, "this board restarts when it is back");
    let _server = bench.serve();
    board.expect_within(PATIENCE, "the server is back, without what was written; the board restarts");
    board.wait_for_end(PATIENCE);
}

/// What is no server, no export or no word is said, and nothing stays in memory.
#[test]
fn what_cannot_be_attached_is_said() {
    let bench = Bench::new();
    let location = |text: &str| text.parse::<Location>();
    for text in ["", "server/root", "10.0.2.2/root", "10.0.2.2:x/root", "10.0.2.2:10809"] {
        assert!(location(text).is_err_and(|error| error.contains("like 192.168.7.1:10809/panda")), "{text}");
    }
    let here = |export: &str| location(&format!("127.0.0.1:{}/{export}", bench.port)).expect("a location");
    assert!(here("root").connect().is_err_and(|error| error.contains("Connection refused")));
    let _server = bench.serve();
    let (_, export) = here("root").connect().expect("nbdkit");
    assert_eq!(export.size, bench.image.len() as u64);
    // NBD_FLAG_HAS_FLAGS and NBD_FLAG_READ_ONLY.
    assert_eq!(export.flags & 3, 3);
    assert!(
        here("other").connect().is_err_and(|error| error.contains("the server refuses it")),
        "{:?}",
        here("other").connect()
    );
}

/// Killed, as `identity-lab serve` and the unit for systemd end it: asked to end, nbdkit answers reads with errors first.
#[test]
fn no_read_fails_while_a_server_is_killed_and_started() {
    let bench = Bench::new();
    let mut server = bench.serve();
    let mut board = bench.start("wait");
    board.send(
        ">/read; while :; do echo 3 >/proc/sys/vm/drop_caches; sha256sum </dev/nbd0 >>/read 2>&1; done &\n",
    );
    for step in 1..=6 {
        sleep(Duration::from_millis(900 + step * 170));
        drop(server);
        sleep(Duration::from_millis(step * 150));
        server = bench.serve();
        board.expect_within(PATIENCE, "the server is back after");
    }
    // Once more to the end, however long that takes here.
    board.send("n=$(wc -l </read); until [ $(wc -l </read) -gt $((n + 1)) ]; do sleep 1; done\n");
    board.send("kill %1; sort -u /read; echo $(dmesg | grep -c 'I/O error') erro''rs\n");
    let said = board.expect_within(PATIENCE, " errors");
    let lines: Vec<_> =
        said.trim_end_matches(" errors").lines().filter(|line| !line.contains("sort")).collect();
    assert!(lines.ends_with(&[&*format!("{}  -", hash(&bench.image)), "0"]), "{said}");
    assert_eq!(said.matches("  -").count(), 1, "{said}");
}
