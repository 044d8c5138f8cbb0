// SPDX-License-Identifier: MIT OR Apache-2.0
//! ST STM32MP: images with the STM2 header; normally in GPT partitions.

use super::{Extent, Find, Format, checked, plausible};
use crate::bytes::Bytes;

/// First stage: TF-A BL2 or SPL.
pub const STM32: Format = Format {
    name: "first stage (STM32)",
    family: "ST STM32MP",
    magic: &[(0, b"STM2")],
    source: "U-Boot tools/stm32image.c",
    find: Find::Anywhere(find_stm32),
};

fn find_stm32(bytes: &[u8]) -> Option<Extent> {
    let header_len = match bytes.byte(74)? {
        1 => 256_u64,
        2 => 512,
        _ => return None,
    };
    (bytes.u32_le(84)? == 0 && bytes.u32_le(92)? == 0).then_some(())?;
    let (len, stored) = (u64::from(bytes.u32_le(76)?), bytes.u32_le(68)?);
    let data = bytes.span(header_len, len);
    let sum = |data: &[u8]| data.iter().fold(0_u32, |sum, &byte| sum.wrapping_add(byte.into()));
    Some(Extent::new(plausible(len.checked_add(header_len)?)?, checked(data.map(|data| sum(data) == stored))))
}
