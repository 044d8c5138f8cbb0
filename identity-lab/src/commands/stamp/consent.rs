// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person says to a card that is shown.

use std::path::Path;

use identity_host::attached::Device;
use identity_ui::confirm::{self, Reply};
use identity_ui::{Result, shell};
use serde_json::Value;

use crate::readers;

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

/// A card as it is shown: what it is, and what is written to it.
pub fn facts(device: &Device, plan: Option<&Value>, image: Option<&Path>) -> String {
    let mut facts = readers::facts(device);
    if let Some(plan) = plan {
        let lbas = plan["copies"].as_array().into_iter().flatten();
        let lbas: Vec<_> = lbas.filter_map(|copy| copy["lba"].as_u64()).map(|lba| lba.to_string()).collect();
        facts += &format!("; copies go to LBA {}", lbas.join(" and "));
    }
    if let Some(image) = image {
        facts += &format!("; everything on it is overwritten by {}", shell::path(image));
    }
    facts
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
