// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole flashes, on cards in memory that fail in every way.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use identity_core::field::kind;
use identity_core::{Draft, Identity, SECTOR_LEN, State, Uuid};
use identity_fixtures::Card as Fixture;

use super::FlashProblem;
use super::interrupt::Stop;
use super::prepare::{FlashTarget, Prepared, Request, prepare};
use super::progress::Quiet;
use super::run::{Done, Settings, run};
use crate::device::{Card, WritableCard};
use crate::error::{Error, Result};
use crate::image::bmap;
use crate::image::source::Source;
use crate::record::{CardKey, Record};
use crate::scan::Scan;
use crate::surroundings::Surroundings;
use crate::testing::{Event, Faults, FaultyCard};
use identity_layout::mark::Mark;

/// Length of the cards and images here: more than the head, and no whole number of chunks.
const SECTORS: usize = 9 << 11 | 100;

fn identity(uuid: u128) -> Identity {
    let mut draft = Draft::new(Uuid::from_u128(uuid)).unwrap();
    draft.set_text(kind::PROFILE, "panda").unwrap();
    draft.finish().unwrap()
}

/// A card with a partition from `first_lba` on that is full of bytes which depend on `seed`.
fn content(first_lba: u32, seed: u8) -> Fixture {
    let mut card = Fixture::new(SECTORS);
    let start = first_lba as usize * SECTOR_LEN;
    for (at, byte) in card.bytes_mut()[start..].iter_mut().enumerate() {
        *byte = ((at >> 8) as u8).wrapping_mul(31).wrapping_add(at as u8).wrapping_add(seed) | 1;
    }
    card.mbr(1, 0x83, first_lba, SECTORS as u32 - first_lba);
    card
}

fn stamp(card: &mut Fixture, identity: &Identity, lbas: [u32; 2]) {
    for (own, peer) in [(lbas[0], lbas[1]), (lbas[1], lbas[0])] {
        card.put(own as usize, &identity.encode(own, peer));
    }
}

/// A place for an image's file and for records.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn image(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join("image");
        fs::write(&path, bytes).unwrap();
        path
    }

    fn records(&self) -> PathBuf {
        self.0.path().join("records")
    }

    fn record_count(&self) -> usize {
        fs::read_dir(self.records()).map_or(0, Iterator::count)
    }

    fn flash_as(
        &self,
        card: &mut dyn WritableCard,
        image: &Path,
        options: Request,
        stop: Stop,
    ) -> Result<Done> {
        let map = bmap::find_beside(image).map(|path| bmap::read(&path)).transpose()?.map(Arc::new);
        let mut source = Source::open(image, None, 1 << 30)?;
        let (path, records) = (Path::new("card"), self.records());
        let key = CardKey { path: "/card".into(), sectors: card.sectors(), cid: None };
        let surroundings = Surroundings::unknown("unknown");
        let target = FlashTarget { card: &*card, path, key: &key, records: &records, surroundings };
        let prepared = prepare(&target, &mut source, map, options)?;
        let progress = &mut Quiet;
        let retired = None;
        let manner = Settings { path, key, records: &records, retired, verify: true, progress, stop };
        run(prepared, card, source, manner)
    }

    fn flash(&self, card: &mut dyn WritableCard, image: &[u8]) -> Result<Done> {
        self.flash_as(card, &self.image(image), Request::default(), Stop::default())
    }
}

fn survey(card: &FaultyCard) -> Scan {
    Scan::read(card, None)
}

/// The image, but for the copies; and these where they should be.
fn assert_flashed(card: &FaultyCard, image: &Fixture, identity: &Identity, lbas: [u32; 2]) {
    let mut wanted = image.clone();
    stamp(&mut wanted, identity, lbas);
    assert!(card.bytes[..wanted.bytes().len()] == *wanted.bytes(), "the card is the image and the identity");
    let after = survey(card);
    assert_eq!((after.state(), after.identity()), (State::Valid, Some(identity)));
}

fn next(identity: &Identity) -> Identity {
    identity.next().unwrap().finish().unwrap()
}

