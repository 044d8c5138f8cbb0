// SPDX-License-Identifier: MIT OR Apache-2.0
//! An identity by itself, wherever its copies lie, and the draft that it is made from.

use core::fmt;

use heapless::Vec;
use uuid::Uuid;
use zerocopy::byteorder::little_endian::{U16, U32};

use crate::derive;
use crate::field::{self, CID_LEN, Field, Fields, FieldsError, ValueError, kind};
use crate::mac::{MAC_LEN, Mac};
use crate::sector::{
    FIELDS_CAPACITY, HEADER_LEN, MAGIC, RawSector, SECTOR_LEN, TRAILER_LEN, VERSION, all_are,
};

/// Room for the fields of a draft in bytes: more than fits, so that the error can say how much too much it is.
const DRAFT_CAPACITY: usize = 4096;

/// An identity that fits one sector: every field checked, in its only encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    uuid: Uuid,
    generation: u32,
    fields: Vec<u8, FIELDS_CAPACITY>,
}

impl Identity {
    /// Of parts that a reader has checked.
    pub(crate) fn of_checked(uuid: Uuid, generation: u32, fields: Fields<'_>) -> Self {
        // A reader's fields come from one sector, so they fit.
        Self { uuid, generation, fields: Vec::from_slice(fields.bytes()).unwrap_or_default() }
    }

    /// The UUID, neither nil nor max.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// How often this identity has been written, from 1.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// All fields, known and unknown ones, in canonical order.
    pub fn fields(&self) -> Fields<'_> {
        Fields::assume_checked(&self.fields)
    }

    /// The profile; never empty.
    pub fn profile(&self) -> &str {
        self.fields().text(kind::PROFILE).unwrap_or_default()
    }

    /// The hostname, if the identity has one.
    pub fn hostname(&self) -> Option<&str> {
        self.fields().text(kind::HOSTNAME)
    }

    /// The board serial, if the identity has one.
    pub fn serial(&self) -> Option<&str> {
        self.fields().text(kind::SERIAL)
    }

    /// The MAC address of interface `index`: the assigned one, else the derived one.
    pub fn mac(&self, index: u32) -> (Mac, MacSource) {
        mac(self.uuid, self.fields(), index)
    }

    /// A draft with the same values and the next generation.
    ///
    /// # Errors
    /// [`DraftError::Generation`] after 4294967295 writes.
    pub fn next(&self) -> Result<Draft, DraftError> {
        let generation = self.generation.checked_add(1).ok_or(DraftError::Generation)?;
        Ok(Draft { generation, ..self.draft() })
    }

    /// A draft with the same values and the same generation.
    pub fn draft(&self) -> Draft {
        let fields = Vec::from_slice(&self.fields).unwrap_or_default();
        Draft { uuid: self.uuid, generation: self.generation, fields }
    }

    /// The sector that holds this identity at `own_lba`, with the other copy at `peer_lba`.
    pub fn encode(&self, own_lba: u32, peer_lba: u32) -> [u8; SECTOR_LEN] {
        let mut raw = RawSector {
            magic: MAGIC,
            crc: U32::ZERO,
            header_len: U16::new(HEADER_LEN),
            version: U16::new(VERSION),
            own_lba: U32::new(own_lba),
            peer_lba: U32::new(peer_lba),
            generation: U32::new(self.generation),
            fields_len: U16::new(u16::try_from(self.fields.len()).unwrap_or(0)),
            reserved: U16::ZERO,
            uuid: *self.uuid.as_bytes(),
            fields: [0; FIELDS_CAPACITY],
            trailer: [0; TRAILER_LEN],
        };
        for (target, &byte) in raw.fields.iter_mut().zip(&self.fields) {
            *target = byte;
        }
        raw.crc = U32::new(raw.compute_crc());
        *raw.bytes()
    }
}

/// Where a MAC address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacSource {
    /// Computed from the UUID.
    Derived,
    /// Stored, because a person assigned it.
    Assigned,
}

/// The MAC address of interface `index`: the one assigned in `fields`, else the one derived from `uuid`.
pub fn mac(uuid: Uuid, fields: Fields<'_>, index: u32) -> (Mac, MacSource) {
    let mut bytes = [0; MAC_LEN];
    let source = write_mac(uuid, fields, index, &mut bytes);
    (Mac::of_checked(bytes), source)
}

/// The bytes of [`mac()`], where they shall lie: a bootloader would copy them one by one otherwise.
pub fn write_mac(uuid: Uuid, fields: Fields<'_>, index: u32, out: &mut [u8; MAC_LEN]) -> MacSource {
    match fields.assigned_to(index) {
        Some(mac) => {
            *out = *mac;
            MacSource::Assigned
        }
        None => {
            derive::write_mac(uuid, index, out);
            MacSource::Derived
        }
    }
}

