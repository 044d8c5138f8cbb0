// SPDX-License-Identifier: MIT OR Apache-2.0
//! A prepared flash, from the record on the host to the proof that nobody needs it any more.

use std::path::{Path, PathBuf};

use identity_core::Identity;
use identity_core::slot::{COUNT, reading_position};

use super::choice::Choice;
use super::interrupt::Stop;
use super::pipeline::Pipeline;
use super::plan::FlashPlan;
use super::prepare::{Prepared, ends_before_partition};
use super::progress::Progress;
use super::write::{self, Job, Summary};
use super::{FlashProblem, Note};
use crate::device::{Card, SECTOR_LEN, Sector, WritableCard};
use crate::error::{Error, Result};
use crate::image::bmap::Checker;
use crate::image::source::Source;
use crate::record::{self, CardKey, Given, Record};
use crate::scan::Scan;
use crate::whole_card::WholeCard;
use identity_layout::mark::Mark;

/// How to do it.
pub struct Settings<'a> {
    /// Path of the target, for messages.
    pub path: &'a Path,
    /// What tells the card from others.
    pub key: CardKey,
    /// Directory of the records on this host.
    pub records: &'a Path,
    /// Where the identity is kept that the card loses.
    pub retired: Option<PathBuf>,
    /// Whether to read everything back.
    pub verify: bool,
    /// Where progress is shown.
    pub progress: &'a mut dyn Progress,
    /// Whether somebody wants to stop.
    pub stop: Stop,
}

/// Result of a flash that is finished and proved.
pub struct Done {
    /// Lengths in bytes, and the time.
    pub summary: Summary,
    /// What is on the card.
    pub scan: Scan,
    /// What a person should know.
    pub notes: Vec<Note>,
}

/// Carries a prepared flash out.
///
/// # Errors
/// [`FlashProblem::Unfinished`] with what [`write::run`] says, and where the identity is; as [`record::Kept::claim`] and
/// [`Record::write`], and then nothing was written.
pub fn run(
    prepared: Prepared,
    card: &mut dyn WritableCard,
    source: Source,
    settings: Settings<'_>,
) -> Result<Done> {
    let Prepared { plan, head, head_len, checker, mark, late_table, doubts, seen, .. } = prepared;
    if let Some(doubt) = doubts.into_iter().next() {
        return Err(doubt);
    }
    let Settings { path, key, records, retired, verify, progress, stop } = settings;
    let (format, bmap) = (source.format, checker.as_ref().map(Checker::shared));
    // First: where it cannot be read, the card stays as it is.
    let rest = Pipeline::start(source, checker, head_len as u64, path)?;
    // Until the record is gone: no other card is given the identity meanwhile.
    let _claim = match &plan.choice {
        Choice::Restore(kept) => Some(kept.claim(records, &key, path, seen.as_ref())?),
        _ => None,
    };
    let record = write_record(&plan, &key, records, &mark)?;
    write::begin(card, &mark, path).map_err(|error| match error {
        Error::Flash { problem: FlashProblem::NotBegun(_), .. } => {
            take_back(&plan, records, record.as_deref(), seen.as_ref());
            error
        }
        error => unfinished(error, card, &plan, path, record.clone()),
    })?;
    let job =
        Job { plan: &plan, card: &mut *card, path, mark: &mark, head, rest, bmap, verify, progress, stop };
    let outcome = write::run(job).and_then(|summary| {
        let after = prove(card, &plan, path)?;
        Ok((summary, after))
    });
    let (summary, scan) =
        outcome.map_err(|error| unfinished(error, card, &plan, path, record.clone().or(retired)))?;
    let mut notes = Vec::new();
    if summary.ignored_len > 0 {
        notes.push(Note::Ignored { format, len: summary.ignored_len });
    }
    notes.extend(late_table.and_then(|table| ends_before_partition(&table, summary.image_len)));
    notes.extend(summary.cleared.iter().cloned().map(Note::Cleared));
    notes.extend(unreadable_end(card, summary.image_len).map(Note::UnreadableEnd));
    // The card is finished, whether the record goes or stays.
    notes.extend(forget(&plan, records, &key).err().map(Note::RecordStays));
    Ok(Done { summary, scan, notes })
}

