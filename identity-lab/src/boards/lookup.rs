// SPDX-License-Identifier: MIT OR Apache-2.0
//! One board of a large file by its hostname, without reading the others: the lines are sorted.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{Board, Boards, content, header};
use crate::cells::{self, Separator};
use crate::place::BOARDS_CSV;

/// Bytes that are read at a time; a line that is longer is left to [`Boards::read`].
const BLOCK: usize = 16 << 10;

impl Boards {
    /// The line of this hostname alone, with the header; its number is not known, and said to be 2. `None` where it is not found
    /// so: the file may not be sorted, or the name is none of a board.
    pub fn look_up(path: &Path, hostname: &str) -> Option<Self> {
        let file = File::open(path).ok()?;
        let len = file.metadata().ok()?.len();
        let head = block(&file, 0)?;
        let first = head.split_inclusive('\n').next()?;
        let separator = Separator::of(content(first));
        let index = header(path, content(first)).ok()?.iter().position(|name| name == "hostname")?;
        let name_of = |line: &str| -> Option<String> {
            let cells = cells::split(content(line), separator).ok()?;
            cells.into_iter().nth(index).map(|cell| cell.text.trim().to_owned())
        };
        // The line is in here, or begins here.
        let (mut low, mut high) = (first.len() as u64, len);
        while high - low > BLOCK as u64 / 2 {
            let middle = low + (high - low) / 2;
            let text = block(&file, middle)?;
            let start = text.find('\n')? + 1;
            let line = text[start..].split_inclusive('\n').next().filter(|line| line.ends_with('\n'));
            // At the end of the file, or a line that is too long.
            let Some(line) = line else { break };
            let at = middle + start as u64;
            if at >= high {
                break;
            }
            if *name_of(line)? <= *hostname { low = at } else { high = at }
        }
        let text = block(&file, low)?;
        let mut lines =
            text.split_inclusive('\n').filter(|line| name_of(line).is_some_and(|name| name == hostname));
        let line = lines.next()?;
        // Which of two is meant, whoever reads all of it says.
        if lines.next().is_some() {
            return None;
        }
        Self::parse(path, format!("{}\n{line}", content(first))).ok()
    }
}

/// The file of a list that was read, for a look later whether it is still the same.
#[derive(Debug)]
pub struct List {
    path: PathBuf,
    stamp: Option<(u64, u64, i64, i64)>,
}

impl List {
    /// Of the lab in this directory, as it is now.
    pub fn of(lab: &Path) -> Self {
        let path = lab.join(BOARDS_CSV);
        Self { stamp: stamp(&path), path }
    }

    /// Whether a board of it would get another identity by now, or is gone.
    pub fn has_changed(&self, board: &Board) -> bool {
        if self.stamp.is_some() && self.stamp == stamp(&self.path) {
            return false;
        }
        let now = Boards::read(&self.path).ok();
        let now = now.as_ref().and_then(|now| now.all.iter().find(|one| one.hostname == board.hostname));
        now.is_none_or(|now| now.identity().ok() != board.identity().ok())
    }
}

fn stamp(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let file = fs::metadata(path).ok()?;
    Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}

/// The text from a byte on, to the end of its last whole character.
fn block(file: &File, at: u64) -> Option<String> {
    let mut bytes = vec![0; BLOCK];
    let mut filled = 0;
    while filled < BLOCK {
        match file.read_at(&mut bytes[filled..], at + filled as u64).ok()? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    // It may begin and end inside of a character.
    let start = bytes.iter().position(|byte| byte & 0xc0 != 0x80)?;
    bytes.drain(..start.min(3));
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.utf8_error().error_len().is_none() => {
            let valid = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            bytes.truncate(valid);
            String::from_utf8(bytes).ok()
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUIDS: [&str; 2] = ["9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5", "0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02"];

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("panda-{:05}", number * 2)).collect()
    }

    #[test]
    fn each_board_of_a_large_file_is_found_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("boards.csv");
        for (count, head, pad) in [
            (0, "hostname,profile,uuid,note", 0),
            (1, "hostname,profile,uuid,note", 0),
            (3000, "profile,uuid,hostname,note", 40),
            (700, "hostname;profile;uuid;note", 300),
        ] {
            let separator = if head.contains(';') { ";" } else { "," };
            let names = names(count);
            let mut text = format!("{head}\n");
            for name in &names {
                let note = "ä".repeat(pad);
                let cells = if head.starts_with("profile") {
                    ["panda", UUIDS[0], name, &note]
                } else {
                    [name, "panda", UUIDS[0], &note]
                };
                text += &cells.join(separator);
                text.push('\n');
            }
            std::fs::write(&path, text).unwrap();
            for name in &names {
                let found = Boards::look_up(&path, name).unwrap_or_else(|| panic!("{name} of {count}"));
                assert_eq!((found.all.len(), &found.all[0].hostname), (1, name));
            }
            for name in ["panda-00001", "a", "z", "panda-99999", "", "hostname"] {
                assert!(Boards::look_up(&path, name).is_none(), "{name}");
            }
        }
    }

    /// What it cannot find in a file that is not sorted is found by reading all of it; it never finds another board.
    #[test]
    fn an_unsorted_or_hostile_file_gives_none_or_the_right_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("boards.csv");
        let mut names = names(2000);
        names.rotate_left(777);
        let lines: String = names.iter().map(|name| format!("{name},panda,{}\n", UUIDS[1])).collect();
        std::fs::write(&path, format!("hostname,profile,uuid\n{lines}")).unwrap();
        for name in &names {
            assert!(Boards::look_up(&path, name).is_none_or(|found| found.all[0].hostname == *name));
        }
        for bytes in
            [&b""[..], b"\n", b"hostname,profile,uuid", b"\xff\xfeh\0", &[b'x'; 40_000], &[0x80; 40_000]]
        {
            std::fs::write(&path, bytes).unwrap();
            assert!(Boards::look_up(&path, "panda").is_none());
        }
    }
}
