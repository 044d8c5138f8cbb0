// SPDX-License-Identifier: MIT OR Apache-2.0
//! One sector read at one place: a valid copy of an identity, or why not.

use core::fmt;

use uuid::Uuid;
use zerocopy::FromZeros;

use crate::field::{Fields, FieldsError};
use crate::identity::{Identity, check_uuid};
use crate::sector::{
    FIELDS_CAPACITY, HEADER_LEN, Header, MAGIC, RawSector, SECTOR_LEN, VERSION, all_are, offset,
};

/// Why a sector with our magic holds no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The header length is impossible in any version.
    HeaderLen {
        /// Length found, in bytes.
        found: u16,
    },
    /// The stored checksum is not that of the sector.
    Crc {
        /// The checksum that the sector holds.
        stored: u32,
        /// As it should be.
        computed: u32,
    },
    /// Intact, but its header or padding breaks a rule of this version.
    Header,
    /// Intact, but its fields break a rule of this version.
    Fields(FieldsError),
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderLen { found } => write!(f, "its header length is {found}"),
            Self::Crc { stored, computed } => {
                write!(f, "its checksum is {stored:08x}, but that of its content is {computed:08x}")
            }
            Self::Header => f.write_str("its header breaks the format's rules"),
            Self::Fields(error) => write!(f, "{error}"),
        }
    }
}

/// Why an intact sector cannot be used by this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newer {
    /// A later format version.
    Version(u16),
    /// A field type that must be understood and is not.
    Field(u8),
}

impl fmt::Display for Newer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "it has format version {version}; this program knows {VERSION}")
            }
            Self::Field(kind) => {
                write!(f, "it has a field of critical type 0x{kind:02x}, which this program does not know")
            }
        }
    }
}

/// Why a sector is not a valid copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotACopy {
    /// Every byte is zero.
    Blank,
    /// Not blank, and without our magic.
    Foreign,
    /// Something else's data, too: an intact copy that was written for another LBA, a piece of an image of a card.
    Misplaced {
        /// The LBA that it was written for.
        own_lba: u32,
    },
    /// Our magic, but a check fails.
    Corrupt(Defect),
    /// Ours, intact, and beyond this program.
    Newer(Newer),
}

/// A valid copy: every rule of the format has been checked.
#[derive(Clone, Copy, Debug)]
pub struct StoredCopy<'a> {
    raw: &'a RawSector,
    own_lba: u32,
    peer_lba: u32,
    generation: u32,
    fields: Fields<'a>,
}

impl<'a> StoredCopy<'a> {
    /// Reads the sector that was found at `lba`.
    ///
    /// # Errors
    /// [`NotACopy`], by the first check that fails, in this order: blank, magic, header length, checksum, version,
    /// place, header, fields.
    pub fn parse(bytes: &'a [u8; SECTOR_LEN], lba: u32) -> Result<Self, NotACopy> {
        Self::parse_as(bytes, lba, |reason| reason)
    }

    /// The same, with an error that `report` makes of the reason. A bootloader, which only asks for the
    /// [`Condition`](crate::search::Condition), then has no code for the rest of the reason.
    pub fn parse_as<E>(
        bytes: &'a [u8; SECTOR_LEN],
        lba: u32,
        report: impl Fn(NotACopy) -> E,
    ) -> Result<Self, E> {
        let corrupt = |defect| report(NotACopy::Corrupt(defect));
        let newer = |newer| report(NotACopy::Newer(newer));
        let raw = RawSector::of(bytes);
        let mut header = Header::new_zeroed();
        header.copy(raw);
        if header.magic != MAGIC {
            return Err(report(if all_are(bytes, 0) { NotACopy::Blank } else { NotACopy::Foreign }));
        }
        check_intact(raw, &header).map_err(corrupt)?;
        if header.version > VERSION {
            return Err(newer(Newer::Version(header.version)));
        }
        if header.own_lba != lba {
            return Err(report(NotACopy::Misplaced { own_lba: header.own_lba }));
        }
        let fields = check_header(raw, &header).ok_or_else(|| corrupt(Defect::Header))?;
        Fields::check_as(fields, |error| match error {
            FieldsError::Critical { kind } => newer(Newer::Field(kind)),
            error => corrupt(Defect::Fields(error)),
        })?;
        let fields = Fields::assume_checked(fields);
        Ok(Self { raw, own_lba: lba, peer_lba: header.peer_lba, generation: header.generation, fields })
    }

    /// UUID of the identity in this copy.
    pub fn uuid(&self) -> Uuid {
        Uuid::from_bytes(self.raw.uuid)
    }

    /// Where this copy lies.
    pub fn own_lba(&self) -> u32 {
        self.own_lba
    }

    /// Where the other copy lies.
    pub fn peer_lba(&self) -> u32 {
        self.peer_lba
    }

