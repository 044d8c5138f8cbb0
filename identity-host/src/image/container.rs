// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a file is, by its first bytes, and how long a container says that its content is.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use byteorder::{ByteOrder, LittleEndian};

use super::foreign::{self, Foreign};

/// First bytes that are looked at.
pub const LEAD_LEN: usize = 4096;

/// How an image is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Not packed: the image itself.
    Raw,
    /// One or more members of gzip, RFC 1952.
    Gzip,
    /// One or more streams of xz.
    Xz,
    /// One or more frames of Zstandard, RFC 8878.
    Zstd,
    /// One or more streams of bzip2.
    Bzip2,
    /// A zip archive with one file.
    Zip,
}

impl Format {
    /// Name in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Zip => "zip",
        }
    }
}

/// What a zip archive may begin with, if it was to be split or was: APPNOTE 6.3.10, sections 8.5.3 and 8.5.4.
pub const ZIP_MARKERS: [[u8; 4]; 2] = [*b"PK00", *b"PK\x07\x08"];

fn is_zip(lead: &[u8]) -> bool {
    ZIP_MARKERS.iter().find_map(|marker| lead.strip_prefix(marker)).unwrap_or(lead).starts_with(b"PK\x03\x04")
}

/// The packing of a file that starts with `lead`.
///
/// # Errors
/// What it is instead of a packed or raw image.
pub fn recognise(lead: &[u8]) -> Result<Format, Foreign> {
    // RFC 8878 section 3.1.2: skippable frames may come first.
    let skippable = lead.len() > 4 && lead[0] & 0xf0 == 0x50 && lead[1..4] == [0x2a, 0x4d, 0x18];
    if lead.starts_with(&[0x1f, 0x8b, 8]) {
        return Ok(Format::Gzip);
    } else if lead.starts_with(XZ_MAGIC) {
        return Ok(Format::Xz);
    } else if lead.starts_with(&ZSTD_MAGIC) || skippable {
        return Ok(Format::Zstd);
    } else if lead.starts_with(b"BZh") && lead.get(3).is_some_and(|level| (b'1'..=b'9').contains(level)) {
        return Ok(Format::Bzip2);
    } else if is_zip(lead) {
        return Ok(Format::Zip);
    }
    foreign::recognise(lead).map_or(Ok(Format::Raw), Err)
}

/// Bytes of memory that the first block or frame asks for, as far as its header says it.
pub fn needed_memory(format: Format, lead: &[u8]) -> Option<u64> {
    match format {
        Format::Xz => xz_dictionary(lead).map(|len| len + XZ_DECODER_LEN),
        Format::Zstd => zstd_window(lead),
        _ => None,
    }
}

/// Memory that liblzma's decoder takes beside the dictionary, rounded up, in bytes.
const XZ_DECODER_LEN: u64 = 1 << 20;
const XZ_MAGIC: &[u8] = b"\xfd7zXZ\0";
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Length of the dictionary of the first block's LZMA2 ("The .xz file format" 1.2, sections 3.1 and 5.3.1).
fn xz_dictionary(lead: &[u8]) -> Option<u64> {
    /// Filter ID of LZMA2.
    const LZMA2: u64 = 0x21;
    let header = lead.get(XZ_HEADER_LEN as usize..)?;
    let flags = *header.get(1)?;
    let mut rest = header.get(2..)?;
    for flag in [0x40, 0x80] {
        if flags & flag != 0 {
            xz_number(&mut rest)?;
        }
    }
    for _ in 0..=flags & 3 {
        let (id, len) = (xz_number(&mut rest)?, xz_number(&mut rest)?);
        let properties = rest.get(..usize::try_from(len).ok()?)?;
        rest = rest.get(properties.len()..)?;
        if let (LZMA2, &[bits]) = (id, properties) {
            return match bits {
                40 => Some(u64::from(u32::MAX)),
                0..40 => Some((2 | u64::from(bits & 1)) << (bits / 2 + 11)),
                _ => None,
            };
        }
    }
    None
}

/// Length of the window of the first frame that is none to be skipped (RFC 8878, section 3.1.1.1).
fn zstd_window(mut lead: &[u8]) -> Option<u64> {
    while lead.len() > 8 && lead[0] & 0xf0 == 0x50 && lead[1..4] == [0x2a, 0x4d, 0x18] {
        let len = usize::try_from(LittleEndian::read_u32(&lead[4..8])).ok()?;
        lead = lead.get(len.checked_add(8)?..)?;
    }
    let (descriptor, rest) = lead.strip_prefix(&ZSTD_MAGIC)?.split_first()?;
    if descriptor & 0x20 != 0 {
        return zstd::zstd_safe::get_frame_content_size(lead).ok().flatten();
    }
    let window = rest.first()?;
    let base = 1_u64 << (10 + (window >> 3));
    Some(base + base / 8 * u64::from(window & 7))
}

