// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields behind the header: one byte type, one byte length, then the value; in ascending order.

use core::fmt;

use crate::mac::{self, MAC_LEN, Mac, MacError};
use crate::sector::all_are;
use crate::text::{self, TextError};

/// Type and length before each value, in bytes.
pub const FIELD_HEADER_LEN: usize = 2;
/// Longest value, in bytes.
pub const VALUE_LEN_MAX: usize = 255;
/// A reader that does not know a type with this bit must refuse the copy; without it, skip the field.
pub const CRITICAL_BIT: u8 = 0x80;
/// Length of a CID in bytes (SD Physical Layer Specification, section 5.2).
pub const CID_LEN: usize = 16;

/// Field types of version 1.
pub mod kind {
    /// Profile, 1 to 63 bytes of text; every identity has one.
    pub const PROFILE: u8 = 0x01;
    /// Hostname by RFC 1123, 1 to 63 bytes.
    pub const HOSTNAME: u8 = 0x02;
    /// Board serial, 1 to 63 bytes of printable ASCII without space.
    pub const SERIAL: u8 = 0x03;
    /// Assigned MAC: interface index (1 byte), address (6 bytes); one field per index.
    pub const MAC: u8 = 0x04;
    /// Variable: key, `=`, value; one field per key.
    pub const VARIABLE: u8 = 0x05;
    /// Binding: the card's CID with its CRC byte zero.
    pub const CARD: u8 = 0x06;
    /// Binding: the board's serial or SoC id.
    pub const BOARD: u8 = 0x07;
}

/// The name of a field type in messages; `None` for types that version 1 does not know.
pub fn name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        kind::PROFILE => "profile",
        kind::HOSTNAME => "hostname",
        kind::SERIAL => "serial",
        kind::MAC => "MAC",
        kind::VARIABLE => "variable",
        kind::CARD => "card binding",
        kind::BOARD => "board binding",
        _ => return None,
    })
}

/// What is wrong with one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// A text breaks its field's rule.
    Text(TextError),
    /// A MAC is not usable.
    Mac(MacError),
    /// A value of fixed length has another one.
    Length {
        /// Length found, in bytes.
        len: usize,
    },
    /// A variable without `=`.
    NoEqualsSign,
    /// A CID that is all zero, or whose CRC byte is not masked.
    Cid,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => error.fmt(f),
            Self::Mac(error) => error.fmt(f),
            Self::Length { len } => write!(f, "is {len} bytes long"),
            Self::NoEqualsSign => f.write_str("has no '='"),
            Self::Cid => f.write_str("is not a CID with its CRC byte masked"),
        }
    }
}

/// Why bytes are not a list of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldsError {
    /// A field's length goes past the end; `offset` is where the field starts, in bytes from the first field.
    Truncated {
        /// Start of the field.
        offset: usize,
    },
    /// A field is not behind the one before it in order, or is there twice.
    Order {
        /// Type of the field.
        kind: u8,
    },
    /// A value breaks its field's rule.
    Value {
        /// Type of the field.
        kind: u8,
        /// What is wrong with it.
        error: ValueError,
    },
    /// The required profile is missing.
    NoProfile,
    /// A type with the critical bit that version 1 does not know.
    Critical {
        /// Type of the field.
        kind: u8,
    },
}

impl fmt::Display for FieldsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { offset } => write!(f, "the field at byte {offset} is cut off"),
            Self::Order { kind } => write!(f, "a field of type 0x{kind:02x} is out of order or there twice"),
            Self::Value { kind, error } => {
                write!(f, "{} {error}", name(kind).unwrap_or("field"))
            }
            Self::NoProfile => f.write_str("there is no profile"),
            Self::Critical { kind } => write!(f, "a field of critical type 0x{kind:02x} is not known"),
        }
    }
}

/// One field: its type and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Type, one of [`kind`] or unknown.
    pub kind: u8,
    /// Value, at most 255 bytes.
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Order on the card: by type, then by key. If neither precedes the other, one replaces the other.
    #[inline(always)]
    pub(crate) fn precedes(&self, other: &Self) -> bool {
        if self.kind == other.kind {
            key(self.kind, self.value) < key(other.kind, other.value)
        } else {
            self.kind < other.kind
        }
    }

    /// Checks the value of a known type.
    pub(crate) fn check(&self) -> Result<(), ValueError> {
        self.check_as(|error| error)
    }

    /// The same, with an error that `report` makes of the reason.
    fn check_as<E>(&self, report: impl Fn(ValueError) -> E) -> Result<(), E> {
        let value = self.value;
        let report_text = |error| report(ValueError::Text(error));
        match self.kind {
            kind::PROFILE => text::check_profile(value).map_err(report_text),
            kind::HOSTNAME => text::check_hostname(value).map_err(report_text),
            kind::SERIAL | kind::BOARD => text::check_serial(value).map_err(report_text),
            kind::MAC => check_mac(value).map_err(report),
            kind::VARIABLE => {
                let (key, value) = split_variable(value).ok_or_else(|| report(ValueError::NoEqualsSign))?;
                text::check_key(key).map_err(report_text)?;
                text::check_value(value).map_err(report_text)
            }
            kind::CARD => check_cid(value).map_err(report),
            _ => Ok(()),
        }
    }
}

