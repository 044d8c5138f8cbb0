// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files of the lab that are laid over the root at boot: of all boards, of a profile, of one board, each over the one before,
//! packed as tar. Owners, times and the umask of whoever checked them out are not in it: the same files give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use identity_ui::{Exit, Failure, Result};
use tar::{Builder, EntryType, Header};

use crate::boards::Board;
use crate::lab::Lab;
use crate::place::cannot;
use crate::profile::Profile;

/// The directory of a lab.
const OVERLAYS: &str = "overlays";
/// What keeps an empty directory in git.
const KEEP: &str = ".gitkeep";
/// In a Debian root these are links, which a directory would hide.
const LINKS: [&str; 5] = ["bin", "lib", "lib32", "lib64", "sbin"];
/// Others may read it.
const WORLD_READABLE: u32 = 0o004;

/// What lies at a path of the root.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Directory,
    File { mode: u32, bytes: Vec<u8> },
    Link(PathBuf),
}

/// Entries by their path in the root; a directory comes before what is in it.
type Layer = BTreeMap<PathBuf, Entry>;

/// The directory with the files of one board.
pub fn overlay_of(lab: &Path, hostname: &str) -> PathBuf {
    lab.join(OVERLAYS).join("board").join(hostname)
}

/// All overlays of a lab.
#[derive(Debug, Default)]
pub struct Overlays {
    common: Layer,
    profiles: BTreeMap<String, Layer>,
    boards: BTreeMap<String, Layer>,
}

impl Overlays {
    /// Reads those of a lab. With `secrets`, files that others may not read are taken too: TFTP gives them to everybody.
    ///
    /// # Errors
    /// Exit 6 with the path of what cannot lie there; 7 if a file cannot be read.
    pub fn read(lab: &Lab, secrets: bool) -> Result<Self> {
        let top = lab.dir.join(OVERLAYS);
        let common = layer(&top.join("common"), secrets)?;
        let mut overlays = Self { common, ..Self::default() };
        for (name, to) in [("profile", &mut overlays.profiles), ("board", &mut overlays.boards)] {
            let dir = top.join(name);
            for path in entries(&dir)?.into_iter().filter(|path| path.is_dir()) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                to.insert(name, layer(&path, secrets)?);
            }
        }
        let shared = std::iter::once((top.join("common"), &overlays.common))
            .chain(overlays.profiles.iter().map(|(name, layer)| (top.join("profile").join(name), layer)));
        for (dir, layer) in shared {
            if let Some(key) = layer.keys().find(|path| is_host_key(path)) {
                return Err(Failure::refused(format!(
                    "{} is a host key, which several boards would share, so that each can pass for the others; put one of its own \
                     into {OVERLAYS}/board/HOSTNAME/ for each",
                    dir.join(key).display()
                )));
            }
        }
        Ok(overlays)
    }

    /// Directories of boards and profiles that the lab does not have.
    pub fn unknown(&self, lab: &Lab) -> Vec<String> {
        let boards: BTreeSet<_> = lab.boards.all.iter().map(|board| &board.hostname).collect();
        let profiles = self.profiles.keys().filter(|name| lab.profile(name).is_none());
        let profiles = profiles.map(|name| format!("{OVERLAYS}/profile/{name}"));
        let boards = self.boards.keys().filter(|name| !boards.contains(name));
        profiles.chain(boards.map(|name| format!("{OVERLAYS}/board/{name}"))).collect()
    }

    /// Whether a board has SSH host keys of its own.
    pub fn has_host_keys(&self, board: &Board) -> bool {
        self.boards.get(&board.hostname).is_some_and(|layer| layer.keys().any(|path| is_host_key(path)))
    }

    /// What is laid over the root of a board, or of a board of a profile that the list does not know; nothing if there is
    /// nothing. The name is the board's where it has files of its own, else the profile's.
    pub fn pack(&self, profile: &Profile, board: Option<&Board>) -> Option<(String, Vec<u8>)> {
        let of_board = board.and_then(|board| self.boards.get(&board.hostname));
        let mut all = self.common.clone();
        let more = self.profiles.get(&profile.name).into_iter().chain(of_board);
        for layer in more {
            for (path, entry) in layer {
                put(&mut all, path, entry);
            }
        }
        let name = match board {
            Some(board) if of_board.is_some() => {
                if self.has_host_keys(board) {
                    // Else the board takes them for another's, and makes new ones: linux/apply, `ssh-keys`.
                    let bytes = format!("{}\n", board.uuid).into_bytes();
                    put(&mut all, Path::new("etc/ssh/identity-uuid"), &Entry::File { mode: 0o644, bytes });
                }
                &board.hostname
            }
            _ => &profile.name,
        };
        // Writing to memory does not fail.
        let bytes = (!all.is_empty()).then(|| tar(&all).unwrap_or_default())?;
        Some((format!("{name}.tar"), bytes))
    }
}

