// SPDX-License-Identifier: MIT OR Apache-2.0
//! The golden sectors: as generated, as identity-core reads and writes them, as a second implementation reads them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, str};

use identity_core::copy::{self, NotACopy, StoredCopy};
use identity_core::field::{FieldsError, ValueError, kind, name};
use identity_core::mac::MacError;
use identity_core::text::TextError;
use identity_core::{Draft, Identity, Mac, SECTOR_LEN, Uuid, derive};
use identity_fixtures::sectors::{self, AssignedMac, Decoded, Defect, Entry, Index, Newer, Outcome, Unknown};
use identity_tests::{run_where_installed, workspace};
use serde_json::Value;

fn directory() -> PathBuf {
    workspace().join("fixtures/sectors")
}

fn index_text() -> String {
    fs::read_to_string(directory().join("sectors.json")).unwrap()
}

/// What is committed, not what the generator makes.
fn committed() -> Vec<(Entry, [u8; SECTOR_LEN])> {
    let index: Index = serde_json::from_str(&index_text()).unwrap();
    let read = |entry: Entry| {
        let bytes = fs::read(directory().join(&entry.file)).unwrap();
        (entry, bytes.try_into().expect("512 bytes"))
    };
    index.sectors.into_iter().map(read).collect()
}

#[test]
fn committed_is_what_the_generator_makes() {
    const HOW: &str = "run `cargo run -p identity-fixtures --bin make-sectors`";
    let all = sectors::all();
    assert!(index_text() == sectors::index(&all), "fixtures/sectors/sectors.json differs: {HOW}");
    let mut expected = BTreeSet::from(["sectors.json".to_owned()]);
    for golden in &all {
        let bytes = fs::read(directory().join(&golden.entry.file)).unwrap_or_default();
        assert!(bytes == golden.bytes, "{} differs: {HOW}", golden.entry.file);
        assert!(expected.insert(golden.entry.file.clone()), "{} is there twice", golden.entry.file);
    }
    let found = fs::read_dir(directory()).unwrap();
    let found: BTreeSet<_> = found.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, expected);
}

#[test]
fn core_says_what_is_expected() {
    for (entry, bytes) in committed() {
        let parsed = StoredCopy::parse(&bytes, entry.lba);
        assert_eq!(outcome(parsed), entry.outcome, "{}: {}", entry.file, entry.about);
    }
}

fn outcome(parsed: Result<StoredCopy<'_>, NotACopy>) -> Outcome {
    match parsed {
        Ok(copy) => Outcome::Valid { identity: decoded(&copy).into() },
        Err(NotACopy::Blank) => Outcome::Blank,
        Err(NotACopy::Foreign) => Outcome::Foreign { written_for: None },
        Err(NotACopy::Misplaced { own_lba }) => Outcome::Foreign { written_for: Some(own_lba) },
        Err(NotACopy::Corrupt(defect)) => Outcome::Corrupt(self::defect(defect)),
        Err(NotACopy::Newer(copy::Newer::Version(version))) => Outcome::Newer(Newer::Version(version)),
        Err(NotACopy::Newer(copy::Newer::Field(kind))) => Outcome::Newer(Newer::Field(kind)),
    }
}

