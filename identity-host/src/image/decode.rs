// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unpacking while reading, in memory that does not depend on the image's size.
//!
//! Each format is read as its own tool reads it: gzip and bzip2 take one member after the other and ignore, with a warning,
//! what follows the last one; xz and zstd take nothing else behind theirs.

use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::MtStreamBuilder;

use super::container::{self, Format, LEAD_LEN};
use super::foreign::{Foreign, ForeignKind};
use super::input::{Input, Peek};
use super::problem::ImageProblem;
use super::zip::{Known, Member};

/// Packed bytes read at a time.
const INPUT_LEN: usize = 256 << 10;
/// Smallest and largest window that a Zstandard decoder can be told to accept, as powers of two (`zstd.h`,
/// `ZSTD_WINDOWLOG_MAX_32` and `ZSTD_WINDOWLOG_MAX_64`).
const ZSTD_WINDOW_LOGS: (u32, u32) = (10, if cfg!(target_pointer_width = "32") { 30 } else { 31 });
/// Most threads that unpack an xz file.
const XZ_THREADS_MAX: usize = 16;

/// Source of the packed bytes, which can be looked at in advance.
type Packed = Peek<BufReader<Input>>;

/// An unpacker and what it reads from.
pub enum Decoder {
    /// The bytes of the image themselves.
    Raw(Input),
    /// One member after the other.
    Gzip(Members<GzDecoder<Packed>>),
    /// One stream after the other, blocks on all processors.
    Xz(Members<XzDecoder<Packed>>),
    /// One frame after the other.
    Zstd(Members<zstd::Decoder<'static, Packed>>),
    /// One stream after the other.
    Bzip2(Members<BzDecoder<Packed>>),
    /// The only file of a zip archive.
    Zip(Box<Member<Packed>>),
}

impl Decoder {
    /// For a file of this format. xz and zstd may take `memory` bytes. Of a zip archive, `known` is what its directory says
    /// of the file.
    ///
    /// # Errors
    /// If the archive's header makes no sense.
    pub fn new(format: Format, input: Input, memory: u64, known: Option<Known>) -> io::Result<Self> {
        let buffered = |input| BufReader::with_capacity(INPUT_LEN, input);
        Ok(match format {
            Format::Raw => Self::Raw(input),
            Format::Gzip => Self::Gzip(Members::new(Peek::new(buffered(input)), memory)?),
            Format::Xz => Self::Xz(Members::new(Peek::new(buffered(input)), memory)?),
            Format::Zstd => Self::Zstd(Members::new(Peek::new(buffered(input)), memory)?),
            Format::Bzip2 => Self::Bzip2(Members::new(Peek::new(buffered(input)), memory)?),
            Format::Zip => Self::Zip(Box::new(Member::open(Peek::new(buffered(input)), known)?)),
        })
    }

    /// Reads on behind the image, such as an archive's directory, to the end of the file. Returns how many bytes are no part
    /// of the format.
    pub fn finish(&mut self) -> io::Result<u64> {
        let drain = |input: &mut dyn Read| io::copy(input, &mut io::sink());
        match self {
            Self::Raw(input) => drain(input).map(|_| 0),
            Self::Gzip(members) => members.packed().map_or(Ok(0), |packed| drain(packed)),
            Self::Xz(members) => members.packed().map_or(Ok(0), |packed| drain(packed)),
            Self::Zstd(members) => members.packed().map_or(Ok(0), |packed| drain(packed)),
            Self::Bzip2(members) => members.packed().map_or(Ok(0), |packed| drain(packed)),
            Self::Zip(member) => drain(member.inner()).map(|_| 0),
        }
    }

    /// The file itself; `None` when a member could not be opened.
    pub fn into_input(self) -> Option<Input> {
        let input = |packed: Packed| packed.into_inner().into_inner();
        match self {
            Self::Raw(input) => Some(input),
            Self::Gzip(members) => members.into_packed().map(input),
            Self::Xz(members) => members.into_packed().map(input),
            Self::Zstd(members) => members.into_packed().map(input),
            Self::Bzip2(members) => members.into_packed().map(input),
            Self::Zip(member) => Some(input(member.into_inner())),
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Raw(input) => input.read(out),
            Self::Gzip(members) => members.read(out),
            Self::Xz(members) => members.read(out),
            Self::Zstd(members) => members.read(out),
            Self::Bzip2(members) => members.read(out),
            Self::Zip(member) => member.read(out),
        }
    }
}

/// One member of a file that may have several, one behind the other.
pub trait OneMember: Read + Sized {
    /// At the start of a member, which may take `memory` bytes.
    fn open(packed: Packed, memory: u64) -> io::Result<Self>;

    /// What it reads from; at the member's end, exactly behind it.
    fn packed(&mut self) -> &mut Packed;

    /// The source of the packed bytes, with what is not yet read.
    fn into_packed(self) -> Packed;

    /// Whether another member follows behind one.
    ///
    /// # Errors
    /// If something follows that the format's own tool refuses.
    fn has_next(packed: &mut Packed) -> io::Result<bool>;
}

impl OneMember for GzDecoder<Packed> {
    fn open(packed: Packed, _memory: u64) -> io::Result<Self> {
        Ok(Self::new(packed))
    }

    fn packed(&mut self) -> &mut Packed {
        self.get_mut()
    }

