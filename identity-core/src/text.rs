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
        /// Value of the byte that is not allowed.
        byte: u8,
    },
    /// The bytes are not valid UTF-8.
    NotUtf8,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("is empty"),
            Self::TooLong { len, max } => write!(f, "is {len} bytes long; the limit is {max}"),
            // People count from 1.
            Self::Byte { at, byte: b' ' } => {
                write!(f, "may not have a space (character {})", at.saturating_add(1))
            }
            Self::Byte { at, byte } if byte.is_ascii_graphic() => {
                write!(f, "may not have '{}' (character {})", char::from(byte), at.saturating_add(1))
            }
            Self::Byte { at, byte } => {
                write!(f, "may not have byte 0x{byte:02x} (character {})", at.saturating_add(1))
            }
            Self::NotUtf8 => f.write_str("is not UTF-8"),
        }
    }
}

/// A profile: 1–63 of `[A-Za-z0-9._+-]`, starting with a letter or digit.
pub fn check_profile(text: &[u8]) -> Result<(), TextError> {
    check(text, Rule::PROFILE)
}

/// A hostname: RFC 1123 labels joined by dots, 1–63 bytes in all.
pub fn check_hostname(text: &[u8]) -> Result<(), TextError> {
    check(text, Rule::HOSTNAME)
}

/// A board or card serial: 1–63 printable ASCII characters without space.
pub fn check_serial(text: &[u8]) -> Result<(), TextError> {
    check(text, Rule::SERIAL)
}

/// A variable's key: 1–63 of `[a-z0-9_]`, starting with a letter.
pub fn check_key(text: &[u8]) -> Result<(), TextError> {
    check(text, Rule::KEY)
}

/// A variable's value: at most 191 bytes of UTF-8 without control characters (Unicode category Cc); may be empty.
pub fn check_value(text: &[u8]) -> Result<(), TextError> {
    if text.len() > VALUE_LEN_MAX {
        return Err(TextError::TooLong { len: text.len(), max: VALUE_LEN_MAX });
    }
    value_fault(text).map_or(Ok(()), |at| {
        Err(match text.get(at..) {
            // As a character of its own, or as one of U+0080 to U+009F.
            Some([..0x80, ..] | [0xc2, 0x80..0xa0, ..]) => byte_error(text, at),
            _ => TextError::NotUtf8,
        })
    })
}

/// The start of the first character that is no UTF-8 (RFC 3629: the shortest form, no surrogates, nothing behind U+10FFFF)
/// or a control character.
///
/// For a bootloader a fifth of the size of `core::str::from_utf8`, which is made for long texts.
fn value_fault(text: &[u8]) -> Option<usize> {
    let mut rest = text.iter();
    loop {
        let start = text.len().saturating_sub(rest.len());
        let &lead = rest.next()?;
        // As many leading ones as the character has bytes, if it has several.
        let len = lead.leading_ones();
        let mut code = u32::from(lead) & 0x7f_u32.wrapping_shr(len);
        for _ in 1..len {
            match rest.next() {
                Some(&byte @ 0x80..0xc0) => code = code << 6 | u32::from(byte & 0x3f),
                _ => return Some(start),
            }
        }
        // What a shorter form would do for is refused, and so are control characters: two bytes start behind them.
        let good = matches!(
            (len, code),
            (0, 0x20..0x7f) | (2, 0xa0..) | (3, 0x800..0xd800 | 0xe000..) | (4, 0x1_0000..0x11_0000)
        );
        if !good {
            return Some(start);
        }
    }
}

/// Which classes may stand where in a text: numbers, which a bootloader's code holds in place of a table.
#[derive(Clone, Copy)]
struct Rule {
    /// Classes that may be the first byte.
    first: u32,
    /// Behind another byte; of [`class::LABELS`], behind one that is neither dot nor dash.
    behind: u32,
}

impl Rule {
    const PROFILE: Self = Self { first: class::ALPHANUMERIC, behind: class::PROFILE | class::END };
    const HOSTNAME: Self = Self {
        first: class::ALPHANUMERIC,
        behind: class::ALPHANUMERIC | class::DASH | class::DOT | class::LABELS | class::END,
    };
    const SERIAL: Self = Self { first: class::GRAPHIC, behind: class::GRAPHIC | class::END };
    const KEY: Self =
        Self { first: class::LOWER, behind: class::LOWER | class::DIGIT | class::UNDERSCORE | class::END };
}

/// What the rules tell apart, one bit each.
mod class {
    pub const LOWER: u32 = 1 << 0;
    pub const UPPER: u32 = 1 << 1;
    pub const DIGIT: u32 = 1 << 2;
    pub const UNDERSCORE: u32 = 1 << 3;
    pub const PLUS: u32 = 1 << 4;
    pub const DASH: u32 = 1 << 5;
    pub const DOT: u32 = 1 << 6;
    /// Printable ASCII but for the above and space.
    pub const OTHER: u32 = 1 << 7;
    /// Where the text ends.
    pub const END: u32 = 1 << 8;
    /// No class: of a rule, that a dot and a dash stand only between others.
    pub const LABELS: u32 = 1 << 9;
    /// Bytes that no rule allows.
    pub const NONE: u32 = 0;

