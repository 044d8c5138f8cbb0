// SPDX-License-Identifier: MIT OR Apache-2.0
//! The power goes at every moment of `flash`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use identity_core::field::kind;
use identity_core::{Draft, Identity, State, Uuid};
use identity_fixtures::Card;
use identity_host::device::{Card as _, SECTOR_LEN, WritableCard};
use identity_host::flash::interrupt::Stop;
use identity_host::flash::prepare::{FlashTarget, Request, prepare};
use identity_host::flash::progress::Quiet;
use identity_host::flash::run::{Settings, run};
use identity_host::image::source::Source;
use identity_host::record::{self, CardKey, Record};
use identity_host::scan::Scan;
use identity_host::surroundings::Surroundings;
use identity_host::testing::{Event, Faults, FaultyCard};
use identity_layout::mark::Mark;
use identity_tests::random::Random;
use identity_tests::{figure, thorough};
use identity_ui::{Exit, Result};

use crate::card::SimCard;
use crate::cut::{self, Cut, Form};
use crate::readers::{Allowed, Promise, ask, is_copy_left, verify};

/// One flash that may be cut off in `before`.
struct Case {
    name: &'static str,
    before: SimCard,
    image: Card,
    options: Request,
    promise: Promise,
}

/// The host: an image, and records.
struct Host {
    dir: tempfile::TempDir,
    image: PathBuf,
}

impl Host {
    fn new(image: &Card) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        fs::write(&path, image.bytes()).unwrap();
        Self { dir, image: path }
    }

    fn flash(&self, card: &mut dyn WritableCard, records: &Path, options: Request) -> Result<()> {
        let mut source = Source::open(&self.image, None, 1 << 30)?;
        let path = Path::new("card");
        let key = CardKey { path: "/card".into(), sectors: card.sectors(), cid: None };
        let surroundings = Surroundings::unknown("unknown");
        let target = FlashTarget { card: &*card, path, key: &key, records, surroundings };
        let prepared = prepare(&target, &mut source, None, options)?;
        let (progress, stop) = (&mut Quiet, Stop::default());
        let settings = Settings { path, key, records, retired: None, verify: true, progress, stop };
        run(prepared, card, source, settings)?;
        Ok(())
    }

    /// The record that lies on the host while `case` is under way; none where the identity is given up: that one was
    /// retired before.
    fn record(&self, case: &Case) -> Option<PathBuf> {
        let records = self.dir.path().join("record");
        // Behind the mark: where nothing was written, no record is left.
        let faults = Faults { write_error: Some(1), ..Faults::default() };
        let mut card = FaultyCard::new(case.before.bytes()).failing(faults);
        let failed = self.flash(&mut card, &records, case.options.clone());
        assert_eq!(failed.unwrap_err().exit(), Exit::Device);
        let record = files(&records).pop();
        assert_eq!(record.is_none(), case.promise == Promise::Erased, "{}: {record:?}", case.name);
        record
    }
}

/// Gives a record the number that the mark has in this log, as if both were of one flash.
fn take_number(record: &Path, log: &[Event]) {
    let mark = log.iter().find_map(|event| match event {
        Event::Write { lba: 0, bytes } => Mark::parse(bytes.as_slice().try_into().ok()?),
        _ => None,
    });
    let number = format!("{:032x}", mark.and_then(|mark| mark.number()).expect("a number"));
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    json["number"] = number.into();
    fs::write(record, json.to_string()).unwrap();
}

fn files(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).map_or(vec![], |files| files.map(|file| file.unwrap().path()).collect())
}

fn identity(uuid: u128) -> Identity {
    let mut draft = Draft::new(Uuid::from_u128(uuid)).unwrap();
    draft.set_text(kind::PROFILE, "panda").unwrap();
    draft.set_text(kind::HOSTNAME, &format!("h{uuid}")).unwrap();
    draft.finish().unwrap()
}

/// A card of so many sectors with one partition, full of bytes that depend on `seed`.
fn content(sectors: usize, first_lba: u32, seed: u8) -> Card {
    let mut card = Card::new(sectors);
    for (at, byte) in card.bytes_mut()[first_lba as usize * SECTOR_LEN..].iter_mut().enumerate() {
        *byte = ((at >> 8) as u8).wrapping_mul(31).wrapping_add(at as u8).wrapping_add(seed) | 1;
    }
    card.mbr(1, 0x83, first_lba, sectors as u32 - first_lba);
    card
}