/// Puts an entry; what was below a path that is no directory any more goes.
fn put(all: &mut Layer, path: &Path, entry: &Entry) {
    if *entry != Entry::Directory {
        all.retain(|other, _| !other.starts_with(path));
    }
    for parent in path.ancestors().skip(1).filter(|parent| *parent != Path::new("")) {
        all.insert(parent.to_owned(), Entry::Directory);
    }
    all.insert(path.to_owned(), entry.clone());
}

fn is_host_key(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.parent() == Some(Path::new("etc/ssh")) && name.starts_with("ssh_host_") && name.ends_with("_key")
}

fn tar(layer: &Layer) -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for (path, entry) in layer {
        let mut header = Header::new_gnu();
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        match entry {
            Entry::Directory => {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(0o755);
                tar.append_data(&mut header, path, io::empty())?;
            }
            Entry::File { mode, bytes } => {
                header.set_mode(*mode);
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, path, bytes.as_slice())?;
            }
            Entry::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_mode(0o777);
                tar.append_link(&mut header, path, target)?;
            }
        }
    }
    tar.into_inner()
}

/// The paths in a directory, sorted; none of one that is not there.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let listed = fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = match listed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(|error| cannot("read", dir, &error, Exit::Device))?,
    };
    paths.sort();
    Ok(paths)
}

fn layer(dir: &Path, secrets: bool) -> Result<Layer> {
    let mut layer = Layer::new();
    collect(dir, Path::new(""), secrets, &mut layer)?;
    if let Some(name) = LINKS.iter().find(|name| layer.contains_key(Path::new(name))) {
        let shown = dir.join(name);
        return Err(Failure::refused(format!(
            "{} would hide the root's link of that name, and all that it leads to; put its files into {}",
            shown.display(),
            dir.join("usr").join(name).display()
        )));
    }
    Ok(layer)
}

fn collect(top: &Path, below: &Path, secrets: bool, layer: &mut Layer) -> Result<()> {
    for path in entries(&top.join(below))? {
        let name = path.file_name().unwrap_or_default();
        let inside = below.join(name);
        let unreadable = |error: io::Error| cannot("read", &path, &error, Exit::Device);
        let facts = path.symlink_metadata().map_err(unreadable)?;
        if name == KEEP {
            continue;
        } else if facts.is_dir() {
            layer.insert(inside.clone(), Entry::Directory);
            collect(top, &inside, secrets, layer)?;
        } else if facts.is_symlink() {
            layer.insert(inside, Entry::Link(fs::read_link(&path).map_err(unreadable)?));
        } else if facts.is_file() {
            let mode = facts.permissions().mode() & 0o777;
            let is_secret = mode & WORLD_READABLE == 0;
            if is_secret && !secrets {
                return Err(Failure::refused(format!(
                    "{} may not be read by others, but TFTP gives every file to everybody; keep it on the card (`writes = \
                     \"keep\"`), or take it all the same with --secrets",
                    path.display()
                )));
            }
            let mode = match (is_secret, mode & 0o100 != 0) {
                (true, _) => mode,
                (false, true) => 0o755,
                (false, false) => 0o644,
            };
            layer.insert(inside, Entry::File { mode, bytes: fs::read(&path).map_err(unreadable)? });
        } else {
            return Err(Failure::refused(format!("{} is no file, directory or link", path.display())));
        }
    }
    Ok(())
}
