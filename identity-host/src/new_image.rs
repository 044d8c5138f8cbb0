// SPDX-License-Identifier: MIT OR Apache-2.0
//! A new card image: an MBR and an empty FAT partition at 4 MiB, so that every slot is free; behind it perhaps a second partition.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use byteorder::{ByteOrder, LittleEndian};
use fatfs::{FatType, FormatVolumeOptions};
use uuid::Uuid;

use crate::device::SECTOR_LEN;
use crate::error::{Action, Error, Result};
use crate::new_file::NewFile;

/// Start of the partition in sectors: 4 MiB, past every slot, and aligned for SD cards.
pub const PARTITION_LBA: u32 = 8192;
/// The MBR's type of a partition of Linux.
const LINUX: u8 = 0x83;
/// Smallest image in bytes: the gap and a FAT that every system accepts.
const SIZE_MIN: u64 = 8 << 20;

/// Why a new image is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewImageProblem {
    /// The file is there already.
    Exists,
    /// No card has this size in bytes: it is at least 8 MiB and less than 2 TiB, in whole sectors.
    Size(u64),
    /// What is to lie before the partition reaches into LBA 0 or the partition: its first LBA, and its length in bytes.
    BeforePartition(u64, u64),
}

/// Makes the image without a name, on the file system of `path`; [`NewImage::keep`] gives it its name.
#[derive(Debug)]
pub struct NewImage {
    file: NewFile,
    /// Of the FAT partition.
    sectors: u32,
}

impl NewImage {
    /// Makes an image of `size` bytes, whose partition reaches to its end.
    ///
    /// # Errors
    /// [`Error::NewImage`] for a size that makes no card, or if `path` exists; [`Error::Io`].
    pub fn make(path: &Path, size: u64) -> Result<Self> {
        Self::make_with_second(path, size, size)
    }

    /// The same with a second partition, for Linux and not formatted, from `second` in bytes to the end.
    ///
    /// # Errors
    /// Likewise.
    pub fn make_with_second(path: &Path, size: u64, second: u64) -> Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let sectors = |bytes: u64| {
            u32::try_from(bytes / SECTOR_LEN as u64)
                .ok()
                .filter(|_| bytes >= SIZE_MIN && bytes.is_multiple_of(SECTOR_LEN as u64))
                .ok_or_else(|| Error::NewImage {
                    path: path.to_owned(),
                    problem: NewImageProblem::Size(bytes),
                })
        };
        let (end, second) = (sectors(size)?, sectors(second.min(size))?);
        let error = |error: io::Error| Error::io(path, Action::Create, error);
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // With the permissions of any new file.
        let new = NewFile::make(dir, 0o666).map_err(error)?;
        let file = new.file();
        file.set_len(size).map_err(error)?;
        let sectors = second - PARTITION_LBA;
        let kind = format(Partition { file, sectors, at: 0 }).map_err(error)?;
        let entries = [(kind, PARTITION_LBA, sectors), (LINUX, second, end - second)];
        file.write_all_at(&boot_record(&entries), 0).map_err(error)?;
        Ok(Self { file: new, sectors })
    }

    /// Where this process can open it until it is kept.
    pub fn path(&self) -> PathBuf {
        self.file.path()
    }

    /// The file, for a program that formats the second partition.
    ///
    /// # Errors
    /// [`Error::Io`], if this process has too many files open.
    pub fn file(&self, path: &Path) -> Result<File> {
        self.file.file().try_clone().map_err(|error| Error::io(path, Action::Create, error))
    }

    /// Puts files at the top of the FAT partition, by their names. `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Io`], also if there is no room.
    pub fn put_files(&self, path: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
        let put = || -> io::Result<()> {
            let partition = Partition { file: self.file.file(), sectors: self.sectors, at: 0 };
            let made = fatfs::FileSystem::new(partition, fatfs::FsOptions::new())?;
            for (name, bytes) in files {
                let mut entry = made.root_dir().create_file(name)?;
                entry.truncate()?;
                entry.write_all(bytes)?;
                entry.flush()?;
            }
            made.unmount()
        };
        put().map_err(|error| Error::io(path, Action::Create, error))
    }

    /// Puts bytes before the partition, from `lba` on; never into LBA 0, which has the table. `path` is for messages.
    ///
    /// # Errors
    /// [`Error::NewImage`] if they do not fit; [`Error::Io`].
    pub fn put_before_partition(&self, path: &Path, lba: u64, bytes: &[u8]) -> Result<()> {
        let len = bytes.len() as u64;
        let end = lba.saturating_add(len.div_ceil(SECTOR_LEN as u64));
        if lba == 0 || end > u64::from(PARTITION_LBA) {
            let problem = NewImageProblem::BeforePartition(lba, len);
            return Err(Error::NewImage { path: path.to_owned(), problem });
        }
        let written = self.file.file().write_all_at(bytes, lba * SECTOR_LEN as u64);
        written.map_err(|error| Error::io(path, Action::Create, error))
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// [`Error::NewImage`] if the name has been taken meanwhile; [`Error::Io`].
    pub fn keep(self, path: &Path) -> Result<()> {
        let error = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(path),
            _ => Error::io(path, Action::Create, error),
        };
        // The name is there after a power cut, too: a record may be removed next.
        self.file.publish_new(path).map_err(error)
    }
}

