// SPDX-License-Identifier: MIT OR Apache-2.0
//! The functions that C calls, and all unsafe code of the project: turning C's pointers into references.
//!
//! Every type behind these pointers is made of plain integers, so that any content is a valid value.

#![allow(unsafe_code, non_camel_case_types)]

use core::ffi::c_char;
use core::slice;

use identity_core::binding::Surroundings;
use identity_core::field::CID_LEN;
use identity_core::search::Condition;
use identity_core::{SECTOR_LEN, Search, StoredCopy};
use zerocopy::{transmute_mut, transmute_ref};

use crate::record::{RECORD_SIZE, identity_record, write_text};
use crate::status::{Fault, IDENTITY_OK, IDENTITY_READ, of_state, state_name, to_state};

/// Version of this interface; identity_abi_version() returns the library's.
pub const IDENTITY_ABI_VERSION: u32 = 1;

/// The device ends before the sector.
pub const IDENTITY_SKIP_ABSENT: u32 = 1;
/// The device failed to read the sector.
pub const IDENTITY_SKIP_UNREADABLE: u32 = 2;

/// A sector that was looked at.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct identity_seen {
    /// LBA of the sector.
    pub lba: u32,
    /// What it was found to be, one of IDENTITY_CONDITION_….
    pub condition: u32,
    /// How often the identity in it had been written; 0 unless valid.
    pub generation: u32,
}

/// The device ends before it.
pub const IDENTITY_CONDITION_ABSENT: u32 = 1;
/// Every byte is zero.
pub const IDENTITY_CONDITION_BLANK: u32 = 2;
/// Not blank, and without our magic; or an intact copy that was written for another LBA.
pub const IDENTITY_CONDITION_FOREIGN: u32 = 3;
/// A copy that passes every check.
pub const IDENTITY_CONDITION_VALID: u32 = 4;
/// Our magic, but a check fails.
pub const IDENTITY_CONDITION_CORRUPT: u32 = 5;
/// An intact copy that this library is too old for.
pub const IDENTITY_CONDITION_NEWER: u32 = 6;
/// The device failed to read it.
pub const IDENTITY_CONDITION_UNREADABLE: u32 = 7;

const _: () = {
    assert!(Condition::Absent.code() == IDENTITY_CONDITION_ABSENT);
    assert!(Condition::Blank.code() == IDENTITY_CONDITION_BLANK);
    assert!(Condition::Foreign.code() == IDENTITY_CONDITION_FOREIGN);
    assert!(Condition::Valid.code() == IDENTITY_CONDITION_VALID);
    assert!(Condition::Corrupt.code() == IDENTITY_CONDITION_CORRUPT);
    assert!(Condition::Newer.code() == IDENTITY_CONDITION_NEWER);
    assert!(Condition::Unreadable.code() == IDENTITY_CONDITION_UNREADABLE);
};

/// A search under way. Belongs to the caller; its content belongs to this library.
#[repr(C)]
pub struct identity_search {
    size: u32,
    words: [u32; 127],
}

const _: () = {
    assert!(size_of::<Search>() == 127 * size_of::<u32>());
    assert!(align_of::<Search>() == align_of::<u32>());
};

impl identity_search {
    fn get(&self) -> &Search {
        transmute_ref!(&self.words)
    }

    fn get_mut(&mut self) -> &mut Search {
        transmute_mut!(&mut self.words)
    }
}

/// What begins with its size, so that a caller who was built with another header is noticed.
///
/// # Safety
/// The first bytes are a `u32`, aligned as in C.
unsafe trait Object {
    const SIZE: u32;
}

// SAFETY: `size` is the first field of a repr(C) struct.
unsafe impl Object for identity_search {
    const SIZE: u32 = 512;
}

// SAFETY: `size` is the first field of a repr(C) struct.
unsafe impl Object for identity_record {
    const SIZE: u32 = RECORD_SIZE;
}

const _: () = {
    assert!(size_of::<identity_search>() == 512);
};

fn status(result: Result<i32, Fault>) -> i32 {
    match result {
        Ok(status) => status,
        Err(fault) => fault.status(),
    }
}

