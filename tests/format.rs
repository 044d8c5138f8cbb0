// SPDX-License-Identifier: MIT OR Apache-2.0
//! `docs/FORMAT.md` against the code: its tables, its example, its commands, its claims.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crc::{CRC_32_ISCSI, Crc};
use identity_core::copy::{Defect, NotACopy, StoredCopy};
use identity_core::field::{CRITICAL_BIT, FIELD_HEADER_LEN, Fields, FieldsError, ValueError, kind, name};
use identity_core::search::{Condition, Reading};
use identity_core::sector::{self, FIELDS_CAPACITY, HEADER_LEN, MAGIC, SECTOR_LEN, VERSION, offset};
use identity_core::slot::READING_ORDER;
use identity_core::text::{NAME_LEN_MAX, VALUE_LEN_MAX};
use identity_core::{Draft, Search, State, Uuid, derive};
use identity_fixtures::sectors::{self, Outcome, vectors};
use identity_tests::{run_where_installed, workspace};
use serde::Deserialize;

fn document() -> String {
    fs::read_to_string(workspace().join("docs/FORMAT.md")).unwrap()
}

/// The rows of the table with these column heads, each cell as in the document.
fn table(head: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split(" |").map(|cell| cell.trim_matches(['|', ' ']).to_owned()).collect()
    };
    let document = document();
    let mut heads = document.lines().enumerate().filter(|(_, line)| *line == head);
    let (at, _) = heads.next().unwrap_or_else(|| panic!("no table `{head}`"));
    assert_eq!(heads.next(), None, "two tables `{head}`");
    document.lines().skip(at + 2).take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// The first cell of each row, without backticks.
fn names(head: &str, column: usize) -> Vec<String> {
    table(head).iter().map(|row| row[column].trim_matches('`').to_owned()).collect()
}

fn number(text: &str) -> usize {
    text.strip_prefix("0x").map_or_else(|| text.parse(), |digits| usize::from_str_radix(digits, 16)).unwrap()
}

/// The number behind `before` and in front of `after`.
fn number_in(text: &str, before: &str, after: &str) -> usize {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no `{before}`"));
    rest.split_once(after).unwrap_or_else(|| panic!("no `{after}`")).0.parse().unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.chars().filter(char::is_ascii_hexdigit).collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn spaced(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

const HEADER: &str = "| Offset | Size | Name | Rule in version 1 |";

#[test]
fn header_table() {
    let rows = table(HEADER);
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row[2].trim_matches('`').to_owned(), number(&row[0]), number(&row[1])))
        .collect();
    let end = |from: usize, to: usize| to - from;
    let expected = [
        ("magic", offset::MAGIC, MAGIC.len()),
        ("crc", offset::CRC, end(offset::CRC, offset::HEADER_LEN)),
        ("header_len", offset::HEADER_LEN, end(offset::HEADER_LEN, offset::VERSION)),
        ("version", offset::VERSION, end(offset::VERSION, offset::OWN_LBA)),
        ("own_lba", offset::OWN_LBA, end(offset::OWN_LBA, offset::PEER_LBA)),
        ("peer_lba", offset::PEER_LBA, end(offset::PEER_LBA, offset::GENERATION)),
        ("generation", offset::GENERATION, end(offset::GENERATION, offset::FIELDS_LEN)),
        ("fields_len", offset::FIELDS_LEN, end(offset::FIELDS_LEN, offset::RESERVED)),
        ("reserved", offset::RESERVED, end(offset::RESERVED, offset::UUID)),
        ("uuid", offset::UUID, end(offset::UUID, offset::FIELDS)),
        ("fields", offset::FIELDS, FIELDS_CAPACITY),
        ("trailer", offset::TRAILER, sector::TRAILER_LEN),
    ]
    .map(|(name, at, len)| (name.to_owned(), at, len));
    assert_eq!(found, expected);
    assert_eq!(expected.iter().map(|(_, _, len)| len).sum::<usize>(), SECTOR_LEN);

    let rule = |name: &str| rows.iter().find(|row| row[2].trim_matches('`') == name).unwrap()[3].clone();
    assert!(rule("magic").starts_with(&format!("`{}`:", spaced(&MAGIC))));
    assert!(rule("header_len").starts_with(&format!("{HEADER_LEN}:")));
    assert_eq!(rule("version"), VERSION.to_string());
    assert!(rule("fields_len").ends_with(&format!("0 to {FIELDS_CAPACITY}")));
    assert!(rule("crc").contains(&format!("the other {} bytes", SECTOR_LEN - 4)));
}

