// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files are replaced whole: a temporary name, everything on the disk, then the name. Whoever reads, or a power cut, finds the
//! old file or the new one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use identity_ui::output::say;
use identity_ui::{Exit, Failure, Result};
use rustix::fs::{FlockOperation, flock, syncfs};
use rustix::io::Errno;
use tempfile::{Builder, NamedTempFile, TempDir};

use crate::place::cannot;

/// How files and directories that are not there yet get their names.
const PREFIX: &str = ".identity-lab-";

/// The directory that a path lies in.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_beside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let file = write_beside_soon(path, bytes, mode)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// The same, but not on the disk yet.
fn write_beside_soon(path: &Path, bytes: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    // As any new file: less the umask.
    let mut file =
        Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(mode)).tempfile_in(parent(path))?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Writes a file that may be there already, and keeps its mode.
///
/// # Errors
/// Exit 6 without permission; 7 if the disk fails or is full. Then the old file is as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    // A link stays, and what it leads to is replaced.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = fs::metadata(path).map_or(0o666, |file| file.permissions().mode() & 0o7777);
    let written = write_beside(path, bytes, mode).and_then(|file| {
        if path.exists() {
            // The umask takes nothing from what was allowed before.
            file.as_file().set_permissions(Permissions::from_mode(mode))?;
            // Root works in somebody's lab; whoever may not give a file away keeps it.
            let before = fs::metadata(path)?;
            let _ = fchown(file.as_file(), Some(before.uid()), Some(before.gid()));
        }
        file.persist(path).map_err(|error| error.error)?;
        sync_directory(parent(path))
    });
    written.map_err(|error| failure("write", path, &error))
}

/// Writes many files of one directory, each of which may be there already; those that are the same are left. A power cut leaves
/// each of them old or new.
///
/// # Errors
/// As [`replace`]; some are written then.
pub fn replace_all(directory: &Path, files: &[(PathBuf, String)]) -> Result<()> {
    let mut made = Vec::new();
    for (path, text) in
        files.iter().filter(|(path, text)| fs::read(path).ok().as_deref() != Some(text.as_bytes()))
    {
        let file = write_beside_soon(path, text.as_bytes(), 0o666);
        // Closed: there may be more of them than a program may have open.
        made.push((path, file.map_err(|error| failure("write", path, &error))?.into_temp_path()));
    }
    if made.is_empty() {
        return Ok(());
    }
    let sync = || -> io::Result<()> { Ok(syncfs(File::open(directory)?)?) };
    sync().map_err(|error| failure("write", directory, &error))?;
    for (path, file) in made {
        file.persist(path).map_err(|error| failure("write", path, &error.error))?;
    }
    sync_directory(directory).map_err(|error| failure("write", directory, &error))
}

/// Writes a file that must not be there yet, with this mode less the umask.
///
/// # Errors
/// Exit 6 if the name is taken; as [`replace`].
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let written = write_beside(path, bytes, mode).and_then(|file| {
        file.persist_noclobber(path).map_err(|error| error.error)?;
        sync_directory(parent(path))
    });
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::refused(format!("{} is there already", path.display())),
        _ => failure("write", path, &error),
    })
}

/// A directory beside another one, which goes when it is dropped.
///
/// # Errors
/// As [`replace`].
pub fn directory_beside(path: &Path) -> Result<TempDir> {
    Builder::new().prefix(PREFIX).tempdir_in(parent(path)).map_err(|error| failure("make", path, &error))
}

/// Brings the names in a directory to the disk.
///
/// # Errors
/// What the system says.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Whether an open file is the one that has this name.
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let named = fs::symlink_metadata(path).map(id).ok();
    Ok(named == Some(id(file.metadata()?)))
}

/// The file of this name, made if it is not there, when nobody else has it locked; `None` if somebody has, and `waits` is not set.
/// Who had it may have removed it, or put another file in its place: then that one is taken.
///
/// # Errors
/// What the system says.
pub fn locked(path: &Path, waits: bool) -> io::Result<Option<File>> {
    let how = if waits { FlockOperation::LockExclusive } else { FlockOperation::NonBlockingLockExclusive };
    loop {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match flock(&file, how) {
            Err(Errno::WOULDBLOCK) if !waits => return Ok(None),
            locked => locked?,
        }
        if is_named(&file, path)? {
            return Ok(Some(file));
        }
    }
}

/// Holds a directory against others that write in it, until the file is dropped. Waits for them.
///
/// # Errors
/// Exit 4 if it cannot be opened; 7 if it cannot be locked.
pub fn lock(directory: &Path) -> Result<File> {
    let file = File::open(directory).map_err(|error| cannot("open", directory, &error, Exit::Corrupt))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        return Ok(file);
    }
    say(&format!("another run of this program writes in {}; waiting for it", directory.display()));
    flock(&file, FlockOperation::LockExclusive)
        .map_err(|error| cannot("lock", directory, &error.into(), Exit::Device))?;
    Ok(file)
}

/// Removes what a killed run has left in a directory that is locked.
pub fn sweep(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            // Whether that works does not matter: the next run tries again.
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let _ = if is_dir { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        }
    }
}

/// A failure to write: exit 6 where permission is missing, else 7.
pub fn failure(action: &str, path: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            cannot(action, path, error, Exit::Refused).and("nothing was changed")
        }
        _ => cannot(action, path, error, Exit::Device),
    }
}
