// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one place that writes copies to a card: a plan, step by step, each step proved before the next.

use std::path::Path;

use crate::device::{SECTOR_LEN, Sector, WritableCard};
use crate::error::{Error, Result, StepProblem};
use crate::plan::{Plan, Step};

const BLANK: Sector = [0; SECTOR_LEN];

/// Carries out a plan. `path` is for messages.
///
/// # Errors
/// [`Error::Step`] when a step cannot be written, flushed, or does not read back as written; the steps behind it are not
/// begun, so that the copy they would touch is as it was.
pub fn run(plan: &Plan, card: &mut dyn WritableCard, path: &Path) -> Result<()> {
    for step in &plan.steps {
        let done = match step {
            Step::Write { lba, sector } => write_proved(card, *lba, sector),
            Step::Clear { lba } => write_proved(card, *lba, &BLANK),
            Step::ClearInPartition { lba, expected } => {
                check_unchanged(card, *lba, expected).and_then(|()| write_proved(card, *lba, &BLANK))
            }
            Step::WriteMark { sector } => write_proved(card, 0, sector),
        };
        done.map_err(|problem| Error::Step { path: path.to_owned(), lba: step.lba(), problem })?;
    }
    Ok(())
}

/// Behind a partition's start only that goes which was seen to be a copy.
fn check_unchanged(card: &mut dyn WritableCard, lba: u32, expected: &Sector) -> Result<(), StepProblem> {
    let now = card.read_back(lba.into()).map_err(StepProblem::Read)?;
    if now == *expected { Ok(()) } else { Err(StepProblem::Changed) }
}

fn write_proved(card: &mut dyn WritableCard, lba: u32, sector: &Sector) -> Result<(), StepProblem> {
    let lba = u64::from(lba);
    if lba >= card.sectors() {
        return Err(StepProblem::BehindEnd);
    }
    card.write(lba, sector).map_err(StepProblem::Write)?;
    card.flush().map_err(StepProblem::Flush)?;
    let back = card.read_back(lba).map_err(StepProblem::ReadBack)?;
    match back.iter().zip(sector).position(|(got, wanted)| got != wanted) {
        None => Ok(()),
        Some(at) => Err(StepProblem::Differs(at)),
    }
}