fn defect(defect: copy::Defect) -> Defect {
    match defect {
        copy::Defect::HeaderLen { .. } => Defect::HeaderLen,
        copy::Defect::Crc { .. } => Defect::Crc,
        copy::Defect::Header => Defect::Header,
        copy::Defect::Fields(FieldsError::Truncated { offset }) => Defect::Truncated { offset },
        copy::Defect::Fields(FieldsError::Order { kind }) => Defect::Order { field: kind },
        copy::Defect::Fields(FieldsError::Value { kind, .. }) => Defect::Value { field: kind },
        copy::Defect::Fields(FieldsError::NoProfile) => Defect::NoProfile,
        copy::Defect::Fields(FieldsError::Critical { kind }) => {
            panic!("critical type {kind} must be reported as newer")
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decoded(copy: &StoredCopy<'_>) -> Decoded {
    let (identity, fields) = (copy.identity(), copy.fields());
    let unknown = fields.iter().filter(|field| name(field.kind).is_none());
    Decoded {
        own_lba: copy.own_lba(),
        peer_lba: copy.peer_lba(),
        generation: identity.generation(),
        uuid: identity.uuid().to_string(),
        profile: identity.profile().into(),
        hostname: identity.hostname().map(Into::into),
        serial: identity.serial().map(Into::into),
        assigned_macs: fields
            .macs()
            .map(|(index, mac)| AssignedMac { index, address: mac.to_string() })
            .collect(),
        variables: fields.variables().map(|(key, value)| (key.into(), value.into())).collect(),
        card: fields.card().map(|cid| hex(&cid)),
        board: fields.text(kind::BOARD).map(Into::into),
        unknown: unknown.map(|field| Unknown { kind: field.kind, value: hex(field.value) }).collect(),
        derived_macs: [0, 1, 2, 3].map(|index| derive::mac(identity.uuid(), index).to_string()),
        machine_id: derive::machine_id(identity.uuid()).as_simple().to_string(),
    }
}

/// An identity made of the expected values in the order opposite to the one on the card.
fn drafted(identity: &Decoded) -> Identity {
    let mut draft = Draft::new(Uuid::parse_str(&identity.uuid).unwrap()).unwrap();
    draft.set_generation(identity.generation);
    if let Some(board) = &identity.board {
        draft.set_text(kind::BOARD, board).unwrap();
    }
    if let Some(card) = &identity.card {
        let digits: Vec<_> = card.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap()).collect();
        let mut cid: Vec<_> = digits.iter().map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        // The card's own CID, with its CRC byte.
        cid[15] = 0x77;
        draft.set_card(cid.try_into().unwrap()).unwrap();
    }
    for (key, value) in identity.variables.iter().rev() {
        draft.set_variable(key, value).unwrap();
    }
    for mac in identity.assigned_macs.iter().rev() {
        draft.set_mac(mac.index, mac.address.parse::<Mac>().unwrap()).unwrap();
    }
    if let Some(serial) = &identity.serial {
        draft.set_text(kind::SERIAL, serial).unwrap();
    }
    if let Some(hostname) = &identity.hostname {
        draft.set_text(kind::HOSTNAME, hostname).unwrap();
    }
    draft.set_text(kind::PROFILE, &identity.profile).unwrap();
    draft.finish().unwrap()
}

#[test]
fn core_writes_the_same_bytes() {
    for (entry, bytes) in committed() {
        let Outcome::Valid { identity } = &entry.outcome else { continue };
        let again = StoredCopy::parse(&bytes, entry.lba).unwrap().identity();
        assert_eq!(
            again.encode(identity.own_lba, identity.peer_lba),
            bytes,
            "{} read and written",
            entry.file
        );
        if identity.unknown.is_empty() {
            let made = drafted(identity).encode(identity.own_lba, identity.peer_lba);
            assert_eq!(made, bytes, "{} made of its values", entry.file);
        }
    }
}

#[test]
fn full_is_full() {
    let bytes = fs::read(directory().join("valid-full.bin")).unwrap();
    assert_eq!(bytes[28..30], 462_u16.to_le_bytes());
    assert_ne!(bytes[509], 0);
}

#[test]
fn every_kind_of_damage_is_there() {
    let mut seen = BTreeSet::new();
    for (entry, bytes) in committed() {
        seen.extend(match StoredCopy::parse(&bytes, entry.lba) {
            Ok(_) => vec!["valid"],
            Err(NotACopy::Blank) => vec!["blank"],
            Err(NotACopy::Foreign) => vec!["foreign"],
            Err(NotACopy::Misplaced { .. }) => vec!["own LBA"],
            Err(NotACopy::Newer(copy::Newer::Version(_))) => vec!["version"],
            Err(NotACopy::Newer(copy::Newer::Field(_))) => vec!["critical"],
            Err(NotACopy::Corrupt(defect)) => damage(defect),
        });
    }
    // A new variant fails to compile in `damage`; it is then to be added here and to the golden sectors.
    let all = BTreeSet::from([
        "valid",
        "blank",
        "foreign",
        "version",
        "critical",
        "header length",
        "crc",
        "own LBA",
        "header",
        "truncated",
        "order",
        "no profile",
        "mac zero",
        "mac multicast",
        "length",
        "no equals sign",
        "cid",
        "text empty",
        "text too long",
        "text byte",
        "text not UTF-8",
    ]);
    assert_eq!(seen, all);
}

fn damage(defect: copy::Defect) -> Vec<&'static str> {
    vec![match defect {
        copy::Defect::HeaderLen { .. } => "header length",
        copy::Defect::Crc { .. } => "crc",
        copy::Defect::Header => "header",
        copy::Defect::Fields(FieldsError::Truncated { .. }) => "truncated",
        copy::Defect::Fields(FieldsError::Order { .. }) => "order",
        copy::Defect::Fields(FieldsError::NoProfile) => "no profile",
        copy::Defect::Fields(FieldsError::Critical { .. }) => "critical as a defect",
        copy::Defect::Fields(FieldsError::Value { error, .. }) => match error {
            ValueError::Mac(MacError::Zero) => "mac zero",
            ValueError::Mac(MacError::Multicast) => "mac multicast",
            ValueError::Mac(MacError::Syntax) => "mac syntax in bytes",
            ValueError::Length { .. } => "length",
            ValueError::NoEqualsSign => "no equals sign",
            ValueError::Cid => "cid",
            ValueError::Text(TextError::Empty) => "text empty",
            ValueError::Text(TextError::TooLong { .. }) => "text too long",
            ValueError::Text(TextError::Byte { .. }) => "text byte",
            ValueError::Text(TextError::NotUtf8) => "text not UTF-8",
        },
    }]
}

/// `fixtures/read_sector.py` was written from `docs/FORMAT.md` alone: where it agrees, the document is complete.
#[test]
fn second_implementation_agrees() {
    let index: Value = serde_json::from_str(&index_text()).unwrap();
    let entries = index["sectors"].as_array().unwrap();
    let mut python = Command::new("python3");
    python.current_dir(directory()).arg(Path::new("../read_sector.py"));
    for entry in entries {
        python.args([entry["file"].as_str().unwrap(), &entry["lba"].to_string()]);
    }
    let Some(output) = run_where_installed(&mut python) else { return };
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), entries.len());
    for (entry, line) in entries.iter().zip(lines) {
        let mut expected = entry.as_object().unwrap().clone();
        for key in ["file", "about", "lba"] {
            expected.remove(key);
        }
        let said: Value = serde_json::from_str(line).unwrap();
        assert_eq!(said, Value::Object(expected), "{}", entry["file"]);
    }
}
