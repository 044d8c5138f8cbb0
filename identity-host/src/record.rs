// SPDX-License-Identifier: MIT OR Apache-2.0
//! Records on the host: the third copy of an identity, off the card, whose two share one flash chip.
//!
//! A *pending* record is what an unfinished flash leaves. It carries the number of the mark on the card, and is given back
//! by itself only to a card with that mark. A *retired* record is written before an identity is erased or replaced; it is
//! never used by itself, only when a person names it.

mod given;
mod kept;
mod matches;
mod place;
mod retired;

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use identity_core::search::Condition;
use identity_core::{Identity, StoredCopy, Uuid};
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::device::{Cid, Sector, Target};
use crate::document::{Document, DocumentProblem};
use crate::error::{Action, Error, Result};
use crate::hex;
use crate::new_file::{NewFile, sync_name};
use crate::scan::Scan;

pub use given::Given;
pub use kept::{Claim, Kept, read_kept};
pub use matches::{Matches, find};
pub use place::directory;
use place::make_directory;
pub use retired::{Retired, retired_from};

/// How the name of a retired record's file begins.
const RETIRED: &str = "retired-";
/// Version of the file format.
const VERSION: u32 = 2;
/// Longest record that is read, in bytes.
const LEN_MAX: u64 = 64 << 10;

/// What is wrong with a record, or with the place for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordProblem {
    /// No environment variable says where records are.
    NoPlace,
    /// It is none: in the parser's words.
    Syntax(String),
    /// It is of another version.
    Version(u32),
    /// A sector is not 512 bytes in hexadecimal digits.
    Sector,
    /// No sector holds a valid copy.
    NoCopy,
    /// It is a directory, a pipe or the like.
    NoFile,
    /// The place for records is a directory that another user can write to.
    Shared,
    /// A note of who has got an identity is none: in the parser's words.
    Note(String),
    /// It is a symbolic link, which is not followed: who has set it may not be who names it.
    Link,
    /// It is a document of `read` that gives no whole identity.
    Document(DocumentProblem),
}

/// What tells a card from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardKey {
    /// Where it was, without symbolic links.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// Its length in sectors.
    pub sectors: u64,
    /// Its CID in hexadecimal digits, where the host tells.
    pub cid: Option<String>,
}

impl CardKey {
    /// Of an open target.
    pub fn of_target(target: &Target) -> Self {
        use crate::device::Card;
        Self {
            path: target.path().canonicalize().unwrap_or_else(|_| target.path().to_owned()),
            sectors: target.sectors(),
            cid: target.info().and_then(|info| info.cid).map(|cid: Cid| cid.to_string()),
        }
    }
}

impl CardKey {
    /// Whether this may be the same card as `other`: the CIDs say, or path and length are the same.
    pub fn may_be(&self, other: &Self) -> bool {
        match self.cid.as_ref().zip(other.cid.as_ref()) {
            Some((one, other)) => one == other,
            None => self.path == other.path && self.sectors == other.sectors,
        }
    }
}

/// A path as text, which JSON wants: one that is no UTF-8 as `bytes:` and hexadecimal digits.
mod path_text {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::hex;

    const BYTES: &str = "bytes:";

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => serializer.serialize_str(&format!("{BYTES}{}", hex::encode(path.as_os_str().as_bytes()))),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = text.strip_prefix(BYTES).and_then(hex::decode);
        Ok(bytes.map_or_else(|| text.into(), |bytes| OsString::from_vec(bytes).into()))
    }
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// A flash was begun and not finished.
    Pending,
    /// The identity was erased or replaced.
    Retired,
}

