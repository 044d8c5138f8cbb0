// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SHA-256 that an image is published with: of the file as distributed, so of the packed one.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use crate::error::{Action, Error, Result};

/// What is wrong with a file of checksums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SumsProblem {
    /// It is no regular file.
    NoFile,
    /// A line is none of sha256sum.
    Line(String),
    /// It has no lines.
    Empty,
    /// It is about another file alone.
    Other {
        /// Name of the file that the line is about.
        other: String,
        /// Name of the image without its directory.
        name: String,
    },
    /// Two of its lines are about the image, and have different sums.
    TwoSums(String),
    /// None of its lines is about the image.
    NoLine {
        /// Lines that it has.
        lines: usize,
        /// Name of the image without its directory.
        name: String,
    },
}

/// A checksum by SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sum([u8; 32]);

impl Sum {
    /// Of 64 hex digits.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = crate::hex::decode(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| "a SHA-256 has 64 hex digits".into())
    }

    /// Of what a hasher was given.
    pub fn of(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// Of everything that can be read.
    pub fn of_all(input: &mut impl Read) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return Ok(Self::of(hasher)),
                Ok(read) => hasher.update(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A sum, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The checksum that the image should have.
    pub sum: Sum,
    /// The file that it is from; `None` if a person has given it.
    pub origin: Option<PathBuf>,
}

/// Longest `.sha256` file that is read.
const SUMS_LEN_MAX: u64 = 1 << 20;

/// What `IMAGE.sha256` says, if there is one.
///
/// # Errors
/// [`Error::Sums`] if the file says nothing about this image: it would be wrong to take that for no file; [`Error::Io`] if
/// it cannot be read.
pub fn find_beside(image: &Path) -> Result<Option<Expected>> {
    let mut path = image.as_os_str().to_owned();
    path.push(".sha256");
    let path = PathBuf::from(path);
    let failed = |error| Error::io(&path, Action::Read, error);
    let problem = |problem| Error::Sums { path: path.clone(), problem };
    // A pipe that nobody writes to would wait for ever.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(problem(SumsProblem::NoFile));
    }
    let mut bytes = Vec::new();
    file.take(SUMS_LEN_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let name = image.file_name().unwrap_or_default();
    let sum = find_line(&bytes, name.as_bytes()).map_err(problem)?;
    Ok(Some(Expected { sum, origin: Some(path) }))
}

/// The sum of `name` among lines as `sha256sum --check` takes them, or the only sum of a file without names. As that does,
/// lines of other kinds are passed over, unless there is no other: a signature may be around the lines.
fn find_line(text: &[u8], name: &[u8]) -> Result<Sum, SumsProblem> {
    let mut others = Vec::new();
    let (mut odd, mut found) = (None, None);
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() || line.starts_with(b"#") {
            continue;
        }
        let Some((sum, named)) = split_line(line) else {
            odd.get_or_insert_with(|| shown(line));
            continue;
        };
        let base = named.rsplit(|&byte| byte == b'/').next().unwrap_or(&named);
        if !base.is_empty() && base != name {
            others.push(shown(base));
            continue;
        }
        if *found.get_or_insert(sum) != sum {
            return Err(SumsProblem::TwoSums(shown(name)));
        }
    }
    let name = shown(name);
    found.ok_or_else(|| match (others.as_slice(), odd) {
        ([], None) => SumsProblem::Empty,
        ([], Some(line)) => SumsProblem::Line(line),
        ([other], _) => SumsProblem::Other { other: other.clone(), name },
        _ => SumsProblem::NoLine { lines: others.len(), name },
    })
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The sum and the name in a line; no name where there is the sum alone. As coreutils have it (`src/digest.c`, `split_3`):
/// `HASH  NAME`, `HASH *NAME`, `SHA256 (NAME) = HASH`, OpenSSL's `SHA256(NAME)= HASH`; behind a backslash, line breaks and
/// backslashes of the name are escaped.
fn split_line(line: &[u8]) -> Option<(Sum, Vec<u8>)> {
    let line = line.trim_ascii_start();
    let (is_escaped, line) = line.strip_prefix(b"\\").map_or((false, line), |line| (true, line));
    let sum = |hex: &[u8]| Sum::parse(std::str::from_utf8(hex).ok()?).ok();
    let name = |name: &[u8]| if is_escaped { unescape(name) } else { Some(name.to_vec()) };
    if let Some(rest) = line.strip_prefix(b"SHA256") {
        let rest = rest.strip_prefix(b" ").unwrap_or(rest).strip_prefix(b"(")?;
        let end = rest.iter().rposition(|&byte| byte == b')')?;
        let (named, rest) = rest.split_at(end);
        let hex = rest.get(1..)?.trim_ascii_start().strip_prefix(b"=")?;
        return Some((sum(hex.trim_ascii())?, name(named)?));
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(end) = line.iter().position(is_blank) else { return Some((sum(line)?, Vec::new())) };
    let (hex, rest) = line.split_at(end);
    let named = rest.get(1..)?;
    let named = named.strip_prefix(b" ").or_else(|| named.strip_prefix(b"*")).unwrap_or(named);
    Some((sum(hex)?, name(named)?))
}

/// `\n`, `\r` and `\\` as what they stand for; no other backslash can be in such a name.
fn unescape(name: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = name.iter();
    let mut plain = Vec::new();
    while let Some(&byte) = bytes.next() {
        plain.push(match (byte, byte == b'\\') {
            (byte, false) => byte,
            (_, true) => match bytes.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b'\\' => b'\\',
                _ => return None,
            },
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn of_nothing() {
        assert_eq!(Sum::of_all(&mut io::empty()).unwrap(), Sum::parse(EMPTY).unwrap());
        assert_eq!(Sum::parse(&EMPTY.to_uppercase()).unwrap().to_string(), EMPTY);
        for bad in ["", "e3", &EMPTY[1..], &EMPTY.replace('e', "g"), &"é".repeat(32)] {
            assert!(Sum::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lines() {
        let other = EMPTY.replace('e', "0");
        for text in [
            EMPTY.to_owned(),
            format!("{EMPTY}\n"),
            format!("{EMPTY}  a.img.xz\n"),
            format!("{EMPTY} *release/a.img.xz\r\n"),
            format!("SHA256 (a.img.xz) = {EMPTY}"),
            format!("# comment\n{other}  b.img\n{EMPTY}  a.img.xz"),
        ] {
            assert_eq!(find_line(text.as_bytes(), b"a.img.xz").ok(), Sum::parse(EMPTY).ok(), "{text}");
        }
        for (text, reason) in [
            ("", SumsProblem::Empty),
            (
                &format!("{EMPTY}  a.img"),
                SumsProblem::Other { other: "a.img".into(), name: "a.img.xz".into() },
            ),
            ("<html>", SumsProblem::Line("<html>".into())),
            (&format!("{EMPTY}  a.img.xz\n{other}  a.img.xz"), SumsProblem::TwoSums("a.img.xz".into())),
            (&format!("\u{feff}{EMPTY}  a.img.xz"), SumsProblem::Line(format!("\u{feff}{EMPTY}  a.img.xz"))),
        ] {
            assert_eq!(find_line(text.as_bytes(), b"a.img.xz"), Err(reason));
        }
    }
}
