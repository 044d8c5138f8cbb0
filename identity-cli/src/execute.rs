// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one place that writes to a card: a plan, step by step, each step proved before the next.

use std::path::Path;

use crate::device::{SECTOR_LEN, Sector, WritableCard};
use crate::error::{Error, Result, plain};
use crate::plan::{Plan, Step};

const BLANK: Sector = [0; SECTOR_LEN];

/// Carries out a plan. `path` is for messages.
///
/// # Errors
/// Exit 7 when a step cannot be written, flushed, or does not read back as written; the steps behind it are not
/// begun, so that the copy they would touch is as it was.
pub fn run(plan: &Plan, card: &mut dyn WritableCard, path: &Path) -> Result<()> {
    for step in &plan.steps {
        let sector = match step {
            Step::Write { sector, .. } => sector,
            Step::Clear { .. } => &BLANK,
        };
        write_proved(card, step.lba(), sector).map_err(|reason| {
            Error::device(format!(
                "{}: LBA {}: {reason}; nothing behind this step was written: replace the card, or try again",
                path.display(),
                step.lba()
            ))
        })?;
    }
    Ok(())
}

fn write_proved(card: &mut dyn WritableCard, lba: u32, sector: &Sector) -> Result<(), String> {
    let lba = u64::from(lba);
    if lba >= card.sectors() {
        return Err("is behind the end".into());
    }
    card.write(lba, sector).map_err(|error| format!("cannot be written ({})", plain(&error)))?;
    card.flush().map_err(|error| format!("cannot be flushed ({})", plain(&error)))?;
    let back = card.read_back(lba).map_err(|error| format!("cannot be read back ({})", plain(&error)))?;
    match back.iter().zip(sector).position(|(got, wanted)| got != wanted) {
        None => Ok(()),
        Some(at) => Err(format!("reads back differently from byte {at} on")),
    }
}
