// SPDX-License-Identifier: MIT OR Apache-2.0
//! `serve`, in network namespaces of its own.

use std::fs;
use std::process::{Command, Stdio};

use identity_tests::cli::tool;
use identity_tests::lab::program;
use identity_tests::{copy_program, skipped};

use crate::{Answer, Lab};

/// A machine with the server's address, and another interface on the same wire where a board could be.
pub const NETWORK: &str = "set -e
ip link set lo up
ip link add server type veth peer name board
ip addr add 192.168.7.1/24 dev server
ip link set server up
ip link set board up
export XDG_STATE_HOME=$PWD/state
";

/// Waits for a line in a file of its output.
const READY: &str = "ready() { for i in $(seq 100); do if grep -q \"$1\" log; then return; fi; sleep 0.1; done; cat log; exit 99; }
";

/// A lab whose tree is in `out`, for this network.
fn lab() -> Lab {
    let lab = Lab::with_network("");
    lab.write("lab.toml", lab.read("lab.toml") + "interface = \"server\"\n");
    lab.run(&["netboot", "out"]).exits(0);
    lab
}

/// Whether namespaces can be had, and every program is there.
pub fn can_run() -> bool {
    let namespaces = tool("unshare").args(["-Urn", "true"]).stderr(Stdio::null()).status();
    if !namespaces.is_ok_and(|status| status.success()) {
        skipped("this machine gives no network namespaces");
        return false;
    }
    for name in ["ip", "dnsmasq", "nbdkit", "nbdinfo", "busybox"] {
        let is_there = tool("sh").args(["-c", "command -v \"$0\"", name]).stdout(Stdio::null()).status();
        if !is_there.is_ok_and(|status| status.success()) {
            skipped(&format!("{name} is not installed"));
            return false;
        }
    }
    true
}

/// Runs a script in a namespace with this network; `$lab` is the program.
pub fn inside(lab: &Lab, script: &str) -> Answer {
    let mut unshare = tool("unshare");
    unshare.args(["-Urnp", "--fork", "--mount-proc", "sh", "-c", &format!("{NETWORK}{READY}{script}")]);
    unshare.env("lab", program()).current_dir(lab.dir.path()).stdin(Stdio::null());
    Answer::of(&mut unshare)
}

/// A whole exchange: an address by DHCP that the list names, the script over TFTP, the image over NBD, with keepalive. dnsmasq
/// gives out nothing from a directory whose path goes up.
#[test]
fn a_board_gets_its_address_its_script_and_its_image() {
    if !can_run() {
        return;
    }
    let lab = lab();
    let list = lab.run(&["list", "--format", "json"]).exits(0).json();
    let mac = list[0]["macs"][0].as_str().expect("text");
    let image = fs::read_dir(lab.path("out/images"))
        .expect("images")
        .next()
        .expect("one")
        .expect("an entry")
        .file_name();
    let image = image.to_string_lossy().into_owned();
    let script = format!(
        "$lab serve profiles/../out >log 2>&1 & pid=$!
        ready 'serving .*out'; ready 'dnsmasq .*tftp\\|DHCP'
        ip link set board down; ip link set board address {mac}; ip link set board up
        busybox udhcpc -i board -f -q -n -t 20 -T 1 -s /bin/true -V U-Boot 2>&1 | grep -o 'lease of 192.168.7.11'
        busybox tftp -g -r boot.scr -l got.scr 192.168.7.1
        nbdinfo --size nbd://192.168.7.1:10810/{image}
        sleep 30 | busybox nc 192.168.7.1 10810 >/dev/null & client=$!
        sleep 0.5; awk '$2 ~ /:2A3A$/ && $4 == \"01\" {{ print \"timer\", $6 }}' /proc/net/tcp
        kill $client
        kill -TERM $pid; wait $pid; echo ended $?"
    );
    let answer = inside(&lab, &script);
    let log = fs::read_to_string(lab.path("log")).unwrap_or_default();
    let answer = answer.shows(&["lease of 192.168.7.11", "8192", "ended 0"]);
    assert!(answer.stdout.contains("timer 02:"), "{}\n{log}", answer.stdout);
    assert_eq!(fs::read(lab.path("got.scr")).ok(), fs::read(lab.path("out/tftp/boot.scr")).ok());
    assert!(log.contains("dnsmasq | ") && log.contains("DHCPACK(server) 192.168.7.11"), "{log}");
    let leases = fs::read_to_string(lab.path("state/identity-lab/desk.leases")).expect("leases");
    assert!(leases.contains(" 192.168.7.11 panda-01 "), "{leases}");
    assert!(!log.contains("is not up to date"), "{log}");
}

