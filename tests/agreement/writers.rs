// SPDX-License-Identifier: MIT OR Apache-2.0
//! A smaller gap than when the card was stamped, then each verb that writes, then each copy that is left destroyed in
//! turn: no reader finds what was replaced or erased, and every reader finds what was kept.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use identity_core::{State, StoredCopy};
use identity_fixtures::odd::{Entry, Expected, Step, uuid_of};
use identity_tests::cli::{Identity, Outcome};
use identity_tests::image::write_sparse;
use identity_uboot::status::to_state;
use identity_uboot::text::IDENTITY_TEXT_UUID;
use tempfile::TempDir;

use crate::abi;
use crate::card::SimCard;
use crate::library::scan;

const SECTORS: u32 = 8192;
/// As in the corpus.
const STARTS: [u32; 7] = [63, 1024, 1711, 2048, 2800, 6607, 6700];

/// Where a stamp from before may lie: copies in both, in one, or in no slot of the gap that is left.
const PAIRS: [[u32; 2]; 4] = [[52, 6607], [2703, 1711], [1711, 6959], [6607, 2927]];

/// A card whose stamp is from before its table.
#[derive(Clone)]
struct Made {
    start: u32,
    table: &'static str,
    pair: [u32; 2],
    bytes: Vec<u8>,
}

/// What a partition holds beside the old copies, also right beside them: nobody may touch it.
fn made(start: u32, table: &'static str, pair: [u32; 2], more: &[Step]) -> Made {
    let copy = |at, peer| Step::Copy {
        of: "a".into(),
        at,
        own: None,
        peer,
        generation: 3,
        version: None,
        critical: None,
    };
    let table_step = match table {
        "gpt" => Step::Gpt { entries: 2, first: start.into(), last: (SECTORS - 34).into() },
        _ => Step::Mbr { number: 1, kind: 0x83, start, sectors: SECTORS - start },
    };
    let mut steps = vec![table_step];
    for lba in [1711, 1777, 2703, 2927, 6607, 6959] {
        if lba > start + 4 {
            steps.extend([Step::Data { at: lba - 3, sectors: 3 }, Step::Data { at: lba + 1, sectors: 2 }]);
        }
    }
    steps.extend([copy(pair[0], pair[1]), copy(pair[1], pair[0])]);
    steps.extend(more.iter().cloned());
    let card = Entry {
        name: String::new(),
        about: String::new(),
        sectors: SECTORS as usize,
        made: steps,
        unreadable: vec![],
        hint: None,
        expected: Expected::default(),
        except: Default::default(),
    };
    Made { start, table, pair, bytes: card.image() }
}

fn all() -> Vec<Made> {
    let mut all = Vec::new();
    for start in STARTS {
        for pair in PAIRS.into_iter().filter(|pair| pair.iter().any(|lba| *lba >= start)) {
            all.push(made(start, "mbr", pair, &[]));
        }
        all.push(made(start, "gpt", [1711, 6959], &[]));
    }
    all
}

/// `identity WORDS... CARD` on that card; its bytes afterwards.
fn run(card: &Made, dir: &Path, words: &str) -> (Outcome, Vec<u8>) {
    let path = dir.join("card.img");
    write_sparse(&path, &card.bytes);
    let mut command = Identity::new(words).arg(&path);
    command.command().env("XDG_STATE_HOME", dir.join("state"));
    let outcome = command.run();
    (outcome, fs::read(&path).expect("own file"))
}

fn sector(bytes: &[u8], lba: u32) -> &[u8; 512] {
    bytes[lba as usize * 512..].first_chunk().expect("on the card")
}

/// Every valid copy at its own LBA, wherever it is.
fn valid(bytes: &[u8]) -> Vec<u32> {
    (1..SECTORS).filter(|&lba| StoredCopy::parse(sector(bytes, lba), lba).is_ok()).collect()
}

fn about(card: &Made, words: &str, outcome: &Outcome) -> String {
    let Made { start, table, pair, .. } = card;
    format!("{table} at {start}, copies at {pair:?}, `{words}`:\n{outcome:#?}")
}

/// Behind the partition's start nothing has changed but old copies, which are blank now.
fn partition_is_untouched(card: &Made, after: &[u8], about: &str) {
    let old = valid(&card.bytes);
    for lba in card.start..SECTORS {
        let (then, now) = (sector(&card.bytes, lba), sector(after, lba));
        let cleared = old.contains(&lba) && *now == [0; 512];
        assert!(then == now || cleared, "LBA {lba} lies in the partition and has changed: {about}");
    }
}

/// What readers find.
type Found = (State, Option<String>);

