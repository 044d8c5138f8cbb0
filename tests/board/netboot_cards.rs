// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `identity-lab card` makes, on a board that has nothing else: from the boot ROM to the kernel's start, untouched.

use std::path::Path;
use std::process::Command;

use identity_tests::board::{Board, Model};
use tempfile::TempDir;

use crate::netboot::{KNOWN, lab, run};

/// A lab of orangepi_pc, and the card of its board in `card.img`.
fn made(card: &str) -> TempDir {
    let loader = Model::OrangePi.build("2025.01").join("u-boot-sunxi-with-spl.bin");
    let more = format!("[card]\nloader = \"boot/u-boot.bin\"\nfamily = \"Allwinner\"\n{card}");
    let lab = lab("sun8i-h3-orangepi-pc.dtb", &loader, &more, "");
    run(lab.path(), &["card", "panda-3", "-o", "card.img"]);
    lab
}

/// The board, switched on with the card; QEMU serves `tftp` if there is one.
fn start(lab: &TempDir, tftp: Option<&Path>) -> Board {
    let card = lab.path().join("card.img");
    let mut command: Command = Model::OrangePi.machine(&Model::OrangePi.build("2025.01"), &card);
    let nic = tftp.map_or("none".to_owned(), |tftp| format!("user,tftp={}", tftp.display()));
    command.args(["-nic", &nic]);
    Board::start(command)
}

/// What the kernel is started with, and by whom.
fn is_started(board: &mut Board) -> String {
    let said = board.expect("Starting kernel");
    assert!(
        said.contains("U-Boot SPL ") && said.contains(&format!("identity: panda {KNOWN} (mmc 0, ")),
        "{said}"
    );
    let kernel = board.expect("Unknown kernel command line");
    assert!(kernel.contains("command line: console=ttyS0,115200 place=b4 name=panda-3"), "{kernel}");
    said
}

#[test]
fn a_card_with_the_loader_takes_the_rest_from_the_network() {
    let lab = made("");
    run(lab.path(), &["netboot", "out"]);
    let mut board = start(&lab, Some(&lab.path().join("out/tftp")));
    let said = is_started(&mut board);
    assert!(said.contains(&format!("Filename 'boards/{KNOWN}.scr'")), "{said}");
}

#[test]
fn a_card_with_a_kernel_needs_no_server() {
    let lab = made("boot = \"card\"\n");
    let mut board = start(&lab, None);
    is_started(&mut board);
}
