// SPDX-License-Identifier: MIT OR Apache-2.0
//! Block maps, versions 1.0 to 2.0: which blocks of an image hold anything, and their checksums.
//!
//! Source: `BmapCreate.py` and `BmapCopy.py` of bmap-tools 3.6, which is the format's only description.

use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::problem::{BmapProblem, MapMismatch};
use super::signature;
use crate::device::SECTOR_LEN;
use crate::error::{Action, Error, Result};

/// Longest block map that is read, in bytes: some 200,000 ranges.
const LEN_MAX: u64 = 16 << 20;

/// A range of an image that holds something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// In bytes; the last one may be cut by the image's end.
    pub bytes: Range<u64>,
    /// Checksum of the range, if the map has one.
    pub sum: Option<Box<[u8]>>,
}

/// A checked block map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bmap {
    /// Length of the image in bytes.
    pub image_len: u64,
    /// In order, apart, inside the image.
    pub ranges: Vec<Mapped>,
    algorithm: Algorithm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha1,
    Sha256,
    Sha512,
}

impl Algorithm {
    fn parse(name: &str) -> Result<Self, BmapProblem> {
        Ok(match name {
            "sha1" => Self::Sha1,
            "sha256" => Self::Sha256,
            "sha512" => Self::Sha512,
            _ => return Err(BmapProblem::Algorithm(name.to_owned())),
        })
    }

    fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn start(self) -> Hasher {
        match self {
            Self::Sha1 => Hasher::Sha1(Sha1::new()),
            Self::Sha256 => Hasher::Sha256(Sha256::new()),
            Self::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }

    fn parse_sum(self, text: &str) -> Result<Box<[u8]>, BmapProblem> {
        let sum = crate::hex::decode(text.trim()).filter(|sum| sum.len() == self.len());
        sum.map(Vec::into_boxed_slice).ok_or_else(|| BmapProblem::NoSum(text.to_owned()))
    }
}

enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Box<[u8]> {
        match self {
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Sha512(hasher) => hasher.finalize().to_vec(),
        }
        .into_boxed_slice()
    }
}

/// The block map beside an image, as `bmaptool` looks for it: `IMAGE.bmap`, and the same with one extension after the
/// other taken off IMAGE.
pub fn find_beside(image: &Path) -> Option<PathBuf> {
    let mut stem = image.to_owned();
    loop {
        let mut path = stem.clone().into_os_string();
        path.push(".bmap");
        let path = PathBuf::from(path);
        if path.is_file() {
            return Some(path);
        }
        stem.extension()?;
        stem.set_extension("");
    }
}

/// Reads a block map and checks everything about it that can be checked without the image.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::Bmap`] if it is wrong.
pub fn read(path: &Path) -> Result<Bmap> {
    parse(&read_text(path)?).map_err(|problem| Error::Bmap { path: path.to_owned(), problem })
}

/// The same of a clear-signed block map with good signatures.
///
/// # Errors
/// As [`read`], and if the block map has no good signature.
pub fn read_signed(path: &Path) -> Result<Bmap> {
    let text = read_text(path)?;
    let message = signature::check(&text).map_err(BmapProblem::Signature);
    message
        .and_then(|message| parse(&message))
        .map_err(|problem| Error::Bmap { path: path.to_owned(), problem })
}

fn read_text(path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(LEN_MAX + 1).read_to_end(&mut text));
    read.map_err(|error: io::Error| Error::io(path, Action::Read, error))?;
    if text.len() as u64 > LEN_MAX {
        return Err(Error::Bmap { path: path.to_owned(), problem: BmapProblem::TooLong(LEN_MAX) });
    }
    Ok(text)
}

/// What the elements say, before it is put together.
#[derive(Default)]
struct Elements {
    version: String,
    image_len: Option<u64>,
    block_len: Option<u64>,
    blocks: Option<u64>,
    mapped_blocks: Option<u64>,
    algorithm: Option<String>,
    file_sum: Option<String>,
    /// First block, last block, checksum.
    ranges: Vec<(u64, u64, Option<String>)>,
}

