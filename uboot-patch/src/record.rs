// SPDX-License-Identifier: MIT OR Apache-2.0
//! The identity as C holds it between calls, and what can be asked of it.

use core::slice::IterMut;

use identity_core::binding::{self, Surroundings};
use identity_core::field::{Fields, kind};
use identity_core::identity::{MacSource, write_mac};
use identity_core::{State, StoredCopy, Uuid, derive};

use crate::status::Fault;

/// The address was computed from the UUID.
pub const IDENTITY_SOURCE_DERIVED: u32 = 1;
/// The address was assigned by a person.
pub const IDENTITY_SOURCE_ASSIGNED: u32 = 2;

/// Which text of an identity is asked for.
pub mod text {
    /// Profile, at most 63 bytes.
    pub const IDENTITY_TEXT_PROFILE: u32 = 1;
    /// Hostname, at most 63 bytes; may be absent.
    pub const IDENTITY_TEXT_HOSTNAME: u32 = 2;
    /// Board serial, at most 63 bytes; may be absent.
    pub const IDENTITY_TEXT_SERIAL: u32 = 3;
    /// Binding to a board's serial or SoC id, at most 63 bytes; may be absent.
    pub const IDENTITY_TEXT_BOARD: u32 = 7;
    /// UUID in its 36-byte form.
    pub const IDENTITY_TEXT_UUID: u32 = 256;
    /// Machine-id, 32 hex digits.
    pub const IDENTITY_TEXT_MACHINE_ID: u32 = 257;
    /// Binding to a card: its CID without checksum, 32 hex digits; may be absent.
    pub const IDENTITY_TEXT_CARD: u32 = 258;
}

/// A checked identity. Belongs to the caller, who may copy it; its content belongs to this library.
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct identity_record {
    size: u32,
    lba: u32,
    peer_lba: u32,
    generation: u32,
    uuid: [u8; 16],
    fields_len: u16,
    fields: [u8; 462],
}

/// Size that C passes and that is stored, in bytes.
pub(crate) const RECORD_SIZE: u32 = 496;

const _: () = assert!(size_of::<identity_record>() == 496);

impl identity_record {
    /// Field by field, where it lies: a second one would be half a KiB on the caller's stack.
    pub(crate) fn set(&mut self, copy: &StoredCopy<'_>) {
        self.size = RECORD_SIZE;
        self.lba = copy.own_lba();
        self.peer_lba = copy.peer_lba();
        self.generation = copy.generation();
        self.uuid = *copy.uuid().as_bytes();
        self.fields_len = u16::try_from(copy.fields().bytes().len()).unwrap_or(0);
        self.fields = *copy.field_area();
    }

    fn uuid(&self) -> Uuid {
        Uuid::from_bytes(self.uuid)
    }

    /// Not inlined: five callers.
    #[inline(never)]
    fn fields(&self) -> Fields<'_> {
        let len = usize::from(self.fields_len);
        Fields::assume_checked(self.fields.get(..len).unwrap_or_default())
    }

    pub(crate) fn text(&self, what: u32, out: &mut [u8]) -> Result<(), Fault> {
        match what {
            text::IDENTITY_TEXT_UUID => write_hex(&self.uuid, true, out),
            text::IDENTITY_TEXT_MACHINE_ID => {
                write_hex(derive::machine_id(self.uuid()).as_bytes(), false, out)
            }
            text::IDENTITY_TEXT_CARD => {
                write_hex(self.fields().value(kind::CARD, 0).ok_or(Fault::ABSENT)?, false, out)
            }
            // The other texts have their fields' numbers.
            _ => {
                let kind = u8::try_from(what).map_err(|_| Fault::BAD_ARGUMENT)?;
                if !matches!(kind, kind::PROFILE | kind::HOSTNAME | kind::SERIAL | kind::BOARD) {
                    return Err(Fault::BAD_ARGUMENT);
                }
                write_text(self.fields().value(kind, 0).ok_or(Fault::ABSENT)?, out)
            }
        }
    }

    pub(crate) fn write_mac(&self, index: u32, mac: &mut [u8; 6]) -> u32 {
        match write_mac(self.uuid(), self.fields(), index, mac) {
            MacSource::Derived => IDENTITY_SOURCE_DERIVED,
            MacSource::Assigned => IDENTITY_SOURCE_ASSIGNED,
        }
    }

    pub(crate) fn assigned(&self, number: u32) -> Result<u32, Fault> {
        self.fields().assigned(number).map(|(index, _)| u32::from(index)).ok_or(Fault::ABSENT)
    }

    pub(crate) fn state(&self, found: State, surroundings: Surroundings<'_>) -> State {
        binding::state(found, self.fields(), surroundings)
    }

    pub(crate) fn variable(&self, number: u32, key: &mut [u8], value: &mut [u8]) -> Result<(), Fault> {
        let (found_key, found_value) = self.fields().variable(number).ok_or(Fault::ABSENT)?;
        // Both or neither: the second check must come before the first write.
        if found_value.len() >= value.len() {
            return Err(Fault::TOO_SMALL);
        }
        write_text(found_key, key)?;
        write_text(found_value, value)
    }
}

/// Writes a text and its NUL, or nothing.
pub(crate) fn write_text(text: &[u8], out: &mut [u8]) -> Result<(), Fault> {
    for (target, &byte) in room(text.len(), out)?.iter_mut().zip(text) {
        *target = byte;
    }
    Ok(())
}

/// Writes 16 bytes in lower case, with a UUID's hyphens or without, and a NUL; or nothing.
fn write_hex(bytes: &[u8], hyphens: bool, out: &mut [u8]) -> Result<(), Fault> {
    let mut text = room(if hyphens { 36 } else { 32 }, out)?.iter_mut();
    for (at, &byte) in bytes.iter().enumerate() {
        if hyphens && matches!(at, 4 | 6 | 8 | 10) {
            push(&mut text, b'-');
        }
        push(&mut text, hex_digit(byte >> 4));
        push(&mut text, hex_digit(byte & 0xf));
    }
    Ok(())
}

#[inline(never)]
fn push(text: &mut IterMut<'_, u8>, byte: u8) {
    if let Some(target) = text.next() {
        *target = byte;
    }
}

fn hex_digit(value: u8) -> u8 {
    value.wrapping_add(if value < 10 { b'0' } else { b'a'.wrapping_sub(10) })
}

/// The first `len` bytes of `out`, with a NUL behind them.
fn room(len: usize, out: &mut [u8]) -> Result<&mut [u8], Fault> {
    let (nul, text) = out.get_mut(..=len).and_then(<[u8]>::split_last_mut).ok_or(Fault::TOO_SMALL)?;
    *nul = 0;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_fields_numbers() {
        for (what, kind) in [
            (text::IDENTITY_TEXT_PROFILE, kind::PROFILE),
            (text::IDENTITY_TEXT_HOSTNAME, kind::HOSTNAME),
            (text::IDENTITY_TEXT_SERIAL, kind::SERIAL),
            (text::IDENTITY_TEXT_BOARD, kind::BOARD),
        ] {
            assert_eq!(what, u32::from(kind));
        }
    }
}
