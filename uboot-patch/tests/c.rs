// SPDX-License-Identifier: MIT OR Apache-2.0
//! A C program that links the library, under AddressSanitizer and UndefinedBehaviorSanitizer: see `abi.c`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use identity_core::field::kind;
use identity_core::sector::offset;
use identity_core::{Draft, Mac, Uuid};

/// The library for this machine, as a C program links it.
fn library() -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--workspace", "--example", "staticlib"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(build.unwrap().success(), "the static library does not build");
    // This test is in a directory beside the examples'.
    let test = env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("examples/libstaticlib.a")
}

/// A sector that has one of everything.
fn sector() -> Vec<u8> {
    let mut draft = Draft::new(Uuid::from_u128(0x9e3c1d40_5a37_4c8e_9f0b_6d2a81e4c7f5)).unwrap();
    for (kind, text) in
        [(kind::PROFILE, "panda"), (kind::HOSTNAME, "panda-3"), (kind::SERIAL, "SN42"), (kind::BOARD, "B-7")]
    {
        draft.set_text(kind, text).unwrap();
    }
    draft.set_mac(3, Mac::new([2, 0, 0, 0, 0, 9]).unwrap()).unwrap();
    draft.set_variable("rack", "b4").unwrap();
    draft.set_variable("empty", "").unwrap();
    draft.set_card([7; 16]).unwrap();
    draft.finish().unwrap().encode(52, 6607).to_vec()
}

#[test]
fn hostile_calls_from_c_under_sanitizers() {
    let (here, library) = (Path::new(env!("CARGO_MANIFEST_DIR")), library());
    let dir = library.parent().unwrap();
    let (program, card) = (dir.join("abi"), dir.join("sector"));
    let compiled = Command::new("cc")
        .args(["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"])
        .args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I"])
        .args([&here.join("include"), &here.join("tests/abi.c"), &library])
        .arg("-o")
        .arg(&program)
        .status();
    assert!(compiled.unwrap().success(), "abi.c does not compile");
    std::fs::write(&card, sector()).unwrap();
    let output = Command::new(program).arg(card).args(["52", &offset::CRC.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}
