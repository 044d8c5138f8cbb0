// SPDX-License-Identifier: MIT OR Apache-2.0
//! Advice about copies that not every verb may clear, or go on from: in a partition, of a later version, of the highest
//! generation.

use super::*;

/// A card whose second copy, in a partition by now, is what `put` makes of it.
fn covered_with(put: impl Fn(&Image)) -> Image {
    let card = stamped();
    put(&card);
    card.put(0, Card::new(SECTORS).mbr(1, 0x0c, 2048, 4096).bytes().get(..512).expect("LBA 0"));
    card
}

/// What no verb clears, because it may be a file's: each says so, and what can be done by hand.
#[test]
fn a_damaged_copy_in_a_partition() {
    let damaged = || covered_with(|card| _ = card.damage(SECOND));
    let is_clear: fn(&Image) = |card| {
        is_whole(card);
        assert_eq!(card.copies(), [52, 1711]);
    };
    let card = damaged();
    assert!(commands(&run(&card, "verify").exits(5))[0].starts_with("identity repair "));
    let by_hand = commands(&run(&card, "repair").exits(5).says(&["LBA 6607", "may be part of a file"]));
    assert!(by_hand.len() == 1 && by_hand[0].starts_with("dd "), "{by_hand:?}");
    for verb in ["repair", "repair --force", "verify"] {
        assert_eq!(commands(&card.unchanged_by(|| run(&card, verb)).exits(5)), by_hand, "{verb}");
    }
    let changed = format!("stamp --uuid {UUID} --hostname h");
    assert_eq!(commands(&run(&card, &changed).exits(0)), by_hand, "a reason for what it prints");
    follow(&card, &by_hand[0], &[]);
    is_clear(&card);

    let erased = || {
        let card = damaged();
        run(&card, "erase").exits(4);
        card
    };
    let undo = commands(&run(&damaged(), "erase").exits(4));
    assert!(undo[0].starts_with("identity stamp --force --restore "), "{undo:?}");
    // Nothing is left that an erasure could clear, by force or without.
    for verb in ["erase", "erase --force", "verify"] {
        let card = erased();
        let named = commands(&card.unchanged_by(|| run(&card, verb)).exits(4));
        assert!(named.len() == 2 && named[0].starts_with("dd "), "{verb}: {named:?}");
        follow(&card, &named[1], &[]);
        follow(&card, &named[0], &[]);
        is_new(&card);
        let card = erased();
        follow(&card, &named[0].replace(&card_name(&named[0]), &card.path().display().to_string()), &[]);
        is_blank(&card);
    }
    let card = damaged();
    let named = commands(&run(&card, "erase").exits(4));
    follow(&card, &named[0], &[]);
    run(&card, "read").exits(0).says(&["LBA 6607"]);
    assert_eq!(document(&card)["uuid"], UUID);
}

/// The file that a command of `dd` writes to.
fn card_name(command: &str) -> String {
    let word = command.split(' ').find_map(|word| word.strip_prefix("of="));
    word.expect("a file").to_owned()
}

#[test]
fn a_lone_copy_in_a_partition() {
    let lone = || covered_with(|card| _ = card.clear(FIRST));
    each(
        lone,
        "verify",
        &[("identity repair --force --keep 6607", &[], is_whole), ("identity erase --force", &[], is_blank)],
    );
}

#[test]
fn a_conflict_with_a_copy_in_a_partition() {
    let two = || {
        covered_with(|card| {
            let other = Image::stamped(format!("--profile beagle --uuid {OTHER}"));
            card.put(SECOND, &other.sector(SECOND));
        })
    };
    for (uuid, check) in [(UUID, is_whole as fn(&Image)), (OTHER, is_new)] {
        each(
            two,
            "verify",
            &[
                ("identity repair --force --keep", &[("UUID", uuid)], check),
                ("identity stamp --force", &[], is_new),
            ],
        );
    }
}

/// Beside a copy that this program can read: what the messages name does what they say.
#[test]
fn a_newer_copy_beside_others() {
    let file = identity_tests::workspace().join("fixtures/sectors/newer-version-2.bin");
    let sector = fs::read(file).expect("a golden sector");
    let newer_at = |lbas: &[u32]| {
        let card = stamped();
        lbas.iter().for_each(|lba| _ = card.put(*lba, &sector));
        card
    };
    // It decides: what could be kept is not known.
    for verb in ["repair", "repair --force", "repair --keep 6607 --force", "bind --board=SN7 --force"] {
        let card = newer_at(&[FIRST]);
        let refused = card.unchanged_by(|| run(&card, verb)).exits(4).says(&["LBA 52", "update `identity`"]);
        assert!(!refused.stderr.contains("--force to write over it"), "{verb}: {}", refused.stderr);
        let named = commands(&refused);
        assert_eq!(named.len(), 1, "{named:?}");
        follow(&card, &named[0], &[]);
        is_new(&card);
    }
    // It does not decide: force writes over it.
    for lbas in [&[SECOND][..], &[2703]] {
        let card = newer_at(lbas);
        let named = commands(&run(&card, "verify").exits(5).says(&["update `identity`"]));
        assert!(named.len() == 1 && named[0].contains("identity repair --force"), "{named:?}");
        follow(&card, &named[0], &[]);
        is_whole(&card);
        for verb in
            ["repair".to_owned(), "bind --board=SN7".into(), format!("stamp --uuid {UUID} --serial S")]
        {
            let card = newer_at(lbas);
            card.unchanged_by(|| run(&card, &verb)).exits(4).says(&["give --force to write over it"]);
            run(&card, &format!("{verb} --force")).exits(0);
            is_whole(&card);
        }
    }
    let card = newer_at(&[2703]);
    let other = Image::stamped(format!("--profile beagle --uuid {OTHER}"));
    card.put(SECOND, &other.sector(SECOND));
    let named = commands(&run(&card, "verify").exits(5));
    follow(&card, &named[0], &[("UUID", UUID)]);
    is_whole(&card);
}

/// An identity that cannot be counted on.
#[test]
fn the_highest_generation() {
    let last = || {
        let card = stamped();
        let mut draft = card.copy(FIRST).next().expect("a draft");
        draft.set_generation(u32::MAX);
        let identity = draft.finish().expect("an identity");
        card.put(FIRST, &identity.encode(FIRST, SECOND)).put(SECOND, &identity.encode(SECOND, FIRST));
        card
    };
    for verb in [format!("stamp --uuid {UUID} --hostname h"), "bind --board=SN7".into()] {
        let card = last();
        let named = commands(&card.unchanged_by(|| run(&card, &verb)).exits(6));
        assert_eq!(named.len(), 1, "{verb}: {named:?}");
        follow(&card, &format!("{} ", named[0]), &[("CARD", &card.path().display().to_string())]);
        is_new(&card);
    }
}