/// Address and length in bytes of something that C hands over.
#[derive(Clone, Copy)]
struct Extent(usize, usize);

impl Extent {
    /// Of nothing, where no object is: none has the last address.
    const NONE: Self = Self(usize::MAX, 0);

    fn of<T>(pointer: *const T) -> Self {
        Self(pointer.addr(), size_of::<T>())
    }

    fn of_buffer(pointer: *const c_char, len: u32) -> Self {
        Self(pointer.addr(), usize::try_from(len).unwrap_or(usize::MAX))
    }
}

/// `one` is not NULL and not longer than a slice may be, and shares no byte with `other`, or there could be no Rust
/// references to both.
#[inline(never)]
fn check_apart(one: Extent, other: Extent) -> Result<(), Fault> {
    if isize::try_from(one.1).is_err() {
        return Err(Fault::BAD_SIZE);
    }
    // Distances from one to the other, either way round the address space.
    if one.0 == 0 || other.0.wrapping_sub(one.0) < one.1 || one.0.wrapping_sub(other.0) < other.1 {
        return Err(Fault::BAD_POINTER);
    }
    Ok(())
}

/// `object`, which begins with its `size`, is neither NULL nor unaligned; `other` is as [`check_apart`] wants it.
///
/// One function for all types: what is checked here is in a bootloader once.
///
/// # Safety
/// If `object` is neither NULL nor unaligned, it must point to a number that nobody changes during the call.
#[inline(never)]
unsafe fn check_object(object: *const u32, size: u32, other: Extent) -> Result<(), Fault> {
    check_apart(other, Extent::of_buffer(object.cast(), size))?;
    if !object.is_aligned() {
        return Err(Fault::BAD_POINTER);
    }
    // SAFETY: NULL gives None; aligned by the check above; the caller vouches for the rest.
    let stored = unsafe { object.as_ref() }.ok_or(Fault::BAD_POINTER)?;
    if *stored == size { Ok(()) } else { Err(Fault::BAD_SIZE) }
}

/// The object at `pointer`, after [`check_object`].
///
/// # Safety
/// If `pointer` is neither NULL nor unaligned, it must point to a `T` that nobody changes during the call.
#[inline(always)]
unsafe fn shared<'a, T: Object>(pointer: *const T, other: Extent) -> Result<&'a T, Fault> {
    // SAFETY: T begins with a number; the caller vouches for the rest.
    unsafe { check_object(pointer.cast(), T::SIZE, other)? };
    // SAFETY: neither NULL nor unaligned, which check_object() has checked; the caller vouches for the rest.
    Ok(unsafe { &*pointer })
}

/// The same, to be changed.
///
/// # Safety
/// If `pointer` is neither NULL nor unaligned, it must point to a `T` that nobody else uses during the call.
#[inline(always)]
unsafe fn exclusive<'a, T: Object>(pointer: *mut T, other: Extent) -> Result<&'a mut T, Fault> {
    // SAFETY: T begins with a number; the caller vouches for the rest.
    unsafe { check_object(pointer.cast(), T::SIZE, other)? };
    // SAFETY: neither NULL nor unaligned, which check_object() has checked; the caller vouches for the rest.
    Ok(unsafe { &mut *pointer })
}

/// Where a value is to be written; that it is not NULL has been checked before.
///
/// # Safety
/// `pointer` must not be NULL. If it is aligned, it must point to a `T` that nobody else uses during the call.
#[inline(always)]
unsafe fn output<'a, T>(pointer: *mut T) -> Result<&'a mut T, Fault> {
    if !pointer.is_aligned() {
        return Err(Fault::BAD_POINTER);
    }
    // SAFETY: aligned by the check above; the caller vouches for the rest.
    Ok(unsafe { &mut *pointer })
}

/// Where a text is to be written; [`check_apart`] has seen its extent before.
///
/// # Safety
/// `pointer` must not be NULL, and must point to as many bytes as `extent` says, not too many for a slice, that nobody else
/// uses during the call.
unsafe fn bytes<'a>(pointer: *mut c_char, extent: Extent) -> &'a mut [u8] {
    // SAFETY: bytes need no alignment and have no invalid values; the caller vouches for the rest.
    unsafe { slice::from_raw_parts_mut(pointer.cast(), extent.1) }
}

