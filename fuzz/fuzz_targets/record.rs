// SPDX-License-Identifier: MIT OR Apache-2.0
//! Records of an identity on the host, and sums beside an image.
#![no_main]

use identity_host::image::digest::Sum;
use identity_host::document::Document;
use identity_host::record::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(record) = Record::parse(text) {
        assert!(record.identity.is_none_or(|identity| !identity.profile().is_empty()));
    }
    if let Ok(document) = serde_json::from_str::<Document>(text)
        && let Ok(identity) = document.identity()
    {
        assert_eq!(Document::of_recorded(&identity).identity(), Ok(identity));
    }
    if let Ok(sum) = Sum::parse(text) {
        assert_eq!(sum.to_string(), text.to_lowercase());
    }
});