    pub const ALPHANUMERIC: u32 = LOWER | UPPER | DIGIT;
    pub const PROFILE: u32 = ALPHANUMERIC | UNDERSCORE | PLUS | DASH | DOT;
    pub const GRAPHIC: u32 = PROFILE | OTHER;

    pub fn of(byte: u8) -> u32 {
        match byte {
            b'a'..=b'z' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'0'..=b'9' => DIGIT,
            b'_' => UNDERSCORE,
            b'+' => PLUS,
            b'-' => DASH,
            b'.' => DOT,
            b'!'..=b'~' => OTHER,
            _ => NONE,
        }
    }
}

#[inline(always)]
fn check(text: &[u8], rule: Rule) -> Result<(), TextError> {
    fault(text, rule).map_or(Ok(()), |at| {
        Err(match text.len() {
            0 => TextError::Empty,
            len if len > NAME_LEN_MAX => TextError::TooLong { len, max: NAME_LEN_MAX },
            _ => byte_error(text, at),
        })
    })
}

/// The position of the first byte that may not stand there; of the end, if there are too few or too many bytes. Returns
/// no more than that, so that a bootloader, which does not ask what is wrong, has no code for it; not generic over the
/// rule, so that it has the loop once.
fn fault(text: &[u8], rule: Rule) -> Option<usize> {
    let mut allowed = rule.first;
    for (at, &byte) in text.iter().enumerate() {
        let class = class::of(byte);
        if at >= NAME_LEN_MAX || allowed & class == 0 {
            return Some(at);
        }
        allowed = match class {
            class::DOT if rule.behind & class::LABELS != 0 => rule.first,
            class::DASH if rule.behind & class::LABELS != 0 => rule.first | class::DASH,
            _ => rule.behind,
        };
    }
    (allowed & class::END == 0).then(|| text.len().saturating_sub(1))
}

fn byte_error(text: &[u8], at: usize) -> TextError {
    TextError::Byte { at, byte: text.get(at).copied().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::vec::Vec;

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
    fn the_byte_that_may_not_stand_there_is_named() {
        for (bad, at) in
            [("-a", 0), ("a_b", 1), ("a..b", 2), ("a.-b", 2), ("ab-.c", 3), ("ab-", 2), ("ab.", 2)]
        {
            let byte = bad.as_bytes()[at];
            assert_eq!(check_hostname(bad.as_bytes()), Err(TextError::Byte { at, byte }), "{bad}");
        }
        for (bad, at) in [("a/b", 1), (".a", 0)] {
            let byte = bad.as_bytes()[at];
            assert_eq!(check_profile(bad.as_bytes()), Err(TextError::Byte { at, byte }), "{bad}");
        }
        let control = "a\u{e9}\u{85}b".as_bytes();
        assert_eq!(check_value(control), Err(TextError::Byte { at: 3, byte: 0xc2 }));
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
    /// Texts, arbitrary bytes, and texts with a few bytes changed.
    fn nearly_utf8() -> impl Strategy<Value = Vec<u8>> {
        let text =
            vec(any::<char>(), 0..20).prop_map(|chars| chars.into_iter().collect::<std::string::String>());
        (text, vec((any::<prop::sample::Index>(), any::<u8>()), 0..3), vec(any::<u8>(), 0..5)).prop_map(
            |(text, changes, tail)| {
                let mut bytes = [text.as_bytes(), &tail].concat();
                for (at, byte) in changes.into_iter().filter(|_| !text.is_empty()) {
                    bytes[at.index(text.len())] = byte;
                }
                bytes
            },
        )
    }

    /// What the rule says, by the standard library.
    fn is_value(bytes: &[u8]) -> bool {
        core::str::from_utf8(bytes).is_ok_and(|text| !text.contains(char::is_control))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn values_are_utf8(bytes in nearly_utf8()) {
            prop_assert_eq!(check_value(&bytes).is_ok(), is_value(&bytes), "{:x?}", bytes);
        }
    }

    /// Every pair of bytes in front, and every lead with its second byte.
    #[test]
    fn every_start_of_utf8() {
        for (first, second) in (0..=0xff).flat_map(|first| (0..=0xff).map(move |second| (first, second))) {
            for tail in [&[][..], &[0x80], &[0xbf], &[0x80, 0x80], &[0xbf, 0xbf], &[0x80, 0x80, 0x80]] {
                let bytes = [&[first, second], tail].concat();
                assert_eq!(check_value(&bytes).is_ok(), is_value(&bytes), "{bytes:x?}");
            }
        }
    }
}
