// SPDX-License-Identifier: MIT OR Apache-2.0
//! U-Boot looks at every slot, and what it advises can be done and helps. In its sandbox, which starts in a second.

use identity_core::Uuid;
use identity_core::field::kind;
use identity_core::slot::READING_ORDER;
use identity_core::{Draft, Identity};
use identity_tests::bench::{Bench, mac_of, text};
use identity_tests::board::{Board, Model};
use serde_json::{Value, json};

fn bench() -> Bench {
    Bench::new("2025.01", Model::Sandbox)
}

fn other() -> Identity {
    let mut draft = Draft::new(Uuid::from_u128(0x0bad_cafe_0000_4000_8000_0000_0000_0001)).expect("a UUID");
    draft.set_text(kind::PROFILE, "other").expect("a profile");
    draft.finish().expect("whole")
}

/// The lines about the identity, of all that the board has said.
fn lines(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.starts_with("identity:")).collect()
}

#[test]
fn another_identity_in_any_slot_is_a_conflict_on_start() {
    let bench = bench();
    let identity = bench.stamp(&[]);
    let copies = bench.image.copies();
    let others = READING_ORDER.iter().map(|slot| slot.lba).filter(|&lba| !copies.contains(&(lba as usize)));
    let mut tried = 0;
    for lba in others {
        bench.image.put(lba, &other().encode(lba, if lba == 5 { 7 } else { 5 }));
        let (mut board, said) = bench.boot();
        let said = lines(&said);
        assert!(
            matches!(said[..], [line] if line.contains("is conflict, the environment is left alone:")),
            "LBA {lba}: {said:?}"
        );
        assert_eq!(board.variable("identity_state").as_deref(), Some("conflict"), "LBA {lba}");
        for name in ["identity_uuid", "identity_profile", "pxeuuid"] {
            assert_eq!(board.variable(name), None, "LBA {lba}");
        }
        assert_ne!(board.variable("ethaddr").as_deref(), Some(mac_of(&identity)), "LBA {lba}");
        bench.image.clear(lba);
        tried += 1;
    }
    assert_eq!(tried, 8);
}

/// What is advised of the card as the board has it now.
fn advice(board: &mut Board, state: &str) -> String {
    let said = board.run("identity verify");
    let mut lines = said.lines().skip_while(|line| *line != format!("state       {state}"));
    assert!(lines.next().is_some(), "{state}: {said}");
    lines.next().expect("advice").trim().to_owned()
}

/// Brings a stamped card into a state in which the board, at its prompt, finds it.
struct Case {
    state: &'static str,
    spoil: fn(&Bench, &Value, &mut Board),
}

fn damage(bench: &Bench, count: usize) {
    for lba in bench.image.copies().into_iter().take(count) {
        bench.image.damage(lba.try_into().expect("an LBA"));
    }
}

const CASES: [Case; 8] = [
    Case { state: "blank", spoil: |bench, _, _| drop(bench.image.run("erase --force").exits(0)) },
    Case { state: "degraded", spoil: |bench, _, _| damage(bench, 1) },
    Case {
        state: "degraded",
        spoil: |bench, _, _| {
            let last = *bench.image.copies().last().expect("a copy");
            bench.image.clear(last.try_into().expect("an LBA"));
        },
    },
    // In a partition that begins earlier than when the card was stamped.
    Case {
        state: "degraded",
        spoil: |bench, _, _| {
            damage(bench, 1);
            let last: u32 =
                bench.image.copies().last().expect("a copy").to_owned().try_into().expect("an LBA");
            let mut table = bench.image.sector(0);
            table[454..458].copy_from_slice(&last.to_le_bytes());
            bench.image.put(0, &table);
        },
    },
    Case { state: "corrupt", spoil: |bench, _, _| damage(bench, 2) },
    Case {
        state: "conflict",
        spoil: |bench, _, _| {
            bench.image.put(7, &other().encode(7, 5));
        },
    },
    // The sandbox's card has a CID of zeros.
    Case {
        state: "cloned",
        spoil: |bench, _, _| drop(bench.image.run(format!("bind --cid {:032x}", 0x100)).exits(0)),
    },
    Case {
        state: "moved",
        spoil: |bench, _, board| {
            bench.image.run("bind --board=BOARD1").exits(0);
            board.run("setenv serial# BOARD2");
        },
    },
];

/// Each command that is named is one that can be run in that state, and afterwards the board takes the card.
#[test]
fn what_is_advised_can_be_done_and_helps() {
    let (mut alone, mut forced) = (0, 0);
    for case in &CASES {
        let bench = bench();
        let identity = bench.stamp(&[]);
        let (mut board, _) = bench.boot();
        (case.spoil)(&bench, &identity, &mut board);
        let advice = advice(&mut board, case.state);
        let (what, command) =
            advice.rsplit_once(": identity ").unwrap_or_else(|| panic!("no command: {advice}"));
        let uuid = text(&identity, "/uuid");
        let mut words = command.replace("CARD", "").replace("NAME", "panda").replace("UUID", uuid);
        let what = match what.strip_suffix(" (--force if a copy lies in a partition)") {
            Some(what) => {
                let lies_in_one = bench.image.run("verify --format json").json()["in_partition"] != json!([]);
                words += if lies_in_one { " --force" } else { "" };
                forced += usize::from(lies_in_one);
                what
            }
            None => what,
        };
        let outcome = if case.state == "moved" {
            assert!(what.ends_with("in Linux on this board"), "{advice}");
            // On the board Linux has it from the device tree.
            bench.image.run(words.replace("--board", "--board=BOARD2"))
        } else {
            assert!(what.ends_with("on a workstation"), "{advice}");
            // There is no terminal to answer at: what is named is enough.
            alone += usize::from(what.starts_with("one copy, which may be a piece of another card"));
            bench.image.run(words)
        };
        outcome.exits(0);
        let said = board.run("identity env");
        assert_eq!(
            board.variable("identity_state").as_deref(),
            Some("valid"),
            "{}: {advice}\n{said}",
            case.state
        );
        let found = bench.image.run("read --field uuid").exits(0).stdout;
        assert_eq!(board.variable("identity_uuid").as_deref(), Some(found.trim()), "{advice}");
        let kept = found.trim() == uuid;
        assert_eq!(kept, matches!(case.state, "degraded" | "conflict" | "moved"), "{}", case.state);
    }
    assert_eq!(alone, 1, "only one of them has nothing of a second copy");
    assert_eq!(forced, 1, "only one of them has a copy in a partition");
}
