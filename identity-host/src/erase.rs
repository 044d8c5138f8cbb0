// SPDX-License-Identifier: MIT OR Apache-2.0
//! Erasing: no copy is left, wherever it lies.

use std::path::Path;

use identity_core::State;

use crate::device::{Card, WritableCard};
use crate::error::{Error, Result};
use crate::execute;
use crate::plan::{self, Plan};
use crate::scan::Scan;
use crate::surroundings::Surroundings;
use crate::whole_card::WholeCard;

/// An erasure that may begin.
pub struct Prepared {
    /// What is on the card.
    pub card: WholeCard,
    /// The steps that clear the copies.
    pub plan: Plan,
}

/// What there is, and what to clear. `path` is for messages.
///
/// # Errors
/// Whatever speaks against it. Without `force` only an identity goes that can be shown whole.
pub fn prepare(
    card: &dyn Card,
    path: &Path,
    hint_lba: Option<u32>,
    force: bool,
    surroundings: Surroundings,
) -> Result<Prepared> {
    let card = WholeCard::read(card, path, hint_lba, surroundings)?;
    card.check_may_write(path, force)?;
    let state = card.scan.state();
    let plan = card.without_pending_flash(plan::erase(&card.scan, card.partition_lba()));
    let is_doubtful = state != State::Blank && !state.is_usable();
    let is_empty = plan.steps.is_empty() && state != State::Unreadable;
    let is_refused = is_empty || is_doubtful && !force;
    if is_refused {
        return Err(card.state_error(path));
    }
    card.check_may_destroy(path, force)?;
    Ok(Prepared { card, plan })
}

/// Runs the plan, and proves that no valid copy is left. `path` is for messages.
///
/// # Errors
/// As [`execute::run`]; [`Error::NotProved`].
pub fn run(plan: &Plan, card: &mut dyn WritableCard, path: &Path, hint_lba: Option<u32>) -> Result<Scan> {
    execute::run(plan, card, path)?;
    let after = Scan::read(card, hint_lba);
    if after.valid().next().is_none() {
        Ok(after)
    } else {
        Err(Error::NotProved { path: path.to_owned(), scan: Box::new(after) })
    }
}
