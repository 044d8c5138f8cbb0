// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file that appears under its name whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use identity_core::Uuid;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

/// A file without a name, of which a killed run leaves nothing; where the file system has no such files, one with a name
/// for the time being.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    name: Temporary,
}

/// A name that goes when the file is given up.
#[derive(Debug)]
struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(name) = &self.0 {
            // What stays is named as nobody's, and starts with a dot.
            let _ = fs::remove_file(name);
        }
    }
}

impl NewFile {
    /// Makes one in `directory`, with these permissions less the umask.
    ///
    /// # Errors
    /// If there is no room, or no right.
    pub fn make(directory: &Path, mode: u32) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(directory, flags, Mode::from_raw_mode(mode)) {
            Ok(file) => Ok(Self { file: file.into(), name: Temporary(None) }),
            Err(_) => Self::make_named(directory, mode),
        }
    }

    fn make_named(directory: &Path, mode: u32) -> io::Result<Self> {
        let name = temporary(directory);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(mode).open(&name)?;
        Ok(Self { file, name: Temporary(Some(name)) })
    }

    /// The open file, for reading and writing.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where this process can open it once more.
    pub fn path(&self) -> PathBuf {
        self.name.0.clone().unwrap_or_else(|| self.by_handle())
    }

    fn by_handle(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }

    /// Gives it its name, whoever has that now, so that it is there whole also after a power cut.
    ///
    /// # Errors
    /// If that fails; the name is as it was, then.
    pub fn publish(mut self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        if self.name.0.is_none() {
            match self.link(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let name = temporary(path.parent().unwrap_or(Path::new(".")));
                    self.link(&name)?;
                    self.name.0 = Some(name);
                }
                linked => {
                    linked?;
                    return sync_name(path);
                }
            }
        }
        if let Some(name) = &self.name.0 {
            fs::rename(name, path)?;
        }
        self.name.0 = None;
        sync_name(path)
    }

    /// The same, unless somebody has the name.
    ///
    /// # Errors
    /// If that fails, also with [`io::ErrorKind::AlreadyExists`]; the name is as it was, then.
    pub fn publish_new(mut self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        match &self.name.0 {
            None => self.link(path)?,
            Some(name) => {
                match renameat_with(CWD, name, CWD, path, RenameFlags::NOREPLACE) {
                    // A file system without this flag: a link never replaces.
                    Err(Errno::INVAL) => fs::hard_link(name, path)?,
                    renamed => {
                        renamed?;
                        self.name.0 = None;
                    }
                }
            }
        }
        sync_name(path)
    }

    fn link(&self, to: &Path) -> io::Result<()> {
        Ok(rustix::fs::linkat(CWD, self.by_handle(), CWD, to, AtFlags::SYMLINK_FOLLOW)?)
    }
}

fn temporary(directory: &Path) -> PathBuf {
    directory.join(format!(".{}.part", Uuid::new_v4()))
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

    type Make = fn(&Path, u32) -> io::Result<NewFile>;
    const MAKES: [Make; 2] = [NewFile::make, NewFile::make_named];

    #[test]
    fn it_is_there_whole_or_not_at_all_on_every_file_system() {
        for make in MAKES {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("record");
            let count = || fs::read_dir(dir.path()).unwrap().count();
            for text in ["first", "second"] {
                let before = fs::read_to_string(&path).ok();
                let mut file = make(dir.path(), 0o600).unwrap();
                file.write_all(text.as_bytes()).unwrap();
                assert_eq!(fs::read_to_string(&path).ok(), before);
                assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
                file.publish(&path).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), text);
                assert_eq!(count(), 1, "nothing else is left");
            }
        }
    }

    #[test]
    fn a_new_one_takes_nobodys_name() {
        for make in MAKES {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("image");
            make(dir.path(), 0o666).unwrap().publish_new(&path).unwrap();
            fs::write(&path, "mine").unwrap();
            let failed = make(dir.path(), 0o666).unwrap().publish_new(&path).unwrap_err();
            assert_eq!(failed.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
        }
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        for make in MAKES {
            let dir = tempfile::tempdir().unwrap();
            drop(make(dir.path(), 0o600).unwrap());
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }
}