#[test]
fn the_identity_stays() {
    let host = Host::new();
    let (mut old, new) = (content(8192, 1), content(8192, 2));
    stamp(&mut old, &identity(1), [52, 6607]);
    let mut card = FaultyCard::logging(old.into_bytes());
    host.flash(&mut card, new.bytes()).unwrap();
    assert_flashed(&card, &new, &identity(1), [52, 6607]);
    assert_eq!(host.record_count(), 0);
    // Its sectors are never written, not even with the same bytes.
    for event in card.log.unwrap().borrow().iter() {
        if let Event::Write { lba, bytes } = event {
            let covered = *lba..lba + (bytes.len() / SECTOR_LEN) as u64;
            assert!(!covered.contains(&52) && !covered.contains(&6607), "{covered:?}");
        }
    }
}

#[test]
fn the_identity_moves_where_the_new_layout_wants_it() {
    let host = Host::new();
    for (old_lba, new_lba, from, to) in [(8192, 2048, [52, 6607], [52, 1711]), (2048, 8192, [5, 7], [5, 7])] {
        let (mut old, new) = (content(old_lba, 1), content(new_lba, 2));
        stamp(&mut old, &identity(1), from);
        let mut card = FaultyCard::new(old.into_bytes());
        host.flash(&mut card, new.bytes()).unwrap();
        let wanted = if from == to { identity(1) } else { next(&identity(1)) };
        assert_flashed(&card, &new, &wanted, to);
    }
}

#[test]
fn an_identity_in_the_image_is_left_out() {
    let host = Host::new();
    let (clean, mut stamped) = (content(8192, 2), content(8192, 2));
    stamp(&mut stamped, &identity(9), [52, 2703]);
    let mut card = FaultyCard::new(content(8192, 1).into_bytes());
    host.flash(&mut card, stamped.bytes()).unwrap();
    assert!(card.bytes == *clean.bytes());
    assert_eq!(survey(&card).state(), State::Blank);

    let mut old = content(8192, 1);
    stamp(&mut old, &identity(1), [52, 6607]);
    let mut card = FaultyCard::new(old.into_bytes());
    host.flash(&mut card, stamped.bytes()).unwrap();
    assert_flashed(&card, &clean, &identity(1), [52, 6607]);
}

#[test]
fn a_short_image_leaves_no_old_copy_behind() {
    let host = Host::new();
    let mut short = content(2048, 2).into_bytes();
    short.truncate(2100 * SECTOR_LEN);
    let mut image = Fixture::new(2100);
    image.put(0, &short);
    image.mbr(1, 0x83, 2048, 52);
    let mut old = content(8192, 1);
    stamp(&mut old, &identity(1), [6607, 6959]);
    let mut card = FaultyCard::new(old.into_bytes());
    host.flash(&mut card, image.bytes()).unwrap();
    assert_flashed(&card, &image, &next(&identity(1)), [52, 1711]);
}

#[test]
fn no_place_is_found_out_before_the_first_byte() {
    let host = Host::new();
    let mut old = content(8192, 1);
    stamp(&mut old, &identity(1), [52, 6607]);
    let (new, before) = (content(4, 2), old.bytes().to_vec());
    let mut card = FaultyCard::new(before.clone());
    let error = host.flash(&mut card, new.bytes()).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Flash { problem: FlashProblem::NoPlace { .. }, .. }), "{error:?}");
    assert!(card.bytes == before && host.record_count() == 0);

    let force = Request { force: true, ..Request::default() };
    let own = CardKey { path: "/card".into(), sectors: card.sectors(), cid: None };
    let kept = prepared(&host, &card, new.bytes(), force.clone()).retired(&own);
    assert_eq!(kept.iter().map(|record| record.identity.clone()).collect::<Vec<_>>(), [Some(identity(1))]);
    host.flash_as(&mut card, &host.image(new.bytes()), force, Stop::default()).unwrap();
    assert!(card.bytes == *new.bytes());
    // Whoever calls has kept it elsewhere: no record is left that would be used by itself.
    assert_eq!(host.record_count(), 0);
}

fn prepared(host: &Host, card: &FaultyCard, image: &[u8], request: Request) -> Prepared {
    let mut source = Source::open(&host.image(image), None, 1 << 30).unwrap();
    let (path, records) = (Path::new("card"), host.records());
    let key = CardKey { path: "/card".into(), sectors: card.sectors(), cid: None };
    let surroundings = Surroundings::unknown("unknown");
    let target = FlashTarget { card, path, key: &key, records: &records, surroundings };
    prepare(&target, &mut source, None, request).unwrap()
}

