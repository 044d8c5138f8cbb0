// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory at an address that direct I/O accepts.

use std::ops::{Deref, DerefMut};

/// Alignment that direct I/O may ask for, in bytes.
pub const DIRECT_ALIGN: usize = 4096;

/// Zeroed bytes whose address is a multiple of [`DIRECT_ALIGN`].
#[derive(Debug)]
pub struct Buffer {
    /// One alignment longer than asked for; never grows, so that it stays where it is.
    memory: Vec<u8>,
    skip: usize,
    len: usize,
}

impl Buffer {
    /// A buffer of `len` zero bytes.
    pub fn new(len: usize) -> Self {
        let memory = vec![0; len + DIRECT_ALIGN];
        let skip = memory.as_ptr().align_offset(DIRECT_ALIGN);
        Self { memory, skip, len }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.skip..self.skip + self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.skip..self.skip + self.len]
    }
}
