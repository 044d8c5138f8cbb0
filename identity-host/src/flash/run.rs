// SPDX-License-Identifier: MIT OR Apache-2.0
//! A prepared flash, from the record on the host to the proof that nobody needs it any more.

use std::path::{Path, PathBuf};

use identity_core::slot::{COUNT, reading_position};
use identity_core::{Identity, State};

use super::choice::Choice;
use super::interrupt::Stop;
use super::plan::FlashPlan;
use super::prepare::Prepared;
use super::progress::Progress;
use super::write::{self, Job, Summary};
use super::{FlashProblem, Note};
use crate::device::WritableCard;
use crate::error::{Error, Result};
use crate::image::source::Source;
use crate::record::{self, CardKey, Record};
use crate::scan::Scan;

/// How to do it.
pub struct Settings<'a> {
    /// For messages.
    pub path: &'a Path,
    /// What tells the card from others.
    pub key: CardKey,
    /// Where records are.
    pub records: &'a Path,
    /// Whether to read everything back.
    pub verify: bool,
    /// Where progress is shown.
    pub progress: &'a mut dyn Progress,
    /// Whether somebody wants to stop.
    pub stop: Stop,
}

/// A finished flash.
pub struct Done {
    /// Figures.
    pub summary: Summary,
    /// What is on the card.
    pub scan: Scan,
    /// The record, if the identity is only there.
    pub record: Option<PathBuf>,
    /// What a person should know.
    pub notes: Vec<Note>,
}

/// Carries a prepared flash out.
///
/// # Errors
/// [`FlashProblem::Unfinished`] with what [`write::run`] says, and where the identity is; as [`Record::write`], and then
/// nothing was written.
pub fn run(
    prepared: Prepared,
    card: &mut dyn WritableCard,
    source: Source,
    settings: Settings<'_>,
) -> Result<Done> {
    let Prepared { plan, head, checker, scan, mark, .. } = prepared;
    let Settings { path, key, records, verify, progress, stop } = settings;
    let record = write_record(&plan, &scan, key, records, &mark)?;
    let job = Job {
        plan: &plan,
        card: &mut *card,
        path,
        mark: &mark,
        head,
        source,
        checker,
        verify,
        progress,
        stop,
    };
    let outcome = write::run(job).and_then(|summary| {
        let after = prove(card, &plan, path)?;
        Ok((summary, after))
    });
    let (summary, scan) = outcome.map_err(|error| unfinished(error, card, &plan, path, record.clone()))?;
    let mut notes = Vec::new();
    if plan.given_up.is_none() {
        // The card is finished, whether the record goes or stays.
        notes.extend(forget(&plan, record.as_deref()).err().map(Note::RecordStays));
    }
    Ok(Done { summary, scan, record: record.filter(|_| plan.given_up.is_some()), notes })
}

/// Writes the record, where there is an identity that could be lost.
fn write_record(
    plan: &FlashPlan,
    scan: &Scan,
    card: CardKey,
    records: &Path,
    mark: &identity_layout::mark::Mark,
) -> Result<Option<PathBuf>> {
    let identity = match (&plan.identity, &plan.choice) {
        (Some(identity), _) => identity,
        (None, Choice::Keep(identity) | Choice::Restore(identity, _)) => identity,
        (None, Choice::New(_) | Choice::None) => return Ok(None),
    };
    let lbas = match (plan.kept.as_slice(), scan.valid().next()) {
        (&[one, other], _) => [one, other],
        (_, Some((lba, _, peer_lba))) => [lba, peer_lba],
        // Any two: a record is no place.
        _ => [52, 54],
    };
    let number = mark.number().unwrap_or_default();
    Record::pending(identity, lbas, card, number, mark.image()).write(records).map(Some)
}

/// Whether the card is, after all, what it should be.
fn prove(card: &dyn WritableCard, plan: &FlashPlan, path: &Path) -> Result<Scan> {
    let after = look(card, plan);
    let state = if plan.identity.is_some() { State::Valid } else { State::Blank };
    if after.state() == state && after.identity() == plan.identity.as_ref() {
        return Ok(after);
    }
    Err(Error::NotProved { path: path.to_owned(), scan: Box::new(after) })
}

/// At every slot, in the order of all readers; first elsewhere only where a person has put the copies there.
fn look(card: &dyn WritableCard, plan: &FlashPlan) -> Scan {
    let by_hand = plan.kept.first().copied().filter(|&lba| reading_position(lba) == COUNT);
    Scan::read(card, by_hand)
}

fn forget(plan: &FlashPlan, record: Option<&Path>) -> Result<()> {
    if let Choice::Restore(_, file) = &plan.choice
        && Some(file.as_path()) != record
    {
        record::remove_if_kept(file)?;
    }
    record.map_or(Ok(()), record::remove)
}

/// Where the identity of a half-written card is.
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
    let problem = FlashProblem::Unfinished { cause: Box::new(cause), identity, on_card, record };
    Error::Flash { path: path.to_owned(), problem }
}
