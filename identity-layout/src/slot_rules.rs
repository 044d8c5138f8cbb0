// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a copy may be written to a sector: six rules, each with its reason.

use std::fmt;

use identity_core::slot::{Group, READING_ORDER, Slot};

use super::families;
use super::gap::Gap;
use super::map::{Basis, Map, Region, UNREADABLE, is_blank, is_zero};
use super::table::{FIRST_PARTITION_USUAL_LBA, TableProblem};

/// Why a sector may not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotBusy {
    /// The card has no partition table, or a broken one.
    Table(Option<TableProblem>),
    /// In a partition, or behind the start of one.
    NotInGap {
        /// Where the first partition starts.
        first_partition_lba: u64,
    },
    /// The table has no partition yet, and tools will begin the first one here or before.
    NoPartitionYet,
    /// Where a GPT has, or usually has, its header and entries.
    Gpt,
    /// Behind what was read of the card, or behind its end.
    NotRead,
    /// The card ends before its first partition: it is the beginning of one, a download cut off.
    CutOff {
        /// Length of the card in sectors.
        sectors: u64,
        /// Where the first partition starts.
        first_partition_lba: u64,
    },
    /// A boot ROM looks at this sector for its image.
    Parsed {
        /// Name of the boot ROM.
        by: &'static str,
    },
    /// In an image or an environment.
    Inside(Region),
    /// A family that was recognised uses the sector, even while it is blank.
    Claimed(Region),
    /// Not blank and not ours.
    NotBlank(Option<Region>),
    /// One of the two sectors before or behind is not blank and not ours: this may be a gap in an image.
    Neighbour {
        /// LBA of the neighbour.
        lba: u64,
        /// What it is, where that is known.
        region: Option<Region>,
    },
}

impl fmt::Display for SlotBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(Some(problem)) => problem.fmt(f),
            Self::Table(None) => f.write_str("no partition table"),
            Self::NotInGap { first_partition_lba } => {
                write!(f, "behind the start of the first partition, LBA {first_partition_lba}")
            }
            Self::NoPartitionYet => write!(
                f,
                "the table has no partition yet, and tools usually start the first one at LBA {FIRST_PARTITION_USUAL_LBA}"
            ),
            Self::Gpt => f.write_str("belongs to the GPT"),
            Self::NotRead => f.write_str("beyond the sectors that can be read"),
            Self::CutOff { sectors, first_partition_lba } => write!(
                f,
                "the card or image is cut off: it has {sectors} sectors, but its first partition starts at LBA {first_partition_lba}"
            ),
            Self::Parsed { by } => write!(f, "{by} looks for its loader there"),
            Self::Inside(region) => write!(f, "inside {}", Words(region)),
            Self::Claimed(region) => write!(f, "reserved for {}", Words(region)),
            Self::NotBlank(None) => f.write_str("not blank"),
            Self::NotBlank(Some(region)) if region.owner.what == UNREADABLE => f.write_str("cannot be read"),
            Self::NotBlank(Some(region)) => write!(f, "not blank: {}", Words(region)),
            Self::Neighbour { lba, region: None } => write!(f, "next to LBA {lba}, which is not blank"),
            Self::Neighbour { lba, region: Some(region) } => {
                write!(f, "next to LBA {lba}, which is not blank: {}", Words(region))
            }
        }
    }
}

/// A region in a sentence.
struct Words<'a>(&'a Region);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (owner, start, last) = (&self.0.owner, self.0.start_lba, self.0.last_lba());
        if !owner.family.is_empty() {
            write!(f, "{} ", owner.family)?;
        }
        write!(f, "{}, LBA {start}", owner.what)?;
        if last > start { write!(f, "–{last}") } else { Ok(()) }
    }
}

/// Whether a copy may be written to `lba`: all rules.
///
/// # Errors
/// The first rule that forbids it.
pub fn check_slot(map: &Map, gap: &Gap, lba: u32) -> Result<(), SlotBusy> {
    check_not_cut_off(map, gap)?;
    check_table(map)?;
    check_place(map, gap, lba)
}