/// The library's IDENTITY_ABI_VERSION: a caller built with another header must not go on.
#[unsafe(no_mangle)]
pub extern "C" fn identity_abi_version() -> u32 {
    IDENTITY_ABI_VERSION
}

/// Begins a search, which looks at every slot. `size` is sizeof(struct identity_search); `hint_lba` a sector to look at
/// before the slots, or 0.
///
/// Returns IDENTITY_OK, IDENTITY_BAD_POINTER or IDENTITY_BAD_SIZE.
///
/// # Safety
/// `search` is NULL or points to a struct identity_search.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn identity_search_begin(
    search: *mut identity_search,
    size: u32,
    hint_lba: u32,
) -> i32 {
    let begin = || {
        if size != identity_search::SIZE {
            return Err(Fault::BAD_SIZE);
        }
        if search.is_null() {
            return Err(Fault::BAD_POINTER);
        }
        // SAFETY: not NULL, checked above; the only reference; the caller vouches for the rest.
        let search = unsafe { output(search)? };
        search.size = identity_search::SIZE;
        search.get_mut().begin(Some(hint_lba).filter(|&lba| lba != 0));
        Ok(IDENTITY_OK)
    };
    status(begin())
}

/// What to do next: IDENTITY_READ and the LBA in `*lba`; or, when the search is over, the card's state
/// (IDENTITY_BLANK … IDENTITY_UNREADABLE) with `*lba` untouched.
///
/// # Safety
/// `search` is NULL or points to a struct that identity_search_begin has filled; `lba` is NULL or points to a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn identity_search_next(search: *const identity_search, lba: *mut u32) -> i32 {
    let next = || {
        // SAFETY: shared() checks that they are apart and `lba` is not NULL; the caller vouches for the rest.
        let (search, lba) = unsafe { (shared(search, Extent::of(lba))?.get(), output(lba)?) };
        Ok(match search.next() {
            Some(next) => {
                *lba = next;
                IDENTITY_READ
            }
            None => of_state(search.state()),
        })
    };
    status(next())
}

/// Hands over the sector that was read at `lba`; `len` is 512. `*record` is written if this is the search's first
/// valid copy; IDENTITY_ABSENT says that it is not.
///
/// Returns IDENTITY_OK, IDENTITY_ABSENT, or an error, with which nothing is taken.
///
/// # Safety
/// Each pointer is NULL or points to what its type says, `sector` to `len` bytes of any alignment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn identity_search_give(
    search: *mut identity_search,
    lba: u32,
    sector: *const u8,
    len: u32,
    record: *mut identity_record,
    record_size: u32,
) -> i32 {
    let give = || {
        if record_size != RECORD_SIZE || usize::try_from(len) != Ok(SECTOR_LEN) {
            return Err(Fault::BAD_SIZE);
        }
        let sector: *const [u8; SECTOR_LEN] = sector.cast();
        check_apart(Extent::of(sector), Extent::of(search))?;
        check_apart(Extent::of(sector), Extent::of(record))?;
        // SAFETY: apart and not NULL, checked above and by exclusive(); bytes need no alignment, and `len` is the array's
        // length; the caller vouches for the rest.
        let (search, sector, record) =
            unsafe { (exclusive(search, Extent::of(record))?.get_mut(), &*sector, output(record)?) };
        let first = search.primary().is_none();
        let found = StoredCopy::parse_as(sector, lba, Condition::from);
        search.take(lba, &found).map_err(|()| Fault::BAD_ARGUMENT)?;
        match found {
            Ok(copy) if first => {
                record.set(&copy);
                Ok(IDENTITY_OK)
            }
            _ => Err(Fault::ABSENT),
        }
    };
    status(give())
}