/// Of the text of a block map.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(text: &[u8]) -> Result<Bmap, BmapProblem> {
    let signed = strip_armour(text)?;
    let text = signed.as_deref().unwrap_or(text);
    let elements = read_elements(text)?;
    let major = elements.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if !matches!(major, Some(1 | 2)) {
        return Err(BmapProblem::Version(elements.version));
    }
    // Version 1.3 and before had SHA-1 only, and did not say so.
    let algorithm = Algorithm::parse(elements.algorithm.as_deref().unwrap_or("sha1"))?;
    match &elements.file_sum {
        Some(sum) => check_file_sum(text, algorithm, sum)?,
        None if major == Some(2) => return Err(BmapProblem::Missing("BmapFileChecksum")),
        None => (),
    }
    let need = |value: Option<u64>, name| value.ok_or(BmapProblem::Missing(name));
    let image_len = need(elements.image_len, "ImageSize")?;
    let block_len = need(elements.block_len, "BlockSize")?;
    if block_len == 0 || !block_len.is_multiple_of(SECTOR_LEN as u64) {
        return Err(BmapProblem::BlockLen(block_len));
    }
    let blocks = image_len.div_ceil(block_len);
    if let Some(stated) = elements.blocks.filter(|&stated| stated != blocks) {
        return Err(BmapProblem::BlockCount { stated, computed: blocks });
    }

    let (mut ranges, mut mapped, mut next) = (Vec::new(), 0, 0);
    for (first, last, sum) in elements.ranges {
        if first < next || last < first {
            return Err(BmapProblem::Overlap(first, last));
        }
        if last >= blocks {
            return Err(BmapProblem::Beyond { range: (first, last), blocks });
        }
        next = last + 1;
        mapped += next - first;
        let sum = sum.map(|sum| algorithm.parse_sum(&sum)).transpose()?;
        // Inside the image, so no product is longer than it, but for the last block's rest.
        let end = next.saturating_mul(block_len).min(image_len);
        ranges.push(Mapped { bytes: first * block_len..end, sum });
    }
    match elements.mapped_blocks {
        Some(stated) if stated != mapped => Err(BmapProblem::MappedCount { stated, computed: mapped }),
        _ => Ok(Bmap { image_len, ranges, algorithm }),
    }
}

/// Entities have no place in a block map, so none is ever expanded.
fn read_elements(text: &[u8]) -> Result<Elements, BmapProblem> {
    let mut reader = Reader::from_reader(text);
    let mut elements = Elements::default();
    // Element, its text so far, the checksum in its attributes.
    let mut open: Option<(String, String, Option<String>)> = None;
    loop {
        match reader.read_event().map_err(|error| BmapProblem::Syntax(error.to_string()))? {
            Event::Start(start) => {
                let name = start.name().as_ref().to_owned();
                let attribute = |wanted: &[&str]| attribute(&start, wanted);
                if name == "bmap" {
                    elements.version = attribute(&["version"])?.unwrap_or_default();
                }
                let sum = if name == "Range" { attribute(&["chksum", "sha1"])? } else { None };
                open = Some((name, String::new(), sum));
            }
            Event::Text(text) => {
                if let Some((_, value, _)) = &mut open {
                    value.push_str(&text);
                }
            }
            Event::End(_) => {
                if let Some((name, value, sum)) = open.take() {
                    elements.set(&name, value.trim(), sum)?;
                }
            }
            Event::DocType(_) | Event::GeneralRef(_) | Event::CData(_) => {
                return Err(BmapProblem::Entities);
            }
            Event::Eof => return Ok(elements),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => (),
        }
    }
}

fn attribute(start: &BytesStart<'_>, wanted: &[&str]) -> Result<Option<String>, BmapProblem> {
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| BmapProblem::Syntax(error.to_string()))?;
        if wanted.contains(&attribute.key.as_ref()) {
            return Ok(Some(attribute.value.trim().to_owned()));
        }
    }
    Ok(None)
}

impl Elements {
    fn set(&mut self, name: &str, value: &str, sum: Option<String>) -> Result<(), BmapProblem> {
        let number = |text: &str| {
            let problem = |_| BmapProblem::NoNumber { element: name.to_owned(), text: text.to_owned() };
            text.trim().parse::<u64>().map_err(problem)
        };
        match name {
            "ImageSize" => self.image_len = Some(number(value)?),
            "BlockSize" => self.block_len = Some(number(value)?),
            "BlocksCount" => self.blocks = Some(number(value)?),
            "MappedBlocksCount" => self.mapped_blocks = Some(number(value)?),
            "ChecksumType" => self.algorithm = Some(value.to_owned()),
            "BmapFileChecksum" | "BmapFileSHA1" => self.file_sum = Some(value.to_owned()),
            "Range" => {
                let (first, last) = value.split_once('-').unwrap_or((value, value));
                self.ranges.push((number(first)?, number(last)?, sum));
            }
            _ => (),
        }
        Ok(())
    }
}