/// Why a draft cannot become an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftError {
    /// A nil or max UUID.
    Uuid,
    /// A value breaks its field's rule.
    Value {
        /// Type of the field.
        kind: u8,
        /// What is wrong with it.
        error: ValueError,
    },
    /// The fields need more than one sector has.
    TooLarge {
        /// Number of bytes that do not fit.
        over: usize,
    },
    /// The generation cannot be counted further.
    Generation,
    /// There is no profile.
    NoProfile,
}

impl fmt::Display for DraftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Uuid => f.write_str("the UUID is nil or max, which every reader would share"),
            Self::Value { kind, error } => write!(f, "{} {error}", field::name(kind).unwrap_or("field")),
            Self::TooLarge { over } => write!(
                f,
                "the fields are {over} bytes over the {FIELDS_CAPACITY} that a sector has: shorten or leave out some"
            ),
            Self::Generation => {
                write!(f, "this identity has been written {} times, which is the limit", u32::MAX)
            }
            Self::NoProfile => f.write_str("there is no profile"),
        }
    }
}

/// An identity in the making: each setter checks its value, [`Draft::finish`] the whole.
#[derive(Clone, Debug)]
pub struct Draft {
    uuid: Uuid,
    generation: u32,
    fields: Vec<u8, DRAFT_CAPACITY>,
}

impl Draft {
    /// A new identity, generation 1, without fields.
    ///
    /// # Errors
    /// [`DraftError::Uuid`] if `uuid` is nil or max.
    pub fn new(uuid: Uuid) -> Result<Self, DraftError> {
        check_uuid(uuid.as_bytes()).map_err(|()| DraftError::Uuid)?;
        Ok(Self { uuid, generation: 1, fields: Vec::new() })
    }

    /// Sets the generation, for restoring an identity that was written before.
    pub fn set_generation(&mut self, generation: u32) {
        self.generation = generation.max(1);
    }

    /// Sets a text: profile, hostname, serial or board binding, by its type.
    pub fn set_text(&mut self, kind: u8, text: &str) -> Result<(), DraftError> {
        self.put(kind, &[text.as_bytes()])
    }

    /// Assigns a MAC address to an interface index.
    pub fn set_mac(&mut self, index: u8, mac: Mac) -> Result<(), DraftError> {
        self.put(kind::MAC, &[&[index], &mac.bytes()])
    }

    /// Sets a variable, in place of an earlier one with this key.
    pub fn set_variable(&mut self, key: &str, value: &str) -> Result<(), DraftError> {
        // Checked here too: a key with '=' in it would be cut elsewhere.
        crate::text::check_key(key.as_bytes())
            .map_err(|error| DraftError::Value { kind: kind::VARIABLE, error: ValueError::Text(error) })?;
        self.put(kind::VARIABLE, &[key.as_bytes(), b"=", value.as_bytes()])
    }

    /// Binds to a card; the CID's last byte, its CRC, is masked because some hosts do not deliver it.
    pub fn set_card(&mut self, cid: [u8; CID_LEN]) -> Result<(), DraftError> {
        let [masked @ .., _] = cid;
        self.put(kind::CARD, &[&masked, &[0]])
    }

    /// Adds a field that this version does not know, of a type that readers skip (0x08 to 0x7f): in ascending order of
    /// types, behind all other fields.
    ///
    /// # Errors
    /// [`DraftError::Value`] if the type is none of those, or out of order; [`DraftError::TooLarge`].
    pub fn add_unknown(&mut self, kind: u8, value: &[u8]) -> Result<(), DraftError> {
        let last = field::Walk::new(&self.fields).last().map_or(0, |field| field.kind);
        if field::name(kind).is_some() || kind == 0 || kind & field::CRITICAL_BIT != 0 || kind < last {
            return Err(DraftError::Value { kind, error: ValueError::Length { len: value.len() } });
        }
        let mut fields = self.fields.clone();
        push(&mut fields, Field { kind, value })
            .map_err(|()| self.too_large(value.len().saturating_add(field::FIELD_HEADER_LEN)))?;
        self.fields = fields;
        Ok(())
    }

    /// Removes what `matches` says of (type, value).
    pub fn remove(&mut self, matches: impl Fn(u8, &[u8]) -> bool) {
        let mut kept = Vec::new();
        for field in field::Walk::new(&self.fields) {
            if !matches(field.kind, field.value) {
                // A part of what fitted before fits again.
                let _ = push(&mut kept, field);
            }
        }
        self.fields = kept;
    }

    /// The identity, when all that it needs is there.
    ///
    /// # Errors
    /// [`DraftError::TooLarge`] with the number of bytes over, [`DraftError::NoProfile`].
    pub fn finish(&self) -> Result<Identity, DraftError> {
        let fields = Vec::from_slice(&self.fields).map_err(|_| self.too_large(0))?;
        Fields::check(&fields).map_err(|error| match error {
            FieldsError::Value { kind, error } => DraftError::Value { kind, error },
            _ => DraftError::NoProfile,
        })?;
        Ok(Identity { uuid: self.uuid, generation: self.generation, fields })
    }

    fn too_large(&self, more: usize) -> DraftError {
        let over = self.fields.len().saturating_add(more).saturating_sub(FIELDS_CAPACITY);
        DraftError::TooLarge { over }
    }

