// SPDX-License-Identifier: MIT OR Apache-2.0
//! What boot images and environments look like, and how long they are: by their headers, never by magic alone.
//!
//! One constant [`Format`] per format, one file per group of families. A recogniser gets the bytes from a sector on
//! and says how far the image reaches. What a long magic or a checksum proves counts even if the length makes no
//! sense: then the header's own sector is taken, and the family's claims do the rest.

use std::fmt;

use super::bytes::{Bytes, SECTOR, sectors};
use super::gap::Gap;

pub mod allwinner;
pub mod amlogic;
pub mod arm_fip;
pub mod barebox;
pub mod canaan;
pub mod grub;
pub mod ingenic;
pub mod intel;
pub mod layerscape;
pub mod marvell;
pub mod mediatek;
pub mod nexell;
pub mod nxp;
pub mod onie;
pub mod rockchip;
pub mod spacemit;
pub mod st;
pub mod starfive;
pub mod ti;
pub mod uboot_env;
pub mod uboot_image;

/// Every format that is recognised.
pub const ALL: &[&Format] = &[
    &allwinner::EGON,
    &allwinner::TOC0,
    &allwinner::TOC1,
    &amlogic::AML,
    &arm_fip::FIP,
    &barebox::IMAGE,
    &barebox::ENV,
    &barebox::STATE,
    &canaan::K230,
    &grub::CORE,
    &grub::OTHER_TOOLS,
    &ingenic::SPL,
    &intel::SPL,
    &layerscape::PBL,
    &layerscape::PBL_POWER,
    &layerscape::PBL_CHASSIS_3,
    &layerscape::ESDHC_BOOT,
    &marvell::KWB,
    &marvell::ARMADA_8K,
    &mediatek::DEVICE_HEADER,
    &mediatek::BRLYT,
    &mediatek::GFH,
    &mediatek::LK,
    &nexell::NSIH,
    &nxp::IVT,
    &nxp::FLASH_HEADER_V1,
    &nxp::SIT,
    &nxp::CONTAINER,
    &nxp::BOOT_STREAM,
    &onie::TLV_INFO,
    &rockchip::IDBLOCK_V1,
    &rockchip::IDBLOCK_V2,
    &rockchip::VENDOR_STORAGE,
    &rockchip::PARAMETER,
    &spacemit::BOOTINFO,
    &spacemit::FSBL,
    &st::STM32,
    &starfive::SPL,
    &ti::CHSETTINGS,
    &ti::K3,
    &ti::UBL,
    &uboot_env::ENV,
    &uboot_image::UIMAGE,
    &uboot_image::FIT,
    &uboot_image::DEVICE_TREE,
];

/// A format of images, or of other data, that can be told from its bytes.
#[derive(Clone, Copy)]
pub struct Format {
    /// What it is; no two formats have the same name.
    pub name: &'static str,
    /// Name of the family that uses it.
    pub family: &'static str,
    /// Bytes at an offset from the start of the sector; one of them must be there. None: every sector may be it.
    pub magic: &'static [(u64, &'static [u8])],
    /// Where the facts are from.
    pub source: &'static str,
    /// How it is told.
    pub find: Find,
}

/// How a format is told; the magic has been found already.
#[derive(Clone, Copy)]
pub enum Find {
    /// From any sector on.
    Anywhere(fn(&[u8]) -> Option<Extent>),
    /// From LBA 0 only: what its boot code says of other sectors.
    Lba0(fn(&[u8]) -> Vec<Extent>),
    /// From all bytes of the gap at once; what starts before an LBA, as far as the budget reaches.
    WholeGap(fn(&Gap<'_>, u64, &mut Budget) -> Vec<Extent>),
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A format, and where a sign of it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// LBA of the sector in which it begins.
    pub lba: u64,
    /// Format that was recognised.
    pub format: &'static Format,
}

/// How far something reaches, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Start, counted from the sector looked at.
    pub at: u64,
    /// Length of the image in bytes.
    pub len: u64,
    /// One line for people; may be empty.
    pub detail: String,
}

impl Extent {
    /// From the sector looked at on.
    fn new(len: u64, detail: impl Into<String>) -> Self {
        Self { at: 0, len, detail: detail.into() }
    }

    /// First sector, counted from the one looked at, and number of sectors.
    pub fn in_sectors(&self) -> (u64, u64) {
        let first = self.at.checked_div(SECTOR).unwrap_or(0);
        (first, sectors(self.at.saturating_add(self.len)).saturating_sub(first).max(1))
    }
}

/// Lengths that may still be tried in search of environments, so that no card can make the search slow.
#[derive(Clone, Debug)]
pub struct Budget(u64);

impl Budget {
    /// 128 Mi: fifty times what a real card needs, and half a second.
    pub const FULL: Self = Self(128 << 20);