/// A record as it is written to, or read from, its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Whether a flash is pending, or the identity was retired.
    pub purpose: Purpose,
    /// The identity; `None` if no copy of it was valid.
    pub identity: Option<Identity>,
    /// The card that had it, or was getting it.
    pub card: CardKey,
    /// The number in the card's mark, of a pending one.
    pub number: Option<u128>,
    /// Name of the image that was being written.
    pub image: Option<String>,
    /// When a retired one was made, in nanoseconds of Unix time.
    pub at: Option<u64>,
    /// Sectors with our magic, by LBA, whether or not they parse.
    pub sectors: Vec<(u32, Sector)>,
}

/// A record as it lies in its file.
#[derive(Serialize, Deserialize)]
struct Stored {
    record: u32,
    purpose: Purpose,
    /// For people; what counts are the sectors.
    #[serde(skip_deserializing)]
    identity: Option<Document>,
    uuid: Option<String>,
    card: CardKey,
    number: Option<String>,
    image: Option<String>,
    #[serde(default)]
    at: Option<u64>,
    sectors: Vec<StoredSector>,
}

#[derive(Serialize, Deserialize)]
struct StoredSector {
    lba: u32,
    hex: String,
}

impl Record {
    /// Of a flash of `image` that begins: `identity` is what the card will have, and its two copies go to `lbas`.
    pub fn pending(identity: &Identity, lbas: [u32; 2], card: CardKey, number: u128, image: &str) -> Self {
        let [lba, peer_lba] = lbas;
        Self {
            purpose: Purpose::Pending,
            identity: Some(identity.clone()),
            card,
            number: Some(number),
            image: Some(image.to_owned()),
            at: None,
            sectors: vec![(lba, identity.encode(lba, peer_lba))],
        }
    }

    /// Of everything of ours on a card: a record for each identity, each with all sectors; one without identity if no
    /// copy is valid; none if there is nothing of ours.
    pub fn retired(scan: &Scan, card: &CardKey) -> Vec<Self> {
        let sectors: Vec<_> =
            scan.ours().filter_map(|sector| Some((sector.lba, **sector.bytes.as_ref()?))).collect();
        let mut identities: Vec<&Identity> = Vec::new();
        for (_, identity, _) in scan.valid() {
            match identities.iter_mut().find(|known| known.uuid() == identity.uuid()) {
                Some(known) if known.generation() < identity.generation() => *known = identity,
                Some(_) => (),
                None => identities.push(identity),
            }
        }
        let at = Some(now());
        let record = |identity: Option<&Identity>| Self {
            purpose: Purpose::Retired,
            identity: identity.cloned(),
            card: card.clone(),
            number: None,
            image: None,
            at,
            sectors: sectors.clone(),
        };
        match identities[..] {
            [] if sectors.is_empty() => Vec::new(),
            [] => vec![record(None)],
            _ => identities.into_iter().map(|identity| record(Some(identity))).collect(),
        }
    }

    /// Of what goes where the identity `stays` is left on a card: a record for each other identity, and one of copies of a
    /// later version, which this program cannot read.
    pub fn going(scan: &Scan, card: &CardKey, stays: Uuid) -> Vec<Self> {
        let mut records = Self::retired(scan, card);
        records.retain(|record| record.identity.as_ref().is_some_and(|identity| identity.uuid() != stays));
        if records.is_empty() { Self::newer(scan, card).into_iter().collect() } else { records }
    }

    /// Of the copies of a later version, if there are any.
    pub fn newer(scan: &Scan, card: &CardKey) -> Option<Self> {
        let newer = scan.ours().filter(|sector| sector.condition == Condition::Newer);
        let sectors: Vec<_> =
            newer.filter_map(|sector| Some((sector.lba, **sector.bytes.as_ref()?))).collect();
        let (purpose, card) = (Purpose::Retired, card.clone());
        (!sectors.is_empty()).then_some(Self {
            purpose,
            identity: None,
            card,
            number: None,
            image: None,
            at: Some(now()),
            sectors,
        })
    }

