// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one file in a zip archive (APPNOTE 6.3.10), read front to back, so that it may come from a pipe.

use std::fs::File;
use std::io::{self, BufRead, Read, Take};
use std::os::unix::fs::FileExt;

use byteorder::{ByteOrder, LittleEndian as LE, ReadBytesExt};
use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::container::ZIP_MARKERS;
use super::input::Peek;
use super::problem::{ArchiveProblem, ImageProblem};

/// Signature of a local file header, section 4.3.7.
const LOCAL: u32 = 0x0403_4b50;
/// Of a data descriptor, section 4.3.9.
const DESCRIPTOR: u32 = 0x0807_4b50;
/// Of a central directory header, section 4.3.12.
const CENTRAL: u32 = 0x0201_4b50;
/// Of the archive extra data record, section 4.3.11.
const ARCHIVE_EXTRA: u32 = 0x0806_4b50;
/// Of the end of central directory record, section 4.3.16.
const END: [u8; 4] = *b"PK\x05\x06";
const END_LEN: usize = 22;
/// Of the zip64 locator and end record, sections 4.3.15 and 4.3.14.
const LOCATOR64: [u8; 4] = *b"PK\x06\x07";
const LOCATOR64_LEN: usize = 20;
const END64: [u8; 4] = *b"PK\x06\x06";
const END64_LEN: usize = 56;
/// Type of the zip64 extra field, section 4.5.3.
const EXTRA64: u16 = 1;
/// Most bytes between a file and the directory, from a pipe.
const GAP_LEN_MAX: usize = 16 << 20;
/// Largest central directory that is read, in bytes.
const DIRECTORY_LEN_MAX: u64 = 1 << 20;

const ENCRYPTED: u16 = 1;
/// The method of what is encrypted with AES, which unzip cannot undo (WinZip's "AES Encryption Information").
const AES: u16 = 99;
const WITH_DESCRIPTOR: u16 = 1 << 3;

/// Longest data descriptor, and the signature of what follows it: signature, CRC-32, two lengths of eight bytes.
const DESCRIPTOR_LEN_MAX: usize = 4 + 4 + 16 + 4;

fn invalid(problem: ArchiveProblem) -> io::Error {
    ImageProblem::Archive(problem).into_io()
}

/// What the archive's directory says of its only file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its length unpacked, in bytes.
    pub len: u64,
    packed_len: u64,
    crc: u32,
    /// Where its local header is, in bytes.
    at: u64,
}

/// A local file header.
struct Header {
    flags: u16,
    method: u16,
    crc: u32,
    packed_len: u64,
    len: u64,
    is_directory: bool,
}

impl Header {
    fn read(input: &mut impl Read) -> io::Result<Self> {
        let mut fixed = [0; 26];
        input.read_exact(&mut fixed)?;
        let mut name = vec![0; LE::read_u16(&fixed[22..]).into()];
        input.read_exact(&mut name)?;
        let mut extra = vec![0; LE::read_u16(&fixed[24..]).into()];
        input.read_exact(&mut extra)?;
        let extra64 = find_extra64(&extra);
        let (mut packed_len, mut len) =
            (LE::read_u32(&fixed[14..]).into(), LE::read_u32(&fixed[18..]).into());
        if let Some([unpacked64, packed64, ..]) = extra64.map(|extra| extra.as_chunks::<8>().0) {
            (packed_len, len) = (LE::read_u64(packed64), LE::read_u64(unpacked64));
        }
        Ok(Self {
            flags: LE::read_u16(&fixed[2..]),
            method: LE::read_u16(&fixed[4..]),
            crc: LE::read_u32(&fixed[10..]),
            packed_len,
            len,
            is_directory: name.ends_with(b"/"),
        })
    }
}

