// SPDX-License-Identifier: MIT OR Apache-2.0
//! One of the two copies destroyed, in any way.

use identity_core::search::Condition;
use identity_core::sector::MAGIC;
use identity_core::{Identity, State, StoredCopy};
use identity_fixtures::{Card, loader, sectors};
use identity_host::device::{Card as _, SECTOR_LEN, Sector};
use identity_tests::{figure, thorough};
use identity_ui::Exit;

use crate::card::SimCard;
use crate::jobs::run;
use crate::readers::{ask, verify};

const UUID: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";

fn stamped() -> SimCard {
    let mut bytes = Card::new(9000);
    bytes.mbr(1, 0x0c, 8192, 808);
    let mut card = SimCard::new(bytes.into_bytes());
    run(&mut card, &format!("stamp --profile panda --uuid {UUID} --hostname h --serial S --set a=1"))
        .unwrap();
    SimCard::new(card.bytes())
}

/// What may stand where a copy was; `None` cannot be read.
fn ruins(lba: u32, copy: &Sector, other: &Sector) -> Vec<Option<Sector>> {
    let noise = |seed| -> Sector { loader::noise(seed, SECTOR_LEN).try_into().unwrap() };
    let with = |change: &dyn Fn(&mut Sector)| {
        let mut sector = *copy;
        change(&mut sector);
        Some(sector)
    };
    let mut ruins = vec![None, Some([0; SECTOR_LEN]), Some([0xff; SECTOR_LEN]), Some(*other)];
    ruins.extend((0..16).map(|seed| Some(noise(seed))));
    ruins.push(with(&|sector| sector.rotate_left(1)));
    ruins.push(with(&|sector| sector.rotate_right(1)));
    ruins.push(with(&|sector| sector.reverse()));
    ruins.push(with(&|sector| sector[MAGIC.len()..].copy_from_slice(&noise(99)[MAGIC.len()..])));
    ruins.push(with(&|sector| sector[510..].copy_from_slice(&[0x55, 0xaa])));
    for boundary in (64..SECTOR_LEN).step_by(64) {
        for filling in [0, 0xff, 0xa7] {
            ruins.push(with(&|sector| sector[boundary..].fill(filling)));
            ruins.push(with(&|sector| sector[..boundary].fill(filling)));
        }
        ruins.push(with(&|sector| sector[boundary..].copy_from_slice(&other[boundary..])));
        ruins.push(with(&|sector| sector[..boundary].copy_from_slice(&other[..boundary])));
    }
    // Golden sectors that are no copies: each kind of damage that the format knows. Some of them are for other places.
    let is_damaged = |golden: &sectors::Golden| {
        golden.entry.file.starts_with("corrupt-") && StoredCopy::parse(&golden.bytes, lba).is_err()
    };
    ruins.extend(sectors::all().into_iter().filter(is_damaged).map(|golden| Some(golden.bytes)));
    let step = if thorough() { 1 } else { 61 };
    for bit in (0..SECTOR_LEN * 8).step_by(step) {
        ruins.push(with(&|sector| sector[bit / 8] ^= 1 << (bit % 8)));
    }
    // What is the same in both copies, their padding, leaves the copy whole.
    ruins.retain(|ruin| ruin.as_ref() != Some(copy));
    ruins
}

#[test]
fn with_one_copy_destroyed_readers_answer_verify_tells_and_repair_restores() {
    let card = stamped();
    let identity: Identity = verify(&card, None).identity.unwrap();
    let mut count = 0;
    for [lba, other] in [[52, 6607], [6607, 52]] {
        for ruin in ruins(lba as u32, &card.sector(lba), &card.sector(other)) {
            let mut broken = card.clone();
            match ruin {
                Some(sector) => broken.set(lba, sector),
                None => broken.make_unreadable(lba),
            }
            let answer = ask(&broken, None);
            assert_eq!(answer.identity.as_ref(), Some(&identity), "LBA {lba}: {ruin:?}: {answer:?}");
            assert_eq!(answer.state, State::Degraded, "LBA {lba}: {ruin:?}: {answer:?}");
            // A lone copy may be a piece of another card, so that a person has to say that it is this one's.
            if let Err(error) = run(&mut broken, "repair") {
                assert_eq!(error.exit(), Exit::Refused, "LBA {lba}: {ruin:?}: {error}");
                assert!(error.to_string().contains("the only copy"), "LBA {lba}: {ruin:?}: {error}");
                // Nothing of ours is left there; the other copy, copied over it, is as foreign as any other data.
                let is_ours = |sector: &Sector| {
                    let condition = StoredCopy::parse(sector, lba as u32).err().map(Condition::from);
                    ![Some(Condition::Blank), Some(Condition::Foreign)].contains(&condition)
                };
                assert!(ruin.as_ref().is_some_and(|sector| !is_ours(sector)), "LBA {lba}: {ruin:?}: {error}");
                run(&mut broken, "repair --force").unwrap();
            }
            let condition =
                |sector: &Sector| StoredCopy::parse(sector, lba as u32).err().map(Condition::from);
            // Erased flash is as free as zeros.
            let foreign = ruin.filter(|sector| {
                condition(sector) == Some(Condition::Foreign) && *sector != [0xff; SECTOR_LEN]
            });
            if ruin.is_some() && foreign.is_none() {
                assert_eq!(broken.changed_since(&card), [0; 0], "LBA {lba}: {ruin:?}");
                count += 1;
            } else {
                // What is nobody's copy is left, and the copy put elsewhere. A place that could not be read is given up, and
                // cleared: what is in it may be readable again one day.
                assert_eq!(broken.sector(lba), foreign.unwrap_or([0; SECTOR_LEN]), "LBA {lba}");
                let after = verify(&broken, None);
                assert_eq!(
                    (after.state, after.identity.as_ref()),
                    (State::Valid, Some(&identity)),
                    "LBA {lba}"
                );
            }
        }
    }
    figure(count, "ways in which one copy was destroyed, and restored byte for byte");
}

/// Whether a copy lies in that sector, or may lie there when it can be read again.
fn may_hold_a_copy(card: &SimCard, lba: u64) -> bool {
    let mut sector = [0; SECTOR_LEN];
    card.read(lba, &mut sector).is_err() || StoredCopy::parse(&sector, lba as u32).is_ok()
}

#[test]
fn a_copy_that_could_not_be_read_does_not_come_back() {
    for lba in [52, 6607] {
        for words in ["stamp --force --profile other", &format!("stamp --uuid {UUID} --hostname other")] {
            let mut card = stamped();
            card.make_unreadable(lba);
            run(&mut card, words).unwrap();
            let new = verify(&card, None);
            assert_eq!(new.state, State::Valid, "{words}");
            let mut sector = [0; SECTOR_LEN];
            card.read(lba, &mut sector).unwrap_or_else(|_| panic!("{words}: LBA {lba} was left as it was"));
            let copy = StoredCopy::parse(&sector, lba as u32).ok().map(|copy| copy.identity());
            assert!(copy.is_none() || copy == new.identity, "{words}: LBA {lba} holds the old identity");
        }
        let mut card = stamped();
        card.make_unreadable(lba);
        let refused = run(&mut card, "erase").unwrap_err();
        assert!(
            refused.exit() == Exit::Device && refused.to_string().contains(&format!("LBA {lba}")),
            "{refused}"
        );
        run(&mut card, "erase --force").unwrap();
        assert!(![52, 6607].iter().any(|&lba| may_hold_a_copy(&card, lba)));
    }
}
