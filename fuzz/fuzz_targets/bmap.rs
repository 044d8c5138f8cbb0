// SPDX-License-Identifier: MIT OR Apache-2.0
//! Block maps.
#![no_main]

use identity_host::image::bmap;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(map) = bmap::parse(data) else { return };
    let mut end = 0;
    for range in &map.ranges {
        assert!(range.bytes.start >= end && range.bytes.start < range.bytes.end, "{range:?}");
        end = range.bytes.end;
    }
    assert!(end <= map.image_len);
    assert!(map.mapped_len() <= map.image_len);
    for part in map.parts(0..map.image_len) {
        assert!(part.end <= map.image_len);
    }
});