fn stamped(mut card: Card, identity: &Identity, [one, other]: [u32; 2]) -> Card {
    card.put(one as usize, &identity.encode(one, other));
    card.put(other as usize, &identity.encode(other, one));
    card
}

fn cases() -> Vec<Case> {
    let own = identity(1);
    let with_own = |sectors, first_lba, lbas| stamped(content(sectors, first_lba, 1), &own, lbas);
    let case = |name, before: Card, image| {
        let mut before = SimCard::new(before.into_bytes());
        before.discards = true;
        Case { name, before, image, options: Request::default(), promise: Promise::Kept }
    };
    let mut half = with_own(8300, 8192, [52, 6607]);
    let mut damaged = own.encode(52, 6607);
    damaged[100] ^= 1;
    half.put(52, &damaged);
    let new = || Request { fresh: Some(identity(2)), ..Request::default() };
    let force = |options| Request { force: true, ..options };
    let card = CardKey { path: "/card".into(), sectors: 2200, cid: None };
    let record = Record::pending(&own, [52, 1711], card, 1, "image");
    let file = record.write(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("a named record")).unwrap();
    let restore = Request { restore: Some(record::read_kept(&file).unwrap()), ..Request::default() };
    vec![
        case("the copies stay", with_own(8300, 8192, [52, 6607]), content(8300, 8192, 2)),
        case("the copies move", with_own(8300, 8192, [52, 6607]), content(8300, 2048, 2)),
        case("zeros are discarded", with_own(8300, 2048, [52, 1711]), content(8300, 8192, 2)),
        case("one page holds both", with_own(2200, 40, [5, 7]), content(2200, 40, 2)),
        case("a degraded one", half, content(8300, 8192, 2)),
        Case {
            options: new(),
            promise: Promise::Given,
            ..case("a new one", content(2200, 2048, 1), content(2200, 2048, 2))
        },
        Case {
            options: force(new()),
            promise: Promise::Replaced,
            ..case("another one", with_own(2200, 2048, [52, 1711]), content(2200, 2048, 2))
        },
        Case {
            options: restore,
            promise: Promise::Given,
            ..case("one from a record", content(2200, 2048, 1), content(2200, 2048, 2))
        },
        Case {
            options: force(Request::default()),
            promise: Promise::Erased,
            ..case("no place for it", with_own(2200, 40, [5, 7]), content(2200, 4, 2))
        },
    ]
}

/// What every cut is held against.
struct Flash<'a> {
    case: &'a Case,
    host: Host,
    record: Option<PathBuf>,
    log: Vec<Event>,
    done: SimCard,
    places: BTreeSet<u64>,
    allowed: Allowed,
}

impl<'a> Flash<'a> {
    /// Carries it out without a cut.
    fn of(case: &'a Case) -> Self {
        let host = Host::new(&case.image);
        let record = host.record(case);
        let mut done = case.before.clone();
        host.flash(&mut done, &host.dir.path().join("whole"), case.options.clone()).unwrap();
        let log = std::mem::take(&mut done.log);
        if let Some(record) = &record {
            take_number(record, &log);
        }
        let survey = |card: &SimCard| Scan::read(card, None);
        let copies =
            |card: &SimCard| -> Vec<_> { survey(card).valid().map(|(lba, ..)| u64::from(lba)).collect() };
        let places = copies(&case.before).into_iter().chain(copies(&done)).collect();
        let known = [&case.before, &done].map(|card| survey(card).identity().cloned());
        let allowed = Allowed { promise: case.promise, identities: known.into_iter().flatten().collect() };
        let flash = Self { case, host, record, log, done, places, allowed };
        flash.check_done(&flash.done, "without a cut");
        flash
    }

