// SPDX-License-Identifier: MIT OR Apache-2.0
//! A public SSH key as one line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::boards::{Board, SSH_KEY};

/// Of a cell that is no key.
const NO_KEY: &str = "sshkey: this is no public key, like `ssh-ed25519 AAAA…`";

/// The key in a board's cell: `None` without one, an error with the sentence if it is none.
pub fn of_cell(board: &Board) -> Result<Option<String>, &'static str> {
    let cell = board.cell(SSH_KEY).filter(|cell| !cell.is_empty());
    cell.map(|cell| key(&cell).ok_or(NO_KEY)).transpose()
}

/// Type and key of one line, without the comment (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").
pub fn key(line: &str) -> Option<String> {
    let mut words = line.split_ascii_whitespace();
    let (kind, key) = (words.next()?, words.next()?);
    let bytes = STANDARD.decode(key).ok()?;
    // The key names its type once more (RFC 4253, section 6.6).
    let len = u32::from_be_bytes(*bytes.first_chunk()?);
    let named = bytes.get(4..)?.get(..usize::try_from(len).ok()?)?;
    let is_key = named == kind.as_bytes() && bytes.len() > 4 + named.len() && !line.contains('\n');
    is_key.then(|| format!("{kind} {key}"))
}
