// SPDX-License-Identifier: MIT OR Apache-2.0
//! NXP i.MX: image vector tables (i.MX5 to 8M), flash headers (i.MX51), containers (i.MX8, 9), boot streams
//! (i.MX23, 28), and the secondary image table.

use super::{Extent, Find, Format, plausible};
use crate::bytes::Bytes;

const FAMILY: &str = "NXP i.MX";

/// SPL or U-Boot behind an image vector table.
pub const IVT: Format = Format {
    name: "SPL or U-Boot (IVT)",
    family: FAMILY,
    magic: &[(0, IVT_TAG)],
    source: "U-Boot include/imximage.h, tools/imximage.c, tools/imx8mimage.c",
    find: Find::Anywhere(find_ivt),
};

/// U-Boot behind the flash header of i.MX51 and earlier.
pub const FLASH_HEADER_V1: Format = Format {
    name: "U-Boot (flash header)",
    family: FAMILY,
    magic: &[(4, &[0xb1, 0x00, 0x00, 0x00])],
    source: "U-Boot include/imximage.h flash_header_v1_t, tools/imximage.c",
    find: Find::Anywhere(find_flash_header_v1),
};

/// Says where the boot ROM finds the second image.
pub const SIT: Format = Format {
    name: "secondary image table",
    family: FAMILY,
    magic: &[(8, &[0x33, 0x22, 0x11, 0x00])],
    source: "U-Boot doc/board/nxp/psb.rst",
    find: Find::Anywhere(find_sit),
};

/// All images of one container.
pub const CONTAINER: Format = Format {
    name: "container",
    family: "NXP i.MX8/9",
    magic: &[(3, &[0x87])],
    source: "U-Boot include/imx8image.h, tools/imx8image.c, arch/arm/mach-imx/image-container.c",
    find: Find::Anywhere(find_container),
};

/// What the boot ROM of i.MX23 and i.MX28 runs; mostly in a partition of type 0x53.
pub const BOOT_STREAM: Format = Format {
    name: "boot stream",
    family: "NXP i.MX23/28",
    magic: &[(20, b"STMP")],
    source: "U-Boot tools/mxsimage.h",
    find: Find::Anywhere(find_boot_stream),
};

/// Tag and length, big-endian; the version follows.
const IVT_TAG: &[u8] = &[0xd1, 0x00, 0x20];
const IVT_LEN: u64 = 0x20;
const IVT_VERSIONS: std::ops::RangeInclusive<u8> = 0x40..=0x45;
/// Furthest that a table lies behind the start of its image: plug-ins take 64 KiB.
const IVT_LEAD_MAX: u32 = 0x2_0000;
/// Furthest that the boot data lie behind their table.
const BOOT_DATA_MAX: u32 = 0x1000;
/// Room for signatures behind a signed FIT.
const CSF_LEN: u64 = 0x2000;

fn find_ivt(bytes: &[u8]) -> Option<Extent> {
    let (len, plugin) = ivt_reach(bytes)?;
    if plugin & 1 == 0 {
        return Some(Extent::new(len, ""));
    }
    // A plug-in: the table of the image proper follows its code, at no particular boundary.
    let code = bytes.span(IVT_LEN, IVT_LEAD_MAX.into()).unwrap_or_else(|| Bytes::from(bytes, IVT_LEN));
    let next =
        (IVT_LEN..).zip(code.windows(IVT_TAG.len())).filter(|(at, tag)| at % 4 == 0 && *tag == IVT_TAG);
    let next = next.map(|(at, _)| at).find_map(|at| at.checked_add(ivt_reach(Bytes::from(bytes, at))?.0));
    Some(Extent::new(next.unwrap_or(0).max(len), "with a plug-in"))
}

