// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of files in messages, as a POSIX shell takes them: what a message shows can be copied into a command line.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::lines::escaped;

/// The name of a file, so that a shell reads exactly this name, no program takes it for an option, and a terminal shows it
/// without obeying it. A name of usual characters stands as it is.
pub fn path(path: &Path) -> String {
    word(path.as_os_str())
}

/// The same of a name that is not a path yet.
pub fn word(name: &OsStr) -> String {
    let bytes = name.as_bytes();
    // For some programs a colon ends the name of a protocol or of another machine.
    let first = bytes.split(|byte| *byte == b'/').next().unwrap_or_default();
    if bytes.starts_with(b"-") || first.contains(&b':') {
        return quoted(&[b"./", bytes].concat());
    }
    quoted(bytes)
}

/// A value behind an option and `=`, as a shell takes it.
pub fn value(value: &str) -> String {
    quoted(value.as_bytes())
}

fn quoted(bytes: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(byte);
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.is_empty() && bytes.iter().all(is_plain) => text.to_owned(),
        // Messages have their commands between backticks.
        Ok(text) if !text.contains('`') && escaped(text) == text => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        _ => printed(bytes),
    }
}

/// `"$(printf '…')"`, with octal numbers for what is not plain: every POSIX shell knows it, dash too, which does not know
/// `$'…'`. A shell drops line breaks at its end: those stand behind it in quotes, as they are.
fn printed(bytes: &[u8]) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@ ".contains(&byte);
    let len = bytes.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last.saturating_add(1));
    let (start, line_breaks) = bytes.split_at(len);
    let mut text = String::from("\"$(printf '");
    for &byte in start {
        if is_plain(byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "\\{byte:03o}");
        }
    }
    text.push_str("')\"");
    if !line_breaks.is_empty() {
        let _ = write!(text, "'{}'", "\n".repeat(line_breaks.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Names that a shell, a program or a terminal gets wrong.
    const HOSTILE: [&[u8]; 26] = [
        b"a b",
        b" ",
        b"",
        b"-rf",
        b"--help",
        b"-",
        b"$(reboot)",
        b"`reboot`",
        b"a'b",
        b"'",
        b"\"",
        b"\\",
        b"a\\",
        b"%s%n",
        b"!!",
        b"~",
        b"~root",
        b"*",
        b"a\nb",
        b"a\n\n",
        b"\n",
        b"\x1b[31m'$(x)'`y`!!%d\\n",
        b"\xff\xfe\x80",
        "gr\u{fc}\u{df}e \u{202e}gmi.exe".as_bytes(),
        "\u{200b}\u{ad}\u{e0041}".as_bytes(),
        b"a;b|c&d>e<f(g){h}#i",
    ];

    #[test]
    fn a_shell_reads_the_same_name() {
        for shell in [&["sh"][..], &["dash"], &["bash"], &["bash", "--posix"], &["busybox", "sh"], &["zsh"]] {
            let run = |script: &str| {
                let mut command = Command::new(shell[0]);
                command.args(&shell[1..]).args(["-c", script]).output().ok()
            };
            let Some(true) = run(":").map(|output| output.status.success()) else { continue };
            for name in HOSTILE {
                let name = OsStr::from_bytes(name);
                let shown = word(name);
                let output = run(&format!("printf '%s.' {shown}")).unwrap();
                let read = output.stdout.strip_suffix(b".").unwrap_or_default();
                let read = read.strip_prefix(b"./").unwrap_or(read);
                assert_eq!(OsStr::from_bytes(read), name, "{shell:?}: {shown}");
            }
        }
    }

    #[test]
    fn a_terminal_shows_it_and_a_message_keeps_its_backticks() {
        for name in HOSTILE {
            let shown = word(OsStr::from_bytes(name));
            let visible = shown.trim_end_matches(['\n', '\'']);
            assert!(escaped(visible) == visible && !visible.contains('`'), "{shown:?}");
            assert!(!shown.starts_with('-') && !shown.is_empty(), "{shown:?}");
        }
    }

    #[test]
    fn usual_names_stand_as_they_are() {
        for name in ["/dev/sdb", "card.img", "./a/b_c-1.0.img", "/tmp/.tmpX/card.img"] {
            assert_eq!(word(OsStr::new(name)), name);
        }
        assert_eq!(word(OsStr::new("größer.img")), "'größer.img'");
        assert_eq!(value("-S1"), "-S1");
    }
}
