// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first sectors of an image: all that decides where the identity goes, known before anything is written.

use identity_core::Copy;
use identity_core::copy::NotACopy;
use identity_core::slot::READING_ORDER;

use super::CHUNK_LEN;
use super::source::Source;
use crate::device::{Card, SECTOR_LEN, Sector};
use crate::error::Result;

/// Read of every image: all slots and their neighbours are in it.
const LEN_MIN: usize = 4 << 20;
const _: () = assert!(LEN_MIN.is_multiple_of(CHUNK_LEN));
/// What stands for a sector that cannot be read: data of somebody, never blank.
const UNREADABLE: Sector = [0xee; SECTOR_LEN];

/// First bytes of an image.
#[derive(Clone, Debug)]
pub struct Head {
    /// The bytes; whole chunks unless the image ends in them.
    pub bytes: Vec<u8>,
    /// Whether the image ends in them.
    pub is_all: bool,
}

/// Reads the head: as many sectors as `gap_sectors` says, when it has seen the first ones, that the gap has.
///
/// # Errors
/// As [`Source::fill`].
pub fn read(source: &mut Source, gap_sectors: impl Fn(&[u8]) -> u64) -> Result<Head> {
    let mut bytes = vec![0; LEN_MIN];
    let mut len = source.fill(&mut bytes)?;
    if len == LEN_MIN {
        let wanted = usize::try_from(gap_sectors(&bytes)).unwrap_or(0).saturating_mul(SECTOR_LEN);
        let wanted = wanted.next_multiple_of(CHUNK_LEN).max(LEN_MIN);
        bytes.reserve_exact(wanted - LEN_MIN);
        bytes.resize(wanted, 0);
        len += source.fill(&mut bytes[LEN_MIN..])?;
    }
    let is_all = len < bytes.len();
    bytes.truncate(len);
    Ok(Head { bytes, is_all })
}

/// Makes every copy of an identity blank that somebody has imaged along: before the first partition whatever bears our
/// magic in a slot and every valid copy; behind its start, where files are, only what a reader that knows nothing of
/// partitions would take for the identity. Returns where they were.
pub fn blank_copies(bytes: &mut [u8], first_partition_lba: u64) -> Vec<u32> {
    let mut blanked = Vec::new();
    let (sectors, _) = bytes.as_chunks_mut::<SECTOR_LEN>();
    for (lba, sector) in (0_u32..).zip(sectors) {
        let is_slot = READING_ORDER.iter().any(|slot| slot.lba == lba);
        let is_ours = match Copy::parse(sector, lba) {
            Ok(_) | Err(NotACopy::Newer(_)) => is_slot || u64::from(lba) < first_partition_lba,
            Err(NotACopy::Corrupt(_)) => is_slot && u64::from(lba) < first_partition_lba,
            Err(NotACopy::Blank | NotACopy::Foreign) => false,
        };
        if is_ours {
            *sector = [0; SECTOR_LEN];
            blanked.push(lba);
        }
    }
    blanked
}

/// The first sectors of the card as they will be: the image's, and behind its end what the card has now.
pub fn overlay(mut head: Vec<u8>, card: &dyn Card, sectors: u64) -> Vec<u8> {
    let start = (head.len() / SECTOR_LEN) as u64;
    let end = sectors.min(card.sectors());
    if end > start {
        let len = head.len();
        head.resize(usize::try_from(end).unwrap_or(0) * SECTOR_LEN, 0);
        if card.read(start, &mut head[len..]).is_err() {
            let (rest, _) = head[len..].as_chunks_mut::<SECTOR_LEN>();
            for (lba, sector) in (start..).zip(rest) {
                if card.read(lba, sector).is_err() {
                    *sector = UNREADABLE;
                }
            }
        }
    }
    head
}

/// A valid copy outside the slots, where a person put it with `--at`, if there is one before `gap_sectors`.
pub fn find_outside_slots(card: &dyn Card, gap_sectors: u64) -> Option<u32> {
    let end = gap_sectors.min(card.sectors());
    let mut buffer = vec![0; CHUNK_LEN];
    let chunk_sectors = CHUNK_LEN / SECTOR_LEN;
    for start in (0..end).step_by(chunk_sectors) {
        let sectors = (end - start).min(chunk_sectors as u64) as usize;
        let part = &mut buffer[..sectors * SECTOR_LEN];
        if card.read(start, part).is_err() {
            continue;
        }
        let (sectors, _) = part.as_chunks::<SECTOR_LEN>();
        let found = (start..).zip(sectors).find_map(|(lba, sector)| {
            let lba = u32::try_from(lba).ok()?;
            let is_slot = READING_ORDER.iter().any(|slot| slot.lba == lba);
            (!is_slot && Copy::parse(sector, lba).is_ok()).then_some(lba)
        });
        if found.is_some() {
            return found;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::testing::{Faults, FaultyCard};
    use identity_core::field::kind;
    use identity_core::{Draft, Identity, Uuid};

    fn identity() -> Identity {
        let mut draft = Draft::new(Uuid::from_u128(1)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        draft.finish().unwrap()
    }

    fn put(bytes: &mut [u8], lba: usize, sector: &Sector) {
        bytes[lba * SECTOR_LEN..(lba + 1) * SECTOR_LEN].copy_from_slice(sector);
    }

    #[test]
    fn no_copy_is_carried_over() {
        let mut bytes = vec![0x5a; 8192 * SECTOR_LEN];
        let copy = |own, peer| identity().encode(own, peer);
        let mut damaged = copy(2703, 52);
        damaged[100] ^= 1;
        put(&mut bytes, 52, &copy(52, 300));
        put(&mut bytes, 300, &copy(300, 52));
        put(&mut bytes, 2703, &damaged);
        put(&mut bytes, 400, &damaged);
        put(&mut bytes, 6607, &copy(6607, 52));
        put(&mut bytes, 7000, &copy(7000, 52));
        // What is damaged, in a partition, is a file's; what is valid would be read.
        assert_eq!(blank_copies(&mut bytes, 2048), [52, 300, 6607]);
        assert_eq!(blank_copies(&mut bytes, 8192), [2703, 7000]);
        assert_eq!(bytes.iter().filter(|&&byte| byte == 0).count() / SECTOR_LEN, 5);
    }

    #[test]
    fn behind_a_short_image_lies_the_card() {
        let mut card = FaultyCard::new(vec![7; 100 * SECTOR_LEN]);
        card.faults = Faults { read_error: Some(60), ..Faults::default() };
        let bytes = overlay(vec![1; 50 * SECTOR_LEN], &card, 80);
        assert_eq!(bytes.len(), 80 * SECTOR_LEN);
        let sectors: Vec<_> = bytes.chunks(SECTOR_LEN).map(|sector| sector[0]).collect();
        assert_eq!((sectors[49], sectors[50], sectors[60], sectors[61]), (1, 7, 0xee, 7));
    }

    #[test]
    fn a_copy_put_by_hand() {
        let mut bytes = vec![0; 8192 * SECTOR_LEN];
        put(&mut bytes, 52, &identity().encode(52, 5000));
        assert_eq!(find_outside_slots(&FaultyCard::new(bytes.clone()), 8192), None);
        put(&mut bytes, 5000, &identity().encode(5000, 52));
        assert_eq!(find_outside_slots(&FaultyCard::new(bytes.clone()), 8192), Some(5000));
        assert_eq!(find_outside_slots(&FaultyCard::new(bytes), 4096), None);
    }
}