#[test]
fn of_a_conflict_both_identities_are_kept_and_of_a_kept_one_none() {
    let host = Host::new();
    let key = CardKey { path: "/card".into(), sectors: SECTORS as u64, cid: None };
    let mut old = content(8192, 1);
    old.put(52, &identity(1).encode(52, 6607)).put(6607, &identity(2).encode(6607, 52));
    let uuids = |card: &FaultyCard, request: Request| -> Vec<_> {
        let kept = prepared(&host, card, content(8192, 2).bytes(), request).retired(&key);
        kept.into_iter().map(|record| record.identity.unwrap().uuid().as_u128()).collect()
    };
    let force = |fresh| Request { force: true, fresh, ..Request::default() };
    let card = FaultyCard::new(old.into_bytes());
    assert_eq!(uuids(&card, force(None)), [1, 2]);
    assert_eq!(uuids(&card, force(Some(identity(3)))), [1, 2]);
    let mut whole = content(8192, 1);
    stamp(&mut whole, &identity(1), [52, 6607]);
    let card = FaultyCard::new(whole.into_bytes());
    assert!(uuids(&card, Request::default()).is_empty());
    assert_eq!(uuids(&card, force(Some(identity(3)))), [1]);
}

#[test]
fn the_backup_of_an_old_gpt_goes_unless_the_image_has_written_there() {
    let host = Host::new();
    let header = |byte: u8| {
        let mut sector = [byte; SECTOR_LEN];
        sector[..8].copy_from_slice(b"EFI PART");
        sector
    };
    for (image_sectors, in_image, left) in
        [(SECTORS - 8, None, [0; 512]), (SECTORS, Some(header(2)), header(2))]
    {
        let mut image = content(8192, 2).into_bytes();
        image.truncate(image_sectors * SECTOR_LEN);
        if let Some(sector) = in_image {
            image[(SECTORS - 1) * SECTOR_LEN..].copy_from_slice(&sector);
        }
        let mut old = content(8192, 1);
        old.put(SECTORS - 1, &header(1));
        let mut card = FaultyCard::new(old.into_bytes());
        host.flash(&mut card, &image).unwrap();
        assert!(card.bytes[(SECTORS - 1) * SECTOR_LEN..] == left);
    }
    // What is no header stays.
    let mut image = content(8192, 2).into_bytes();
    image.truncate((SECTORS - 8) * SECTOR_LEN);
    let mut card = FaultyCard::new(content(8192, 1).into_bytes());
    let before = card.bytes[(SECTORS - 8) * SECTOR_LEN..].to_vec();
    host.flash(&mut card, &image).unwrap();
    assert!(card.bytes[(SECTORS - 8) * SECTOR_LEN..] == before);
}

#[test]
fn an_image_that_ends_in_the_middle_of_a_sector_is_padded_with_zeros() {
    let host = Host::new();
    // In the head, behind it, and at the end of a chunk.
    for len in [8192 * SECTOR_LEN + 1, 8192 * SECTOR_LEN - 1, SECTORS * SECTOR_LEN - 511, (8 << 20) + 1] {
        let mut image = content(2048, 2).into_bytes();
        image.truncate(len);
        let mut card = FaultyCard::new(vec![0x77; SECTORS * SECTOR_LEN]);
        let done = host.flash(&mut card, &image).unwrap();
        assert_eq!(done.summary.image_len, len as u64);
        let end = len.next_multiple_of(SECTOR_LEN);
        assert!(card.bytes[..len] == image && card.bytes[len..end].iter().all(|&byte| byte == 0), "{len}");
        assert!(card.bytes[end..].iter().all(|&byte| byte == 0x77), "{len}");
    }
}

/// What made a begun flash fail.
fn cause(error: &Error) -> &Error {
    match error {
        Error::Flash { problem: FlashProblem::Unfinished { cause, .. }, .. } => cause,
        error => error,
    }
}

fn is_device(error: &Error) -> bool {
    matches!(
        error,
        Error::Flash { problem: FlashProblem::Medium { .. } | FlashProblem::Flush(_), .. }
            | Error::Step { .. }
            | Error::NotProved { .. }
            | Error::Io { .. }
            | Error::State { .. }
    )
}

