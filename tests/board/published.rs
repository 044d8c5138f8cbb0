// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images as published, with nothing of ours in them: two boards from one image, byte for byte, are two machines.

use std::fs;
use std::path::{Path, PathBuf};

use identity_tests::bench::text;
use identity_tests::board::{Board, Model};
use identity_tests::capture::{Called, dhcp_requests, duids, mac, sources};
use identity_tests::cli::Identity;
use identity_tests::desk::Desk;
use identity_tests::login::{ask, log_in, side_by_side};
use identity_tests::published::{Client, Published, Release, Root};
use serde_json::Value;

const SECTOR_LEN: usize = 512;

/// Two boards with one image.
struct Pair {
    desk: Desk,
    published: Published,
    image: PathBuf,
}

impl Pair {
    fn new(published: Published) -> Self {
        let desk = Desk::new(2, "256M");
        let image = published.make(&desk.path("."));
        let pair = Self { desk, published, image };
        for board in &pair.desk.boards {
            pair.flash(board);
        }
        pair
    }

    fn flash(&self, board: &Value) {
        Identity::new("flash --yes").arg(&self.image).arg(self.desk.card(board)).run().exits(0);
        self.card_is_the_image(board);
    }

    /// All but the two sectors with the identity.
    fn card_is_the_image(&self, board: &Value) {
        let path = self.desk.card(board);
        let identity = Identity::new("read --format json").arg(&path).run().exits(0).json();
        let mut card = fs::read(path).expect("the card");
        for copy in identity["copies"].as_array().expect("copies") {
            let lba = usize::try_from(copy["lba"].as_u64().expect("a number")).expect("on the card");
            card[lba * SECTOR_LEN..][..SECTOR_LEN].fill(0);
        }
        assert!(
            card == fs::read(&self.image).expect("the image"),
            "{} is not the image",
            text(board, "/hostname")
        );
    }

    /// Starts both boards side by side, and looks at them until they are off again.
    fn boot(&self, name: &str) -> Vec<Seen> {
        side_by_side(self.desk.boards.iter().collect(), |index, identity| {
            let capture = self.desk.path(format!("{name}{index}.pcap"));
            let machine =
                Model::Vexpress.machine(&Model::Vexpress.build("2025.01"), &self.desk.card(identity));
            let mut board = self.desk.network.start(&machine, index + 1, None, &capture);
            Seen::of(&mut board, &self.published, &capture)
        })
    }
}

/// What one start of a board shows, on the system itself and on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    mac: String,
    machine_id: String,
    journal: String,
    hostname: String,
    address: String,
    address_in_u_boot: Option<String>,
    u_boot: Called,
    linux: Called,
    duids: Vec<String>,
}

impl Seen {
    fn of(board: &mut Board, published: &Published, capture: &Path) -> Self {
        board.stop_autoboot();
        board.run("setenv autoload no; dhcp");
        let address_in_u_boot = board.variable("ipaddr");
        published.start(board);
        log_in(board, " login: ");
        // What asks for an address may set a hostname then.
        ask(
            board,
            "for i in $(seq 250); do if ip -4 -o address show dev eth0 scope global | grep -q inet; then break; fi; \
             sleep 1; done; systemctl is-system-running --wait; sleep 5",
        );
        let journals =
            "ls /run/log/journal /var/log/journal 2>/dev/null | grep -E '^[0-9a-f]{32}$' | sort -u";
        let address = "ip -4 -o address show dev eth0 scope global | sed 's/.* inet \\([0-9.]*\\).*/\\1/'";
        let [mac_there, machine_id, journal, hostname, address] =
            ["cat /sys/class/net/eth0/address", "cat /etc/machine-id", journals, "hostname", address]
                .map(|command| ask(board, command));
        board.send("systemctl poweroff\n");
        board.wait_for_power_off();

        let requests = dhcp_requests(capture);
        for request in &requests {
            assert_eq!([&request.source, &request.hardware].map(|address| mac(address)), [&*mac_there; 2]);
        }
        assert_eq!(sources(capture).into_iter().collect::<Vec<_>>(), [&*mac_there]);
        let is_u_boot =
            |called: &Called| called.class.as_deref().is_some_and(|class| class.starts_with("U-Boot"));
        let of =
            |stage: bool| Called::by(requests.iter().filter(|request| is_u_boot(&request.called()) == stage));
        Self {
            mac: mac_there,
            machine_id,
            journal,
            hostname,
            address,
            address_in_u_boot,
            u_boot: of(true),
            linux: of(false),
            duids: duids(capture).into_iter().collect(),
        }
    }

    fn is_of(&self, identity: &Value) {
        assert_eq!(self.mac, text(identity, "/macs/0"));
        assert_eq!(self.machine_id, text(identity, "/machine_id"));
        assert_eq!(self.journal, text(identity, "/machine_id"));
        // dnsmasq knows the board by one name in all stages.
        assert_eq!(self.address_in_u_boot.as_ref(), Some(&self.address));
    }

    /// Nothing that names a machine is the same.
    fn differs_from(&self, other: &Self) {
        for (name, [one, another]) in [
            ("mac", [&self.mac, &other.mac]),
            ("machine-id", [&self.machine_id, &other.machine_id]),
            ("address", [&self.address, &other.address]),
        ] {
            assert_ne!(one, another, "{name}");
        }
        self.u_boot.differs_from(&other.u_boot);
        self.linux.differs_from(&other.linux);
        assert!(self.duids.iter().all(|duid| !other.duids.contains(duid)), "{self:?} {other:?}");
    }
}

/// The whole life of two boards with one image: the first start; then a restart of one, and a start of the other after its card
/// was written again. Returns what each one was.
fn life_of_two_boards(published: Published) -> Vec<Seen> {
    let pair = Pair::new(published);
    let seen = pair.boot("first");
    eprintln!("{published:?}\n{seen:#?}");
    for (seen, identity) in seen.iter().zip(&pair.desk.boards) {
        seen.is_of(identity);
        if published.root == Root::ReadOnly {
            pair.card_is_the_image(identity);
        }
    }
    seen[0].differs_from(&seen[1]);
    pair.flash(&pair.desk.boards[1]);
    let mut again = pair.boot("again");
    if published.client == Client::Ifupdown {
        // Its DUID has a time in it, and is kept in a file: the image that was written again has none.
        again[1].linux.client.clone_from(&seen[1].linux.client);
        again[1].duids.clone_from(&seen[1].duids);
    }
    assert_eq!(again, seen);
    seen
}

fn hostnames(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| &*seen.hostname).collect()
}

#[test]
fn debian_12_with_networkd_read_only_is_two_machines() {
    let seen = life_of_two_boards(Published {
        release: Release::Debian12,
        client: Client::Networkd,
        root: Root::ReadOnly,
        machine_id: Some(""),
        hostname: None,
    });
    assert_eq!(hostnames(&seen), ["panda-1", "panda-2"]);
}
