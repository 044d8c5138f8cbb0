// SPDX-License-Identifier: MIT OR Apache-2.0
//! MediaTek: device header and layout (BRLYT) for the boot ROM, preloader (GFH), U-Boot behind an LK header.

use super::{Extent, Find, Format, plausible};
use crate::bytes::{Bytes, SECTOR};

const FAMILY: &str = "MediaTek";
const SOURCE: &str = "U-Boot tools/mtk_image.h, tools/mtk_image.c, doc/README.mediatek";

/// In the boot area of LBA 0.
pub const DEVICE_HEADER: Format = Format {
    name: "boot device header",
    family: FAMILY,
    magic: &[(0, b"SDMMC_BOOT\0"), (0, b"EMMC_BOOT\0")],
    source: SOURCE,
    find: Find::Lba0(find_device_header),
};

/// Says where the preloader starts and ends, counted from the start of the card.
pub const BRLYT: Format = Format {
    name: "boot ROM layout (BRLYT)",
    family: FAMILY,
    magic: &[(0, b"BRLYT\0\0\0")],
    source: SOURCE,
    find: Find::Anywhere(find_brlyt),
};

/// MediaTek's preloader, or an SPL in its place.
pub const GFH: Format = Format {
    name: "preloader (GFH)",
    family: FAMILY,
    magic: &[(0, b"MMM\x01\x38\0\0\0FILE_INFO\0")],
    source: SOURCE,
    find: Find::Anywhere(find_gfh),
};

/// U-Boot, as the preloader loads it.
pub const LK: Format = Format {
    name: "U-Boot (LK header)",
    family: FAMILY,
    magic: &[(0, &[0x88, 0x16, 0x88, 0x58])],
    source: SOURCE,
    find: Find::Anywhere(find_lk),
};

fn find_device_header(_: &[u8]) -> Vec<Extent> {
    vec![Extent::new(SECTOR, "")]
}

fn find_brlyt(bytes: &[u8]) -> Option<Extent> {
    (bytes.u32_le(20)? == 0x4242_4242).then_some(())?;
    let total = u64::from(bytes.u32_le(16)?);
    // The device header is one sector before.
    let len = total.checked_sub(SECTOR).and_then(plausible).unwrap_or(SECTOR);
    Some(Extent::new(len, "with the preloader"))
}

fn find_gfh(bytes: &[u8]) -> Option<Extent> {
    let len = bytes.u32_le(0x20)?;
    Some(match plausible(len.into()) {
        Some(len) => Extent::new(len, ""),
        None => Extent::new(SECTOR, format!("its length field is {len:#x}")),
    })
}

fn find_lk(bytes: &[u8]) -> Option<Extent> {
    let name = bytes.span(8, 32)?;
    let used = name.iter().take_while(|&&byte| byte != 0);
    (bytes.u32_le(44)? == u32::MAX && used.clone().all(u8::is_ascii_graphic)).then_some(())?;
    let len = plausible(bytes.u32_le(4)?.into())?;
    let name: String = used.map(|&byte| char::from(byte)).collect();
    Some(Extent::new(len.checked_add(SECTOR)?, name))
}