/// A slot, and whether a copy may be written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotVerdict {
    /// LBA of the slot.
    pub lba: u32,
    /// Group of slots that one tool's wipe may take.
    pub group: Group,
    /// Why a copy may not be written there, if so.
    pub verdict: Result<(), SlotBusy>,
}

impl SlotVerdict {
    /// Whether a copy may be written there.
    pub fn is_free(&self) -> bool {
        self.verdict.is_ok()
    }
}

/// All slots with their verdicts, in the order in which readers look at them.
pub fn verdicts(check: impl Fn(u32) -> Result<(), SlotBusy>) -> Vec<SlotVerdict> {
    let verdict = |slot: &Slot| SlotVerdict { lba: slot.lba, group: slot.group, verdict: check(slot.lba) };
    READING_ORDER.iter().map(verdict).collect()
}

fn check_not_cut_off(map: &Map, gap: &Gap) -> Result<(), SlotBusy> {
    let sectors = gap.device_sectors();
    match map.table.first_partition_lba() {
        Some(first_partition_lba) if first_partition_lba >= sectors => {
            Err(SlotBusy::CutOff { sectors, first_partition_lba })
        }
        _ => Ok(()),
    }
}

/// Whether a copy may be put at `lba`, which a person has named: that person may know better than the rules what belongs
/// to whom, but not what lies in a partition or a partition table, or where a boot ROM takes what it finds for its loader;
/// and data goes only by force.
///
/// # Errors
/// Why not, and whether `force` would do it.
pub fn check_named(map: &Map, gap: &Gap, lba: u32, force: bool) -> Result<(), (SlotBusy, bool)> {
    let by_force = |busy: SlotBusy| if force { Ok(()) } else { Err((busy, true)) };
    if let Some(problem) = map.table.fatal_problem().filter(|problem| !problem.is_absence()) {
        by_force(SlotBusy::Table(Some(*problem)))?;
    }
    match check_place(map, gap, lba) {
        Err(busy @ (SlotBusy::Inside(_) | SlotBusy::NotBlank(_) | SlotBusy::NoPartitionYet)) => {
            by_force(busy)
        }
        Err(SlotBusy::Claimed(_) | SlotBusy::Neighbour { .. } | SlotBusy::Table(_)) | Ok(()) => Ok(()),
        Err(busy) => Err((busy, false)),
    }
}

/// Whether the card has a table by which the gap is known at all.
///
/// # Errors
/// [`SlotBusy::Table`].
pub fn check_table(map: &Map) -> Result<(), SlotBusy> {
    if let Some(problem) = map.table.fatal_problem() {
        return Err(SlotBusy::Table(Some(*problem)));
    }
    match map.table.scheme {
        super::table::Scheme::None => Err(SlotBusy::Table(None)),
        _ => Ok(()),
    }
}

/// Whether a copy may be written to `lba`, as far as that does not depend on there being a table.
///
/// # Errors
/// The first rule that forbids it.
pub fn check_place(map: &Map, gap: &Gap, lba: u32) -> Result<(), SlotBusy> {
    let lba = u64::from(lba);
    check_below_partitions(map, gap, lba)?;
    if lba >= map.end_lba || lba >= gap.device_sectors() {
        return Err(SlotBusy::NotRead);
    }
    if let Some(by) = families::parsed_by(lba) {
        return Err(SlotBusy::Parsed { by });
    }
    if let Some(image) = map.image_at(lba) {
        return Err(SlotBusy::Inside(image.clone()));
    }
    match map.owner_of(lba) {
        Some(region) if region.owner.basis == Basis::Table => return Err(SlotBusy::Gpt),
        Some(region) if region.owner.basis == Basis::Data => {
            return Err(SlotBusy::NotBlank(Some(region.clone())));
        }
        _ => {}
    }
    if let Some(claim) = map.claim_on(lba) {
        return Err(SlotBusy::Claimed(claim.clone()));
    }
    check_neighbours(map, gap, lba)
}

