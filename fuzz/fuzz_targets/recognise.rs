// SPDX-License-Identifier: MIT OR Apache-2.0
//! One recogniser of boot images (number in the first byte), with its magic put where it looks for it, or not.
#![no_main]

use identity_layout::recognise::ALL;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [number, magic, lba, data @ ..] = data else { return };
    let format = ALL[usize::from(*number) % ALL.len()];
    let mut bytes = data.to_vec();
    if let Some((at, magic)) = format.magic.get(usize::from(*magic)) {
        let place = *at as usize..*at as usize + magic.len();
        if let Some(place) = bytes.get_mut(place) {
            place.copy_from_slice(magic);
        }
    }
    for extent in format.look(&bytes, u64::from(lba % 2)) {
        let (_, sectors) = extent.in_sectors();
        assert!(sectors > 0);
    }
});
