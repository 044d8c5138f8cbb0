// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every state in which a power cut can leave a card, by a log of what was done to it.
//!
//! What was flushed is there. Of the writes since the last flush any may have arrived, in any order: they never
//! overlap, which is asserted, so only which of them arrived counts. The write in flight has happened not at all, in
//! full, up to or from a 64-byte boundary, or has left a sector, or the flash page around it, in ruins.

use std::fmt;
use std::ops::Range;

use identity_fixtures::loader::noise;
use identity_host::device::{Card, SECTOR_LEN, Sector};
use identity_host::testing::Event;
use identity_tests::random::Random;
use identity_tests::thorough;

use crate::card::SimCard;

/// Where a write can tear, in bytes: what buses and controllers move at a time.
const TEAR_LEN: usize = 64;
/// A flash page in sectors: 16 KiB.
pub const PAGE_SECTORS: u64 = 32;
/// Sectors of a write that is called long: it is torn at sectors' ends only, but near its ends.
const LONG: usize = 64;
/// Writes between two flushes of which every subset is tried.
const SUBSETS_MAX: usize = 6;

/// What is left of a sector that was being programmed.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    Noise,
    Zero,
    Erased,
    Unreadable,
}

const LOSSES: [Loss; 4] = [Loss::Noise, Loss::Zero, Loss::Erased, Loss::Unreadable];

/// What became of the write in flight.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Nothing,
    Whole,
    /// So many bytes of its beginning have arrived.
    Head(usize),
    /// All but so many bytes of its beginning have arrived.
    Tail(usize),
    /// What lies before this sector of it has arrived, and the sector is lost.
    Sector(u64, Loss),
    /// The same, and the whole page around the sector is lost.
    Page(u64, Loss),
}

/// One cut.
pub struct Cut<'a> {
    /// Number of the write in flight in the log; the log's length if there is none.
    pub number: usize,
    pub event: Option<&'a Event>,
    pub form: Form,
    /// Which of the writes since the last flush had arrived.
    arrived: String,
}

impl Cut<'_> {
    /// The sectors that are lost with a page.
    pub fn page(&self) -> Option<Range<u64>> {
        let (Some(Event::Write { lba, .. }), Form::Page(at, _)) = (self.event, self.form) else {
            return None;
        };
        Some(page_of(lba + at))
    }
}

impl fmt::Display for Cut<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.event {
            Some(Event::Write { lba, bytes }) => format!("{} sectors at LBA {lba}", bytes.len() / SECTOR_LEN),
            Some(Event::Discard { lba, sectors }) => format!("discard of {sectors} sectors at LBA {lba}"),
            _ => "nothing".into(),
        };
        write!(out, "cut at {}, {place}: {:?}; before it {}", self.number, self.form, self.arrived)
    }
}

/// The page that a sector lies in.
pub fn page_of(lba: u64) -> Range<u64> {
    let first = lba - lba % PAGE_SECTORS;
    first..first + PAGE_SECTORS
}

fn span(event: &Event) -> Range<u64> {
    match event {
        Event::Write { lba, bytes } => *lba..lba + (bytes.len() / SECTOR_LEN) as u64,
        Event::Discard { lba, sectors } => *lba..lba + sectors,
        Event::Flush => 0..0,
    }
}

