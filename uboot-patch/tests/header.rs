// SPDX-License-Identifier: MIT OR Apache-2.0
//! The committed C header is what cbindgen makes of the source.

use std::fs;
use std::path::Path;

/// Writes the header anew instead of comparing it: `IDENTITY_BLESS=1 cargo test -p identity-uboot`.
const BLESS: &str = "IDENTITY_BLESS";

#[test]
fn header_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let mut generated = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join("src/status.rs"))
        .with_src(root.join("src/record.rs"))
        .with_src(root.join("src/ffi.rs"))
        .generate()
        .unwrap()
        .write(&mut generated);
    let path = root.join("include/identity.h");
    if std::env::var_os(BLESS).is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let committed = fs::read(&path).unwrap();
    assert!(
        committed == generated,
        "include/identity.h differs from the source: run `{BLESS}=1 cargo test -p identity-uboot`"
    );
}
