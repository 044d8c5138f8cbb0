// SPDX-License-Identifier: MIT OR Apache-2.0
//! What boot images and environments look like, and how long they are: by their headers, never by magic alone.
//!
//! One constant [`Format`] per format, one file per group of families. A recogniser gets the bytes from a sector on
//! and says how far the image reaches. What a long magic or a checksum proves counts even if the length makes no
//! sense: then the header's own sector is taken, and the family's claims do the rest.

use std::fmt;

use super::bytes::{Bytes, SECTOR, sectors};

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

/// Every format.
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
    /// Who uses it.
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
    /// From any sector on, at the cost of a checksum over as many bytes as the environment may be long.
    Costly(fn(&[u8], &mut Budget) -> Option<Extent>),
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

/// How far something reaches, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Start, counted from the sector looked at.
    pub at: u64,
    /// Length.
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

/// Bytes that may still be hashed in search of environments, so that no card can make the search slow.
#[derive(Debug)]
pub struct Budget(u64);

impl Budget {
    /// 64 MiB: a hundred times what real cards need.
    pub const FULL: Self = Self(64 << 20);

    /// Takes `bytes`, if there are as many left.
    fn take(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.checked_sub(bytes)?;
        Some(())
    }
}

impl Format {
    /// Everything of this format that the sector at `lba`, where `bytes` start, tells of.
    pub fn look(&self, bytes: &[u8], lba: u64, budget: &mut Budget) -> Vec<Extent> {
        if !self.magic.is_empty() && !self.magic.iter().any(|(at, magic)| bytes.has(*at, magic)) {
            return Vec::new();
        }
        match self.find {
            Find::Anywhere(find) => find(bytes).into_iter().collect(),
            Find::Lba0(find) if lba == 0 => find(bytes),
            Find::Lba0(_) => Vec::new(),
            Find::Costly(find) => find(bytes, budget).into_iter().collect(),
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
