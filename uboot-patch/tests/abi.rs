// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C functions as C calls them: what they answer, and that bad pointers are errors which leave outputs alone.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

use identity_core::field::kind;
use identity_core::{Draft, Mac, SECTOR_LEN, State, Uuid, derive};
use identity_uboot::status::*;
use identity_uboot::text::*;
use identity_uboot::*;

const SEARCH_SIZE: u32 = 512;
const RECORD_SIZE: u32 = 496;
const UUID: Uuid = Uuid::from_u128(0x9e3c1d40_5a37_4c8e_9f0b_6d2a81e4c7f5);
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const CID: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0];
/// What outputs hold before a call.
const OLD: u8 = 0xa5;

fn sector() -> [u8; SECTOR_LEN] {
    copy(52, 6607)
}

fn copy(lba: u32, peer_lba: u32) -> [u8; SECTOR_LEN] {
    let mut draft = Draft::new(UUID).unwrap();
    draft.set_text(kind::PROFILE, "panda").unwrap();
    draft.set_text(kind::BOARD, "B-7").unwrap();
    draft.set_mac(3, Mac::new(MAC).unwrap()).unwrap();
    draft.set_variable("a", "1=2").unwrap();
    draft.set_variable("b", "").unwrap();
    draft.set_card(CID).unwrap();
    draft.finish().unwrap().encode(lba, peer_lba)
}

/// A struct as C declares it, before the library has written it.
fn declared<T>() -> Box<MaybeUninit<T>> {
    let mut memory = Box::new(MaybeUninit::<T>::uninit());
    // SAFETY: one T's bytes, of a type that any bytes may be written to.
    unsafe { memory.as_mut_ptr().write_bytes(OLD, 1) };
    memory
}

fn begun() -> Box<MaybeUninit<identity_search>> {
    let mut search = declared();
    // SAFETY: points to a struct.
    let status = unsafe { identity_search_begin(search.as_mut_ptr(), SEARCH_SIZE, 0) };
    assert_eq!(status, IDENTITY_OK);
    search
}

fn read() -> Box<MaybeUninit<identity_record>> {
    let (mut search, mut record) = (begun(), declared());
    let (search, target) = (search.as_mut_ptr(), record.as_mut_ptr());
    let mut lba = 0;
    // SAFETY: pointers to what the types say.
    unsafe {
        let give = |lba, sector: [u8; SECTOR_LEN]| {
            identity_search_give(search, lba, sector.as_ptr(), 512, target, RECORD_SIZE)
        };
        let state = loop {
            match (identity_search_next(search, &mut lba), lba) {
                (IDENTITY_READ, 52) => assert_eq!(give(lba, copy(52, 6607)), IDENTITY_OK),
                (IDENTITY_READ, 6607) => assert_eq!(give(lba, copy(6607, 52)), IDENTITY_ABSENT),
                (IDENTITY_READ, _) => assert_eq!(give(lba, [0; SECTOR_LEN]), IDENTITY_ABSENT),
                (state, _) => break state,
            }
        };
        assert_eq!(state, IDENTITY_VALID);
    }
    record
}

fn text(record: &MaybeUninit<identity_record>, what: u32, len: usize) -> Result<String, i32> {
    let mut out = vec![OLD; len];
    let out_len = u32::try_from(len).unwrap();
    // SAFETY: pointers to what the types say.
    let status = unsafe { identity_record_text(record.as_ptr(), what, out.as_mut_ptr().cast(), out_len) };
    if status != IDENTITY_OK {
        assert!(out.iter().all(|&byte| byte == OLD), "written with status {status}");
        return Err(status);
    }
    let end = out.iter().position(|&byte| byte == 0).unwrap();
    assert!(out[end + 1..].iter().all(|&byte| byte == OLD), "written behind the NUL");
    Ok(String::from_utf8(out[..end].to_vec()).unwrap())
}

