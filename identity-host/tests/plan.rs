// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plans on cards of any content: they write to free slots and to copies of ours, and to nothing else.

use std::path::Path;

use identity_core::copy::NotACopy;
use identity_core::field::kind;
use identity_core::sector::MAGIC;
use identity_core::slot::READING_ORDER;
use identity_core::{Draft, Identity, State, StoredCopy, Uuid};
use identity_fixtures::{Card, loader};
use identity_host::device::SECTOR_LEN;
use identity_host::execute;
use identity_host::first_sectors::FirstSectors;
use identity_host::plan::{self, Plan, Step};
use identity_host::repair;
use identity_host::scan::Scan;
use identity_host::surroundings::Surroundings;
use identity_host::testing::{Event, FaultyCard};
use identity_host::whole_card::WholeCard;
use proptest::collection::vec;
use proptest::prelude::*;

/// What a sector holds.
#[derive(Clone, Copy, Debug)]
enum Content {
    Nothing,
    Copy { of: u8, generation: u32, peer: usize },
    Damaged { byte: usize },
    Piece { of: u8, own: u32 },
    Data,
}

fn content() -> impl Strategy<Value = Content> {
    let copy = |of| {
        (of, 1_u32..4, 0..READING_ORDER.len()).prop_map(|(of, generation, peer)| Content::Copy {
            of,
            generation,
            peer,
        })
    };
    prop_oneof![
        6 => Just(Content::Nothing),
        4 => copy(0..1_u8),
        1 => copy(1..2_u8),
        1 => (MAGIC.len()..SECTOR_LEN).prop_map(|byte| Content::Damaged { byte }),
        1 => (0..2_u8, prop_oneof![Just(52_u32), Just(6607), Just(300)]).prop_map(|(of, own)| Content::Piece { of, own }),
        1 => Just(Content::Data),
    ]
}

fn identity(of: u8, generation: u32) -> Identity {
    let mut draft =
        Draft::new(Uuid::from_u128(0x9e3c1d40_5a37_4c8e_9f0b_6d2a81e4c7f5 + u128::from(of))).unwrap();
    draft.set_text(kind::PROFILE, "panda").unwrap();
    draft.set_text(kind::HOSTNAME, &format!("generation-{generation}")).unwrap();
    draft.set_generation(generation);
    draft.finish().unwrap()
}

fn sector(content: Content, lba: u32) -> [u8; SECTOR_LEN] {
    match content {
        Content::Nothing => [0; SECTOR_LEN],
        Content::Copy { of, generation, peer } => {
            identity(of, generation).encode(lba, READING_ORDER[peer].lba)
        }
        Content::Damaged { byte } => {
            let mut sector = identity(0, 1).encode(lba, 5);
            sector[byte] ^= 0x10;
            sector
        }
        // At its own LBA it is a copy.
        Content::Piece { of, own } => identity(of, 1).encode(own, 5),
        Content::Data => loader::noise(lba.into(), SECTOR_LEN).try_into().unwrap(),
    }
}

/// A card with its first partition somewhere, each slot holding something, and data at other places. Behind the partition's
/// start lie copies that a smaller gap has left there.
fn card() -> impl Strategy<Value = Card> {
    let first_lba = prop_oneof![Just(8_u32), Just(63), Just(2048), Just(2800), Just(6607), Just(8192)];
    let data = vec((3_usize..8192, 1_usize..40), 0..4);
    (first_lba, vec(content(), READING_ORDER.len()), data).prop_map(|(first_lba, contents, data)| {
        let mut card = Card::new(9000);
        for (lba, sectors) in data {
            card.put(lba, &loader::noise(lba as u64, sectors * SECTOR_LEN));
        }
        for (slot, content) in READING_ORDER.iter().zip(contents) {
            card.put(slot.lba as usize, &sector(content, slot.lba));
        }
        card.mbr(1, 0x0c, first_lba, 9000 - first_lba);
        card
    })
}

/// Start of the first partition of a card.
fn partition_lba(card: &FaultyCard) -> u64 {
    FirstSectors::read(card).unwrap().first_partition_lba().unwrap()
}

fn survey(card: &FaultyCard) -> Scan {
    Scan::read(card, None)
}

/// It has our magic, and is no copy that was written for another LBA.
fn is_ours(bytes: &[u8], lba: u32) -> bool {
    let sector: &[u8; SECTOR_LEN] = bytes[lba as usize * SECTOR_LEN..].first_chunk().unwrap();
    sector.starts_with(&MAGIC) && !matches!(StoredCopy::parse(sector, lba), Err(NotACopy::Misplaced { .. }))
}