    /// The card is the image with an identity, or without one where that was given up.
    fn check_done(&self, card: &SimCard, about: &str) {
        let found = verify(card, None);
        let mut wanted = self.case.image.clone();
        match self.case.promise {
            Promise::Erased => assert_eq!(found.state, State::Blank, "{about}"),
            _ => {
                let last = self.allowed.identities.last().unwrap();
                let found_one = found.identity.clone().unwrap();
                let same = (found.state, found_one.uuid()) == (State::Valid, last.uuid());
                assert!(same && found_one.fields() == last.fields(), "{about}: {found:?}");
                let survey = Scan::read(card, None);
                for (own, identity, peer) in survey.valid() {
                    wanted.put(own as usize, &identity.encode(own, peer));
                }
            }
        }
        assert!(
            card.bytes()[..wanted.bytes().len()] == *wanted.bytes(),
            "{about}: the card is not the image"
        );
    }

    fn check(&self, cut: &Cut<'_>, card: &SimCard) {
        let about = || format!("{}: {cut}", self.case.name);
        let is_left = is_copy_left(card, &self.places, cut.page());
        let must_find = self.case.promise.is_kept() && is_left;
        assert!(cut.page().is_some() || must_find || !self.case.promise.is_kept(), "{}", about());
        self.allowed.check(&ask(card, None), must_find, &about);

        // The old table only until the mark is written, the new one only when all else is there.
        let lba0 = card.sector(0);
        let last = self.log.iter().rposition(|event| *event != Event::Flush).unwrap();
        if cut.number == 0 || cut.number == last {
            let other = if cut.number == 0 { &self.case.before } else { &self.done };
            let page = cut.page().unwrap_or(0..1);
            let same =
                (0..card.sectors()).all(|lba| page.contains(&lba) || card.sector(lba) == other.sector(lba));
            assert!(same, "{}", about());
        } else {
            let is_lost = cut.page().is_some_and(|page| page.contains(&0));
            assert!(is_lost || Mark::parse(&lba0).is_some(), "{}", about());
        }
    }

    /// The same command again finishes the work, with what is on the card and on the host.
    fn finish(&self, cut: &Cut<'_>, mut card: SimCard) {
        let about = format!("{}, again after {cut}", self.case.name);
        let records = self.host.dir.path().join("again");
        let _ = fs::remove_dir_all(&records);
        fs::create_dir(&records).unwrap();
        let record = self.record.as_ref().map(|kept| {
            let record = records.join(kept.file_name().unwrap());
            fs::copy(kept, &record).unwrap();
            record
        });
        let has_none = !ask(&card, None).state.is_usable();
        if let Err(error) = self.host.flash(&mut card, &records, self.case.options.clone()) {
            // With no identity on the card and no mark, nobody knows whether the record is of this card.
            let is_asked = has_none && error.exit() == Exit::Refused && error.to_string().contains(".json");
            let is_doubtful = error.exit() == Exit::Device || error.to_string().contains("--force");
            assert!(is_asked || has_none && is_doubtful, "{about}: {error}");
            let record = record.unwrap_or_else(|| panic!("{about}: {error}"));
            let restore = Some(record::read_kept(&record).unwrap());
            let options = Request { restore, force: true, ..self.case.options.clone() };
            self.host.flash(&mut card, &records, options).unwrap_or_else(|error| panic!("{about}: {error}"));
        }
        self.check_done(&card, &about);
        // Of an identity from a named file, the note of who has got it stays.
        let is_note = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"given-"))
        };
        let left: Vec<_> = files(&records).into_iter().filter(|path| !is_note(path)).collect();
        assert!(left.is_empty(), "{about}: a record is left: {left:?}");
    }
}

#[test]
fn a_power_cut_in_flash_leaves_the_identity_and_a_card_that_does_not_look_finished() {
    let (mut cuts, mut pages, mut finished) = (0, 0, 0);
    let mut random = Random::new(1);
    for case in cases() {
        let flash = Flash::of(&case);
        // In an ordinary run some are finished, of every write the one that arrived.
        let odds = if thorough() { 8 } else { 400 };
        cuts += cut::each(&case.before, &flash.log, |cut, card| {
            flash.check(cut, &card);
            pages += u64::from(cut.page().is_some());
            let is_whole = matches!(cut.form, Form::Whole) && (thorough() || random.below(4) == 0);
            if is_whole || random.below(odds) == 0 {
                flash.finish(cut, card);
                finished += 1;
            }
        });
    }
    figure(cuts - pages, "crash states of flash");
    figure(pages, "crash states of flash that lost a flash page of 16 KiB");
    figure(finished, "of them flashed again to the end");
}
