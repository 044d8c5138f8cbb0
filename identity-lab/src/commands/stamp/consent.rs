// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person says to a card that is shown.

use identity_ui::Result;
use identity_ui::confirm::{self, Reply};

/// What a person says to a card.
pub enum Consent {
    /// It is written.
    Yes,
    /// It stays as it is.
    No,
    /// That is all for now.
    End,
    /// Another card is in the reader by now, or none.
    Gone,
}

/// Asks, as long as the card that was shown is in the reader.
///
/// # Errors
/// Exit 7 if the terminal fails.
pub fn ask(question: &str, is_ended: &dyn Fn() -> bool, is_gone: &dyn Fn() -> bool) -> Result<Consent> {
    loop {
        return Ok(match confirm::ask_line(question, &|| is_ended() || is_gone())? {
            Reply::Line(line) if line == "q" => Consent::End,
            Reply::Line(line) if line == "s" => Consent::No,
            _ if is_ended() => Consent::End,
            // Whatever was answered: another card was not asked for.
            _ if is_gone() => Consent::Gone,
            Reply::Line(line) if line.is_empty() => Consent::Yes,
            Reply::Line(_) => continue,
            Reply::End => Consent::End,
        });
    }
}
