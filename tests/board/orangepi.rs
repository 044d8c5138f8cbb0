// SPDX-License-Identifier: MIT OR Apache-2.0
//! A board that takes everything from the card: QEMU's `orangepi-pc` goes from its boot ROM through SPL and U-Boot
//! 2025.01, built from source with our patch, to the identity that lies between them on the same card.

use identity_tests::bench::{Bench, check_applied};
use identity_tests::board::Model;

const UUID: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";

fn stamped() -> (Bench, Vec<u8>) {
    let bench = Bench::new("2025.01", Model::OrangePi);
    let before = bench.image.bytes();
    bench.stamp(&["--uuid", UUID, "--hostname", "pi-1", "--serial", "SN7", "--set", "rack=b4"]);
    (bench, before)
}

#[test]
fn the_board_boots_from_the_card_that_tells_who_it_is() {
    let (bench, before) = stamped();
    let copies = bench.image.copies();
    assert_eq!(bench.image.changed_since(&before), copies, "only the two copies");
    assert_eq!(copies, [2703, 6607], "behind what belongs to the loader");

    let (mut board, said) = bench.boot();
    for stage in ["U-Boot SPL 2025.01", "Trying to boot from MMC1", "U-Boot 2025.01", "identity:"] {
        assert!(said.contains(stage), "{stage}: {said}");
    }
    check_applied(&mut board, &bench.image, "valid");
}

#[test]
fn it_boots_after_every_change_of_the_identity() {
    let (bench, before) = stamped();
    let updated = bench.stamp(&["--uuid", UUID, "--hostname", "pi-2", "--set", "rack=c1"]);
    assert_eq!(updated["generation"], 2);
    check_applied(&mut bench.boot().0, &bench.image, "valid");

    // U-Boot reads 6607 first.
    bench.image.damage(6607);
    let (mut board, said) = bench.boot();
    assert!(said.contains("degraded"), "{said}");
    check_applied(&mut board, &bench.image, "degraded");
    drop(board);

    bench.image.run("repair").exits(0);
    check_applied(&mut bench.boot().0, &bench.image, "valid");

    bench.image.run("erase --force").exits(0);
    assert!(bench.image.bytes() == before, "to the last bit as before the identity");
    let (mut board, said) = bench.boot();
    assert!(said.contains("is blank"), "{said}");
    assert_eq!(board.variable("identity_state").as_deref(), Some("blank"));
}
