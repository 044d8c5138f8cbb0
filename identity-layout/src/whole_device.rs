// SPDX-License-Identifier: MIT OR Apache-2.0
//! Users of a whole device: swap, file systems, members of arrays and volumes that start at LBA 0 or keep a superblock at the
//! device's end. They leave an old partition table in LBA 0 readable, and every sector is theirs all the same.
//!
//! What counts is what libblkid finds of the whole device, by the same rules: where the field's checks are more than a magic
//! of four bytes, they are repeated here, so that a leftover that nobody recognises refuses no card. Source of all offsets
//! and checks, unless said otherwise: util-linux 2.38 and 2.41, `libblkid/src/superblocks/`.

use std::ops::Range;

use crc::{Algorithm, CRC_32_ISO_HDLC, Crc, Table};

use super::bytes::{Bytes, SECTOR};
use super::gap::Gap;

/// A user of the whole device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeDevice {
    /// Its name, as people know it.
    pub name: &'static str,
    /// By what it is known.
    pub signature: Signature,
}

/// Bytes without which something is not recognised any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Offset from the start of the device, in bytes.
    pub offset: u64,
    /// Length in bytes, at least one.
    pub len: u64,
}

impl Signature {
    /// `len` bytes from the byte `at` of the sector `lba` on.
    pub(crate) fn new(lba: u64, at: u64, len: usize) -> Self {
        Self::of_bytes(lba.saturating_mul(SECTOR).saturating_add(at), len)
    }

    fn of_bytes(offset: u64, len: usize) -> Self {
        Self { offset, len: u64::try_from(len).unwrap_or(u64::MAX) }
    }

    /// LBA of the sector in which it begins.
    pub fn lba(self) -> u64 {
        lba_of(self.offset)
    }
}

/// A byte offset on the device.
#[derive(Clone, Copy)]
enum At {
    /// Offset from the start of the device.
    Start(u64),
    /// This much before its end, the end being rounded down to a multiple of the first number.
    End(u64, u64),
}

/// Kilobytes in bytes, as libblkid counts superblocks.
const KB: u64 = 1024;

const ZFS: &str = "ZFS";
const ZFS_DEVICE_LEN_MIN: u64 = 64 << 20;
const ZFS_LABEL_LEN: u64 = 256 * KB;
/// Where the list of pairs begins in a label.
const ZFS_LIST_OFFSET: u64 = 16 * KB;

/// One place of a superblock.
struct Place {
    name: &'static str,
    at: At,
    /// Where the magic is, from the place on.
    magic_at: u64,
    magic: &'static [u8],
    /// What else has to hold of the bytes from the place on.
    check: fn(&Superblock<'_>) -> bool,
}

/// The bytes of a place, and what they may be judged by.
struct Superblock<'a> {
    /// All that is known from the place on, at most [`READ_SECTORS`].
    bytes: &'a [u8],
    /// Where it is, in bytes.
    at: u64,
    gap: &'a Gap<'a>,
    partitions: &'a [Range<u64>],
}

/// Sectors that are looked at from each place on.
const READ_SECTORS: u64 = 8;
/// Sectors at the device's end that are read at once: down to the superblock of md 0.90, and DDF's second header.
const END_SECTORS: u64 = 264;

macro_rules! places {
    ($($name:tt $at:expr, $magic_at:expr, $magic:expr, $check:expr;)*) => {
        &[$(Place { name: $name, at: $at, magic_at: $magic_at, magic: $magic, check: $check }),*]
    };
}
use At::{End, Start};

const LINUX_RAID: &[u8] = &[0xfc, 0x4e, 0x2b, 0xa9];
const LINUX_RAID_BE: &[u8] = &[0xa9, 0x2b, 0x4e, 0xfc];
const BCACHE: &[u8] =
    &[0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81];
const BCACHEFS: &[u8] =
    &[0xc6, 0x85, 0x73, 0xf6, 0x66, 0xce, 0x90, 0xa9, 0xd9, 0x6a, 0x60, 0xcf, 0x80, 0x3d, 0xf7, 0xef];
const LUKS: &[u8] = b"LUKS\xba\xbe";
const LUKS_2: &[u8] = b"SKUL\xba\xbe";
const STRATIS: &[u8] = b"!Stra0tis\x86\xff\x02^\x41rh";
const SWSUSPEND_TUXONICE: &[u8] = &[0xed, 0xc3, 0x02, 0xe9, 0x98, 0x56, 0xe5, 0x0c];

