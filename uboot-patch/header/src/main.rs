// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints what cbindgen makes of the source of the C interface.

use std::error::Error;
use std::io::{Write, stdout};
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut builder =
        cbindgen::Builder::new().with_config(cbindgen::Config::from_file(root.join("cbindgen.toml"))?);
    for file in ["status.rs", "record.rs", "ffi.rs"] {
        builder = builder.with_src(root.join("src").join(file));
    }
    let mut header = Vec::new();
    builder.generate()?.write(&mut header);
    Ok(stdout().write_all(&header)?)
}
