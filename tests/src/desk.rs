// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boards on a desk: a network of their own, the servers of a lab that knows them by their identities, and a card for each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::bench::text;
use crate::board::artifact;
use crate::cli::Identity;
use crate::lab::program;
use crate::network::{Network, Serve};

const LAB: &str = "name = \"desk\"\n\n[server]\naddress = \"192.168.7.1\"\n\n[network]\nsubnet = \"192.168.7.0/24\"\n\
                   range = \"192.168.7.100-192.168.7.200\"\ninterface = \"server\"\n";

/// The desk. The list names no addresses: dnsmasq chooses them.
#[derive(Debug)]
pub struct Desk {
    _dhcpv6: Dhcpv6,
    _serve: Serve,
    /// Where the boards are.
    pub network: Network,
    /// As `identity-lab list --format json` has them.
    pub boards: Vec<Value>,
    dir: TempDir,
}

impl Desk {
    /// With as many boards, whose cards of this size hold an identity and an empty partition.
    ///
    /// # Panics
    /// If something is missing for it.
    pub fn new(boards: usize, size: &str) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let lab = |words: &[&str]| {
            let output =
                Command::new(program()).current_dir(dir.path()).args(words).stdin(Stdio::null()).output();
            let output = output.expect("it starts");
            assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("text")
        };
        fs::create_dir(dir.path().join("profiles")).expect("own directory");
        for (name, content) in [
            ("lab.toml", LAB),
            ("boards.csv", "hostname,profile,uuid\n"),
            ("profiles/panda.toml", "[boot]\nkernel = \"zImage\"\n"),
        ] {
            fs::write(dir.path().join(name), content).expect("own directory");
        }
        fs::copy(artifact("IDENTITY_TEST_LINUX").join("zImage"), dir.path().join("zImage")).expect("room");
        lab(&["add", &format!("panda-[1-{boards}]"), "--profile", "panda"]);
        lab(&["netboot", "out"]);
        let list: Value = serde_json::from_str(&lab(&["list", "--format", "json"])).expect("JSON");
        let network = Network::new(boards);
        let serve = Serve::start(&network, dir.path());
        let boards = list.as_array().expect("a list").clone();
        let desk = Self { _dhcpv6: Dhcpv6::start(&network), _serve: serve, network, boards, dir };
        for board in &desk.boards {
            let stamp =
                Identity::new("stamp --profile panda --create").args([size, "--uuid", text(board, "/uuid")]);
            stamp.args(["--hostname", text(board, "/hostname")]).arg(desk.card(board)).run().exits(0);
        }
        desk
    }

    /// A name in the desk's directory.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A board's card.
    pub fn card(&self, board: &Value) -> PathBuf {
        self.path(format!("{}.img", text(board, "/hostname")))
    }
}

/// Addresses over IPv6; what is generated for a lab has none.
#[derive(Debug)]
struct Dhcpv6(Child);

impl Dhcpv6 {
    fn start(network: &Network) -> Self {
        let address = "address add fd00:7::1/64 dev server nodad".split(' ');
        assert!(network.command("ip").args(address).status().expect("iproute2").success());
        let mut dnsmasq = network.command("dnsmasq");
        dnsmasq.args(
            "--conf-file=/dev/null --no-daemon --port=0 --interface=server --except-interface=lo".split(' '),
        );
        dnsmasq.args("--bind-interfaces --enable-ra --dhcp-range=fd00:7::100,fd00:7::1ff,64,12h".split(' '));
        dnsmasq.arg("--dhcp-leasefile=/dev/null").stdin(Stdio::null()).stderr(Stdio::null());
        Self(dnsmasq.spawn().expect("dnsmasq"))
    }
}

impl Drop for Dhcpv6 {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
