// SPDX-License-Identifier: MIT OR Apache-2.0
//! What writes a card: the program `identity`, in a thread of its own.

use std::ffi::OsString;
use std::path::Path;

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

/// Writes an image and a board's identity to the card at `device`; `again` if a person has said that another card has it no more.
///
/// # Errors
/// Exit 7 if there is no room for the identity.
pub fn flash(board: &Board, image: &Path, device: &Path, again: bool, is_quiet: bool) -> Result<Work> {
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
        answer
    }))
}
