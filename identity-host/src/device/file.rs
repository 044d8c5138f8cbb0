// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card behind a path: a block device, or an image file.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FallocateFlags, FlockOperation, OFlags, StatxAttributes, StatxFlags, fcntl_lock, flock, statx,
};
use rustix::io::Errno;

use super::buffer::{Buffer, DIRECT_ALIGN};
use super::info::DeviceInfo;
use super::safety;
use super::safety::{Allowed, InUse, TargetProblem};
use super::{Card, SECTOR_LEN, Sector, WritableCard};
use crate::error::{Action, Error, Result};
use crate::patience::{deadline, retry};

/// Bytes that may wait in the host's cache, where it cannot be bypassed.
const CACHED_MAX: u64 = 64 << 20;

/// What a command is going to do with its target.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// Open for reading only; nothing is locked.
    Read,
    /// Only read, and refuse what writing would: for a dry run.
    Plan(Allowed),
    /// Write, unless it is unsafe to.
    Write(Allowed),
}

/// An open block device or image file.
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
    info: Option<DeviceInfo>,
}

impl Target {
    /// Opens a block device or image file; never makes one.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened; [`Error::Target`] if it is neither, a part of a card, or, unless it is only
    /// read, if writing is unsafe.
    pub fn open(path: &Path, access: Access) -> Result<Self> {
        let refused = |problem| Error::Target { path: path.to_owned(), problem };
        let place = Place::find(path).map_err(|error| Error::io(path, Action::Open, error))?;
        let metadata = &place.metadata;
        let kind = metadata.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(refused(if kind.is_dir() {
                TargetProblem::Directory
            } else {
                TargetProblem::NoCard
            }));
        }
        if !matches!(access, Access::Read) {
            place.check_attributes().map_err(refused)?;
        }
        match access {
            Access::Read => safety::check_to_read(metadata),
            Access::Plan(allowed) | Access::Write(allowed) => safety::check_to_write(metadata, allowed),
        }
        .map_err(refused)?;
        let file = match access {
            Access::Read | Access::Plan(_) => {
                place.open(OpenOptions::new().read(true)).map_err(|error| place.open_error(error))?
            }
            Access::Write(allowed) => {
                open_locked(&place, kind.is_block_device() && allowed.in_use != InUse::Write)?
            }
        };
        let bytes = if kind.is_file() {
            metadata.len()
        } else {
            rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))
                .map_err(|error| Error::io(path, Action::Measure, error.into()))?
        };
        // What is pulled out after it was opened has no length left.
        if bytes == 0 && kind.is_block_device() {
            return Err(refused(TargetProblem::NoMedium));
        }
        let direct = match access {
            Access::Read | Access::Plan(_) => None,
            Access::Write(_) => open_direct(&place),
        };
        let info = if kind.is_block_device() { DeviceInfo::find(metadata.rdev()) } else { None };
        let sectors = bytes / SECTOR_LEN as u64;
        Ok(Self { path: path.to_owned(), file, sectors, direct, cached: 0, info })
    }

    /// What the kernel knows of it, if it is a block device.
    pub fn info(&self) -> Option<&DeviceInfo> {
        self.info.as_ref()
    }

    /// Whether it is a block device.
    pub fn is_block_device(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.file_type().is_block_device())
    }

    /// Whether `other` is the same file or device, or one of both is made of the other.
    #[cfg(feature = "flash")]
    pub fn shares_storage_with(&self, other: &File) -> bool {
        super::layers::share_storage(&self.file, other)
    }

    /// Writes past the cache; `false` if that is not possible here.
    fn write_direct(&self, lba: u64, bytes: &[u8]) -> io::Result<bool> {
        let Some(direct) = &self.direct else { return Ok(false) };
        match direct.write_all_at(bytes, lba * SECTOR_LEN as u64) {
            // Some file systems accept the flag and refuse the write, or want it aligned to more than a sector.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(false),
            result => result.map(|()| true),
        }
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
        match self.file.read_exact_at(out, lba * SECTOR_LEN as u64) {
            Err(error) if out.len() == SECTOR_LEN && error.raw_os_error().is_some() => {
                self.read_alone(lba, out).map_err(|_| error)
            }
            result => result,
        }
    }
}

