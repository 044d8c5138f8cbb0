// SPDX-License-Identifier: MIT OR Apache-2.0
//! Archives in memory: every way to write one file, and what is none.

use super::*;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write;

/// How an archive is made.
#[derive(Clone, Copy, Default)]
struct Style {
    stored: bool,
    descriptor: bool,
    no_signature: bool,
    zip64: bool,
    flags: u16,
    /// Lengths of eight bytes in the descriptor, although the header has no zip64 field.
    wide: bool,
}

fn header(out: &mut Vec<u8>, name: &str, style: Style, method: u16, [crc, packed, len]: [u32; 3]) {
    let flags = style.flags | if style.descriptor { WITH_DESCRIPTOR } else { 0 };
    let in_header = |value: u32| if style.descriptor { 0 } else { value };
    let short = |value: u32| if style.zip64 { u32::MAX } else { in_header(value) };
    out.extend(LOCAL.to_le_bytes());
    for word in [20, flags, method, 0, 0] {
        out.extend(word.to_le_bytes());
    }
    for word in [in_header(crc), short(packed), short(len)] {
        out.extend(word.to_le_bytes());
    }
    out.extend((name.len() as u16).to_le_bytes());
    out.extend((if style.zip64 { 20_u16 } else { 0 }).to_le_bytes());
    out.extend(name.as_bytes());
    if style.zip64 {
        out.extend([1, 0, 16, 0]);
        out.extend(u64::from(in_header(len)).to_le_bytes());
        out.extend(u64::from(in_header(packed)).to_le_bytes());
    }
}

/// The local part of an archive's file.
fn file(out: &mut Vec<u8>, name: &str, content: &[u8], style: Style) {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    let packed = if style.stored { content.to_vec() } else { encoder.finish().unwrap() };
    let mut crc = Crc::new();
    crc.update(content);
    let numbers = [crc.sum(), packed.len() as u32, content.len() as u32];
    header(out, name, style, if style.stored { 0 } else { 8 }, numbers);
    out.extend(&packed);
    if style.descriptor {
        if !style.no_signature {
            out.extend(DESCRIPTOR.to_le_bytes());
        }
        out.extend(numbers[0].to_le_bytes());
        for number in &numbers[1..] {
            let long = u64::from(*number).to_le_bytes();
            out.extend(&long[..if style.zip64 || style.wide { 8 } else { 4 }]);
        }
    }
}

fn archive(content: &[u8], style: Style) -> Vec<u8> {
    let mut out = Vec::new();
    header(&mut out, "dir/", Style::default(), 0, [0; 3]);
    file(&mut out, "dir/a.img", content, style);
    out.extend(CENTRAL.to_le_bytes());
    out
}

fn read(archive: &[u8]) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let member = Member::open(Peek::new(archive), None);
    let result = member.and_then(|mut member| member.read_to_end(&mut content));
    result.map(|_| content).map_err(|error| error.to_string())
}

#[test]
fn every_way_to_write_one_file() {
    let content: Vec<u8> = (0..100_000_u32).map(|at| (at / 7) as u8).collect();
    let plain = Style::default();
    for style in [
        plain,
        Style { stored: true, ..plain },
        Style { descriptor: true, ..plain },
        Style { descriptor: true, no_signature: true, ..plain },
        Style { zip64: true, ..plain },
        Style { zip64: true, descriptor: true, ..plain },
        Style { descriptor: true, wide: true, ..plain },
        Style { descriptor: true, wide: true, no_signature: true, ..plain },
    ] {
        let archive = archive(&content, style);
        assert!(read(&archive).as_ref() == Ok(&content));
        for cut in [4, 30, archive.len() / 2, archive.len() - 1] {
            assert!(read(&archive[..cut]).is_err(), "cut at {cut}");
        }
        let mut bad = archive.clone();
        let last = archive.len() - 40;
        bad[last] ^= 1;
        assert!(read(&bad).is_err());
    }
}

#[test]
fn what_is_not_one_file() {
    let plain = Style::default();
    let reason = |archive: &[u8]| read(archive).unwrap_err();
    let mut two = Vec::new();
    file(&mut two, "a", b"aaa", plain);
    file(&mut two, "b", b"bbb", plain);
    assert!(reason(&two).contains("SeveralFiles(None)"));
    assert!(reason(&archive(b"x", Style { flags: ENCRYPTED, ..plain })).contains("Encrypted"));
    assert!(
        reason(&archive(b"x", Style { stored: true, descriptor: true, ..plain })).contains("StoredFromPipe")
    );
    let mut lzma = archive(b"x", plain);
    let at = 30 + 4 + 8;
    lzma[at] = 14;
    assert!(reason(&lzma).contains("Method(14)"), "{}", reason(&lzma));
    assert!(reason(b"PK\x01\x02 and so on").contains("NoFile"));
}

#[test]
fn hostile_directories() {
    for bytes in [
        &b"PK\x05\x06"[..],
        &[&END[..], &[0xff; 18]].concat(),
        &[&LOCATOR64[..], &[0xff; 16], &END, &[0xff; 18]].concat(),
        &[&LOCATOR64[..], &[0; 16], &END, &[0; 18]].concat(),
        &[0; 100_000],
    ] {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let _ = only_file(&file, bytes.len() as u64);
    }
}