impl Header {
    /// Passes over a directory's body: none, or what a packer makes of nothing.
    fn skip_directory(&self, input: &mut impl Read) -> io::Result<()> {
        if self.len != 0 || self.flags & WITH_DESCRIPTOR != 0 {
            return Err(invalid(ArchiveProblem::DirectoryWithContent));
        }
        let skipped = io::copy(&mut input.take(self.packed_len), &mut io::sink())?;
        if skipped == self.packed_len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

fn find_extra64(mut extra: &[u8]) -> Option<&[u8]> {
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let (value, rest) = rest.split_at_checked(LE::read_u16(&head[2..]).into())?;
        if LE::read_u16(head) == EXTRA64 {
            return Some(value);
        }
        extra = rest;
    }
    None
}

enum Body<R> {
    Stored(Take<R>),
    Deflated(DeflateDecoder<R>),
}

impl<R: BufRead> Body<R> {
    fn inner(&mut self) -> &mut R {
        match self {
            Self::Stored(body) => body.get_mut(),
            Self::Deflated(body) => body.get_mut(),
        }
    }
}

/// The file in the archive.
pub struct Member<R> {
    body: Body<R>,
    header: Header,
    known: Option<Known>,
    crc: Crc,
    /// Bytes unpacked so far.
    len: u64,
    done: bool,
}

impl<R: BufRead> Member<Peek<R>> {
    /// Goes to the first file. `known` is what the directory says of it, where that could be read before.
    ///
    /// # Errors
    /// [`ImageProblem::Archive`] inside, if there is no such file, or it cannot be unpacked.
    pub fn open(mut input: Peek<R>, known: Option<Known>) -> io::Result<Self> {
        if let Some(known) = known {
            // What is in front is none of it: folders, a marker, or what another file has left when it was taken out.
            io::copy(&mut input.by_ref().take(known.at), &mut io::sink())?;
        } else if ZIP_MARKERS.iter().any(|marker| input.peek(4).is_ok_and(|lead| lead == marker)) {
            input.consume(4);
        }
        let header = loop {
            if input.read_u32::<LE>()? != LOCAL {
                return Err(invalid(ArchiveProblem::NoFile));
            }
            let header = Header::read(&mut input)?;
            if !header.is_directory {
                break header;
            }
            header.skip_directory(&mut input)?;
        };
        if header.flags & ENCRYPTED != 0 && header.method != AES {
            return Err(invalid(ArchiveProblem::Encrypted));
        }
        let body = match (header.method, known) {
            (0, Some(known)) => Body::Stored(input.take(known.packed_len)),
            (0, None) if header.flags & WITH_DESCRIPTOR != 0 => {
                return Err(invalid(ArchiveProblem::StoredFromPipe));
            }
            (0, None) => Body::Stored(input.take(header.packed_len)),
            (8, _) => Body::Deflated(DeflateDecoder::new(input)),
            (method, _) => return Err(invalid(ArchiveProblem::Method(method))),
        };
        Ok(Self { body, header, known, crc: Crc::new(), len: 0, done: false })
    }

    /// Everything behind what has been read.
    pub fn inner(&mut self) -> &mut Peek<R> {
        self.body.inner()
    }

    /// The input, behind the member.
    pub fn into_inner(self) -> Peek<R> {
        match self.body {
            Body::Stored(body) => body.into_inner(),
            Body::Deflated(body) => body.into_inner(),
        }
    }

    /// The file's checksum, and that no other file follows. What the archive says of the file's length proves nothing beside
    /// that, and is no fault: unzip asks only for the checksum.
    fn check_end(&mut self) -> io::Result<()> {
        let (crc, len) = (self.crc.sum(), self.len);
        if let Some(known) = self.known {
            // The directory has been read: there is one file, and this is its sum, unless just that is damaged.
            let is_in_header = self.header.flags & WITH_DESCRIPTOR == 0 && self.header.crc == crc;
            return if is_in_header { Ok(()) } else { check(crc, known.crc) };
        }
        let mut stated = self.header.crc;
        if self.header.flags & WITH_DESCRIPTOR != 0 {
            let packed_len = match &self.body {
                Body::Stored(_) => len,
                Body::Deflated(body) => body.total_in(),
            };
            stated = skip_descriptor(self.body.inner(), crc, len, packed_len)?;
        }
        let mut follows = self.next_record(stated == crc)?;
        while follows == LOCAL && stated == crc {
            let input = self.body.inner();
            let header = Header::read(input)?;
            if !header.is_directory {
                break;
            }
            header.skip_directory(input)?;
            follows = self.next_record(true)?;
        }
        match follows {
            // Of two places that have the checksum, one may be damaged.
            CENTRAL if stated != crc => {
                let mut header = [0; 42];
                self.body.inner().read_exact(&mut header)?;
                check(crc, LE::read_u32(&header[12..]))
            }
            CENTRAL | ARCHIVE_EXTRA => check(crc, stated),
            _ if stated != crc => check(crc, stated),
            LOCAL => Err(invalid(ArchiveProblem::SeveralFiles(None))),
            _ => Err(invalid(ArchiveProblem::NoDirectory)),
        }
    }