    /// Puts a field in its place in the order, instead of the one with the same type and key.
    fn put(&mut self, kind: u8, parts: &[&[u8]]) -> Result<(), DraftError> {
        let mut value: Vec<u8, { field::VALUE_LEN_MAX }> = Vec::new();
        for part in parts {
            value.extend_from_slice(part).map_err(|_| {
                let len = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
                DraftError::Value { kind, error: ValueError::Length { len } }
            })?;
        }
        let new = Field { kind, value: &value };
        new.check().map_err(|error| DraftError::Value { kind, error })?;

        let mut fields = Vec::new();
        let mut copied = Ok(());
        let old = || field::Walk::new(&self.fields);
        let before = old().filter(|field| field.precedes(&new));
        let after = old().filter(|field| new.precedes(field));
        for field in before.chain([new]).chain(after) {
            copied = copied.and_then(|()| push(&mut fields, field));
        }
        copied.map_err(|()| self.too_large(value.len().saturating_add(field::FIELD_HEADER_LEN)))?;
        self.fields = fields;
        Ok(())
    }
}

fn push<const N: usize>(target: &mut Vec<u8, N>, field: Field<'_>) -> Result<(), ()> {
    let len = u8::try_from(field.value.len()).map_err(|_| ())?;
    target.extend_from_slice(&[field.kind, len]).map_err(|_| ())?;
    target.extend_from_slice(field.value).map_err(|_| ())
}

/// Nil and max are nobody's identity (RFC 9562 sections 5.9 and 5.10).
pub(crate) fn check_uuid(uuid: &[u8; 16]) -> Result<(), ()> {
    let [first, ..] = *uuid;
    if matches!(first, 0 | 0xff) && all_are(uuid, first) { Err(()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    const UUID: Uuid = Uuid::from_u128(0x9e3c1d40_5a37_4c8e_9f0b_6d2a81e4c7f5);

    fn draft() -> Draft {
        let mut draft = Draft::new(UUID).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        draft
    }

    #[test]
    fn order_of_setting_does_not_matter() {
        let mac = Mac::new([2, 0, 0, 0, 0, 1]).unwrap();
        let mut one = Draft::new(UUID).unwrap();
        one.set_variable("b", "2").unwrap();
        one.set_mac(1, mac).unwrap();
        one.set_mac(0, mac).unwrap();
        one.set_variable("a", "1").unwrap();
        one.set_text(kind::HOSTNAME, "x").unwrap();
        one.set_text(kind::PROFILE, "panda").unwrap();
        let mut other = draft();
        other.set_text(kind::HOSTNAME, "x").unwrap();
        other.set_variable("a", "old").unwrap();
        other.set_variable("a", "1").unwrap();
        other.set_variable("b", "2").unwrap();
        other.set_mac(0, mac).unwrap();
        other.set_mac(1, mac).unwrap();
        assert_eq!(one.finish().unwrap().encode(52, 6607), other.finish().unwrap().encode(52, 6607));
    }

    #[test]
    fn says_how_much_too_large() {
        let mut draft = draft();
        let used = 2 + 5;
        for number in 0..6 {
            draft.set_variable(&format!("k{number}"), &"x".repeat(100)).unwrap();
        }
        let over = used + 6 * (2 + 3 + 100) - FIELDS_CAPACITY;
        assert_eq!(draft.finish(), Err(DraftError::TooLarge { over }));
    }

    #[test]
    fn nobody_s_uuid() {
        for uuid in [Uuid::nil(), Uuid::max()] {
            assert_eq!(Draft::new(uuid).unwrap_err(), DraftError::Uuid);
        }
    }

    #[test]
    fn generation_never_wraps() {
        let mut draft = draft();
        draft.set_generation(u32::MAX - 1);
        let last = draft.finish().unwrap().next().unwrap().finish().unwrap();
        assert_eq!(last.generation(), u32::MAX);
        assert_eq!(last.next().unwrap_err(), DraftError::Generation);
    }

    #[test]
    fn profile_is_required() {
        assert_eq!(Draft::new(UUID).unwrap().finish(), Err(DraftError::NoProfile));
    }

    #[test]
    fn assigned_wins() {
        let mut draft = draft();
        let mac = Mac::new([2, 0, 0, 0, 0, 1]).unwrap();
        draft.set_mac(1, mac).unwrap();
        let identity = draft.finish().unwrap();
        assert_eq!(identity.mac(1), (mac, MacSource::Assigned));
        assert_eq!(identity.mac(0), (derive::mac(UUID, 0), MacSource::Derived));
    }

    #[test]
    fn remove_one_variable() {
        let mut draft = draft();
        draft.set_variable("a", "1").unwrap();
        draft.set_variable("ab", "2").unwrap();
        draft.remove(|kind, value| kind == kind::VARIABLE && value.starts_with(b"a="));
        let identity = draft.finish().unwrap();
        assert_eq!(identity.fields().variables().collect::<std::vec::Vec<_>>(), [("ab", "2")]);
    }
}
