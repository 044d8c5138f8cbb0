// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sheets of labels. Lengths are tenths of a millimetre.

use super::Size;

/// How the labels lie on a page: in the middle of it, with the same gap between neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// Size of the page.
    pub page: Size,
    /// Size of a label.
    pub label: Size,
    /// Labels from left to right, and from top to bottom.
    pub count: (u32, u32),
    /// Between two labels side by side.
    pub gap: u32,
}

const A4: Size = Size { width: 2100, height: 2970 };
const LETTER: Size = Size { width: 2159, height: 2794 };

const SHEETS: [(&str, Sheet); 5] = [
    ("3651", Sheet { page: A4, label: Size { width: 525, height: 297 }, count: (4, 10), gap: 0 }),
    ("3666", Sheet { page: A4, label: Size { width: 380, height: 212 }, count: (5, 13), gap: 0 }),
    ("3667", Sheet { page: A4, label: Size { width: 485, height: 169 }, count: (4, 16), gap: 0 }),
    ("l7160", Sheet { page: A4, label: Size { width: 635, height: 381 }, count: (3, 7), gap: 25 }),
    ("5160", Sheet { page: LETTER, label: Size { width: 666, height: 254 }, count: (3, 10), gap: 32 }),
];
/// The names of the sheets, which are Avery's, and of others that are cut alike.
pub const NAMES: [&str; 5] = [SHEETS[0].0, SHEETS[1].0, SHEETS[2].0, SHEETS[3].0, SHEETS[4].0];

impl Sheet {
    /// The sheet of this name.
    pub fn find(name: &str) -> Option<Self> {
        SHEETS.iter().find(|(own, _)| *own == name).map(|(_, sheet)| *sheet)
    }

    /// Labels on a page.
    pub fn room(&self) -> u32 {
        self.count.0 * self.count.1
    }

    /// Where the label with this number on its page lies: from the left, and from the top.
    pub fn place(&self, number: u32) -> (u32, u32) {
        let (columns, rows) = self.count;
        let width = columns * self.label.width + (columns - 1) * self.gap;
        let (left, top) = ((self.page.width - width) / 2, (self.page.height - rows * self.label.height) / 2);
        let (column, row) = (number % columns, number / columns % rows);
        (left + column * (self.label.width + self.gap), top + row * self.label.height)
    }
}