#[test]
fn header_lengths_of_all_versions() {
    let document = document();
    let low = number_in(&document, "`header_len` is at least ", " and at most ");
    let high = number_in(&document, &format!("`header_len` is at least {low} and at most "), " |");
    assert!(document.contains(&format!("`header_len` may then be {low} to {high}")));
    for (len, possible) in [(low - 1, false), (low, true), (high, true), (high + 1, false)] {
        let mut sector = example();
        sector[offset::HEADER_LEN..offset::VERSION].copy_from_slice(&(len as u16).to_le_bytes());
        let error = StoredCopy::parse(&sector, 52).unwrap_err();
        let refused = error == NotACopy::Corrupt(Defect::HeaderLen { found: len as u16 });
        assert_eq!(refused, !possible, "{len}");
    }
}

#[test]
fn checksum_table() {
    let rows: BTreeMap<_, _> =
        table("| Parameter | Value |").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let algorithm = &CRC_32_ISCSI;
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let check = format!("{:#010x}, over the nine ASCII bytes `123456789`", algorithm.check);
    for (name, value) in [
        ("Width", algorithm.width.to_string()),
        ("Polynomial", format!("{:#010x}", algorithm.poly)),
        ("Initial value", format!("{:#010x}", algorithm.init)),
        ("Input reflected", yes(algorithm.refin)),
        ("Output reflected", yes(algorithm.refout)),
        ("Final XOR", format!("{:#010x}", algorithm.xorout)),
        ("Check value", check),
        ("Residue", format!("{:#010x}", algorithm.residue)),
    ] {
        assert_eq!(rows[name], value, "{name}");
    }
    assert!(document().contains(&format!("{:#x}", algorithm.poly.reverse_bits())));
    for vector in vectors().crc {
        let data = bytes(&vector.bytes);
        let expected = u32::from_str_radix(&vector.crc, 16).unwrap();
        assert_eq!(Crc::<u32>::new(algorithm).checksum(&data), expected, "{}", vector.about);
        assert_eq!(sectors::crc32c(data), expected, "{}", vector.about);
    }
}

fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind, u8::try_from(value.len()).unwrap()], value].concat()
}

/// Some value of that length that is good unless the length is wrong.
fn filled(kind: u8, len: usize) -> Vec<u8> {
    match kind {
        kind::VARIABLE => {
            let key = "k".repeat(len.saturating_sub(1 + VALUE_LEN_MAX).max(1));
            let mut value = format!("{key}=").into_bytes();
            value.resize(len.max(1), b'v');
            value
        }
        kind::MAC => [[0, 2].as_slice(), &[3; 255]].concat()[..len].to_vec(),
        kind::CARD => [vec![1; len - 1], vec![0]].concat(),
        _ => vec![b'a'; len],
    }
}

/// The value's error of a field that stands behind a profile, if need be.
fn check(kind: u8, value: &[u8]) -> Result<(), ValueError> {
    let mut fields = if kind == kind::PROFILE { vec![] } else { field(kind::PROFILE, b"p") };
    fields.extend(field(kind, value));
    match Fields::check(&fields) {
        Ok(_) => Ok(()),
        Err(FieldsError::Value { kind: found, error }) if found == kind => Err(error),
        Err(error) => panic!("{error:?}"),
    }
}

