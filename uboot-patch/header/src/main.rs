// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints what cbindgen makes of the source of the C interface.

use std::env;
use std::error::Error;
use std::io::{Write, stdout};
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    // At run time: the program may have been compiled for another checkout.
    let here = env::var_os("CARGO_MANIFEST_DIR").ok_or("run this with cargo")?;
    let root = Path::new(&here).join("..");
    let mut builder =
        cbindgen::Builder::new().with_config(cbindgen::Config::from_file(root.join("cbindgen.toml"))?);
    for file in ["status.rs", "record.rs", "ffi.rs"] {
        builder = builder.with_src(root.join("src").join(file));
    }
    let mut header = Vec::new();
    builder.generate()?.write(&mut header);
    Ok(stdout().write_all(&header)?)
}
