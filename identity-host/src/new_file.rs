// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file that appears under its name whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use identity_core::Uuid;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

/// A file without a name, of which a killed run leaves nothing; where the file system has no such files, one with a name
/// for the time being.
pub struct NewFile {
    file: File,
    name: Option<PathBuf>,
}

impl NewFile {
    /// Makes one in `directory`, for its owner alone.
    ///
    /// # Errors
    /// If there is no room, or no right.
    pub fn make(directory: &Path) -> io::Result<Self> {
        let mode = Mode::from_raw_mode(0o600);
        match rustix::fs::open(directory, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, mode) {
            Ok(file) => Ok(Self { file: file.into(), name: None }),
            Err(_) => Self::make_named(directory),
        }
    }

    fn make_named(directory: &Path) -> io::Result<Self> {
        let name = Self::temporary(directory);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name)?;
        Ok(Self { file, name: Some(name) })
    }

    fn temporary(directory: &Path) -> PathBuf {
        directory.join(format!(".{}.part", Uuid::new_v4()))
    }

    /// Gives it its name, whoever has that now, so that it is there whole also after a power cut.
    ///
    /// # Errors
    /// If that fails; the name is as it was, then.
    pub fn publish(self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        self.name(path)?;
        sync_name(path)
    }

    fn name(self, path: &Path) -> io::Result<()> {
        let link = |to: &Path| {
            let from = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            rustix::fs::linkat(CWD, from, CWD, to, AtFlags::SYMLINK_FOLLOW)
        };
        let part = match &self.name {
            Some(name) => name.clone(),
            None => match link(path) {
                Err(Errno::EXIST) => {
                    let part = Self::temporary(path.parent().unwrap_or(Path::new(".")));
                    link(&part)?;
                    part
                }
                linked => return Ok(linked?),
            },
        };
        fs::rename(&part, path)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Flushes the directory that `path` is in: what was named, renamed or removed there is so after a power cut, too.
///
/// # Errors
/// If that fails.
pub fn sync_name(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_whole_or_not_at_all_on_every_file_system() {
        for make in [NewFile::make, NewFile::make_named] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("record");
            let count = || fs::read_dir(dir.path()).unwrap().count();
            for text in ["first", "second"] {
                let before = fs::read_to_string(&path).ok();
                let mut file = make(dir.path()).unwrap();
                file.write_all(text.as_bytes()).unwrap();
                assert_eq!(fs::read_to_string(&path).ok(), before);
                file.publish(&path).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), text);
                assert_eq!(count(), 1, "nothing else is left");
            }
        }
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(NewFile::make(dir.path()).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
