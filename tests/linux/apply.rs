// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/apply` with cards that are not in order, or not the only ones; `tests/board/linux_initramfs.rs` has it on a board.

use std::thread;
use std::time::Instant;

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
    let outcome = outcome.exits(code).prints("hostname=image\nrun=/run/identity*\nfiles=\n").says(reasons);
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

#[test]
fn what_is_advised_can_be_done_on_another_machine_and_helps() {
    type Spoil = fn(&Image);
    fn damage(image: &Image, lbas: &[u32]) {
        for &lba in lbas {
            image.damage(lba);
        }
    }
    let spoil: [(&str, Spoil); 5] = [
        ("is degraded", |image| damage(image, &[52])),
        ("holds the only copy", |image| {
            image.clear(52);
        }),
        ("is corrupt", |image| damage(image, &[52, 6607])),
        ("is in conflict", |image| {
            let other = stamped(OTHER, "panda-2");
            image.put(6607, &other.sector(6607));
        }),
        ("(blank)", |image| {
            image.clear(52).clear(6607);
        }),
    ];
    for (what, spoil) in spoil {
        let image = stamped(UUID, "panda-1");
        let record = image.dir().join("printed.json");
        std::fs::write(&record, image.run("read --format json").exits(0).stdout).expect("a file");
        spoil(&image);
        let Some(card) = Loop::attach(image.path(), &[]) else { return };
        let machine = Machine::new().card("mmcblk0", &card, &[]);
        let said = machine.apply(AT_ONCE).run().stderr;
        let loud = said.lines().filter(|line| line.starts_with("<3>")).count();
        assert!(said.contains(what) && loud == 1, "{what}: {said}");
        assert!(said.contains("with the card in a reader of another machine"), "{what}: {said}");
        let command = said
            .split('`')
            .skip(1)
            .step_by(2)
            .find(|command| !command.starts_with("identity read"))
            .unwrap_or_else(|| panic!("no command: {said}"));
        let words = command
            .strip_prefix("identity ")
            .expect("ours")
            .replace(" /dev/mmcblk0", "")
            .replace(" DEVICE", "")
            .replace("FILE", &record.display().to_string());
        card.run(words.replace("UUID", UUID).replace("NAME", "panda")).exits(0);
        machine.apply(AT_ONCE).run().exits(0).says(&["panda, "]);
    }
}

/// How long it takes.
fn seconds<T>(run: impl FnOnce() -> T) -> (u64, T) {
    let start = Instant::now();
    let done = run();
    (start.elapsed().as_secs(), done)
}

#[test]
fn any_nonsense_as_a_time_to_wait_is_said_and_the_boot_goes_on() {
    if !identity_tests::block::is_privileged() {
        return;
    }
    let nonsense =
        ["CARD_WAIT=", "CARD_WAIT=5s", "CARD_WAIT=0.5", "CARD_WAIT=-1", "CARD_WAIT='1 2'", "CARD_WAIT=1000"];
    // No card comes: it is waited for as long as without a word on it.
    let run =
        |settings: &'static str| thread::spawn(move || seconds(|| Machine::new().apply(settings).run()));
    for (settings, running) in nonsense.map(|settings| (settings, run(settings))) {
        let (seconds, outcome) = running.join().expect("it ends");
        let outcome =
            outcome.exits(7).says(&["<3>CARD_WAIT", "/etc/default/identity", "taken for 5", "no card"]);
        assert!((5..30).contains(&seconds), "{settings}: {seconds} s");
        assert_eq!(outcome.stderr.lines().count(), 2, "{}", outcome.stderr);
    }
    // Of the shell's words too: what cannot be read is left out.
    for settings in ["CARD_WAIT='0", "CARD_WAIT=$(", "CARD_WAIT=0 $NOBODY_HAS_SET_THIS"] {
        let outcome = Machine::new().apply(settings).run().exits(7);
        outcome.says(&["<3>/etc/default/identity cannot be read", "no card"]);
    }
    let (seconds, outcome) = seconds(|| Machine::new().apply("CARD_WAIT=08").run());
    assert!(seconds >= 8 && outcome.stderr.lines().count() == 1, "eight, {seconds} s: {}", outcome.stderr);
}

#[test]
fn waiting_is_for_a_card_that_may_come_and_not_for_another_identity() {
    let (blank, corrupt, other) = (Image::mbr(), stamped(UUID, "panda-1"), stamped(OTHER, "panda-2"));
    corrupt.damage(52).damage(6607);
    let attach = |image: &Image| Loop::attach(image.path(), &[]);
    let (Some(blank), Some(corrupt), Some(other)) = (attach(&blank), attach(&corrupt), attach(&other)) else {
        return;
    };
    let machine = |card: &Loop| Machine::new().card("mmcblk0", card, &[]);
    for (machine, code, reason) in [
        (machine(&blank), 3, "blank"),
        (machine(&corrupt), 4, "corrupt"),
        (machine(&blank).tree("chosen/identity/state", b"blank\0"), 3, "blank"),
        (machine(&other).tree("chosen/identity/state", b"blank\0"), 5, "bootloader"),
    ] {
        let (seconds, outcome) = seconds(|| machine.apply("CARD_WAIT=20").run());
        has_taken_nothing(outcome, code, &[reason]);
        assert!(seconds < 10, "{reason}: {seconds} s");
    }
    // The bootloader has read a card that has not come yet.
    for card in [&blank, &corrupt, &other] {
        let (seconds, outcome) = seconds(|| started_with(machine(card), UUID).apply("CARD_WAIT=3").run());
        has_taken_nothing(outcome, 7, &["bootloader", UUID]);
        assert!(seconds >= 3, "{seconds} s");
    }
}

#[test]
fn the_bootloaders_copy_is_found_where_no_slot_is() {
    let image = Image::sfdisk(64 << 11, "label: dos\nstart=40960");
    image.run(format!("stamp --profile panda --uuid {UUID} --hostname panda-1 --at 9000,9100")).exits(0);
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let machine = || Machine::new().card("mmcblk0", &card, &[]);
    has_taken_nothing(machine().apply(AT_ONCE).run(), 3, &["blank"]);
    let told = started_with(machine(), UUID).tree("chosen/identity/lba", &9000u32.to_be_bytes());
    has_taken(told.apply(AT_ONCE).run(), UUID, "panda-1");
    told.identity("read --field uuid").run().exits(0).prints(&format!("{UUID}\n"));
}

#[test]
fn a_directory_that_is_there_is_replaced_or_left_and_never_nested() {
    let image = stamped(UUID, "panda-1");
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let machine = Machine::new().card("mmcblk0", &card, &[]);
    // An empty one, as systemd's RuntimeDirectory= makes it; one of an earlier reading that is not whole.
    let outcome = machine.apply("mkdir -p /run/identity").run();
    has_taken(outcome, UUID, "panda-1")
        .shows(&["files=card hostname identity.env identity.json machine-id\n"]);
    let outcome = machine.apply("mkdir -p /run/identity; echo old >/run/identity/identity.json").run();
    has_taken(outcome, UUID, "panda-1")
        .shows(&["files=card hostname identity.env identity.json machine-id\n"]);
    // Somebody else's.
    let outcome = machine.apply("mkdir -p /run/identity; : >/run/identity/precious").run().exits(6);
    outcome.says(&["<3>nothing is taken", "/run/identity"]).shows(&["files=precious\n"]);
}
