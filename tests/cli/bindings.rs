// SPDX-License-Identifier: MIT OR Apache-2.0
//! An identity that is bound to its card and its board is not taken elsewhere.

use identity_tests::block::Loop;
use identity_tests::image::Image;
use identity_tests::machine::Machine;
use serde_json::Value;

use crate::block_device::mount;
use crate::{OTHER, UUID};

/// A CID as Linux has it, another, and the first as it is stored: without checksum.
const CID: &str = "035344534C33324780AABBCCDD0155E7";
const OTHER_CID: &str = "035344534C33324780AABBCCDE0155E7";
const STORED: &str = "035344534c33324780aabbccdd015500";

fn stamped() -> Image {
    Image::stamped(format!("--profile panda --uuid {UUID} --hostname panda-03"))
}

/// A board with this card in its native slot.
fn board(card: &Loop, cid: &str, serial: Option<&str>) -> Machine {
    let machine = Machine::new().card("mmcblk0", card, &[("device/cid", cid)]);
    match serial {
        Some(serial) => machine.tree("chosen/identity/board-serial", format!("{serial}\0").as_bytes()),
        None => machine,
    }
}

#[test]
fn a_copy_of_a_bound_card_is_cloned() {
    let image = stamped();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let bound = board(&card, CID, None).identity("bind --format json").run().exits(0).is_quiet().json();
    assert_eq!((&bound["bindings"]["card"], &bound["generation"]), (&STORED.into(), &2.into()));
    assert_eq!((&bound["hostname"], &bound["uuid"]), (&"panda-03".into(), &UUID.into()), "all else is kept");
    for lba in [52, 6607] {
        assert_eq!(image.copy(lba).generation(), 2);
    }
    let own = board(&card, CID, None);
    own.identity("read").run().exits(0).is_quiet().shows(&[STORED]);
    own.identity("verify").run().exits(0).is_quiet().shows(&["the one it is bound to"]);

    let other = board(&card, OTHER_CID, None);
    for verb in ["read", "verify", "read --field uuid", "read --format shell", "read /dev/mmcblk0"] {
        let outcome = other.identity(verb).run().exits(5).says_one_sentence();
        outcome.says(&[
            "cloned",
            UUID,
            STORED,
            &OTHER_CID.to_lowercase()[..30],
            "stamp --force --profile NAME",
        ]);
    }
    assert!(!other.identity("read --format shell").run().stdout.contains(UUID));
    let before = image.bytes();
    let update = format!("stamp --uuid {UUID} --hostname x");
    let forced = format!("{update} --force");
    let double = format!("stamp --uuid {UUID} --profile x --force");
    for verb in [&update, &forced, &double, "repair", "bind", "erase"] {
        let code = if verb.starts_with("stamp") { 6 } else { 5 };
        other.identity(verb).arg("/dev/mmcblk0").run().exits(code).says_one_sentence().says(&["cloned"]);
    }
    assert!(image.bytes() == before);
    let empty = Image::mbr();
    let flash = format!("flash --yes {} /dev/mmcblk0", empty.path().display());
    other.identity(flash).run().exits(6).says_one_sentence().says(&["cloned"]);
    assert!(image.bytes() == before);
    // The way out that the message names.
    other.identity("stamp --force --profile panda /dev/mmcblk0").run().exits(0).says(&["kept in", UUID]);
    let own = other.identity("read --format json").run().exits(0).is_quiet().json();
    assert_ne!(own["uuid"], UUID);
    assert_eq!(own["bindings"]["card"], Value::Null);
}

/// Of two copies each may be bound to something else: `verify` says of each to what, and whether that fits.
#[test]
fn verify_says_of_each_copy_what_it_is_bound_to() {
    let image = stamped();
    image.run(format!("bind --cid {CID}")).exits(0);
    let other = Image::stamped(format!("--profile beagle --uuid {OTHER}"));
    other.run(format!("bind --cid {OTHER_CID} --board=SN8")).exits(0);
    image.put(6607, &other.sector(6607));
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let machine = board(&card, CID, Some("SN7"));
    let verified = machine.identity("verify /dev/mmcblk0").run().exits(5);
    let line =
        |lba: &str| verified.stdout.lines().find(|line| line.starts_with(lba)).expect("a line").to_owned();
    assert!(line("LBA 52").ends_with("valid, generation 2, bound to this card"), "{}", line("LBA 52"));
    let there = format!(
        "bound to another card, {}00, bound to another board, SN8: {OTHER} (beagle)",
        &OTHER_CID.to_lowercase()[..30]
    );
    assert!(line("LBA 6607").ends_with(&there), "{}", line("LBA 6607"));
    let json = machine.identity("verify --format json /dev/mmcblk0").run().exits(5).json();
    let of = |lba: u64| {
        let slots = json["slots"].as_array().expect("slots");
        slots.iter().find(|slot| slot["lba"] == lba).expect("a slot")["bindings"].clone()
    };
    assert_eq!(
        of(52),
        serde_json::json!({"card": STORED, "board": null, "card_fits": true, "board_fits": null})
    );
    assert_eq!((&of(6607)["card_fits"], &of(6607)["board_fits"]), (&false.into(), &false.into()));
    assert_eq!(of(2703), Value::Null);
    // Where neither card nor board is known, nothing is said to fit.
    drop((machine, card));
    let verified = image
        .run("verify")
        .exits(5)
        .shows(&[&format!("bound to the card {STORED}"), "bound to the board SN8"]);
    assert!(!verified.stdout.contains("bound to this"), "{}", verified.stdout);
}

