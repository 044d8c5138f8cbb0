// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boards that have everything from the network: two at once, one dnsmasq, one nbdkit, one root that nobody writes; nobody
//! touches them before their login prompt. And the installer of Debian, which nobody here has made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use identity_tests::bench::text;
use identity_tests::board::{Board, Model, artifact};
use identity_tests::capture::sources;
use identity_tests::lab::program;
use identity_tests::login::{ask, log_in, side_by_side};
use identity_tests::network::{Network, Serve, copy_lab};
use serde_json::Value;
use tempfile::TempDir;

/// From power-on to multi-user; a minute on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(1800);
/// In a system that runs.
const SOON: Duration = Duration::from_secs(300);

/// A lab with a root, a tree of it, and cards.
struct Lab {
    dir: TempDir,
    boards: Vec<Value>,
}

impl Lab {
    /// A copy of the lab of `tests/lib/netboot-lab`.
    fn new() -> Self {
        let lab = Self { dir: TempDir::new().expect("a temporary directory"), boards: Vec::new() };
        copy_lab(&artifact("IDENTITY_TEST_NETBOOT_LAB"), lab.dir.path());
        lab
    }

    /// With these boards, the tree, and a card for each.
    fn with(self, boards: &[(&str, &str)]) -> Self {
        for (names, profile) in boards {
            self.run(&["add", names, "--profile", profile]);
        }
        self.run(&["netboot", "--secrets", "out"]);
        let list: Value = serde_json::from_str(&self.run(&["list", "--format", "json"])).expect("JSON");
        let boards = list.as_array().expect("a list").clone();
        for board in &boards {
            let hostname = text(board, "/hostname");
            self.run(&["card", hostname, "-o", &format!("{hostname}.img")]);
        }
        Self { boards, ..self }
    }

    /// A second profile, `beagle`, whose root is that of `panda` and a file /beagle, and whose boards keep what they write.
    fn add_beagle(&self) {
        let panda = fs::read_to_string(self.path("profiles/panda.toml")).expect("the profile");
        let is_image = |line: &&str| line.starts_with("image = ");
        let image = panda.lines().find(is_image).and_then(|line| line.split('"').nth(1)).expect("a root");
        fs::copy(self.path(image), self.path("images/beagle.squashfs")).expect("room");
        fs::write(self.path("beagle"), "a beagle\n").expect("own directory");
        let mut append = Command::new("mksquashfs");
        append.arg(self.path("beagle")).arg(self.path("images/beagle.squashfs")).arg("-no-progress");
        assert!(append.stdout(Stdio::null()).status().expect("mksquashfs").success());
        let beagle = panda.replace(image, "images/beagle.squashfs").replace("\"discard\"", "\"keep\"");
        fs::write(self.path("profiles/beagle.toml"), beagle).expect("own directory");
    }