    fn into_packed(self) -> Packed {
        self.into_inner()
    }

    fn has_next(packed: &mut Packed) -> io::Result<bool> {
        match packed.peek(2)? {
            // gzip takes one byte that is not zero for the start of a member.
            [1..=0xff] => Err(io::ErrorKind::UnexpectedEof.into()),
            // Those of older packers it unpacks as well: compress, pack, lzh and an early gzip (its gzip.h).
            [0x1f, 0x9d | 0x1e | 0xa0 | 0x9e] => {
                let what = "data of another packing follows its last member";
                Err(ImageProblem::Unsupported(Format::Gzip, what.into()).into_io())
            }
            next => Ok(next == [0x1f, 0x8b]),
        }
    }
}

impl OneMember for BzDecoder<Packed> {
    fn open(packed: Packed, _memory: u64) -> io::Result<Self> {
        Ok(Self::new(packed))
    }

    fn packed(&mut self) -> &mut Packed {
        self.get_mut()
    }

    fn into_packed(self) -> Packed {
        self.into_inner()
    }

    fn has_next(packed: &mut Packed) -> io::Result<bool> {
        match packed.peek(4)? {
            // bzip2 takes it for the start of a stream that is cut off.
            next @ [_, ..] if b"BZh".starts_with(next) => Err(io::ErrorKind::UnexpectedEof.into()),
            next => Ok(matches!(next, [b'B', b'Z', b'h', b'1'..=b'9'])),
        }
    }
}

impl OneMember for XzDecoder<Packed> {
    /// Blocks whose lengths are in their headers, as `xz -T` writes them, are unpacked on all processors, as far as the
    /// memory allows.
    fn open(packed: Packed, memory: u64) -> io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(XZ_THREADS_MAX);
        let mut builder = MtStreamBuilder::new();
        builder.threads(u32::try_from(threads).unwrap_or(1));
        let stream = builder.memlimit_threading(memory).memlimit_stop(memory).decoder()?;
        Ok(Self::new_stream(packed, stream))
    }

    fn packed(&mut self) -> &mut Packed {
        self.get_mut()
    }

    fn into_packed(self) -> Packed {
        self.into_inner()
    }

    /// Streams may be padded with zeros, a multiple of four ("The .xz file format" 1.2, section 2.2).
    fn has_next(packed: &mut Packed) -> io::Result<bool> {
        loop {
            match packed.peek(4)? {
                [] => return Ok(false),
                [0, 0, 0, 0] => packed.consume(4),
                [0xfd, b'7', b'z', b'X'] => return Ok(true),
                _ => {
                    let what = "something follows its last stream, and is neither a stream nor padding";
                    return Err(ImageProblem::Damaged(Format::Xz, what.into()).into_io());
                }
            }
        }
    }
}

impl OneMember for zstd::Decoder<'static, Packed> {
    fn open(packed: Packed, memory: u64) -> io::Result<Self> {
        let mut decoder = zstd::Decoder::with_buffer(packed)?.single_frame();
        let (min, max) = ZSTD_WINDOW_LOGS;
        decoder.window_log_max(memory.checked_ilog2().unwrap_or(0).clamp(min, max))?;
        Ok(decoder)
    }

    fn packed(&mut self) -> &mut Packed {
        self.get_mut()
    }

    fn into_packed(self) -> Packed {
        self.finish()
    }

    /// The program zstd also unpacks what others have packed, and each by its own rules behind a frame.
    fn has_next(packed: &mut Packed) -> io::Result<bool> {
        let next = packed.peek(LEAD_LEN)?;
        if next.is_empty() {
            return Ok(false);
        }
        match container::recognise(next) {
            Ok(Format::Zstd) => Ok(true),
            Ok(Format::Gzip | Format::Xz) | Err(Foreign { kind: ForeignKind::Packed(_), .. }) => {
                let what = "data of another packing follows its last frame";
                Err(ImageProblem::Unsupported(Format::Zstd, what.into()).into_io())
            }
            _ => {
                let what = "something follows its last frame, and is no frame";
                Err(ImageProblem::Damaged(Format::Zstd, what.into()).into_io())
            }
        }
    }
}

/// All members of a file. What follows the last one is left alone.
pub struct Members<M> {
    /// `None` only when the next one could not be opened.
    member: Option<Box<M>>,
    memory: u64,
    done: bool,
}

impl<M: OneMember> Members<M> {
    fn new(packed: Packed, memory: u64) -> io::Result<Self> {
        Ok(Self { member: Some(Box::new(M::open(packed, memory)?)), memory, done: false })
    }

    fn packed(&mut self) -> Option<&mut Packed> {
        self.member.as_deref_mut().map(M::packed)
    }

    fn into_packed(self) -> Option<Packed> {
        self.member.map(|member| member.into_packed())
    }
}

impl<M: OneMember> Read for Members<M> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = self.member.as_deref_mut().filter(|_| !self.done && !out.is_empty()) {
            let read = member.read(out)?;
            if read > 0 {
                return Ok(read);
            }
            if M::has_next(member.packed())? {
                let packed = self.member.take().map(|member| member.into_packed());
                let next = packed.map(|packed| M::open(packed, self.memory)).transpose()?;
                self.member = next.map(Box::new);
            } else {
                self.done = true;
            }
        }
        Ok(0)
    }
}
