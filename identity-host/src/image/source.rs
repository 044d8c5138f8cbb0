// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where an image comes from: a file or standard input, read once from front to back.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::container::{self, Format, LEAD_LEN};
use super::decode::Decoder;
use super::digest::{Expected, Sum};
use super::foreign;
use super::input::Input;
use super::problem::ImageProblem;
use super::zip;
use crate::device::is_block_device;
use crate::error::{Action, Error, Result};

/// The path that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// An image that is open for reading, packed or not.
pub struct Source {
    /// Path of the image as it was given, for messages; [`STANDARD_INPUT`] for standard input.
    pub path: PathBuf,
    /// How it is packed.
    pub format: Format,
    /// Length of the file as distributed, unless it comes from a pipe.
    pub file_len: Option<u64>,
    /// Length of the image, as far as the file says before it is unpacked; at least so long, see
    /// [`Source::exact_len`].
    pub stated_len: Option<u64>,
    /// Bytes of the file that have been read so far.
    pub taken: Arc<AtomicU64>,
    /// Bytes that xz and zstd may take.
    memory: u64,
    decoder: Decoder,
    expected: Option<Expected>,
    /// The file or device once more.
    file: Option<File>,
    /// When the file was last changed.
    changed: Option<SystemTime>,
}

impl Source {
    /// The checksum that the image must have; of a file it was compared when this was opened.
    pub fn expected(&self) -> Option<&Expected> {
        self.expected.as_ref()
    }

    /// Opens a file or device, or [`STANDARD_INPUT`]. A file whose sum is expected is read and checked here, before
    /// anything is written. Unpacking may take `memory` bytes.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Image`] if it is not what it should be.
    pub fn open(path: &Path, expected: Option<Expected>, memory: u64) -> Result<Self> {
        let is_stdin = path == Path::new(STANDARD_INPUT);
        let unreadable = |error: io::Error| Error::io(path, Action::Read, error);
        let wrong = |problem| Error::Image { path: path.to_owned(), problem };
        let mut file = if is_stdin {
            File::from(io::stdin().as_fd().try_clone_to_owned().map_err(unreadable)?)
        } else {
            File::open(path).map_err(|error| Error::io(path, Action::Open, error))?
        };
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(wrong(ImageProblem::Directory));
        }
        // Of standard input, somebody may have read a part already.
        let is_file = metadata.is_file() && !is_stdin;
        let is_device = is_block_device(&metadata) && !is_stdin;
        let is_seekable = is_file || is_device;
        let file_len = match (is_file, is_device) {
            (true, _) => Some(metadata.len()),
            (_, true) => Some(measure(&mut file).map_err(|error| Error::io(path, Action::Measure, error))?),
            _ => None,
        };
        if let (true, Some(expected)) = (is_seekable, &expected) {
            let sum = Sum::of_all(&mut file).map_err(unreadable)?;
            check_sum(path, sum, expected)?;
            file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        }

