// SPDX-License-Identifier: MIT OR Apache-2.0
//! The power goes at every moment of `stamp`, `bind`, `repair` and `erase`.

use std::collections::BTreeSet;

use identity_core::slot::READING_ORDER;
use identity_core::{Identity, State};
use identity_fixtures::card::LINUX;
use identity_fixtures::{Card, loader};
use identity_host::device::SECTOR_LEN;
use identity_host::scan::Scan;
use identity_host::testing::Event;
use identity_tests::{figure, thorough};
use identity_ui::Exit;

use crate::card::SimCard;
use crate::cut::{self, Cut, Form, Loss, page_of};
use crate::jobs::run;
use crate::python::Sectors;
use crate::readers::{Allowed, Promise, ask, is_copy_left, verify};

const UUID: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";
const OTHER: &str = "0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02";
const SECTORS: usize = 9000;

struct Case {
    name: &'static str,
    card: SimCard,
    words: String,
    hint_lba: Option<u32>,
    promise: Promise,
}

/// What was counted.
#[derive(Default)]
struct Count {
    cuts: u64,
    pages: u64,
    second_cuts: u64,
    sectors: Sectors,
}

fn mbr(first_lba: u32) -> SimCard {
    let mut card = Card::new(SECTORS);
    card.mbr(1, 0x0c, first_lba, SECTORS as u32 - first_lba);
    SimCard::new(card.into_bytes())
}

fn gpt() -> SimCard {
    let mut card = Card::new(SECTORS);
    card.gpt(2, &[(LINUX, 2048, 8900, "root")]);
    SimCard::new(card.into_bytes())
}

/// A card after a command, with nothing in its log.
fn after(mut card: SimCard, words: &str) -> SimCard {
    run(&mut card, words).unwrap();
    SimCard::new(card.bytes())
}

fn with(mut card: SimCard, change: impl FnOnce(&mut SimCard)) -> SimCard {
    change(&mut card);
    card
}

fn flip(card: &mut SimCard, lba: u64) {
    let mut sector = card.sector(lba);
    sector[60] ^= 1;
    card.set(lba, sector);
}

/// Both copies of an identity with every kind of field, so that a torn sector is a mixture everywhere.
fn stamp_words() -> String {
    let long = "x".repeat(180);
    format!("stamp --profile panda --uuid {UUID} --hostname old --serial S1 --set a={long} --set b={long}")
}

fn update_words() -> String {
    let long = "y".repeat(180);
    format!("stamp --uuid {UUID} --hostname new --set a={long} --set b=1 --set c=2")
}

