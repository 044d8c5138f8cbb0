// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stands in LBA 0 while a card is written: no partition table, so that a half-written card does not look
//! finished, and words for whoever looks at it.

use identity_core::{SECTOR_LEN, Uuid};

/// One sector.
type Sector = [u8; SECTOR_LEN];

/// Bytes before the text: zero, because several boot ROMs take a first word that is not zero for their loader.
const TEXT_OFFSET: usize = 64;
const TEXT: &str = "identity flash: this card is unfinished\nrun `identity flash` again\n";
const UUID: &str = "uuid: ";

/// The mark of a card that gets, or keeps, this identity.
pub fn encode(uuid: Option<Uuid>) -> Sector {
    let uuid = uuid.map(|uuid| format!("{UUID}{uuid}\n")).unwrap_or_default();
    let mut sector = [0; SECTOR_LEN];
    let text = format!("{TEXT}{uuid}");
    sector[TEXT_OFFSET..TEXT_OFFSET + text.len()].copy_from_slice(text.as_bytes());
    sector
}

/// Whether a flash of this card was begun and not finished, and which identity it had.
pub fn parse(sector: &Sector) -> Option<Option<Uuid>> {
    let (blank, text) = sector.split_at(TEXT_OFFSET);
    let rest = text.strip_prefix(TEXT.as_bytes())?;
    let line = rest.split(|&byte| byte == b'\n').next()?;
    let uuid = line.strip_prefix(UUID.as_bytes()).and_then(|text| Uuid::try_parse_ascii(text).ok());
    blank.iter().all(|&byte| byte == 0).then_some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let uuid = Uuid::from_u128(0x9e3c1d40_5a37_4c8e_9f0b_6d2a81e4c7f5);
        assert_eq!(parse(&encode(Some(uuid))), Some(Some(uuid)));
        assert_eq!(parse(&encode(None)), Some(None));
        assert_eq!(parse(&[0; SECTOR_LEN]), None);
        assert_eq!(encode(Some(uuid))[510..], [0, 0]);
    }
}
