// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card behind a path: a block device, or an image file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::safety;
use super::buffer::{Buffer, DIRECT_ALIGN};
use super::facts::Facts;
use super::{Card, SECTOR_LEN, Sector, WritableCard};
use crate::args::SafetyArgs;
use crate::error::{Error, Result};

/// How long to wait for another program that holds the card, such as a udev probe.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes that may wait in the host's cache, where it cannot be bypassed.
const CACHED_MAX: u64 = 64 << 20;

/// What a command is going to do with its target.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// Only read.
    Read,
    /// Write, unless it is unsafe to.
    Write(SafetyArgs),
}

/// An open card.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    file: File,
    sectors: u64,
    /// A second handle that bypasses the host's cache, where the file system has that.
    direct: Option<File>,
    /// Bytes written through the cache since the last flush.
    cached: u64,
    /// What the kernel knows of it, if it is a block device.
    facts: Option<Facts>,
}

impl Target {
    /// Opens a block device or image file; never makes one.
    ///
    /// # Errors
    /// Exit 7 if it is neither, or cannot be opened; exit 6, for [`Access::Write`], if writing is unsafe.
    pub fn open(path: &Path, access: Access) -> Result<Self> {
        let metadata = path.metadata().map_err(|error| Error::io(path, "open", &error))?;
        let kind = metadata.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            let what = if kind.is_dir() { "a directory" } else { "neither a block device nor a file" };
            let shown = path.display();
            return Err(Error::device(format!(
                "{shown} is {what}; give the card's block device or an image file"
            )));
        }
        if let (Access::Write(allowed), true) = (access, kind.is_block_device()) {
            safety::check_block_device(path, metadata.rdev(), allowed)?;
        }
        let file = match access {
            Access::Read => File::open(path).map_err(|error| open_error(path, &error))?,
            Access::Write(_) => open_exclusive(path, kind.is_block_device())?,
        };
        let bytes = if kind.is_file() {
            metadata.len()
        } else {
            rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))
                .map_err(|error| Error::io(path, "find the size of", &error.into()))?
        };
        let direct = match access {
            Access::Read => None,
            Access::Write(_) => open_direct(path),
        };
        Ok(Self { path: path.to_owned(), file, sectors: bytes / SECTOR_LEN as u64, direct })
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Card for Target {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&self, lba: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, lba * SECTOR_LEN as u64)
    }
}

impl WritableCard for Target {
    fn write(&mut self, lba: u64, sector: &Sector) -> io::Result<()> {
        self.file.write_all_at(sector, lba * SECTOR_LEN as u64)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn read_back(&self, lba: u64) -> io::Result<Sector> {
        if let Some(direct) = &self.direct {
            match read_direct(direct, lba) {
                // Some file systems accept the flag and refuse the read.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => (),
                result => return result,
            }
        }
        // Without direct I/O: drop the clean page, so that the next read comes from the medium.
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
        let mut sector = [0; SECTOR_LEN];
        self.read(lba, &mut sector)?;
        Ok(sector)
    }
}

fn open_error(path: &Path, error: &io::Error) -> Error {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOMEDIUM) => Error::device(format!("{} has no card in it; insert one", path.display())),
        Some(Errno::ROFS) => Error::refused(format!(
            "{} is read-only; slide the card's lock tab back, or use another reader",
            path.display()
        )),
        _ => Error::io(path, "open", error),
    }
}

/// Opens for writing so that no other program that asks the same way, and no mount, can have it at the same time.
fn open_exclusive(path: &Path, is_block_device: bool) -> Result<File> {
    // O_EXCL without O_CREAT is Linux's "nobody else" for block devices, open(2); for files it means nothing.
    let flags = if is_block_device { OFlags::EXCL } else { OFlags::empty() };
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let open = || OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
    let deadline = Instant::now() + PATIENCE;
    let file = retry(deadline, open, |error| error.raw_os_error() == Some(Errno::BUSY.raw_os_error()))
        .map_err(|error| busy_or(path, &error))?;
    // systemd.io/BLOCK_DEVICE_LOCKING: whoever writes takes the lock, so that udev does not probe meanwhile.
    let lock = || flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(io::Error::from);
    retry(deadline, lock, |error| error.kind() == io::ErrorKind::WouldBlock)
        .map_err(|error| busy_or(path, &error))?;
    Ok(file)
}

fn busy_or(path: &Path, error: &io::Error) -> Error {
    let busy =
        error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(Errno::BUSY.raw_os_error());
    if busy {
        Error::refused(format!(
            "{} is in use by another program; wait for it or stop it (`fuser -v {0}` names it)",
            path.display()
        ))
    } else {
        open_error(path, error)
    }
}

fn retry<T>(
    deadline: Instant,
    mut attempt: impl FnMut() -> io::Result<T>,
    is_transient: impl Fn(&io::Error) -> bool,
) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if is_transient(&error) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(50));
            }
            result => return result,
        }
    }
}

fn open_direct(path: &Path) -> Option<File> {
    let flags = i32::try_from(OFlags::DIRECT.bits()).ok()?;
    OpenOptions::new().read(true).custom_flags(flags).open(path).ok()
}

/// Reads the aligned block around a sector into aligned memory, and cuts the sector out.
fn read_direct(file: &File, lba: u64) -> io::Result<Sector> {
    let offset = lba * SECTOR_LEN as u64;
    let start = offset - offset % DIRECT_ALIGN as u64;
    let inside = usize::try_from(offset - start).map_err(io::Error::other)?;
    let mut memory = vec![0; 2 * DIRECT_ALIGN];
    let skip = memory.as_ptr().align_offset(DIRECT_ALIGN);
    let block = &mut memory[skip..skip + DIRECT_ALIGN];
    let mut filled = 0;
    while filled < inside + SECTOR_LEN {
        match file.read_at(&mut block[filled..], start + filled as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    let mut sector = [0; SECTOR_LEN];
    sector.copy_from_slice(&block[inside..inside + SECTOR_LEN]);
    Ok(sector)
}