/// Sectors that sgdisk and others use for the entries of a GPT unless told otherwise.
const GPT_USUAL: std::ops::RangeInclusive<u64> = 1..=33;
/// How many sectors at the end of the device are usually the backup's.
const GPT_BACKUP_USUAL: u64 = 33;

fn check_below_partitions(map: &Map, gap: &Gap, lba: u64) -> Result<(), SlotBusy> {
    if let Some(first_partition_lba) = map.table.first_partition_lba().filter(|&first| lba >= first) {
        return Err(SlotBusy::NotInGap { first_partition_lba });
    }
    if map.table.is_empty() && lba >= FIRST_PARTITION_USUAL_LBA {
        return Err(SlotBusy::NoPartitionYet);
    }
    let is_at_end = gap.device_sectors().saturating_sub(lba) <= GPT_BACKUP_USUAL;
    if map.table.gpt.is_some() && (GPT_USUAL.contains(&lba) || is_at_end) {
        return Err(SlotBusy::Gpt);
    }
    Ok(())
}

/// How far blank sectors must reach on both sides.
const NEIGHBOURS: u64 = 2;

/// A sector between sectors that are not blank may be a hole in an image that nothing recognised.
///
/// Behind, blankness is asked for only up to where something starts that is known to start there: an image with a
/// header, a table, the first partition.
fn check_neighbours(map: &Map, gap: &Gap, lba: u64) -> Result<(), SlotBusy> {
    let before = (1..=NEIGHBOURS).filter_map(|distance| lba.checked_sub(distance)).filter(|&lba| lba != 0);
    let behind = (1..=NEIGHBOURS).filter_map(|distance| lba.checked_add(distance));
    let behind = behind.take_while(|&behind| !starts_by(map, lba, behind));
    for lba in before.chain(behind) {
        let region = map.owner_of(lba);
        let blank = match (gap.sector(lba), region.map(|region| region.owner.basis)) {
            (Some(_), Some(Basis::Copy(_))) => true,
            // 0xFF is blank only where nothing is.
            (Some(sector), None) if lba < map.end_lba => is_blank(sector),
            (Some(sector), _) => is_zero(sector),
            (None, _) => false,
        };
        if !blank {
            return Err(SlotBusy::Neighbour { lba, region: region.cloned() });
        }
    }
    Ok(())
}

