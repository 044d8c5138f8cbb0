// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/apply` with cards that are not in order, or not the only ones; `tests/board/linux_initramfs.rs` has it on a board.

use identity_tests::block::Loop;
use identity_tests::cli::Outcome;
use identity_tests::image::Image;
use identity_tests::machine::Machine;

const UUID: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";
const OTHER: &str = "0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02";
/// Two cards of one make.
const CID: &str = "035344534C33324780AABBCCDD0155E7";
const OTHER_CID: &str = "035344534C33324780AABBCCDE0155E7";
/// Nothing that these tests wait for is on its way.
const AT_ONCE: &str = "CARD_WAIT=0";

fn stamped(uuid: &str, hostname: &str) -> Image {
    Image::stamped(format!("--profile panda --uuid {uuid} --hostname {hostname}"))
}

fn started_with(machine: Machine, uuid: &str) -> Machine {
    let machine = machine.tree("chosen/identity/state", b"valid\0");
    machine.tree("chosen/identity/uuid", format!("{uuid}\0").as_bytes())
}

/// That all of it was taken.
#[track_caller]
fn has_taken(outcome: Outcome, uuid: &str, hostname: &str) -> Outcome {
    let (uuid, hostname) = (format!("IDENTITY_UUID={uuid}\n"), format!("hostname={hostname}\n"));
    outcome.exits(0).shows(&[&uuid, &hostname, "run=/run/identity\n"])
}

/// That nothing was, and one line for the console says why.
#[track_caller]
fn has_taken_nothing(outcome: Outcome, code: i32, reasons: &[&str]) {
    let outcome = outcome.exits(code).prints("hostname=image\nrun=/run/identity*\n").says(reasons);
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert!(lines.len() == 1 && lines[0].starts_with("<3>nothing is taken"), "{lines:?}");
}

#[test]
fn a_sector_that_cannot_be_read_is_said_and_the_second_copy_used() {
    let image = stamped(UUID, "panda-1");
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let machine = Machine::new().card("mmcblk0", &card, &[]);
    has_taken(machine.apply(AT_ONCE).run(), UUID, "panda-1");
    let outcome = machine.apply(AT_ONCE).fault("FAULT_READ", "52").run();
    has_taken(outcome, UUID, "panda-1")
        .says(&["<3>", "degraded", "LBA 52"])
        .shows(&["IDENTITY_STATE=degraded\n"]);
    let outcome = machine.apply(AT_ONCE).fault("FAULT_READ", "ANY").run();
    has_taken_nothing(outcome, 7, &["/dev/mmcblk0", "cannot be read"]);
}

#[test]
fn a_clone_or_a_card_from_another_board_changes_nothing_and_is_said() {
    let image = stamped(UUID, "panda-1");
    image.run(format!("bind --cid {CID} --board=SN7")).exits(0);
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let board = |cid, serial: &str| {
        let machine = Machine::new().card("mmcblk0", &card, &[("device/cid", cid)]);
        machine.tree("chosen/identity/board-serial", format!("{serial}\0").as_bytes())
    };
    has_taken(board(CID, "SN7").apply(AT_ONCE).run(), UUID, "panda-1");
    has_taken_nothing(board(OTHER_CID, "SN7").apply(AT_ONCE).run(), 5, &["cloned", UUID]);
    has_taken_nothing(board(CID, "SN8").apply(AT_ONCE).run(), 5, &["moved", "SN7", "SN8"]);
}

#[test]
fn of_two_cards_only_the_one_that_is_meant_is_taken() {
    let (one, two, clone) = (stamped(UUID, "panda-1"), stamped(OTHER, "panda-2"), stamped(UUID, "panda-1"));
    let attach = |image: &Image| Loop::attach(image.path(), &[]);
    let (Some(one), Some(two), Some(clone)) = (attach(&one), attach(&two), attach(&clone)) else { return };
    let with = |second: &Loop| Machine::new().card("mmcblk0", &one, &[]).card("mmcblk1", second, &[]);
    // Two identities, or one twice: neither, unless somebody has said which.
    has_taken_nothing(with(&two).apply(AT_ONCE).run(), 5, &["/dev/mmcblk0", UUID, "/dev/mmcblk1", OTHER]);
    has_taken_nothing(with(&clone).apply(AT_ONCE).run(), 5, &["/dev/mmcblk0", "/dev/mmcblk1", UUID]);
    has_taken(with(&two).apply("CARD=/dev/mmcblk1").run(), OTHER, "panda-2");
    has_taken(with(&clone).apply("CARD=/dev/mmcblk1").run(), UUID, "panda-1");
    // The bootloader has.
    has_taken(started_with(with(&two), UUID).apply(AT_ONCE).run(), UUID, "panda-1");
    has_taken(started_with(with(&two), OTHER).apply(AT_ONCE).run(), OTHER, "panda-2");
    has_taken_nothing(started_with(with(&clone), UUID).apply(AT_ONCE).run(), 5, &["several cards"]);
    // And what a person says counts before that.
    has_taken(started_with(with(&two), UUID).apply("CARD=/dev/mmcblk1").run(), OTHER, "panda-2");
}

#[test]
fn another_card_than_the_bootloader_has_read_is_not_taken_instead() {
    let image = stamped(UUID, "panda-1");
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let machine = || Machine::new().card("mmcblk0", &card, &[]);
    has_taken(started_with(machine(), UUID).apply(AT_ONCE).run(), UUID, "panda-1");
    has_taken_nothing(started_with(machine(), OTHER).apply(AT_ONCE).run(), 7, &["bootloader", UUID, OTHER]);
    // Nor if it has read one without an identity of use, unless somebody has said which.
    let behind = |state: &str| machine().tree("chosen/identity/state", format!("{state}\0").as_bytes());
    for state in ["blank", "corrupt", "conflict", "cloned", "moved"] {
        let reasons = ["bootloader", state, UUID, "CARD", "/etc/default/identity"];
        has_taken_nothing(behind(state).apply(AT_ONCE).run(), 5, &reasons);
        has_taken(behind(state).apply("CARD=/dev/mmcblk0").run(), UUID, "panda-1");
    }
    // What it could not read, or not understand, it has no word on.
    for state in ["newer", "unreadable"] {
        has_taken(behind(state).apply(AT_ONCE).run(), UUID, "panda-1");
    }
}