#[test]
fn texts() {
    let record = read();
    assert_eq!(text(&record, IDENTITY_TEXT_PROFILE, 64).as_deref(), Ok("panda"));
    assert_eq!(text(&record, IDENTITY_TEXT_PROFILE, 6).as_deref(), Ok("panda"));
    assert_eq!(text(&record, IDENTITY_TEXT_PROFILE, 5), Err(IDENTITY_TOO_SMALL));
    assert_eq!(text(&record, IDENTITY_TEXT_BOARD, 64).as_deref(), Ok("B-7"));
    assert_eq!(text(&record, IDENTITY_TEXT_HOSTNAME, 64), Err(IDENTITY_ABSENT));
    assert_eq!(text(&record, IDENTITY_TEXT_UUID, 37), Ok(UUID.to_string()));
    assert_eq!(text(&record, IDENTITY_TEXT_UUID, 36), Err(IDENTITY_TOO_SMALL));
    assert_eq!(
        text(&record, IDENTITY_TEXT_MACHINE_ID, 33),
        Ok(derive::machine_id(UUID).simple().to_string())
    );
    assert_eq!(text(&record, IDENTITY_TEXT_CARD, 33).as_deref(), Ok("0102030405060708090a0b0c0d0e0f00"));
    for what in [0, 4, 5, 6, 8, 255, 259, 0x101 << 8 | 1, u32::MAX] {
        assert_eq!(text(&record, what, 64), Err(IDENTITY_BAD_ARGUMENT), "{what}");
    }
}

#[test]
fn addresses_and_variables() {
    let record = read();
    let identity = record.as_ptr();
    let (mut mac, mut source, mut index) = ([0; 6], 0, 0);
    // SAFETY: pointers to what the types say.
    unsafe {
        assert_eq!(identity_record_mac(identity, 0, mac.as_mut_ptr(), &mut source), IDENTITY_OK);
        assert_eq!((mac, source), (derive::mac(UUID, 0).bytes(), IDENTITY_SOURCE_DERIVED));
        assert_eq!(identity_record_mac(identity, 3, mac.as_mut_ptr(), &mut source), IDENTITY_OK);
        assert_eq!((mac, source), (MAC, IDENTITY_SOURCE_ASSIGNED));
        assert_eq!(identity_record_assigned(identity, 0, &mut index), IDENTITY_OK);
        assert_eq!(identity_record_assigned(identity, 1, &mut index), IDENTITY_ABSENT);
        assert_eq!(index, 3);

        let variable = |number, key: &mut [u8], value: &mut [u8]| {
            let (key_len, value_len) = (key.len().try_into().unwrap(), value.len().try_into().unwrap());
            let (key, value) = (key.as_mut_ptr().cast(), value.as_mut_ptr().cast());
            identity_record_variable(identity, number, key, key_len, value, value_len)
        };
        let (mut key, mut value) = ([OLD; 2], [OLD; 4]);
        assert_eq!(variable(2, &mut key, &mut value), IDENTITY_ABSENT);
        assert_eq!(variable(0, &mut key[..1], &mut value), IDENTITY_TOO_SMALL);
        assert_eq!(variable(0, &mut key, &mut value[..3]), IDENTITY_TOO_SMALL);
        assert_eq!((key, value), ([OLD; 2], [OLD; 4]), "both or neither");
        assert_eq!(variable(0, &mut key, &mut value), IDENTITY_OK);
        assert_eq!((&key, &value), (b"a\0", b"1=2\0"));
        assert_eq!(variable(1, &mut key, &mut value), IDENTITY_OK);
        assert_eq!((&key, value[0]), (b"b\0", 0));
    }
}

#[test]
fn bindings() {
    let record = read();
    let state = |state, cid: Option<[u8; 16]>, board: Option<&str>| {
        let cid = cid.as_ref().map_or(null(), |cid| cid.as_ptr());
        let (board, len) = board.map_or((null(), 0), |board| (board.as_ptr().cast(), board.len()));
        // SAFETY: pointers to what the types say.
        unsafe { identity_record_state(record.as_ptr(), state, cid, board, len.try_into().unwrap()) }
    };
    let (mut other, mut with_checksum) = (CID, CID);
    other[14] ^= 1;
    with_checksum[15] = 0x19;
    assert_eq!(state(IDENTITY_VALID, None, None), IDENTITY_VALID);
    assert_eq!(state(IDENTITY_VALID, Some(with_checksum), Some("B-7")), IDENTITY_VALID);
    assert_eq!(state(IDENTITY_DEGRADED, Some(CID), Some("B-7")), IDENTITY_DEGRADED);
    assert_eq!(state(IDENTITY_DEGRADED, Some(other), Some("B-7")), IDENTITY_CLONED);
    assert_eq!(state(IDENTITY_VALID, Some(CID), Some("B-8")), IDENTITY_MOVED);
    assert_eq!(state(IDENTITY_VALID, None, Some("")), IDENTITY_MOVED);
    assert_eq!(state(IDENTITY_CONFLICT, Some(other), Some("B-8")), IDENTITY_CONFLICT);
    for number in [IDENTITY_OK, IDENTITY_BLANK - 1, IDENTITY_UNREADABLE + 1] {
        assert_eq!(state(number, None, None), IDENTITY_BAD_ARGUMENT);
    }
}