    /// Takes `lengths`, if there are as many left.
    fn take(&mut self, lengths: u64) -> Option<()> {
        self.0 = self.0.checked_sub(lengths)?;
        Some(())
    }
}

impl Format {
    /// Everything of this format that the sector at `lba`, where `bytes` start, tells of.
    pub fn look(&self, bytes: &[u8], lba: u64) -> Vec<Extent> {
        if !self.magic.is_empty() && !self.magic.iter().any(|(at, magic)| bytes.has(*at, magic)) {
            return Vec::new();
        }
        match self.find {
            Find::Anywhere(find) => find(bytes).into_iter().collect(),
            Find::Lba0(find) if lba == 0 => find(bytes),
            Find::Lba0(_) | Find::WholeGap(_) => Vec::new(),
        }
    }

    /// Everything of this format that starts before `end_lba`, where that is not told sector by sector. The
    /// extents count from LBA 0 on.
    pub fn look_everywhere(&self, gap: &Gap<'_>, end_lba: u64, budget: &mut Budget) -> Vec<Extent> {
        match self.find {
            Find::WholeGap(find) => find(gap, end_lba, budget),
            Find::Anywhere(_) | Find::Lba0(_) => Vec::new(),
        }
    }
}

/// The longest image that is believed: 64 MiB.
const IMAGE_LEN_MAX: u64 = 64 << 20;

/// `len`, if an image can be as long.
fn plausible(len: u64) -> Option<u64> {
    (1..=IMAGE_LEN_MAX).contains(&len).then_some(len)
}

/// Sum of all little-endian words, the rest of less than a word left out.
fn sum_words(bytes: &[u8]) -> u32 {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().fold(0, |sum: u32, word| sum.wrapping_add(u32::from_le_bytes(*word)))
}

/// A checksum in words; `None`: it could not be computed.
fn checked(good: Option<bool>) -> &'static str {
    match good {
        Some(true) => "checksum good",
        Some(false) => "checksum wrong",
        None => "checksum not computed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::len;
    use crate::{Basis, map};
    use identity_core::field::kind;
    use identity_core::slot::READING_ORDER;
    use identity_core::{Draft, Uuid};
    use identity_fixtures::family::CARDS;
    use identity_fixtures::{Card, loader};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn look(bytes: &[u8], lba: u64) -> Vec<(&'static str, Extent)> {
        let found = |format: &&'static Format| {
            format.look(bytes, lba).into_iter().map(|extent| (format.name, extent))
        };
        ALL.iter().flat_map(found).collect()
    }