/// Calls `visit` with every state that a cut during `log` can leave of `before`; returns how many there were.
pub fn each(before: &SimCard, log: &[Event], mut visit: impl FnMut(&Cut<'_>, SimCard)) -> u64 {
    let mut flushed = before.clone();
    flushed.log.clear();
    let mut waiting: Vec<&Event> = Vec::new();
    let mut count = 0;
    for (number, event) in log.iter().enumerate() {
        if *event == Event::Flush {
            for event in waiting.drain(..) {
                apply(&mut flushed, event, Form::Whole);
            }
            flushed.settle();
            continue;
        }
        let apart = |other: &&Event| {
            let (one, other) = (span(event), span(other));
            one.end <= other.start || other.end <= one.start
        };
        assert!(waiting.iter().all(apart), "two writes to one sector without a flush between them");
        for arrived in subsets(waiting.len()) {
            let mut card = flushed.clone();
            for (event, _) in waiting.iter().zip(&arrived).filter(|(_, arrived)| **arrived) {
                apply(&mut card, event, Form::Whole);
            }
            card.settle();
            let in_order = arrived.iter().all(|arrived| *arrived);
            for form in forms(event, in_order, number == 0) {
                let mut card = card.clone();
                apply(&mut card, event, form);
                let arrived = arrived.iter().map(|&arrived| if arrived { '+' } else { '-' }).collect();
                visit(&Cut { number, event: Some(event), form, arrived }, card);
                count += 1;
            }
        }
        waiting.push(event);
    }
    count
}

/// Which of `len` writes arrived: all of the possibilities if they are few.
fn subsets(len: usize) -> Vec<Vec<bool>> {
    if len <= SUBSETS_MAX {
        return (0..1_u32 << len).map(|bits| (0..len).map(|at| bits >> at & 1 == 1).collect()).collect();
    }
    let mut subsets: Vec<Vec<bool>> = vec![vec![true; len], vec![false; len]];
    for one in 0..len {
        subsets.push((0..len).map(|at| at == one).collect());
        subsets.push((0..len).map(|at| at != one).collect());
        subsets.push((0..len).map(|at| at < one).collect());
        subsets.push((0..len).map(|at| at >= one).collect());
    }
    let mut random = Random::new(len as u64);
    subsets.extend((0..64).map(|_| (0..len).map(|_| random.below(2) == 1).collect()));
    subsets.sort_unstable();
    subsets.dedup();
    subsets
}

fn forms(event: &Event, in_order: bool, is_first: bool) -> Vec<Form> {
    // With all before it arrived, nothing of this one is the state behind the one before.
    let mut forms = if in_order && !is_first { vec![Form::Whole] } else { vec![Form::Nothing, Form::Whole] };
    let len = match event {
        Event::Write { bytes, .. } => bytes.len(),
        Event::Discard { sectors, .. } => {
            forms.push(Form::Head(*sectors as usize / 2 * SECTOR_LEN));
            return forms;
        }
        Event::Flush => return Vec::new(),
    };
    if !in_order {
        return forms;
    }
    let (tears, sectors) = (len / TEAR_LEN, len / SECTOR_LEN);
    let is_long = sectors > LONG;
    let near_ends = LONG.min(sectors) * SECTOR_LEN / TEAR_LEN;
    for tear in interesting(tears).into_iter().filter(|&tear| tear > 0) {
        let is_near = tear < near_ends || tears - tear < near_ends;
        if is_near || tear.is_multiple_of(SECTOR_LEN / TEAR_LEN) {
            forms.extend([Form::Head(tear * TEAR_LEN), Form::Tail(tear * TEAR_LEN)]);
        }
    }
    for sector in interesting(sectors) {
        // Of a long write every sector is lost in one way, and every page four times.
        let ways = if is_long { &LOSSES[sector % 4..][..1] } else { &LOSSES };
        forms.extend(ways.iter().map(|&loss| Form::Sector(sector as u64, loss)));
        if !is_long || sector.is_multiple_of(PAGE_SECTORS as usize / 4) {
            forms.extend(LOSSES.map(|loss| Form::Page(sector as u64, loss)));
        }
    }
    forms
}

/// Of 0 to `count` all; in an ordinary run, of many, those at both ends and some between.
fn interesting(count: usize) -> Vec<usize> {
    const ENDS: usize = 4;
    if thorough() || count <= 2 * ENDS {
        return (0..count).collect();
    }
    let between = (1..4).map(|part| count * part / 4);
    (0..ENDS).chain(between).chain(count - ENDS..count).collect()
}

fn apply(card: &mut SimCard, event: &Event, form: Form) {
    let (lba, new) = match event {
        Event::Write { lba, bytes } => (*lba, bytes.clone()),
        Event::Discard { lba, sectors } => (*lba, vec![0; *sectors as usize * SECTOR_LEN]),
        Event::Flush => return,
    };
    let arrived = match form {
        Form::Nothing => 0..0,
        Form::Whole => 0..new.len(),
        Form::Head(len) => 0..len,
        Form::Tail(len) => len..new.len(),
        Form::Sector(at, _) | Form::Page(at, _) => 0..at as usize * SECTOR_LEN,
    };
    if !arrived.is_empty() {
        for at in arrived.start / SECTOR_LEN..arrived.end.div_ceil(SECTOR_LEN) {
            let whole = at * SECTOR_LEN..(at + 1) * SECTOR_LEN;
            let part = whole.start.max(arrived.start)..whole.end.min(arrived.end);
            let mut sector = card.sector(lba + at as u64);
            sector[part.start - whole.start..part.end - whole.start].copy_from_slice(&new[part]);
            card.set(lba + at as u64, sector);
        }
    }
    match form {
        Form::Sector(at, loss) => lose(card, lba + at, loss),
        Form::Page(at, loss) => {
            let page = page_of(lba + at);
            (page.start..page.end.min(card.sectors())).for_each(|lba| lose(card, lba, loss));
        }
        _ => (),
    }
}

fn lose(card: &mut SimCard, lba: u64, loss: Loss) {
    let sector: Sector = match loss {
        Loss::Unreadable => return card.make_unreadable(lba),
        Loss::Zero => [0; SECTOR_LEN],
        Loss::Erased => [0xff; SECTOR_LEN],
        Loss::Noise => noise(lba + 1, SECTOR_LEN).try_into().expect("a sector"),
    };
    card.set(lba, sector);
}
