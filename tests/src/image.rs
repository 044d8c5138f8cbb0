// SPDX-License-Identifier: MIT OR Apache-2.0
//! Card images in a directory of their own, and proof that nothing there has changed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use identity_core::sector::MAGIC;
use identity_core::{Identity as Stored, SECTOR_LEN, StoredCopy};
use identity_fixtures::Card;
use tempfile::TempDir;

use crate::cli::{Identity, Outcome, tool};

/// Length of a usual test card in sectors: the gap up to 4 MiB, and as much again.
pub const SECTORS: usize = 16384;
/// Where its partition starts.
pub const PARTITION_LBA: u32 = 8192;

/// A card image, alone in its directory.
#[derive(Debug)]
pub struct Image {
    dir: TempDir,
    path: PathBuf,
}

impl Image {
    /// A name in a new directory, and no file.
    pub fn absent() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        // For tests that give up root's rights.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("own directory");
        let path = dir.path().join("card.img");
        Self { dir, path }
    }

    /// Of these bytes, sparse where they are zero.
    pub fn of(bytes: &[u8]) -> Self {
        let image = Self::absent();
        write_sparse(&image.path, bytes);
        image
    }

    /// A zeroed one, sparse.
    pub fn zeroed(bytes: u64) -> Self {
        let image = Self::absent();
        File::create(&image.path).and_then(|file| file.set_len(bytes)).expect("room for an image");
        image
    }

    /// The usual card: an MBR and one FAT partition at 4 MiB.
    pub fn mbr() -> Self {
        let sectors = SECTORS as u32 - PARTITION_LBA;
        Self::of(Card::new(SECTORS).mbr(1, 0x0c, PARTITION_LBA, sectors).bytes())
    }

    /// A card whose table `sfdisk` makes of `script`.
    pub fn sfdisk(sectors: u64, script: &str) -> Self {
        let image = Self::zeroed(sectors * SECTOR_LEN as u64);
        let mut sfdisk = tool("sfdisk");
        sfdisk.arg("--quiet").arg(&image.path).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = sfdisk.spawn().expect("sfdisk, of fdisk");
        let mut stdin = child.stdin.take().expect("piped");
        std::io::Write::write_all(&mut stdin, script.as_bytes()).expect("sfdisk reads");
        drop(stdin);
        assert!(child.wait().expect("sfdisk ends").success(), "sfdisk: {script}");
        image
    }

    /// A card whose table `sgdisk` makes by `options`.
    pub fn sgdisk(sectors: u64, options: &[&str]) -> Self {
        let image = Self::zeroed(sectors * SECTOR_LEN as u64);
        let output = tool("sgdisk").args(options).arg(&image.path).output().expect("sgdisk, of gdisk");
        assert!(output.status.success(), "sgdisk {options:?}: {output:?}");
        image
    }

    /// The usual card, stamped with these arguments.
    #[track_caller]
    pub fn stamped(args: impl AsRef<str>) -> Self {
        let image = Self::mbr();
        image.run(format!("stamp {}", args.as_ref())).exits(0);
        image
    }

    /// The same under another name in its directory.
    pub fn named(self, name: impl AsRef<OsStr>) -> Self {
        let path = self.dir.path().join(name.as_ref());
        fs::rename(&self.path, &path).expect("own directory");
        Self { path, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory in which it is alone.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).expect("own file")
    }

    /// One sector.
    pub fn sector(&self, lba: u32) -> [u8; SECTOR_LEN] {
        let mut sector = [0; SECTOR_LEN];
        let file = File::open(&self.path).expect("own file");
        file.read_exact_at(&mut sector, u64::from(lba) * SECTOR_LEN as u64).expect("inside the image");
        sector
    }

    /// Writes from a sector on.
    pub fn put(&self, lba: u32, bytes: &[u8]) -> &Self {
        let file = OpenOptions::new().write(true).open(&self.path).expect("own file");
        file.write_all_at(bytes, u64::from(lba) * SECTOR_LEN as u64).expect("own file");
        self
    }

    /// Makes a sector blank.
    pub fn clear(&self, lba: u32) -> &Self {
        self.put(lba, &[0; SECTOR_LEN])
    }

    /// Flips one bit of a sector, behind the magic.
    pub fn damage(&self, lba: u32) -> &Self {
        let mut sector = self.sector(lba);
        sector[60] ^= 1;
        self.put(lba, &sector)
    }

    /// The identity in the copy at `lba`, read without the program under test.
    #[track_caller]
    pub fn copy(&self, lba: u32) -> Stored {
        match StoredCopy::parse(&self.sector(lba), lba) {
            Ok(copy) => copy.identity(),
            Err(error) => panic!("LBA {lba}: {error:?}"),
        }
    }

    /// Every sector that starts with our magic, wherever it is.
    pub fn copies(&self) -> Vec<usize> {
        let bytes = self.bytes();
        let sectors = bytes.chunks(SECTOR_LEN).enumerate();
        sectors.filter(|(_, sector)| sector.starts_with(&MAGIC)).map(|(lba, _)| lba).collect()
    }

    /// The sectors in which `bytes` differ from what the image holds now.
    pub fn changed_since(&self, bytes: &[u8]) -> Vec<usize> {
        let now = self.bytes();
        assert_eq!(now.len(), bytes.len(), "the length never changes");
        let pairs = now.chunks(SECTOR_LEN).zip(bytes.chunks(SECTOR_LEN)).enumerate();
        pairs.filter(|(_, (now, then))| now != then).map(|(lba, _)| lba).collect()
    }

    /// `identity WORDS... IMAGE`.
    pub fn identity(&self, words: impl AsRef<str>) -> Identity {
        Identity::new(words).arg(&self.path)
    }

    /// Runs `identity WORDS... IMAGE`.
    pub fn run(&self, words: impl AsRef<str>) -> Outcome {
        self.identity(words).run()
    }

    /// Runs it, and the directory is as it was: same files, same bytes, not even written anew.
    #[track_caller]
    pub fn unchanged(&self, words: impl AsRef<str>) -> Outcome {
        self.unchanged_by(|| self.run(words))
    }

    /// The directory is after `run` as it was before.
    #[track_caller]
    pub fn unchanged_by<T>(&self, run: impl FnOnce() -> T) -> T {
        let before = Snapshot::of(self.dir());
        let result = run();
        assert!(before == Snapshot::of(self.dir()), "something in the target's directory was touched");
        result
    }
}