    /// The record in one line of JSON.
    ///
    /// # Errors
    /// If it cannot be said in JSON: then it is kept nowhere.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&self.stored())
    }

    fn stored(&self) -> Stored {
        let sector = |(lba, bytes): &(u32, Sector)| StoredSector { lba: *lba, hex: hex::encode(bytes) };
        Stored {
            record: VERSION,
            purpose: self.purpose,
            identity: self.identity.as_ref().map(Document::of_recorded),
            uuid: self.identity.as_ref().map(|identity| identity.uuid().to_string()),
            card: self.card.clone(),
            number: self.number.map(|number| format!("{number:032x}")),
            image: self.image.clone(),
            at: self.at,
            sectors: self.sectors.iter().map(sector).collect(),
        }
    }

    /// The file's name: a pending record's is the same in a rerun, and another one for each card, also if two clones are
    /// written at once; a retired one's is new.
    fn file_name(&self) -> String {
        let uuid = self.identity.as_ref().map_or_else(|| "unknown".to_owned(), |own| own.uuid().to_string());
        match self.purpose {
            Purpose::Pending => format!("{uuid}-{:032x}.json", self.number.unwrap_or_default()),
            Purpose::Retired => format!("{RETIRED}{uuid}-{}.json", self.at.unwrap_or_default()),
        }
    }

    /// Writes it, so that it is whole or not there, and survives a power cut. Only its owner can read it. Returns where it
    /// is.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, directory: &Path) -> Result<PathBuf> {
        let path = directory.join(self.file_name());
        let write = || -> io::Result<()> {
            make_directory(directory)?;
            let mut file = NewFile::make(directory, 0o600)?;
            serde_json::to_writer_pretty(&mut file, &self.stored())?;
            file.write_all(b"\n")?;
            file.publish(&path)
        };
        let was_there = path.exists();
        write().map_err(|error| {
            // It may have its name already: nothing is begun, and nobody needs it.
            if !was_there {
                let _ = fs::remove_file(&path);
            }
            Error::io(&path, Action::WriteRecord, error)
        })?;
        Ok(path)
    }

    /// Reads a file that [`Record::write`] wrote.
    ///
    /// # Errors
    /// If it cannot be read, or is no record.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        Self::parse(&text).map_err(|problem| Error::Record { path: path.to_owned(), problem })
    }

    /// Reads what stands in such a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, RecordProblem> {
        let stored: Stored =
            serde_json::from_str(text).map_err(|error| RecordProblem::Syntax(error.to_string()))?;
        if stored.record != VERSION {
            return Err(RecordProblem::Version(stored.record));
        }
        let mut sectors = Vec::new();
        for sector in &stored.sectors {
            let bytes: Option<Sector> = hex::decode(&sector.hex).and_then(|bytes| bytes.try_into().ok());
            sectors.push((sector.lba, bytes.ok_or(RecordProblem::Sector)?));
        }
        let copies = sectors.iter().filter_map(|(lba, sector)| StoredCopy::parse(sector, *lba).ok());
        let own = copies.filter(|copy| stored.uuid.as_ref() == Some(&copy.uuid().to_string()));
        let identity = own.max_by_key(StoredCopy::generation).map(|copy| copy.identity());
        if identity.is_none() && (stored.uuid.is_some() || stored.purpose == Purpose::Pending) {
            return Err(RecordProblem::NoCopy);
        }
        let number = stored.number.and_then(|hex| u128::from_str_radix(&hex, 16).ok());
        let Stored { purpose, card, image, at, .. } = stored;
        Ok(Self { purpose, identity, card, number, image, at, sectors })
    }
}

/// A small regular file, without following a link or waiting for a pipe.
fn read_text(path: &Path) -> Result<String> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
    let open = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = open.map_err(|error| match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::LOOP) => Error::Record { path: path.to_owned(), problem: RecordProblem::Link },
        _ => Error::io(path, Action::Open, error),
    })?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(Error::Record { path: path.to_owned(), problem: RecordProblem::NoFile });
    }
    let mut bytes = Vec::new();
    file.take(LEN_MAX).read_to_end(&mut bytes).map_err(|error| Error::io(path, Action::Read, error))?;
    let problem = || RecordProblem::Syntax("it is no text; of a packed image, unpack it first".into());
    String::from_utf8(bytes).map_err(|_| Error::Record { path: path.to_owned(), problem: problem() })
}

