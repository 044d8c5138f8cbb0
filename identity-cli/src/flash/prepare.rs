// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that can be refused before the first byte is written, and the plan.

use identity_core::{Identity, State};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bmap::{Bmap, Checker};
use super::choice::{self, Choice, Wishes};
use super::container::{self, Format};
use super::head::{self, Head};
use super::plan::{self, FlashPlan};
use super::record::{self, CardKey, Matches, Record};
use super::source::{self, Source};
use super::write;
use crate::device::{Card, SECTOR_LEN, Sector};
use crate::error::{Error, Result};
use crate::ground::Ground;
use crate::survey::Survey;
use identity_layout::mark;
use identity_layout::{Gap, table};

/// What the command line asks for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The identity of a card that has none.
    pub fresh: Option<Identity>,
    /// A record that was named.
    pub restore: Option<(PathBuf, Record)>,
    /// This card is none that there is a record of.
    pub no_restore: bool,
    /// Places for the copies that were named.
    pub at: Vec<u32>,
    /// Go on without identity where there is no place for it, or its state is doubtful.
    pub force: bool,
}

/// A flash that may begin.
pub struct Prepared {
    /// What to do with the identity.
    pub plan: FlashPlan,
    /// The image's first bytes, without copies of any identity.
    pub head: Vec<u8>,
    /// The block map, and how much of it has been checked.
    pub checker: Option<Checker>,
    /// Where copies of an identity were in the image.
    pub blanked: Vec<u32>,
    /// What was on the card.
    pub survey: Survey,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// The card that is going to be written.
pub struct Subject<'a> {
    /// The card.
    pub card: &'a dyn Card,
    /// For messages.
    pub path: &'a Path,
    /// What tells it from others.
    pub key: &'a CardKey,
    /// Where records are.
    pub records: &'a Path,
    /// What a state means for this card, and what to do about it.
    pub explain: &'a dyn Fn(&Survey) -> String,
}

/// Reads the image's first bytes and what is on the card, and plans.
///
/// # Errors
/// Exit 6 if the image is no image, does not fit, or a person has to decide about the identity; 7 if the image or the
/// card cannot be read.
pub fn prepare(
    subject: &Subject<'_>,
    source: &mut Source,
    bmap: Option<Arc<Bmap>>,
    options: Options,
) -> Result<Prepared> {
    let sectors = subject.card.sectors();
    check_lengths(source, bmap.as_deref(), subject)?;
    let mut head = head::read(source, |bytes| Ground::gap_sectors(bytes, sectors))?;
    check_head(&head, source, subject)?;
    let mut checker = bmap.map(Checker::new);
    if let Some(checker) = &mut checker {
        let given = checker.give(0, &head.bytes);
        given.map_err(|reason| Error::refused(format!("{}: {reason}", source.name)))?;
    }
    let gap_sectors = Ground::gap_sectors(&head.bytes, sectors);
    let first_partition_lba =
        table::read(&Gap::new(&head.bytes, sectors)).first_partition_lba().unwrap_or(u64::MAX);
    let blanked = head::blank_copies(&mut head.bytes, first_partition_lba);

    let survey = look(subject, &options.at).placed(subject.card.here());
    let mut notes = Vec::new();
    let Options { fresh, restore, no_restore, at, force } = options;
    let choice = choose(subject, &survey, Wishes { fresh, restore, no_restore, force }, &mut notes)?;
    let plan = make_plan(subject, choice, &survey, &mut head, gap_sectors, &at, force)?;
    if let Some(reason) = &plan.given_up {
        notes.push(format!("{} will be without identity: {reason}", subject.path.display()));
    }
    Ok(Prepared { plan, head: head.bytes, checker, blanked, survey, notes })
}

/// What can be said of the image's length before it is unpacked.
fn check_lengths(source: &Source, bmap: Option<&Bmap>, subject: &Subject<'_>) -> Result<()> {
    let exact = source.exact_len().into_iter().chain(bmap.map(|bmap| bmap.image_len));
    for len in source.stated_len.into_iter().chain(exact.clone()) {
        write::check_len(len, subject.card.sectors(), subject.path)?;
    }
    for len in exact {
        if !len.is_multiple_of(SECTOR_LEN as u64) {
            return Err(write::ragged(len));
        }
    }
    match (source.exact_len(), bmap) {
        (Some(len), Some(bmap)) if len != bmap.image_len => Err(Error::refused(format!(
            "{} is {len} bytes long, but {} by its block map; fetch both again, or say --no-bmap",
            source.name, bmap.image_len
        ))),
        _ => Ok(()),
    }
}

