// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record on the host: the identity of a card that is being written, until the flash has been proved.
//!
//! It is the third copy: a card's two share one flash chip, and with a bad chip both may go.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use identity_core::{Copy, Identity, Uuid};
use serde::{Deserialize, Serialize};

use super::digest::from_hex;
use crate::device::SECTOR_LEN;
use crate::error::{Error, Result};
use crate::view::View;

/// Version of the file format.
const VERSION: u32 = 1;
/// Longest record that is read, in bytes.
const LEN_MAX: u64 = 64 << 10;

/// What tells a card from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardKey {
    /// Where it was, without symbolic links.
    pub path: PathBuf,
    /// Its length.
    pub sectors: u64,
    /// Its CID in hex, where the host tells.
    pub cid: Option<String>,
}

/// A record.
#[derive(Clone, Debug)]
pub struct Record {
    /// The identity.
    pub identity: Identity,
    /// The card that had it, or was getting it.
    pub card: CardKey,
}

/// A record as it lies in its file.
#[derive(Serialize, Deserialize)]
struct Stored {
    record: u32,
    /// For people; what counts is the sector.
    #[serde(skip_deserializing)]
    identity: Option<View>,
    card: CardKey,
    image: Option<String>,
    /// Where the copy belongs.
    lba: u32,
    /// The copy, in hex.
    sector: String,
}

/// Where records are kept: `$XDG_STATE_HOME/identity`, else `/var/lib/identity` for root and
/// `~/.local/state/identity` for others.
///
/// # Errors
/// Exit 7 if there is no such place.
pub fn directory() -> Result<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(state) = absolute("XDG_STATE_HOME") {
        return Ok(state.join("identity"));
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/identity"));
    }
    let home = absolute("HOME").ok_or_else(|| {
        Error::device(
            "neither XDG_STATE_HOME nor HOME says where a record of the identity can be kept; set one",
        )
    })?;
    Ok(home.join(".local/state/identity"))
}

/// Where the record of this identity is, in `directory`.
pub fn path_of(directory: &Path, uuid: Uuid) -> PathBuf {
    directory.join(format!("{uuid}.json"))
}

impl Record {
    /// Writes it, so that it is whole or not there, and survives a power cut. Returns where it is.
    ///
    /// # Errors
    /// Exit 7 if it cannot be written.
    pub fn write(&self, directory: &Path, lbas: [u32; 2], image: &str) -> Result<PathBuf> {
        let path = path_of(directory, self.identity.uuid());
        let [lba, peer_lba] = lbas;
        let sector = self.identity.encode(lba, peer_lba);
        let stored = Stored {
            record: VERSION,
            identity: Some(View::of_recorded(&self.identity)),
            card: self.card.clone(),
            image: Some(image.to_owned()),
            lba,
            sector: sector.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        let write = || -> io::Result<()> {
            fs::create_dir_all(directory)?;
            // Always the same name, so that what a killed run leaves is taken away by the next one.
            let part = directory.join(format!(".{}.part", self.identity.uuid()));
            let mut file = File::create(&part)?;
            serde_json::to_writer_pretty(&mut file, &stored)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            File::open(directory)?.sync_all()
        };
        write().map_err(|error| Error::io(&path, "write the record of the identity", &error))?;
        Ok(path)
    }

    /// Reads a file that [`Record::write`] wrote.
    ///
    /// # Errors
    /// Exit 7 if it cannot be read, 6 if it is no record.
    pub fn read(path: &Path) -> Result<Self> {
        let mut text = String::new();
        let file = File::open(path).map_err(|error| Error::io(path, "open", &error))?;
        let read = file.take(LEN_MAX).read_to_string(&mut text);
        read.map_err(|error| Error::io(path, "read", &error))?;
        Self::parse(&text)
            .map_err(|reason| Error::refused(format!("{} is no record: {reason}", path.display())))
    }

    /// Reads what stands in such a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let stored: Stored = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if stored.record != VERSION {
            return Err(format!("its version is {}, this program knows {VERSION}", stored.record));
        }
        let sector: Option<[u8; SECTOR_LEN]> =
            from_hex(&stored.sector).and_then(|bytes| bytes.try_into().ok());
        let sector = sector.ok_or("its sector is not 512 bytes in hex")?;
        let copy = Copy::parse(&sector, stored.lba).map_err(|_| "its sector holds no valid copy")?;
        Ok(Self { identity: copy.identity(), card: stored.card })
    }
}

