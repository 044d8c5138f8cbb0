// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls of the C ABI in any order, on structs that the library has filled or anybody else; each is a byte that says
//! which, and what its arguments need. Buffers are allocated in the length that is told, so that AddressSanitizer sees
//! what goes past one.
#![no_main]

use std::mem::MaybeUninit;
use std::ptr::null;

use identity_uboot::*;
use libfuzzer_sys::fuzz_target;

const SECTOR_LEN: u32 = 512;
/// What outputs hold before a call.
const OLD: u8 = 0xa5;

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*number))
    }

    /// A sector, with zeros for what the input does not have.
    fn sector(&mut self) -> Vec<u8> {
        let (bytes, rest) = self.0.split_at(self.0.len().min(SECTOR_LEN as usize));
        self.0 = rest;
        let mut sector = bytes.to_vec();
        sector.resize(SECTOR_LEN as usize, 0);
        sector
    }

    /// Overwrites the beginning of a struct.
    fn overwrite<T>(&mut self, target: &mut MaybeUninit<T>) {
        let len = self.byte().unwrap_or_default();
        let (bytes, rest) = self.0.split_at(self.0.len().min(usize::from(len) * 4).min(size_of::<T>()));
        self.0 = rest;
        // SAFETY: as many bytes of a struct of numbers.
        unsafe { target.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}

fn filled<T>() -> Box<MaybeUninit<T>> {
    let mut memory = Box::new(MaybeUninit::<T>::uninit());
    // SAFETY: one T's bytes.
    unsafe { memory.as_mut_ptr().write_bytes(OLD, 1) };
    memory
}

/// A buffer that a text is written to, whole and with its NUL, or not at all.
fn text(len: u8, call: impl FnOnce(*mut std::ffi::c_char, u32) -> i32) {
    let mut out = vec![OLD; len.into()];
    let status = call(out.as_mut_ptr().cast(), len.into());
    if status == status::IDENTITY_OK {
        assert!(out.contains(&0));
    } else {
        assert!(out.iter().all(|&byte| byte == OLD), "written with status {status}");
    }
}

fn call(
    input: &mut Input<'_>,
    search: &mut MaybeUninit<identity_search>,
    record: &mut MaybeUninit<identity_record>,
) -> Option<()> {
    let (search_size, record_size) =
        (size_of::<identity_search>() as u32, size_of::<identity_record>() as u32);
    let (mut word, mut mac, mut source, mut seen) = (0, [0; 6], 0, identity_seen::default());
    let which = input.byte()?;
    // SAFETY: every pointer is NULL or to what the function's type says, as long as is told.
    unsafe {
        let (find, identity) = (search.as_mut_ptr(), record.as_mut_ptr());
        match which {
            0 => _ = identity_search_begin(find, search_size, input.number()?),
            1 => {
                if identity_search_next(find, &mut word) == status::IDENTITY_READ {
                    let sector = input.sector();
                    identity_search_give(find, word, sector.as_ptr(), SECTOR_LEN, identity, record_size);
                }
            }
            2 => {
                identity_search_next(find, &mut word);
                identity_search_skip(find, word, input.byte()?.into());
            }
            3 => {
                let sector = input.sector();
                identity_search_give(
                    find,
                    input.number()?,
                    sector.as_ptr(),
                    SECTOR_LEN,
                    identity,
                    record_size,
                );
            }
            4 => {
                _ = identity_search_seen(find, input.number()?, &mut seen, size_of::<identity_seen>() as u32)
            }
            5 => text(input.byte()?, |out, len| identity_record_text(identity, which_text(input), out, len)),
            6 => _ = identity_record_mac(identity, input.number()?, mac.as_mut_ptr(), &mut source),
            7 => _ = identity_record_assigned(identity, input.number()?, &mut word),
            8 => {
                let (number, key_len, value_len) = (input.byte()?, input.byte()?, input.byte()?);
                text(key_len, |key, key_len| {
                    let mut result = 0;
                    text(value_len, |value, value_len| {
                        result =
                            identity_record_variable(identity, number.into(), key, key_len, value, value_len);
                        result
                    });
                    result
                });
            }
            9 => {
                let (state, cid, len) = (input.byte()?, input.sector(), input.byte()?);
                let board = vec![b'B'; len.into()];
                let cid = if len & 1 == 0 { cid.as_ptr() } else { null() };
                identity_record_state(identity, state.into(), cid, board.as_ptr().cast(), len.into());
            }
            10 => text(input.byte()?, |out, len| identity_state_name(len as i32, out, len)),
            11 => input.overwrite(search),
            _ => input.overwrite(record),
        }
    }
    Some(())
}

fn which_text(input: &mut Input<'_>) -> u32 {
    let byte = u32::from(input.byte().unwrap_or_default());
    if byte & 0x80 == 0 { byte } else { 256 + (byte & 3) }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let (mut search, mut record) = (filled(), filled());
    // SAFETY: a struct and its size.
    unsafe { identity_search_begin(search.as_mut_ptr(), size_of::<identity_search>() as u32, 0) };
    while call(&mut input, &mut search, &mut record).is_some() {}
});