/// What can be said of the image when its first bytes are known, or all of a small one.
fn check_head(head: &Head, source: &Source, subject: &Subject<'_>) -> Result<()> {
    if head.bytes.is_empty() {
        return Err(Error::refused(format!("{} holds nothing; give an image", source.name)));
    }
    write::check_len(head.bytes.len() as u64, subject.card.sectors(), subject.path)?;
    if !head.bytes.len().is_multiple_of(SECTOR_LEN) {
        return Err(write::ragged(head.bytes.len() as u64));
    }
    // Packed twice, or an archive in an archive: nothing that a board could read.
    let inside = match container::recognise(&head.bytes) {
        Ok(Format::Raw) => return Ok(()),
        Ok(format) => format!("a {} file with a {} file in it", source.format.name(), format.name()),
        Err(what) => format!("a {} file with {what} in it", source.format.name()),
    };
    Err(source::foreign(&source.name, &inside))
}

/// What is on the card, by preference before its first partition. But a card may have been given a larger partition
/// since it was stamped, and its identity is still the one that boards read; or a person has put it elsewhere.
fn look(subject: &Subject<'_>, at: &[u32]) -> Survey {
    let hint = at.first().copied();
    let survey = Survey::of(subject.card, hint);
    match find_outside_slots(subject) {
        Some(lba) if survey.state() == State::Blank && hint.is_none() => Survey::of(subject.card, Some(lba)),
        _ => survey,
    }
}

/// A copy that a person has put elsewhere than in a slot.
fn find_outside_slots(subject: &Subject<'_>) -> Option<u32> {
    /// Enough for [`Ground::gap_sectors`].
    const FIRST: u64 = 4096;
    let sectors = subject.card.sectors();
    let mut first = vec![0; sectors.min(FIRST) as usize * SECTOR_LEN];
    let gap_sectors = match subject.card.read(0, &mut first) {
        Ok(()) => Ground::gap_sectors(&first, sectors),
        Err(_) => FIRST,
    };
    head::find_outside_slots(subject.card, gap_sectors)
}

fn choose(subject: &Subject<'_>, survey: &Survey, wishes: Wishes, notes: &mut Vec<String>) -> Result<Choice> {
    let shown = subject.path.display();
    let explained = (subject.explain)(survey);
    let mut matches = Matches::default();
    if !survey.state().is_usable() {
        let mut lba0: Sector = [0; SECTOR_LEN];
        let mark = subject.card.read(0, &mut lba0).ok().and_then(|()| mark::parse(&lba0));
        matches = record::find(subject.records, subject.key, mark);
        notes.extend(matches.broken.iter().map(ToString::to_string));
    } else if survey.state() == State::Degraded {
        notes.push(explained.clone());
    }
    let choice = choice::decide(survey, &explained, matches, wishes, subject.path)?;
    if let Choice::Restore(identity, file) = &choice {
        notes.push(format!(
            "{shown} gets back the identity {} ({}) from {}",
            identity.uuid(),
            identity.profile(),
            file.display()
        ));
    }
    Ok(choice)
}

/// The plan; `head` loses what lies where the copies will be.
fn make_plan(
    subject: &Subject<'_>,
    choice: Choice,
    survey: &Survey,
    head: &mut Head,
    gap_sectors: u64,
    at: &[u32],
    force: bool,
) -> Result<FlashPlan> {
    let len = head.bytes.len();
    let bytes = head::overlay(std::mem::take(&mut head.bytes), subject.card, gap_sectors);
    let ground = Ground::of_bytes(bytes, subject.card.sectors());
    let room = plan::Room {
        places: ground.places(),
        check: &|lba| ground.check(lba),
        check_at: &|lba| ground.check_at(lba, force),
    };
    let plan = plan::plan(choice, survey, &room, at, force)?;
    head.bytes = ground.into_bytes();
    head.bytes.truncate(len);
    for &lba in &plan.kept {
        let start = lba as usize * SECTOR_LEN;
        if let Some(sector) = head.bytes.get_mut(start..start + SECTOR_LEN) {
            sector.fill(0);
        }
    }
    Ok(plan)
}
