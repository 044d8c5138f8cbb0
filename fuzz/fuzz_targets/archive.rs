// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packed images of every kind, read to their end, or as far as a card of 16 MiB would reach.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::process;
use std::sync::LazyLock;

use identity_host::image::source::Source;
use libfuzzer_sys::fuzz_target;

const LEN_MAX: usize = 16 << 20;
/// Memory that unpacking may take.
const MEMORY: u64 = 64 << 20;

/// A file in memory that this process has for itself.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| format!("/dev/shm/identity-fuzz-{}", process::id()).into());

fuzz_target!(|data: &[u8]| {
    fs::write(&*FILE, data).expect("room in memory");
    let Ok(mut source) = Source::open(&FILE, None, MEMORY) else { return };
    let exact = source.exact_len();
    let mut buffer = vec![0; 256 << 10];
    let mut len = 0;
    while len < LEN_MAX {
        match source.fill(&mut buffer) {
            Ok(filled) => len += filled,
            Err(_) => return,
        }
        if len % buffer.len() != 0 {
            break;
        }
    }
    if len < LEN_MAX
        && source.finish().is_ok()
        && let Some(exact) = exact
    {
        // What a file says of its length before it is unpacked is what is planned with.
        assert_eq!(exact, len as u64);
    }
});
