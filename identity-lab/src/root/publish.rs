// SPDX-License-Identifier: MIT OR Apache-2.0
//! Brings what was made into the lab: a directory with a name of its own, and then the profile's lines.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use identity_ui::{Exit, Failure, Result};
use rustix::fs::syncfs;

use super::profile_file::{self, Made};
use crate::netboot::sources;
use crate::place::{cannot, read_text};
use crate::profile::Profile;
use crate::replace::{failure, replace, sync_directory};

/// Hex digits of a hash in the directory's name.
const SHORT: usize = 12;
const SUMS: &str = "SHA256SUMS";
const ROOT: &str = "root.squashfs";
const MODULES: &str = "modules.squashfs";

/// A file that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeFile {
    /// Its name in the directory.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in 64 hex digits.
    pub sha256: String,
}

/// What was published.
#[derive(Debug)]
pub struct Published {
    /// The directory and the device tree's name, as the profile has them.
    pub made: Made,
    /// Where the directory is.
    pub dir: PathBuf,
    /// Its files, by name.
    pub files: Vec<MadeFile>,
    /// Whether the same bytes were there before.
    pub was_there: bool,
}

/// Renames the directory that was made, and names its files in the profile.
///
/// # Errors
/// Exit 6 without permission; 7 if the disk fails. The profile is changed last.
pub fn publish(lab: &Path, profile: &Profile, out: &Path, fdt: Option<String>) -> Result<Published> {
    let files = hashed(out)?;
    let sums: String = files.iter().map(|file| format!("{}  {}\n", file.sha256, file.name)).collect();
    let name = format!("{}-{}", profile.name, &sources::sha256(sums.as_bytes())[..SHORT]);
    let images = lab.join("images");
    let dir = images.join(&name);
    let was_there = dir.exists();
    if was_there {
        // Its name says what is in it: somebody else's bytes would be another root.
        if read_text(&dir.join(SUMS))? != sums
            || hashed(&dir)?.iter().filter(|file| file.name != SUMS).ne(&files)
        {
            return Err(Failure::refused(format!(
                "{} is no longer what its name says; remove it, and build again",
                dir.display()
            )));
        }
    } else {
        share_root(&images, out, &files)?;
        let put = || {
            fs::write(out.join(SUMS), &sums)?;
            fs::set_permissions(out, Permissions::from_mode(0o755))?;
            syncfs(File::open(out)?)?;
            fs::rename(out, &dir)?;
            sync_directory(&images)
        };
        put().map_err(|error| failure("write", &dir, &error))?;
    }
    let has_modules = files.iter().any(|file| file.name == MODULES);
    let made = Made { dir: format!("images/{name}"), fdt, has_modules };
    // As it is now: a build takes minutes, and a person may have changed it.
    let text = read_text(&profile.file)?;
    let new = profile_file::with(&profile.file, &text, &profile.name, &made)?;
    if new != text {
        replace(&profile.file, new.as_bytes())?;
    }
    Ok(Published { made, dir, files, was_there })
}

/// Where another directory has the same root, it becomes one file: a server's memory then has it once, whatever the profiles.
fn share_root(images: &Path, out: &Path, files: &[MadeFile]) -> Result<()> {
    let Some(root) = files.iter().find(|file| file.name == ROOT) else { return Ok(()) };
    for entry in fs::read_dir(images).into_iter().flatten().flatten() {
        let other = entry.path().join(ROOT);
        let is_same = other.is_file() && sources::hash(&other).is_ok_and(|image| image.sha256 == root.sha256);
        // What links cannot do, is left.
        if is_same && fs::hard_link(&other, out.join("shared")).is_ok() {
            let path = out.join(ROOT);
            return fs::rename(out.join("shared"), &path).map_err(|error| failure("write", &path, &error));
        }
    }
    Ok(())
}

fn hashed(dir: &Path) -> Result<Vec<MadeFile>> {
    let unreadable = |error| cannot("read", dir, &error, Exit::Device);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let image = sources::hash(&entry.path()).map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.push(MadeFile { name, bytes: image.len, sha256: image.sha256 });
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}