#[test]
fn a_bound_card_in_another_board_is_moved() {
    let image = stamped();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    board(&card, CID, Some("SN7")).identity("bind --card --board").run().exits(0).shows(&["SN7", STORED]);
    board(&card, CID, Some("SN7")).identity("verify").run().exits(0).is_quiet();
    let other = board(&card, CID, Some("SN8"));
    for verb in ["read", "verify", "repair /dev/mmcblk0"] {
        let outcome = other.identity(verb).run().exits(5).says_one_sentence();
        outcome.says(&["moved", UUID, "SN7", "SN8", "bind --force --board=SN8"]);
    }
    // The move was meant.
    other.identity("bind --force --board=SN8 /dev/mmcblk0").run().exits(0);
    other.identity("verify").run().exits(0).is_quiet();
}

#[test]
fn what_cannot_be_compared_is_named_and_not_held_against_the_card() {
    let image = stamped();
    image.run("verify").exits(0).is_quiet().shows(&["unbound", "identity bind"]);
    let unbound = image.run("verify --format json").exits(0).json();
    assert_eq!(unbound["bindings"], serde_json::json!({"card": null, "board": null}));
    image.run(format!("bind --cid {CID} --board=SN7")).exits(0);
    image.run("read").exits(0).is_quiet();
    image.run("verify").exits(0).is_quiet().shows(&["not compared", "image file", STORED, "SN7"]);
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let reader = Machine::new()
        .card("sdb", &card, &[("removable", "1")])
        .tree("chosen/identity/board-serial", b"SN8\0");
    let verified = reader.identity("verify /dev/sdb").run().exits(0).is_quiet();
    verified.shows(&["this reader does not show the card's CID"]);
    let json = reader.identity("verify --format json /dev/sdb").run().json();
    assert_eq!(json["here"], serde_json::json!({"card": null, "board": null}));
}

#[test]
fn bind_refuses_where_it_cannot_know_and_says_how_else() {
    let image = stamped();
    image.unchanged("bind").exits(6).says_one_sentence().says(&["card.img", "CID", "--cid HEX"]);
    image.unchanged("bind --board").exits(6).says_one_sentence().says(&["card.img", "--board=SERIAL"]);
    for cid in ["xyz", "00", "00000000000000000000000000000055", "035344534C33324780AABBCCDD0155E7FF"] {
        image.unchanged(format!("bind --cid {cid}")).exits(2).says(&["32 hex digits"]);
    }
    image.unchanged("bind --board=a,\u{e9}").exits(2);
    Image::mbr().unchanged(format!("bind --cid {CID}")).exits(3).says(&["blank"]);
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    // Another card's CID would make a clone of it at once.
    let wrong = board(&card, CID, None).identity(format!("bind --cid {OTHER_CID}")).run();
    wrong.exits(6).says_one_sentence().says(&[
        "--cid names",
        &OTHER_CID.to_lowercase()[..30],
        STORED,
        "leave",
    ]);
    let wrong = board(&card, CID, Some("SN7")).identity("bind --board=SN8").run();
    wrong.exits(6).says_one_sentence().says(&["--board names", "SN8", "SN7"]);
    assert_eq!(image.copy(52).generation(), 1);
}