/// Removes a record that is no longer needed; it is as if it had never been there.
///
/// # Errors
/// Exit 7 if it stays.
pub fn remove(path: &Path) -> Result<()> {
    let sync = || path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all());
    fs::remove_file(path).and_then(|()| sync()).map_err(|error| Error::io(path, "remove", &error))
}

/// Removes a record that has been restored, if it is one of ours rather than a copy that somebody keeps elsewhere.
///
/// # Errors
/// Exit 7 if it stays.
pub fn remove_if_kept(file: &Path) -> Result<()> {
    let parent = file.canonicalize().ok().and_then(|file| file.parent().map(Path::to_owned));
    let is_kept = parent.is_some() && parent == directory()?.canonicalize().ok();
    if is_kept { remove(file) } else { Ok(()) }
}

/// Records that may be about a card.
#[derive(Debug, Default)]
pub struct Matches {
    /// About this card: the same CID, or the mark that an unfinished flash left on it.
    pub certain: Vec<(PathBuf, Record)>,
    /// About a card of this size at this place: the same one, or another in the same reader.
    pub possible: Vec<(PathBuf, Record)>,
    /// Not to be read.
    pub broken: Vec<Error>,
}

/// Looks for records about a card; `mark` is what stands in its LBA 0.
pub fn find(directory: &Path, card: &CardKey, mark: Option<Option<Uuid>>) -> Matches {
    let mut matches = Matches::default();
    let Ok(entries) = fs::read_dir(directory) else { return matches };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    for path in paths {
        match Record::read(&path) {
            Err(error) => matches.broken.push(error),
            Ok(record) => match compare(&record, card, mark) {
                Some(true) => matches.certain.push((path, record)),
                Some(false) => matches.possible.push((path, record)),
                None => (),
            },
        }
    }
    matches
}

/// Whether a record is about a card for certain, or possibly, or not.
fn compare(record: &Record, card: &CardKey, mark: Option<Option<Uuid>>) -> Option<bool> {
    if let (Some(one), Some(other)) = (&record.card.cid, &card.cid) {
        return (one == other).then_some(true);
    }
    match mark {
        Some(uuid) => (uuid == Some(record.identity.uuid())).then_some(true),
        None => (record.card.path == card.path && record.card.sectors == card.sectors).then_some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity_core::Draft;
    use identity_core::field::kind;

    fn record(uuid: u128, cid: Option<&str>) -> Record {
        let mut draft = Draft::new(Uuid::from_u128(uuid)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        draft.set_generation(7);
        let card = CardKey { path: "/dev/sdx".into(), sectors: 1000, cid: cid.map(str::to_owned) };
        Record { identity: draft.finish().unwrap(), card }
    }

    #[test]
    fn there_and_back() {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().join("deep/identity");
        let written = record(1, Some("aa"));
        let path = written.write(&directory, [52, 6607], "x.img").unwrap();
        let read = Record::read(&path).unwrap();
        assert_eq!((read.identity, read.card), (written.identity, written.card));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);

        let text = fs::read_to_string(&path).unwrap();
        for bad in [&text[..100], &text.replace("\"lba\": 52", "\"lba\": 53"), "[]", ""] {
            assert!(Record::parse(bad).is_err());
        }
        remove(&path).unwrap();
        assert!(Record::read(&path).is_err());
    }

    #[test]
    fn whose_record() {
        let (uuid, other) = (Some(Some(Uuid::from_u128(1))), Some(Some(Uuid::from_u128(2))));
        let card = |cid: Option<&str>| record(1, cid).card;
        let elsewhere = CardKey { path: "/dev/sdy".into(), ..card(None) };
        for (record_cid, card, mark, result) in [
            (Some("aa"), card(Some("aa")), None, Some(true)),
            (Some("aa"), card(Some("bb")), uuid, None),
            (Some("aa"), card(None), uuid, Some(true)),
            (None, card(None), None, Some(false)),
            (None, card(None), other, None),
            (None, card(None), Some(None), None),
            (None, elsewhere.clone(), None, None),
            (None, elsewhere, uuid, Some(true)),
        ] {
            assert_eq!(
                compare(&record(1, record_cid), &card, mark),
                result,
                "{record_cid:?} {card:?} {mark:?}"
            );
        }
    }
}