impl WritableCard for Target {
    fn write(&mut self, lba: u64, sector: &Sector) -> io::Result<()> {
        match (self.file.write_all_at(sector, lba * SECTOR_LEN as u64), &self.direct) {
            // The cache reads the block around a sector before it writes, and a sector beside it may be unreadable, or this
            // one until it is written.
            (Err(error), Some(direct)) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                let mut aligned = Buffer::new(SECTOR_LEN);
                aligned.copy_from_slice(sector);
                direct.write_all_at(&aligned, lba * SECTOR_LEN as u64).map_err(|_| error)
            }
            (result, _) => result,
        }
    }

    fn write_run(&mut self, lba: u64, bytes: &[u8]) -> io::Result<()> {
        if self.write_direct(lba, bytes)? {
            return Ok(());
        }
        self.file.write_all_at(bytes, lba * SECTOR_LEN as u64)?;
        self.cached += bytes.len() as u64;
        if self.cached >= CACHED_MAX { self.flush() } else { Ok(()) }
    }

    fn discard(&mut self, lba: u64, sectors: u64) -> io::Result<bool> {
        // On a block device Linux does this only where the device promises that the sectors read as zero afterwards
        // (blkdev_fallocate); in a file it makes a hole, which does.
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let (at, len) = (lba * SECTOR_LEN as u64, sectors * SECTOR_LEN as u64);
        match rustix::fs::fallocate(&self.file, flags, at, len) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::NODEV) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.cached = 0;
        self.file.sync_all()
    }

    fn read_back(&self, lba: u64) -> io::Result<Sector> {
        if let Some(direct) = &self.direct {
            match read_direct(direct, lba).or_else(|error| read_one_direct(direct, lba).map_err(|_| error)) {
                // Some file systems accept the flag and refuse the read.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => (),
                result => return result,
            }
        }
        let mut sector = [0; SECTOR_LEN];
        self.read_uncached(lba, &mut sector)?;
        Ok(sector)
    }

    fn read_back_run(&self, lba: u64, out: &mut [u8]) -> io::Result<()> {
        if let Some(direct) = &self.direct {
            match direct.read_exact_at(out, lba * SECTOR_LEN as u64) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => (),
                result => return result,
            }
        }
        self.read_uncached(lba, out)
    }
}

impl Target {
    /// Reads a sector without its neighbours, one of which may be why the cache has failed: it reads whole pages.
    fn read_alone(&self, lba: u64, out: &mut [u8]) -> io::Result<()> {
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let direct = OpenOptions::new().read(true).custom_flags(flags(OFlags::DIRECT)).open(own)?;
        out.copy_from_slice(&read_one_direct(&direct, lba)?);
        Ok(())
    }

    /// Without direct I/O: drops the clean pages, so that the next read comes from the medium.
    fn read_uncached(&self, lba: u64, out: &mut [u8]) -> io::Result<()> {
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
        self.read(lba, out)
    }
}

/// What a path led to when it was looked up, once: a link that is changed afterwards changes nothing any more.
struct Place<'a> {
    /// As it was given.
    path: &'a Path,
    /// A handle that only names the file or device (`O_PATH`).
    handle: File,
    metadata: Metadata,
}

impl<'a> Place<'a> {
    fn find(path: &'a Path) -> io::Result<Self> {
        let handle = OpenOptions::new().read(true).custom_flags(flags(OFlags::PATH)).open(path)?;
        let metadata = handle.metadata()?;
        Ok(Self { path, handle, metadata })
    }

    /// Opens what was found, by its handle; without `/proc` by its path, and then it has to be the same.
    fn open(&self, options: &OpenOptions) -> io::Result<File> {
        match options.open(format!("/proc/self/fd/{}", self.handle.as_raw_fd())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (),
            opened => return opened,
        }
        let file = options.open(self.path)?;
        let id = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        if id(&file.metadata()?) == id(&self.metadata) { Ok(file) } else { Err(Errno::STALE.into()) }
    }

    /// Refuses what the system refuses to root as well, with a reason of its own.
    fn check_attributes(&self) -> Result<(), TargetProblem> {
        let found = statx(&self.handle, "", AtFlags::EMPTY_PATH, StatxFlags::empty());
        // Old kernels and some file systems have no attributes.
        let Ok(found) = found else { return Ok(()) };
        let (immutable, append_only) = (
            found.stx_attributes.contains(StatxAttributes::IMMUTABLE),
            found.stx_attributes.contains(StatxAttributes::APPEND),
        );
        if immutable || append_only {
            Err(TargetProblem::Attributes { immutable, append_only })
        } else {
            Ok(())
        }
    }