fn check_mac(value: &[u8]) -> Result<(), ValueError> {
    let mac = value.get(1..).and_then(|mac| mac.try_into().ok());
    mac::check(mac.ok_or(ValueError::Length { len: value.len() })?).map_err(ValueError::Mac)
}

fn check_cid(value: &[u8]) -> Result<(), ValueError> {
    let cid: &[u8; CID_LEN] = value.try_into().map_err(|_| ValueError::Length { len: value.len() })?;
    let [.., crc] = cid;
    if *crc != 0 || all_are(cid, 0) { Err(ValueError::Cid) } else { Ok(()) }
}

/// What tells two fields of one type apart: the interface index, the key, or nothing.
fn key(kind: u8, value: &[u8]) -> &[u8] {
    let len = match kind {
        kind::MAC => 1,
        kind::VARIABLE => key_len(value),
        _ => 0,
    };
    value.get(..len).unwrap_or(value)
}

/// Length of what stands before the first `=`; of all if there is none.
fn key_len(value: &[u8]) -> usize {
    value.iter().position(|&byte| byte == b'=').unwrap_or(value.len())
}

/// `key=value` at the first `=`.
fn split_variable(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, rest) = value.split_at_checked(key_len(value))?;
    Some((key, rest.get(1..)?))
}

/// Walks over encoded fields; ends early where a length goes past the end.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'a>(&'a [u8]);

impl<'a> Walk<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let (&kind, rest) = self.0.split_first()?;
        let (&len, rest) = rest.split_first()?;
        let (value, rest) = rest.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some(Field { kind, value })
    }
}

