// SPDX-License-Identifier: MIT OR Apache-2.0
//! Advice about copies that not every verb may clear, or go on from: in a partition, of a later version, of the highest
//! generation.

use identity_tests::cli::Identity;

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
    let (_dir, image) = os();
    let ways: [Advice<'_>; 2] =
        [("identity repair --force --keep 6607", &[], is_whole), ("identity erase --force", &[], is_blank)];
    for verb in ["read", "verify", "repair", "bind --board=SN7", "derive", &format!("flash {image}")] {
        each(lone, verb, &ways);
    }
    each(
        lone,
        "stamp --profile x",
        &[
            ("identity repair --force --keep", &[], is_whole),
            ("identity stamp --force --profile", &[], is_new),
        ],
    );
}

/// Plain readers look at no table while nothing is wrong; what they advise is true all the same.
#[test]
fn what_readers_advise_of_a_degraded_card_with_a_copy_in_a_partition() {
    let degraded = || covered_with(|card| _ = card.damage(FIRST));
    for verb in ["read", "read --field uuid", "read --format json", "derive", "verify"] {
        each(degraded, verb, &[("identity repair --force", &[], is_whole)]);
    }
    let card = degraded();
    let Some(device) = Loop::attach(card.path(), &[]) else { return };
    let shown = device.path().display().to_string();
    let named = quoted(&Identity::new("list --loops").run().stdout);
    let ours = named.iter().find(|command| command.ends_with(&shown)).expect("advice");
    drop(device);
    follow(&card, &ours.replace(&shown, &card.path().display().to_string()), &[]);
    is_whole(&card);
}

#[test]
fn other_values_for_a_card_with_a_copy_in_a_partition() {
    let (_dir, image) = os();
    for make in [|| covered_with(|_| ()), || covered_with(|card| _ = card.damage(FIRST))] {
        each(
            make,
            &format!("flash --profile x {image}"),
            &[("identity stamp --force --uuid", &[], is_changed)],
        );
    }
}

