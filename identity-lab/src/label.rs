// SPDX-License-Identifier: MIT OR Apache-2.0
//! Labels: a QR code with `URN:UUID:…`, the hostname in clear, the MAC address.
//!
//! Everything is laid out in dots of the printer, so that a module of the QR code is a whole number of them.

use identity_ui::{Failure, Result};
use qrcodegen::{QrCode, QrCodeEcc};

use crate::boards::Board;

mod pdf;
mod sheet;
mod svg;
mod zpl;

pub use pdf::pdf;
pub use sheet::{NAMES, Sheet};
pub use svg::svg;
pub use zpl::zpl;

/// Light modules on each side of a QR code (ISO/IEC 18004, "Quiet zone").
const QUIET: u32 = 4;
/// Dots that a module has at least: of one dot alone, a printer makes what no camera reads.
const MODULE_MIN: u32 = 2;
/// Height of a character in units of the narrowest, which is 6 wide with its gap: ZPL's font A, and near to Courier's.
const CHARACTER: (u32, u32) = (6, 9);
/// Height of the smallest letters that are still read, in tenths of a millimetre.
const LETTER_MIN: u32 = 10;

/// A label's size in tenths of a millimetre.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

impl std::str::FromStr for Size {
    type Err = &'static str;

    /// Two numbers of millimetres, as in `50x25` or `63.5x38.1`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let tenths = |text: &str| {
            let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
            let (whole, tenth): (u32, u32) = (whole.parse().ok()?, tenth.parse().ok()?);
            Some(whole * 10 + tenth).filter(|_| whole < 1000 && tenth < 10)
        };
        let sides = text.split_once('x').and_then(|(width, height)| Some((tenths(width)?, tenths(height)?)));
        let (width, height) = sides.ok_or("is no size in millimetres, like 50x25")?;
        Ok(Self { width, height })
    }
}

/// A line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its characters, all of them ASCII.
    pub text: String,
    /// Dots from the left and from the top to the corner of its first character.
    pub x: u32,
    /// See `x`.
    pub y: u32,
    /// Dots of the smallest unit of a character, which is 6 of them wide and 9 high.
    pub unit: u32,
}

impl Line {
    /// Its width in dots.
    pub fn width(&self) -> u32 {
        CHARACTER.0 * self.unit * u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }

    /// The height of its characters in dots.
    pub fn height(&self) -> u32 {
        CHARACTER.1 * self.unit
    }
}

/// A label in dots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its size.
    pub size: Size,
    /// Width and height in dots.
    pub dots: (u32, u32),
    /// Dark modules of the QR code, row by row.
    pub modules: Vec<Vec<bool>>,
    /// Dots of a module.
    pub module: u32,
    /// Dots from the left and from the top to the QR code's first module.
    pub corner: (u32, u32),
    /// What is written beside it.
    pub lines: Vec<Line>,
}

/// Lays a board's label out for a printer with `dpi` dots an inch.
///
/// # Errors
/// Exit 2 if the label has no room for the QR code or for letters that can be read.
pub fn label(board: &Board, size: Size, dpi: u32) -> Result<Label> {
    let dots = |tenths: u32| tenths * dpi / 254;
    let (width, height) = (dots(size.width), dots(size.height));
    let modules = modules(board);
    let side = u32::try_from(modules.len()).unwrap_or(u32::MAX) + 2 * QUIET;
    let module = width.min(height) / side;
    let too_small = |what: String| {
        let (width, height) = (f64::from(size.width) / 10.0, f64::from(size.height) / 10.0);
        Failure::usage(format!("{}: {what} on {width} x {height} mm at {dpi} dots an inch", board.hostname))
    };
    if module < MODULE_MIN {
        let needed = (side * MODULE_MIN * 254).div_ceil(dpi);
        return Err(too_small(format!(
            "a QR code that can be read has no room; it needs {} mm each way",
            f64::from(needed) / 10.0
        )));
    }
    let code = side * module;
    let room = width.saturating_sub(code).saturating_sub(module);
    let texts = [board.hostname.clone(), board.mac(0).to_string(), board.profile.clone()];
    // The profile only where there is room for three lines.
    let count = if height >= dots(180) { 3 } else { 2 };
    let row = height / count;
    let mut lines: Vec<Line> = Vec::new();
    for (number, text) in (0..count).zip(texts) {
        let columns = CHARACTER.0 * u32::try_from(text.len()).unwrap_or(u32::MAX).max(1);
        // Lines do not touch, and the hostname is the largest.
        let most = if number == 0 { row * 3 / 4 } else { row / 2 };
        let unit = (room / columns).min(most / CHARACTER.1);
        // What all labels of a batch have is no larger than what tells them apart.
        let unit = if number == 2 { lines.iter().fold(unit, |unit, line| unit.min(line.unit)) } else { unit };
        if unit * CHARACTER.1 < dots(LETTER_MIN) || unit == 0 {
            return Err(too_small(format!("\"{text}\" beside the QR code would be too small to read")));
        }
        let y = number * row + (row - unit * CHARACTER.1) / 2;
        lines.push(Line { text, x: code, y, unit });
    }
    let quiet = QUIET * module;
    let corner = (quiet, (height - code) / 2 + quiet);
    Ok(Label { size, dots: (width, height), modules, module, corner, lines })
}

/// The modules of a board's QR code, row by row, the dark ones `true`. In capitals its text is all of the alphanumeric alphabet,
/// and level Q costs no more than L in small letters.
pub fn modules(board: &Board) -> Vec<Vec<bool>> {
    let text = format!("urn:uuid:{}", board.uuid).to_ascii_uppercase();
    let Ok(code) = QrCode::encode_text(&text, QrCodeEcc::Quartile) else { return Vec::new() };
    (0..code.size()).map(|y| (0..code.size()).map(|x| code.get_module(x, y)).collect()).collect()
}

impl Label {
    /// The dark parts of the QR code as (x, y, width) in dots; each is one module high.
    pub fn runs(&self) -> Vec<(u32, u32, u32)> {
        let mut runs = Vec::new();
        for (y, row) in (0_u32..).zip(&self.modules) {
            let mut x = 0_u32;
            for same in row.chunk_by(|one, next| one == next) {
                let len = u32::try_from(same.len()).unwrap_or(0);
                if same.first() == Some(&true) {
                    let at = |corner: u32, number: u32| corner + number * self.module;
                    runs.push((at(self.corner.0, x), at(self.corner.1, y), len * self.module));
                }
                x += len;
            }
        }
        runs
    }
}
