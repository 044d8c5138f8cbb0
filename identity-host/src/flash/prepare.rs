// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that can be refused before the first byte is written, and the plan.

use std::path::Path;
use std::sync::Arc;

use identity_core::search::Condition;
use identity_core::{Identity, State};
use identity_layout::Gap;
use identity_layout::mark::Mark;
use identity_layout::table::{self, PartitionTable, Scheme, TableProblem};

use super::choice::{self, Choice, Wanted};
use super::head::{self, Head};
use super::plan::{self, FlashPlan};
use super::{Note, leftover, write};
use crate::device::{Card, SECTOR_LEN, Sector};
use crate::error::{Action, Error, Result};
use crate::first_sectors::FirstSectors;
use crate::image::bmap::{Bmap, Checker};
use crate::image::container::{self, Format};
use crate::image::foreign;
use crate::image::problem::ImageProblem;
use crate::image::source::{STANDARD_INPUT, Source};
use crate::record::{self, CardKey, Given, Kept, Matches, Record};
use crate::scan::Scan;
use crate::surroundings::Surroundings;
use crate::update;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The identity of a card that has none.
    pub fresh: Option<Identity>,
    /// The identity of a record that was named.
    pub restore: Option<Kept>,
    /// Whether records of unfinished flashes are ignored.
    pub no_restore: bool,
    /// Places for the copies that were named.
    pub at: Vec<u32>,
    /// Whether the image may have no partition table.
    pub no_table: bool,
    /// Go on without identity where there is no place for it, or its state is doubtful.
    pub force: bool,
}

/// A flash that may begin.
pub struct Prepared {
    /// What to do with the identity.
    pub plan: FlashPlan,
    /// The image's first bytes, without copies of any identity.
    pub head: Vec<u8>,
    /// How many of them are the image's; the rest pads its last sector.
    pub head_len: usize,
    /// The block map, and how much of it has been checked.
    pub checker: Option<Checker>,
    /// Where copies of an identity were in the image.
    pub blanked: Vec<u32>,
    /// Sectors of the image that hold data, and that the copies take.
    pub covered: Vec<(u32, Sector)>,
    /// What was on the card.
    pub scan: Scan,
    /// The mark that the card gets: with the number that it has, or a new one.
    pub mark: Mark,
    /// The flash of this card that was begun and not finished.
    pub interrupted: Option<Interrupted>,
    /// The image's table, where the image's length is known only at its end.
    pub late_table: Option<PartitionTable>,
    /// What a person should know.
    pub notes: Vec<Note>,
    /// What takes a person's word. Whoever has it takes these away; else [`super::run::run`] returns the first.
    pub doubts: Vec<Error>,
    /// The note of who has got the identity that is restored, when that was asked.
    pub seen: Option<Given>,
}

/// A flash that this one finishes, or puts another image in place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// Name of its image, as far as the mark on the card has it.
    pub image: String,
    /// Whether this image has the same name: more is not known of the other one.
    pub is_same_name: bool,
}

/// The card that is going to be written.
pub struct FlashTarget<'a> {
    /// The card as it is before the flash.
    pub card: &'a dyn Card,
    /// Path of the target, for messages.
    pub path: &'a Path,
    /// What tells it from others.
    pub key: &'a CardKey,
    /// Directory of the records on this host.
    pub records: &'a Path,
    /// The card and the board.
    pub surroundings: Surroundings,
}