fn cases() -> Vec<Case> {
    let case = |name, card: &SimCard, words: &str, promise| Case {
        name,
        card: card.clone(),
        words: words.to_owned(),
        hint_lba: None,
        promise,
    };
    let (stamp, update) = (stamp_words(), update_words());
    let replace = format!("stamp --profile beagle --uuid {OTHER} --force");
    let plain = format!("stamp --profile panda --uuid {UUID}");
    // Copies in 52 and 6607; in 52 and 1711; in 52 and 5, beside the table; in one page; and one outside the slots.
    let cards = [
        after(mbr(8192), &stamp),
        after(gpt(), &stamp),
        after(mbr(63), &stamp),
        after(mbr(8192), &format!("{stamp} --at 52,54")),
        after(mbr(8192), &format!("{stamp} --at 5,7")),
    ];
    let mut cases = vec![
        case("new", &mbr(8192), &plain, Promise::Given),
        case("new, long", &mbr(8192), &stamp, Promise::Given),
        case("new, GPT", &gpt(), &plain, Promise::Given),
        case("new, small gap", &mbr(63), &plain, Promise::Given),
    ];
    for card in &cards {
        cases.push(case("update", card, &update, Promise::Kept));
        cases.push(case(
            "bind",
            card,
            "bind --cid 1b534d303030303010a1b2c3d4013700 --board=B7",
            Promise::Kept,
        ));
        cases.push(case("replace", card, &replace, Promise::Replaced));
        cases.push(case("erase", card, "erase", Promise::Erased));
    }
    for at in ["5,7", "54,52", "2703,6607", "1711,1777"] {
        cases.push(case("move", &cards[0], &format!("{update} --at {at}"), Promise::Kept));
    }
    cases.push(Case {
        hint_lba: Some(300),
        ..case("outside the slots", &cards[0], &format!("{update} --at 300,52"), Promise::Kept)
    });
    let old = |lba| cards[0].sector(lba);
    let newer = after(cards[0].clone(), &update);
    for lba in [52, 6607] {
        let broken = [
            with(cards[0].clone(), |card| flip(card, lba)),
            with(cards[0].clone(), |card| card.set(lba, [0; SECTOR_LEN])),
            with(cards[0].clone(), |card| card.make_unreadable(lba)),
            with(cards[0].clone(), |card| {
                card.set(lba, loader::noise(lba, SECTOR_LEN).try_into().unwrap());
            }),
            with(newer.clone(), |card| card.set(lba, old(lba))),
        ];
        for card in &broken {
            // A person has to say that a lone copy is no piece of another card.
            cases.push(case("repair", card, "repair --force", Promise::Kept));
            cases.push(case("update of a degraded one", card, &update, Promise::Kept));
            cases.push(case("replacing a degraded one", card, &replace, Promise::Replaced));
        }
        // Somebody's image where the copy was: both move.
        let taken = with(cards[0].clone(), |card| {
            for near in lba..lba + 3 {
                card.set(near, loader::noise(near, SECTOR_LEN).try_into().unwrap());
            }
        });
        cases.push(case("repair elsewhere", &taken, "repair --force", Promise::Kept));
        cases.push(case("erasing a degraded one", &broken[0], "erase", Promise::Erased));
    }
    // A smaller gap than when it was stamped: one copy lies behind the partition's start.
    let ghost = with(cards[0].clone(), |card| card.set(0, mbr(2048).sector(0)));
    cases.push(case(
        "update with a copy in a partition",
        &ghost,
        &format!("{update} --force"),
        Promise::Kept,
    ));
    cases.push(case("replacing one in a partition", &ghost, &replace, Promise::Replaced));
    cases.push(case("repair of one in a partition", &ghost, "repair --force", Promise::Kept));
    cases.push(case("erasing one in a partition", &ghost, "erase --force", Promise::Erased));
    let third = with(cards[0].clone(), |card| {
        let identity = verify(card, None).identity.unwrap();
        card.set(2703, identity.encode(2703, 52));
    });
    cases.push(case("repair of three", &third, "repair", Promise::Kept));
    cases.push(case("update of three", &third, &update, Promise::Kept));
    cases.push(case("erasing three", &third, "erase", Promise::Erased));
    cases
}

fn is_same(one: &Identity, other: &Identity) -> bool {
    one.uuid() == other.uuid() && one.fields().bytes() == other.fields().bytes()
}

/// The sectors of the partition table.
fn table(card: &SimCard) -> std::ops::Range<u64> {
    if card.sector(1).starts_with(b"EFI PART") { 0..34 } else { 0..1 }
}

fn latest(card: &SimCard, hint_lba: Option<u32>) -> Option<Identity> {
    Scan::read(card, hint_lba).latest().cloned()
}

