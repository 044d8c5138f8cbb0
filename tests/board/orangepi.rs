// SPDX-License-Identifier: MIT OR Apache-2.0
//! A board that takes everything from the card: QEMU's `orangepi-pc` goes from its boot ROM through SPL and U-Boot
//! 2025.01, built from source with our patch, to the identity that lies between them on the same card.

use std::fs;
use std::path::PathBuf;

use identity_tests::board::{Board, Machine, artifact, dhcp_requests};
use identity_tests::image::Image;
use serde_json::Value;

/// Where the boot ROM looks: 8 KiB.
const LOADER_LBA: u32 = 16;
const UUID: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";

/// A card with the loader, its identity, and what was there before the identity.
struct Card {
    image: Image,
    before: Vec<u8>,
}

impl Card {
    /// A card with an MBR and one FAT partition at 4 MiB, the loader written as U-Boot's documentation says, stamped.
    fn new() -> Self {
        let image = Image::absent();
        // For its partition table and file system only.
        image.run("stamp --create 64M --profile empty").exits(0);
        image.run("erase --force").exits(0);
        let loader = artifact("IDENTITY_TEST_UBOOT_ORANGEPI").join("u-boot-sunxi-with-spl.bin");
        image.put(LOADER_LBA, &fs::read(loader).expect("SPL and U-Boot"));
        let before = image.bytes();
        let card = Self { image, before };
        let words =
            format!("stamp --profile orangepi --uuid {UUID} --hostname pi-1 --serial SN7 --set rack=b4");
        card.image.run(words).exits(0).is_quiet();
        card
    }

    fn capture(&self) -> PathBuf {
        self.image.dir().join("frames.pcap")
    }

    fn read(&self) -> Value {
        self.image.run("read --format json").exits(0).json()
    }

    /// From power-on to U-Boot's prompt; returns also what was said on the way.
    fn boot(&self) -> (Board, String) {
        let capture = self.capture();
        let mut board = Machine::orangepi(self.image.path(), self.image.dir(), &capture).start();
        let said = board.stop_autoboot();
        (board, said)
    }
}

/// What the board has from the card is what the workstation reads.
fn check_applied(board: &mut Board, identity: &Value, state: &str) {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mac = text(&identity["macs"][0]["address"]);
    for (name, value) in [
        ("ethaddr", mac.clone()),
        ("identity_state", state.into()),
        ("identity_uuid", text(&identity["uuid"])),
        ("identity_profile", text(&identity["profile"])),
        ("identity_hostname", text(&identity["hostname"])),
        ("identity_serial", text(&identity["serial"])),
        ("identity_var_rack", text(&identity["variables"]["rack"])),
    ] {
        assert_eq!(board.variable(name), Some(value), "{name}");
    }
    let read = board.run("identity read");
    for part in
        ["uuid", "profile", "hostname", "serial"].map(|name| text(&identity[name])).iter().chain([&mac])
    {
        assert!(read.contains(part), "{part} is not in {read}");
    }
}

#[test]
fn the_board_boots_from_the_card_that_tells_who_it_is() {
    let card = Card::new();
    let copies: Vec<_> = card.image.copies();
    assert_eq!(card.image.changed_since(&card.before), copies, "only the two copies");
    assert_eq!(copies, [2703, 6607], "behind what belongs to the loader");
    let stamped = card.image.bytes();

    let identity = card.read();
    let (mut board, said) = card.boot();
    for stage in ["U-Boot SPL 2025.01", "Trying to boot from MMC1", "U-Boot 2025.01", "identity:"] {
        assert!(said.contains(stage), "{stage}: {said}");
    }
    check_applied(&mut board, &identity, "valid");

    board.run("setenv autoload no; dhcp");
    let requests = dhcp_requests(&card.capture());
    let (source, chaddr) = requests.first().expect("the board sent a DHCP request");
    let on_the_wire: Vec<_> = source.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (source, &*on_the_wire.join(":")),
        (chaddr, identity["macs"][0]["address"].as_str().expect("a MAC"))
    );
    drop(board);
    assert!(card.image.bytes() == stamped, "nothing on the board writes the card");
}

#[test]
fn it_boots_after_every_change_of_the_identity() {
    let card = Card::new();
    let words = format!("stamp --uuid {UUID} --hostname pi-2 --set rack=c1 --format json");
    let updated = card.image.run(words).exits(0).json();
    assert_eq!(updated["generation"], 2);
    check_applied(&mut card.boot().0, &updated, "valid");

    // U-Boot reads 6607 first.
    card.image.damage(6607);
    let (mut board, said) = card.boot();
    assert!(said.contains("degraded"), "{said}");
    check_applied(&mut board, &updated, "degraded");
    drop(board);

    card.image.run("repair").exits(0);
    check_applied(&mut card.boot().0, &updated, "valid");

    card.image.run("erase --force").exits(0);
    assert!(card.image.bytes() == card.before, "to the last bit as before the identity");
    let (mut board, said) = card.boot();
    assert!(said.contains("is blank"), "{said}");
    assert_eq!(board.variable("identity_state").as_deref(), Some("blank"));
}