/// The fields of one copy, in the bytes where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Checks that `bytes` are fields of version 1: whole, in order, each by its rule, a profile among them.
    pub fn check(bytes: &'a [u8]) -> Result<Self, FieldsError> {
        Self::check_as(bytes, |error| error).map(|()| Self(bytes))
    }

    /// The same, with an error that `report` makes of the reason. Not inlined, or a bootloader's compiler runs out of
    /// registers.
    #[inline(never)]
    pub(crate) fn check_as<E>(bytes: &'a [u8], report: impl Fn(FieldsError) -> E) -> Result<(), E> {
        let mut walk = Walk::new(bytes);
        let mut previous = Field { kind: 0, value: &[] };
        for field in &mut walk {
            let kind = field.kind;
            // No type of version 1 has it.
            if kind & CRITICAL_BIT != 0 {
                return Err(report(FieldsError::Critical { kind }));
            }
            // Type 0 stands for none before the first field, so that no field has it.
            let may_repeat = || previous.kind == kind && kind != 0 && name(kind).is_none();
            let in_order = previous.precedes(&field) || may_repeat();
            if !in_order {
                return Err(report(FieldsError::Order { kind }));
            }
            field.check_as(|error| report(FieldsError::Value { kind, error }))?;
            previous = field;
        }
        if !walk.0.is_empty() {
            let offset = bytes.len().saturating_sub(walk.0.len());
            return Err(report(FieldsError::Truncated { offset }));
        }
        // No type is lower, so that it is the first field.
        if bytes.first() == Some(&kind::PROFILE) { Ok(()) } else { Err(report(FieldsError::NoProfile)) }
    }

    /// For bytes that [`Fields::check`] accepted before and that may have been changed since: the getters then
    /// return what stands there, or nothing, but never fail otherwise.
    pub fn assume_checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The fields as they lie in the sector.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// All fields, unknown ones too.
    pub fn iter(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        Walk::new(self.0)
    }

    /// The value of the field of this type that has `number` others of its type before it.
    pub fn value(&self, kind: u8, number: u32) -> Option<&'a [u8]> {
        let mut before = number;
        for field in self.iter() {
            if field.kind == kind {
                match before.checked_sub(1) {
                    Some(less) => before = less,
                    None => return Some(field.value),
                }
            }
        }
        None
    }

    /// The text of the only field of this type: profile, hostname, serial or board binding.
    pub fn text(&self, kind: u8) -> Option<&'a str> {
        core::str::from_utf8(self.value(kind, 0)?).ok()
    }

    /// The CID that the identity is bound to, its last byte (CRC) zero.
    pub fn card(&self) -> Option<[u8; CID_LEN]> {
        self.value(kind::CARD, 0)?.try_into().ok()
    }

    /// Key and value of variable `number`, from 0, by ascending key.
    pub fn variable(&self, number: u32) -> Option<(&'a [u8], &'a [u8])> {
        split_variable(self.value(kind::VARIABLE, number)?)
    }

    /// Interface index and address number `number`, from 0, that a person assigned, by ascending index.
    pub fn assigned(&self, number: u32) -> Option<(u8, &'a [u8; MAC_LEN])> {
        let (&index, mac) = self.value(kind::MAC, number)?.split_first()?;
        Some((index, mac.try_into().ok()?))
    }

    /// The address that a person assigned to this interface: the bytes of a [`Mac`], where they lie.
    pub(crate) fn assigned_to(&self, interface: u32) -> Option<&'a [u8; MAC_LEN]> {
        let (_, mac) = self.assignments().find(|&(index, _)| u32::from(index) == interface)?;
        mac::check(mac).ok().map(|()| mac)
    }

    fn assignments(&self) -> impl Iterator<Item = (u8, &'a [u8; MAC_LEN])> + use<'a> {
        let fields = *self;
        (0..).map_while(move |number| fields.assigned(number))
    }

    /// MAC addresses that a person assigned, by ascending interface index.
    pub fn macs(&self) -> impl Iterator<Item = (u8, Mac)> + use<'a> {
        self.assignments().map_while(|(index, &bytes)| Some((index, Mac::new(bytes).ok()?)))
    }

    /// Variables by ascending key.
    pub fn variables(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let fields = *self;
        (0..).map_while(move |number| {
            let (key, value) = fields.variable(number)?;
            Some((core::str::from_utf8(key).ok()?, core::str::from_utf8(value).ok()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn field(kind: u8, value: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![kind, value.len() as u8];
        bytes.extend_from_slice(value);
        bytes
    }

    fn check(parts: &[Vec<u8>]) -> Result<(), FieldsError> {
        Fields::check(&parts.concat()).map(|_| ())
    }

    #[test]
    fn getters() {
        let bytes = [
            field(kind::PROFILE, b"panda"),
            field(kind::MAC, &[0, 2, 0, 0, 0, 0, 1]),
            field(kind::MAC, &[3, 2, 0, 0, 0, 0, 4]),
            field(kind::VARIABLE, b"a=1=2"),
            field(kind::VARIABLE, b"b="),
            field(0x40, b"later"),
        ]
        .concat();
        let fields = Fields::check(&bytes).unwrap();
        assert_eq!(fields.text(kind::PROFILE), Some("panda"));
        assert_eq!(fields.text(kind::HOSTNAME), None);
        assert_eq!(fields.macs().map(|(index, _)| index).collect::<Vec<_>>(), [0, 3]);
        assert_eq!(fields.variables().collect::<Vec<_>>(), [("a", "1=2"), ("b", "")]);
        assert_eq!(fields.iter().count(), 6);
    }

    #[test]
    fn order_and_duplicates() {
        let profile = field(kind::PROFILE, b"p");
        let twice = Err(FieldsError::Order { kind: kind::PROFILE });
        assert_eq!(check(&[profile.clone(), profile.clone()]), twice);
        assert_eq!(check(&[field(kind::HOSTNAME, b"h"), profile.clone()]), twice);
        let (a, b) = (field(kind::VARIABLE, b"a=2"), field(kind::VARIABLE, b"b=1"));
        assert_eq!(check(&[profile.clone(), a.clone(), b.clone()]), Ok(()));
        let order = Err(FieldsError::Order { kind: kind::VARIABLE });
        assert_eq!(check(&[profile.clone(), b.clone(), a.clone()]), order);
        assert_eq!(check(&[profile.clone(), a.clone(), field(kind::VARIABLE, b"a=3")]), order);
        let unknown = field(0x40, b"x");
        assert_eq!(check(&[profile, unknown.clone(), unknown]), Ok(()));
    }

    #[test]
    fn refused() {
        assert_eq!(check(&[]), Err(FieldsError::NoProfile));
        assert_eq!(check(&[field(0, b"")]), Err(FieldsError::Order { kind: 0 }));
        let profile = field(kind::PROFILE, b"p");
        assert_eq!(check(&[profile.clone(), std::vec![2]]), Err(FieldsError::Truncated { offset: 3 }));
        assert_eq!(check(&[profile.clone(), std::vec![2, 9, 1]]), Err(FieldsError::Truncated { offset: 3 }));
        assert_eq!(check(&[profile.clone(), field(0x85, b"")]), Err(FieldsError::Critical { kind: 0x85 }));
        for (kind, value) in [
            (kind::HOSTNAME, &b"-"[..]),
            (kind::SERIAL, b" "),
            (kind::MAC, &[0, 1, 0, 0, 0, 0, 0]),
            (kind::MAC, &[0, 2, 0, 0, 0, 0]),
            (kind::VARIABLE, b"novalue"),
            (kind::VARIABLE, b"=x"),
            (kind::CARD, &[0; 16]),
            (kind::CARD, &[1; 16]),
            (kind::BOARD, b""),
        ] {
            assert!(
                matches!(check(&[profile.clone(), field(kind, value)]), Err(FieldsError::Value { kind: k, .. }) if k == kind),
                "{kind} {value:?}"
            );
        }
    }
}