/// Says that the sector at `lba` cannot be had; `reason` is one of IDENTITY_SKIP_….
///
/// Returns IDENTITY_OK or an error, with which nothing is taken.
///
/// # Safety
/// `search` is NULL or points to a struct that identity_search_begin has filled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn identity_search_skip(search: *mut identity_search, lba: u32, reason: u32) -> i32 {
    let skip = || {
        let condition = match reason {
            IDENTITY_SKIP_ABSENT => Condition::Absent,
            IDENTITY_SKIP_UNREADABLE => Condition::Unreadable,
            _ => return Err(Fault::BAD_ARGUMENT),
        };
        // SAFETY: the only reference; the caller vouches for the rest.
        let search = unsafe { exclusive(search, Extent::NONE)? }.get_mut();
        search.take(lba, &Err(condition)).map_err(|()| Fault::BAD_ARGUMENT)?;
        Ok(IDENTITY_OK)
    };
    status(skip())
}

/// The sector that was looked at as number `number`, from 0. `size` is sizeof(struct identity_seen).
///
/// Returns IDENTITY_OK, IDENTITY_ABSENT behind the last, or an error.
///
/// # Safety
/// Each pointer is NULL or points to what its type says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn identity_search_seen(
    search: *const identity_search,
    number: u32,
    seen: *mut identity_seen,
    size: u32,
) -> i32 {
    let get = || {
        if usize::try_from(size) != Ok(size_of::<identity_seen>()) {
            return Err(Fault::BAD_SIZE);
        }
        // SAFETY: shared() checks that they are apart and `seen` is not NULL; the caller vouches for the rest.
        let (search, out) = unsafe { (shared(search, Extent::of(seen))?.get(), output(seen)?) };
        let number = usize::try_from(number).map_err(|_| Fault::ABSENT)?;
        let seen = search.seen().get(number).ok_or(Fault::ABSENT)?;
        *out = identity_seen { lba: seen.lba(), condition: seen.code(), generation: seen.generation() };
        Ok(IDENTITY_OK)
    };
    status(get())
}

/// Writes a text of the identity and a NUL; `what` is one of IDENTITY_TEXT_…; 64 bytes are always enough.
///
/// Returns IDENTITY_OK, IDENTITY_ABSENT, IDENTITY_TOO_SMALL, or an error.
///
/// # Safety
/// Each pointer is NULL or points to what its type says, `out` to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn identity_record_text(
    identity: *const identity_record,
    what: u32,
    out: *mut c_char,
    len: u32,
) -> i32 {
    let text = || {
        let extent = Extent::of_buffer(out, len);
        // SAFETY: shared() checks that they are apart, and `out` neither NULL nor too long; the caller vouches for the rest.
        let (identity, out) = unsafe { (shared(identity, extent)?, bytes(out, extent)) };
        identity.text(what, out).map(|()| IDENTITY_OK)
    };
    status(text())
}

/// Writes the six bytes of the MAC address of ethernet`index`, and IDENTITY_SOURCE_… to `*source`.
///
/// Returns IDENTITY_OK or an error.
///
/// # Safety
/// Each pointer is NULL or points to what its type says, `mac` to six bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn identity_record_mac(
    identity: *const identity_record,
    index: u32,
    mac: *mut u8,
    source: *mut u32,
) -> i32 {
    let get = || {
        let mac: *mut [u8; 6] = mac.cast();
        check_apart(Extent::of(source), Extent::of(identity))?;
        check_apart(Extent::of(source), Extent::of(mac))?;
        // SAFETY: apart and not NULL, checked above and by shared(); the caller vouches for the rest.
        let (identity, mac, source) =
            unsafe { (shared(identity, Extent::of(mac))?, output(mac)?, output(source)?) };
        *source = identity.write_mac(index, mac);
        Ok(IDENTITY_OK)
    };
    status(get())
}