#[test]
fn a_conflict_with_a_copy_in_a_partition() {
    let two = || {
        covered_with(|card| {
            let other = Image::stamped(format!("--profile beagle --uuid {OTHER}"));
            card.put(SECOND, &other.sector(SECOND));
        })
    };
    for ((uuid, check), verb) in [(UUID, is_whole as fn(&Image)), (OTHER, is_new)]
        .into_iter()
        .flat_map(|kept| [(kept, "verify"), (kept, "read")])
    {
        each(
            two,
            verb,
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
    // One of two lies in a partition, where no option helps: no command is named that would be refused.
    for verb in [
        "repair",
        "repair --force",
        "bind --board=SN7",
        "stamp --force --profile panda",
        "erase",
        "stamp --profile panda",
    ] {
        let card = covered_with(|card| [FIRST, SECOND].iter().for_each(|lba| _ = card.put(*lba, &sector)));
        let refused = card.unchanged_by(|| run(&card, verb)).exits(4).says(&["LBA 6607", "in a partition"]);
        assert!(commands(&refused).is_empty(), "{verb}: {}", refused.stderr);
        assert!(!refused.stderr.contains("--force"), "{verb}: {}", refused.stderr);
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

/// The slots hold nothing, or damaged copies, and a valid copy lies beside them: the first line tells of it, and no command
/// is named that would be refused because of it.
#[test]
fn a_copy_outside_the_slots_is_in_the_first_line() {
    let with = |state: &str| {
        let card = stamped();
        let copy: Stored = card.copy(FIRST);
        card.put(300, &copy.encode(300, 302)).put(302, &copy.encode(302, 300));
        match state {
            "blank" => _ = card.clear(FIRST).clear(SECOND),
            "corrupt" => _ = card.damage(FIRST).damage(SECOND),
            "degraded" => _ = card.damage(SECOND),
            _ => (),
        }
        card
    };
    for (state, code) in [("blank", 3), ("corrupt", 4), ("degraded", 5), ("valid", 0)] {
        let card = with(state);
        let verified = run(&card, "verify").exits(code);
        let first = verified.stdout.lines().next().unwrap_or_default();
        assert!(first.starts_with("state") && first.contains(state), "{first}");
        assert!(first.ends_with(" (LBA 300, which is not a slot, holds a valid copy: --at 300)"), "{first}");
        let named = commands(&verified.says_one_sentence());
        assert!(named.len() == 1 && named[0].starts_with("identity verify --at 300 "), "{named:?}");
        let seen_of = &card;
        // It may exit with what it finds; what it finds has the way out.
        let seen = run(&card, "verify --at 300");
        for command in commands(&seen).iter().filter(|command| !command.contains("FILE")) {
            let old = seen_of.path().display().to_string();
            let card = with(state);
            let command = command.replace(&old, &card.path().display().to_string());
            follow(&card, &command, &[]);
            let left = run(&card, "verify --at 300");
            assert!(matches!(left.code, Some(0 | 3)), "{command}: {left:?}");
        }
        assert!(state == "valid" || state == "blank" || !commands(&seen).is_empty(), "{seen:?}");
        run(&card, "map").exits(0).says(&["LBA 300"]).shows(&["outside of them:   300 (--at 300)"]);
        assert_eq!(run(&card, "map --format json").exits(0).json()["elsewhere"], 300);
    }
}

/// What replaced an identity at a place of its own is found there by the undo.
#[test]
fn the_undo_at_a_place_of_its_own() {
    let card = stamped();
    let named = commands(&run(&card, "stamp --force --profile beagle --at 300,400").exits(0));
    assert_eq!(named.len(), 2, "{named:?}");
    // Where readers do not look by themselves, the line says how they do.
    follow(&card, &named[1], &[]);
    follow(&card, &named[0], &[]);
    run(&card, "verify --at 300").exits(0).shows(&[UUID]);
}

/// Without a place for records: what the line says to do with the line works.
#[test]
fn the_undo_of_what_was_printed() {
    for (verb, check) in [("erase", is_whole as fn(&Image)), ("stamp --force --profile beagle", is_whole)] {
        let card = stamped();
        let mut identity = card.identity(verb);
        identity.command().env("XDG_STATE_HOME", "/proc/nowhere");
        let done = identity.run().exits(0);
        let file = card.dir().with_extension("line");
        fs::write(&file, &done.stdout).expect("own directory");
        let named = commands(&done);
        assert_eq!(named.len(), 1, "{named:?}");
        follow(&card, &named[0], &[("FILE", &file.display().to_string())]);
        check(&card);
        fs::remove_file(file).expect("own file");
    }
}

/// Two versions of one identity and another identity: a UUID does not tell which is meant.
#[test]
fn a_conflict_of_three() {
    let three = || {
        let card = stamped();
        let place = |of: &str, lba: u32, peer: u32| {
            let copy: Stored = Image::stamped(of).copy(FIRST);
            card.put(lba, &copy.encode(lba, peer));
        };
        place(&format!("--profile beagle --uuid {UUID}"), SECOND, FIRST);
        place(&format!("--profile omap --uuid {OTHER}"), 2703, 1711);
        card
    };
    let said = run(&three(), "verify").exits(5).says(&["--keep LBA", UUID, OTHER]);
    assert!(!said.stderr.contains("--keep UUID"), "{}", said.stderr);
    for (lba, profile) in [("52", "panda"), ("6607", "beagle"), ("2703", "omap")] {
        let card = three();
        let named = commands(&run(&card, "verify").exits(5));
        follow(&card, &named[0], &[("LBA", lba)]);
        run(&card, "verify").exits(0);
        assert_eq!(document(&card)["profile"], profile);
    }
}

/// An identity that cannot be counted on is given back as it was: its generation does not wrap, and nothing is lost.
#[test]
fn the_undo_of_the_highest_generation() {
    let last = || {
        let card = stamped();
        let mut draft = card.copy(FIRST).draft();
        draft.set_generation(u32::MAX);
        let identity = draft.finish().expect("an identity");
        card.put(FIRST, &identity.encode(FIRST, SECOND)).put(SECOND, &identity.encode(SECOND, FIRST));
        card
    };
    let back = |card: &Image| {
        is_whole(card);
        assert_eq!(document(card)["generation"], u32::MAX);
    };
    each(last, "erase", &[("identity stamp --restore", &[], back)]);
    each(last, "stamp --force --profile beagle", &[("identity stamp --force --restore", &[], back)]);
    // A flash that has to move it, and one that gives it back, keep it too.
    let (dir, _) = os();
    let image = dir.path().join("other.img");
    let mut bytes = Card::new(SECTORS).mbr(1, 0x0c, 8192, 4096).bytes().to_vec();
    bytes[52 * 512..53 * 512].fill(0xa5);
    fs::write(&image, bytes).expect("own directory");
    let card = last();
    run(&card, &format!("flash {}", image.display())).exits(0);
    back(&card);
    let card = last();
    run(&card, "erase").exits(0);
    let record =
        fs::read_dir(states(&card).join("identity")).expect("records").next().expect("one").expect("one");
    run(&card, &format!("flash --restore {} {}", record.path().display(), image.display())).exits(0);
    back(&card);
}

/// Without a table nothing is written: the way to one is named first, and behind it the rest does what it says.
#[test]
fn copies_on_a_card_whose_table_is_lost() {
    let conflict = |card: &Image| {
        let other = Image::stamped(format!("--profile beagle --uuid {OTHER}"));
        card.put(SECOND, &other.sector(SECOND));
    };
    let degraded = |card: &Image| {
        card.damage(SECOND);
    };
    type State = fn(&Image);
    let states: [(State, &str); 2] = [(conflict, "identity repair --keep"), (degraded, "identity repair")];
    for (state, repair) in states {
        for verb in ["read", "verify"] {
            let card = stamped();
            state(&card);
            card.clear(0);
            let named = commands(&run(&card, verb));
            assert!(named[0].contains("sfdisk") && named[1].starts_with(repair), "{verb}: {named:?}");
            follow(&card, &named[0], &[]);
            follow(&card, &named[1], &[("UUID", UUID), ("LBA", "52")]);
            is_whole(&card);
        }
        // A GPT whose first header is damaged.
        let card = Image::sgdisk(SECTORS as u64, &["-n", "1:8192:+1M"]);
        run(&card, &format!("stamp --profile panda --uuid {UUID}")).exits(0);
        state(&card);
        let mut header = card.sector(1);
        header[40] ^= 1;
        card.put(1, &header);
        let said = run(&card, "read");
        said.says(&["nothing is written to it before its partition table is right", "sgdisk -v"]);
    }
}