fn exists(path: &Path) -> Error {
    Error::NewImage { path: path.to_owned(), problem: NewImageProblem::Exists }
}

/// Formats and returns the MBR's partition type for the FAT that was made.
fn format(mut partition: Partition<'_>) -> io::Result<u8> {
    let sectors = partition.sectors;
    let options = FormatVolumeOptions::new().volume_label(*b"BOOT       ").total_sectors(sectors);
    fatfs::format_volume(&mut partition, options)?;
    partition.seek(SeekFrom::Start(0))?;
    let made = fatfs::FileSystem::new(partition, fatfs::FsOptions::new())?;
    Ok(match made.fat_type() {
        FatType::Fat12 => 0x01,
        FatType::Fat16 => 0x0e,
        FatType::Fat32 => 0x0c,
    })
}

/// An MBR with these partitions, each by type, first sector and length; one without a length is none. Offsets as in the UEFI
/// specification 2.10, tables 5-1 and 5-2.
fn boot_record(partitions: &[(u8, u32, u32)]) -> [u8; SECTOR_LEN] {
    /// Addressed by LBA: the CHS fields say "beyond", as other tools write it.
    const BEYOND: [u8; 3] = [0xfe, 0xff, 0xff];
    let mut record = [0; SECTOR_LEN];
    record[440..444].copy_from_slice(&Uuid::new_v4().as_bytes()[..4]);
    let entries = record[446..510].chunks_exact_mut(16);
    for (entry, &(kind, first, sectors)) in
        entries.zip(partitions.iter().filter(|(.., sectors)| *sectors > 0))
    {
        entry[1..4].copy_from_slice(&BEYOND);
        entry[4] = kind;
        entry[5..8].copy_from_slice(&BEYOND);
        LittleEndian::write_u32(&mut entry[8..12], first);
        LittleEndian::write_u32(&mut entry[12..16], sectors);
    }
    record[510..].copy_from_slice(&[0x55, 0xaa]);
    record
}

/// The part of a file that is the partition, as a stream.
struct Partition<'a> {
    file: &'a File,
    sectors: u32,
    at: u64,
}

impl Partition<'_> {
    fn len(&self) -> u64 {
        u64::from(self.sectors) * SECTOR_LEN as u64
    }

    fn offset(&self) -> u64 {
        u64::from(PARTITION_LBA) * SECTOR_LEN as u64 + self.at
    }
}

impl Read for Partition<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.len() - self.at).unwrap_or(usize::MAX).min(out.len());
        let read = self.file.read_at(&mut out[..room], self.offset())?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Write for Partition<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.len() - self.at).unwrap_or(usize::MAX).min(bytes.len());
        let written = self.file.write_at(&bytes[..room], self.offset())?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Partition<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.filter(|&at| at <= self.len()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
