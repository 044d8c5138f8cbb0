// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the targets share: a card made of a fuzzer's bytes.

use identity_core::SECTOR_LEN;

/// Sectors of a card that can be filled: tables, most loaders, and six slots.
pub const SECTORS: usize = 2048;

/// A number at the beginning of `data`, and the rest.
pub fn number(data: &[u8]) -> (u32, &[u8]) {
    data.split_first_chunk().map_or((0, &[]), |(number, rest)| (u32::from_le_bytes(*number), rest))
}

/// The card's length in sectors (four bytes) and then pieces, each its LBA (two bytes), its length in sectors (one
/// byte) and so many bytes; what is not said is zero. `tests/fuzz` makes cards of this form of the fixtures.
pub fn card(data: &[u8]) -> (Vec<u8>, u64) {
    let (sectors, mut rest) = number(data);
    let mut bytes = vec![0; SECTORS.min(sectors as usize) * SECTOR_LEN];
    while let [low, high, count, pieces @ ..] = rest {
        let start = usize::from(u16::from_le_bytes([*low, *high])) * SECTOR_LEN;
        let (piece, behind) = pieces.split_at(pieces.len().min(usize::from(*count) * SECTOR_LEN));
        if let Some(place) = bytes.get_mut(start..) {
            let len = piece.len().min(place.len());
            place[..len].copy_from_slice(&piece[..len]);
        }
        rest = behind;
    }
    (bytes, sectors.into())
}