/// The card's last sector, if the image does not reach it and it cannot be read: an old GPT's backup may be there.
fn unreadable_end(card: &dyn Card, image_len: u64) -> Option<u64> {
    let last = card.sectors().checked_sub(1).filter(|last| last * SECTOR_LEN as u64 >= image_len)?;
    let mut sector: Sector = [0; SECTOR_LEN];
    card.read(last, &mut sector).is_err().then_some(last)
}

/// Writes the pending record, where the card is to have an identity.
fn write_record(plan: &FlashPlan, card: &CardKey, records: &Path, mark: &Mark) -> Result<Option<PathBuf>> {
    let (Some(identity), &[one, other]) = (&plan.identity, plan.kept.as_slice()) else { return Ok(None) };
    let number = mark.number().unwrap_or_default();
    let record = Record::pending(identity, [one, other], card.clone(), number, mark.image());
    record.write(records).map(Some)
}

/// Whether the card is, after all, what it should be.
fn prove(card: &dyn WritableCard, plan: &FlashPlan, path: &Path) -> Result<Scan> {
    let after = look(card, plan);
    // A damaged copy in a partition is the image's: no reader takes it for an identity.
    let is_proved = match (&plan.identity, plan.kept.as_slice()) {
        (Some(identity), &[one, other]) => WholeCard::is_proved(&after, identity, [one, other]),
        (Some(_), _) => false,
        (None, _) => after.valid().next().is_none(),
    };
    if is_proved {
        return Ok(after);
    }
    Err(Error::NotProved { path: path.to_owned(), scan: Box::new(after) })
}

/// At every slot, in the order of all readers; first elsewhere only where a person has put the copies there. On the medium: a
/// copy whose flush has failed is in the cache yet.
fn look(card: &dyn WritableCard, plan: &FlashPlan) -> Scan {
    let by_hand = plan.kept.first().copied().filter(|&lba| reading_position(lba) == COUNT);
    Scan::read_back(card, by_hand)
}

/// The identity is on the card for certain: no pending record of it is needed any more, not that of this run, nor one that
/// an earlier run has left, nor the one that was named.
fn forget(plan: &FlashPlan, records: &Path, card: &CardKey) -> Result<()> {
    let Some(identity) = &plan.identity else { return Ok(()) };
    if let Choice::Restore(kept) = &plan.choice {
        kept.is_given(records, card)?;
    }
    record::remove_pending(records, card, identity.uuid())
}

/// Of a card that is as it was: what this run has noted on the host goes, for it would say otherwise. What stays is asked about
/// by the next flash.
fn take_back(plan: &FlashPlan, records: &Path, record: Option<&Path>, seen: Option<&Given>) {
    if let Some(file) = record {
        // Its number is on no card.
        let _ = record::remove(file);
    }
    if let Choice::Restore(kept) = &plan.choice {
        let _ = kept.is_not_given(records, seen);
    }
}

/// What a half-written card holds, by what it reads back, and where its identity is.
fn unfinished(
    cause: Error,
    card: &dyn WritableCard,
    plan: &FlashPlan,
    path: &Path,
    record: Option<PathBuf>,
) -> Error {
    let after = look(card, plan);
    let identity = plan.choice.identity().map(Identity::uuid);
    let on_card = after.state().is_usable() && after.identity().map(Identity::uuid) == identity;
    let is_marked = card.read_back(0).ok().map(|lba0| Mark::parse(&lba0).is_some());
    let problem = FlashProblem::Unfinished { cause: Box::new(cause), is_marked, identity, on_card, record };
    Error::Flash { path: path.to_owned(), problem }
}
