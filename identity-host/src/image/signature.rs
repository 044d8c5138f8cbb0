// SPDX-License-Identifier: MIT OR Apache-2.0
//! The signature of a clear-signed text (RFC 9580, section 7), checked by `gpg` with the keys that the user has imported.

use std::io::{self, Seek, Write};
use std::process::{Command, Stdio};

/// Why a signature is not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureProblem {
    /// The text is not clear-signed.
    NotSigned,
    /// `gpg` cannot be run; in the system's words.
    NoGpg(String),
    /// `gpg` finds no good signature; in its words.
    NotGood(String),
}

/// First line of a clear-signed text.
pub(super) const BEGIN: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
/// How `gpg --status-fd` begins a line, and its words for a signature that proves nothing, or nothing any more ("doc/DETAILS").
const STATUS: &str = "[GNUPG:] ";
const BAD: [&str; 5] = ["BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG"];

/// The signed part of a text, whose signatures are all good: what `gpg` has checked, and nothing before or behind it.
///
/// # Errors
/// If the text is not signed, `gpg` is missing, or a signature is not good.
pub fn check(text: &[u8]) -> Result<Vec<u8>, SignatureProblem> {
    if !text.trim_ascii_start().starts_with(BEGIN) {
        return Err(SignatureProblem::NotSigned);
    }
    let failed = |error: io::Error| SignatureProblem::NoGpg(crate::device::plain(&error));
    let mut input = tempfile::tempfile().map_err(failed)?;
    input.write_all(text).and_then(|()| input.rewind()).map_err(failed)?;
    let mut gpg = Command::new("gpg");
    gpg.args(["--batch", "--no-tty", "--status-fd", "2", "--output", "-", "--decrypt"]);
    let output = gpg.env("LC_ALL", "C").stdin(Stdio::from(input)).output().map_err(failed)?;
    let words = String::from_utf8_lossy(&output.stderr);
    let status =
        |line: &str| line.strip_prefix(STATUS).and_then(|rest| rest.split(' ').next()).map(str::to_owned);
    let found: Vec<_> = words.lines().filter_map(status).collect();
    let has = |wanted: &str| found.iter().any(|word| word == wanted);
    if output.status.success() && has("GOODSIG") && has("VALIDSIG") && !BAD.into_iter().any(has) {
        return Ok(output.stdout);
    }
    let said: Vec<_> = words.lines().filter(|line| !line.starts_with(STATUS)).collect();
    let said = said.iter().map(|line| line.trim_start_matches("gpg:").trim());
    Err(SignatureProblem::NotGood(said.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")))
}