/// The library and the C functions.
fn readers(card: &SimCard) -> [Found; 2] {
    let scan = scan(card, None);
    let found = abi::search(card, None);
    let state = to_state(found.status).expect("a state");
    let uuid = found.record.as_ref().map(|record| abi::text(record, IDENTITY_TEXT_UUID));
    [(scan.state(), scan.identity().map(|identity| identity.uuid().to_string())), (state, uuid)]
}

/// The card with each set of the copies that are left destroyed, in each way: how many, and what readers find then.
fn destroyed(bytes: &[u8]) -> Vec<(usize, Found)> {
    let left = valid(bytes);
    assert!(left.len() <= 6, "{left:?}");
    let whole = SimCard::new(bytes.to_vec());
    let mut found = Vec::new();
    for set in 0..1_u32 << left.len() {
        let chosen: Vec<_> = left.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1).collect();
        let ways: [fn(&mut SimCard, u64); 3] = [
            |card, lba| card.set(lba, [0; 512]),
            |card, lba| {
                let mut sector = card.sector(lba);
                sector[60] ^= 1;
                card.set(lba, sector);
            },
            |card, lba| card.make_unreadable(lba),
        ];
        for way in ways {
            let mut card = whole.clone();
            chosen.iter().for_each(|(_, lba)| way(&mut card, u64::from(**lba)));
            found.extend(readers(&card).map(|one| (left.len() - chosen.len(), one)));
        }
    }
    found
}

/// After a replacement or an erasure.
fn old_one_never_comes_back(card: &Made, after: &[u8], about: &str) {
    let old = uuid_of("a");
    for (_, (state, uuid)) in destroyed(after) {
        assert!(uuid.as_ref() != Some(&old), "the old identity is back, {state}: {about}");
        assert!(state != State::Conflict, "two identities: {about}");
    }
    partition_is_untouched(card, after, about);
}

/// After an update or a repair.
fn it_is_never_lost(card: &Made, after: &[u8], generations: RangeInclusive<u32>, about: &str) {
    let old = uuid_of("a");
    for (left, (state, uuid)) in destroyed(after) {
        assert!(left == 0 || (state.is_usable() && uuid.as_ref() == Some(&old)), "{state} {uuid:?}: {about}");
    }
    let generation = |lba| StoredCopy::parse(sector(after, lba), lba).map(|copy| copy.generation()).ok();
    let mut written: Vec<_> = valid(after).into_iter().filter_map(generation).collect();
    written.dedup();
    assert!(written.len() == 1 && generations.contains(&written[0]), "generations {written:?}: {about}");
    partition_is_untouched(card, after, about);
}

/// The pair is whole, lies in the gap, and no other valid copy is found.
fn whole_in_the_gap(card: &Made, after: &[u8], about: &str) {
    let left: Vec<u32> = valid(after);
    assert!(left.len() == 2 && left.iter().all(|lba| *lba < card.start), "copies at {left:?}: {about}");
    let [(state, _), _] = readers(&SimCard::new(after.to_vec()));
    assert_eq!(state, State::Valid, "{about}");
}

#[test]
fn a_replacement_leaves_no_old_copy_behind() {
    let dir = TempDir::new().expect("a directory");
    for card in all() {
        let words = "stamp --force --profile other";
        let (outcome, after) = run(&card, dir.path(), words);
        let about = about(&card, words, &outcome);
        assert_eq!(outcome.code, Some(0), "{about}");
        whole_in_the_gap(&card, &after, &about);
        old_one_never_comes_back(&card, &after, &about);
    }
}

#[test]
fn an_update_leaves_no_old_copy_behind() {
    let dir = TempDir::new().expect("a directory");
    for card in all() {
        let words = format!("stamp --force --uuid {} --hostname new", uuid_of("a"));
        let (outcome, after) = run(&card, dir.path(), &words);
        let about = about(&card, &words, &outcome);
        assert_eq!(outcome.code, Some(0), "{about}");
        whole_in_the_gap(&card, &after, &about);
        it_is_never_lost(&card, &after, 4..=4, &about);
    }
}

#[test]
fn an_erasure_leaves_no_copy_behind() {
    let dir = TempDir::new().expect("a directory");
    for card in all() {
        let words = "erase --force";
        let (outcome, after) = run(&card, dir.path(), words);
        let about = about(&card, words, &outcome);
        assert_eq!(outcome.code, Some(0), "{about}");
        assert!(valid(&after).is_empty(), "{about}");
        old_one_never_comes_back(&card, &after, &about);
    }
}

#[test]
fn a_repair_moves_the_copies_out_of_the_partition() {
    let dir = TempDir::new().expect("a directory");
    for card in all() {
        let words = "repair --force";
        let (outcome, after) = run(&card, dir.path(), words);
        let about = about(&card, words, &outcome);
        assert_eq!(outcome.code, Some(0), "{about}");
        whole_in_the_gap(&card, &after, &about);
        it_is_never_lost(&card, &after, 3..=3, &about);
    }
}

