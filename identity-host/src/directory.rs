// SPDX-License-Identifier: MIT OR Apache-2.0
//! A directory of small files that is there whole or not at all.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::error::{Action, Error, Result};

/// Makes the directory `path` with these files, names and contents, readable by all. They are written to a directory beside
/// it, which then gets its name. One that is there is replaced in one step if it is empty or has a file `files[0]`;
/// if anything fails it stays as it is. It is not flushed to a disk: it is meant for `/run`.
///
/// # Errors
/// [`Error::NotOurDirectory`] if something else stands there, [`Error::Io`].
pub fn publish(path: &Path, files: &[(&str, String)]) -> Result<()> {
    let is_there = check_ours(path, files.first().map_or("", |(name, _)| name))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let done = write(&temporary, files).and_then(|()| {
        let flags = if is_there { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        match renameat_with(CWD, &temporary, CWD, path, flags) {
            // A file system without these flags.
            Err(rustix::io::Errno::INVAL) if !is_there => fs::rename(&temporary, path),
            done => done.map_err(io::Error::from),
        }
    });
    // What was there before, or what was not finished.
    if done.is_err() || is_there {
        let _ = fs::remove_dir_all(&temporary);
    }
    done.map_err(|error| Error::io(path, Action::Create, error))
}

/// Whether a directory is there that may be replaced.
fn check_ours(path: &Path, first: &str) -> Result<bool> {
    let not_ours = || Error::NotOurDirectory { path: path.to_owned() };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.file_name().is_some() => {
            return Ok(false);
        }
        Err(error) => return Err(Error::io(path, Action::Create, error)),
        Ok(metadata) if !metadata.is_dir() => return Err(not_ours()),
        Ok(_) => (),
    }
    let mut entries = fs::read_dir(path).map_err(|error| Error::io(path, Action::Create, error))?;
    if path.file_name().is_some() && (path.join(first).is_file() || entries.next().is_none()) {
        return Ok(true);
    }
    Err(not_ours())
}

fn write(directory: &PathBuf, files: &[(&str, String)]) -> io::Result<()> {
    // From a process with this number that was killed.
    let _ = fs::remove_dir_all(directory);
    DirBuilder::new().create(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    for (name, content) in files {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o644).open(directory.join(name))?;
        file.write_all(content.as_bytes())?;
        file.set_permissions(Permissions::from_mode(0o644))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn files(text: &str) -> Vec<(&'static str, String)> {
        vec![("identity.json", text.to_owned()), ("identity.env", text.to_owned())]
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn it_is_there_whole_or_not_at_all_and_never_nested() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("identity");
        publish(&path, &files("one")).unwrap();
        assert_eq!(names(&path), ["identity.env", "identity.json"]);
        // Replaced, with what is in it.
        publish(&path, &[("identity.json", "two".to_owned())]).unwrap();
        assert_eq!(names(&path), ["identity.json"]);
        assert_eq!(fs::read_to_string(path.join("identity.json")).unwrap(), "two");
        // A file that cannot be written: the old one stays.
        let impossible = [("identity.json", "three".to_owned()), ("no/where", String::new())];
        assert!(matches!(publish(&path, &impossible), Err(Error::Io { .. })));
        assert_eq!(fs::read_to_string(path.join("identity.json")).unwrap(), "two");
        assert_eq!(names(root.path()), ["identity"]);
        for (mode, entry) in [(0o755, path.clone()), (0o644, path.join("identity.json"))] {
            assert_eq!(fs::metadata(entry).unwrap().permissions().mode() & 0o777, mode);
        }
    }

    #[test]
    fn what_somebody_else_has_there_stays() {
        let root = tempfile::tempdir().unwrap();
        let other = root.path().join("other");
        fs::create_dir(&other).unwrap();
        publish(&other, &files("an empty directory is nobody's")).unwrap();
        let (full, file, link) =
            (root.path().join("full"), root.path().join("file"), root.path().join("link"));
        fs::create_dir(&full).unwrap();
        fs::write(full.join("precious"), "").unwrap();
        fs::write(&file, "").unwrap();
        symlink(&other, &link).unwrap();
        for path in [&full, &file, &link, &root.path().join("..")] {
            assert!(matches!(publish(path, &files("")), Err(Error::NotOurDirectory { .. })), "{path:?}");
        }
        assert_eq!(names(&full), ["precious"]);
        assert_eq!(names(root.path()), ["file", "full", "link", "other"]);
    }
}