#[test]
fn an_update_keeps_bindings_and_unbind_removes_them() {
    let image = stamped();
    image.run(format!("bind --cid {CID} --board=SN7")).exits(0);
    image.run(format!("stamp --uuid {UUID} --hostname new")).exits(0);
    let bindings = |image: &Image| image.run("read --format json").exits(0).json()["bindings"].clone();
    assert_eq!(bindings(&image), serde_json::json!({"card": STORED, "board": "SN7"}));
    image.unchanged(format!("bind --cid {CID}")).exits(0).shows(&["bound already"]);
    image.unchanged("bind --unbind --dry-run").exits(0).shows(&["nothing was written"]);
    image.run("bind --unbind --board").exits(0).shows(&["unbound"]);
    assert_eq!(bindings(&image), serde_json::json!({"card": STORED, "board": null}));
    image.run("bind --unbind").exits(0);
    assert_eq!(bindings(&image), serde_json::json!({"card": null, "board": null}));
    assert_eq!(image.copy(52).generation(), 5);
    image.unchanged("bind --unbind").exits(0).shows(&["not bound"]);
}

#[test]
fn verify_compares_with_what_the_bootloader_handed_over() {
    let image = stamped();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let started_with = |uuid: &str, generation: u8| {
        board(&card, CID, None)
            .tree("chosen/identity/state", b"valid\0")
            .tree("chosen/identity/uuid", format!("{uuid}\0").as_bytes())
            .tree("chosen/identity/profile", b"panda\0")
            .tree("chosen/identity/hostname", b"panda-03\0")
            .tree("chosen/identity/generation", &[0, 0, 0, generation])
    };
    started_with(UUID, 1).identity("verify").run().exits(0).is_quiet();
    let other = started_with(OTHER, 1);
    other.identity("verify").run().exits(5).says_one_sentence().says(&["bootloader", UUID, OTHER]);
    let json = other.identity("verify --format json").run().exits(5).json();
    assert_eq!((&json["bootloader"]["uuid"], &json["state"]), (&OTHER.into(), &"valid".into()));
    started_with(UUID, 2).identity("verify").run().exits(5).says(&["generation 1, not 2"]);
    // Named, it is compared if the system runs from it.
    other.identity("verify /dev/mmcblk0").run().exits(0).is_quiet();
    other.mounted(&card, "/boot").identity("verify /dev/mmcblk0").run().exits(5).says(&["bootloader"]);
}

#[test]
fn a_board_binds_a_whole_identity_that_is_bound_to_nothing_and_no_other() {
    let image = stamped();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let (own, other) = (board(&card, CID, Some("SN7")), board(&card, OTHER_CID, Some("SN7")));
    let bind = |board: &Machine| board.identity("bind --mounted --card --if-unbound /dev/mmcblk0").run();
    image.damage(52);
    let before = image.bytes();
    bind(&own).exits(5).says_one_sentence().says(&["degraded"]);
    assert!(image.bytes() == before);
    card.run("repair").exits(0);
    bind(&own).exits(0).is_quiet().shows(&["bound /dev/mmcblk0", STORED]);
    assert_eq!(image.copy(52).generation(), 2);
    // At the next start, and on a copy.
    let before = image.bytes();
    bind(&own).exits(0).is_quiet().shows(&["bound already"]);
    bind(&other).exits(5).says_one_sentence().says(&["cloned"]);
    own.identity("bind --if-unbound --force").run().exits(2);
    assert!(image.bytes() == before);
    // Bound to its board alone is bound, by somebody who knew what to.
    own.identity("bind --unbind --card /dev/mmcblk0").run().exits(0);
    own.identity("bind --board=SN7 /dev/mmcblk0").run().exits(0);
    let before = image.bytes();
    bind(&own).exits(6).says_one_sentence().says(&["bound already, to the board SN7; give --force"]);
    assert!(image.bytes() == before);
}

#[test]
fn a_card_in_use_is_bound_only_when_that_is_said() {
    let image = stamped();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let Some(mounted) = mount(&image, &card) else { return };
    let bind = format!("bind --cid {CID}");
    let before = image.bytes();
    let refused = card.run(&bind).exits(6).says_one_sentence();
    refused.says(&["mounted here", "--mounted"]);
    assert!(image.bytes() == before, "refused, and written all the same");
    card.run(format!("stamp --uuid {UUID} --hostname x --mounted")).exits(2);

    card.run(format!("{bind} --mounted")).exits(0).is_quiet();
    drop(mounted);
    for lba in [52, 6607] {
        assert_eq!(image.copy(lba).generation(), 2);
    }
    // The file system may have written in its partition, which starts at LBA 8192.
    let changed = image.changed_since(&before);
    assert!(changed.iter().all(|&lba| [52, 6607].contains(&lba) || lba >= 8192), "{changed:?}");
}

#[test]
fn a_lone_copy_is_not_completed_by_a_binding() {
    let image = stamped();
    image.clear(6607);
    let refused = image.unchanged("bind --board=SN7").exits(6);
    refused.says(&["LBA 52", "only copy", "identity repair --keep 52"]);
    image.run("repair --keep 52").exits(0);
    image.run("bind --board=SN7").exits(0);
}
