// SPDX-License-Identifier: MIT OR Apache-2.0
//! A board with an SD card and an eMMC, both stamped, takes the identity of the one that it started from.

use std::fs;
use std::process::Command;

use identity_tests::bench::{check_applied, mac_of};
use identity_tests::board::{Board, Model, sandbox_tree};
use identity_tests::image::Image;

/// A stamped card with as much as `check_applied` looks at.
fn card(profile: &str) -> Image {
    let image = Image::absent();
    image.run(format!("stamp --create 64M --profile {profile} --hostname panda-3 --serial SN42")).exits(0);
    image
}

/// U-Boot's sandbox with these cards; mmc 0 is the one that its code says it has started from.
fn sandbox(cards: [&Image; 2]) -> (Board, String) {
    let build = Model::Sandbox.build("2025.01");
    let dir = cards[0].dir();
    let mut command = Command::new(build.join("u-boot"));
    command.arg("-d").arg(sandbox_tree(&build, dir, &cards.map(Image::path))).current_dir(dir);
    boot(command)
}

fn boot(command: Command) -> (Board, String) {
    let mut board = Board::start(command);
    let said = board.stop_autoboot();
    (board, said)
}

#[track_caller]
fn takes(board: &mut Board, said: &str, device: u32, card: &Image) {
    assert!(said.contains(&format!("(mmc {device}, LBA ")), "{said}");
    check_applied(board, card, "valid");
}

#[test]
fn of_two_stamped_cards_the_board_takes_the_one_that_its_code_names() {
    let (one, other) = (card("one"), card("other"));
    for cards in [[&one, &other], [&other, &one]] {
        let (mut board, said) = sandbox(cards);
        takes(&mut board, &said, 0, cards[0]);
        let list = board.run("identity list");
        assert!(list.contains("mmc 0") && list.contains("mmc 1"), "both are there: {list}");
    }
}

#[test]
fn a_blank_card_gets_no_identity_from_the_other_one() {
    let (blank, other) = (card("one"), card("other"));
    blank.run("erase --force").exits(0);
    let (mut board, said) = sandbox([&blank, &other]);
    assert!(said.contains("identity: mmc 0 is blank"), "{said}");
    assert_eq!(board.variable("identity_state").as_deref(), Some("blank"));
    assert_eq!(board.variable("identity_uuid"), None);
    // A person may name it.
    let said = board.run("identity env mmc 1");
    assert!(said.contains("(mmc 1, LBA "), "{said}");
    let uuid = other.run("read --field uuid").stdout;
    assert_eq!(board.variable("identity_uuid").as_deref(), Some(uuid.trim_end()));
}

/// On an Allwinner board its code asks the head of the first loader, in which the boot ROM notes where that came from.
fn orange_pi_started_from(source: u8, card: &Image) -> (Board, String) {
    const SOURCE_OFFSET: usize = 0x28;
    let build = Model::OrangePi.build("2025.01");
    let mut head = [0; SOURCE_OFFSET + 1];
    head[4..12].copy_from_slice(b"eGON.BT0");
    head[SOURCE_OFFSET] = source;
    let file = card.dir().join("head");
    fs::write(&file, head).expect("own directory");
    let mut command = Model::OrangePi.machine(&build, card.path());
    command.arg("-device").arg(format!("loader,file={},addr=0,force-raw=on", file.display()));
    let u_boot = build.join("u-boot.bin");
    command.arg("-device").arg(format!("loader,file={},addr=0x4a000000,cpu-num=0", u_boot.display()));
    boot(command)
}

#[test]
fn a_board_that_started_from_its_emmc_takes_nothing_from_the_sd_card() {
    const SD: u8 = 0;
    const EMMC: u8 = 2;
    let card = card("one");
    let (mut board, said) = orange_pi_started_from(SD, &card);
    takes(&mut board, &said, 0, &card);

    // QEMU has no eMMC there; what counts is that the card's identity is not taken instead.
    let (mut board, said) = orange_pi_started_from(EMMC, &card);
    assert!(said.contains("identity: mmc 1 is unreadable"), "{said}");
    assert_eq!(board.variable("identity_state").as_deref(), Some("unreadable"));
    assert_eq!(board.variable("identity_uuid"), None);
    assert_ne!(board.variable("ethaddr").as_deref(), Some(mac_of(&card.run("read --format json").json())));
}
