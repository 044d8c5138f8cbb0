// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first sectors of an image: all that decides where the identity goes, known before anything is written.

use identity_core::StoredCopy;
use identity_core::copy::NotACopy;
use identity_core::slot::READING_ORDER;

use super::CHUNK_LEN;
use crate::device::SECTOR_LEN;
use crate::error::Result;
use crate::image::source::Source;

/// Read of every image: all slots and their neighbours are in it.
const LEN_MIN: usize = 4 << 20;
const _: () = assert!(LEN_MIN.is_multiple_of(CHUNK_LEN));

/// First bytes of an image.
#[derive(Clone, Debug)]
pub struct Head {
    /// The bytes; whole chunks, unless the image ends in them: then whole sectors, the last one padded with zeros.
    pub bytes: Vec<u8>,
    /// How many of them are the image's.
    pub image_len: usize,
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
    // Behind `len` it is still zero.
    bytes.truncate(len.next_multiple_of(SECTOR_LEN));
    Ok(Head { bytes, image_len: len, is_all })
}

/// Makes every copy of an identity blank that somebody has imaged along: before the first partition every copy in a slot,
/// damaged ones too, and every valid copy; behind its start, where files are, only what a reader that knows nothing of
/// partitions would take for the identity. Returns where they were.
pub fn blank_copies(bytes: &mut [u8], first_partition_lba: u64) -> Vec<u32> {
    let mut blanked = Vec::new();
    let (sectors, _) = bytes.as_chunks_mut::<SECTOR_LEN>();
    for (lba, sector) in (0_u32..).zip(sectors) {
        let is_slot = READING_ORDER.iter().any(|slot| slot.lba == lba);
        let is_ours = match StoredCopy::parse(sector, lba) {
            Ok(_) | Err(NotACopy::Newer(_)) => is_slot || u64::from(lba) < first_partition_lba,
            Err(NotACopy::Corrupt(_)) => is_slot && u64::from(lba) < first_partition_lba,
            Err(NotACopy::Blank | NotACopy::Foreign | NotACopy::Misplaced { .. }) => false,
        };
        if is_ours {
            *sector = [0; SECTOR_LEN];
            blanked.push(lba);
        }
    }
    blanked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Sector;
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
        // Written for another LBA: no reader takes it, and it is a piece of somebody's image.
        put(&mut bytes, 54, &copy(52, 6607));
        put(&mut bytes, 500, &copy(52, 6607));
        // What is damaged, in a partition, is a file's; what is valid would be read.
        assert_eq!(blank_copies(&mut bytes, 2048), [52, 300, 6607]);
        assert_eq!(blank_copies(&mut bytes, 8192), [2703, 7000]);
        let blank = bytes.as_chunks().0.iter().filter(|sector| **sector == [0; SECTOR_LEN]);
        assert_eq!(blank.count(), 5);
    }
}
