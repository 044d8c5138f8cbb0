// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card as a bootloader reads it: through the C functions.

use std::ffi::CStr;
use std::mem::MaybeUninit;

use identity_host::device::{Card, SECTOR_LEN};
use identity_uboot::status::{IDENTITY_ABSENT, IDENTITY_OK, IDENTITY_READ};
use identity_uboot::text::{IDENTITY_TEXT_PROFILE, IDENTITY_TEXT_UUID};
use identity_uboot::*;

/// The status of a card and, if a copy was found, UUID and profile.
pub fn look(card: &dyn Card, hint_lba: Option<u32>) -> (i32, Option<(String, String)>) {
    let mut search = MaybeUninit::<identity_search>::zeroed();
    let mut record = MaybeUninit::<identity_record>::zeroed();
    let (search_len, record_len) = (size_of::<identity_search>() as u32, size_of::<identity_record>() as u32);
    let mut found = false;
    // SAFETY: pointers to what the types say, each an object of its own.
    unsafe {
        let begun = identity_search_begin(search.as_mut_ptr(), search_len, hint_lba.unwrap_or_default());
        assert_eq!(begun, IDENTITY_OK);
        loop {
            let mut lba = 0;
            let next = identity_search_next(search.as_ptr(), &mut lba);
            if next != IDENTITY_READ {
                return (next, found.then(|| texts(&record)));
            }
            let mut sector = [0; SECTOR_LEN];
            if u64::from(lba) >= card.sectors() {
                let skipped = identity_search_skip(search.as_mut_ptr(), lba, IDENTITY_SKIP_ABSENT);
                assert_eq!(skipped, IDENTITY_OK);
            } else if card.read(lba.into(), &mut sector).is_err() {
                let skipped = identity_search_skip(search.as_mut_ptr(), lba, IDENTITY_SKIP_UNREADABLE);
                assert_eq!(skipped, IDENTITY_OK);
            } else {
                let (sector, record) = (sector.as_ptr(), record.as_mut_ptr());
                let given = identity_search_give(search.as_mut_ptr(), lba, sector, 512, record, record_len);
                assert!(given == IDENTITY_OK || given == IDENTITY_ABSENT, "{given}");
                found |= given == IDENTITY_OK;
            }
        }
    }
}

fn texts(record: &MaybeUninit<identity_record>) -> (String, String) {
    let text = |what| {
        let mut out = [0_u8; 64];
        // SAFETY: pointers to what the types say.
        let status = unsafe { identity_record_text(record.as_ptr(), what, out.as_mut_ptr().cast(), 64) };
        assert_eq!(status, IDENTITY_OK);
        CStr::from_bytes_until_nul(&out).expect("a NUL").to_str().expect("text").to_owned()
    };
    (text(IDENTITY_TEXT_UUID), text(IDENTITY_TEXT_PROFILE))
}
