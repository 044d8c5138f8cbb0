// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the card's old system leaves behind a shorter image, or where an image has a hole: a superblock or a backup GPT by which
//! a reader takes the whole card for something else than the image's table says, or a table inside a partition, where that
//! table says that there is one. It is cleared, and nothing else there is touched.

use std::io;
use std::ops::Range;

use identity_layout::Gap;
use identity_layout::table::{self, Partition, TableProblem};
use serde::{Serialize, Serializer};

use super::head::Head;
use crate::device::{Card, SECTOR_LEN, Sector};
use crate::first_sectors::FirstSectors;

/// First bytes of a GPT header, UEFI specification 2.10, section 5.3.2.
const GPT_SIGNATURE: &[u8] = b"EFI PART";
/// A label of ZFS and where its list of pairs is in it, in sectors ("ZFS On-Disk Specification", section 1.2): libblkid
/// before 2.41 knows a label by what follows the list.
const ZFS: (&str, u64, u64) = ("ZFS", 512, 32);
/// Where a label has its uberblocks, each of which tells of the file system by itself, to the label's end, in sectors; the
/// least distance of two, and their magic number in both byte orders.
const UBERBLOCKS: (u64, usize) = (256, 1024);
const UBERBLOCK_MAGICS: [[u8; 8]; 2] = [0x00ba_b10c_u64.to_le_bytes(), 0x00ba_b10c_u64.to_be_bytes()];
/// Where ISO 9660 has its first descriptor (ECMA-119, section 6.2.1).
const ISO9660_LBA: u64 = 64;
/// More are not looked for: no card has as many users.
const COUNT_MAX: usize = 64;

/// Sectors behind the image that are cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// The sectors; in JSON the first one.
    #[serde(rename = "lba", serialize_with = "first")]
    pub sectors: Range<u64>,
    /// The user of the whole device whose superblock is there.
    pub user: Option<&'static str>,
    /// The MBR partition whose inner table is there; with neither this nor a user, it is a header of a GPT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
}

fn first<S: Serializer>(sectors: &Range<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(sectors.start)
}

/// A card whose leftovers are blank.
struct Cleared<'a> {
    card: &'a dyn Card,
    leftovers: &'a [Leftover],
}

impl Card for Cleared<'_> {
    fn sectors(&self) -> u64 {
        self.card.sectors()
    }

    fn read(&self, lba: u64, out: &mut [u8]) -> io::Result<()> {
        self.card.read(lba, out)?;
        for (lba, sector) in (lba..).zip(out.chunks_mut(SECTOR_LEN)) {
            if self.leftovers.iter().any(|leftover| leftover.sectors.contains(&lba)) {
                sector.fill(0);
            }
        }
        Ok(())
    }
}

/// The card as it will be, which begins with the head of the image, and what has to be cleared behind the head for that. The
/// head's bytes are in [`FirstSectors`] then.
///
/// # Errors
/// As [`FirstSectors::with_head`].
pub fn find(head: &mut Head, card: &dyn Card) -> io::Result<(FirstSectors, Vec<Leftover>)> {
    let (len, head_sectors) = (head.bytes.len(), (head.bytes.len() / SECTOR_LEN) as u64);
    let mut leftovers = gpt_headers(card, head_sectors);
    leftovers.extend(uberblocks(card, head_sectors));
    leftovers.extend(inner_tables(&head.bytes, card)?);
    loop {
        let cleared = Cleared { card, leftovers: &leftovers };
        let first = FirstSectors::with_head(std::mem::take(&mut head.bytes), &cleared)?;
        let mut users = first.table().problems.iter().filter_map(user_of);
        let user = users.find(|(lba, _)| *lba >= head_sectors).filter(|_| leftovers.len() < COUNT_MAX);
        let Some((lba, name)) = user else { return Ok((first, leftovers)) };
        let (zfs, label_sectors, list_at) = ZFS;
        let sectors = if name == zfs {
            let start = lba.saturating_sub(list_at);
            start.max(head_sectors)..(start + label_sectors).min(card.sectors())
        } else {
            lba..lba + 1
        };
        leftovers.push(Leftover { sectors, user: Some(name), partition: None });
        head.bytes = first.into_head();
        head.bytes.truncate(len);
    }
}

/// Who says by a sector of its own that all of the card is its, and where.
fn user_of(problem: &TableProblem) -> Option<(u64, &'static str)> {
    match problem {
        TableProblem::WholeDevice(user) => Some((user.signature.lba(), user.name)),
        TableProblem::OtherLabel { label, signature } => Some((signature.lba(), label)),
        TableProblem::Iso9660 => Some((ISO9660_LBA, "ISO 9660")),
        _ => None,
    }
}

/// The headers of the old system's GPT. Were the image's own one refused one day, every tool would take the backup; and an
/// image of LBA 0 alone would get the table of the old system.
fn gpt_headers(card: &dyn Card, head_sectors: u64) -> Vec<Leftover> {
    let is_header = |lba: u64| {
        let mut sector: Sector = [0; SECTOR_LEN];
        // What cannot be read, no tool takes for a header.
        card.read(lba, &mut sector).is_ok() && sector.starts_with(GPT_SIGNATURE)
    };
    let lbas = [1, card.sectors().saturating_sub(1)].into_iter().filter(|&lba| lba >= head_sectors);
    let headers = lbas.filter(|&lba| lba < card.sectors() && is_header(lba));
    headers.map(|lba| Leftover { sectors: lba..lba + 1, user: None, partition: None }).collect()
}

/// The two labels of ZFS at the card's end that have uberblocks.
fn uberblocks(card: &dyn Card, head_sectors: u64) -> Vec<Leftover> {
    let (zfs, label_sectors, _) = ZFS;
    let (first, distance) = UBERBLOCKS;
    let end = card.sectors() - card.sectors() % label_sectors;
    let labels = [2, 1].into_iter().filter_map(|back| end.checked_sub(back * label_sectors));
    let has_uberblock = |label: &u64| {
        let mut bytes = vec![0; (label_sectors - first) as usize * SECTOR_LEN];
        let is_it = |block: &[u8]| UBERBLOCK_MAGICS.iter().any(|magic| block.starts_with(magic));
        card.read(label + first, &mut bytes).is_ok() && bytes.chunks(distance).any(is_it)
    };
    let labels = labels.filter(|&label| label >= head_sectors).filter(has_uberblock);
    labels
        .map(|label| Leftover { sectors: label..label + label_sectors, user: Some(zfs), partition: None })
        .collect()
}

/// Where the image's table says that another one is inside a partition, and the old system has left one.
fn inner_tables(head: &[u8], card: &dyn Card) -> io::Result<Vec<Leftover>> {
    let own = table::read(&Gap::new(head, card.sectors()));
    let unknown = |problem: &TableProblem| match *problem {
        TableProblem::NotLookedAt { number, lba, .. } => Some((number, lba)),
        _ => None,
    };
    let places: Vec<_> = own.problems.iter().filter_map(unknown).collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let first = FirstSectors::with_head(head.to_vec(), card)?;
    let found = &first.map().table.partitions;
    let is_old = |number: u32| {
        let is_inside = |partition: &&Partition| partition.container == Some(number);
        found.iter().filter(is_inside).count() > own.partitions.iter().filter(is_inside).count()
    };
    let old = places.into_iter().filter(|(number, _)| is_old(*number));
    Ok(old
        .map(|(number, lba)| Leftover { sectors: lba..lba + 1, user: None, partition: Some(number) })
        .collect())
}