    /// A host key of a board's own, which nobody else may read; its text.
    fn add_host_key(&self, hostname: &str) -> String {
        let dir = self.path(&format!("overlays/board/{hostname}/etc/ssh"));
        fs::create_dir_all(&dir).expect("own directory");
        let key = dir.join("ssh_host_ed25519_key");
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
        assert!(keygen.status().expect("ssh-keygen").success());
        fs::read_to_string(key).expect("the key")
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new(program());
        let output = command.current_dir(self.dir.path()).args(words).stdin(Stdio::null()).output();
        let output = output.expect("it starts");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn capture(&self, number: usize) -> PathBuf {
        self.path(&format!("frames{number}.pcap"))
    }

    /// Switches a board on, by its number from 1.
    fn start(&self, network: &Network, number: usize) -> Board {
        let card = self.path(&format!("{}.img", text(&self.boards[number - 1], "/hostname")));
        let machine = Model::Vexpress.machine(&artifact("IDENTITY_TEST_UBOOT_NETBOOT"), &card);
        network.start(&machine, number, None, &self.capture(number))
    }

    /// With nothing typed before it.
    fn prompt(&self, index: usize) -> String {
        format!("{} login: ", text(&self.boards[index], "/hostname"))
    }

    /// The SHA-256 of each image that is served.
    fn images(&self) -> String {
        let sum = "sha256sum *.squashfs";
        let output = Command::new("sh").args(["-c", sum]).current_dir(self.path("out/images")).output();
        String::from_utf8(output.expect("coreutils").stdout).expect("text")
    }
}

fn is_itself(board: &mut Board, identity: &Value) {
    for (command, expected) in [
        ("hostname", text(identity, "/hostname")),
        ("cat /etc/machine-id", text(identity, "/machine_id")),
        ("cat /sys/class/net/e*/address", text(identity, "/macs/0")),
        (". /run/identity/identity.env; echo $IDENTITY_PROFILE", text(identity, "/profile")),
        (". /run/identity/identity.env; echo $IDENTITY_UUID", text(identity, "/uuid")),
        ("stat -f -c %T /", "overlayfs"),
        ("cat /sys/block/nbd0/ro", "1"),
        ("systemctl --failed --plain --no-legend", ""),
    ] {
        assert_eq!(ask(board, command), expected, "{command}");
    }
}

/// The board's own host key, of its overlay, or none.
fn has_key(board: &mut Board, key: Option<&String>) {
    let said = ask(board, "cat /etc/ssh/ssh_host_ed25519_key");
    match key {
        Some(key) => assert_eq!(said.replace("\r\n", "\n").trim(), key.trim()),
        None => assert!(said.contains("No such file"), "{said}"),
    }
}

/// Waits for the server to have as many clients.
fn clients(network: &Network, count: usize, patience: Duration) {
    let start = Instant::now();
    while network.clients() != count {
        assert!(start.elapsed() < patience, "{} clients, not {count}", network.clients());
        thread::sleep(Duration::from_millis(200));
    }
}

/// What a board reads from its root, not from its memory.
const READ: &str = "echo 3 >/proc/sys/vm/drop_caches; sha256sum /usr/lib/systemd/systemd* 2>&1 | sha256sum";

fn read(boards: &mut [Board]) -> Vec<String> {
    side_by_side(boards.iter_mut().collect(), |_, board| ask(board, READ))
}

fn is_alone_on_its_wire(capture: &Path, mac: &str) {
    let frames: Vec<_> = sources(capture).into_iter().collect();
    assert_eq!(frames, [mac]);
}

/// The whole story, as each boot takes minutes here.
#[test]
fn netboot_root_is_shared_by_two_boards_and_each_stays_itself() {
    let network = Network::new(3);
    let lab = Lab::new();
    lab.add_beagle();
    let key = lab.add_host_key("panda-01");
    let lab = lab.with(&[("panda-[01-02]", "panda"), ("stray", "beagle")]);
    assert_eq!(text(&lab.boards[2], "/hostname"), "stray");
    let images = lab.images();
    assert_eq!(images.lines().count(), 2, "{images}");
    let serve = Serve::start(&network, lab.dir.path());

    // From power-on to multi-user, each its own machine.
    let mut boards = side_by_side(vec![1, 2], |index, number| {
        let mut board = lab.start(&network, number);
        log_in(&mut board, &lab.prompt(index));
        is_itself(&mut board, &lab.boards[index]);
        is_alone_on_its_wire(&lab.capture(number), text(&lab.boards[index], "/macs/0"));
        has_key(&mut board, (number == 1).then_some(&key));
        ask(&mut board, "echo mine >/root/written; sync");
        board
    });
    clients(&network, 2, SOON);

    // The server goes, and comes again: they go on. What is read in between comes then.
    let before = read(&mut boards);
    assert_eq!(before[0], before[1]);
    serve.stop();
    for board in &mut boards {
        board.expect_within(SOON, "is away; what reads from it waits until it is back");
        board.send(&format!("echo RE''AD; {READ}; echo DO''NE\n"));
    }
    thread::sleep(Duration::from_secs(20));
    let serve = Serve::start(&network, lab.dir.path());
    for (board, before) in boards.iter_mut().zip(&before) {
        board.expect_within(SOON, "the server is back after");
        let said = board.expect_within(SOON, "DONE\r\n");
        assert!(said.contains(before), "{before}: {said}");
        assert_eq!(ask(board, "dmesg | grep -c 'I/O error'"), "0");
    }
    assert_eq!(read(&mut boards), before);
    clients(&network, 2, SOON);

    // Power is cut: within a minute the server has forgotten it, and the other goes on.
    let first = boards.remove(0);
    drop(first);
    clients(&network, 1, Duration::from_secs(60));
    let mut second = boards.remove(0);
    assert_eq!(ask(&mut second, "cat /root/written"), "mine");
    drop(second);
    clients(&network, 0, Duration::from_secs(60));

    // The same boards from the same snapshot, and a third one with another. Both ways to end do.
    side_by_side(vec![(1, "poweroff"), (2, "reboot"), (3, "poweroff")], |index, (number, end)| {
        let mut board = lab.start(&network, number);
        log_in(&mut board, &lab.prompt(index));
        assert_eq!(ask(&mut board, "ls /root"), "");
        is_itself(&mut board, &lab.boards[index]);
        has_key(&mut board, (number == 1).then_some(&key));
        let is_beagle = ask(&mut board, "cat /beagle") == "a beagle";
        assert_eq!(is_beagle, number == 3);
        ask(&mut board, "echo kept >/root/written");
        board.send(&format!("systemctl {end}\n"));
        board.wait_for_end(SOON);
    });
    clients(&network, 0, Duration::from_secs(60));

    // What the third one has written is kept.
    let mut stray = lab.start(&network, 3);
    log_in(&mut stray, &lab.prompt(2));
    assert_eq!(ask(&mut stray, "cat /root/written"), "kept");
    is_itself(&mut stray, &lab.boards[2]);
    drop(stray);
    serve.stop();
    assert_eq!(lab.images(), images);
}

#[test]
fn netboot_root_may_be_the_installer_of_debian() {
    let network = Network::new(1);
    let lab = Lab::new().with(&[("panda-01", "installer")]);
    let _serve = Serve::start(&network, lab.dir.path());
    let mut board = lab.start(&network, 1);
    board.expect_within(PATIENCE, "Starting system log daemon: syslogd, klogd.");
    // The line in which it shows its terminals.
    board.expect_within(SOON, "1*installer");
    is_alone_on_its_wire(&lab.capture(1), text(&lab.boards[0], "/macs/0"));
}
