// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files that a lab's profiles name, read once: boot files whole, images by their hash.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use identity_ui::output::say;
use identity_ui::size::Size;
use identity_ui::{Exit, Failure, Result};
use sha2::{Digest, Sha256};

use super::overlays::Overlays;
use crate::lab::{Lab, existing, missing};
use crate::place::{Placed, cannot};
use crate::profile::{LabPath, Profile};

/// From this length in bytes on, reading a file takes long enough to be said.
const LONG: u64 = 256 << 20;

/// What tells a file from another one, and from itself after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// Of these facts of the file system.
    pub fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            len: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
        }
    }
}

/// An image that was hashed.
#[derive(Clone, Debug)]
pub struct Image {
    /// Where it is.
    pub path: PathBuf,
    /// Length in bytes.
    pub len: u64,
    /// SHA-256 in 64 hex digits.
    pub sha256: String,
    /// The end of its name, by its content.
    pub kind: &'static str,
    /// What the file was when it was hashed.
    pub stamp: Stamp,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Sources {
    /// Boot files by their path in the lab.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    /// Images by their path in the lab.
    pub images: BTreeMap<PathBuf, Image>,
    /// Files that are laid over the root.
    pub overlays: Overlays,
}

impl Sources {
    /// Reads every file that the profiles and the rescue name, and all overlays; with `secrets` also what others may not read.
    ///
    /// # Errors
    /// Exit 4 with the line that names a file which cannot be read; 6 for what cannot lie in an overlay.
    pub fn read(lab: &Lab, secrets: bool) -> Result<Self> {
        let mut sources = Self { overlays: Overlays::read(lab, secrets)?, ..Self::default() };
        for profile in &lab.profiles {
            sources.read_profile(lab, profile)?;
        }
        for path in lab.settings.rescue.iter().flat_map(|rescue| rescue.files()) {
            sources.read_file(lab, path)?;
        }
        Ok(sources)
    }

    /// Reads what one profile names.
    ///
    /// # Errors
    /// As [`Sources::read`].
    pub fn read_profile(&mut self, lab: &Lab, profile: &Profile) -> Result<()> {
        profile.check_built()?;
        for path in profile.network_files() {
            self.read_file(lab, path)?;
        }
        for named in profile.root.iter().map(|root| &root.image).chain(&profile.hardware.modules) {
            if !self.images.contains_key(&named.value) {
                let path = existing(&lab.dir, named)?;
                let image = hash(&path).map_err(|error| missing(&named.place, &path, &error))?;
                self.images.insert(named.value.clone(), image);
            }
        }
        Ok(())
    }

    fn read_file(&mut self, lab: &Lab, path: &LabPath) -> Result<()> {
        if !self.files.contains_key(&path.value) {
            let full = existing(&lab.dir, path)?;
            let bytes = fs::read(&full).map_err(|error| missing(&path.place, &full, &error))?;
            self.files.insert(path.value.clone(), bytes);
        }
        Ok(())
    }

    /// The bytes of a boot file that was read.
    ///
    /// # Errors
    /// Exit 4 if it was not.
    pub fn bytes(&self, path: &LabPath) -> Result<&[u8]> {
        let Placed { value, place } = path;
        self.files.get(value).map(Vec::as_slice).ok_or_else(|| place.unreadable("this file was not read"))
    }
}

/// The SHA-256 of bytes in 64 hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads an image to its end.
///
/// # Errors
/// What the system says.
pub fn hash(path: &Path) -> std::io::Result<Image> {
    let mut file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    if stamp.len >= LONG {
        say(&format!("reading {} ({})", path.display(), Size(stamp.len)));
    }
    let mut hasher = Sha256::new();
    let mut start = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        if start.len() < 2048 {
            start.extend(&buffer[..read.min(2048)]);
        }
        hasher.update(&buffer[..read]);
    }
    let sha256 = hex(&hasher.finalize());
    Ok(Image { path: path.to_owned(), len: stamp.len, sha256, kind: kind(&start), stamp })
}

/// The end of an image's name: Linux' `squashfs_fs.h` and `erofs_fs.h` have the magics.
fn kind(start: &[u8]) -> &'static str {
    if start.starts_with(b"hsqs") {
        "squashfs"
    } else if start.get(1024..1028) == Some(&0xe0f5_e1e2_u32.to_le_bytes()) {
        "erofs"
    } else {
        "img"
    }
}

/// Refuses an image that changed since it was hashed: under its name would lie something else.
///
/// # Errors
/// Exit 6 if it did.
pub fn check_unchanged(image: &Image, linked: &Path) -> Result<()> {
    let now = fs::metadata(linked).map_err(|error| cannot("read", linked, &error, Exit::Device))?;
    if Stamp::of(&now) == image.stamp {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "{} changed while it was read; wait until what writes it has ended, and run this again",
        image.path.display()
    )))
}
