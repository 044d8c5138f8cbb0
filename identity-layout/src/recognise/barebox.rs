// SPDX-License-Identifier: MIT OR Apache-2.0
//! barebox: the image, its environment (envfs) and its state.

use super::{Extent, Find, Format, checked, plausible};
use crate::bytes::{Bytes, CRC32, SECTOR};

const FAMILY: &str = "barebox";

/// An image for Arm; those for i.MX lie behind an IVT, too.
pub const IMAGE: Format = Format {
    name: "barebox",
    family: FAMILY,
    magic: &[(0x20, b"barebox\0")],
    source: "barebox arch/arm/include/asm/barebox-arm-head.h, include/filetype.h",
    find: Find::Anywhere(find_image),
};

/// The environment that barebox saves.
pub const ENV: Format = Format {
    name: "barebox environment",
    family: FAMILY,
    magic: &[(0, &[0x79, 0xba, 0x8f, 0x79])],
    source: "barebox include/envfs.h, common/environment.c",
    find: Find::Anywhere(find_env),
};

/// One copy of the state, in the direct format that block devices have.
pub const STATE: Format = Format {
    name: "barebox state",
    family: FAMILY,
    magic: &[(0, &[0xf3, 0xfd, 0x54, 0x23])],
    source: "barebox common/state/backend_bucket_direct.c, backend_format_raw.c",
    find: Find::Anywhere(find_state),
};

fn find_image(bytes: &[u8]) -> Option<Extent> {
    let len = bytes.u32_le(0x2c)?;
    Some(match plausible(len.into()) {
        Some(len) => Extent::new(len, ""),
        None => Extent::new(SECTOR, format!("its length field is {len:#x}")),
    })
}

const ENV_HEADER_LEN: u64 = 28;
/// The header's own checksum is its last word.
const ENV_HEADER_CRC: u64 = 24;

fn find_env(bytes: &[u8]) -> Option<Extent> {
    let header = bytes.span(0, ENV_HEADER_CRC)?;
    (CRC32.checksum(header) == bytes.u32_le(ENV_HEADER_CRC)?).then_some(())?;
    let len = u64::from(bytes.u32_le(12)?);
    let stored = bytes.u32_le(8)?;
    let good = bytes.span(ENV_HEADER_LEN, len).map(|data| CRC32.checksum(data) == stored);
    Some(Extent::new(plausible(len.checked_add(ENV_HEADER_LEN)?)?, checked(good)))
}

/// Magic and length, before the raw format's own header.
const STATE_META_LEN: u64 = 8;
const STATE_HEADER_LEN: u64 = 16;

fn find_state(bytes: &[u8]) -> Option<Extent> {
    let len = plausible(bytes.u32_le(4)?.into())?;
    let header = bytes.span(STATE_META_LEN, STATE_HEADER_LEN)?;
    (CRC32.checksum(header.span(0, 12)?) == header.u32_le(12)?).then_some(())?;
    let data_at = STATE_META_LEN.checked_add(STATE_HEADER_LEN)?;
    let stored = header.u32_le(8)?;
    let data = bytes.span(data_at, header.u16_le(6)?.into());
    let good = data.map(|data| CRC32.checksum(data) == stored);
    Some(Extent::new(len.checked_add(STATE_META_LEN)?, checked(good)))
}
