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
use identity_tests::published::{CLONED_MACHINE_ID, Client, Published, Release, Root, file_on};
use serde_json::Value;

const SECTOR_LEN: usize = 512;

/// Two boards with one image.
struct Pair {
    desk: Desk,
    published: Published,
    /// The hostname of each board in the end.
    ends_as: [&'static str; 2],
    image: PathBuf,
}

impl Pair {
    fn new(published: Published, ends_as: [&'static str; 2]) -> Self {
        let desk = Desk::new(2, "256M");
        let image = published.make(&desk.path("."));
        let pair = Self { desk, published, ends_as, image };
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
            let card = self.desk.card(identity);
            let machine = Model::Vexpress.machine(&Model::Vexpress.build("2025.01"), &card);
            let mut board = self.desk.network.start(&machine, index + 1, None, &capture);
            let seen = Seen::of(&mut board, &self.published, self.ends_as[index], &capture);
            Seen { stored: file_on(&card, "/etc/machine-id"), ..seen }
        })
    }
}

/// What one start of a board shows, on the system itself and on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    mac: String,
    machine_id: String,
    /// On the card, afterwards.
    stored: String,
    journal: String,
    hostname: String,
    address: String,
    address_in_u_boot: Option<String>,
    u_boot: Called,
    linux: Called,
    duids: Vec<String>,
}

impl Seen {
    /// Waits for the hostname that it is to end with, for nothing says when all is settled.
    fn of(board: &mut Board, published: &Published, ends_as: &str, capture: &Path) -> Self {
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
        let wait = format!(
            "for i in $(seq 120); do if [ \"$(hostname)\" = {ends_as} ]; then break; fi; sleep 1; done"
        );
        ask(board, &wait);
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
            stored: String::new(),
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
/// was written again. They end with these hostnames.
fn two_machines(published: Published, ends_as: [&'static str; 2]) {
    let pair = Pair::new(published, ends_as);
    let is_image = || {
        if published.root == Root::ReadOnly {
            pair.desk.boards.iter().for_each(|board| pair.card_is_the_image(board));
        }
    };
    let seen = pair.boot("first");
    eprintln!("{published:?}\n{seen:#?}");
    for (seen, identity) in seen.iter().zip(&pair.desk.boards) {
        seen.is_of(identity);
        if published.root != Root::ReadOnly {
            assert_eq!(seen.stored, seen.machine_id);
        }
    }
    is_image();
    seen[0].differs_from(&seen[1]);
    assert_eq!([&seen[0].hostname, &seen[1].hostname], ends_as);
    pair.flash(&pair.desk.boards[1]);
    let mut again = pair.boot("again");
    is_image();
    if published.client == Client::Ifupdown {
        // Its DUID has a time in it, and is kept in a file: the image that was written again has none.
        again[1].linux.client.clone_from(&seen[1].linux.client);
        again[1].duids.clone_from(&seen[1].duids);
    }
    assert_eq!(again, seen);
}

#[test]
fn debian_12_with_networkd_read_only_is_two_machines() {
    let published = Published {
        release: Release::Debian12,
        client: Client::Networkd,
        root: Root::ReadOnly,
        machine_id: Some(""),
        hostname: None,
        more: "",
    };
    two_machines(published, ["panda-1", "panda-2"]);
}

/// A bad clone: somebody has copied the card of a system that had run. NetworkManager asks for the image's name.
#[test]
fn debian_12_with_network_manager_and_the_machine_id_of_a_bad_clone_is_two_machines() {
    let published = Published {
        release: Release::Debian12,
        client: Client::NetworkManager,
        root: Root::Remounted,
        machine_id: Some(CLONED_MACHINE_ID),
        hostname: Some("image"),
        more: "",
    };
    two_machines(published, ["image", "image"]);
}

#[test]
fn debian_12_with_network_manager_read_only_is_two_machines() {
    let published = Published {
        release: Release::Debian12,
        client: Client::NetworkManager,
        root: Root::ReadOnly,
        machine_id: Some(""),
        hostname: Some("image"),
        more: "systemd.mask=systemd-hostnamed.service",
    };
    two_machines(published, ["panda-1", "panda-2"]);
}

#[test]
fn debian_12_with_dhclient_is_two_machines() {
    let published = Published {
        release: Release::Debian12,
        client: Client::Ifupdown,
        root: Root::Writable,
        machine_id: Some(CLONED_MACHINE_ID),
        hostname: Some("image"),
        more: "",
    };
    two_machines(published, ["panda-1", "panda-2"]);
}

#[test]
fn debian_13_with_dhcpcd_is_two_machines() {
    let published = Published {
        release: Release::Debian13,
        client: Client::Ifupdown,
        root: Root::Remounted,
        machine_id: Some("uninitialized"),
        hostname: Some("image"),
        more: "systemd.firstboot=off",
    };
    two_machines(published, ["panda-1", "panda-2"]);
}