#[rustfmt::skip]
const PLACES: &[Place] = places! {
    "Linux RAID" End(64 * KB, 64 * KB), 0, LINUX_RAID, md_0;
    "Linux RAID" End(64 * KB, 64 * KB), 0, LINUX_RAID_BE, md_0;
    "Linux RAID" End(4 * KB, 8 * KB), 0, LINUX_RAID, md_1;
    "Linux RAID" Start(0), 0, LINUX_RAID, md_1;
    "Linux RAID" Start(4 * KB), 0, LINUX_RAID, md_1;
    "DDF RAID" End(SECTOR, SECTOR), 0, &[0xde, 0x11, 0xde, 0x11], any;
    "DDF RAID" End(SECTOR, SECTOR), 0, &[0x11, 0xde, 0x11, 0xde], any;
    "DDF RAID" End(SECTOR, 257 * SECTOR), 0, &[0xde, 0x11, 0xde, 0x11], any;
    "DDF RAID" End(SECTOR, 257 * SECTOR), 0, &[0x11, 0xde, 0x11, 0xde], any;
    "Intel RAID" End(SECTOR, 2 * SECTOR), 0, b"Intel Raid ISM Cfg Sig. ", any;
    "LSI RAID" End(SECTOR, SECTOR), 0, b"$XIDE$", any;
    "NVIDIA RAID" End(SECTOR, 2 * SECTOR), 0, b"NVIDIA", any;
    "HighPoint RAID" End(SECTOR, 11 * SECTOR), 0, &[0xf3, 0x16, 0x78, 0x5a], any;
    "HighPoint RAID" End(SECTOR, 11 * SECTOR), 0, &[0xfd, 0x16, 0x78, 0x5a], any;
    "HighPoint RAID" Start(4 * KB), 544, &[0xf0, 0x16, 0x78, 0x5a], any;
    "HighPoint RAID" Start(4 * KB), 544, &[0xfd, 0x16, 0x78, 0x5a], any;
    "Promise RAID" End(SECTOR, 63 * SECTOR), 0, b"Promise Technology, Inc.", any;
    "Promise RAID" End(SECTOR, 255 * SECTOR), 0, b"Promise Technology, Inc.", any;
    "Promise RAID" End(SECTOR, 256 * SECTOR), 0, b"Promise Technology, Inc.", any;
    "Promise RAID" End(SECTOR, 16 * SECTOR), 0, b"Promise Technology, Inc.", any;
    "VIA RAID" End(SECTOR, SECTOR), 0, &[0x55, 0xaa], via;
    "JMicron RAID" End(SECTOR, SECTOR), 0, b"JM", any;
    "Adaptec RAID" End(SECTOR, SECTOR), 0, &[0x37, 0xfc, 0x4d, 0x1e], |sb| sb.bytes.has(256, b"DPTM");
    "Silicon Image RAID" End(SECTOR, SECTOR), 0x60, &[0, 0, 0, 0x2f], silicon_image;
    "DRBD" End(1, 4 * KB), 60, &[0x83, 0x74, 0x02, 0x6b], any;
    "DRBD" End(1, 4 * KB), 60, &[0x83, 0x74, 0x02, 0x6c], any;
    "DRBD" End(1, 4 * KB), 60, &[0x83, 0x74, 0x02, 0x6d], any;
    "DRBD control volume" Start(0), 0, b"$DRBDmgr=q", any;
    "DRBD proxy log" Start(0), 0, b"DRBDdlh*", any;
    "LVM" Start(0), 24, b"LVM2 001", lvm2;
    "LVM" Start(SECTOR), 24, b"LVM2 001", lvm2;
    "LVM" Start(2 * SECTOR), 24, b"LVM2 001", lvm2;
    "LVM" Start(3 * SECTOR), 24, b"LVM2 001", lvm2;
    "LVM" Start(0), 0, b"HM", |sb| matches!(sb.bytes.u16_le(2), Some(1 | 2));
    "device-mapper snapshot" Start(0), 0, b"SnAp", any;
    "dm-verity" Start(0), 0, b"verity\0\0", any;
    "dm-integrity" Start(0), 0, b"integrt\0", any;
    "VDO" Start(0), 0, b"dmvdo001", any;
    "Stratis" Start(SECTOR), 4, STRATIS, any;
    "Stratis" Start(9 * SECTOR), 4, STRATIS, any;
    "LUKS" Start(0), 0, LUKS, any;
    "LUKS" Start(0x4000), 0, LUKS_2, any;
    "LUKS" Start(0x8000), 0, LUKS_2, any;
    "LUKS" Start(0x1_0000), 0, LUKS_2, any;
    "LUKS" Start(0x2_0000), 0, LUKS_2, any;
    "LUKS" Start(0x4_0000), 0, LUKS_2, any;
    "LUKS" Start(0x8_0000), 0, LUKS_2, any;
    "LUKS" Start(0x10_0000), 0, LUKS_2, any;
    "LUKS" Start(0x20_0000), 0, LUKS_2, any;
    "LUKS" Start(0x40_0000), 0, LUKS_2, any;
    "BitLocker" Start(0), 0, b"\xeb\x52\x90-FVE-FS-", any;
    "BitLocker" Start(0), 0, b"\xeb\x58\x90-FVE-FS-", any;
    "BitLocker" Start(0), 0, b"\xeb\x58\x90MSWIN4.1", |sb| sb.bytes.has(424, BITLOCKER_TO_GO);
    "bcache" Start(4 * KB), 24, BCACHE, |sb| sb.bytes.u64_le(8) == Some(8);
    "bcachefs" Start(4 * KB), 24, BCACHEFS, any;
    "bcachefs" Start(2048 * KB), 24, BCACHEFS, any;
    "Ceph BlueStore" Start(0), 0, b"bluestore block device", any;
    "VMFS" Start(1024 * KB), 0, &[0x0d, 0xd0, 0x01, 0xc0], any;
    "VMFS" Start(2048 * KB), 0, &[0x5e, 0xf1, 0xab, 0x2f], any;
    "UBI" Start(0), 0, b"UBI#", any;
    "UBIFS" Start(0), 0, &[0x31, 0x18, 0x10, 0x06], any;
    "Oracle ASM" Start(0), 32, b"ORCLDISK", any;
    "suspended system" Start(0), 0, SWSUSPEND_TUXONICE, any;
    "NTFS" Start(0), 3, b"NTFS    ", any;
    "exFAT" Start(0), 3, b"EXFAT   ", any;
    FAT Start(0), 510, &[0x55, 0xaa], fat;
    "ReFS" Start(0), 0, b"\0\0\0ReFS\0", any;
    "XFS" Start(0), 0, b"XFSB", any;
    "exfs" Start(0), 0, b"EXFS", any;
    "ext2/3/4" Start(KB), 0x38, &[0x53, 0xef], any;
    "ReiserFS" Start(8 * KB), 0x34, b"ReIsErFs", any;
    "ReiserFS" Start(8 * KB), 20, b"ReIsErFs", any;
    "ReiserFS" Start(64 * KB), 0x34, b"ReIsErFs", any;
    "ReiserFS" Start(64 * KB), 0x34, b"ReIsEr2Fs", any;
    "ReiserFS" Start(64 * KB), 0x34, b"ReIsEr3Fs", any;
    "Reiser4" Start(64 * KB), 0, b"ReIsEr4", any;
    "JFS" Start(32 * KB), 0, b"JFS1", any;
    "HFS" Start(KB), 0, b"BD", |sb| matches!(sb.bytes.u32_be(20), Some(size) if size > 0 && size % 512 == 0);
    "HFS+" Start(KB), 0, b"H+", |sb| matches!(sb.bytes.u16_be(2), Some(4 | 5));
    "HFSX" Start(KB), 0, b"HX", |sb| matches!(sb.bytes.u16_be(2), Some(4 | 5));
    "APFS" Start(0), 32, b"NXSB", any;
    "HPFS" Start(8 * KB), 0, &[0x49, 0xe8, 0x95, 0xf9], any;
    "BeFS" Start(0), 32, b"BFS1", any;
    "BeFS" Start(0), 32, b"1SFB", any;
    "BeFS" Start(SECTOR), 32, b"BFS1", any;
    "BeFS" Start(SECTOR), 32, b"1SFB", any;
    "BFS" Start(0), 0, &[0xce, 0xfa, 0xad, 0x1b], any;
    "cramfs" Start(0), 0, &[0x45, 0x3d, 0xcd, 0x28], any;
    "cramfs" Start(0), 0, &[0x28, 0xcd, 0x3d, 0x45], any;
    "romfs" Start(0), 0, b"-rom1fs-", any;
    "squashfs" Start(0), 0, b"hsqs", any;
    "squashfs" Start(0), 0, b"sqsh", any;
    "EROFS" Start(KB), 0, &[0xe2, 0xe1, 0xf5, 0xe0], any;
    "F2FS" Start(KB), 0, &[0x10, 0x20, 0xf5, 0xf2], any;
    "Minix" Start(KB), 0x10, &[0x7f, 0x13], minix;
    "Minix" Start(KB), 0x10, &[0x8f, 0x13], minix;
    "Minix" Start(KB), 0x10, &[0x68, 0x24], minix;
    "Minix" Start(KB), 0x10, &[0x78, 0x24], minix;
    "Minix" Start(KB), 0x18, &[0x5a, 0x4d], minix_3;
    "NILFS2" Start(KB), 6, &[0x34, 0x34], nilfs;
    "NILFS2" End(SECTOR, 4 * KB), 6, &[0x34, 0x34], |sb| nilfs(sb) && sb.bytes.u64_le(32) == sb.gap.device_sectors().checked_mul(SECTOR);
    "GFS2" Start(64 * KB), 0, &[0x01, 0x16, 0x19, 0x70], any;
    "OCFS" Start(8 * KB), 0, b"OracleCFS", any;
    "OCFS2" Start(KB), 0, b"OCFSV2", any;
    "OCFS2" Start(2 * KB), 0, b"OCFSV2", any;
    "OCFS2" Start(4 * KB), 0, b"OCFSV2", any;
    "OCFS2" Start(8 * KB), 0, b"OCFSV2", any;
    "VxFS" Start(KB), 0, &[0xf5, 0xfc, 0x01, 0xa5], any;
    "VxFS" Start(8 * KB), 0, &[0xa5, 0x01, 0xfc, 0xf5], any;
    "btrfs" Start(64 * KB), 0x40, b"_BHRfS_M", any;
    "ZoneFS" Start(0), 0, b"SFOZ", any;
    "mpool" Start(0), 0, b"mpoolDev", any;
    "NSS" Start(4 * KB), 0, b"SPB5", any;
    "ScoutFS" Start(64 * KB), 4, &[0x8b, 0x42, 0x3c, 0x10], any;
    "Xenix" Start(KB), 0x400, &[0x2b, 0x55, 0x44], any;
    "Xenix" Start(KB), 0x400, &[0x44, 0x55, 0x2b], any;
    "UDF" Start(32 * KB), 1, b"BEA01", any;
    "UDF" Start(32 * KB), 1, b"NSR02", any;
    "UDF" Start(32 * KB), 1, b"NSR03", any;
    "High Sierra" Start(32 * KB), 9, b"CDROM", any;
    ZFS Start(ZFS_LIST_OFFSET), 0, &[1], zfs;
    ZFS Start(272 * KB), 0, &[1], zfs;
    ZFS End(256 * KB, 496 * KB), 0, &[1], zfs;
    ZFS End(256 * KB, 240 * KB), 0, &[1], zfs;
};

