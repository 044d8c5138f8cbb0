// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab label`.

use std::path::Path;

use identity_ui::output::print;
use identity_ui::{Exit, Failure, Result};

use super::selected;
use crate::args::{LabelArgs, LabelFormat};
use crate::lab::Lab;
use crate::label::{Label, NAMES, Sheet, label, pdf, svg, zpl};
use crate::replace;

/// Most label printers.
const DPI_ZPL: u32 = 203;
/// Office printers.
const DPI_PAPER: u32 = 600;

/// Runs the verb.
///
/// # Errors
/// Exit 2 if a board is not there, or a label has no room for what belongs on it.
pub fn run(dir: &Path, args: &LabelArgs) -> Result<Exit> {
    let lab = Lab::read(dir)?;
    lab.boards.check_clashes()?;
    let sheet = args.sheet.as_deref().map(find_sheet).transpose()?;
    let size = sheet.map_or(args.size, |sheet| sheet.label);
    let format = format(args)?;
    let dpi = args.dpi.unwrap_or(if format == LabelFormat::Zpl { DPI_ZPL } else { DPI_PAPER });
    let boards = if args.boards.is_empty() { lab.boards.sorted() } else { selected(&lab, &args.boards)? };
    let labels: Vec<Label> =
        boards.into_iter().map(|board| label(board, size, dpi)).collect::<Result<_>>()?;
    let bytes = match format {
        LabelFormat::Zpl if sheet.is_some() => {
            return Err(Failure::usage("--sheet is for paper; a ZPL printer has one label after the other"));
        }
        LabelFormat::Zpl => zpl(&labels).into_bytes(),
        LabelFormat::Pdf => pdf(&labels, sheet.as_ref()),
        LabelFormat::Svg => {
            let room = sheet.map_or(1, |sheet| sheet.room());
            if labels.len() > room as usize {
                return Err(Failure::usage(format!(
                    "an SVG file is one page, with room for {room} here, and {} labels are wanted; use --format pdf",
                    labels.len()
                )));
            }
            svg(&labels, sheet.as_ref()).into_bytes()
        }
    };
    match (&args.output, String::from_utf8(bytes)) {
        (Some(file), Ok(text)) => replace::replace(file, text.as_bytes())?,
        (Some(file), Err(bytes)) => replace::replace(file, bytes.as_bytes())?,
        (None, Ok(text)) if format != LabelFormat::Pdf => print(&text)?,
        _ => return Err(Failure::usage("PDF is no text; give --output FILE")),
    }
    Ok(Exit::Done)
}

fn find_sheet(name: &str) -> Result<Sheet> {
    Sheet::find(name)
        .ok_or_else(|| Failure::usage(format!("--sheet {name}: the sheets are {}", NAMES.join(", "))))
}

/// What is asked for, else what the file's name ends with.
fn format(args: &LabelArgs) -> Result<LabelFormat> {
    let end = args.output.as_ref().and_then(|file| file.extension()).and_then(|end| end.to_str());
    let by_name = match end {
        Some("svg") | None => Some(LabelFormat::Svg),
        Some("pdf") => Some(LabelFormat::Pdf),
        Some("zpl") => Some(LabelFormat::Zpl),
        Some(_) => None,
    };
    args.format
        .or(by_name)
        .ok_or_else(|| Failure::usage("the name of FILE does not end with svg, pdf or zpl; give --format"))
}
