// SPDX-License-Identifier: MIT OR Apache-2.0
//! The identity as C holds it between calls, and what can be asked of it.

use identity_core::field::{CID_LEN, Fields, kind};
use identity_core::identity::{MacSource, mac};
use identity_core::{Copy, Uuid, derive};

use crate::status::{IDENTITY_ABSENT, IDENTITY_BAD_ARGUMENT, IDENTITY_TOO_SMALL};

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
    pub(crate) fn of(copy: &Copy<'_>) -> Self {
        Self {
            size: RECORD_SIZE,
            lba: copy.own_lba(),
            peer_lba: copy.peer_lba(),
            generation: copy.generation(),
            uuid: *copy.uuid().as_bytes(),
            fields_len: u16::try_from(copy.fields().bytes().len()).unwrap_or(0),
            fields: *copy.field_area(),
        }
    }

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    fn uuid(&self) -> Uuid {
        Uuid::from_bytes(self.uuid)
    }

    fn fields(&self) -> Fields<'_> {
        let len = usize::from(self.fields_len);
        Fields::assume_checked(self.fields.get(..len).unwrap_or_default())
    }

    pub(crate) fn text(&self, what: u32, out: &mut [u8]) -> Result<(), i32> {
        let mut buffer = [0; 36];
        let text = match what {
            text::IDENTITY_TEXT_PROFILE => self.fields().text(kind::PROFILE),
            text::IDENTITY_TEXT_HOSTNAME => self.fields().text(kind::HOSTNAME),
            text::IDENTITY_TEXT_SERIAL => self.fields().text(kind::SERIAL),
            text::IDENTITY_TEXT_BOARD => self.fields().text(kind::BOARD),
            text::IDENTITY_TEXT_UUID => Some(&*self.uuid().hyphenated().encode_lower(&mut buffer)),
            text::IDENTITY_TEXT_MACHINE_ID => {
                Some(&*derive::machine_id(self.uuid()).simple().encode_lower(&mut buffer))
            }
            _ => return Err(IDENTITY_BAD_ARGUMENT),
        };
        write_text(text.ok_or(IDENTITY_ABSENT)?, out)
    }

    pub(crate) fn mac(&self, index: u32) -> ([u8; 6], u32) {
        let (mac, source) = mac(self.uuid(), self.fields(), index);
        let source = match source {
            MacSource::Derived => IDENTITY_SOURCE_DERIVED,
            MacSource::Assigned => IDENTITY_SOURCE_ASSIGNED,
        };
        (mac.bytes(), source)
    }

    pub(crate) fn assigned(&self, number: u32) -> Result<u32, i32> {
        let number = usize::try_from(number).map_err(|_| IDENTITY_ABSENT)?;
        self.fields().macs().nth(number).map(|(index, _)| u32::from(index)).ok_or(IDENTITY_ABSENT)
    }

    pub(crate) fn card(&self) -> Option<[u8; CID_LEN]> {
        self.fields().card()
    }

    pub(crate) fn variable(&self, number: u32, key: &mut [u8], value: &mut [u8]) -> Result<(), i32> {
        let mut before = number;
        let found = self.fields().variables().find(|_| {
            let here = before == 0;
            before = before.saturating_sub(1);
            here
        });
        let (found_key, found_value) = found.ok_or(IDENTITY_ABSENT)?;
        // Both or neither: the second check must come before the first write.
        if found_value.len() >= value.len() {
            return Err(IDENTITY_TOO_SMALL);
        }
        write_text(found_key, key)?;
        write_text(found_value, value)
    }
}

/// Writes a text and its NUL, or nothing.
pub(crate) fn write_text(text: &str, out: &mut [u8]) -> Result<(), i32> {
    if text.len() >= out.len() {
        return Err(IDENTITY_TOO_SMALL);
    }
    for (target, byte) in out.iter_mut().zip(text.bytes().chain([0])) {
        *target = byte;
    }
    Ok(())
}
