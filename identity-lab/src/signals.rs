// SPDX-License-Identifier: MIT OR Apache-2.0
//! The signals that ask to end: what was begun is brought to its end first, or taken back.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use identity_host::device::plain;
use identity_ui::{Exit, Failure, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Becomes true when a signal asks to end.
///
/// # Errors
/// Exit 7 if the system does not let signals be caught.
pub fn ended() -> Result<Arc<AtomicBool>> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&ended)).map_err(|error| {
            Failure::new(Exit::Device, format!("signals cannot be caught: {}", plain(&error)))
        })?;
    }
    Ok(ended)
}