/// Carries the plan out, and proves it: copies go to free slots only, only copies are cleared, and nothing else was
/// even written to. At every step, `usable` says what readers find then.
fn check(plan: &Plan, before: &FaultyCard, usable: impl Fn(&Scan) -> bool) -> FaultyCard {
    let ground = FirstSectors::read(before).unwrap();
    for step in &plan.steps {
        let lba = step.lba();
        let is_in_partition = matches!(step, Step::ClearInPartition { .. });
        assert_eq!(ground.is_in_partition(lba), is_in_partition, "{step:?}");
        match step {
            Step::Write { .. } => {
                assert!(ground.check(lba).is_ok() || ground.check_own(lba, false).is_ok(), "{lba}")
            }
            Step::Clear { .. } => assert!(is_ours(&before.bytes, lba), "{lba}"),
            Step::ClearInPartition { .. } => {
                let sector = before.bytes[lba as usize * SECTOR_LEN..].first_chunk().unwrap();
                assert!(StoredCopy::parse(sector, lba).is_ok(), "{lba}");
            }
            Step::WriteMark { .. } => panic!("{step:?}"),
        }
    }
    let mut after = FaultyCard::logging(before.bytes.clone());
    for step in &plan.steps {
        let one = Plan { steps: vec![step.clone()], why: None };
        execute::run(&one, &mut after, Path::new("card")).unwrap();
        assert!(usable(&survey(&after)), "after {step:?}");
    }
    for event in after.log.as_ref().unwrap().borrow().iter() {
        if let Event::Write { lba, bytes } = event {
            assert_eq!(bytes.len(), SECTOR_LEN);
            assert!(
                plan.steps.iter().any(|step| u64::from(step.lba()) == *lba),
                "LBA {lba} is not in the plan"
            );
        }
    }
    let pairs = before.bytes.chunks(SECTOR_LEN).zip(after.bytes.chunks(SECTOR_LEN));
    for (lba, (then, now)) in pairs.enumerate() {
        assert!(
            then == now || plan.steps.iter().any(|step| step.lba() as usize == lba),
            "LBA {lba} has changed"
        );
    }
    after
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn stamping(card in card()) {
        let before = FaultyCard::new(card.into_bytes());
        let found = survey(&before);
        let ground = FirstSectors::read(&before).unwrap();
        let new = identity(0, 9);
        let Ok(pair) = plan::choose(&ground.verdicts(), &found, |lba| ground.check(lba).is_ok()) else { return Ok(()) };
        for lba in pair.lbas {
            prop_assert!(ground.check(lba).is_ok());
        }
        let old = found.identity().cloned();
        let plan = plan::write(&new, &pair, &found, partition_lba(&before));
        let after = check(&plan, &before, |survey| {
            // Of two identities on one card, nobody can say which is the old one.
            old.is_none() || found.state() == State::Conflict
                || [old.as_ref(), Some(&new)].contains(&survey.identity())
                || survey.identity() == found.latest()
        });
        let found = survey(&after);
        prop_assert_eq!(found.identity(), Some(&new));
        prop_assert!(WholeCard::is_proved(&found, &new, pair.lbas));
        // What is damaged behind the start of a partition may be a part of a file, and stays.
        let is_damaged_there =
            |lba| u64::from(lba) >= partition_lba(&before) && survey(&before).at(lba).unwrap().copy.is_none();
        let left = found.ours().filter(|sector| !pair.lbas.contains(&sector.lba));
        prop_assert!(left.into_iter().all(|sector| is_damaged_there(sector.lba)));
    }

    #[test]
    fn repairing(card in card()) {
        let before = FaultyCard::new(card.into_bytes());
        let found = survey(&before);
        let request = repair::Request::default();
        let surroundings = Surroundings::unknown("unknown");
        let Ok(prepared) = repair::prepare(&request, &before, Path::new("card"), surroundings) else {
            return Ok(());
        };
        let latest = found.latest().cloned();
        let uuid = latest.as_ref().map(Identity::uuid);
        let after = check(&prepared.plan, &before, |survey| survey.identity().map(Identity::uuid) == uuid);
        let found = survey(&after);
        prop_assert_eq!(found.identity(), latest.as_ref());
        prop_assert_eq!(found.valid().count(), 2);
        prop_assert!(found.valid().all(|(lba, ..)| u64::from(lba) < partition_lba(&before)));
    }

    #[test]
    fn erasing(card in card()) {
        let before = FaultyCard::new(card.into_bytes());
        let after = check(&plan::erase(&survey(&before), partition_lba(&before)), &before, |_| true);
        prop_assert_eq!(survey(&after).valid().count(), 0);
    }
}