    fn open_error(&self, error: io::Error) -> Error {
        let refused = |problem| Error::Target { path: self.path.to_owned(), problem };
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOMEDIUM) => refused(TargetProblem::NoMedium),
            Some(Errno::ROFS) if self.metadata.is_file() => refused(TargetProblem::ReadOnlyFileSystem),
            Some(Errno::ROFS) => refused(TargetProblem::ReadOnly),
            _ => Error::io(self.path, Action::Open, error),
        }
    }

    fn busy_or(&self, error: io::Error) -> Error {
        let is_busy = error.kind() == io::ErrorKind::WouldBlock
            || error.raw_os_error() == Some(Errno::BUSY.raw_os_error());
        if is_busy {
            Error::Target { path: self.path.to_owned(), problem: TargetProblem::Busy }
        } else {
            self.open_error(error)
        }
    }
}

fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or(0)
}

/// Opens for writing so that no other program that asks the same way can have it at the same time, nor, if `exclusive`,
/// any mount.
fn open_locked(place: &Place<'_>, exclusive: bool) -> Result<File> {
    // O_EXCL without O_CREAT is Linux's "nobody else" for block devices, open(2); for files it means nothing.
    let exclusive = flags(if exclusive { OFlags::EXCL } else { OFlags::empty() });
    let open = || place.open(OpenOptions::new().read(true).write(true).custom_flags(exclusive));
    let deadline = deadline();
    let file = retry(deadline, open, |error| error.raw_os_error() == Some(Errno::BUSY.raw_os_error()))
        .map_err(|error| place.busy_or(error))?;
    retry(deadline, || lock(&file), |error| error.kind() == io::ErrorKind::WouldBlock)
        .map_err(|error| place.busy_or(error))?;
    Ok(file)
}

/// Whether another program writes to a card at this moment, and has locked it as this one does.
pub fn is_being_written(path: &Path) -> bool {
    let flags = flags(OFlags::NONBLOCK);
    let open = OpenOptions::new().read(true).custom_flags(flags).open(path);
    open.is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK))
}

/// Takes the locks that other programs ask for: flock(2), without which udev does not probe
/// (systemd.io/BLOCK_DEVICE_LOCKING), and one of fcntl(2) on all bytes, of which QEMU locks some in an image that it has open
/// ("Disk image file locking" in its manual).
fn lock(file: &File) -> io::Result<()> {
    let whole = FlockOperation::NonBlockingLockExclusive;
    match fcntl_lock(file, whole) {
        // The file system has no such locks.
        Err(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => (),
        Err(Errno::ACCESS | Errno::AGAIN) => return Err(io::ErrorKind::WouldBlock.into()),
        locked => locked?,
    }
    match flock(file, whole) {
        // On NFS both are one: this process is in its own way.
        Err(Errno::AGAIN) => {
            fcntl_lock(file, FlockOperation::Unlock)?;
            Ok(flock(file, whole)?)
        }
        locked => Ok(locked?),
    }
}

fn open_direct(place: &Place<'_>) -> Option<File> {
    place.open(OpenOptions::new().read(true).write(true).custom_flags(flags(OFlags::DIRECT))).ok()
}

/// Reads one sector, where the device takes less than an aligned block.
fn read_one_direct(file: &File, lba: u64) -> io::Result<Sector> {
    let mut aligned = Buffer::new(SECTOR_LEN);
    file.read_exact_at(&mut aligned, lba * SECTOR_LEN as u64)?;
    let mut sector = [0; SECTOR_LEN];
    sector.copy_from_slice(&aligned);
    Ok(sector)
}

/// Reads the aligned block around a sector into aligned memory, and cuts the sector out.
fn read_direct(file: &File, lba: u64) -> io::Result<Sector> {
    let offset = lba * SECTOR_LEN as u64;
    let start = offset - offset % DIRECT_ALIGN as u64;
    let inside = usize::try_from(offset - start).map_err(io::Error::other)?;
    let mut block = Buffer::new(DIRECT_ALIGN);
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_that_is_changed_meanwhile_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["card", "other"] {
            fs::write(path(name), name).unwrap();
        }
        symlink(path("card"), path("link")).unwrap();
        let link = path("link");
        let place = Place::find(&link).unwrap();
        fs::remove_file(&link).unwrap();
        symlink(path("other"), &link).unwrap();
        for options in [OpenOptions::new().read(true), OpenOptions::new().read(true).write(true)] {
            let opened = place.open(options).unwrap();
            assert_eq!(opened.metadata().unwrap().ino(), path("card").metadata().unwrap().ino());
        }
    }
}
