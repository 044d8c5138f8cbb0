// SPDX-License-Identifier: MIT OR Apache-2.0
//! A prepared flash, from the record on the host to the proof that nobody needs it any more.

use identity_core::slot::{COUNT, reading_position};
use identity_core::{Identity, State};
use std::path::{Path, PathBuf};

use super::choice::Choice;
use super::interrupt::Stop;
use super::plan::FlashPlan;
use super::prepare::Prepared;
use super::progress::Progress;
use super::record::{self, CardKey, Record};
use super::source::Source;
use super::write::{self, Job, Summary};
use crate::device::WritableCard;
use crate::error::{Error, Result};
use crate::survey::Survey;

/// How to do it.
pub struct Manner<'a> {
    /// For messages.
    pub path: &'a Path,
    /// What tells the card from others.
    pub key: CardKey,
    /// Where records are.
    pub records: &'a Path,
    /// Whether to read everything back.
    pub verify: bool,
    /// Where progress is shown.
    pub progress: Progress,
    /// Whether somebody wants to stop.
    pub stop: Stop,
    /// What a state means for this card, and what to do about it.
    pub explain: &'a dyn Fn(&Survey) -> String,
}

/// A finished flash.
pub struct Done {
    /// Figures.
    pub summary: Summary,
    /// What is on the card.
    pub survey: Survey,
    /// The record, if the identity is only there.
    pub record: Option<PathBuf>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Does it.
///
/// # Errors
/// As [`write::run`]; the message ends with where the identity is.
pub fn carry_out(
    prepared: Prepared,
    card: &mut dyn WritableCard,
    source: Source,
    manner: Manner<'_>,
) -> Result<Done> {
    let Prepared { plan, head, checker, survey, .. } = prepared;
    let Manner { path, key, records, verify, progress, stop, explain } = manner;
    let record = write_record(&plan, &survey, key, records, &source.name)?;
    let job = Job { plan: &plan, card: &mut *card, path, head, source, checker, verify, progress, stop };
    let outcome = write::run(job).and_then(|summary| {
        let after = prove(card, &plan, explain)?;
        Ok((summary, after))
    });
    let (summary, survey) =
        outcome.map_err(|error| error.and(&unfinished(card, &plan, path, record.as_deref())))?;
    let mut notes = Vec::new();
    if plan.given_up.is_none() {
        // The card is finished, whether the record goes or stays.
        notes.extend(forget(&plan, record.as_deref()).err().map(|error| error.to_string()));
    }
    Ok(Done { summary, survey, record: record.filter(|_| plan.given_up.is_some()), notes })
}

/// Writes the record, where there is an identity that could be lost.
fn write_record(
    plan: &FlashPlan,
    survey: &Survey,
    card: CardKey,
    records: &Path,
    image: &str,
) -> Result<Option<PathBuf>> {
    let identity = match (&plan.identity, &plan.choice) {
        (Some(identity), _) => identity,
        (None, Choice::Keep(identity) | Choice::Restore(identity, _)) => identity,
        (None, Choice::New(_) | Choice::None) => return Ok(None),
    };
    let lbas = match (plan.kept.as_slice(), survey.valid().next()) {
        (&[one, other], _) => [one, other],
        (_, Some((lba, _, peer_lba))) => [lba, peer_lba],
        // Any two: a record is no place.
        _ => [52, 54],
    };
    let record = Record { identity: identity.clone(), card };
    record.write(records, lbas, image).map(Some)
}

/// Whether the card is, after all, what it should be: for readers that know of partitions, and for those that do not.
fn prove(card: &dyn WritableCard, plan: &FlashPlan, explain: &dyn Fn(&Survey) -> String) -> Result<Survey> {
    let after = look(card, plan);
    let state = if plan.identity.is_some() { State::Valid } else { State::Blank };
    let identity = plan.identity.as_ref();
    if after.state() == state && after.identity() == identity {
        return Ok(after);
    }
    Err(Error::device(format!("after writing, another identity reads back than should; {}", explain(&after))))
}

/// At every slot, in the order of all readers; first elsewhere only where a person has put the copies there.
fn look(card: &dyn WritableCard, plan: &FlashPlan) -> Survey {
    let by_hand = plan.kept.first().copied().filter(|&lba| reading_position(lba) == COUNT);
    Survey::of(card, by_hand)
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
fn unfinished(card: &dyn WritableCard, plan: &FlashPlan, path: &Path, record: Option<&Path>) -> String {
    let after = look(card, plan);
    let uuid = plan.choice.identity().map(Identity::uuid);
    let on_card = after.state().is_usable() && after.identity().map(Identity::uuid) == uuid;
    let place = match (uuid, on_card, record) {
        (None, ..) => String::new(),
        (Some(uuid), true, Some(file)) => {
            format!("; its identity {uuid} is on it, and in {}", file.display())
        }
        (Some(uuid), true, None) => format!("; its identity {uuid} is on it"),
        (Some(uuid), false, Some(file)) => format!("; its identity {uuid} is in {}", file.display()),
        (Some(_), false, None) => "; it has no identity".into(),
    };
    format!("{} is unfinished{place}; run `identity flash` again", path.display())
}