#[test]
fn a_search_of_all_slots() {
    let (mut search, mut record, sector) = (begun(), declared(), sector());
    let search = search.as_mut_ptr();
    let (mut lba, mut asked) = (0, 0);
    // SAFETY: pointers to what the types say.
    unsafe {
        let state = loop {
            match identity_search_next(search, &mut lba) {
                IDENTITY_READ if lba == 52 => {
                    let record = record.as_mut_ptr();
                    let give =
                        |lba| identity_search_give(search, lba, sector.as_ptr(), 512, record, RECORD_SIZE);
                    assert_eq!(give(lba + 1), IDENTITY_BAD_ARGUMENT);
                    assert_eq!(give(lba), IDENTITY_OK);
                    assert_eq!(give(lba), IDENTITY_BAD_ARGUMENT);
                }
                IDENTITY_READ => {
                    assert_eq!(identity_search_skip(search, lba, IDENTITY_SKIP_ABSENT), IDENTITY_OK)
                }
                state => break state,
            }
            asked += 1;
        };
        assert_eq!((state, asked), (IDENTITY_DEGRADED, 10));
        let mut seen = identity_seen::default();
        let size = size_of::<identity_seen>().try_into().unwrap();
        assert_eq!(identity_search_seen(search, 0, &mut seen, size), IDENTITY_OK);
        assert_eq!((seen.lba, seen.condition, seen.generation), (52, IDENTITY_CONDITION_VALID, 1));
        assert_eq!(identity_search_seen(search, 1, &mut seen, size), IDENTITY_OK);
        assert_eq!((seen.lba, seen.condition, seen.generation), (6607, IDENTITY_CONDITION_ABSENT, 0));
        assert_eq!(identity_search_seen(search, 10, &mut seen, size), IDENTITY_ABSENT);
        assert_eq!(identity_search_seen(search, 0, &mut seen, size - 4), IDENTITY_BAD_SIZE);
    }
}

#[test]
fn names_of_states() {
    for state in State::ALL {
        let mut out = [OLD; 16];
        // SAFETY: a pointer to 16 bytes.
        assert_eq!(unsafe { identity_state_name(of_state(state), out.as_mut_ptr().cast(), 16) }, IDENTITY_OK);
        assert!(out.starts_with(&[state.name().as_bytes(), &[0]].concat()));
    }
    let mut out = [OLD; 5];
    // SAFETY: a pointer to 5 bytes.
    unsafe {
        assert_eq!(identity_state_name(IDENTITY_BLANK, out.as_mut_ptr().cast(), 5), IDENTITY_TOO_SMALL);
        assert_eq!(identity_state_name(IDENTITY_OK, out.as_mut_ptr().cast(), 5), IDENTITY_BAD_ARGUMENT);
    }
    assert_eq!(out, [OLD; 5]);
}

