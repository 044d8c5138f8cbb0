// SPDX-License-Identifier: MIT OR Apache-2.0
//! Records of an identity on the host, and sums beside an image.
#![no_main]

use identity_cli::flash::digest::Sum;
use identity_cli::flash::record::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(record) = Record::parse(text) {
        assert!(!record.identity.profile().is_empty());
    }
    if let Ok(sum) = Sum::parse(text) {
        assert_eq!(sum.to_string(), text.to_lowercase());
    }
});
