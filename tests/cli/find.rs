// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card that is meant when none is named, and the list of all.

use identity_layout::mark::Mark;
use identity_tests::block::Loop;
use identity_tests::image::Image;
use identity_tests::machine::Machine;

use crate::{OTHER, UUID};

fn stamped(uuid: &str) -> Image {
    Image::stamped(format!("--profile panda --uuid {uuid}"))
}

#[test]
fn read_and_verify_find_the_card_that_the_system_runs_from() {
    let (one, two) = (stamped(UUID), stamped(OTHER));
    let (Some(card), Some(other)) = (Loop::attach(one.path(), &[]), Loop::attach(two.path(), &[])) else {
        return;
    };
    let machine = Machine::new().card("mmcblk0", &other, &[]).card("mmcblk1", &card, &[]).mounted(&card, "/");
    machine.identity("read --field uuid").run().exits(0).prints(&format!("{UUID}\n"));
    machine.identity("verify").run().exits(0).shows(&[UUID]).is_quiet();
}

#[test]
fn else_the_only_native_card_with_an_identity() {
    let (one, blank) = (stamped(UUID), Image::mbr());
    let (Some(card), Some(other)) = (Loop::attach(one.path(), &[]), Loop::attach(blank.path(), &[])) else {
        return;
    };
    let machine = Machine::new().card("mmcblk0", &other, &[]).card("mmcblk1", &card, &[]);
    machine.identity("read --field uuid").run().exits(0).prints(&format!("{UUID}\n"));
    // An eMMC's boot partition is no card, whatever is on it; nor is a USB reader's card meant without being named.
    let machine = Machine::new().card("mmcblk0", &other, &[]).card("mmcblk0boot0", &card, &[]);
    machine.identity("read").run().exits(3).says_one_sentence().says(&["/dev/mmcblk0 (blank)"]);
    let machine = Machine::new().card("sda", &card, &[("removable", "1")]);
    machine.identity("read").run().exits(7).says_one_sentence().says(&["no card"]);
}

#[test]
fn two_cards_with_an_identity_are_listed_and_none_is_taken() {
    for second in [UUID, OTHER] {
        let (one, two) = (stamped(UUID), stamped(second));
        let (Some(card), Some(other)) = (Loop::attach(one.path(), &[]), Loop::attach(two.path(), &[])) else {
            return;
        };
        let machine = Machine::new().card("mmcblk0", &card, &[]).card("mmcblk2", &other, &[]);
        for verb in ["read", "verify", "read --format env"] {
            let outcome = machine.identity(verb).run().exits(5).prints("").says_one_sentence();
            outcome.says(&["/dev/mmcblk0", UUID, "/dev/mmcblk2", second, "panda"]);
        }
    }
}

#[test]
fn of_two_cards_with_an_identity_the_one_that_the_bootloader_handed_over_is_taken() {
    let (one, two) = (stamped(UUID), stamped(OTHER));
    let (Some(card), Some(other)) = (Loop::attach(one.path(), &[]), Loop::attach(two.path(), &[])) else {
        return;
    };
    let started_with = |uuid: &str, second: &Loop| {
        Machine::new()
            .card("mmcblk0", &card, &[])
            .card("mmcblk2", second, &[])
            .tree("chosen/identity/state", b"valid\0")
            .tree("chosen/identity/uuid", format!("{uuid}\0").as_bytes())
    };
    for uuid in [UUID, OTHER] {
        let read = started_with(uuid, &other).identity("read --field uuid").run();
        read.exits(0).is_quiet().prints(&format!("{uuid}\n"));
    }
    // Neither has it, or both have.
    let neither = "27f0c1de-6f0c-4c0e-8a51-b7f0a9a3c1d2";
    started_with(neither, &other).identity("read").run().exits(5).prints("").says_one_sentence();
    let clone = Image::absent();
    std::fs::copy(one.path(), clone.path()).expect("room");
    let Some(same) = Loop::attach(clone.path(), &[]) else { return };
    started_with(UUID, &same).identity("read").run().exits(5).prints("").says_one_sentence();
}

#[test]
fn a_machine_without_cards_says_so() {
    if !identity_tests::block::is_privileged() {
        return;
    }
    for verb in ["read", "verify", "bind"] {
        Machine::new().identity(verb).run().exits(7).says_one_sentence().says(&["no card"]);
    }
    Machine::new().identity("list").run().exits(0).shows(&["no card"]);
    assert_eq!(Machine::new().identity("list --format json").run().json()["cards"], serde_json::json!([]));
}

#[test]
fn a_card_that_fails_is_not_taken_for_blank() {
    let image = Image::mbr();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let machine = Machine::new().card("mmcblk0", &card, &[]);
    machine
        .identity("read")
        .fault("FAULT_READ", "52")
        .run()
        .exits(7)
        .says(&["/dev/mmcblk0", "cannot be read"]);
}

