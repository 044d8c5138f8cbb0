// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bytes of an image as distributed.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

/// The bytes as distributed, counted, and hashed where they come but once.
pub struct Input {
    pub(super) file: File,
    /// What was read to see what it is, and how much of that has been handed on.
    pub(super) lead: Vec<u8>,
    pub(super) lead_taken: usize,
    pub(super) taken: Arc<AtomicU64>,
    pub(super) hasher: Option<Sha256>,
}

impl Input {
    fn count(&mut self, bytes: &[u8]) {
        self.taken.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
    }

    /// Goes on `len` bytes further without reading them; only in a file that is not hashed.
    pub fn skip(&mut self, len: u64) -> io::Result<()> {
        let from_lead = len.min((self.lead.len() - self.lead_taken) as u64);
        self.lead_taken += from_lead as usize;
        self.file.seek(SeekFrom::Current(i64::try_from(len - from_lead).map_err(io::Error::other)?))?;
        self.taken.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }
}

impl Read for Input {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let lead = &self.lead[self.lead_taken..];
        let read = if lead.is_empty() {
            self.file.read(out)?
        } else {
            let len = lead.len().min(out.len());
            out[..len].copy_from_slice(&lead[..len]);
            self.lead_taken += len;
            len
        };
        self.count(&out[..read]);
        Ok(read)
    }
}

/// A reader of which the next bytes can be looked at.
pub struct Peek<R> {
    ahead: Vec<u8>,
    /// How many of `ahead` have been handed on.
    taken: usize,
    inner: R,
}

impl<R: BufRead> Peek<R> {
    /// At the start of `inner`.
    pub fn new(inner: R) -> Self {
        Self { ahead: Vec::new(), taken: 0, inner }
    }

    /// The next `len` bytes, fewer only at the end.
    pub fn peek(&mut self, len: usize) -> io::Result<&[u8]> {
        self.ahead.drain(..self.taken);
        self.taken = 0;
        let more = len.saturating_sub(self.ahead.len());
        (&mut self.inner).take(more as u64).read_to_end(&mut self.ahead)?;
        Ok(&self.ahead[..len.min(self.ahead.len())])
    }

    /// The reader that this one was made of.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: BufRead> Read for Peek<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let len = from.len().min(out.len());
        out[..len].copy_from_slice(&from[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl<R: BufRead> BufRead for Peek<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken < self.ahead.len() { Ok(&self.ahead[self.taken..]) } else { self.inner.fill_buf() }
    }

    fn consume(&mut self, len: usize) {
        if self.taken < self.ahead.len() {
            self.taken += len;
        } else {
            self.inner.consume(len);
        }
    }
}