    /// The signature of what follows. Behind a sound file there may be other data in front of it, for example what aligns the
    /// directory, or signs an Android package.
    fn next_record(&mut self, may_search: bool) -> io::Result<u32> {
        let input = self.body.inner();
        let mut signature = input.read_u32::<LE>()?;
        let mut passed = 0;
        while may_search && passed < GAP_LEN_MAX && ![LOCAL, CENTRAL, ARCHIVE_EXTRA].contains(&signature) {
            signature = signature >> 8 | u32::from(input.read_u8()?) << 24;
            passed += 1;
        }
        Ok(signature)
    }
}

fn check(found: u32, expected: u32) -> io::Result<()> {
    if found == expected { Ok(()) } else { Err(invalid(ArchiveProblem::WrongCrc { found, expected })) }
}

/// Passes over a data descriptor, whose signature is optional, and whose lengths have four or eight bytes whatever the local
/// header says: Go and Java write eight when the file is 4 GiB long or longer, and cannot say so before. The form in which
/// all of it is right is the one that was written; else that behind which the directory begins. Returns the checksum that is
/// in it.
fn skip_descriptor<R: BufRead>(input: &mut Peek<R>, crc: u32, len: u64, packed_len: u64) -> io::Result<u32> {
    let bytes = input.peek(DESCRIPTOR_LEN_MAX)?;
    let mut found = None;
    for (signed, wide) in [(true, false), (true, true), (false, false), (false, true)] {
        let start = if signed { 4 } else { 0 };
        let end = start + 4 + if wide { 16 } else { 8 };
        let Some((descriptor, behind)) = bytes.split_at_checked(end) else { continue };
        let number = |at: usize| {
            if wide { LE::read_u64(&descriptor[at..]) } else { LE::read_u32(&descriptor[at..]).into() }
        };
        let mask = if wide { u64::MAX } else { u32::MAX.into() };
        let stated =
            (LE::read_u32(&descriptor[start..]), number(start + 4), number(end - if wide { 8 } else { 4 }));
        let follows = behind.get(..4).map(LE::read_u32);
        let is_signed = descriptor.starts_with(&DESCRIPTOR.to_le_bytes());
        if signed == is_signed && stated == (crc, packed_len & mask, len & mask) {
            input.consume(end);
            return Ok(crc);
        }
        if follows == Some(CENTRAL) {
            found.get_or_insert((end, stated.0));
        }
    }
    if let Some((end, stated)) = found {
        input.consume(end);
        return Ok(stated);
    }
    if bytes.len() < DESCRIPTOR_LEN_MAX {
        Err(io::ErrorKind::UnexpectedEof.into())
    } else {
        Err(invalid(ArchiveProblem::NoDirectory))
    }
}

impl<R: BufRead> Read for Member<Peek<R>> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.done || out.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.body {
            Body::Stored(body) => body.read(out)?,
            Body::Deflated(body) => body.read(out)?,
        };
        if let Body::Stored(body) = &self.body
            && read == 0
            && body.limit() > 0
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.crc.update(&out[..read]);
        self.len += read as u64;
        if read == 0 {
            self.done = true;
            self.check_end()?;
        }
        Ok(read)
    }
}

