// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab check`.

use std::path::{Path, PathBuf};

use identity_ui::output::{json, print, say};
use identity_ui::{Exit, Result};
use serde::Serialize;

use crate::args::{CheckArgs, Format};
use crate::check::{Finding, check, check_cards};
use crate::lab::Lab;

#[derive(Serialize)]
struct Line {
    file: PathBuf,
    line: usize,
    column: Option<usize>,
    message: String,
}

/// Runs the verb.
///
/// # Errors
/// Exit 4 if a file of the lab cannot be read.
pub fn run(dir: &Path, args: &CheckArgs) -> Result<Exit> {
    let lab = Lab::read(dir)?;
    let mut findings = check(&lab);
    // What the files say is told also where the journal cannot be reached.
    let cards = lab.journal().open().and_then(|database| match database {
        Some(mut database) => check_cards(&lab, &mut database),
        None => Ok(Vec::new()),
    });
    let unknown = match cards {
        Ok(cards) => {
            findings.extend(cards);
            None
        }
        Err(failure) => Some(failure.and("what cards have was not checked")),
    };
    print(&match args.format {
        Format::Json => json(&findings.iter().map(line).collect::<Vec<_>>()),
        Format::Text => findings.iter().map(|Finding { place, what }| format!("{place}: {what}\n")).collect(),
    })?;
    if !lab.boards.is_sorted() {
        say("boards.csv is not sorted by hostname; `identity-lab sort` sorts it");
    }
    if let Some(failure) = unknown {
        return Err(failure);
    }
    if findings.is_empty() {
        return Ok(Exit::Done);
    }
    let boards = match lab.boards.all.len() {
        1 => "1 board".to_owned(),
        count => format!("{count} boards"),
    };
    say(&match findings.len() {
        1 => format!("1 finding in a lab of {boards}"),
        count => format!("{count} findings in a lab of {boards}"),
    });
    Ok(Exit::Doubtful)
}

fn line(Finding { place, what }: &Finding) -> Line {
    Line {
        file: place.file().to_owned(),
        line: place.line_number(),
        column: place.column_number(),
        message: what.clone(),
    }
}