const BITLOCKER_TO_GO: &[u8] =
    &[0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01];

/// Name of the FAT file systems.
const FAT: &str = "FAT";
/// Where their number of tables is, from the start of the file system on.
const FAT_COUNT: u64 = 16;

/// Page sizes that swap is made for, in bytes: its magic stands at the end of the first page.
const PAGES: [u64; 5] = [4 * KB, 8 * KB, 16 * KB, 32 * KB, 64 * KB];
const SWAP: [(&str, &[u8]); 6] = [
    ("swap", b"SWAP-SPACE"),
    ("swap", b"SWAPSPACE2"),
    ("suspended system", b"S1SUSPEND"),
    ("suspended system", b"S2SUSPEND"),
    ("suspended system", b"ULSUSPEND"),
    ("suspended system", b"LINHIB0001"),
];
const SWAP_MAGIC_FROM_PAGE_END: u64 = 10;

/// The first user of the whole device that is found. `partitions` are the sectors of each partition.
pub fn find(gap: &Gap<'_>, partitions: &[Range<u64>]) -> Option<WholeDevice> {
    let mut places = PLACES.iter().filter_map(|place| {
        let at = place.at.in_bytes(gap)?;
        let bytes = known_from(gap, at)?;
        let superblock = Superblock { bytes, at, gap, partitions };
        let is_it = bytes.has(place.magic_at, place.magic) && (place.check)(&superblock);
        let signature = match place.name {
            // That of an MBR, too; without the number of tables it is no FAT.
            FAT => Signature::of_bytes(at.saturating_add(FAT_COUNT), 1),
            // The list and what follows it in this label: each half tells of the file system.
            ZFS => Signature { offset: at, len: ZFS_LABEL_LEN.saturating_sub(ZFS_LIST_OFFSET) },
            _ => Signature::of_bytes(at.saturating_add(place.magic_at), place.magic.len()),
        };
        is_it.then_some(WholeDevice { name: place.name, signature })
    });
    places.next().or_else(|| find_swap(gap)).or_else(|| find_ufs(gap))
}