fn cut_everywhere(case: &Case, count: &mut Count) {
    let mut identities: Vec<_> = ask(&case.card, case.hint_lba).identity.into_iter().collect();
    identities.extend(latest(&case.card, case.hint_lba));
    let mut done = case.card.clone();
    run(&mut done, &case.words).unwrap();
    let log = std::mem::take(&mut done.log);
    let written: BTreeSet<_> = log.iter().filter_map(write_lba).collect();
    assert!(!written.is_empty(), "{}: nothing was written", case.name);
    let new = verify(&done, case.hint_lba).identity;
    identities.extend(new.clone());
    let allowed = Allowed { promise: case.promise, identities };

    cut::each(&case.card, &log, |cut, card| {
        let about = || format!("{} ({}): {cut}", case.name, case.words);
        let page = cut.page();
        let is_kept = case.promise.is_kept();
        let must_find = is_kept && is_copy_left(&card, &written, cut.page());
        assert!(page.is_some() || must_find || !is_kept, "{}", about());
        allowed.check(&ask(&card, case.hint_lba), must_find, &about);
        for lba in card.changed_since(&case.card) {
            let own = written.contains(&lba) || page.as_ref().is_some_and(|page| page.contains(&lba));
            assert!(own, "{}: LBA {lba} has changed", about());
        }
        if page.is_some() {
            count.pages += 1
        } else {
            count.cuts += 1
        }
        if page.is_none() {
            let places = written.iter().filter(|lba| **lba != 0);
            places.for_each(|&lba| count.sectors.add(lba as u32, card.sector(lba)));
        }
        if thorough() || is_typical(cut.form) {
            count.second_cuts += finish(case, cut, card, new.as_ref(), &allowed);
        }
    });
}

/// The others leave much the same work to be done.
fn is_typical(form: Form) -> bool {
    match form {
        Form::Nothing | Form::Whole => true,
        Form::Head(len) => len == SECTOR_LEN / 2,
        Form::Tail(_) => false,
        Form::Sector(_, loss) | Form::Page(_, loss) => matches!(loss, Loss::Noise | Loss::Unreadable),
    }
}

fn write_lba(event: &Event) -> Option<u64> {
    if let Event::Write { lba, .. } = event { Some(*lba) } else { None }
}

/// The same command again finishes the work, and may be cut off again.
fn finish(case: &Case, cut: &Cut<'_>, mut card: SimCard, new: Option<&Identity>, allowed: &Allowed) -> u64 {
    let about = || format!("{} ({}), again after {cut}", case.name, case.words);
    let page = cut.page();
    // A lost table has to be put back first.
    for lba in table(&case.card).filter(|lba| page.as_ref().is_some_and(|page| page.contains(lba))) {
        card.set(lba, case.card.sector(lba));
    }
    let before = card.clone();
    let state = verify(&card, case.hint_lba).state;
    if page.is_none() && case.promise.is_kept() {
        let mut repaired = card.clone();
        let hint = case.hint_lba.map_or_else(String::new, |lba| format!("--at {lba}"));
        let mut result = run(&mut repaired, &format!("repair {hint}"));
        // One copy and nothing else of ours: a person says that it is no piece of another card.
        if result.as_ref().is_err_and(|error| error.to_string().contains("the only copy")) {
            result = run(&mut repaired, &format!("repair --force {hint}"));
        }
        match result {
            Ok(()) => assert_eq!(verify(&repaired, case.hint_lba).state, State::Valid, "{}", about()),
            Err(error) => assert_eq!((state, error.exit()), (State::Conflict, Exit::Doubtful), "{}", about()),
        }
    }
    let mut result = run(&mut card, &case.words);
    if let Err(error) = &result {
        let what = format!("{}: {state}: {error}", about());
        match (case.promise, state, error.exit()) {
            // Done already.
            (Promise::Erased, State::Blank, Exit::Blank) => return 0,
            // Nothing is stamped over a slot that may hold an identity and cannot be read.
            (Promise::Given | Promise::Erased, State::Unreadable, Exit::Device) => return 0,
            (_, State::Unreadable, Exit::Device) if page.is_some() => return 0,
            // What the power cut has left is one copy and noise: a person has to say that it is this card's.
            (Promise::Kept, _, Exit::Refused) if error.to_string().contains("the only copy") => {
                result = run(&mut card, &format!("{} --force", case.words));
            }
            // What cannot be read now may come back: a person has to say that it may.
            (Promise::Erased, _, Exit::Device) if error.to_string().contains("--force") => {
                result = run(&mut card, &format!("{} --force", case.words));
            }
            // What is left of the first copy looks like a damaged identity: a person has to say that it was none.
            (_, State::Corrupt, Exit::Refused | Exit::Corrupt)
                if page.is_some() || matches!(case.promise, Promise::Given | Promise::Erased) =>
            {
                assert!(error.to_string().contains("--force"), "{what}");
                result = run(&mut card, &format!("{} --force", case.words));
            }
            // What is left of a torn write looks like somebody's data, where a person has said to write.
            (Promise::Kept, _, Exit::Refused) if case.words.contains("--at") => {
                assert!(error.to_string().contains("--force"), "{what}");
                result = run(&mut card, &format!("{} --force", case.words));
            }
            // The page took the identity, or the free slots, with it.
            (_, State::Blank, Exit::Blank | Exit::Usage) if page.is_some() => return 0,
            (_, _, Exit::Refused) if page.is_some() => return 0,
            _ => panic!("{what}"),
        }
    }
    result.unwrap_or_else(|error| panic!("{}: {error}", about()));
    let found = verify(&card, case.hint_lba);
    match new {
        Some(new) => {
            let same = found.identity.as_ref().is_some_and(|found| is_same(found, new));
            assert!(found.state == State::Valid && same, "{}: {found:?}", about());
        }
        None => assert!(matches!(found.state, State::Blank | State::Unreadable), "{}: {found:?}", about()),
    }
    if !thorough() || page.is_some() {
        return 0;
    }
    let second = Allowed {
        promise: case.promise,
        identities: allowed.identities.iter().cloned().chain(found.identity).collect(),
    };
    let log = std::mem::take(&mut card.log);
    let written: BTreeSet<_> = log.iter().filter_map(write_lba).collect();
    cut::each(&before, &log, |cut, card| {
        let is_kept = case.promise.is_kept();
        let must_find = is_kept && is_copy_left(&card, &written, cut.page());
        second.check(&ask(&card, case.hint_lba), must_find, &|| format!("{}, then {cut}", about()));
    })
}