    fn look_everywhere(bytes: &[u8]) -> Vec<(&'static str, Extent)> {
        let found = |format: &&'static Format| {
            let sectors = crate::bytes::sectors(len(bytes));
            let found = format.look_everywhere(&Gap::new(bytes, sectors), sectors, &mut Budget::FULL.clone());
            found.into_iter().map(|extent| (format.name, extent))
        };
        ALL.iter().flat_map(found).collect()
    }

    #[test]
    fn names_are_different() {
        let mut names: Vec<_> = ALL.iter().map(|format| format.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn every_format_is_on_some_card() {
        let mut unseen: Vec<_> = ALL.iter().map(|format| format.name).collect();
        for card in CARDS {
            let card = (card.build)();
            let gap = Gap::new(card.bytes(), card.sectors());
            // In the partitions, too, where some families have their loaders.
            for lba in (0..gap.sectors()).filter(|&lba| gap.sector(lba) != Some(&[0; 512])) {
                for (name, _) in look(gap.from(lba), lba) {
                    unseen.retain(|unseen| *unseen != name);
                }
            }
            let before_partitions = crate::table::read(&gap).gap_end_lba(gap.device_sectors()) as usize * 512;
            for (name, _) in look_everywhere(&card.bytes()[..before_partitions.min(card.bytes().len())]) {
                unseen.retain(|unseen| *unseen != name);
            }
        }
        // They have their own test.
        unseen.retain(|name| ![grub::OTHER_TOOLS.name, uboot_image::DEVICE_TREE.name].contains(name));
        assert_eq!(unseen, Vec::<&str>::new());
    }

    #[test]
    fn other_tools_and_device_trees() {
        let mut card = Card::new(64);
        card.put(32, &[0xd4, 0x41, 0xa0, 0xf5, 0x03, 0x00, 0x03, 0x00]).put(40, b"GREGRegDone.Tag\0");
        let found = look(card.bytes(), 0);
        let at: Vec<_> =
            found.iter().map(|(name, extent)| (*name, extent.in_sectors(), &*extent.detail)).collect();
        assert_eq!(
            at,
            [("marker sector", (32, 1), "FlexNet"), ("marker sector", (40, 1), "Acer registration")]
        );

        // The same tree without its node "images".
        let mut tree = loader::fit(4096, loader::FitData::Inside);
        let at = tree.windows(6).position(|window| window == b"images").unwrap();
        tree[at..at + 6].copy_from_slice(b"others");
        assert_eq!(
            look(&tree, 9).first().map(|(name, extent)| (*name, extent.len)),
            Some(("device tree", 4096))
        );
    }

    #[test]
    fn fit_reaches_as_far_as_its_data() {
        for data in [loader::FitData::Offset, loader::FitData::Position, loader::FitData::Inside] {
            let fit = loader::fit(100_000, data);
            assert_eq!(look(&fit, 9), [("FIT", Extent::new(100_000, ""))], "{data:?}");
        }
        let cut = &loader::fit(100_000, loader::FitData::Inside)[..4096];
        assert_eq!(look(cut, 9), [("FIT", Extent::new(100_000, "cut off: it may be longer"))]);
    }

    #[test]
    fn environments_of_every_length() {
        for sectors in [4, 8, 16, 21, 24, 33, 64, 128, 256, 512, 1024, 2048] {
            for redundant in [false, true] {
                let env = loader::env(sectors * 512, redundant);
                let found = look_everywhere(&env);
                let detail = if redundant { "one of two copies" } else { "" };
                assert_eq!(found, [("environment", Extent::new(sectors as u64 * 512, detail))], "{sectors}");
            }
        }
        // mkenvimage pads with 0xff; a variable may hold a newline and UTF-8.
        let mut data = "a=b\0n=ü\n\t1\0\0".as_bytes().to_vec();
        data.resize(0x2000 - 4, 0xff);
        let mut env = crate::bytes::CRC32.checksum(&data).to_le_bytes().to_vec();
        env.extend(data);
        assert_eq!(look_everywhere(&env).len(), 1);
        env[0] ^= 1;
        assert_eq!(look_everywhere(&env), []);
    }

    #[test]
    fn identities_look_like_nothing() {
        let mut draft = Draft::new(Uuid::from_u128(0x9e3c1d40_5a37_4c8e_9f0b_6d2a81e4c7f5)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        draft.set_text(kind::HOSTNAME, "board-7").unwrap();
        let identity = draft.finish().unwrap();
        for slot in READING_ORDER {
            let copy = identity.encode(slot.lba, 52);
            assert_eq!((look(&copy, slot.lba.into()), look_everywhere(&copy)), (vec![], vec![]));
            for format in ALL {
                assert!(
                    format.magic.is_empty() || !format.magic.iter().any(|(at, magic)| copy.has(*at, magic))
                );
            }
        }
    }

    /// Many sectors that might be an environment, each with a wrong checksum.
    #[test]
    fn environments_cannot_make_it_slow() {
        let mut card = Card::new(40960);
        card.mbr(1, 0x0c, 32768, 8192);
        for lba in 1..32768 {
            card.put_at(lba * 512 + 4, b"a=b\0\0");
        }
        let start = std::time::Instant::now();
        let map = map(&Gap::new(card.bytes(), card.sectors()));
        // None of them is an environment; but what was not tried is not free either.
        let judged = map.regions.iter().find(|region| region.owner.basis == Basis::Content).unwrap();
        assert!(judged.owner.what.contains("not searched") && judged.end_lba() == 32768, "{judged:?}");
        assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    }

    /// How headers are broken: some bytes changed, some words at the limits.
    fn damage() -> impl Strategy<Value = Vec<(usize, Vec<u8>)>> {
        let word = prop_oneof![
            any::<[u8; 4]>(),
            Just([0; 4]),
            Just([0xff; 4]),
            Just([0xff, 0xff, 0xff, 0x7f]),
            Just([0x7f, 0xff, 0xff, 0xff]),
            Just([0xfc, 0xff, 0xff, 0xff]),
        ];
        let bytes = prop_oneof![word.prop_map(|word| word.to_vec()), any::<u8>().prop_map(|byte| vec![byte])];
        vec((prop_oneof![0_usize..128, 0_usize..1024, 0_usize..8192], bytes), 0..6)
    }

    proptest! {
        #[test]
        fn broken_headers_never_panic(damage in damage(), cut in 0_usize..9000, lba in prop_oneof![Just(0_u64), Just(16)]) {
            let loaders = loader::images().into_iter().chain(loader::boot_sectors());
            for mut image in loaders {
                for (at, bytes) in &damage {
                    if let Some(place) = image.get_mut(*at..at + bytes.len()) {
                        place.copy_from_slice(bytes);
                    }
                }
                image.truncate(cut.max(1));
                for (name, extent) in look(&image, lba) {
                    // One believed length, and the reach of what lies behind it.
                    prop_assert!(extent.len <= 3 * IMAGE_LEN_MAX, "{name}: {extent:?}");
                }
            }
        }

        #[test]
        fn random_bytes_are_nothing(bytes in vec(any::<u8>(), 512..4096), lba in 0_u64..70000) {
            prop_assert_eq!(look(&bytes, lba), []);
            prop_assert_eq!(look_everywhere(&bytes), []);
        }

        #[test]
        fn noise_is_nothing(seed: u64) {
            let bytes = loader::noise(seed, 64 * 512);
            for lba in 0..64 {
                prop_assert_eq!(look(&bytes[lba * 512..], lba as u64), []);
            }
            prop_assert_eq!(look_everywhere(&bytes), []);
        }
    }
}