/// Makes a file of these bytes, sparse where they are zero.
///
/// # Panics
/// If there is no room.
pub fn write_sparse(path: &Path, bytes: &[u8]) {
    const BLOCK: usize = 4096;
    let file = File::create(path).expect("own directory");
    file.set_len(bytes.len() as u64).expect("room for an image");
    for (number, block) in bytes.chunks(BLOCK).enumerate() {
        if block != &[0; BLOCK][..block.len()] {
            file.write_all_at(block, (number * BLOCK) as u64).expect("room for an image");
        }
    }
}

/// Everything in a directory.
#[derive(PartialEq, Eq)]
struct Snapshot(Vec<(OsString, u32, Option<SystemTime>, Vec<u8>)>);

impl Snapshot {
    fn of(dir: &Path) -> Self {
        let entries = fs::read_dir(dir).expect("own directory");
        let mut entries: Vec<_> = entries
            .map(|entry| {
                let entry = entry.expect("own directory");
                let metadata = entry.metadata().expect("own directory");
                let content = if metadata.is_file() { fs::read(entry.path()).ok() } else { None };
                let modified = metadata.is_file().then(|| metadata.modified().expect("Linux"));
                (entry.file_name(), metadata.permissions().mode(), modified, content.unwrap_or_default())
            })
            .collect();
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        Self(entries)
    }
}
