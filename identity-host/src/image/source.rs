// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where an image comes from: a file or standard input, read once from front to back.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::container::{self, Format, LEAD_LEN};
use super::decode::Decoder;
use super::digest::{Expected, Sum};
use super::input::Input;
use super::zip;
use crate::device::plain;
use crate::error::{Error, Result};

/// An opened image.
pub struct Source {
    /// For messages.
    pub name: String,
    /// How it is packed.
    pub format: Format,
    /// Length of the file as distributed, unless it comes from a pipe.
    pub file_len: Option<u64>,
    /// Length of the image, as far as the file says before it is unpacked; at least so long, see
    /// [`Source::exact_len`].
    pub stated_len: Option<u64>,
    /// Bytes of the file that have been read so far.
    pub taken: Arc<AtomicU64>,
    decoder: Decoder,
    expected: Option<Expected>,
    /// The file once more, and when it was last changed.
    changed: Option<(File, SystemTime)>,
}

impl Source {
    /// Opens a file, or standard input for `-`. A file whose sum is expected is read and checked here, before
    /// anything is written.
    ///
    /// # Errors
    /// Exit 7 if it cannot be read, 6 if it is not what it should be.
    pub fn open(path: &Path, expected: Option<Expected>) -> Result<Self> {
        let is_stdin = path == Path::new("-");
        let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
        let unreadable = |error: io::Error| Error::io(Path::new(&name), crate::error::Action::Read, error);
        let mut file = if is_stdin {
            File::from(io::stdin().as_fd().try_clone_to_owned().map_err(unreadable)?)
        } else {
            File::open(path).map_err(|error| Error::io(path, crate::error::Action::Open, error))?
        };
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(Error::failed(format!("{name} is a directory; give the image file")));
        }
        let is_file = metadata.is_file() && !is_stdin;
        if let (true, Some(expected)) = (is_file, &expected) {
            let sum = Sum::of_all(&mut file).map_err(unreadable)?;
            check_sum(&name, sum, expected)?;
            file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        }

        let mut lead = Vec::with_capacity(LEAD_LEN);
        (&mut file).take(LEAD_LEN as u64).read_to_end(&mut lead).map_err(unreadable)?;
        if lead.is_empty() {
            return Err(Error::refused(format!("{name} is empty; give an image")));
        }
        let format = container::recognise(&lead).map_err(|what| foreign(&name, what))?;
        let file_len = is_file.then_some(metadata.len());
        let stated_len = match (format, file_len) {
            (Format::Zip, Some(len)) => zip::only_file_len(&file, len)
                .map_err(|reason| Error::refused(format!("{name}: {reason}")))?,
            (_, Some(len)) => container::stated_len(format, &lead, &file, len),
            (Format::Zstd, None) => container::stated_len(format, &lead, &file, 0),
            _ => None,
        };
        let changed = match (is_file, metadata.modified()) {
            (true, Ok(time)) => Some((file.try_clone().map_err(unreadable)?, time)),
            _ => None,
        };
        let taken = Arc::new(AtomicU64::new(0));
        let hasher = (expected.is_some() && !is_file).then(Sha256::new);
        let input = Input { file, lead, lead_taken: 0, taken: taken.clone(), hasher };
        let decoder = Decoder::new(format, input).map_err(|error| unpack_error(&name, format, &error))?;
        Ok(Self { name, format, file_len, stated_len, taken, decoder, expected, changed })
    }

    /// Length of the image, where the file says it. What a Zstandard frame says holds for the first frame alone.
    pub fn exact_len(&self) -> Option<u64> {
        self.stated_len.filter(|_| self.format != Format::Zstd)
    }

    /// The image file, for comparing it with the card.
    pub fn file(&self) -> Option<&File> {
        self.changed.as_ref().map(|(file, _)| file)
    }

    /// Fills `out` with the next bytes of the image; less only at its end.
    ///
    /// # Errors
    /// Exit 7 if the file cannot be read; 6 if it is damaged or cut off.
    pub fn fill(&mut self, out: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            match self.decoder.read(&mut out[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(unpack_error(&self.name, self.format, &error)),
            }
        }
        Ok(filled)
    }

    /// Goes on `len` bytes of the image further, if that can be done without reading them.
    ///
    /// # Errors
    /// As [`Source::fill`].
    pub fn try_skip(&mut self, len: u64) -> Result<bool> {
        let Decoder::Raw(input) = &mut self.decoder else { return Ok(false) };
        if self.changed.is_none() || input.hasher.is_some() {
            return Ok(false);
        }
        let skipped = input.skip(len);
        skipped.map(|()| true).map_err(|error| unpack_error(&self.name, self.format, &error))
    }

    /// Whether the whole of what was read is what it should have been; called at the image's end.
    ///
    /// # Errors
    /// Exit 6 if the sum differs, or the file has been changed meanwhile.
    pub fn finish(mut self) -> Result<()> {
        let name = &self.name;
        let input = self.decoder.input();
        io::copy(input, &mut io::sink())
            .map_err(|error| Error::io(Path::new(name), crate::error::Action::Read, error))?;
        let input = self.decoder.into_input();
        if let (Some(hasher), Some(expected)) = (input.hasher, &self.expected) {
            check_sum(name, Sum::of(hasher), expected)?;
        }
        if let Some((file, time)) = &self.changed
            && file.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|now| now != *time)
        {
            return Err(Error::refused(format!("{name} was changed while it was read; flash it again")));
        }
        Ok(())
    }
}

/// An image that is wrapped in something unknown.
pub fn foreign(name: &str, what: &str) -> Error {
    Error::refused(format!(
        "{name} is {what}, not the image of a card; unpack or convert it first (known are gzip, xz, zstd, bzip2 and zip)"
    ))
}

fn check_sum(name: &str, sum: Sum, expected: &Expected) -> Result<()> {
    if sum == expected.sum {
        return Ok(());
    }
    Err(Error::refused(format!(
        "{name} has the SHA-256 {sum}, but {} says {}; fetch it again",
        expected.origin, expected.sum
    )))
}

fn unpack_error(name: &str, format: Format, error: &io::Error) -> Error {
    if error.raw_os_error().is_some() {
        return Error::failed(format!("cannot read {name}: {}", plain(error)));
    }
    let format = format.name();
    Error::refused(match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            format!("{name} ends in the middle of its {format} data; fetch it again")
        }
        _ => format!("{name} is damaged: its {format} data cannot be unpacked ({error}); fetch it again"),
    })
}