/// Reads the image's first bytes and what is on the card, and plans.
///
/// # Errors
/// [`Error::Flash`] if the image does not fit or a person has to decide about the identity; what else is wrong with the
/// image, or the card.
pub fn prepare(
    target: &FlashTarget<'_>,
    source: &mut Source,
    bmap: Option<Arc<Bmap>>,
    request: Request,
) -> Result<Prepared> {
    let sectors = target.card.sectors();
    let gap_end_lba = |bytes: &[u8]| table::read(&Gap::new(bytes, sectors)).gap_end_lba(sectors);
    let mut head = head::read(source, gap_end_lba)?;
    check_head(&head, source)?;
    check_lengths(&head, source, bmap.as_deref(), target)?;
    let table = table::read(&Gap::new(&head.bytes, sectors));
    check_table(&table, source, request.no_table)?;
    let image_len = source.exact_len().or(bmap.as_ref().map(|bmap| bmap.image_len));
    let image_len = image_len.or(head.is_all.then_some(head.image_len as u64));
    if !request.no_table {
        check_gpt(&table, image_len, sectors, source)?;
    }
    let mut checker = bmap.map(Checker::new);
    if let Some(checker) = &mut checker {
        let given = checker.give(0, &head.bytes[..head.image_len]);
        given.map_err(|mismatch| source.problem(ImageProblem::BlockMap(mismatch)))?;
    }
    let first_partition_lba = table.gap_end_lba(sectors);
    let blanked = head::blank_copies(&mut head.bytes, first_partition_lba);

    let scan = look(target, &request.at)?.judged_in(target.surroundings.clone());
    if let Some(lba) = scan.lbas(Condition::Newer).next().filter(|_| !request.force) {
        return Err(Error::NewerCopy {
            path: target.path.to_owned(),
            lba,
            in_partition: false,
            by_force: true,
        });
    }
    let mut notes = table_notes(&table, sectors);
    notes.extend(image_len.and_then(|len| ends_before_partition(&table, len)));
    let Request { fresh, restore, no_restore, at, no_table: _, force } = request;
    let old_mark = read_mark(target.card);
    let wanted = Wanted { fresh, restore, no_restore, force };
    let (choice, doubts, seen) = choose(target, &scan, old_mark.as_ref(), wanted, &mut notes)?;
    let (plan, covered) = make_plan(target, choice, &scan, &mut head, &at, force)?;
    match &plan.given_up {
        Some(error) => notes.push(Note::GivenUp(error.clone())),
        None if scan.state() == State::Degraded && matches!(plan.choice, Choice::Keep(_)) => {
            notes.push(Note::Degraded(Box::new(scan.clone())));
        }
        None => (),
    }
    let number = old_mark.as_ref().and_then(Mark::number).unwrap_or_else(record::new_number);
    let mark = Mark::new(&image_name(&source.path), Some(number));
    let interrupted = old_mark
        .map(|old| Interrupted { image: old.image().to_owned(), is_same_name: old.image() == mark.image() });
    let (head_len, late_table) = (head.image_len, image_len.is_none().then_some(table));
    Ok(Prepared {
        plan,
        head: head.bytes,
        head_len,
        checker,
        blanked,
        covered,
        scan,
        mark,
        interrupted,
        late_table,
        notes,
        doubts,
        seen,
    })
}

impl Prepared {
    /// Whether the identity comes from another card than this one, or may: that one must not be used any more.
    pub fn is_from_elsewhere(&self, key: &CardKey) -> bool {
        matches!(&self.plan.choice, Choice::Restore(kept) if !kept.is_of(key))
    }

    /// Whether a card certainly had the identity.
    pub fn was_on_card(&self) -> bool {
        matches!(&self.plan.choice, Choice::Restore(kept) if kept.was_on_card)
    }

    /// What has to be kept elsewhere before the card is written: every identity on it that it will not have any more, and
    /// damaged copies where it will have none of them.
    pub fn retired(&self, key: &CardKey) -> Vec<Record> {
        let stays = self.plan.identity.as_ref().map(Identity::uuid);
        let is_lost = |record: &Record| match &record.identity {
            Some(identity) => Some(identity.uuid()) != stays,
            None => stays.is_none() || matches!(self.plan.choice, Choice::New(_)),
        };
        let mut records = Record::retired(&self.scan, key);
        records.retain(is_lost);
        if records.is_empty() { Record::newer(&self.scan, key).into_iter().collect() } else { records }
    }
}

/// An image without a table is the image of a partition, a loader, or no image at all, more often than that of a card.
fn check_table(table: &PartitionTable, source: &Source, no_table: bool) -> Result<()> {
    let find = |wanted: fn(&TableProblem) -> Option<&'static str>| table.problems.iter().find_map(wanted);
    let is_other_label =
        table.problems.iter().any(|problem| matches!(problem, TableProblem::OtherLabel { .. }));
    let filesystem = find(|problem| match problem {
        TableProblem::WholeDevice(user) => Some(user.name),
        TableProblem::Iso9660 => Some("ISO 9660"),
        _ => None,
    });
    let has_table = match filesystem {
        // A boot sector has the signature of an MBR.
        Some(_) => !table.partitions.is_empty() || table.scheme == Scheme::Gpt,
        None => table.scheme != Scheme::None || is_other_label,
    };
    if has_table || no_table { Ok(()) } else { Err(source.problem(ImageProblem::NoTable(filesystem))) }
}