const TYPES: &str = "| Type | Name | Length | How often | Value |";

#[test]
fn field_table() {
    let rows = table(TYPES);
    let found: Vec<_> = rows.iter().map(|row| (number(&row[0]) as u8, row[1].as_str())).collect();
    let constants =
        [kind::PROFILE, kind::HOSTNAME, kind::SERIAL, kind::MAC, kind::VARIABLE, kind::CARD, kind::BOARD];
    assert_eq!(found, constants.map(|kind| (kind, name(kind).unwrap())));
    let known = (0..=u8::MAX).filter(|&kind| name(kind).is_some());
    assert!(known.eq(constants), "a type is missing in the table");

    for row in rows {
        let kind = number(&row[0]) as u8;
        let (low, high) = row[2].split_once('–').unwrap_or((&row[2], &row[2]));
        let (low, high) = (number(low), number(high));
        for len in [low, high] {
            assert_eq!(check(kind, &filled(kind, len)), Ok(()), "{} of {len} bytes", row[1]);
        }
        for len in [low - 1, high + 1].into_iter().filter(|&len| len <= 255) {
            assert!(check(kind, &filled(kind, len)).is_err(), "{} of {len} bytes", row[1]);
        }

        let value = filled(kind, high);
        let rest = if kind == kind::PROFILE { vec![] } else { field(kind::PROFILE, b"p") };
        let twice = [rest.clone(), field(kind, &value), field(kind, &value)].concat();
        assert_eq!(Fields::check(&twice), Err(FieldsError::Order { kind }), "{} twice", row[1]);
        assert_eq!(row[3] == "once", Fields::check(&rest) == Err(FieldsError::NoProfile), "{}", row[1]);
        let mut next = value.clone();
        next[0] += 1;
        let two = [rest, field(kind, &value), field(kind, &next)].concat();
        assert_eq!(row[3].contains(" per "), Fields::check(&two).is_ok(), "two fields {}", row[1]);
    }
}

#[test]
fn unknown_types() {
    let rows = table("| Type | Meaning | A reader that does not know it |");
    let ranges: Vec<_> = rows
        .iter()
        .map(|row| {
            let (low, high) = row[0].split_once('–').unwrap_or((&row[0], &row[0]));
            (number(low)..=number(high), row[2].split([' ', ';']).next().unwrap().to_owned())
        })
        .collect();
    for kind in (0..=u8::MAX).filter(|&kind| name(kind).is_none()) {
        let mut all = ranges.iter().filter(|(range, _)| range.contains(&kind.into()));
        let (_, says) = all.next().unwrap_or_else(|| panic!("type {kind:#x} is in no range"));
        assert!(all.next().is_none());
        let fields = [field(kind::PROFILE, b"p"), field(kind, b"?")].concat();
        let does = match Fields::check(&fields) {
            Ok(_) => "skips",
            Err(FieldsError::Critical { .. }) => "reports",
            Err(FieldsError::Order { .. }) => "finds",
            error => panic!("{error:?}"),
        };
        assert_eq!(does, says, "type {kind:#x}");
        assert_eq!(says == "reports", kind & CRITICAL_BIT != 0);
    }
}

#[test]
fn field_header() {
    let rows = table("| Offset | Size | Name | |");
    assert_eq!(rows.iter().map(|row| row[2].as_str()).collect::<Vec<_>>(), ["type", "length", "value"]);
    assert_eq!(number(&rows[2][0]), FIELD_HEADER_LEN);
}

#[test]
fn text_limits() {
    let document = document();
    for rule in ["profile  = alnum *", "key      = lower *"] {
        assert_eq!(number_in(&document, rule, "(") + 1, NAME_LEN_MAX, "{rule}");
    }
    assert_eq!(number_in(&document, "serial   = 1*", "("), NAME_LEN_MAX);
    assert_eq!(number_in(&document, "; at most ", " bytes in all"), NAME_LEN_MAX);
    assert_eq!(
        number_in(&document, "*character                                    ; at most ", " bytes of UTF-8"),
        VALUE_LEN_MAX
    );
    assert!(document.contains(&format!("The limit of a value is {VALUE_LEN_MAX} bytes")));
}

