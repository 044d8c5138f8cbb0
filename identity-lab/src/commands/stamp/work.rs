// SPDX-License-Identifier: MIT OR Apache-2.0
//! What writes a card: the program `identity`, in a thread of its own.

use std::ffi::OsString;
use std::path::Path;

use identity_core::Identity;
use identity_ui::Result;

use super::told;
use crate::boards::Board;
use crate::identity_program::{self, Answer};

/// What a thread does.
pub type Work = Box<dyn FnOnce() -> Result<Answer> + Send>;

/// Runs `identity` with these words.
pub fn stamp(words: Vec<OsString>) -> Work {
    Box::new(move || identity_program::run(&words, |_| ()))
}

/// The words that change what a card has of its board, if it differs from the list.
pub fn change(board: &Board, held: Option<&Identity>, words: Vec<OsString>) -> Option<Vec<OsString>> {
    let listed = board.identity().ok();
    held.filter(|held| listed.as_ref().is_none_or(|own| own.fields() != held.fields())).map(|_| words)
}

/// Writes an image and a board's identity to the card at `device`; `again` if a person has said that another card has it no more. A
/// card that has the identity keeps it as it is; with `then`, it is changed afterwards.
///
/// # Errors
/// Exit 7 if there is no room for the identity.
pub fn flash(
    board: &Board,
    image: &Path,
    device: &Path,
    (again, then): (bool, Option<Vec<OsString>>),
    is_quiet: bool,
) -> Result<Work> {
    let name = board.hostname.clone();
    let identity = identity_program::document(&board.identity()?)?;
    let words = identity_program::flash(image, identity.path(), device, again);
    Ok(Box::new(move || {
        let answer = identity_program::run(&words, |line| {
            if !is_quiet {
                told::show_progress(&name, line);
            }
        });
        drop(identity);
        let mut answer = answer?;
        let Some(words) = then.filter(|_| answer.code() == 0) else { return Ok(answer) };
        let mut changed = identity_program::run(&words, |_| ())?;
        if changed.code() != 0 {
            return Ok(changed);
        }
        answer.last["identity"] = changed.last.take();
        Ok(answer)
    }))
}