#[test]
fn a_flash_keeps_the_identity_in_the_gap_of_the_new_table() {
    let dir = TempDir::new().expect("a directory");
    let image_path = dir.path().join("image.img");
    for card in all() {
        // The same table, and a file system where old copies lie.
        let mut image = card.clone();
        for lba in card.pair {
            image.bytes[lba as usize * 512..][..512].fill(if lba < card.start { 0 } else { 0xa5 });
        }
        write_sparse(&image_path, &image.bytes);
        let words = format!("flash --yes {}", image_path.display());
        let (outcome, after) = run(&card, dir.path(), &words);
        let about = about(&card, &words, &outcome);
        assert_eq!(outcome.code, Some(0), "{about}");
        whole_in_the_gap(&card, &after, &about);
        // A move is a write, and may count.
        it_is_never_lost(&image, &after, 3..=4, &about);
    }
}

/// Nobody is there to be asked, and nobody has said --force.
#[test]
fn without_consent_nothing_in_a_partition_is_cleared() {
    let dir = TempDir::new().expect("a directory");
    for card in [made(2048, "mbr", [52, 6607], &[]), made(63, "gpt", [2703, 1711], &[])] {
        let update = format!("stamp --uuid {} --hostname new", uuid_of("a"));
        for words in [&update, "erase", "repair"] {
            let (outcome, after) = run(&card, dir.path(), words);
            let about = about(&card, words, &outcome);
            assert_eq!(outcome.code, Some(6), "{about}");
            assert!(after == card.bytes, "{about}");
            for lba in card.pair.into_iter().filter(|lba| *lba >= card.start) {
                assert!(outcome.stderr.contains(&lba.to_string()), "LBA {lba}: {about}");
            }
            // It can be seen before it is said.
            let (outcome, after) = run(&card, dir.path(), &format!("{words} --dry-run"));
            for lba in card.pair.into_iter().filter(|lba| *lba >= card.start) {
                assert!(outcome.stdout.contains(&lba.to_string()), "LBA {lba}: {about}\n{outcome:?}");
            }
            assert!(after == card.bytes, "{about}");
        }
    }
}

/// What nobody can judge may be a piece of a file.
#[test]
fn damaged_and_newer_copies_in_a_partition_are_left() {
    let dir = TempDir::new().expect("a directory");
    let copy = |at, version| Step::Copy {
        of: "b".into(),
        at,
        own: None,
        peer: 52,
        generation: 1,
        version,
        critical: None,
    };
    let damaged = made(2048, "mbr", [52, 6607], &[copy(6959, None), Step::Damage { at: 6959 }]);
    let newer = made(2048, "mbr", [52, 6607], &[copy(2927, Some(2))]);
    let update = format!("stamp --force --uuid {} --hostname new", uuid_of("a"));
    for words in ["stamp --force --profile other", "erase --force", "repair --force", &update] {
        let (outcome, after) = run(&damaged, dir.path(), words);
        let told = about(&damaged, words, &outcome);
        assert!(sector(&damaged.bytes, 6959) == sector(&after, 6959), "{told}");
        partition_is_untouched(&damaged, &after, &told);
        assert!(valid(&after).iter().all(|lba| *lba < damaged.start), "{told}");

        // It may be the identity that counts to who can read it.
        let (outcome, after) = run(&newer, dir.path(), words);
        let told = about(&newer, words, &outcome);
        assert_eq!(outcome.code, Some(4), "{told}");
        assert!(outcome.stderr.contains("LBA 2927") && after == newer.bytes, "{told}");
    }
}

/// What cannot be read today can come back tomorrow.
#[test]
fn a_slot_that_cannot_be_read_is_not_forgotten() {
    let dir = TempDir::new().expect("a directory");
    let card = made(7000, "mbr", [52, 6607], &[]);
    for (words, lba) in [("erase", 1777), ("erase", 6607), ("stamp --force --profile other", 0)] {
        let path = dir.path().join("card.img");
        write_sparse(&path, &card.bytes);
        let lost = if lba == 0 { 2703 } else { lba };
        let mut command = Identity::new(words).arg(&path).fault("FAULT_READ", lost.to_string());
        command.command().env("XDG_STATE_HOME", dir.path().join("state"));
        let outcome = command.run();
        let after = fs::read(&path).expect("own file");
        let about = about(&card, words, &outcome);
        if lba == 0 {
            // --force is the consent: the rest is done.
            assert_eq!(outcome.code, Some(0), "{about}");
            old_one_never_comes_back(&card, &after, &about);
        } else {
            assert_eq!(outcome.code, Some(7), "{about}");
            assert!(outcome.stderr.contains(&lost.to_string()) && after == card.bytes, "{about}");
        }
    }
}