/// Where the first header of a GPT cannot be read, every tool takes the backup, and looks for it in the last sector alone.
fn check_gpt(table: &PartitionTable, image_len: Option<u64>, sectors: u64, source: &Source) -> Result<()> {
    let is_refused = |problem: &&TableProblem| {
        matches!(
            problem,
            TableProblem::GptMissing
                | TableProblem::GptHeaderLen { .. }
                | TableProblem::GptHeaderCrc { .. }
                | TableProblem::GptHeaderLba { .. }
                | TableProblem::GptUsableOrder { .. }
                | TableProblem::GptEntryLen { .. }
                | TableProblem::GptEntriesCrc { .. }
        )
    };
    let ends_with_card = image_len.is_some_and(|len| len / SECTOR_LEN as u64 == sectors);
    match table.problems.iter().find(is_refused).filter(|_| !ends_with_card) {
        Some(problem) => Err(source.problem(ImageProblem::GptByBackup(source.format, *problem))),
        None => Ok(()),
    }
}

/// What the table says of the card that it is written to.
fn table_notes(table: &PartitionTable, sectors: u64) -> Vec<Note> {
    let last_lba = sectors.saturating_sub(1);
    let gpt = table.gpt.as_ref().filter(|gpt| table.scheme != Scheme::Mbr && gpt.backup_lba != last_lba);
    gpt.map(|gpt| Note::BackupGptNotAtEnd { backup_lba: gpt.backup_lba, last_lba }).into_iter().collect()
}

/// Whether an image of this length ends before its own last partition.
pub fn ends_before_partition(table: &PartitionTable, image_len: u64) -> Option<Note> {
    let last = table.partitions.iter().max_by_key(|partition| partition.end_lba())?;
    let partition_end = last.end_lba().saturating_mul(SECTOR_LEN as u64);
    let ends_before = partition_end > image_len.next_multiple_of(SECTOR_LEN as u64);
    ends_before.then_some(Note::EndsBeforePartition { image_len, number: last.number, partition_end })
}