#[test]
fn slot_table() {
    let rows = table("| Position | LBA | Group |");
    let found: Vec<_> = rows.iter().map(|row| (number(&row[0]), number(&row[1]), row[2].clone())).collect();
    let slots = READING_ORDER.iter().zip(1..);
    let expected: Vec<_> = slots
        .map(|(slot, position)| (position, slot.lba as usize, slot.group.letter().to_string()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn names_of_states_conditions_and_defects() {
    let conditions = [
        Condition::Absent,
        Condition::Blank,
        Condition::Foreign,
        Condition::Valid,
        Condition::Corrupt,
        Condition::Newer,
        Condition::Unreadable,
    ];
    assert_eq!(names("| Condition | Meaning |", 0), conditions.map(Condition::name));

    let states: BTreeSet<_> = names("| Step | If | State |", 2).into_iter().collect();
    assert_eq!(states, State::ALL.map(|state| state.name().to_owned()).into());

    let defects: BTreeSet<_> =
        names("| Step | Check | Outcome if it fails | Defect |", 3).into_iter().collect();
    let index: serde_json::Value = serde_json::from_str(&sectors::index(&sectors::all())).unwrap();
    let used = index["sectors"].as_array().unwrap().iter();
    let used: BTreeSet<_> = used.map(|entry| entry["defect"].as_str().unwrap_or("").to_owned()).collect();
    assert_eq!(defects, used);
}

#[test]
fn search_ends_where_the_document_says() {
    let most = number_in(&document(), "repeat at most ", " times:");
    let mut search = Search::new(Some(100));
    let mut looked = 0;
    while let Some(lba) = search.next() {
        // Each copy names a place that nobody has looked at.
        let sector = minimal().encode(lba, 1_000_000 + lba);
        search.give(lba, Reading::Sector(StoredCopy::parse(&sector, lba))).unwrap();
        looked += 1;
    }
    assert_eq!(looked, most);
}

fn minimal() -> identity_core::Identity {
    let mut draft = Draft::new(Uuid::from_u128(1)).unwrap();
    draft.set_text(kind::PROFILE, "p").unwrap();
    draft.finish().unwrap()
}

/// The sector of the worked example, as committed.
fn example() -> [u8; SECTOR_LEN] {
    let document = document();
    let (_, rest) = document.split_once("```hexdump ").unwrap();
    let path = rest.lines().next().unwrap();
    fs::read(workspace().join(path)).unwrap().try_into().unwrap()
}

#[test]
fn hexdump_is_the_golden_sector() {
    let document = document();
    let (_, rest) = document.split_once("```hexdump ").unwrap();
    let (_, dump) = rest.split_once('\n').unwrap();
    let (dump, _) = dump.split_once("```").unwrap();
    assert_eq!(dump, hexdump(&example()));
}

/// As `hexdump -C` prints it.
fn hexdump(bytes: &[u8]) -> String {
    let mut dump = String::new();
    let mut previous = None;
    for (at, line) in (0..).step_by(16).zip(bytes.chunks(16)) {
        if previous == Some(line) {
            if !dump.ends_with("*\n") {
                dump.push_str("*\n");
            }
            continue;
        }
        previous = Some(line);
        let printable = |&byte: &u8| if byte == b' ' || byte.is_ascii_graphic() { byte.into() } else { '.' };
        let text: String = line.iter().map(printable).collect();
        dump.push_str(&format!("{at:08x}  {}  {}  |{text}|\n", spaced(&line[..8]), spaced(&line[8..])));
    }
    dump + &format!("{:08x}\n", bytes.len())
}

#[test]
fn every_byte_is_explained() {
    let sector = example();
    let mut at = 0;
    for row in table("| At | Bytes | Meaning |") {
        assert_eq!(number(&row[0]), at, "{row:?}");
        let (_, hex) = row[1].split_once('`').unwrap();
        let (hex, times) = hex.split_once('`').unwrap();
        let times = times.strip_prefix(" × ").map_or(1, number);
        let explained = bytes(hex).repeat(times);
        assert_eq!(sector[at..at + explained.len()], explained, "{row:?}");
        at += explained.len();
    }
    assert_eq!(at, SECTOR_LEN);

    let copy = StoredCopy::parse(&sector, 52).unwrap();
    let identity = copy.identity();
    let sentence = format!(
        "Interface 0 has no MAC field, so its address is derived: `{}`. Interface 1 has the assigned `{}`.",
        identity.mac(0).0,
        identity.mac(1).0
    );
    assert!(document().contains(&sentence), "{sentence}");
    let crc = u32::from_le_bytes(sector[8..12].try_into().unwrap());
    assert!(document().contains(&format!("`crc`: {crc:#010x}")));
}

#[test]
fn commands_print_what_the_document_says() {
    let document = document();
    let lines: Vec<_> = document.lines().collect();
    let mut run = 0;
    for pair in lines.windows(2) {
        let Some(command) = pair[0].strip_prefix("    $ ") else { continue };
        run += 1;
        let program = command.split(' ').next().unwrap();
        if run_where_installed(Command::new(program).arg("--version")).is_none() {
            continue;
        }
        let output = run_where_installed(Command::new("sh").args(["-c", command])).unwrap();
        assert_eq!(output.trim(), pair[1].trim(), "{command}");
    }
    assert_eq!(run, 2);
}

#[test]
fn derived_values_are_the_vectors() {
    for vector in vectors().derivation {
        let uuid = Uuid::parse_str(&vector.uuid).unwrap();
        assert_eq!(derive::machine_id(uuid).as_simple().to_string(), vector.machine_id);
        for interface in vector.interfaces {
            assert_eq!(
                derive::mac(uuid, interface.index).to_string(),
                interface.mac,
                "{uuid} {}",
                interface.index
            );
            let mut first: Vec<_> = Uuid::parse_str(&interface.uuid5).unwrap().as_bytes()[..6].to_vec();
            first[0] = first[0] & 0xfe | 0x02;
            assert_eq!(bytes(&interface.mac), first);
        }
    }
}

#[test]
fn uuidgen_makes_the_vectors() {
    for vector in vectors().derivation {
        let uuid5 = |name: &str| {
            let arguments = ["--sha1", "--namespace", &vector.uuid, "--name", name];
            Some(run_where_installed(Command::new("uuidgen").args(arguments))?.trim().to_owned())
        };
        for interface in &vector.interfaces {
            let Some(made) = uuid5(&format!("ethernet/{}", interface.index)) else { return };
            assert_eq!(made, interface.uuid5);
        }
        assert_eq!(uuid5("machine-id").unwrap().replace('-', ""), vector.machine_id);
    }
}

#[test]
fn python_makes_the_vectors() {
    const PROGRAM: &str = "import sys, uuid
for namespace, name in zip(sys.argv[1::2], sys.argv[2::2]): print(uuid.uuid5(uuid.UUID(namespace), name))";
    let mut python = Command::new("python3");
    python.args(["-c", PROGRAM]);
    let mut expected = vec![];
    for vector in vectors().derivation {
        for interface in vector.interfaces {
            python.args([&vector.uuid, &format!("ethernet/{}", interface.index)]);
            expected.push(interface.uuid5);
        }
        python.args([&vector.uuid, "machine-id"]);
        expected.push(Uuid::parse_str(&vector.machine_id).unwrap().to_string());
    }
    let Some(output) = run_where_installed(&mut python) else { return };
    assert_eq!(output.lines().collect::<Vec<_>>(), expected);
}

#[derive(Deserialize)]
struct BootMagics {
    magics: Vec<BootMagic>,
}

#[derive(Deserialize)]
struct BootMagic {
    name: String,
    /// `None`: anywhere in the sector.
    offset: Option<usize>,
    bytes: String,
    excluded: Excluded,
    #[serde(default)]
    only: Vec<Place>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Excluded {
    Bytes,
    Only,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Place {
    Lba(u32),
    Partition(String),
}

/// The bytes that are the same in every copy in a slot.
fn fixed_bytes() -> [Option<u8>; SECTOR_LEN] {
    let mut fixed = [None; SECTOR_LEN];
    let mut fix = |at: usize, bytes: &[u8]| {
        for (fixed, &byte) in fixed[at..].iter_mut().zip(bytes) {
            *fixed = Some(byte);
        }
    };
    fix(offset::MAGIC, &MAGIC);
    fix(offset::HEADER_LEN, &HEADER_LEN.to_le_bytes());
    fix(offset::VERSION, &VERSION.to_le_bytes());
    assert!(READING_ORDER.iter().all(|slot| slot.lba <= 0xffff));
    fix(offset::OWN_LBA + 2, &[0, 0]);
    fix(offset::PEER_LBA + 2, &[0, 0]);
    fix(offset::RESERVED, &[0, 0]);
    // The profile is required, and its type is the lowest.
    fix(offset::FIELDS, &[kind::PROFILE]);
    fix(offset::TRAILER, &[0, 0]);
    fixed
}

fn valid_goldens() -> Vec<(String, [u8; SECTOR_LEN])> {
    let valid = |golden: &sectors::Golden| matches!(golden.entry.outcome, Outcome::Valid { .. });
    let all = sectors::all().into_iter().filter(valid);
    all.map(|golden| (golden.entry.file, golden.bytes)).collect()
}

#[test]
fn fixed_bytes_are_fixed() {
    let fixed = fixed_bytes();
    let slots = READING_ORDER.map(|slot| slot.lba);
    let mut seen = 0;
    for (file, bytes) in valid_goldens() {
        if !slots.contains(&StoredCopy::parse(&bytes, 52).map_or(0, |copy| copy.own_lba())) {
            continue;
        }
        seen += 1;
        for (at, fixed) in fixed.iter().enumerate() {
            assert!(fixed.is_none_or(|byte| byte == bytes[at]), "{file}: byte {at}");
        }
    }
    assert!(seen > 10);
}

#[test]
fn no_copy_looks_like_a_boot_image() {
    let text = fs::read_to_string(workspace().join("fixtures/boot-magics.json")).unwrap();
    let magics: BootMagics = serde_json::from_str(&text).unwrap();
    let fixed = fixed_bytes();
    let goldens = valid_goldens();
    assert!(magics.magics.len() > 40);
    for magic in magics.magics {
        let wanted = bytes(&magic.bytes);
        let places: Vec<_> = match magic.offset {
            Some(offset) => vec![offset % SECTOR_LEN],
            None => (0..=SECTOR_LEN - wanted.len()).collect(),
        };
        let contradicts = |at: usize| {
            wanted.iter().zip(&fixed[at..]).any(|(byte, fixed)| fixed.is_some_and(|fixed| fixed != *byte))
        };
        let by_bytes = places.iter().all(|&at| contradicts(at));
        let expected = if by_bytes { Excluded::Bytes } else { Excluded::Only };
        assert_eq!(magic.excluded, expected, "{}", magic.name);
        assert_eq!(magic.only.is_empty(), by_bytes, "{}", magic.name);
        for place in &magic.only {
            match place {
                Place::Lba(lba) => {
                    assert!(READING_ORDER.iter().all(|slot| slot.lba != *lba), "{}", magic.name)
                }
                Place::Partition(word) => assert_eq!(word, "partition"),
            }
        }
        for (file, bytes) in &goldens {
            assert!(!places.iter().any(|&at| bytes[at..].starts_with(&wanted)), "{file}: {}", magic.name);
        }
    }
}