/// The file's own checksum is over the file with zeros ('0') in the checksum's place.
fn check_file_sum(text: &[u8], algorithm: Algorithm, sum: &str) -> Result<(), BmapProblem> {
    let wanted = algorithm.parse_sum(sum)?;
    let at = text.windows(sum.len()).position(|window| window == sum.as_bytes()).unwrap_or(text.len());
    let mut hasher = algorithm.start();
    hasher.update(&text[..at]);
    hasher.update("0".repeat(sum.len()).as_bytes());
    hasher.update(text.get(at + sum.len()..).unwrap_or_default());
    if hasher.finish() == wanted { Ok(()) } else { Err(BmapProblem::OwnSum) }
}

/// The message of a clear-signed file (RFC 9580, section 7), as `bmaptool` takes one; `None` if the text is not signed.
/// The signature is checked by [`read_signed`] alone: a map whose checksums fit the image does no harm.
fn strip_armour(text: &[u8]) -> Result<Option<Vec<u8>>, BmapProblem> {
    const END: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
    if !text.trim_ascii_start().starts_with(signature::BEGIN) {
        return Ok(None);
    }
    let mut lines = text.trim_ascii_start().split_inclusive(|&byte| byte == b'\n');
    // The headers end with an empty line.
    if !lines.by_ref().any(|line| line.trim_ascii().is_empty()) {
        return Err(BmapProblem::Armour);
    }
    let mut message = Vec::new();
    for line in lines {
        if line.starts_with(END) {
            // The line break before the signature is not part of the message (section 7.1), but bmaptool writes the map
            // with one at its end, which gpg keeps.
            return Ok(Some(message));
        }
        message.extend_from_slice(line.strip_prefix(b"- ").unwrap_or(line));
    }
    Err(BmapProblem::Armour)
}

impl Bmap {
    /// Whether the image has the length that is in the block map.
    ///
    /// # Errors
    /// Both lengths, if they differ.
    pub fn check_len(&self, image_len: u64) -> Result<(), MapMismatch> {
        let map_len = self.image_len;
        if image_len == map_len { Ok(()) } else { Err(MapMismatch::Length { image_len, map_len }) }
    }

    /// Bytes in all ranges.
    pub fn mapped_len(&self) -> u64 {
        self.ranges.iter().map(|range| range.bytes.end - range.bytes.start).sum()
    }

    /// The parts of `bytes` that hold something.
    pub fn parts(&self, bytes: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let first = self.ranges.partition_point(|range| range.bytes.end <= bytes.start);
        let inside = self.ranges[first..].iter().take_while(move |range| range.bytes.start < bytes.end);
        inside.map(move |range| range.bytes.start.max(bytes.start)..range.bytes.end.min(bytes.end))
    }

    /// Where the next part at or behind `at` starts.
    pub fn next_part(&self, at: u64) -> Option<u64> {
        let first = self.ranges.partition_point(|range| range.bytes.end <= at);
        self.ranges.get(first).map(|range| range.bytes.start.max(at))
    }
}

/// Checks the ranges of an image that comes by from front to back.
pub struct Checker {
    bmap: Arc<Bmap>,
    /// The range under way or next, and what has been seen of it.
    range: usize,
    hasher: Option<Hasher>,
}

impl Checker {
    /// The block map that is checked.
    pub fn bmap(&self) -> &Bmap {
        &self.bmap
    }

    /// What is checked, to be kept.
    pub fn shared(&self) -> Arc<Bmap> {
        self.bmap.clone()
    }

    /// At the image's start.
    pub fn new(bmap: Arc<Bmap>) -> Self {
        Self { bmap, range: 0, hasher: None }
    }

    /// The image's bytes from `at` on. Between two calls only what is in no range may be left out.
    ///
    /// # Errors
    /// The range whose checksum differs.
    pub fn give(&mut self, at: u64, bytes: &[u8]) -> Result<(), MapMismatch> {
        let end = at + bytes.len() as u64;
        while let Some(range) = self.bmap.ranges.get(self.range).filter(|range| range.bytes.start < end) {
            let (from, to) = (range.bytes.start.max(at), range.bytes.end.min(end));
            if from < to {
                let hasher = self.hasher.get_or_insert_with(|| self.bmap.algorithm.start());
                hasher.update(&bytes[(from - at) as usize..(to - at) as usize]);
            }
            if range.bytes.end > end {
                break;
            }
            let sum = self.hasher.take().map(Hasher::finish);
            if range.sum.is_some() && sum != range.sum {
                return Err(MapMismatch::Range(range.bytes.clone()));
            }
            self.range += 1;
        }
        Ok(())
    }

    /// At the image's end.
    ///
    /// # Errors
    /// If its length is not the one in the block map.
    pub fn finish(&self, image_len: u64) -> Result<(), MapMismatch> {
        self.bmap.check_len(image_len)
    }
}

#[cfg(test)]
pub(crate) mod tests;
