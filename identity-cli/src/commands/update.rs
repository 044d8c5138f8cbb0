// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `stamp` and `bind` have in common: writing one identity, and looking at what is there then.

use std::path::Path;

use identity_core::{Identity, State};

use super::explain;
use crate::device::{Card, Here, Target};
use crate::error::{Error, Result};
use crate::execute;
use crate::plan::Plan;
use crate::survey::Survey;

/// Refuses an identity that would not be at home here.
///
/// # Errors
/// Exit 6 with what it is bound to.
pub fn check_binding(identity: &Identity, here: &Here) -> Result<()> {
    let bound = match here.judge(State::Valid, identity) {
        State::Cloned => {
            format!("this card, its CID is {}", here.card.map_or_else(str::to_owned, |cid| cid.to_string()))
        }
        State::Moved => format!("this board, {}", here.board(identity).unwrap_or_default()),
        _ => return Ok(()),
    };
    Err(Error::refused(format!("the identity {} would be bound to another than {bound}", identity.uuid())))
}

/// Carries out a plan that leaves `identity` on the card, and proves that it does. `path` is for messages.
///
/// # Errors
/// Exit 6 if the identity belongs elsewhere, and then nothing is written; exit 7 as with [`execute::run`], or if
/// another identity reads back.
pub fn write(
    plan: &Plan,
    identity: &Identity,
    target: &mut Target,
    path: &Path,
    hint_lba: Option<u32>,
) -> Result<Survey> {
    check_binding(identity, &target.here()).map_err(|error| error.about(path))?;
    execute::run(plan, target, path)?;
    let after = super::survey(target, path, hint_lba)?;
    if after.state() != State::Valid || after.identity() != Some(identity) {
        let message = explain(&after, path).unwrap_or_default();
        return Err(Error::device(format!("after writing, another identity reads back; {message}")));
    }
    Ok(after)
}