/// Writes the index of the interface that has assigned address number `number`, from 0, in ascending order.
///
/// Returns IDENTITY_OK, IDENTITY_ABSENT behind the last, or an error.
///
/// # Safety
/// Each pointer is NULL or points to what its type says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn identity_record_assigned(
    identity: *const identity_record,
    number: u32,
    index: *mut u32,
) -> i32 {
    let get = || {
        // SAFETY: shared() checks that they are apart and `index` is not NULL; the caller vouches for the rest.
        let (identity, index) = unsafe { (shared(identity, Extent::of(index))?, output(index)?) };
        *index = identity.assigned(number)?;
        Ok(IDENTITY_OK)
    };
    status(get())
}

/// Writes key and value of variable number `number`, from 0, each with a NUL; 64 and 192 bytes are always enough.
///
/// Returns IDENTITY_OK, IDENTITY_ABSENT behind the last, IDENTITY_TOO_SMALL, or an error.
///
/// # Safety
/// Each pointer is NULL or points to what its type says, `key` and `value` to as many bytes as are said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn identity_record_variable(
    identity: *const identity_record,
    number: u32,
    key: *mut c_char,
    key_len: u32,
    value: *mut c_char,
    value_len: u32,
) -> i32 {
    let get = || {
        let (key_extent, value_extent) =
            (Extent::of_buffer(key, key_len), Extent::of_buffer(value, value_len));
        check_apart(value_extent, Extent::of(identity))?;
        check_apart(value_extent, key_extent)?;
        // SAFETY: apart, neither NULL nor too long, checked above and by shared(); the caller vouches for the rest.
        let (identity, key, value) =
            unsafe { (shared(identity, key_extent)?, bytes(key, key_extent), bytes(value, value_extent)) };
        identity.variable(number, key, value).map(|()| IDENTITY_OK)
    };
    status(get())
}

/// The state of a card on which a search ended in `state`, with this identity, at this place: IDENTITY_CLONED or
/// IDENTITY_MOVED if the identity is bound to another card or board, else `state`. `cid` is the card's, `board` the
/// board's serial number or SoC id, `board_len` bytes without NUL; NULL where it is not known, and then nothing is said
/// of it.
///
/// Returns the state, or IDENTITY_BAD_ARGUMENT if `state` is none, or another error.
///
/// # Safety
/// Each pointer is NULL or points to what its type says, `cid` to 16 bytes, `board` to `board_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn identity_record_state(
    identity: *const identity_record,
    state: i32,
    cid: *const u8,
    board: *const c_char,
    board_len: u32,
) -> i32 {
    let judge = || {
        let cid: *const [u8; CID_LEN] = cid.cast();
        let board_len = isize::try_from(board_len).map_err(|_| Fault::BAD_SIZE)?.cast_unsigned();
        // SAFETY: nothing is written, so that they may overlap; the caller vouches for the rest.
        let identity = unsafe { shared(identity, Extent::NONE)? };
        // SAFETY: NULL gives None; bytes need no alignment and have no invalid values; the caller vouches for the rest.
        let card = unsafe { cid.as_ref() };
        let board = (!board.is_null()).then(|| {
            // SAFETY: not NULL and not longer than a slice may be, both checked above; otherwise as `cid`.
            unsafe { slice::from_raw_parts(board.cast(), board_len) }
        });
        let found = to_state(state).ok_or(Fault::BAD_ARGUMENT)?;
        Ok(of_state(identity.state(found, Surroundings { card, board })))
    };
    status(judge())
}

/// Writes the name of the state that `state` (IDENTITY_BLANK … IDENTITY_UNREADABLE) stands for, and a NUL; 16 bytes
/// are always enough.
///
/// Returns IDENTITY_OK, IDENTITY_BAD_ARGUMENT if it is no state, IDENTITY_TOO_SMALL, or an error.
///
/// # Safety
/// `out` is NULL or points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn identity_state_name(state: i32, out: *mut c_char, len: u32) -> i32 {
    let name = || {
        let extent = Extent::of_buffer(out, len);
        check_apart(extent, Extent::NONE)?;
        // SAFETY: neither NULL nor too long, checked above; the only reference; the caller vouches for the rest.
        let out = unsafe { bytes(out, extent) };
        write_text(state_name(state).ok_or(Fault::BAD_ARGUMENT)?, out).map(|()| IDENTITY_OK)
    };
    status(name())
}