        let mut lead = Vec::with_capacity(LEAD_LEN);
        (&mut file).take(LEAD_LEN as u64).read_to_end(&mut lead).map_err(unreadable)?;
        if lead.is_empty() {
            return Err(wrong(ImageProblem::Empty));
        }
        let format = container::recognise(&lead).map_err(|what| wrong(ImageProblem::Foreign(what)))?;
        if let (Format::Raw, Some(len)) = (format, file_len) {
            let tail = read_tail(&file, len).map_err(unreadable)?;
            foreign::recognise_end(&tail).map_or(Ok(()), |what| Err(wrong(ImageProblem::Foreign(what))))?;
        }
        if let Some(needed) = container::needed_memory(format, &lead).filter(|&needed| needed > memory) {
            return Err(wrong(ImageProblem::Memory { format, needed: Some(needed), limit: memory }));
        }
        let known = match (format, file_len) {
            (Format::Zip, Some(len)) => {
                zip::only_file(&file, len).map_err(|problem| wrong(ImageProblem::Archive(problem)))?
            }
            _ => None,
        };
        let stated_len = match (format, file_len) {
            (Format::Zip, _) => known.map(|known| known.len),
            (_, Some(len)) => container::stated_len(format, &lead, &file, len),
            (Format::Zstd, None) => container::stated_len(format, &lead, &file, 0),
            _ => None,
        };
        let again = file.try_clone().map_err(unreadable)?;
        let changed = metadata.modified().ok().filter(|_| is_file);
        let taken = Arc::new(AtomicU64::new(0));
        let hasher = (expected.is_some() && !is_seekable).then(Sha256::new);
        let input = Input { file, lead, lead_taken: 0, taken: taken.clone(), hasher };
        let decoder = Decoder::new(format, input, memory, known);
        let decoder = decoder.map_err(|error| unpack_error(path, format, error, memory))?;
        let file = Some(again);
        let path = path.to_owned();
        Ok(Self { path, format, file_len, stated_len, taken, memory, decoder, expected, file, changed })
    }

    /// Length of the image, where the file says it. What a Zstandard frame says holds for the first frame alone.
    pub fn exact_len(&self) -> Option<u64> {
        self.stated_len.filter(|_| self.format != Format::Zstd)
    }

    /// The image's file, device or pipe, for comparing it with the card.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// An error about this image.
    pub fn problem(&self, problem: ImageProblem) -> Error {
        Error::Image { path: self.path.clone(), problem }
    }

    /// Fills `out` with the next bytes of the image; less only at its end.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Image`] if it is damaged or cut off.
    pub fn fill(&mut self, out: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            match self.decoder.read(&mut out[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(unpack_error(&self.path, self.format, error, self.memory)),
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
        if self.file_len.is_none() || input.hasher.is_some() {
            return Ok(false);
        }
        let skipped = input.skip(len);
        skipped.map(|()| true).map_err(|error| unpack_error(&self.path, self.format, error, self.memory))
    }

    /// Whether the whole of what was read is what it should have been; called at the image's end. Returns how many bytes
    /// behind the packed data were ignored.
    ///
    /// # Errors
    /// [`Error::Image`] if the sum differs, or the file has been changed meanwhile.
    pub fn finish(mut self) -> Result<u64> {
        let path = &self.path;
        let ignored = self.decoder.finish().map_err(|error| Error::io(path, Action::Read, error))?;
        let hasher = self.decoder.into_input().and_then(|input| input.hasher);
        if let (Some(hasher), Some(expected)) = (hasher, &self.expected) {
            check_sum(path, Sum::of(hasher), expected)?;
        }
        // A file system may cut a file off, and only then write down when.
        let is_same =
            |now: &Metadata| now.modified().ok() == self.changed && Some(now.len()) == self.file_len;
        if let (Some(file), Some(_)) = (&self.file, self.changed)
            && file.metadata().is_ok_and(|now| !is_same(&now))
        {
            return Err(Error::Image { path: self.path, problem: ImageProblem::Changed });
        }
        Ok(ignored)
    }
}

/// Length of a block device in bytes.
fn measure(file: &mut File) -> io::Result<u64> {
    let len = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    Ok(len)
}

/// The last bytes of a file, where some formats have a footer.
fn read_tail(file: &File, len: u64) -> io::Result<Vec<u8>> {
    let mut tail = vec![0; usize::try_from(len.min(512)).unwrap_or(512)];
    let at = len - tail.len() as u64;
    file.read_exact_at(&mut tail, at)?;
    Ok(tail)
}

fn check_sum(path: &Path, sum: Sum, expected: &Expected) -> Result<()> {
    if sum == expected.sum {
        return Ok(());
    }
    let problem = ImageProblem::WrongSum { found: sum, expected: expected.clone() };
    Err(Error::Image { path: path.to_owned(), problem })
}

fn unpack_error(path: &Path, format: Format, error: io::Error, memory: u64) -> Error {
    match ImageProblem::from_io(format, error, memory) {
        Ok(problem) => Error::Image { path: path.to_owned(), problem },
        Err(error) => Error::io(path, Action::Read, error),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::NamedTempFile;

    use super::*;

    #[test]
    fn a_file_that_changes_while_it_is_read_is_named() {
        type Change = fn(&File) -> io::Result<()>;
        let shorter: Change = |file| file.set_len(1 << 16);
        let longer: Change = |file| file.set_len(1 << 18);
        let other: Change = |file| file.write_all_at(b"x", 1 << 16);
        // The last one as a file system shows it that has the new length already, and not yet the time.
        for (change, keeps_time) in [(shorter, false), (longer, false), (other, false), (shorter, true)] {
            let image = NamedTempFile::new().expect("a temporary file");
            image.as_file().set_len(1 << 17).expect("room");
            image.as_file().set_modified(SystemTime::UNIX_EPOCH).expect("own file");
            let mut source = Source::open(image.path(), None, 0).expect("an image");
            change(image.as_file()).expect("own file");
            if keeps_time {
                image.as_file().set_modified(SystemTime::UNIX_EPOCH).expect("own file");
            }
            while source.fill(&mut [0; 4096]).expect("readable") > 0 {}
            let found = source.finish().expect_err("it has changed");
            assert!(matches!(found, Error::Image { problem: ImageProblem::Changed, .. }), "{found:?}");
        }
    }
}