/// Sectors that have to be known to find all of them.
pub fn probes(gap: &Gap<'_>) -> Vec<Range<u64>> {
    let end = gap.device_sectors().saturating_sub(END_SECTORS)..gap.device_sectors();
    let mut probes = vec![end.clone()];
    let pages = PAGES.iter().map(|page| page.saturating_sub(SECTOR));
    let ufs = UFS_PLACES.iter().map(|at| at.saturating_add(UFS_MAGIC_OFFSET));
    for at in PLACES.iter().filter_map(|place| place.at.in_bytes(gap)).chain(pages).chain(ufs) {
        let start = lba_of(at);
        let range = start..start.saturating_add(READ_SECTORS);
        let in_end = range.start >= end.start;
        if !in_end && gap.span(range.start, READ_SECTORS).is_none() && !probes.contains(&range) {
            probes.push(range);
        }
    }
    probes
}

impl At {
    fn in_bytes(self, gap: &Gap<'_>) -> Option<u64> {
        let size = gap.device_sectors().checked_mul(SECTOR)?;
        let at = match self {
            Self::Start(at) => at,
            // ZFS has the largest unit, and takes no smaller device.
            Self::End(unit, _) if unit == 256 * KB && size < ZFS_DEVICE_LEN_MIN => return None,
            Self::End(unit, back) => size.checked_sub(size.checked_rem(unit)?)?.checked_sub(back)?,
        };
        (at < size).then_some(at)
    }
}