/// The image's name without its directory.
fn image_name(path: &Path) -> String {
    if path == Path::new(STANDARD_INPUT) {
        return "standard input".into();
    }
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn read_mark(card: &dyn Card) -> Option<Mark> {
    let mut lba0: Sector = [0; SECTOR_LEN];
    card.read(0, &mut lba0).ok().and_then(|()| Mark::parse(&lba0))
}

/// What can be said of the image's length before it is unpacked.
fn check_lengths(head: &Head, source: &Source, bmap: Option<&Bmap>, target: &FlashTarget<'_>) -> Result<()> {
    write::check_len(head.bytes.len() as u64, target.card.sectors(), target.path)?;
    for len in source.stated_len.into_iter().chain(bmap.map(|bmap| bmap.image_len)) {
        write::check_len(len, target.card.sectors(), target.path)?;
    }
    match (source.exact_len(), bmap) {
        (Some(len), Some(bmap)) => {
            bmap.check_len(len).map_err(|mismatch| source.problem(ImageProblem::BlockMap(mismatch)))
        }
        _ => Ok(()),
    }
}

/// What can be said of the image when its first bytes are known, or all of a small one.
fn check_head(head: &Head, source: &Source) -> Result<()> {
    if head.bytes.is_empty() {
        return Err(source.problem(ImageProblem::HoldsNothing));
    }
    let outer = source.format;
    if head.is_all
        && let Some(inside) = foreign::recognise_end(&head.bytes[..head.image_len])
    {
        return Err(source.problem(ImageProblem::ForeignInside { outer, inside }));
    }
    // Packed twice, or an archive in an archive: nothing that a board could read.
    match container::recognise(&head.bytes) {
        Ok(Format::Raw) => Ok(()),
        Ok(inner) => Err(source.problem(ImageProblem::PackedTwice { outer, inner })),
        Err(inside) => Err(source.problem(ImageProblem::ForeignInside { outer, inside })),
    }
}

/// What is on the card.
///
/// # Errors
/// [`Error::CopyElsewhere`] if an identity is where no reader looks by itself: the image would be written over it.
fn look(target: &FlashTarget<'_>, at: &[u32]) -> Result<Scan> {
    let hint = at.first().copied();
    // A power cut may leave LBA 0 unreadable until it is written again, which is what comes next.
    let Ok(first_sectors) = FirstSectors::read(target.card) else { return Ok(Scan::read(target.card, hint)) };
    let scan = Scan::with_first_sectors(&first_sectors, target.card, hint);
    let scan = scan.with_table(Some(first_sectors.table()));
    match first_sectors.copies().into_iter().find(|lba| scan.at(*lba).is_none()) {
        Some(lba) => Err(Error::CopyElsewhere { path: target.path.to_owned(), lba }),
        None => Ok(scan),
    }
}

/// What becomes of the identity, and what takes a person's word before that.
fn choose(
    target: &FlashTarget<'_>,
    scan: &Scan,
    mark: Option<&Mark>,
    wanted: Wanted,
    notes: &mut Vec<Note>,
) -> Result<(Choice, Vec<Error>, Option<Given>)> {
    let mut matches = Matches::default();
    if !scan.state().is_usable() || scan.lone_copy().is_some() {
        matches = record::find(target.records, target.key, mark);
        notes.extend(matches.broken.drain(..).map(Note::BrokenRecord));
        if wanted.restore.is_none() && !wanted.no_restore {
            take_marked(scan.state(), &mut matches, wanted.force);
        }
    }
    let is_recorded = |uuid| {
        let mut records = matches.certain.iter().filter_map(|(_, record)| record.identity.as_ref());
        records.any(|identity| identity.uuid() == uuid)
    };
    let named = wanted.restore.as_ref().map(|kept| kept.identity.uuid());
    let is_this_card_s = |uuid| named == Some(uuid) || is_recorded(uuid);
    let lone_copy =
        scan.lone_copy().filter(|_| !scan.latest().map(Identity::uuid).is_some_and(is_this_card_s));
    let force = wanted.force;
    let choice = match choice::decide(scan, matches, wanted, target.path)? {
        Choice::Restore(kept) if !kept.is_of(target.key) => {
            let identity = kept.unbound()?;
            Choice::Restore(Kept { identity, ..kept })
        }
        choice => choice,
    };
    let seen = match &choice {
        Choice::Restore(kept) => Given::read_or_force(target.records, kept.identity.uuid(), force)?,
        _ => None,
    };
    let given_to = match &choice {
        Choice::Restore(kept) if named.is_some() => kept.given_to(seen.as_ref(), target.key),
        _ => None,
    };
    let doubts = if force { Vec::new() } else { doubts(target, scan, &choice, lone_copy, given_to) };
    if let Choice::Restore(Kept { file, identity, .. }) = &choice {
        update::check_binding(identity, &target.surroundings, target.path)?;
        notes.push(Note::Restored(Box::new(identity.clone()), file.clone()));
    }
    Ok((choice, doubts, seen))
}

/// A mark with a record's number on another card than the record's may have been copied there: the record is taken, and
/// [`doubts`] says so.
fn take_marked(state: State, matches: &mut Matches, force: bool) {
    let is_taken = force || matches!(state, State::Blank | State::Corrupt);
    if is_taken && matches.certain.is_empty() && (force || matches.marked.len() == 1) {
        matches.certain.append(&mut matches.marked);
    }
}

/// What takes a person's word: an identity that another card has, or may have. `given_to` is the card that got it from the
/// file before.
fn doubts(
    target: &FlashTarget<'_>,
    scan: &Scan,
    choice: &Choice,
    lone_copy: Option<u32>,
    given_to: Option<CardKey>,
) -> Vec<Error> {
    let path = target.path.to_owned();
    match choice {
        Choice::Keep(_) => {
            let in_partition = |lba| scan.is_in_partition(lba);
            let error = |lba| Error::LoneCopy { path: path.clone(), lba, in_partition: in_partition(lba) };
            lone_copy.into_iter().map(error).collect()
        }
        Choice::Restore(Kept { file, card: Some(card), .. }) if !card.may_be(target.key) => {
            let (record, card) = (file.clone(), card.clone());
            vec![Error::OtherCard { path, record, card, sectors: target.key.sectors }]
        }
        Choice::Restore(Kept { identity, .. }) => {
            let before = |card| Error::GivenBefore { path, uuid: identity.uuid(), card };
            given_to.map(before).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The plan, and what of `head` lies where the copies will be, which it loses.
fn make_plan(
    target: &FlashTarget<'_>,
    choice: Choice,
    scan: &Scan,
    head: &mut Head,
    at: &[u32],
    force: bool,
) -> Result<(FlashPlan, Vec<(u32, Sector)>)> {
    let len = head.bytes.len();
    let found = leftover::find(head, target.card);
    let (first, leftovers) =
        found.map_err(|error| Error::io(target.path, Action::ReadFirstSectors, error))?;
    let room = plan::Room {
        verdicts: first.verdicts(),
        check: &|lba| first.check(lba),
        check_named: &|lba| first.check_at(lba, force),
    };
    let plan = FlashPlan { leftovers, ..plan::plan(choice, scan, &room, at, force, target.path)? };
    head.bytes = first.into_head();
    head.bytes.truncate(len);
    let mut covered = Vec::new();
    for &lba in &plan.kept {
        let start = lba as usize * SECTOR_LEN;
        let sector = head.bytes.get_mut(start..).and_then(|bytes| bytes.first_chunk_mut::<SECTOR_LEN>());
        if let Some(sector) = sector {
            if *sector != [0; SECTOR_LEN] {
                covered.push((lba, *sector));
            }
            sector.fill(0);
        }
    }
    Ok((plan, covered))
}