/// Whether something known starts behind `lba` and not behind `at`.
fn starts_by(map: &Map, lba: u64, at: u64) -> bool {
    let table = map.regions.iter().find(|region| region.owner.basis == Basis::Table && region.contains(at));
    let starts = [map.table.first_partition_lba(), table.or(map.image_at(at)).map(|region| region.start_lba)];
    starts.into_iter().flatten().any(|start| start > lba && start <= at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::map;
    use identity_core::field::kind;
    use identity_core::{Draft, Uuid};
    use identity_fixtures::Card;
    use identity_fixtures::card::LINUX;
    use identity_fixtures::loader;

    fn check(card: &Card, lba: u32) -> Result<(), SlotBusy> {
        let gap = Gap::new(card.bytes(), card.sectors());
        check_slot(&map(&gap), &gap, lba)
    }

    fn free(card: &Card) -> Vec<u32> {
        let mut free: Vec<_> =
            READING_ORDER.iter().map(|slot| slot.lba).filter(|&lba| check(card, lba).is_ok()).collect();
        free.sort_unstable();
        free
    }

    fn mbr(first_lba: u32) -> Card {
        let mut card = Card::new(first_lba as usize + 64);
        card.mbr(1, 0x0c, first_lba, 64).put(first_lba as usize, &loader::noise(1, 512));
        card
    }

    fn gpt(first_lba: u64) -> Card {
        let mut card = Card::new(first_lba as usize + 128);
        card.gpt(2, &[(LINUX, first_lba, first_lba + 63, "root")]);
        card.put(first_lba as usize, &loader::noise(1, 512));
        card
    }

    fn copy(lba: u32) -> [u8; 512] {
        let mut draft = Draft::new(Uuid::from_u128(0x9e3c1d40_5a37_4c8e_9f0b_6d2a81e4c7f5)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        draft.finish().unwrap().encode(lba, 6607)
    }

    /// The table "which two to write": what is free on an empty gap that ends somewhere.
    #[test]
    fn rule_1_below_partitions() {
        for (first, mbr_free, gpt_free) in [
            (1, &[][..], &[][..]),
            (7, &[5], &[]),
            (8, &[5, 7], &[]),
            (52, &[5, 7], &[]),
            (55, &[5, 7, 52, 54], &[52, 54]),
            (64, &[5, 7, 52, 54], &[52, 54]),
            (1778, &[5, 7, 52, 54, 1711, 1777], &[52, 54, 1711, 1777]),
            (3072, &[5, 7, 52, 54, 1711, 1777, 2703, 2927], &[52, 54, 1711, 1777, 2703, 2927]),
            (
                6960,
                &[5, 7, 52, 54, 1711, 1777, 2703, 2927, 6607, 6959],
                &[52, 54, 1711, 1777, 2703, 2927, 6607, 6959],
            ),
        ] {
            assert_eq!(free(&mbr(first)), mbr_free, "MBR {first}");
            if first >= 34 {
                assert_eq!(free(&gpt(first.into())), gpt_free, "GPT {first}");
            }
        }
        let busy = check(&mbr(2048), 2703).unwrap_err();
        assert_eq!(busy, SlotBusy::NotInGap { first_partition_lba: 2048 });
        assert_eq!(busy.to_string(), "behind the start of the first partition, LBA 2048");
        assert_eq!(check(&gpt(2048), 5), Err(SlotBusy::Gpt));
    }

    #[test]
    fn rule_1_every_kind_of_entry() {
        for kind in [0xda, 0xa2, 0x53, 0x05, 0x0f, 0x00] {
            let mut card = mbr(8192);
            card.mbr(2, kind, 40, 100);
            assert_eq!(free(&card), [5, 7], "{kind:02x}");
        }
        let mut hybrid = gpt(8192);
        hybrid.mbr(2, 0x0c, 1700, 100);
        assert_eq!(free(&hybrid), [52, 54]);
    }

    #[test]
    fn rule_1_entries_anywhere() {
        for (entries_lba, busy) in [(34, [52, 54]), (1700, [1711, 1777]), (2700, [2703, 2927])] {
            let mut card = Card::new(16384);
            card.gpt(entries_lba, &[(LINUX, 8192, 9000, "root")]);
            assert_eq!(check(&card, busy[0]), Err(SlotBusy::Gpt), "{entries_lba}");
            // Even then the usual place is the GPT's.
            assert_eq!(check(&card, 5), Err(SlotBusy::Gpt));
        }
    }

    #[test]
    fn rule_2_inside() {
        let mut card = mbr(8192);
        // All zero where the slots are, and still an environment.
        card.put(48, &loader::env(0x2000, false));
        let busy = check(&card, 54).unwrap_err();
        assert_eq!(busy.to_string(), "inside U-Boot environment, LBA 48–63");
        // Ours in an image is in an image.
        let mut card = mbr(8192);
        let mut image = loader::noise(1, 3000 * 512);
        image[2703 * 512 - 600 * 512..][..512].copy_from_slice(&copy(2703));
        card.put(600, &image).put(600, &loader::fit(512, loader::FitData::Inside));
        card.bytes_mut()[600 * 512 + 4..][..4].copy_from_slice(&(3000_u32 * 512).to_be_bytes());
        assert!(matches!(check(&card, 2703), Err(SlotBusy::Inside(_))));
    }

    #[test]
    fn rule_3_blank_or_ours() {
        let mut card = mbr(8192);
        card.put(54, &[1]);
        assert_eq!(check(&card, 54).unwrap_err().to_string(), "not blank: unknown data, LBA 54");
        assert_eq!(
            check(&card, 52).unwrap_err().to_string(),
            "next to LBA 54, which is not blank: unknown data, LBA 54"
        );
        card.put(54, &copy(54));
        assert_eq!(check(&card, 54), Ok(()));
        // A copy that was written for another place is a piece of a card's image: somebody's data.
        card.put(54, &copy(52));
        let reason = |lba| check(&card, lba).unwrap_err().to_string();
        assert_eq!(reason(54), "not blank: piece of a card's image, LBA 54");
        assert_eq!(reason(52), "next to LBA 54, which is not blank: piece of a card's image, LBA 54");
        assert!(!free(&card).contains(&54));
    }

    #[test]
    fn rule_3_cards_that_erase_to_ones() {
        let mut card = Card::new(8256);
        card.bytes_mut().fill(0xff);
        card.put(0, &[0; 512]).mbr(1, 0x0c, 8192, 64);
        assert_eq!(free(&card).len(), 10);
        // Beside data, and between two images, it is padding.
        card.put(100, &loader::noise(1, 512));
        assert!(free(&card).is_empty());
        card.put(100, &loader::uimage(512)).put(6000, &loader::uimage(512));
        assert_eq!(free(&card), [5, 7, 52, 54, 6607, 6959]);
    }

    #[test]
    fn rule_4_neighbours() {
        for (distance, good) in [(-3, true), (-2, false), (-1, false), (1, false), (2, false), (3, true)] {
            let mut card = mbr(8192);
            for data in [&[1][..], &copy(52)] {
                card.put((2703 + distance) as usize, data);
                assert_eq!(check(&card, 2703).is_ok(), good, "{distance}");
            }
            card.put((2703 + distance) as usize, &copy((2703 + distance) as u32));
            assert_eq!(check(&card, 2703), Ok(()), "{distance}");
        }
        // LBA 0 is exempt, and a header behind shows that its image starts there; one before does not.
        let mut card = mbr(8192);
        card.put(9, &loader::uimage(2048));
        assert_eq!((check(&card, 3), check(&card, 7)), (Ok(()), Ok(())));
        assert!(matches!(check(&card, 13), Err(SlotBusy::Neighbour { lba: 12, .. })));
    }

    #[test]
    fn rule_5_claims() {
        let mut card = mbr(8192);
        card.put(16, &loader::egon(8192));
        let busy = check(&card, 1711).unwrap_err();
        assert_eq!(busy.to_string(), "reserved for Allwinner SPL and U-Boot, LBA 16–2047");
        assert_eq!(check(&card, 2703), Ok(()));
    }

    #[test]
    fn rule_6_table() {
        let blank = Card::new(16384);
        let none =
            |is_blank| Err(SlotBusy::Table(Some(TableProblem::NoSignature { is_blank, sectors: 16384 })));
        assert_eq!(check(&blank, 52), none(true));
        let mut other = Card::new(16384);
        other.put_at(0, b"\x1f\x8b\x08");
        assert_eq!(check(&other, 52), none(false));
        let mut iso = mbr(8192);
        iso.put_at(32769, b"CD001");
        assert_eq!(check(&iso, 52), Err(SlotBusy::Table(Some(TableProblem::Iso9660))));
        let mut broken = gpt(8192);
        broken.bytes_mut()[1024] ^= 1;
        assert!(matches!(check(&broken, 52), Err(SlotBusy::Table(Some(TableProblem::GptEntriesCrc { .. })))));
        let gap = Gap::new(blank.bytes(), blank.sectors());
        assert_eq!(check_place(&map(&gap), &gap, 52), Ok(()));
    }

    #[test]
    fn never_where_a_rom_looks() {
        for lba in [0, 1, 2, 8, 16, 64, 65, 66, 256, 512, 768, 1088, 2112, 4096, 4160, 4162, 5184] {
            assert!(matches!(check(&mbr(8192), lba), Err(SlotBusy::Parsed { .. })), "{lba}");
        }
    }

    #[test]
    fn only_what_was_read() {
        let card = mbr(8192);
        let gap = Gap::new(&card.bytes()[..2048 * 512], card.sectors());
        let map = map(&gap);
        assert_eq!(check_slot(&map, &gap, 1711), Ok(()));
        assert_eq!(check_slot(&map, &gap, 2703), Err(SlotBusy::NotRead));
    }
}