fn lba_of(at: u64) -> u64 {
    at / SECTOR
}

/// The bytes from an offset on, as many as are known of [`READ_SECTORS`].
fn known_from<'a>(gap: &Gap<'a>, at: u64) -> Option<&'a [u8]> {
    let lba = lba_of(at);
    let sectors = (1..=READ_SECTORS).rev().find_map(|sectors| gap.span(lba, sectors))?;
    Some(Bytes::from(sectors, at % SECTOR))
}

fn find_swap(gap: &Gap<'_>) -> Option<WholeDevice> {
    PAGES.iter().find_map(|page| {
        let at = page.checked_sub(SWAP_MAGIC_FROM_PAGE_END)?;
        let bytes = known_from(gap, at)?;
        let (name, magic) = SWAP.iter().find(|(_, magic)| bytes.starts_with(magic))?;
        // Version 1 in either byte order, and a last page.
        let (version, last_page) = (gap.bytes().u32_le(KB)?, gap.bytes().u32_le(KB.checked_add(4)?)?);
        let is_old = *magic != b"SWAPSPACE2";
        let holds = is_old || (matches!(version, 1 | 0x0100_0000) && last_page != 0);
        holds.then(|| WholeDevice { name, signature: Signature::of_bytes(at, magic.len()) })
    })
}

/// Where a superblock of UFS may be, in bytes, and its magic in it.
const UFS_PLACES: [u64; 4] = [0, 8 * KB, 64 * KB, 256 * KB];
const UFS_MAGIC_OFFSET: u64 = 1372;
const UFS_MAGICS: [u32; 6] = [0x0001_1954, 0x1954_0119, 0x0019_5612, 0x0009_5014, 0x0061_2195, 0x0523_1994];