#[test]
fn pointers_that_are_null_or_not_aligned() {
    let (mut search, record) = (begun(), read());
    let (mut lba, mut source, mut mac, mut out) = (0_u32, 0_u32, [0; 6], [0_u8; 8]);
    let (search, identity, sector) = (search.as_mut_ptr(), record.as_ptr(), sector());
    let mut target = declared::<identity_record>();
    let target = target.as_mut_ptr();
    // SAFETY: NULL, not aligned, or pointers to what the types say.
    unsafe {
        let odd_number = (&raw mut lba).byte_add(1);
        for status in [
            identity_search_begin(null_mut(), SEARCH_SIZE, 0),
            identity_search_begin(search.byte_add(2), SEARCH_SIZE, 0),
            identity_search_next(null(), &mut lba),
            identity_search_next(search.byte_add(1), &mut lba),
            identity_search_next(search, null_mut()),
            identity_search_next(search, odd_number),
            identity_search_give(null_mut(), 52, sector.as_ptr(), 512, target, RECORD_SIZE),
            identity_search_give(search, 52, null(), 512, target, RECORD_SIZE),
            identity_search_give(search, 52, sector.as_ptr(), 512, null_mut(), RECORD_SIZE),
            identity_search_give(search, 52, sector.as_ptr(), 512, target.byte_add(2), RECORD_SIZE),
            identity_search_skip(null_mut(), 52, IDENTITY_SKIP_ABSENT),
            identity_search_seen(search, 0, null_mut(), 12),
            identity_record_text(null(), IDENTITY_TEXT_PROFILE, out.as_mut_ptr().cast(), 8),
            identity_record_text(identity, IDENTITY_TEXT_PROFILE, null_mut(), 8),
            identity_record_mac(identity, 0, null_mut(), &mut source),
            identity_record_mac(identity, 0, mac.as_mut_ptr(), null_mut()),
            identity_record_mac(identity, 0, mac.as_mut_ptr(), odd_number),
            identity_record_assigned(identity, 0, null_mut()),
            identity_record_variable(identity, 0, null_mut(), 8, out.as_mut_ptr().cast(), 8),
            identity_record_variable(identity, 0, out.as_mut_ptr().cast(), 8, null_mut(), 8),
            identity_record_state(null(), IDENTITY_VALID, null(), null(), 0),
            identity_state_name(IDENTITY_BLANK, null_mut(), 8),
        ] {
            assert_eq!(status, IDENTITY_BAD_POINTER);
        }
        for status in [
            identity_search_begin(search, SEARCH_SIZE - 4, 0),
            identity_search_give(search, 52, sector.as_ptr(), 511, target, RECORD_SIZE),
            identity_search_give(search, 52, sector.as_ptr(), 512, target, RECORD_SIZE + 1),
            // Never filled by the library.
            identity_record_mac(target, 0, mac.as_mut_ptr(), &mut source),
        ] {
            assert_eq!(status, IDENTITY_BAD_SIZE);
        }
        assert_eq!(identity_search_next(search, &mut lba), IDENTITY_READ);
    }
}

#[test]
fn objects_that_overlap() {
    let (mut search, mut record) = (begun(), read());
    let (search, identity, sector) = (search.as_mut_ptr(), record.as_mut_ptr(), sector());
    let mut bytes = [0_u32; 8];
    let (words, mac, chars) =
        (bytes.as_mut_ptr(), bytes.as_mut_ptr().cast::<u8>(), bytes.as_mut_ptr().cast::<c_char>());
    // SAFETY: pointers into objects that are long enough.
    unsafe {
        for status in [
            identity_search_next(search, search.cast::<u32>().add(127)),
            identity_search_give(search, 52, search.cast::<u8>().add(4), 512, identity, RECORD_SIZE),
            identity_search_give(search, 52, sector.as_ptr(), 512, search.cast(), RECORD_SIZE),
            identity_search_give(
                search,
                52,
                identity.cast::<u8>().wrapping_sub(511),
                512,
                identity,
                RECORD_SIZE,
            ),
            identity_search_seen(search, 0, search.cast::<identity_seen>().add(1), 12),
            identity_record_text(identity, IDENTITY_TEXT_PROFILE, identity.cast::<c_char>().add(495), 8),
            identity_record_text(
                identity,
                IDENTITY_TEXT_PROFILE,
                identity.cast::<c_char>().wrapping_sub(7),
                8,
            ),
            identity_record_mac(identity, 0, identity.cast::<u8>().add(490), words),
            identity_record_mac(identity, 0, mac, identity.cast::<u32>()),
            identity_record_mac(identity, 0, mac, words.add(1)),
            identity_record_assigned(identity, 0, identity.cast::<u32>().add(2)),
            identity_record_variable(identity, 0, identity.cast(), 8, chars, 8),
            identity_record_variable(identity, 0, chars, 8, identity.cast(), 8),
            identity_record_variable(identity, 0, chars, 9, chars.add(8), 8),
        ] {
            assert_eq!(status, IDENTITY_BAD_POINTER);
        }
        // Side by side is apart.
        assert_eq!(identity_record_variable(identity, 0, chars, 8, chars.add(8), 8), IDENTITY_OK);
        assert_eq!(identity_record_mac(identity, 0, mac, words.add(2)), IDENTITY_OK);
    }
}
