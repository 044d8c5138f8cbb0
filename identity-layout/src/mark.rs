// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mark in LBA 0 of a card that is being written: no partition table, so that a half-written card does not look
//! finished, and words for whoever looks at it. `docs/FORMAT.md` has its bytes.

use identity_core::SECTOR_LEN;

use super::bytes::Bytes;

/// Bytes before the text: zero, because several boot ROMs take a first word that is not zero for their loader.
const TEXT_OFFSET: usize = 64;
const TEXT: &str = "identity flash: this card is unfinished\nrun `identity flash` again\n";
const IMAGE: &str = "image: ";
const NUMBER: &str = "number: ";
/// Longest image's name in a mark, in bytes.
pub const IMAGE_LEN_MAX: usize = 64;

/// A flash that was begun and not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Name of the image, at most [`IMAGE_LEN_MAX`] bytes.
    image: String,
    /// The random number that the record on the host has too; `None` when the card has been written to otherwise since.
    number: Option<u128>,
}

impl Mark {
    /// Of a flash of this image. Of a long name the beginning is kept; characters that a line cannot hold become `?`.
    pub fn new(image: &str, number: Option<u128>) -> Self {
        let mut kept = String::new();
        for char in image.chars().map(|char| if char.is_control() { '?' } else { char }) {
            if kept.len().saturating_add(char.len_utf8()) > IMAGE_LEN_MAX {
                break;
            }
            kept.push(char);
        }
        Self { image: kept, number }
    }

    /// Name of the image.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// The number, if it is still there.
    pub fn number(&self) -> Option<u128> {
        self.number
    }

    /// The same without the number: no record on a host is taken for this card's any more.
    #[must_use]
    pub fn without_number(self) -> Self {
        Self { number: None, ..self }
    }

    /// LBA 0 with this mark.
    pub fn encode(&self) -> [u8; SECTOR_LEN] {
        let number = self.number.map(|number| format!("{NUMBER}{number:032x}\n")).unwrap_or_default();
        let text = format!("{TEXT}{IMAGE}{}\n{number}", self.image);
        let mut sector = [0; SECTOR_LEN];
        let place = sector.get_mut(TEXT_OFFSET..).unwrap_or_default();
        for (byte, value) in place.iter_mut().zip(text.bytes()) {
            *byte = value;
        }
        sector
    }

    /// The mark in LBA 0, if there is one.
    pub fn parse(sector: &[u8; SECTOR_LEN]) -> Option<Self> {
        let (blank, text) = sector.split_at_checked(TEXT_OFFSET)?;
        let rest = text.strip_prefix(TEXT.as_bytes()).filter(|_| blank.iter().all(|&byte| byte == 0))?;
        let mut lines = rest.split(|&byte| byte == b'\n');
        let value = |line: Option<&'_ [u8]>, name: &str| -> Option<String> {
            String::from_utf8(line?.strip_prefix(name.as_bytes())?.to_vec()).ok()
        };
        let image = value(lines.next(), IMAGE)?;
        let number = value(lines.next(), NUMBER).filter(|hex| hex.len() == 32);
        Some(Self::new(&image, number.and_then(|hex| u128::from_str_radix(&hex, 16).ok())))
    }
}

/// Whether this is LBA 0 of a card that is being written, readable or not.
pub fn is_marked(bytes: &[u8]) -> bool {
    Bytes::from(bytes, 64).starts_with(TEXT.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (image, number) in [("debian.img.xz", Some(7)), ("", None), ("größer als sonst", Some(u128::MAX))]
        {
            let mark = Mark::new(image, number);
            assert_eq!(Mark::parse(&mark.encode()), Some(mark.clone()));
            assert_eq!(mark.encode()[510..], [0, 0]);
            assert_eq!(Mark::parse(&mark.clone().without_number().encode()).unwrap().number(), None);
        }
        assert_eq!(Mark::parse(&[0; SECTOR_LEN]), None);
    }

    #[test]
    fn a_long_name_and_one_with_lines() {
        let long = "ü".repeat(100);
        let mark = Mark::new(&long, Some(1));
        assert_eq!((mark.image().len(), mark.image().chars().count()), (64, 32));
        assert_eq!(Mark::parse(&mark.encode()), Some(mark));
        assert_eq!(Mark::new("a\nnumber: 0", None).image(), "a?number: 0");
    }
}
