// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SHA-256 of a file, computed beside other work.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::thread::{self, JoinHandle};

use identity_ui::{Exit, Result};
use sha2::{Digest, Sha256};

use crate::place::cannot;

/// Begins to compute it; without a value if the file cannot be read to its end.
///
/// # Errors
/// Exit 7 if it cannot be opened.
pub fn begin(image: &Path) -> Result<JoinHandle<Option<String>>> {
    let mut file = File::open(image).map_err(|error| cannot("open", image, &error, Exit::Device))?;
    Ok(thread::spawn(move || {
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => digest.update(&buffer[..len]),
                Err(_) => return None,
            }
        }
        Some(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }))
}