#[test]
fn a_power_cut_in_stamp_repair_or_erase_leaves_the_old_or_the_new_identity() {
    let mut count = Count::default();
    for case in cases() {
        cut_everywhere(&case, &mut count);
    }
    assert!(count.cuts > 1500 && count.pages > 300, "only {} and {}", count.cuts, count.pages);
    figure(count.cuts, "crash states of stamp, bind, repair and erase");
    figure(count.pages, "crash states of stamp, bind, repair and erase that lost a flash page of 16 KiB");
    if thorough() {
        figure(count.second_cuts, "crash states with a second cut, in the command that finishes the first");
    }
    figure(count.sectors.check(), "sectors of them read by fixtures/read_sector.py");
}

#[test]
fn copies_in_two_groups_never_share_a_flash_page() {
    for one in READING_ORDER {
        for other in READING_ORDER.iter().filter(|other| other.group != one.group) {
            assert_ne!(page_of(one.lba.into()), page_of(other.lba.into()));
        }
    }
}

/// The simulator can find faults: orders of writes that lose an identity are noticed.
#[test]
fn a_wrong_order_of_writes_would_be_noticed() {
    let card = after(mbr(8192), &stamp_words());
    let is_lost = |card: &SimCard, log: &[Event]| {
        let mut lost = false;
        cut::each(card, log, |_, card| {
            lost |= !ask(&card, None).state.is_usable();
        });
        lost
    };
    let log_of = |card: &SimCard| {
        let mut done = card.clone();
        run(&mut done, &update_words()).unwrap();
        done.log
    };
    assert!(!is_lost(&card, &log_of(&card)));
    // The only good copy overwritten first.
    let degraded = with(card.clone(), |card| flip(card, 52));
    let mut log = log_of(&degraded);
    assert!(!is_lost(&degraded, &log));
    log.swap(0, 2);
    assert!(is_lost(&degraded, &log));
    // The old copies cleared before the new ones are written.
    let clear = |lba| Event::Write { lba, bytes: vec![0; SECTOR_LEN] };
    let cleared = [clear(6607), Event::Flush, clear(52), Event::Flush];
    assert!(is_lost(&card, &[cleared.as_slice(), &log_of(&card)].concat()));
}