/// What holds after every failure: the identity is on the card or in a record, and the card does not look finished.
fn assert_unfinished(host: &Host, card: &FaultyCard, error: &Error, own: &Identity) {
    let Error::Flash { problem: FlashProblem::Unfinished { identity, .. }, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(*identity, Some(own.uuid()));
    let on_card = survey(card).identity().map(Identity::uuid) == Some(own.uuid());
    assert!(on_card && host.record_count() == 1, "{error:?}");
    let mark = Mark::parse(card.bytes[..SECTOR_LEN].try_into().unwrap()).unwrap();
    let records =
        fs::read_dir(host.records()).unwrap().map(|entry| Record::read(&entry.unwrap().path()).unwrap());
    let numbers: Vec<_> = records.map(|record| record.number).collect();
    assert_eq!((mark.image(), numbers), ("image", vec![mark.number()]), "{error:?}");
}

#[test]
fn a_card_that_fails_keeps_its_identity() {
    for new_lba in [8192, 2048] {
        let mut old = content(8192, 1);
        stamp(&mut old, &identity(1), [52, 6607]);
        let new = content(new_lba, 2);
        let write_error = |lba| Faults { write_error: Some(lba), ..Faults::default() };
        for faults in [
            write_error(100),
            write_error(9000),
            write_error(15000),
            write_error(SECTORS as u64 - 1),
            Faults { lies_at: Some(9000), ..Faults::default() },
            Faults { lies_at: Some(60), ..Faults::default() },
            Faults { real_sectors: Some(16384), ..Faults::default() },
            Faults { read_error: Some(17000), ..Faults::default() },
        ] {
            let host = Host::new();
            let mut card = FaultyCard::new(old.bytes().to_vec()).failing(faults.clone());
            let result = host.flash(&mut card, new.bytes()).map(|_| ());
            let error = result.expect_err(&format!("{faults:?}"));
            card.heal();
            assert!(is_device(cause(&error)), "{error:?}");
            assert_unfinished(&host, &card, &error, &identity(1));

            host.flash(&mut card, new.bytes()).unwrap();
            let lbas = if new_lba == 8192 { [52, 6607] } else { [52, 1711] };
            let wanted = if new_lba == 8192 { identity(1) } else { next(&identity(1)) };
            assert_flashed(&card, &new, &wanted, lbas);
            assert_eq!(host.record_count(), 0, "{faults:?}");
        }
    }
}

#[test]
fn a_card_that_goes_away_keeps_its_identity() {
    let mut old = content(8192, 1);
    stamp(&mut old, &identity(1), [52, 6607]);
    let new = content(2048, 2);
    let mut gone_after = 0;
    loop {
        let host = Host::new();
        let faults = Faults { gone_after: Some(gone_after), ..Faults::default() };
        let mut card = FaultyCard::new(old.bytes().to_vec()).failing(faults);
        // Gone before it can be looked at is another matter.
        let error = match host.flash(&mut card, new.bytes()) {
            Ok(_) => break,
            Err(error) => error,
        };
        card.heal();
        assert!(is_device(cause(&error)), "{error:?}");
        let after = survey(&card);
        assert_eq!(after.identity().map(Identity::uuid), Some(identity(1).uuid()), "gone after {gone_after}");
        host.flash(&mut card, new.bytes()).unwrap();
        let done = survey(&card);
        assert_eq!((done.state(), host.record_count()), (State::Valid, 0));
        let mut image = new.clone();
        stamp(&mut image, done.identity().unwrap(), [52, 1711]);
        assert!(card.bytes == *image.bytes());
        gone_after += 1;
    }
    assert!(gone_after > 10);
}

#[test]
fn a_lost_identity_comes_back_from_the_record() {
    let host = Host::new();
    let mut old = content(8192, 1);
    stamp(&mut old, &identity(1), [52, 6607]);
    let new = content(8192, 2);
    let faults = Faults { write_error: Some(15000), ..Faults::default() };
    let mut card = FaultyCard::new(old.into_bytes()).failing(faults);
    assert!(host.flash(&mut card, new.bytes()).is_err());
    card.heal();
    for lba in [52, 6607] {
        card.bytes[lba * SECTOR_LEN..(lba + 1) * SECTOR_LEN].fill(0);
    }
    host.flash(&mut card, new.bytes()).unwrap();
    assert_flashed(&card, &new, &next(&identity(1)), [52, 6607]);
    assert_eq!(host.record_count(), 0);

    // Without the mark nobody knows whether it is the same card.
    let mut card = card.failing(Faults { write_error: Some(15000), ..Faults::default() });
    assert!(host.flash(&mut card, new.bytes()).is_err());
    let mut other = FaultyCard::new(content(8192, 3).into_bytes());
    let error = host.flash(&mut other, new.bytes()).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Flash { problem: FlashProblem::PossibleRecords(_), .. }), "{error:?}");
    let no_restore = Request { no_restore: true, ..Request::default() };
    host.flash_as(&mut other, &host.image(new.bytes()), no_restore, Stop::default()).unwrap();
    assert_eq!(survey(&other).state(), State::Blank);
}