/// What the directory says of the only file in an archive that can be read in any order.
///
/// # Errors
/// If there is not exactly one file, or it cannot be unpacked, or the archive has no directory, without which unzip takes it for
/// cut off; one that cannot be read is left to [`Member`].
pub fn only_file(file: &File, file_len: u64) -> Result<Option<Known>, ArchiveProblem> {
    let Ok(directory) = read_directory(file, file_len) else { return Ok(None) };
    let Directory { bytes: directory, shift } = directory.ok_or(ArchiveProblem::NoDirectory)?;
    let mut files = Vec::new();
    let mut rest = &directory[..];
    while let Some((fixed, behind)) = rest.split_at_checked(46) {
        if LE::read_u32(fixed) != CENTRAL {
            break;
        }
        let part = |at: usize| usize::from(LE::read_u16(&fixed[at..]));
        let (name, extra) = (part(28), part(30));
        let Some(next) = behind.get(name + extra + part(32)..) else { break };
        // The extra field has those lengths that do not fit, in this order (section 4.5.3).
        let extra64 = find_extra64(&behind[name..name + extra]).unwrap_or_default();
        let mut wide = extra64.as_chunks::<8>().0.iter();
        let mut long = |at: usize| match LE::read_u32(&fixed[at..]) {
            u32::MAX => wide.next().map_or(u64::from(u32::MAX), |value| LE::read_u64(value)),
            len => len.into(),
        };
        let (len, packed_len, at) = (long(24), long(20), long(42).saturating_add(shift));
        if !behind[..name].ends_with(b"/") {
            let method = LE::read_u16(&fixed[10..]);
            files.push((Known { len, packed_len, crc: LE::read_u32(&fixed[16..]), at }, method));
        }
        rest = next;
    }
    match files.as_slice() {
        [(known, 0 | 8)] => Ok(Some(*known)),
        [(_, method)] => Err(ArchiveProblem::Method(*method)),
        [] => Err(ArchiveProblem::NoFile),
        files => Err(ArchiveProblem::SeveralFiles(Some(files.len()))),
    }
}

/// An archive's central directory.
struct Directory {
    bytes: Vec<u8>,
    /// By how much all places are further behind than the archive says: something was put in front of it, or it has no offsets.
    shift: u64,
}

fn read_directory(file: &File, file_len: u64) -> io::Result<Option<Directory>> {
    // The record at the end may have a comment behind it.
    let tail_len = file_len.min((END_LEN + usize::from(u16::MAX) + LOCATOR64_LEN) as u64);
    let mut tail = vec![0; tail_len as usize];
    file.read_exact_at(&mut tail, file_len - tail_len)?;
    let last = tail.len().checked_sub(END_LEN);
    let Some(at) = last.and_then(|last| (0..=last).rev().find(|&at| tail[at..].starts_with(&END))) else {
        return Ok(None);
    };
    let (mut len, mut start) =
        (u64::from(LE::read_u32(&tail[at + 12..])), u64::from(LE::read_u32(&tail[at + 16..])));
    let mut end_at = file_len - tail_len + at as u64;
    if let Some(locator) = at.checked_sub(LOCATOR64_LEN).map(|from| &tail[from..at])
        && locator.starts_with(&LOCATOR64)
    {
        let mut end = [0; END64_LEN];
        let end64_at = LE::read_u64(&locator[8..]);
        file.read_exact_at(&mut end, end64_at)?;
        if end.starts_with(&END64) {
            (len, start, end_at) = (LE::read_u64(&end[40..]), LE::read_u64(&end[48..]), end64_at);
        }
    }
    if len > DIRECTORY_LEN_MAX || start.checked_add(len).is_none_or(|end| end > file_len) {
        return Ok(None);
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, start)?;
    // As unzip does, the directory is looked for in front of the record that ends it.
    let shift =
        if bytes.starts_with(&CENTRAL.to_le_bytes()) { 0 } else { end_at.saturating_sub(start + len) };
    if shift > 0 {
        file.read_exact_at(&mut bytes, start + shift)?;
    }
    Ok(Some(Directory { bytes, shift }))
}

#[cfg(test)]
mod tests;
