// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unpacking while reading, in memory that does not depend on the image's size.

use std::io::{self, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use super::container::Format;
use super::input::Input;
use super::zip::Member;

/// Packed bytes read at a time.
const INPUT_LEN: usize = 256 << 10;
/// Memory that an xz file may ask for; `xz -9` asks for 65 MiB, a hostile file for 4 GiB.
const XZ_MEMORY_MAX: u64 = 256 << 20;
/// Window that a Zstandard file may ask for, as a power of two: what `zstd -d` allows.
const ZSTD_WINDOW_MAX: u32 = 27;

/// An unpacker and what it reads from.
pub enum Decoder {
    /// Nothing to unpack.
    Raw(Input),
    /// One member after the other, as `gzip` reads them.
    Gzip(Box<MultiGzDecoder<BufReader<Input>>>),
    /// One stream after the other.
    Xz(Box<XzDecoder<BufReader<Input>>>),
    /// One frame after the other.
    Zstd(Box<zstd::Decoder<'static, BufReader<Input>>>),
    /// One stream after the other.
    Bzip2(Box<MultiBzDecoder<BufReader<Input>>>),
    /// The only file.
    Zip(Box<Member<BufReader<Input>>>),
}

impl Decoder {
    /// For a file of this format.
    ///
    /// # Errors
    /// If the archive's header makes no sense.
    pub fn new(format: Format, input: Input) -> io::Result<Self> {
        let buffered = |input| BufReader::with_capacity(INPUT_LEN, input);
        Ok(match format {
            Format::Raw => Self::Raw(input),
            Format::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(buffered(input)))),
            Format::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY_MAX, CONCATENATED)?;
                Self::Xz(Box::new(XzDecoder::new_stream(buffered(input), stream)))
            }
            Format::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(buffered(input))?;
                decoder.window_log_max(ZSTD_WINDOW_MAX)?;
                Self::Zstd(Box::new(decoder))
            }
            Format::Bzip2 => Self::Bzip2(Box::new(MultiBzDecoder::new(buffered(input)))),
            Format::Zip => Self::Zip(Box::new(Member::open(buffered(input))?)),
        })
    }

    /// What is behind the image, such as an archive's directory.
    pub fn input(&mut self) -> &mut dyn Read {
        match self {
            Self::Raw(input) => input,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Xz(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
            Self::Bzip2(decoder) => decoder.get_mut(),
            Self::Zip(member) => member.inner(),
        }
    }

    /// The file itself.
    pub fn into_input(self) -> Input {
        match self {
            Self::Raw(input) => input,
            Self::Gzip(decoder) => decoder.into_inner().into_inner(),
            Self::Xz(decoder) => decoder.into_inner().into_inner(),
            Self::Zstd(decoder) => decoder.finish().into_inner(),
            Self::Bzip2(decoder) => decoder.into_inner().into_inner(),
            Self::Zip(member) => member.into_inner().into_inner(),
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Raw(input) => input.read(out),
            Self::Gzip(decoder) => decoder.read(out),
            Self::Xz(decoder) => decoder.read(out),
            Self::Zstd(decoder) => decoder.read(out),
            Self::Bzip2(decoder) => decoder.read(out),
            Self::Zip(member) => member.read(out),
        }
    }
}