#[test]
fn interrupted() {
    let host = Host::new();
    let mut old = content(8192, 1);
    stamp(&mut old, &identity(1), [52, 6607]);
    let mut card = FaultyCard::new(old.into_bytes());
    let stop = Stop::default();
    stop.ask();
    let image = host.image(content(8192, 2).bytes());
    let error = host.flash_as(&mut card, &image, Request::default(), stop).map(|_| ()).unwrap_err();
    assert!(matches!(cause(&error), Error::Interrupted), "{error:?}");
    assert_unfinished(&host, &card, &error, &identity(1));
}

#[test]
fn zeros_are_left_to_a_card_that_shows_that_it_can() {
    let host = Host::new();
    let mut image = Fixture::new(SECTORS);
    image.mbr(1, 0x83, 8192, SECTORS as u32 - 8192);
    for (discards, discard_lies) in [(false, false), (true, false), (true, true)] {
        let mut card = FaultyCard::logging(content(8192, 1).into_bytes());
        card.discards = discards;
        card.faults.discard_lies = discard_lies;
        let done = host.flash(&mut card, image.bytes()).unwrap();
        assert!(card.bytes == *image.bytes());
        // The gap behind the first MiB was zero before, and reads so.
        assert_eq!(done.summary.zero_len > 6144 * 512, discards && !discard_lies);
        assert_eq!(done.summary.image_len, image.bytes().len() as u64);
    }
}

#[test]
fn what_no_block_map_range_covers_is_not_written_but_before_the_first_partition() {
    let host = Host::new();
    let mut image = content(8192, 2);
    // Blocks of 4 KiB: the table, and the second half of the partition.
    let (first, last) = (SECTORS / 16, SECTORS / 8);
    let zero = 8192 * SECTOR_LEN..first * 4096;
    image.bytes_mut()[zero.clone()].fill(0);
    image.bytes_mut()[700 * SECTOR_LEN..2048 * SECTOR_LEN].fill(0);
    let text = bmap::tests::xml(image.bytes(), &[(0, 1), (first, last)]);
    let path = host.image(image.bytes());
    fs::write(path.with_extension("bmap"), &text).unwrap();

    let old = FaultyCard::new(vec![0x77; SECTORS * SECTOR_LEN]);
    let mut card = old.clone();
    host.flash_as(&mut card, &path, Request::default(), Stop::default()).unwrap();
    assert!(card.bytes[..zero.start] == image.bytes()[..zero.start], "all of the gap is the image's");
    assert!(card.bytes[zero.clone()].iter().all(|&byte| byte == 0x77), "nothing was written there");
    assert!(card.bytes[zero.end..] == image.bytes()[zero.end..]);

    // A block that is not what its map says, behind the head: found on the way.
    let mut bad = image.clone();
    bad.bytes_mut()[last * 4096 + 5] ^= 1;
    let mut card = old.clone();
    let error = host.flash_as(&mut card, &host.image(bad.bytes()), Request::default(), Stop::default());
    let error = error.map(|_| ()).unwrap_err();
    assert!(matches!(cause(&error), Error::Image { .. }), "{error:?}");
    assert!(Mark::parse(card.bytes.first_chunk().unwrap()).is_some());
    // In the head: before the first byte.
    let mut bad = image.clone();
    bad.bytes_mut()[4096] ^= 1;
    let mut card = old.clone();
    assert!(host.flash_as(&mut card, &host.image(bad.bytes()), Request::default(), Stop::default()).is_err());
    assert!(card.bytes == old.bytes);
}

#[test]
fn the_mark_is_taken_for_nothing_else() {
    let sector = Mark::new("image", Some(1)).encode();
    let mut bytes = vec![0; 8192 * SECTOR_LEN];
    bytes[..SECTOR_LEN].copy_from_slice(&sector);
    let table = identity_layout::table::read(&identity_layout::Gap::new(&bytes, 8192));
    assert!(table.partitions.is_empty() && table.fatal_problem().is_some());
}