#[test]
fn list_shows_cards_and_readers_and_no_disks() {
    let named = Image::stamped(format!("--profile panda --uuid {UUID} --hostname panda-1"));
    let (one, two, blank) = (named, stamped(OTHER), Image::mbr());
    let attach = |image: &Image| Loop::attach(image.path(), &[]);
    let (Some(card), Some(disk), Some(empty)) = (attach(&one), attach(&two), attach(&blank)) else { return };
    let machine = Machine::new()
        .card("mmcblk0", &card, &[("device/type", "SD"), ("device/name", "SL\u{202e}32G")])
        .card("sda", &disk, &[])
        .card("sdb", &empty, &[("removable", "1")])
        .empty_reader("sdc");
    let text = machine.identity("list").run().exits(0).is_quiet();
    let text = text.shows(&[
        "DEVICE",
        "HOSTNAME",
        "MAC",
        "/dev/mmcblk0",
        "SD SL\\u{202e}32G",
        "valid",
        UUID,
        "panda",
        "8 MiB",
    ]);
    let text = text.shows(&["/dev/sdb", "blank", "/dev/sdc", "Card Reader", "empty"]);
    assert!(!text.stdout.contains("/dev/sda"), "{}", text.stdout);
    let cards = machine.identity("list --format json").run().exits(0).json();
    let states: Vec<_> = cards["cards"].as_array().unwrap().iter().map(|card| &card["state"]).collect();
    assert_eq!(states, ["valid", "blank", "empty"]);
    assert_eq!(cards["cards"][0]["size"], 8 << 20);
    // What tells one board from another where it runs.
    let own = one.run("read --format json").exits(0).json();
    assert_eq!(cards["cards"][0]["hostname"], "panda-1");
    assert_eq!(cards["cards"][0]["mac"], own["macs"][0]["address"]);
}

#[test]
fn list_names_two_cards_with_one_identity() {
    let (one, two) = (stamped(UUID), stamped(UUID));
    let (Some(card), Some(copy)) = (Loop::attach(one.path(), &[]), Loop::attach(two.path(), &[])) else {
        return;
    };
    let machine = Machine::new().card("mmcblk0", &card, &[]).card("sdb", &copy, &[("removable", "1")]);
    let outcome = machine.identity("list --format json").run().exits(5).says_one_sentence();
    assert_eq!(outcome.json()["cards"][1]["same_identity_as"][0], "/dev/mmcblk0");
    outcome.says(&["/dev/mmcblk0", "/dev/sdb", "the same identity", UUID, "stamp --force"]);
}

/// A UUID that a person types, or that comes from a file, while the card that has it is in another reader.
#[test]
fn an_identity_that_another_card_of_this_machine_has_takes_consent() {
    let (one, two) = (stamped(UUID), Image::mbr());
    let (Some(card), Some(blank)) = (Loop::attach(one.path(), &[]), Loop::attach(two.path(), &[])) else {
        return;
    };
    let machine = Machine::new().card("mmcblk0", &card, &[]).card("sdb", &blank, &[("removable", "1")]);
    let before = two.bytes();
    let stamp = |words: &str| {
        machine.identity(format!("stamp --profile panda --uuid {UUID} {words}")).arg("/dev/sdb").run()
    };
    stamp("").exits(6).says(&[
        "/dev/mmcblk0 has the identity",
        UUID,
        "two boards would share it",
        "give --force",
    ]);
    // In `flash` too, by the image that is made for the other card.
    let mut flash = machine.identity("flash --yes --restore").arg(one.path()).arg(one.path()).arg("/dev/sdb");
    flash.command().env("XDG_STATE_HOME", two.dir().join("state"));
    flash.run().exits(6).says(&["/dev/mmcblk0 has the identity", UUID]);
    assert!(two.bytes() == before);
    stamp("--force").exits(0);
    // An update of the card itself asks nothing.
    machine.identity(format!("stamp --uuid {UUID} --hostname new")).arg("/dev/mmcblk0").run().exits(0);
}

#[test]
fn list_names_an_unfinished_flash() {
    let image = stamped(UUID);
    image.put(0, &Mark::new("os.img", None).encode());
    let Some(card) = Loop::attach_whole(image.path(), &[]) else { return };
    let machine = Machine::new().card("mmcblk0", &card, &[]);
    machine
        .identity("list")
        .run()
        .exits(0)
        .shows(&["/dev/mmcblk0 holds an unfinished flash of os.img; finish it"]);
    let cards = machine.identity("list --format json").run().exits(0).json();
    assert_eq!(
        (&cards["cards"][0]["state"], &cards["cards"][0]["unfinished"]),
        (&"valid".into(), &"os.img".into())
    );
}

#[test]
fn list_shows_a_card_that_fails() {
    let image = stamped(UUID);
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let machine = Machine::new().card("mmcblk0", &card, &[]);
    // Pulled while it was read: nothing after that can be.
    for sector in ["52", "ANY"] {
        let outcome = machine.identity("list --format json").fault("FAULT_READ", sector).run().exits(0);
        let state = if sector == "52" { "degraded" } else { "unreadable" };
        assert_eq!(outcome.json()["cards"][0]["state"], state);
    }
}

#[test]
fn a_card_pulled_while_it_is_read_gives_one_clear_line_and_nothing_else() {
    let image = stamped(UUID);
    for words in ["read", "read --format shell", "read --format env", "read --field uuid", "verify"] {
        let outcome = image.identity(words).fault("FAULT_READ", "ANY").run().exits(7).says_one_sentence();
        assert!(!outcome.stdout.contains(UUID), "{}", outcome.stdout);
        outcome.says(&["card.img", "input/output error"]);
    }
}