/// Nanoseconds of Unix time.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// Removes a record that is no longer needed; it is as if it had never been there.
///
/// # Errors
/// If it stays.
pub fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path)
        .and_then(|()| sync_name(path))
        .map_err(|error| Error::io(path, Action::Remove, error))
}

/// Removes a record that has been given back, if it is a pending one in the place for records, rather than a file that can
/// be given again. Says whether it was one.
///
/// # Errors
/// If it stays.
fn remove_if_pending(file: &Path, directory: &Path) -> Result<bool> {
    let goes = is_pending(file, directory);
    if goes {
        remove(file)?;
    }
    Ok(goes)
}

/// Whether a file is a pending record in the place for records.
fn is_pending(file: &Path, directory: &Path) -> bool {
    is_in(file, directory) && Record::read(file).is_ok_and(|record| record.purpose == Purpose::Pending)
}

/// Whether a file lies in this directory.
fn is_in(file: &Path, directory: &Path) -> bool {
    let parent = file.canonicalize().ok().and_then(|file| file.parent().map(Path::to_owned));
    parent.is_some() && parent == directory.canonicalize().ok()
}

/// Removes the pending records of an identity that is on this card for certain: those of this card, by all that is known of
/// both. Another card's stay, also if it is a clone.
///
/// # Errors
/// If one stays.
pub fn remove_pending(directory: &Path, card: &CardKey, uuid: Uuid) -> Result<()> {
    for path in pending_paths(directory) {
        let Ok(record) = Record::read(&path) else { continue };
        let is_own = record.purpose == Purpose::Pending
            && record.card == *card
            && record.identity.is_some_and(|identity| identity.uuid() == uuid);
        if is_own {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Files in the place for records that may be pending ones, by name.
fn pending_paths(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let is_record = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_other = [RETIRED, given::PREFIX, "."].iter().any(|start| name.starts_with(start));
        name.ends_with(".json") && !is_other
    };
    paths.retain(is_record);
    paths.sort();
    paths
}

/// A number for a mark.
pub fn new_number() -> u128 {
    Uuid::new_v4().as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity_core::Draft;
    use identity_core::field::kind;

    pub fn record(uuid: u128, cid: Option<&str>) -> Record {
        let mut draft = Draft::new(Uuid::from_u128(uuid)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        draft.set_generation(7);
        let card = CardKey { path: "/dev/sdx".into(), sectors: 1000, cid: cid.map(str::to_owned) };
        Record::pending(&draft.finish().unwrap(), [52, 6607], card, 5, "x.img")
    }

    #[test]
    fn there_and_back() {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().join("deep/identity");
        let written = record(1, Some("aa"));
        let path = written.write(&directory).unwrap();
        assert_eq!(Record::read(&path).unwrap(), written);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);

        let text = fs::read_to_string(&path).unwrap();
        for bad in [&text[..100], &text.replace("\"lba\": 52", "\"lba\": 53"), "[]", ""] {
            assert!(Record::parse(bad).is_err());
        }
        remove(&path).unwrap();
        assert!(Record::read(&path).is_err());
    }

    #[test]
    fn only_its_owner_reads_it_and_no_link_is_followed() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let state = tempfile::tempdir().unwrap();
        let written = record(1, None);
        let victim = state.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        symlink(&victim, state.path().join(format!(".{}.part", written.file_name()))).unwrap();
        let path = written.write(state.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        let link = state.path().join("link.json");
        symlink(&path, &link).unwrap();
        assert!(Record::read(&link).is_err());
    }
}
