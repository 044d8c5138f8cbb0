// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab sort`.

use std::collections::BTreeMap;
use std::path::Path;

use identity_ui::output::say;
use identity_ui::{Exit, Result};

use crate::lab::{BOARDS_CSV, Lab};
use crate::replace;

/// Runs the verb.
///
/// # Errors
/// Exit 4 if a file of the lab cannot be read; 6 without permission; 7 if the disk fails.
pub fn run(dir: &Path) -> Result<Exit> {
    let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let _lock = replace::lock(here)?;
    let lab = Lab::read(dir)?;
    if lab.boards.is_sorted() {
        say("boards.csv is sorted already");
        return Ok(Exit::Done);
    }
    replace::sweep(here);
    replace::replace(&dir.join(BOARDS_CSV), lab.boards.changed(&[], &BTreeMap::new())?.as_bytes())?;
    Ok(Exit::Done)
}