    /// How often the identity has been written.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Fields of the identity, known and unknown ones.
    pub fn fields(&self) -> Fields<'a> {
        self.fields
    }

    /// The bytes that the fields lie in, and the zeros behind them.
    pub fn field_area(&self) -> &'a [u8; FIELDS_CAPACITY] {
        &self.raw.fields
    }

    /// The identity, free of its place.
    pub fn identity(&self) -> Identity {
        Identity::of_checked(self.uuid(), self.generation(), self.fields)
    }
}

/// What holds for all versions: the fields can only start behind the frozen header, and the checksum fits.
fn check_intact(raw: &RawSector, header: &Header) -> Result<(), Defect> {
    let found = header.header_len;
    if !(offset::OWN_LBA..=offset::TRAILER).contains(&usize::from(found)) {
        return Err(Defect::HeaderLen { found });
    }
    let (stored, computed) = (header.crc, raw.compute_crc());
    if stored == computed { Ok(()) } else { Err(Defect::Crc { stored, computed }) }
}

/// This version's header, padding and trailer; returns the bytes of the fields.
fn check_header<'a>(raw: &'a RawSector, header: &Header) -> Option<&'a [u8]> {
    let (fields, padding) = raw.fields_and_padding(header)?;
    let good = header.version == VERSION
        && header.header_len == HEADER_LEN
        && header.reserved == 0
        && header.generation > 0
        && header.own_lba != 0
        && header.peer_lba != 0
        && header.peer_lba != header.own_lba
        && check_uuid(&raw.uuid).is_ok()
        && all_are(padding, 0);
    good.then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::kind;
    use crate::identity::Draft;
    use crate::mac::Mac;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use zerocopy::FromBytes;
    use zerocopy::byteorder::little_endian::{U16, U32};

    fn sector() -> [u8; SECTOR_LEN] {
        let mut draft = Draft::new(Uuid::from_u128(0x9e3c1d40_5a37_4c8e_9f0b_6d2a81e4c7f5)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        draft.finish().unwrap().encode(52, 6607)
    }

    /// Changes a sector and makes its checksum right again.
    fn patched(change: impl Fn(&mut RawSector)) -> [u8; SECTOR_LEN] {
        let bytes = sector();
        let mut raw = RawSector::read_from_bytes(&bytes).unwrap();
        change(&mut raw);
        raw.crc = U32::new(raw.compute_crc());
        *raw.bytes()
    }

    #[test]
    fn blank_and_foreign() {
        assert_eq!(StoredCopy::parse(&[0; SECTOR_LEN], 52).unwrap_err(), NotACopy::Blank);
        assert_eq!(StoredCopy::parse(&[0xff; SECTOR_LEN], 52).unwrap_err(), NotACopy::Foreign);
        let mut last = [0; SECTOR_LEN];
        last[511] = 1;
        assert_eq!(StoredCopy::parse(&last, 52).unwrap_err(), NotACopy::Foreign);
    }

    #[test]
    fn checks_in_order() {
        let bad_header = patched(|raw| raw.header_len = U16::new(15));
        assert_eq!(
            StoredCopy::parse(&bad_header, 52).unwrap_err(),
            NotACopy::Corrupt(Defect::HeaderLen { found: 15 })
        );

        let mut bad_crc = sector();
        bad_crc[100] ^= 1;
        assert!(matches!(StoredCopy::parse(&bad_crc, 52), Err(NotACopy::Corrupt(Defect::Crc { .. }))));

        let version = patched(|raw| {
            raw.version = U16::new(2);
            raw.header_len = U16::new(64);
        });
        // A later version may lay out everything behind the frozen part anew, so the place is not looked at.
        assert_eq!(StoredCopy::parse(&version, 99).unwrap_err(), NotACopy::Newer(Newer::Version(2)));

        assert_eq!(StoredCopy::parse(&sector(), 53).unwrap_err(), NotACopy::Misplaced { own_lba: 52 });
        // What cannot be trusted is damaged, wherever it lies; what lies elsewhere is not asked for the rest.
        assert!(matches!(StoredCopy::parse(&bad_crc, 53), Err(NotACopy::Corrupt(Defect::Crc { .. }))));
        let bad_generation = patched(|raw| raw.generation = U32::new(0));
        assert_eq!(StoredCopy::parse(&bad_generation, 53).unwrap_err(), NotACopy::Misplaced { own_lba: 52 });
    }

    #[test]
    fn header_rules() {
        let rules: [fn(&mut RawSector); 11] = [
            |raw| raw.version = U16::new(0),
            |raw| raw.header_len = U16::new(49),
            |raw| raw.reserved = U16::new(1),
            |raw| raw.trailer = [0x55, 0xaa],
            |raw| raw.generation = U32::new(0),
            |raw| raw.peer_lba = U32::new(0),
            |raw| raw.peer_lba = U32::new(52),
            |raw| raw.uuid = [0; 16],
            |raw| raw.uuid = [0xff; 16],
            |raw| raw.fields_len = U16::new(463),
            |raw| raw.fields[461] = 1,
        ];
        for (number, rule) in rules.into_iter().enumerate() {
            let error = StoredCopy::parse(&patched(rule), 52).unwrap_err();
            assert_eq!(error, NotACopy::Corrupt(Defect::Header), "rule {number}");
        }
    }

    #[test]
    fn unknown_fields() {
        let with = |field: u8| {
            patched(move |raw| {
                let len = usize::from(raw.fields_len.get());
                raw.fields[len..len + 3].copy_from_slice(&[field, 1, 7]);
                raw.fields_len = U16::new(raw.fields_len.get() + 3);
            })
        };
        let skipped = with(0x40);
        let copy = StoredCopy::parse(&skipped, 52).unwrap();
        assert_eq!(copy.identity().profile(), "panda");
        // Kept, not lost, when the identity is written again.
        assert_eq!(copy.identity().encode(52, 6607), skipped);
        assert_eq!(StoredCopy::parse(&with(0xc0), 52).unwrap_err(), NotACopy::Newer(Newer::Field(0xc0)));
    }

    fn drafts() -> impl Strategy<Value = Draft> {
        (
            1..u128::MAX,
            1..u32::MAX,
            "[A-Za-z0-9][A-Za-z0-9._+-]{0,62}",
            proptest::option::of("[a-z0-9]{1,20}(\\.[a-z0-9]{1,20}){0,2}"),
            proptest::option::of("[!-~]{1,63}"),
            btree_map(any::<u8>(), any::<[u8; 6]>(), 0..6),
            btree_map("[a-z][a-z0-9_]{0,20}", "\\PC{0,30}", 0..6),
            proptest::option::of(any::<[u8; 16]>()),
        )
            .prop_map(|(uuid, generation, profile, hostname, serial, macs, variables, cid)| {
                let mut draft = Draft::new(Uuid::from_u128(uuid)).unwrap();
                draft.set_generation(generation);
                draft.set_text(kind::PROFILE, &profile).unwrap();
                if let Some(hostname) = hostname {
                    draft.set_text(kind::HOSTNAME, &hostname).unwrap();
                }
                if let Some(serial) = serial {
                    draft.set_text(kind::SERIAL, &serial).unwrap();
                }
                for (index, bytes) in macs {
                    draft.set_mac(index, Mac::locally_administered(bytes)).unwrap();
                }
                for (key, value) in variables {
                    draft.set_variable(&key, &value).unwrap();
                }
                if let Some(cid) = cid.filter(|cid| cid[..15] != [0; 15]) {
                    draft.set_card(cid).unwrap();
                }
                draft
            })
    }

    proptest! {
        #[test]
        fn encode_and_parse_are_inverse(draft in drafts(), own in 1..u32::MAX, peer in 1..u32::MAX) {
            prop_assume!(own != peer);
            let Ok(identity) = draft.finish() else { return Ok(()) };
            let bytes = identity.encode(own, peer);
            let copy = StoredCopy::parse(&bytes, own).unwrap();
            prop_assert_eq!((copy.own_lba(), copy.peer_lba()), (own, peer));
            prop_assert_eq!(copy.identity(), identity);
        }

        #[test]
        fn an_accepted_sector_is_the_only_encoding(at in 0..SECTOR_LEN, byte: u8, draft in drafts()) {
            let Ok(identity) = draft.finish() else { return Ok(()) };
            let mut bytes = identity.encode(52, 6607);
            bytes[at] = byte;
            let mut raw = RawSector::read_from_bytes(&bytes).unwrap();
            raw.crc = U32::new(raw.compute_crc());
            let bytes = raw.bytes();
            if let Ok(copy) = StoredCopy::parse(bytes, 52) {
                prop_assert_eq!(&copy.identity().encode(copy.own_lba(), copy.peer_lba()), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), SECTOR_LEN), ours: bool, lba: u32) {
            let mut bytes: [u8; SECTOR_LEN] = bytes.try_into().unwrap();
            if ours {
                bytes[..8].copy_from_slice(&MAGIC);
            }
            let mut raw = RawSector::read_from_bytes(&bytes).unwrap();
            raw.crc = U32::new(raw.compute_crc());
            // By the format's first steps: nothing else is ever asked of a sector that does not begin as ours do.
            match StoredCopy::parse(raw.bytes(), lba) {
                Ok(copy) => prop_assert!(ours && copy.own_lba() == lba),
                Err(NotACopy::Corrupt(_) | NotACopy::Newer(_)) => prop_assert!(ours),
                Err(reason) => prop_assert!(!ours && reason == NotACopy::Foreign, "{reason:?}"),
            }
        }
    }
}
