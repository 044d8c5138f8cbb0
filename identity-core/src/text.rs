// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which texts a field may hold. One rule per field, the same for stamping and for reading.

use core::fmt;

/// Longest profile, hostname, serial and variable key, in bytes.
pub const NAME_LEN_MAX: usize = 63;
/// Longest value of a variable, in bytes: with the longest key and `=` it fills a 255-byte field.
pub const VALUE_LEN_MAX: usize = 191;

/// Why a text cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// No bytes at all.
    Empty,
    /// `len` bytes, where `max` are the limit.
    TooLong {
        /// Length found, in bytes.
        len: usize,
        /// Longest length allowed, in bytes.
        max: usize,
    },
    /// The byte at `at` (counted from 0) is not allowed there.
    Byte {
        /// Position of the first offending byte.
        at: usize,
        /// Its value.
        byte: u8,
    },
    /// Not UTF-8.
    NotUtf8,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("is empty"),
            Self::TooLong { len, max } => write!(f, "has {len} bytes, {max} are the limit"),
            Self::Byte { at, byte } if byte.is_ascii_graphic() => {
                write!(f, "may not have '{}' at position {at}", char::from(byte))
            }
            Self::Byte { at, byte } => write!(f, "may not have byte 0x{byte:02x} at position {at}"),
            Self::NotUtf8 => f.write_str("is not UTF-8"),
        }
    }
}

/// A profile: 1–63 of `[A-Za-z0-9._+-]`, starting with a letter or digit.
pub fn check_profile(text: &[u8]) -> Result<(), TextError> {
    check(text, Rule::Profile, NAME_LEN_MAX)
}

/// A hostname: RFC 1123 labels joined by dots, 1–63 bytes in all.
pub fn check_hostname(text: &[u8]) -> Result<(), TextError> {
    check(text, Rule::Hostname, NAME_LEN_MAX)
}

/// A board or card serial: 1–63 printable ASCII characters without space.
pub fn check_serial(text: &[u8]) -> Result<(), TextError> {
    check(text, Rule::Serial, NAME_LEN_MAX)
}

/// A variable's key: 1–63 of `[a-z0-9_]`, starting with a letter.
pub fn check_key(text: &[u8]) -> Result<(), TextError> {
    check(text, Rule::Key, NAME_LEN_MAX)
}

/// A variable's value: at most 191 bytes of UTF-8 without control characters (Unicode category Cc); may be empty.
pub fn check_value(text: &[u8]) -> Result<(), TextError> {
    if text.is_empty() {
        return Ok(());
    }
    check(text, Rule::Value, VALUE_LEN_MAX)?;
    core::str::from_utf8(text).map(|_| ()).map_err(|_| TextError::NotUtf8)
}

#[derive(Clone, Copy)]
enum Rule {
    Profile,
    Hostname,
    Serial,
    Key,
    Value,
}

impl Rule {
    /// Whether `byte` may stand between its neighbours; there is none before the first and behind the last.
    fn allows(self, previous: Option<u8>, byte: u8, next: Option<u8>) -> bool {
        let is_first = previous.is_none();
        match self {
            Self::Profile => {
                byte.is_ascii_alphanumeric() || (!is_first && matches!(byte, b'.' | b'_' | b'+' | b'-'))
            }
            Self::Hostname => {
                let starts_label = matches!(previous, None | Some(b'.'));
                let ends_label = matches!(next, None | Some(b'.'));
                match byte {
                    b'.' => !starts_label && next.is_some(),
                    b'-' => !starts_label && !ends_label,
                    _ => byte.is_ascii_alphanumeric(),
                }
            }
            Self::Serial => byte.is_ascii_graphic(),
            Self::Key => byte.is_ascii_lowercase() || (!is_first && (byte.is_ascii_digit() || byte == b'_')),
            // C1 controls U+0080–U+009F are C2 80 – C2 9F in UTF-8.
            Self::Value => byte >= 0x20 && byte != 0x7f && !(previous == Some(0xc2) && byte < 0xa0),
        }
    }
}

/// Length first, then every byte in turn. Not generic over the rule, so that a bootloader has the loop once.
fn check(text: &[u8], rule: Rule, max: usize) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.len() > max {
        return Err(TextError::TooLong { len: text.len(), max });
    }
    let (mut previous, mut at, mut rest) = (None, 0_usize, text);
    while let Some((&byte, tail)) = rest.split_first() {
        if !rule.allows(previous, byte, tail.first().copied()) {
            return Err(TextError::Byte { at, byte });
        }
        (previous, at, rest) = (Some(byte), at.saturating_add(1), tail);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles() {
        for good in ["a", "7", "panda", "beaglebone-black", "lab-a.qemu_arm", "a+b", &"x".repeat(63)] {
            assert_eq!(check_profile(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in ["", ".a", "-a", "_a", "a b", "a/b", "ü", "a\n", &"x".repeat(64)] {
            assert!(check_profile(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn hostnames() {
        for good in ["a", "a1", "board-7", "board-7.lab.example", "A", "7", &"x".repeat(63)] {
            assert_eq!(check_hostname(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a-.b", "a_b", "a b", &"x".repeat(64)] {
            assert!(check_hostname(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn serials() {
        assert_eq!(check_serial(b"SN:00~42!"), Ok(()));
        assert_eq!(check_serial(b"a b"), Err(TextError::Byte { at: 1, byte: b' ' }));
        assert_eq!(check_serial(b"a\x7f"), Err(TextError::Byte { at: 1, byte: 0x7f }));
    }

    #[test]
    fn keys_and_values() {
        assert_eq!(check_key(b"dtb_2"), Ok(()));
        for bad in ["", "2a", "_a", "A", "a-b", "a=b"] {
            assert!(check_key(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(check_value(b""), Ok(()));
        assert_eq!(check_value("5 V — grün; $(x) 'y'".as_bytes()), Ok(()));
        assert_eq!(check_value("\u{a0}".as_bytes()), Ok(()));
        for bad in ["a\0", "a\nb", "\u{7f}", "\u{85}", "\u{9f}"] {
            assert!(check_value(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert_eq!(check_value(b"\xff"), Err(TextError::NotUtf8));
        assert_eq!(check_value(&[b'x'; 192]), Err(TextError::TooLong { len: 192, max: 191 }));
    }
}