/// How far the image reaches behind its table, and its plug-in flags.
fn ivt_reach(bytes: &[u8]) -> Option<(u64, u32)> {
    let version = bytes.byte(3)?;
    let (entry, zero_1, zero_2) = (bytes.u32_le(4)?, bytes.u32_le(8)?, bytes.u32_le(0x1c)?);
    let (boot_data, own, csf) = (bytes.u32_le(0x10)?, bytes.u32_le(0x14)?, bytes.u32_le(0x18)?);
    (IVT_VERSIONS.contains(&version) && entry != 0 && zero_1 == 0 && zero_2 == 0).then_some(())?;
    if boot_data == 0 {
        // Behind a FIT, for its signature alone.
        return (csf.checked_sub(own)? == 0x20).then_some((IVT_LEN.checked_add(CSF_LEN)?, 0));
    }
    let at = boot_data.checked_sub(own).filter(|at| (0x20..=BOOT_DATA_MAX).contains(at))?;
    let data = bytes.span(at.into(), 12)?;
    let (start, len, plugin) = (data.u32_le(0)?, data.u32_le(4)?, data.u32_le(8)?);
    let lead = own.checked_sub(start).filter(|&lead| lead <= IVT_LEAD_MAX)?;
    let reach = plausible(len.checked_sub(lead)?.into())?;
    (plugin <= 3 && reach >= IVT_LEN).then_some((reach, plugin))
}

const DCD_BARKER: u32 = 0xb172_19e9;
const DCD_LEN_MAX: u32 = 60 * 12;

fn find_flash_header_v1(bytes: &[u8]) -> Option<Extent> {
    let dcd_len = bytes.u32_le(0x20)?;
    (bytes.u32_le(0x1c)? == DCD_BARKER && dcd_len <= DCD_LEN_MAX).then_some(())?;
    let len = bytes.u32_le(0x24_u64.checked_add(dcd_len.into())?)?;
    Some(Extent::new(plausible(len.into())?, ""))
}

const SIT_LEN: u64 = 20;

fn find_sit(bytes: &[u8]) -> Option<Extent> {
    let first = bytes.u32_le(12)?;
    let zero = [0, 4, 16].into_iter().all(|at| bytes.u32_le(at) == Some(0));
    let rest = bytes.span(SIT_LEN, 512_u64.checked_sub(SIT_LEN)?)?;
    let blank = rest.iter().all(|&byte| byte == 0) || rest.iter().all(|&byte| byte == 0xff);
    (first != 0 && zero && blank).then(|| Extent::new(SIT_LEN, format!("second image from LBA {first} on")))
}

const CONTAINER_IMAGES_OFFSET: u64 = 16;
const CONTAINER_IMAGE_LEN: u64 = 128;
const CONTAINER_IMAGES_MAX: u8 = 16;
const SIGNATURE_TAG: u8 = 0x90;

fn find_container(bytes: &[u8]) -> Option<Extent> {
    let (version, len, count) = (bytes.byte(0)?, u64::from(bytes.u16_le(1)?), bytes.byte(11)?);
    let (signature_at, zero) = (u64::from(bytes.u16_le(12)?), bytes.u16_le(14)?);
    let images_end = CONTAINER_IMAGES_OFFSET.checked_add(CONTAINER_IMAGE_LEN.checked_mul(count.into())?)?;
    let good = matches!(version, 0 | 2)
        && zero == 0
        && (1..=CONTAINER_IMAGES_MAX).contains(&count)
        && signature_at >= images_end
        && signature_at < len
        && bytes.byte(signature_at.checked_add(3)?)? == SIGNATURE_TAG;
    good.then_some(())?;
    let mut end = len;
    for number in 0..u64::from(count) {
        let image = CONTAINER_IMAGES_OFFSET.checked_add(number.checked_mul(CONTAINER_IMAGE_LEN)?)?;
        let (at, len) = (bytes.u32_le(image)?, bytes.u32_le(image.checked_add(4)?)?);
        end = plausible(u64::from(at).checked_add(len.into())?)?.max(end);
    }
    Some(Extent::new(end, format!("{count} image{}", if count == 1 { "" } else { "s" })))
}

fn find_boot_stream(bytes: &[u8]) -> Option<Extent> {
    (bytes.byte(24)? == 1 && bytes.byte(25)? <= 3).then_some(())?;
    Some(Extent::new(plausible(u64::from(bytes.u32_le(28)?).checked_mul(16)?)?, ""))
}
