// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong with an image, its checksum or its block map, as facts.

use std::fmt;
use std::io;
use std::ops::Range;

use identity_layout::table::TableProblem;

use super::container::Format;
use super::digest::{Expected, Sum};
use super::foreign::Foreign;
use super::signature::SignatureProblem;

/// Why an image cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageProblem {
    /// It is a directory.
    Directory,
    /// The file has no bytes.
    Empty,
    /// The file is packed, and nothing is in it.
    HoldsNothing,
    /// It is something else than the image of a card.
    Foreign(Foreign),
    /// What is packed in it is something else than the image of a card.
    ForeignInside {
        /// How it is packed.
        outer: Format,
        /// What is in it.
        inside: Foreign,
    },
    /// It is packed twice.
    PackedTwice {
        /// How the file is packed.
        outer: Format,
        /// How what is in it is packed.
        inner: Format,
    },
    /// The packed data ends too early.
    CutOff(Format),
    /// The packed data cannot be unpacked; in the unpacker's words.
    Damaged(Format, String),
    /// The packed data is sound, as far as can be seen, and packed in a way that is not unpacked here.
    Unsupported(Format, String),
    /// The system gives no more memory to unpack it.
    NoMemory(Format),
    /// Unpacking takes more memory than it may.
    Memory {
        /// How it is packed.
        format: Format,
        /// Bytes that it takes, where the file says that.
        needed: Option<u64>,
        /// Bytes that it may take.
        limit: u64,
    },
    /// Something is wrong with the zip archive.
    Archive(ArchiveProblem),
    /// The file's SHA-256 is another one.
    WrongSum {
        /// That of the file.
        found: Sum,
        /// That it should have.
        expected: Expected,
    },
    /// It was changed while it was read.
    Changed,
    /// It has no partition table; the file system that it is instead, where one was recognised.
    NoTable(Option<&'static str>),
    /// The GPT at its front is refused by everybody, and the backup at its end would not be at the card's.
    GptByBackup(Format, TableProblem),
    /// It is not what its block map says.
    BlockMap(MapMismatch),
}

/// What is wrong with a zip archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveProblem {
    /// No file is in it.
    NoFile,
    /// So many files are in it, or more than one.
    SeveralFiles(Option<usize>),
    /// A directory has content.
    DirectoryWithContent,
    /// The file is encrypted.
    Encrypted,
    /// The file is packed by this method (APPNOTE 4.4.5).
    Method(u16),
    /// The file is stored, its length is written behind it, and the archive comes from a pipe.
    StoredFromPipe,
    /// The file's CRC-32 is another one.
    WrongCrc {
        /// That of the content.
        found: u32,
        /// That in the archive.
        expected: u32,
    },
    /// Behind the file, the archive's directory is missing.
    NoDirectory,
}

/// How an image differs from its block map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapMismatch {
    /// The checksum of these bytes.
    Range(Range<u64>),
    /// The lengths of image and map differ.
    Length {
        /// Bytes that it has.
        image_len: u64,
        /// Bytes that it has by its block map.
        map_len: u64,
    },
}

/// What is wrong with a block map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BmapProblem {
    /// Longer than so many bytes.
    TooLong(u64),
    /// It is none; in the parser's words.
    Syntax(String),
    /// It has a document type, an entity or character data, which have no place in one.
    Entities,
    /// Of an unknown version.
    Version(String),
    /// Its checksums are of an unknown kind.
    Algorithm(String),
    /// A text where a checksum should be.
    NoSum(String),
    /// An element is missing.
    Missing(&'static str),
    /// An element is no number.
    NoNumber {
        /// Name of the XML element.
        element: String,
        /// Text of the element.
        text: String,
    },
    /// The block size is no multiple of 512.
    BlockLen(u64),
    /// The number of blocks is not the one that image and block size make.
    BlockCount {
        /// The number that the map states.
        stated: u64,
        /// What it should be.
        computed: u64,
    },
    /// A range overlaps the one before, or runs backwards.
    Overlap(u64, u64),
    /// A range is beyond the image.
    Beyond {
        /// First and last block.
        range: (u64, u64),
        /// Blocks of the image.
        blocks: u64,
    },
    /// The number of mapped blocks is not that of the ranges.
    MappedCount {
        /// The number that the map states.
        stated: u64,
        /// What the ranges have.
        computed: u64,
    },
    /// Its own checksum is wrong.
    OwnSum,
    /// It is signed, and the signature's frame is cut off.
    Armour,
    /// It should be signed, and has no good signature.
    Signature(SignatureProblem),
}

impl ImageProblem {
    /// As an error that a reader can return; [`ImageProblem::from_io`] gets it back.
    pub(super) fn into_io(self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, self)
    }

    /// What a reader's error says of the image; the error itself if the system failed.
    pub(super) fn from_io(format: Format, error: io::Error, limit: u64) -> Result<Self, io::Error> {
        if error.raw_os_error().is_some() {
            return Err(error);
        }
        if let Some(problem) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            return Ok(problem.clone());
        }
        let memory = Self::Memory { format, needed: None, limit };
        match error.get_ref().and_then(|inner| inner.downcast_ref::<liblzma::stream::Error>()) {
            Some(liblzma::stream::Error::MemLimit) => return Ok(memory),
            Some(liblzma::stream::Error::Mem) => return Ok(Self::NoMemory(format)),
            Some(liblzma::stream::Error::Options) => return Ok(Self::Unsupported(format, error.to_string())),
            _ => (),
        }
        let text = error.to_string();
        // zstd's errors are texts of `ZSTD_getErrorName`.
        match &*text {
            "Frame requires too much memory for decoding" if format == Format::Zstd => return Ok(memory),
            "Allocation error : not enough memory" if format == Format::Zstd => {
                return Ok(Self::NoMemory(format));
            }
            _ => (),
        }
        if format == Format::Zstd && text == "Dictionary mismatch" {
            return Ok(Self::Unsupported(format, "it was packed with a dictionary".into()));
        }
        // flate2's text for a name or comment that gzip itself passes over, however long it is.
        if format == Format::Gzip && text == "gzip header field too long" {
            return Ok(Self::Unsupported(format, "a name in its header is longer than 65,535 bytes".into()));
        }
        Ok(match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff(format),
            _ => Self::Damaged(format, text),
        })
    }
}

impl fmt::Display for ImageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only for `io::Error`, which carries it through readers.
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for ImageProblem {}

#[cfg(test)]
mod tests {
    use liblzma::stream::Error::{Mem, MemLimit};

    use super::*;

    #[test]
    fn what_the_system_does_not_give_is_no_limit_of_ours() {
        let found = |format, error| ImageProblem::from_io(format, error, 1 << 30).expect("about the image");
        assert_eq!(found(Format::Xz, Mem.into()), ImageProblem::NoMemory(Format::Xz));
        let none = io::Error::other("Allocation error : not enough memory");
        assert_eq!(found(Format::Zstd, none), ImageProblem::NoMemory(Format::Zstd));
        let limit = |format| ImageProblem::Memory { format, needed: None, limit: 1 << 30 };
        assert_eq!(found(Format::Xz, MemLimit.into()), limit(Format::Xz));
        let large = io::Error::other("Frame requires too much memory for decoding");
        assert_eq!(found(Format::Zstd, large), limit(Format::Zstd));
    }
}