fn find_ufs(gap: &Gap<'_>) -> Option<WholeDevice> {
    UFS_PLACES.iter().find_map(|at| {
        let at = at.checked_add(UFS_MAGIC_OFFSET)?;
        let bytes = known_from(gap, at)?;
        let magics = [bytes.u32_le(0)?, bytes.u32_be(0)?];
        let is_it = magics.iter().any(|magic| UFS_MAGICS.contains(magic));
        is_it.then(|| WholeDevice { name: "UFS", signature: Signature::of_bytes(at, 4) })
    })
}

fn any(_: &Superblock<'_>) -> bool {
    true
}

impl Superblock<'_> {
    /// Whether one partition covers these bytes, from the superblock on: then it is the partition's, not the device's.
    fn is_in_partition(&self, bytes: u64) -> bool {
        self.is_covered(self.at, bytes)
    }

    fn is_covered(&self, at: u64, bytes: u64) -> bool {
        let (start, end) = (lba_of(at), lba_of(at.saturating_add(bytes)));
        let fits = |partition: &Range<u64>| partition.end <= self.gap.device_sectors();
        let covers = |partition: &Range<u64>| start >= partition.start && end <= partition.end;
        self.partitions.iter().all(fits) && self.partitions.iter().any(covers)
    }
}

/// md 0.90: no checksum, but the array has to fit, and no partition may cover it.
fn md_0(sb: &Superblock<'_>) -> bool {
    const SIZE_OFFSET: u64 = 32;
    let size =
        if sb.bytes.has(0, LINUX_RAID) { sb.bytes.u32_le(SIZE_OFFSET) } else { sb.bytes.u32_be(SIZE_OFFSET) };
    let Some(size) = size.and_then(|size| u64::from(size).checked_mul(KB)) else { return false };
    match sb.at.checked_sub(size) {
        Some(start) => !sb.is_covered(start, size.saturating_add(64 * KB)),
        None => false,
    }
}

/// md 1.x knows where it stands.
fn md_1(sb: &Superblock<'_>) -> bool {
    sb.bytes.u32_le(4) == Some(1) && sb.bytes.u64_le(144) == Some(lba_of(sb.at))
}

/// VIA: a version, and the sum of all bytes in front of it.
fn via(sb: &Superblock<'_>) -> bool {
    const VERSION_OFFSET: u64 = 2;
    const SUM_OFFSET: u64 = 50;
    let summed = sb.bytes.span(0, SUM_OFFSET).unwrap_or(&[]);
    let sum = summed.iter().fold(0_u8, |sum, &byte| sum.wrapping_add(byte));
    sb.bytes.byte(VERSION_OFFSET).is_some_and(|version| version <= 2)
        && sb.bytes.byte(SUM_OFFSET) == Some(sum)
}

/// Silicon Image: a disk's number, and a checksum with which all words in front of it make zero.
fn silicon_image(sb: &Superblock<'_>) -> bool {
    const DISK_OFFSET: u64 = 0x116;
    const SUM_OFFSET: u64 = 0x13e;
    let words = sb.bytes.span(0, SUM_OFFSET.saturating_add(2)).unwrap_or(&[1, 0]).as_chunks::<2>().0;
    let sum = words.iter().fold(0_u16, |sum, word| sum.wrapping_add(u16::from_le_bytes(*word)));
    sb.bytes.byte(DISK_OFFSET).is_some_and(|disk| disk < 8) && sum == 0
}

/// LVM2's label: its own sector, and a checksum over the rest of it.
fn lvm2(sb: &Superblock<'_>) -> bool {
    const CRC_OFFSET: u64 = 16;
    const CRC_START: u64 = 20;
    const START_VALUE: u32 = 0xf597_a6cf;
    let crc = raw_crc();
    let mut digest = crc.digest_with_initial(START_VALUE.reverse_bits());
    let Some(summed) = sb.bytes.span(CRC_START, SECTOR.saturating_sub(CRC_START)) else { return false };
    digest.update(summed);
    let own = sb.bytes.u64_le(8) == Some(lba_of(sb.at));
    own && sb.bytes.has(0, b"LABELONE") && sb.bytes.u32_le(CRC_OFFSET) == Some(digest.finalize())
}