/// U-Boot and GRUB send no client identifier, iPXE and busybox one of the MAC address, networkd one of the machine-id
/// (docs/LINUX.md): the list names no address for this board, and it keeps the first.
#[test]
fn a_board_has_one_address_whatever_each_stage_of_its_boot_calls_it() {
    if !can_run() {
        return;
    }
    let lab = lab();
    lab.run(&["add", "panda-08", "--profile", "panda"]).exits(0);
    lab.run(&["netboot", "out"]).exits(0);
    let list = lab.run(&["list", "--format", "json"]).exits(0).json();
    let mut boards = list.as_array().expect("a list").iter();
    let board = boards.find(|board| board["hostname"] == "panda-08").expect("the board that was added");
    let mac = board["macs"][0].as_str().expect("text");
    let of_the_mac = format!("01{}", mac.replace(':', ""));
    let of_the_machine_id = "ff2c3a4b5c00020000ab11c10ec10ec10ec10e";
    let script = format!(
        "$lab serve out >log 2>&1 & pid=$!
        ready 'dnsmasq .*DHCP'
        ip link set board down; ip link set board address {mac}; ip link set board up
        ask() {{ busybox udhcpc -i board -f -q -n -t 20 -T 1 -s /bin/true \"$@\" 2>&1 | sed -n 's/.*lease of \\([0-9.]*\\).*/got \\1/p'; }}
        ask -C; ask -x 0x3d:{of_the_mac}; ask -C -x 0x3d:{of_the_machine_id}; ask -C
        kill -TERM $pid; wait $pid"
    );
    let answer = inside(&lab, &script);
    let got: Vec<_> = answer.stdout.lines().filter(|line| line.starts_with("got ")).collect();
    assert!(got.len() == 4 && got.iter().all(|line| *line == got[0]), "{got:?}: {}", answer.stderr);
}

/// What the lab says by now is not what the boards get: whoever looks for the reason finds it in the first line.
#[test]
fn a_tree_from_before_a_change_is_served_and_said() {
    if !can_run() {
        return;
    }
    let lab = lab();
    lab.run(&["add", "panda-07", "--profile", "panda"]).exits(0);
    let served = "$lab serve out >log 2>&1 & pid=$!; ready serving; kill -TERM $pid; wait $pid; echo ended $?; cat log";
    let first =
        inside(&lab, served).shows(&["ended 0", "is not up to date with the lab", "identity-lab netboot "]);
    assert!(first.stdout.contains("serving "), "{}", first.stdout);
    lab.write("profiles/panda.toml", "[boot]\nkernel = \"nowhere\"\n");
    inside(&lab, served).shows(&["ended 0", "would refuse", "profiles/panda.toml:2", "serving "]);
}

/// nbdkit ends by itself only when its last client has left.
#[test]
fn it_ends_in_time_though_a_client_stays_and_leaves_no_server() {
    if !can_run() {
        return;
    }
    let lab = lab();
    let answer = inside(
        &lab,
        "$lab serve out >log 2>&1 & pid=$!
        ready serving
        sleep 30 | busybox nc 192.168.7.1 10810 >/dev/null & client=$!
        sleep 0.5
        start=$(date +%s%N); kill -TERM $pid; wait $pid; echo ended $?
        echo \"after $((($(date +%s%N) - start) / 100000000)) tenths\"
        sleep 0.2; kill $client 2>/dev/null || true
        ls /proc | while read -r p; do tr '\\0' ' ' </proc/$p/cmdline 2>/dev/null | grep -q \"^[^ ]*\\(nbdkit\\|dnsmasq\\) .*$PWD\" && echo left $p; done; true",
    );
    let answer = answer.shows(&["ended 0"]);
    assert!(!answer.stdout.contains("left"), "{}", answer.stdout);
    // The client stayed, and nbdkit was not asked: it would answer with errors.
    let tenths = answer.stdout.split("after ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    let tenths: u32 = tenths.expect("a time");
    assert!(tenths < 20, "{tenths} tenths of a second");
}

#[test]
fn a_port_that_is_taken_is_named() {
    if !can_run() {
        return;
    }
    let lab = lab();
    let answer = inside(
        &lab,
        "busybox nc -l -p 10810 >/dev/null & until grep -q ':2A3A ' /proc/net/tcp*; do sleep 0.1; done; $lab serve out",
    );
    answer.exits(6).says(&["NBD on 192.168.7.1:10810: address already in use", "nbd_port"]);
    for (port, protocol) in [(67, "DHCP"), (69, "TFTP")] {
        let taken = format!(
            "python3 -c 'import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((\"\", {port})); \
             time.sleep(30)' & until grep -q ':00{port:02X} ' /proc/net/udp; do sleep 0.1; done; timeout 10 $lab serve out >log 2>&1 || {{ s=$?; cat log; exit $s; }}"
        );
        let answer = inside(&lab, &taken);
        assert_eq!(answer.output.status.code(), Some(6), "{protocol}: {}{}", answer.stdout, answer.stderr);
        assert!(
            answer.stdout.contains("another DHCP or TFTP server runs on this machine"),
            "{protocol}: {}",
            answer.stdout
        );
    }
}

#[test]
fn without_permission_the_namespace_is_named() {
    let nobody = Command::new("setpriv").args(["--reuid=65534", "--clear-groups", "true"]).status();
    if !nobody.is_ok_and(|status| status.success()) || !can_run() {
        return skipped("this process cannot become another user, or there are no namespaces");
    }
    let lab = lab();
    lab.write(
        "lab.toml",
        lab.read("lab.toml")
            .replace("address = \"192.168.7.1\"\n", "")
            .replace("interface = \"server\"\n", ""),
    );
    lab.run(&["netboot", "out"]).exits(0);
    let copy = lab.path("program");
    copy_program(program(), &copy);
    let chmod = Command::new("chmod").args(["-R", "a+rwX"]).arg(lab.dir.path()).status().expect("chmod");
    assert!(chmod.success());
    let mut serve = Command::new("setpriv");
    serve
        .args(["--reuid=65534", "--clear-groups"])
        .arg(&copy)
        .args(["serve", "out"])
        .current_dir(lab.dir.path());
    let answer = Answer::of(serve.env("XDG_STATE_HOME", lab.path("state")).stdin(Stdio::null()));
    answer.exits(6).says(&["unshare -Urn"]);
}

#[test]
fn what_is_no_tree_is_not_served() {
    let lab = Lab::with_network("");
    lab.write("out/tftp/boot.scr", "of somebody else");
    lab.run(&["serve", "out"]).exits(6).says(&["out is no tree of `identity-lab netboot`"]);
    lab.run(&["serve", "lost"]).exits(6);
}