/// How long the image in a file is, as far as the container says so; a lie is found out while unpacking.
pub fn stated_len(format: Format, lead: &[u8], file: &File, file_len: u64) -> Option<u64> {
    match format {
        Format::Raw => Some(file_len),
        Format::Xz => xz_len(file, file_len).ok().flatten(),
        Format::Zstd => zstd::zstd_safe::get_frame_content_size(lead).ok().flatten(),
        // gzip counts modulo 4 GiB, bzip2 not at all; a zip archive's header is read with its member.
        Format::Gzip | Format::Bzip2 | Format::Zip => None,
    }
}

/// Length of an xz stream's header and of its footer.
const XZ_HEADER_LEN: u64 = 12;
/// Largest index that is read: 100,000 blocks.
const XZ_INDEX_MAX: u64 = 1 << 20;
/// Streams and words of padding between them that are looked at.
const XZ_STEPS_MAX: u32 = 4096;

/// The sum of all blocks of all streams, from the indexes at their ends ("The .xz file format" 1.2, sections 2 to 4).
fn xz_len(file: &File, file_len: u64) -> io::Result<Option<u64>> {
    let mut end = file_len;
    let mut total = 0_u64;
    for _ in 0..XZ_STEPS_MAX {
        if end == 0 {
            return Ok(Some(total));
        }
        let mut footer = [0; XZ_HEADER_LEN as usize];
        let Some(footer_at) = end.checked_sub(XZ_HEADER_LEN) else { return Ok(None) };
        file.read_exact_at(&mut footer, footer_at)?;
        if footer[8..] == [0; 4] {
            // Padding between streams, a multiple of four bytes.
            end -= 4;
            continue;
        }
        let index_len = (u64::from(LittleEndian::read_u32(&footer[4..8])) + 1) * 4;
        let Some(index_at) = footer_at.checked_sub(index_len) else { return Ok(None) };
        if footer[10..] != *b"YZ" || index_len > XZ_INDEX_MAX {
            return Ok(None);
        }
        let mut index = vec![0; index_len as usize];
        file.read_exact_at(&mut index, index_at)?;
        let Some((packed, unpacked)) = xz_index(&index) else { return Ok(None) };
        let start = index_at.checked_sub(packed).and_then(|start| start.checked_sub(XZ_HEADER_LEN));
        let (Some(start), Some(sum)) = (start, total.checked_add(unpacked)) else { return Ok(None) };
        (end, total) = (start, sum);
    }
    Ok(None)
}

/// Packed length, rounded up to four bytes, and unpacked length of all blocks of an index.
fn xz_index(mut index: &[u8]) -> Option<(u64, u64)> {
    let (indicator, rest) = index.split_first()?;
    index = rest;
    let records = xz_number(&mut index)?;
    if *indicator != 0 || records > XZ_INDEX_MAX {
        return None;
    }
    let (mut packed, mut unpacked) = (0_u64, 0_u64);
    for _ in 0..records {
        packed = packed.checked_add(xz_number(&mut index)?.checked_next_multiple_of(4)?)?;
        unpacked = unpacked.checked_add(xz_number(&mut index)?)?;
    }
    Some((packed, unpacked))
}

/// Seven bits a byte, the lowest first; section 1.2.
fn xz_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..9 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn by_content() {
        for (lead, format) in [
            (&b"\x1f\x8b\x08"[..], Format::Gzip),
            (b"\xfd7zXZ\0", Format::Xz),
            (b"\x28\xb5\x2f\xfd", Format::Zstd),
            (b"\x53\x2a\x4d\x18\0\0\0\0", Format::Zstd),
            (b"BZh9", Format::Bzip2),
            (b"PK\x03\x04", Format::Zip),
            (b"BZhx", Format::Raw),
            (b"", Format::Raw),
            (&[0; 512], Format::Raw),
        ] {
            assert_eq!(recognise(lead), Ok(format), "{lead:?}");
        }
        let mut tar = [0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(recognise(&tar).map_err(|foreign| foreign.name), Err("a tar archive"));
        assert_eq!(recognise(b"QFI\xfb\0\0\0\x03").map_err(|foreign| foreign.name), Err("a QCOW image"));
    }

    fn len_of(bytes: &[u8]) -> Option<u64> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        xz_len(&file, bytes.len() as u64).unwrap_or(None)
    }

    #[test]
    fn xz_says_its_length() {
        let pack = |bytes: &[u8]| liblzma::encode_all(bytes, 1).unwrap();
        let (one, two) = (pack(&[7; 100_000]), pack(&[8; 5]));
        assert_eq!(len_of(&one), Some(100_000));
        let both = [&one[..], &[0; 8], &two].concat();
        assert_eq!(len_of(&both), Some(100_005));
        for cut in [1, 12, one.len() - 1] {
            assert_eq!(len_of(&one[..one.len() - cut]), None, "cut by {cut}");
        }
        assert_eq!(len_of(&[0; 512]), None);
        for at in one.len() - 24..one.len() {
            let mut bad = one.clone();
            bad[at] ^= 0xff;
            let _ = len_of(&bad);
        }
    }
}