/// The CRC-32 of zlib, its register not inverted.
fn raw_crc() -> Crc<u32, Table<1>> {
    Crc::<u32, Table<1>>::new(&Algorithm { init: 0, xorout: 0, ..CRC_32_ISO_HDLC })
}

/// The parameter block of a FAT as libblkid checks it where LBA 0 has no string of FAT's.
fn fat(sb: &Superblock<'_>) -> bool {
    let bytes = sb.bytes;
    let strange = bytes.has(0x36, b"JFS     ") || bytes.has(0x36, b"HPFS    ");
    let sector_len = bytes.u16_le(11).is_some_and(|len| matches!(len, 512 | 1024 | 2048 | 4096));
    let cluster = bytes.byte(13).is_some_and(u8::is_power_of_two);
    let reserved = bytes.u16_le(14).is_some_and(|sectors| sectors > 0);
    let fats = bytes.byte(FAT_COUNT).is_some_and(|fats| fats > 0);
    let media = bytes.byte(21).is_some_and(|media| media == 0xf0 || media >= 0xf8);
    !strange && sector_len && cluster && reserved && fats && media
}

/// Minix 1 and 2: inodes, their bitmap and the first data zone fit together.
fn minix(sb: &Superblock<'_>) -> bool {
    let word = |at| sb.bytes.u16_le(at).map(u64::from);
    let zones = if sb.bytes.u16_le(0x10).is_some_and(|magic| magic >= 0x2400) {
        sb.bytes.u32_le(20).map(u64::from)
    } else {
        word(2)
    };
    let state = word(18).is_some_and(|state| state & !3 == 0);
    state && is_minix_sound(word(0), word(4), zones, word(8), word(10))
}

fn minix_3(sb: &Superblock<'_>) -> bool {
    let word = |at| sb.bytes.u16_le(at).map(u64::from);
    let inodes = sb.bytes.u32_le(0).map(u64::from);
    is_minix_sound(inodes, word(6), sb.bytes.u32_le(20).map(u64::from), word(10), word(12))
}

fn is_minix_sound(
    inodes: Option<u64>,
    inode_maps: Option<u64>,
    zones: Option<u64>,
    first_zone: Option<u64>,
    zone_len: Option<u64>,
) -> bool {
    let inodes = inodes.filter(|&inodes| inodes > 0);
    let fits = inodes.zip(inode_maps).is_some_and(|(inodes, maps)| maps.saturating_mul(KB * 8) > inodes);
    let zones = first_zone.zip(zones).is_some_and(|(first, zones)| first <= zones);
    fits && zones && zone_len == Some(0)
}

/// NILFS2: a checksum over as many bytes as it says, with its own field left zero.
fn nilfs(sb: &Superblock<'_>) -> bool {
    const SUM_OFFSET: u64 = 16;
    let bytes_len = sb.bytes.u16_le(8).map_or(0, u64::from);
    let seed = sb.bytes.u32_le(12).unwrap_or(0);
    let crc = raw_crc();
    let mut digest = crc.digest_with_initial(seed.reverse_bits());
    let after = SUM_OFFSET.saturating_add(4);
    let (Some(before), Some(behind)) = (
        sb.bytes.span(0, SUM_OFFSET),
        bytes_len.checked_sub(after).and_then(|len| sb.bytes.span(after, len)),
    ) else {
        return false;
    };
    digest.update(before);
    digest.update(&[0; 4]);
    digest.update(behind);
    Some(digest.finalize()) == sb.bytes.u32_le(SUM_OFFSET)
}

/// A ZFS label: an encoded list of pairs that has what every label has, covered by no partition.
fn zfs(sb: &Superblock<'_>) -> bool {
    const LIST_LEN: u64 = 112 * KB;
    let names = [&b"txg"[..], b"guid", b"state"];
    let has = |name: &[u8]| sb.bytes.windows(name.len()).any(|window| window == name);
    let is_large = sb.gap.device_sectors().saturating_mul(SECTOR) >= ZFS_DEVICE_LEN_MIN;
    let is_list = sb.bytes.byte(1).is_some_and(|endian| endian <= 1) && sb.bytes.u32_be(12) != Some(0);
    is_large && is_list && names.iter().all(|name| has(name)) && !sb.is_in_partition(LIST_LEN)
}
